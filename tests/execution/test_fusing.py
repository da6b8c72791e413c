"""Which trials train as one, and how far that is from training alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from swinablate.cli.app import main
from swinablate.config.recipe import Recipe
from swinablate.errors import EnvironmentFault, InputError
from swinablate.execution import fusing
from swinablate.execution.fusing import GAIN, Width, Work, group, mates, memory, width, work, worth
from swinablate.study.arms.recipes import load_recipe
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from swinablate.training.fused.verify import Verification, verify
from tests.conftest import RECIPE, STUDY

RECIPES = Path(__file__).parents[2] / "experiments"


@pytest.fixture
def arms(write):
    def made(axes="", recipe=RECIPE):
        return {arm.name: arm for arm in plan(load_study(write(STUDY + axes, recipe))).arms}

    return made


def trials(arms):
    found = plan_of(arms)
    return {name: [t for t in found if t.arm == name] for name in arms}


def plan_of(arms):
    from swinablate.study.plan import Trial

    return [Trial(arm=a.name, recipe=a.recipe, seed=s) for a in arms.values() for s in a.seeds]


def test_nothing_is_fused_on_a_cpu_unless_it_is_asked_for(arms):
    base = arms()["baseline"]
    assert width(base, None, "cpu") == Width(1)
    assert width(base, 8, "cpu") == Width(8)
    assert width(base, 1, "cuda:0") == Width(1)


def test_what_trains_alone_says_why(arms):
    base = arms(recipe=RECIPE + "ema = 0.9\n")["baseline"]
    assert width(base, 8, "cpu") == Width(1, "train.ema trains alone only")


@pytest.mark.parametrize(
    ("field", "chosen", "why"),
    [
        ("compile", True, "train.compile trains alone only"),
        ("compile", False, ""),
        ("precision", "fp16", "train.precision = fp16 trains alone only"),
        ("precision", "bf16", ""),
    ],
)
def test_what_auto_became_says_whether_trials_train_as_one(arms, field, chosen, why):
    """A worker would find out, and train the batch one by one while other GPUs have nothing."""
    base = arms(recipe=RECIPE + f'{field} = "auto"\n')["baseline"]
    choices = {"old": {}, "new": {field: chosen}}
    assert width(base, 8, "cpu", choices) == (Width(1, why) if why else Width(8))


def test_small_networks_are_worth_fusing_and_large_ones_are_not(arms):
    """Calls against traffic; a batch 64 times as large has 64 times the traffic."""
    base = arms()["baseline"]
    assert worth(base, float("inf")) == Width(32, least=2)
    large = replace(base, activation_bytes=50_000_000)
    assert worth(large, float("inf")) == Width(1)
    each = 2 * base.activation_bytes * 32 + 24 * base.params
    assert worth(base, 3.5 * each) == Width(3, least=2)
    assert worth(base, 1.5 * each) == Width(1)


MEASURED = {
    "swin_digits": (85, False, 11.8, {2: 0.95, 5: 1.85, 16: 3.87}),
    "vit_digits": (47, False, 5.7, {2: 1.46, 5: 3.0, 16: 6.87}),
    "resnet_digits": (28, True, 1.5, {2: 1.16, 5: 2.41, 16: 4.03}),
    "densenet_digits": (76, True, 8.4, {2: 0.95, 5: 1.94, 16: 3.26}),
    "post002_digits": (42, False, 4.8, {2: 1.22, 5: 2.7, 16: 5.86}),
    "swin_fashion": (74, False, 112.2, {2: 0.66, 5: 1.08, 16: 1.64}),
    "vit_fashion": (75, False, 60.2, {2: 0.83, 5: 1.46, 16: 2.21}),
    "resnet20_fashion": (70, True, 74.1, {2: 0.71, 5: 1.09, 16: 1.8}),
    "googlenet_fashion": (148, True, 402.0, {2: 0.43, 5: 0.5, 16: 0.58}),
    "swin_table4_fashion": (74, False, 79.0, {2: 0.59, 5: 1.06, 16: 1.92}),
    "post000_cifar10": (113, False, 20.1, {2: 1.08, 5: 2.21, 16: 4.22}),
    "resnet20_cifar10": (70, True, 194.5, {2: 0.47, 5: 0.7, 16: 1.09}),
}
"""Recipe -> calls, convolutions, megabytes, and seeds -> how many times as fast as one, an H200."""


@pytest.mark.parametrize("name", MEASURED)
def test_what_is_chosen_never_lost_time_where_it_was_measured(name):
    calls, convolved, megabytes, gains = MEASURED[name]
    done = Work(calls, convolved, megabytes)
    for trials, gain in gains.items():
        if done.gain(trials) >= GAIN:
            assert gain > 1
        elif trials >= 5:  # and little is left: two as one gain at most a half, and seldom
            assert gain < 2
    assert done.gain(1) < 1  # `torch.vmap` over one makes kernels and saves none


def test_calls_that_compute_are_counted_and_views_are_not(arms):
    """One block more without shift: two norms, four linear maps, attention, GELU, two sums."""
    found = arms('"model.depths" = [[1], [3]]\n')
    one, three = (work(found[name], 1.0).calls for name in ("depths=(1)", "depths=(3)"))
    assert 2 * 10 <= three - one <= 2 * 30  # two blocks of ten calls and window plumbing


@pytest.mark.parametrize(("name", "convolved"), [("resnet_digits", True), ("vit_digits", False)])
def test_convolutions_are_seen(write, name, convolved):
    recipe = (RECIPES / f"{name}.toml").read_text("utf-8")
    study = STUDY.partition("[axes]")[0] + '[axes]\n"train.clip" = [1.0]\n'
    base = plan(load_study(write(study, recipe))).arms[0]
    assert work(base, 1.0).convolved is convolved
    calls, _, _, _ = MEASURED[name]
    assert work(base, 1.0).calls == calls  # as on the day when they were timed


def test_seeds_rates_and_decays_share_a_group_and_nothing_else(arms):
    found = trials(
        arms('"train.lr" = [1e-2]\n"train.weight_decay" = [0.0]\n"train.clip" = [1.0]\n')
    )
    key = {name: {group(t) for t in some} for name, some in found.items()}
    assert key["baseline"] == key["lr=0.01"] == key["weight_decay=0.0"]
    assert len(key["baseline"]) == 1
    assert not key["baseline"] & (key["clip=1.0"] | key["shift=false"])
    tuning = replace(found["baseline"][0], kind="tune")
    assert group(tuning) not in key["baseline"]


@pytest.mark.parametrize(
    ("count", "most", "least", "sizes"),
    [
        (9, 8, 1, [5, 4]),
        (3, 8, 3, [3]),
        (8, 4, 1, [4, 4]),
        (7, 3, 1, [3, 2, 2]),
        (4, 8, 5, [1, 1, 1, 1]),
        (9, 8, 5, [5, 1, 1, 1, 1]),
    ],
)
def test_batches_are_of_nearly_equal_size(arms, count, most, least, sizes):
    first = trials(arms())["baseline"][0]
    waiting = [replace(first, seed=seed) for seed in range(count)]
    found = []
    while waiting:
        chosen = mates(waiting[0], waiting[1:], most, least)
        found.append(len(chosen))
        waiting = [t for t in waiting if t not in chosen]
    assert found == sizes


def test_another_process_asks_for_a_gpus_memory(monkeypatch):
    """No context here; and it asks for the GPU that the worker will see."""
    memory.cache_clear()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    ask = "import os; print(4000, 1000 * int(os.environ['CUDA_VISIBLE_DEVICES']))"
    monkeypatch.setattr(fusing, "ASK", ask)
    assert memory("cuda:1") == 0.5 * 7000
    assert memory("cpu") == float("inf")
    monkeypatch.setattr(fusing, "ASK", "raise SystemExit('no driver')")
    assert (
        memory("cuda:1") == 0.5 * 7000
    )  # it is asked once: that takes as long as to import torch
    with pytest.raises(EnvironmentFault) as fault:
        memory("cuda:0")
    assert str(fault.value) == (
        "the memory of cuda:0 is not known: no driver\n\nhint: --fuse 8 needs not know it"
    )


def test_of_a_gpu_that_others_use_a_batch_takes_what_they_leave(monkeypatch):
    memory.cache_clear()
    monkeypatch.setattr(fusing, "ASK", "print(3000, 7000)")
    assert memory("cuda:0") == 3000
    memory.cache_clear()


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("batch = 32", "batch = 8"))
    return load_recipe(tmp_path / "recipe.toml")


def test_fused_runs_are_as_close_as_rounding(recipe: Recipe):
    found = verify(recipe, replicas=2, steps=6, device="cpu")
    assert found.ok
    assert 0 < found.floor < 1e-5
    assert found.to_json()["ratio"] == found.fused / found.floor


def test_runs_that_differ_more_are_refused(recipe, monkeypatch):
    """A replica that takes another's rate."""
    from swinablate.training.fused import stack

    kept = stack.Stack.step
    monkeypatch.setattr(stack.Stack, "step", lambda self, rate: kept(self, rate / 2))
    found = verify(recipe, replicas=2, steps=6, device="cpu")
    assert not found.ok
    assert isinstance(found, Verification)


def test_what_is_not_fused_cannot_be_verified(recipe):
    train = recipe.train.model_copy(update={"ema": 0.9})
    with pytest.raises(
        InputError, match=r"this recipe is not fused: train\.ema trains alone only"
    ):
        verify(recipe.model_copy(update={"train": train}), replicas=2, steps=1, device="cpu")


def test_the_option_takes_auto_off_or_a_number(write, capsys):
    assert main(["run", str(write(STUDY)), "--fuse", "many"]) == 2
    assert capsys.readouterr().err == (
        "error: --fuse: expected auto, off or a number, got 'many'\n\n"
        "hint: --fuse 8 trains up to 8 seeds of an arm as one graph\n"
    )
