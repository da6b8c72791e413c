"""Every shipped study plans, and every arm of it can take a step of training."""

import pytest
import torch
import torch.nn.functional as F

from swinablate.config.recipe import EACH
from swinablate.report.published import load_packs
from swinablate.report.published.packs import asking
from swinablate.study.arms.recipes import load_claim, load_recipe
from swinablate.study.cautions import cautions
from swinablate.study.declared import comparisons_of, effects_of
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Noise
from swinablate.study.plan import Arm
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from tests.study.shipped import ROOT, TUNED, commands, initial, placed

LONG = {
    "attention_claims", "bn_vs_ln", "cifar100", "cnn_classics", "family_macs", "family_params",
    "mission", "patch_stem", "post000_autopsy", "swin_depth", "swin_patch", "swinv2_parts",
    "time_to_train",
}  # fmt: skip
"""Their networks take long to build and prove: `just integration` plans them."""
LARGE = {"dense_connections", "post000_fashion"}
"""So do their large variants, which `just full` plans."""
STUDIES = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.integration] * (path.stem in LONG))
    for path in sorted((ROOT / "studies").glob("*.toml"))
]
VARIANTS = [
    pytest.param(
        path,
        command,
        id=f"{path.stem}-{number}",
        marks=[pytest.mark.integration] * (path.stem in LONG)
        + [pytest.mark.slow] * (path.stem in LARGE),
    )
    for path in sorted((ROOT / "studies").glob("*.toml"))
    for number, command in enumerate(commands(path))
    if command.study == path
]
"""The large ones, as the studies' comments name them."""


def step(arm: Arm) -> tuple[float, float]:
    """Loss before and after a step on eight images of noise."""
    model = initial(arm)
    chance = torch.Generator().manual_seed(0)
    size = (8, arm.image.channels, arm.image.height, arm.image.width)
    x, y = torch.empty(size).normal_(generator=chance), torch.arange(8) % arm.image.classes
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)

    def loss() -> torch.Tensor:
        torch.manual_seed(0)
        return F.cross_entropy(model(x), y)

    before = loss()
    before.backward()
    optimizer.step()
    with torch.no_grad():
        return before.item(), loss().item()


@pytest.mark.parametrize("path", STUDIES)
def test_every_shipped_study_plans_and_learns(path, tmp_path):
    found = plan(load_study(placed(path, tmp_path)))
    record = plan_record(found, {}, Noise(None, ""))
    assert record.hypotheses  # each is about what there is
    arms = {arm.name for arm in record.arms}
    contrasts = {each.name for each in (*effects_of(record)[0], *comparisons_of(record)[0])}
    for _, claim, one in asking(load_packs(), path.stem):  # so is each claim of a pack
        assert one.about in (arms if one.arm else contrasts), claim.name
        assert one.quantity in {"", *record.metrics}, claim.name
    assert len(found.arms) > 1
    assert not found.refusals
    assert not [*cautions(found)]
    models = {arm.recipe.model.model_dump_json(): arm for arm in found.arms}
    for arm in models.values():
        before, after = step(arm)
        assert after < before, arm.name


@pytest.mark.parametrize(("path", "command"), VARIANTS)
def test_the_large_variant_that_a_study_names_plans_without_a_refusal(path, command, tmp_path):
    study = load_study(placed(path, tmp_path), command.settings)
    found = plan(study)
    plan_record(found, {}, Noise(None, ""))  # refuses what is said of arms that are not there
    assert command.name == "run"
    assert study.name != path.stem
    assert len(found.arms) > 1
    assert not found.refusals
    assert not [*cautions(found)]


def test_the_weights_that_fine_tuning_starts_from_are_made_by_the_commands_that_it_names():
    study = ROOT / "studies" / f"{TUNED}.toml"
    train, keep, larger = commands(study)
    assert (train.name, keep.name, larger.name) == ("run", "weights", "run")
    assert (train.study, train.settings) == (keep.study, keep.settings)
    arm, file = keep.words
    assert train.words == ("--only", arm)
    assert (ROOT / file).as_posix() == str(load_study_weights(study))
    trained, tuned = load_study(train.study, train.settings), load_study(study)
    assert set(tuned.baseline_seeds) <= set(trained.seeds)
    more = load_study(train.study, [*train.settings, "study.seeds=16"])
    assert set(load_study(study, larger.settings).baseline_seeds) <= set(more.seeds)


def load_study_weights(study):
    """Where the recipe of a study looks for its files, as a pattern."""
    start = load_study(study).baseline.start.weights
    assert EACH in start
    return (study.parent / start).resolve()


def test_the_short_recipes_are_their_long_ones_for_an_eighth_of_the_steps():
    """Of the networks, the sizes that the files claim are compared."""
    for name in ("swin_fashion", "resnet20_fashion"):
        long, short = (ROOT / "experiments" / f"{each}.toml" for each in (name, f"{name}_short"))
        assert load_claim(short) == load_claim(long)
        one, other = load_recipe(short), load_recipe(long)
        assert one.data == other.data
        assert one.train.steps is not None
        steps = one.train.steps * 8
        assert one.train.model_copy(update={"steps": steps}) == other.train
