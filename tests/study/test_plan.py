"""Expanding a design; refusing what cannot be, or is something else already."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from swinablate.errors import InputError
from swinablate.models.families import swin
from swinablate.study.files import load_study, smoke
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY

ROOT = Path(__file__).parents[2]


def planned(path, *settings):
    return plan(load_study(path, settings))


def names(found):
    return [arm.name for arm in found.arms]


def test_one_at_a_time_changes_one_switch_an_arm(write):
    text = STUDY + '"model.norm" = ["batch", "rms"]\n'
    found = planned(write(text))
    assert names(found) == ["baseline", "shift=false", "norm=batch", "norm=rms"]
    assert found.arms[2].recipe.model.norm == "batch"
    assert found.arms[2].recipe.model.shift is True
    assert found.arms[2].differs == {"model.norm": ("layer", "batch")}
    assert found.arms[0].differs == {}


def test_factorial_crosses_levels_and_implies_the_baselines(write):
    text = STUDY.replace("seeds = 3", 'design = "factorial"\nseeds = 3', 1)
    found = planned(write(text + '"model.norm" = ["batch"]\n"model.position_bias" = ["none"]\n'))
    assert len(found.arms) == 8
    assert names(found)[:4] == [
        "baseline", "position_bias=none", "norm=batch", "norm=batch, position_bias=none",
    ]  # fmt: skip
    assert names(found)[-1] == "shift=false, norm=batch, position_bias=none"


def test_impossible_arm_is_refused_with_its_reason_and_the_rest_goes_on(write):
    found = planned(write(STUDY + '"model.window" = [3]\n'))
    assert names(found) == ["baseline", "shift=false"]
    (refusal,) = found.refusals
    assert refusal.name == "window=3"
    assert refusal.reason.startswith("stage 0: window 3 does not tile the 4x4 grid")
    assert refusal.same_as is None


def test_arm_that_computes_the_same_is_refused_as_an_alias(write):
    """With one window over the grid there is nothing to shift."""
    recipe = RECIPE.replace("window = 2", "window = 4")
    text = STUDY + '"model.position_bias" = ["none"]\n'
    found = planned(write(text, recipe))
    assert names(found) == ["baseline", "position_bias=none"]
    (refusal,) = found.refusals
    assert (refusal.name, refusal.same_as) == ("shift=false", "baseline")


def test_alias_of_another_arm_is_found_too(write):
    text = STUDY + '\n[[arms]]\nname = "still windows"\nchanges = { "model.shift" = false }\n'
    (refusal,) = planned(write(text)).refusals
    assert (refusal.name, refusal.same_as) == ("still windows", "shift=false")


@pytest.mark.parametrize(
    ("field", "level", "read_with"),
    [("momentum", "0.5", "train.optimizer=sgd"), ("lr_batch", "48", "train.lr_scale=sqrt"),
     ("nesterov", "true", "train.optimizer=sgd"),
     ("step_at", "[0.9]", "train.schedule=step"), ("step_factor", "0.5", "train.schedule=step")],
)  # fmt: skip
def test_field_is_no_difference_where_nothing_reads_it(write, field, level, read_with):
    text = STUDY + f'"train.{field}" = [{level}]\n'
    (refusal,) = planned(write(text)).refusals
    assert refusal.name.startswith(f"{field}=")
    assert refusal.same_as == "baseline"
    assert not planned(write(text), read_with).refusals


@pytest.mark.parametrize(
    ("field", "level", "read_with"),
    [("policy_ops", "1", "data.policy=randaugment"),
     ("policy_magnitude", "14", "data.policy=randaugment"),
     ("erase_fill", '"noise"', "data.erase=0.25"), ("mix_share", "0.5", "data.mixup=0.8"),
     ("mix_share", "0.5", "data.cutmix=1.0")],
)  # fmt: skip
def test_field_of_data_is_no_difference_where_nothing_reads_it(write, field, level, read_with):
    text = STUDY + f'"data.{field}" = [{level}]\n'
    (refusal,) = planned(write(text)).refusals
    assert refusal.same_as == "baseline"
    assert not planned(write(text), read_with).refusals


def test_magnitude_is_void_with_trivialaugment(write):
    text = STUDY + '"data.policy_magnitude" = [14]\n'
    (refusal,) = planned(write(text), "data.policy=trivialaugment").refusals
    assert refusal.same_as == "baseline"


def test_a_share_that_rounds_to_the_same_images_is_the_same_arm(write):
    text = STUDY + '"data.train_fraction" = [0.9999, 0.999]\n'
    found = planned(write(text, RECIPE.replace("limit = 128\n", "")))
    assert [(r.name, r.same_as) for r in found.refusals] == [("train_fraction=0.9999", "baseline")]


def test_a_change_that_the_images_cannot_have_is_refused(write):
    found = planned(write(STUDY + '"data.hue" = [0.1]\n"data.cutout" = [4, 9]\n'))
    assert names(found) == ["baseline", "shift=false", "cutout=4"]
    assert {r.name: r.reason for r in found.refusals} == {
        "hue=0.1": "data.hue needs colour: 3 channels, not 1; leave it out",
        "cutout=9": "data.cutout = 9 is larger than the 8x8 images; give at most 8",
    }


def test_a_smoke_run_of_pictures_needs_no_folder(write):
    recipe = RECIPE.replace(
        'name = "digits"\n',
        'name = "image_folder"\nroot = "nowhere"\n'
        "image = { height = 8, width = 8, channels = 3, classes = 2 }\n",
    )
    found = plan(smoke(load_study(write(STUDY, recipe))))
    assert found.arms[0].recipe.data.name == "noise"
    assert found.arms[0].recipe.data.root is None
    assert found.arms[0].image.channels == 3


@pytest.mark.parametrize(
    ("field", "level", "void_with"),
    [("betas", "[0.9, 0.99]", "train.optimizer=sgd"), ("eps", "1e-6", "train.optimizer=sgd"),
     ("betas", "[0.9, 0.99]", "train.optimizer=adagrad"),
     ("epochs", "7", "train.steps=9"), ("norm_fade", "0.4", "model.norm=batch")],
)  # fmt: skip
def test_field_is_void_with_another(write, field, level, void_with):
    text = STUDY + f'"train.{field}" = [{level}]\n'
    acts = ["model.norm=prepbn"] if field == "norm_fade" else []
    assert not planned(write(text), *acts).refusals
    assert [r.same_as for r in planned(write(text), void_with).refusals] == ["baseline"]


def test_arms_of_one_rate_are_one_arm_however_it_is_written(write):
    arms = """
[[arms]]
name = "half, at half the batch"
changes = { "train.lr" = 15e-4, "train.lr_batch" = 32, "train.lr_scale" = "linear" }
[[arms]]
name = "the root"
changes = { "train.lr_batch" = 16, "train.lr_scale" = "sqrt" }
"""
    found = planned(write(STUDY + arms), "train.batch=64", "train.lr=3e-3")
    assert [(r.name, r.same_as) for r in found.refusals] == [
        ("half, at half the batch", "baseline")
    ]
    assert names(found) == ["baseline", "shift=false", "the root"]


def test_batches_of_all_images_are_one_arm_whose_rate_follows_them(write):
    text = STUDY.replace("model.shift", "train.batch").replace("[false]", "[300, 500]")
    found = planned(write(text), "train.lr_scale=linear")
    assert [(r.name, r.same_as) for r in found.refusals] == [("batch=500", "batch=300")]


def test_muon_is_adamw_where_no_hidden_layer_has_a_matrix(write):
    text = STUDY.replace("model.shift", "train.optimizer").replace("[false]", '["muon", "sgd"]')
    assert not planned(write(text)).refusals
    nin = RECIPE.replace(RECIPE[: RECIPE.index("[data]")], '[model]\nfamily = "nin"\n\n')
    refusals = planned(write(text, nin)).refusals
    assert [(r.name, r.same_as) for r in refusals] == [("optimizer=muon", "baseline")]


def test_adam_with_a_decoupled_decay_is_adamw_and_without_is_another_arm(write):
    """An axis of optimizers changes the rule alone; L2 has a switch of its own."""
    text = STUDY + '"train.optimizer" = ["adam", "sgd"]\n"train.l2" = [0.05]\n'
    found = planned(write(text))
    assert [(r.name, r.same_as) for r in found.refusals] == [("optimizer=adam", "baseline")]
    assert names(found) == ["baseline", "shift=false", "optimizer=sgd", "l2=0.05"]


@pytest.mark.parametrize(
    "axis",
    ['"train.stream" = ["again"]', '"model.init" = ["trunc02"]', '"data.split_seed" = [1]',
     '"train.weight_decay" = [0.0]', '"train.epochs" = [3]', '"train.ema" = [0.9]',
     '"data.normalisation" = ["half"]', '"data.cutout" = [3]', '"data.mixup" = [0.8]',
     '"data.policy" = ["trivialaugment"]', '"train.accumulate" = [2]', '"train.matmul" = ["medium"]', '"train.precision" = ["fp16"]'],
)  # fmt: skip
def test_same_network_with_other_start_data_or_training_is_another_arm(write, axis):
    found = planned(write(STUDY + axis + "\n"))
    assert len(found.arms) == 3
    assert not found.refusals


def test_named_arm_says_what_it_changes(write, tmp_path):
    other = RECIPE.replace('"swin"', '"vit"').replace("depths = [2]", "depth = 2")
    other = other.replace("heads = [2]\nwindow = 2\n", "heads = 2\n").replace(
        "epochs = 2", "epochs = 9"
    )
    (tmp_path / "vit.toml").write_text(other)
    found = planned(write(STUDY + '\n[[arms]]\nname = "ViT"\nrecipe = "vit.toml"\n'))
    arm = found.arms[-1]
    assert arm.name == "ViT"
    assert arm.recipe.train.epochs == 2
    assert arm.changes["model.family"] == "vit"
    assert arm.differs["model.family"] == ("swin", "vit")
    assert not any(path.startswith("train.") for path in arm.differs)


def test_trials_are_seeds_outermost_and_ids_are_content(write):
    found = planned(write())
    assert [(t.seed, t.arm) for t in found.trials] == [
        (seed, arm) for seed in (0, 1, 2) for arm in ("baseline", "shift=false")
    ]
    again = planned(write())
    assert [t.id for t in found.trials] == [t.id for t in again.trials]
    assert len({t.id for t in found.trials}) == 6
    assert again.declaration == found.declaration


@pytest.mark.parametrize(
    "change",
    [("seeds = 3\n", "seeds = 4\n"), ("[axes]", "[compare]\nrope = 0.5\n\n[axes]"),
     ("[axes]", '[[hypotheses]]\narm = "shift=false"\nexpect = "worse"\n\n[axes]')],
)  # fmt: skip
def test_declaration_is_what_was_declared(write, change):
    text = STUDY.replace("baseline_seeds = 3\n", "")
    before = planned(write(text)).declaration
    assert planned(write(text, swap=change)).declaration != before
    reworded = planned(write(text, swap=("Does the shift matter?", "Does it?")))
    assert reworded.declaration == before


def test_smoke_is_another_trial_of_two_steps_on_noise(write):
    real = planned(write())
    found = plan(smoke(load_study(write(), smoke=True)))
    assert len(found.trials) == 2
    assert not {t.id for t in found.trials} & {t.id for t in real.trials}
    recipe = found.arms[0].recipe
    assert (recipe.train.steps, recipe.data.name) == (2, "noise")
    assert (recipe.data.image.height, recipe.data.image.classes) == (8, 10)


def test_a_recipe_may_be_changed_before_it_is_an_arm(write, tmp_path):
    """The model of another recipe, with its own changes; the baseline's training."""
    other = RECIPE.replace("window = 2", "window = 1").replace("epochs = 2", "epochs = 9")
    (tmp_path / "other.toml").write_text(other)
    arm = '\n[[arms]]\nname = "one"\nrecipe = "other.toml"\nchanges = { "model.norm" = "rms" }\n'
    found = planned(write(STUDY + arm)).arms[-1]
    assert found.differs == {"model.window": (2, 1), "model.norm": ("layer", "rms")}
    assert found.changes == {"model.window": 1, "model.norm": "rms"}


def test_an_arm_without_a_difference_is_refused(write):
    with pytest.raises(InputError) as error:
        planned(write(STUDY + '\n[[arms]]\nname = "one"\n'))
    assert error.value.problem == (
        "an arm has 'changes', a 'recipe', or both; this one has neither"
    )


@pytest.mark.parametrize("path", sorted(ROOT.glob("experiments/*.toml")), ids=lambda p: p.stem)
def test_every_shipped_recipe_keeps_its_claim(path):
    from swinablate.data import image_spec
    from swinablate.models.cost import size
    from swinablate.models.registry import load_family
    from swinablate.study.arms.recipes import load_claim, load_recipe

    recipe = load_recipe(path)
    family = load_family(recipe.model.family, str(path))
    found = size(family, recipe.model, image_spec(recipe.data), "params")
    assert found == load_claim(path).params


@pytest.mark.parametrize("path", sorted(ROOT.glob("experiments/*.toml")), ids=lambda p: p.stem)
def test_a_shipped_recipe_asks_for_the_format_that_was_measured_to_pay(path):
    """docs/running.md has the table; the posts' recipes are as their posts trained."""
    from swinablate.study.arms.recipes import load_recipe

    recipe = load_recipe(path)
    plain = path.stem.startswith("post") or recipe.data.name in {"digits", "shapes"}
    large = recipe.data.name == "noise"
    assert recipe.train.precision == ("fp32" if plain else "bf16" if large else "auto")


def test_a_network_of_ours_is_counted_and_looked_at_once_in_a_process(write, monkeypatch):
    built = []

    def build(config, image):
        built.append(config)
        return swin.FAMILY.build(config, image)

    family = replace(swin.FAMILY, build=build)
    for module in ("equality", "planner"):
        monkeypatch.setattr(f"swinablate.study.{module}.load_family", lambda *_: family)
    study = load_study(write(STUDY.replace('"model.shift" = [false]', '"train.batch" = [8, 16]')))
    one, two = plan(study), plan(study)
    assert len(built) == 2  # once each
    assert len({arm.params for arm in one.arms}) == 1
    assert two == one


def test_somebody_elses_network_is_looked_at_in_every_plan(write, tmp_path, monkeypatch):
    """It may read what has changed since."""
    (tmp_path / "grows.py").write_text(
        "from torch import nn\n\n"
        "class Net(nn.Sequential):\n"
        "    width = 0\n\n"
        "    def __init__(self, num_classes: int) -> None:\n"
        "        super().__init__(nn.Flatten(), nn.Linear(64, num_classes))\n"
        "        self[1].more = nn.Parameter(self[1].bias.detach().new_zeros(1 + Net.width))\n"
    )
    _, _, rest = RECIPE.partition("[data]")
    base = f'[model]\nfamily = "grows:Net"\n\n[data]{rest}'
    study = load_study(write(STUDY.replace('"model.shift" = [false]', '"train.lr" = [0.5]'), base))
    before = plan(study).arms[0].params
    monkeypatch.setattr(sys.modules["grows"].Net, "width", 7)
    assert plan(study).arms[0].params == before + 7
    monkeypatch.delitem(sys.modules, "grows")


def test_patches_and_windows_of_the_fashion_swin_can_be_compared(tmp_path):
    """Its grids of 14 and 7 tokens: what does not tile them is padded, and nothing is refused."""
    study = tmp_path / "sides.toml"
    study.write_text(
        f'question = "?"\nbaseline = "{ROOT / "experiments" / "swin_fashion.toml"}"\nseeds = 2\n'
        '[axes]\n"model.patch" = [4, 5]\n"model.window" = [2, 4, [[7, 2], [7, 4]]]\n'
    )
    found = planned(study)
    assert found.refusals == ()
    assert [arm.proof.outside for arm in found.arms if arm.proof] == [()] * 5  # padding too
    grids = {arm.name: [(row["grid"], row["pad"]) for row in arm.geometry] for arm in found.arms}
    assert grids == {
        "baseline": [((14, 14), (0, 0)), ((7, 7), (0, 0))],
        "patch=4": [((7, 7), (0, 0)), ((4, 4), (0, 0))],
        "patch=5": [((6, 6), (0, 0)), ((3, 3), (0, 0))],
        "window=2": [((14, 14), (0, 0)), ((7, 7), (1, 1))],
        "window=4": [((14, 14), (2, 2)), ((7, 7), (1, 1))],
        "window=((7,2),(7,4))": [((14, 14), (0, 0)), ((7, 7), (0, 1))],
    }
    assert found.arms[1].macs < found.arms[0].macs
