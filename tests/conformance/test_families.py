"""Every family and every switch: a new one is tested by existing."""

import functools
import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from swinablate import plugins
from swinablate.proof import compare
from swinablate.recipe import Family, ImageSpec, ModelConfig, Switch, derive
from swinablate.response import Observed, cost, observe

NAMES = plugins.names("models")
IMAGE = ImageSpec(height=32, width=32, channels=3, classes=10)
ODD = ImageSpec(height=16, width=32, channels=1, classes=3)

WHERE: dict[tuple[str, str], dict[str, Any]] = {
    ("swin", "pad"): {"window": 3, "pad": "masked"},
    ("swin", "shift_covered"): {"window": 8},
    ("vgg", "hidden"): {"head": "fc"},
    ("vgg", "dropout"): {"head": "fc"},
}
"""Where a switch acts, if not at the defaults."""


def load(name: str) -> Family[ModelConfig]:
    family: Family[ModelConfig] = plugins.load("models", name, Family)
    return family


def switches(family: Family[ModelConfig]) -> dict[str, Switch]:
    return {
        field: mark
        for field, info in family.config.model_fields.items()
        for mark in info.metadata
        if isinstance(mark, Switch)
    }


def flips() -> Iterator[Any]:
    for name in NAMES:
        family = load(name)
        for field, switch in switches(family).items():
            where = WHERE.get((name, field), {})
            base = family.config(**where)
            for level in switch.levels:
                if level != getattr(base, field):
                    yield pytest.param(name, where, field, level, id=f"{name}-{field}-{level}")


@functools.cache
def seen(config: ModelConfig) -> Observed | str:
    """The network, or why there is none."""
    try:
        return observe(load(config.family), config, IMAGE)
    except ValueError as error:
        return str(error)


def meaning(config: ModelConfig) -> str:
    """The network's signature, or why there is none."""
    found = seen(config)
    return found if isinstance(found, str) else found.signature


@pytest.mark.parametrize(("name", "where", "field", "level"), list(flips()))
def test_no_switch_is_dead(name, where, field, level):
    family = load(name)
    moved = family.config(**where | {field: level})
    assert meaning(family.config(**where)) != meaning(moved)


@pytest.mark.parametrize(("name", "where", "field", "level"), list(flips()))
def test_a_switch_acts_where_it_says(name, where, field, level):
    family = load(name)
    base, arm = (seen(family.config(**fields)) for fields in (where, where | {field: level}))
    assert isinstance(base, Observed)
    if isinstance(arm, str):
        return  # refused, so it changes nothing
    proof = compare(base, arm, switches(family)[field].acts_on)
    assert proof.outside == ()
    moved = proof.modules.names + proof.parameters.names + proof.buffers.names + proof.restarted
    assert moved
    assert proof.output or proof.output_train or proof.restarted


@pytest.mark.parametrize("name", NAMES)
def test_every_switch_says_what_it_is(name):
    family = load(name)
    for field, switch in switches(family).items():
        assert switch.what, field
        assert len(set(switch.levels)) >= 2, field
        assert family.config.model_fields[field].default in switch.levels, field


@pytest.mark.parametrize("name", NAMES)
def test_levels_mean_different_networks(name):
    family = load(name)
    for field, switch in switches(family).items():
        where = WHERE.get((name, field), {})
        signs = [meaning(family.config(**where | {field: v})) for v in switch.levels]
        pairs = itertools.combinations(zip(switch.levels, signs, strict=True), 2)
        assert not [(field, a, b) for (a, x), (b, y) in pairs if x == y]


def kernel(weights: dict[str, Tensor], name: str) -> Tensor:
    """The weight that a bias belongs to; of any other parameter, itself."""
    return weights[re.sub("bias$", "weight", name)]


def equal(a: Tensor, b: Tensor, *, scaled: bool) -> bool:
    """Whether two tensors are the same bits, or the same up to one factor."""
    return torch.equal(a, b) or (scaled and torch.allclose(a, b * (a[0] / b[0]), rtol=1e-5))


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_runs_in_half_precision(name):
    """Under autocast, without a warning; kinds are levels with a name."""
    family, image = load(name), ImageSpec(height=16, width=16, channels=3, classes=4)
    for field, switch in switches(family).items():
        kinds = [level for level in switch.levels if isinstance(level, str) and field != "init"]
        for level in kinds:
            config = family.config(**WHERE.get((name, field), {}) | {field: level})
            try:
                model = family.build(config, image)
            except ValueError:
                continue  # refused, which `meaning` covers
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                assert model(images(image, 2)).isfinite().all(), (field, level)


@pytest.fixture(params=NAMES)
def family(request) -> Family[ModelConfig]:
    return load(request.param)


def start(family: Family[ModelConfig], image: ImageSpec = IMAGE, seed: int = 0) -> nn.Module:
    config = family.config()
    model = family.build(config, image)
    family.init(model, config, lambda n: torch.Generator().manual_seed(derive(seed, "test", n)))
    return model


def images(image: ImageSpec = IMAGE, count: int = 4) -> Tensor:
    chance = torch.Generator().manual_seed(0)
    return torch.empty(count, image.channels, image.height, image.width).normal_(generator=chance)


def test_every_parameter_learns(family):
    model = start(family)
    model(images()).square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_images_do_not_leak_into_each_other(family):
    model = start(family).eval()
    x = images()
    torch.testing.assert_close(model(x)[:1], model(x[:1]), atol=1e-5, rtol=1e-5)


def test_one_seed_gives_one_network_whatever_came_before(family):
    torch.manual_seed(1)
    first = start(family)
    torch.manual_seed(2)
    second, other = start(family), start(family, seed=1)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    assert torch.equal(first(images()), second(images()))
    assert not torch.equal(first(images()), other(images()))


def test_init_overwrites_every_parameter(family):
    """Each is drawn from the generator of its name; no NaN survives."""
    config = family.config()
    model = family.build(config, IMAGE)
    asked: list[str] = []

    def generator_for(name: str) -> torch.Generator:
        asked.append(name)
        return torch.Generator().manual_seed(0)

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float("nan"))
    family.init(model, config, generator_for)
    assert sorted(asked) == sorted(name for name, _ in model.named_parameters())
    assert [n for n, p in model.named_parameters() if not p.isfinite().all()] == []


def test_a_tensor_starts_the_same_in_every_network_that_has_it(family):
    """Levels of a switch share the initial values of the tensors they share.

    Only of those that are drawn: what starts constant may start at another constant. The bias
    of a convolution is drawn in units of its kernel's size: with another kernel, only up to
    a factor.
    """

    def weights(config: ModelConfig) -> dict[str, Tensor]:
        model = family.build(config, IMAGE)
        family.init(model, config, lambda n: torch.Generator().manual_seed(derive(0, "test", n)))
        return dict(model.named_parameters())

    base, compared = weights(family.config()), 0
    for field, switch in switches(family).items():
        for level in switch.levels:
            try:
                other = weights(family.config(**{field: level}))
            except ValueError:
                continue  # this level needs others to change with it
            if field == "init":
                continue
            for name in base.keys() & other.keys():
                a, b = base[name].detach(), other[name].detach()
                if a.shape == b.shape and len(a.unique()) > 2:
                    scaled = kernel(base, name).shape != kernel(other, name).shape
                    assert equal(a, b, scaled=scaled), (field, level, name)
                    compared += 1
    assert compared > 10


def test_state_survives_saving(family, tmp_path):
    model = start(family)
    model(images())  # running statistics
    torch.save(model.state_dict(), tmp_path / "model.pt")
    again = start(family, seed=1)
    again.load_state_dict(torch.load(tmp_path / "model.pt"), strict=True)
    assert torch.equal(model.eval()(images()), again.eval()(images()))


def test_the_same_step_gives_the_same_bits(family):
    def gradients() -> list[Tensor]:
        model = start(family)
        torch.manual_seed(0)
        model(images()).logsumexp(1).sum().backward()
        return [p.grad for p in model.parameters()]

    assert all(map(torch.equal, gradients(), gradients()))


def test_images_of_one_channel_that_are_not_square(family):
    model = start(family, ODD)
    assert model(images(ODD)).shape == (4, 3)
    assert cost(family, family.config(), ODD).macs > 0


def test_geometry_is_plain_data(family):
    for stage in family.geometry(family.config(), IMAGE):
        for value in stage.values():
            assert isinstance(value, int | float | str | tuple)


def test_tables_can_be_told_from_matrices(family):
    """The optimizer does not decay tables: parameters of two axes that multiply nothing."""
    model = start(family)
    matrices = {
        f"{prefix}.weight"
        for prefix, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    }
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2 and name not in matrices:
            assert name.rpartition(".")[2] == "table", name


def test_replicas_train_together(family):
    """One call over stacked weights and buffers equals one call each."""
    from torch.func import functional_call, stack_module_state

    models = [start(family, seed=seed).eval() for seed in range(2)]
    parameters, buffers = stack_module_state(models)

    def call(p, b, x):
        return functional_call(models[0], (p, b), (x,))

    together = torch.vmap(call, in_dims=(0, 0, None))(parameters, buffers, images())
    for model, answer in zip(models, together, strict=True):
        torch.testing.assert_close(answer, model(images()), atol=1e-5, rtol=1e-4)
