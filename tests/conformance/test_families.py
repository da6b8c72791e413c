"""Every family and every switch: a new one is tested by existing."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from swinablate.config import plugins
from swinablate.config.family import Family, ImageSpec, ModelConfig, Switch
from swinablate.models import case as cases
from swinablate.models import conformance
from swinablate.models.build import norms, tables, tokens
from swinablate.models.case import Case, seen
from swinablate.models.catalogue import switches
from swinablate.models.diff import compare
from swinablate.models.fingerprint import Fingerprint

NAMES = plugins.names("swinablate.models.families")
IMAGE = ImageSpec(height=32, width=32, channels=3, classes=10)
ODD = ImageSpec(height=16, width=32, channels=1, classes=3)


def load(name: str) -> Case:
    family: Family[ModelConfig] = plugins.load("swinablate.models.families", name, Family)
    return Case(family, family.config(), IMAGE)


def marks(case: Case) -> dict[str, Switch]:
    return {field: mark for field, mark, _ in switches(case.family.config)}


def flips() -> Iterator[Any]:
    for name in NAMES:
        case = load(name)
        for field, switch in marks(case).items():
            base = case.at(**case.where(field))
            for level in switch.levels:
                if level != getattr(base.config, field):
                    flipped = base.at(**{field: level})
                    yield pytest.param(base, flipped, field, id=f"{name}-{field}-{level}")


@pytest.mark.parametrize(("base", "flipped", "field"), list(flips()))
def test_no_switch_is_dead(base, flipped, field):
    assert base.meaning() != flipped.meaning()


@pytest.mark.parametrize(("base", "flipped", "field"), list(flips()))
def test_a_switch_acts_where_it_says(base, flipped, field):
    ours, arm = (seen(case.family, case.config, IMAGE) for case in (base, flipped))
    assert isinstance(ours, Fingerprint)
    if isinstance(arm, str):
        return  # refused, so it changes nothing
    proof = compare(ours, arm, marks(base)[field].acts_on)
    assert proof.outside == ()
    moved = proof.modules.names + proof.parameters.names + proof.buffers.names + proof.restarted
    assert moved
    assert proof.output or proof.output_train or proof.restarted


@pytest.mark.parametrize("name", NAMES)
def test_norms_of_ours_have_one_axis(name):
    """Or their recipes would need a revision, as those of others have (`external.mended`)."""
    base = load(name)
    levels = marks(base)["norm"].levels if "norm" in marks(base) else ()
    for made in (base, *(base.at(norm=level) for level in levels)):
        with torch.device("meta"):
            model = made.family.build(made.config, IMAGE)
        assert norms(model).keys() <= tokens(model)


@pytest.fixture(params=NAMES)
def case(request) -> Case:
    return load(request.param)


def test_every_switch_says_what_it_is(case):
    for field, switch in marks(case).items():
        assert switch.what, field
        assert len(set(switch.levels)) >= 2, field
        assert getattr(case.config, field) in switch.levels, field


@pytest.mark.parametrize(
    "check",
    [
        conformance.builds,
        conformance.dead_switches,
        conformance.parameters_learn,
        conformance.answers_are_logits,
        conformance.no_chance_in_evaluation,
        conformance.images_stay_apart,
        conformance.one_seed_one_network,
        conformance.two_seeds_two_networks,
        conformance.state_survives,
        conformance.same_step_same_bits,
        conformance.trains,
    ],
    ids=lambda check: check.__name__,
)
def test_what_any_network_must_do(case, check):
    assert check(case) == ""


def test_what_fades_in_learns_too():
    """A progressive norm gives its batch norm no share of the first step."""
    assert conformance.parameters_learn(load("swin").at(norm="prepbn")) == ""


def test_a_built_in_switch_that_does_nothing_here_is_a_note(monkeypatch):
    """`check` of a built-in family asks what acts on these images, not whether it is right."""
    monkeypatch.setattr(cases, "WHERE", {})
    monkeypatch.setattr(conformance, "CHECKS", conformance.CHECKS[:1])
    small = ImageSpec(height=8, width=8, channels=1, classes=2)
    small_vgg = replace(load("vgg").at(widths=(4,), convs=(1,)), image=small)
    _, found = itertools.islice(conformance.examine(small_vgg), 2)
    assert (found.check, found.status) == ("no switch is dead", "note")
    assert found.found.startswith("here without effect: hidden (")


def kernel(weights: dict[str, Tensor], name: str) -> Tensor:
    """The weight that a bias belongs to; of any other parameter, itself."""
    return weights[re.sub("bias$", "weight", name)]


def equal(a: Tensor, b: Tensor, *, scaled: bool) -> bool:
    """Whether two tensors are the same bits, or the same up to one factor."""
    return torch.equal(a, b) or (scaled and torch.allclose(a, b * (a[0] / b[0]), rtol=1e-5))


def test_every_kind_runs_in_half_precision(case):
    """Under autocast, without a warning; kinds are levels with a name."""
    small = replace(case, image=ImageSpec(height=16, width=16, channels=3, classes=4))
    for field, switch in marks(case).items():
        kinds = [level for level in switch.levels if isinstance(level, str) and field != "init"]
        for level in kinds:
            flipped = small.at(**{**case.where(field), field: level})
            try:
                model = flipped.family.build(flipped.config, flipped.image)
            except ValueError:
                continue  # refused, which `meaning` covers
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                assert model(small.images(2)).isfinite().all(), (field, level)


def test_init_overwrites_every_parameter(case):
    """Each is drawn from the generator of its name; no NaN survives."""
    model = case.family.build(case.config, IMAGE)
    asked: list[str] = []

    def generator_for(name: str) -> torch.Generator:
        asked.append(name)
        return torch.Generator().manual_seed(0)

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    case.family.init(model, case.config, generator_for)
    assert sorted(asked) == sorted(name for name, _ in model.named_parameters())
    assert [n for n, p in model.named_parameters() if not p.isfinite().all()] == []


def test_a_tensor_starts_the_same_in_every_network_that_has_it(case):
    """Levels of a switch share the initial values of the tensors they share.

    Only of those that are drawn: what starts constant may start at another constant. The bias
    of a convolution is drawn in units of its kernel's size: with another kernel, only up to
    a factor.
    """
    base, compared = dict(case.start().named_parameters()), 0
    drawn = {name for name, value in base.items() if len(value.detach().unique()) > 2}
    for field, switch in marks(case).items():
        for level in switch.levels:
            try:
                other = dict(case.at(**{field: level}).start().named_parameters())
            except ValueError:
                continue  # this level needs others to change with it
            if field == "init":
                continue
            for name in drawn & other.keys():
                a, b = base[name].detach(), other[name].detach()
                if a.shape == b.shape:
                    scaled = kernel(base, name).shape != kernel(other, name).shape
                    assert equal(a, b, scaled=scaled), (field, level, name)
                    compared += 1
    assert compared > 10


def test_images_of_one_channel_that_are_not_square(case):
    assert conformance.odd_images(replace(case, image=ODD)) == ""


def test_geometry_is_plain_data(case):
    for stage in case.family.geometry(case.config, IMAGE):
        for value in stage.values():
            assert isinstance(value, int | float | str | tuple)


def test_tables_can_be_told_from_matrices(case):
    """The optimizer does not decay tables: parameters of two axes that multiply nothing."""
    model = case.start()
    matrices = {
        f"{prefix}.weight"
        for prefix, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    }
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2:
            assert (name.rpartition(".")[2] == "table") == (name not in matrices), name
            assert (name in tables(model)) == (name not in matrices), name


def test_replicas_train_together(case):
    """One call over stacked weights and buffers equals one call each."""
    from torch.func import functional_call, stack_module_state

    models = [case.start(seed).eval() for seed in range(2)]
    parameters, buffers = stack_module_state(models)

    def call(p, b, x):
        return functional_call(models[0], (p, b), (x,))

    together = torch.vmap(call, in_dims=(0, 0, None))(parameters, buffers, case.images())
    for model, answer in zip(models, together, strict=True):
        torch.testing.assert_close(answer, model(case.images()), atol=1e-5, rtol=1e-4)
