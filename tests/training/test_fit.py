"""One run: schedule, decay, determinism, exact resume, hygiene."""

import math
import mmap
import weakref
from pathlib import Path
from unittest.mock import patch

import jaxtyping
import pytest
import torch
from torch import nn

from swinablate.config import recipe
from swinablate.config.data import DataConfig
from swinablate.config.recipe import Recipe, StartConfig
from swinablate.config.train import TrainConfig
from swinablate.data import batches, image_spec, rng, splits
from swinablate.errors import Diverged
from swinablate.models.layers.mlp import Hidden, Mlp
from swinablate.models.registry import load_family
from swinablate.records.events import Job
from swinablate.training import checkpoint, fit, machine, optim
from swinablate.training.precision import Compiled, as_run, settle
from swinablate.training.ranks import Ranks
from swinablate.training.step import make_learner

SWIN = {"patch": 2, "width": 8, "depths": (2,), "heads": (2,), "window": 2}


def make_job(
    datasets, folder: Path, *, kind="final", resume=(), seed=0, data=None, start=None, **changes
) -> Job:
    config = DataConfig(name="digits", **({"limit": 96} | (data or {})))
    recipe = Recipe(
        model=load_family("swin", "").config(**(SWIN | changes.pop("model", {}))),
        data=config,
        train=TrainConfig(**({"epochs": 3, "batch": 16} | changes)),
        start=start or StartConfig(),
    )
    folder.mkdir(parents=True, exist_ok=True)
    return Job(
        trial="t", attempt=1, recipe=recipe.model_dump(mode="json"),
        image=image_spec(config).model_dump(mode="json"), seed=seed, kind=kind,
        folder=str(folder), resume=resume, data=str(datasets), checkpoint_s=0.0,
    )  # fmt: skip


def run(job: Job, stop_after: int | None = None):
    """Train; returns the result and the epoch rows without times. Stops after so many steps.

    The last checkpoint stays whole, so that every part of it can be compared.
    """
    rows, asked = [], 0

    def report(kind, data):
        if kind == "epoch":
            rows.append({k: v for k, v in data.items() if not k.startswith(("time", "mem", "at"))})

    def stopping():
        nonlocal asked
        asked += 1
        return stop_after is not None and asked > stop_after

    with patch.object(checkpoint, "finish"):
        return fit.fit(job, report, stopping), rows


def test_cosine_schedule_rises_over_the_warmup_and_ends_near_zero():
    config = TrainConfig(warmup=0.1)
    rates = [optim.rate(config, step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.5 * (1 + math.cos(math.pi * 89 / 90)))
    assert optim.rate(TrainConfig(schedule="constant", warmup=0.0), 99, 100) == 1.0


def test_decay_spares_norms_biases_and_tables():
    family = load_family("swin", "")
    model = family.build(family.config(**SWIN), image_spec(DataConfig(name="digits")))
    decayed, free = optim.make_optimizer(model, TrainConfig()).param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    assert decayed["weight_decay"] == 0.05
    assert free["weight_decay"] == 0.0
    assert {names[id(p)].rpartition(".")[2] for p in decayed["params"]} == {"weight"}
    assert any(names[id(p)].endswith("table") for p in free["params"])
    assert len(decayed["params"]) + len(free["params"]) == len(names)


def test_same_seed_same_bits_and_another_seed_others(datasets, tmp_path):
    first, rows = run(make_job(datasets, tmp_path / "a"))
    again, rows_again = run(make_job(datasets, tmp_path / "b"))
    _, rows_other = run(make_job(datasets, tmp_path / "c", seed=1))
    assert rows == rows_again
    assert first["predictions"] == again["predictions"]
    assert rows_other[0]["train/loss"] != rows[0]["train/loss"]


class Along(Ranks):
    """The second of two processes, whose first one is not there."""

    def wrap(self, model):
        return model

    def total(self, loss):
        return loss

    def agree(self, model):
        pass

    def wait(self):
        pass


def test_a_process_that_trains_along_leaves_it_to_the_first_to_say_that_a_loss_is_no_number(
    datasets, tmp_path
):
    """On GPUs each would see it by a clock of its own, and leave the others waiting for it."""
    job = make_job(datasets, tmp_path, lr=1e30, clip=0.0, world=2)
    assert fit.fit(job, lambda *_: None, lambda: False, Along(1, 2)) == {}
    with pytest.raises(Diverged):
        fit.fit(job, lambda *_: None, lambda: False, Along(0, 2))


def test_a_run_that_goes_on_does_not_hold_its_weights_twice(datasets, tmp_path, monkeypatch):
    with pytest.raises(fit.Stopped):
        run(make_job(datasets, tmp_path / "1"), stop_after=7)
    real, seen = checkpoint.load_checkpoint, []

    def load(*args):
        saved = real(*args)
        seen.extend(weakref.ref(value) for value in saved["model"].values())
        return saved

    monkeypatch.setattr(checkpoint, "load_checkpoint", load)
    there = []

    def stopping():
        there.append(sum(one() is not None for one in seen))
        return False

    fit.fit(
        make_job(datasets, tmp_path / "2", resume=(str(tmp_path / "1"),)),
        lambda *_: None,
        stopping,
    )
    assert seen
    assert set(there) == {0}


EVERYTHING = {
    "data": {"augment": "flip_crop", "crop_margin": 4},
    "model": {"norm": "batch", "drop_path": 0.3},
    "select": "best_val", "ema": 0.8, "accumulate": 2, "precision": "fp16", "lr": 0.01,
    "schedule": "one_cycle", "seed": 1,
}  # fmt: skip


def same(folder: Path, other: Path, results) -> bool:
    """Whether two runs ended in the same bits, in every part of their checkpoints."""
    a, b = (checkpoint.load_checkpoint([path], torch.device("cpu")) for path in (folder, other))
    for state in (a, b):
        for row in state["progress"]["curve"]:
            for key in [key for key in row if key.startswith(("time", "mem", "at"))]:
                del row[key]
    return equal(a, b) and results[0]["predictions"] == results[1]["predictions"]


def equal(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    return a == b


@pytest.fixture(scope="module")
def calm(datasets, tmp_path_factory):
    """Trains without a stop, each recipe once: its folder, its result and its rows."""
    root, known = tmp_path_factory.mktemp("calm"), {}

    def trained(**changes):
        folder = root / str(len(known))
        if str(changes) not in known:
            known[str(changes)] = folder, *run(make_job(datasets, folder, **changes))
        return known[str(changes)]

    return trained


RECIPES = {
    "plain": {},
    "sgd": {"optimizer": "sgd", "nesterov": True, "lr": 0.05, "schedule": "step", "accumulate": 3},
    "best": {"select": "best_val", "precision": "bf16"},
    "everything": EVERYTHING,
    "muon": {"optimizer": "muon", "precision": "fp16"},
    "rmsprop": {"optimizer": "rmsprop"},
    "adagrad": {"optimizer": "adagrad", "lr": 0.03},
}
EVERYWHERE = ("plain", "everything")
"""Stopped at every place; the others in the second epoch, where all that they keep is in use. At
the other two, which are of the loop and not of the recipe, `just full` stops them."""


@pytest.mark.parametrize(
    ("steps", "changes"),
    [
        pytest.param(
            steps,
            changes,
            id=f"{steps}-{name}",
            marks=[pytest.mark.slow] * (steps != 7 and name not in EVERYWHERE),
        )
        for steps in (1, 7, 12)
        for name, changes in RECIPES.items()
    ],
)
def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    datasets, tmp_path, calm, steps, changes
):
    """6 steps an epoch: the stops are in the first epoch, in the second, and at its start."""
    changes = {"data": {"augment": "flip_crop"}} | changes
    folder, whole, rows = calm(**changes)
    with pytest.raises(fit.Stopped):
        run(make_job(datasets, tmp_path / "1", **changes), stop_after=steps)
    resume = (str(tmp_path / "1"),)
    resumed, rest = run(make_job(datasets, tmp_path / "2", resume=resume, **changes))
    assert rest == rows[steps // 6 :]
    assert same(folder, tmp_path / "2", (whole, resumed))


def test_processor_time_is_recorded_and_adds_up_over_a_stop(datasets, tmp_path):
    """The clocks are the test's own: a step takes 3 s on the wall, 2 s on a processor."""
    now = {"wall": 0.0, "cpu": 0.0}
    real = fit.of_step

    def takes(*words):
        now["wall"], now["cpu"] = now["wall"] + 3.0, now["cpu"] + 2.0
        return real(*words)

    with (
        patch.object(fit, "of_step", takes),
        patch.object(fit.time, "perf_counter", lambda: now["wall"]),
        patch.object(fit.time, "process_time", lambda: now["cpu"]),
    ):
        with pytest.raises(fit.Stopped):
            run(make_job(datasets, tmp_path / "1"), stop_after=8)
        now["cpu"] += 500.0  # what the worker does between trials is no trial's
        found, _ = run(make_job(datasets, tmp_path / "2", resume=(str(tmp_path / "1"),)))
    assert found["metrics"]["time/train_s"] == 3.0 * 18  # 6 steps an epoch
    assert found["metrics"]["time/cpu_s"] == 2.0 * 18


def test_an_epoch_that_an_earlier_version_began_has_no_processor_time():
    state = {"epoch": 1, "step": 2, "loss": torch.zeros(()), "curve": [], "best": {}}
    begun = fit.Progress.saved({**state, "seconds": 4.0})
    assert "time/cpu_s" not in begun.end_epoch(1.0, 50.0, 8, 1.0)
    begun.seconds, begun.cpu_seconds = 3.0, 2.0  # the next is counted whole
    assert begun.end_epoch(1.0, 50.0, 8, 1.0)["time/cpu_s"] == 2.0


@pytest.fixture(scope="module")
def interrupted(datasets, tmp_path_factory):
    """A run with every feature that has a state, calm; and one stopped in its second epoch."""
    root = tmp_path_factory.mktemp("interrupted")
    calm, rows = run(make_job(datasets, root / "calm", **EVERYTHING))
    assert rows[0]["val/accuracy"] > max(row["val/accuracy"] for row in rows[1:])  # needs "best"
    for name, steps in (("start", 0), ("stopped", 8)):
        with pytest.raises(fit.Stopped):
            run(make_job(datasets, root / name, **EVERYTHING), stop_after=steps)
    return root, calm


STATES = [("model",), ("optimizer",), ("ema",), ("scaler",)]
STATES += [("progress", part) for part in ("epoch", "step", "loss", "curve", "best")]


@pytest.mark.parametrize("lost", [None, *STATES], ids=str)
def test_resume_needs_every_state(datasets, tmp_path, monkeypatch, interrupted, lost):
    """With each of them put back to the run's start in turn, the resumed run is another."""
    root, calm = interrupted
    fresh = checkpoint.load_checkpoint([root / "start"], torch.device("cpu"))
    real = checkpoint.load_checkpoint

    def load(folders, device):
        state = real(folders, device)
        if lost:
            *path, last = lost
            at, start = (state, fresh) if not path else (state[path[0]], fresh[path[0]])
            assert not equal(at[last], start[last]), "nothing to lose: the test shows nothing"
            at[last] = start[last]
        return state

    with monkeypatch.context() as changed:
        changed.setattr(fit.checkpoint, "load_checkpoint", load)
        job = make_job(datasets, tmp_path / "2", resume=(str(root / "stopped"),), **EVERYTHING)
        resumed, _ = run(job)
    assert same(tmp_path / "2", root / "calm", (resumed, calm)) is (lost is None)


def test_last_partial_batch_is_dropped_and_steps_end_a_run(datasets, tmp_path):
    result, rows = run(make_job(datasets, tmp_path, batch=40, steps=5, epochs=99))
    assert len(rows) == 3  # 2 steps an epoch: 2 + 2 + 1
    assert result["metrics"]["epochs"] == 3


def test_the_rate_is_that_of_the_batch_that_trains(datasets, tmp_path):
    few = {"limit": 24}
    rows = [
        run(make_job(datasets, tmp_path / str(n), data=few, batch=n, lr_scale=scale, lr_batch=12))[
            1
        ]
        for n, scale in ((96, "linear"), (24, "linear"), (96, "none"))
    ]
    assert rows[0] == rows[1] != rows[2]


def test_a_rate_follows_no_batch_that_images_read_late_do_not_fill(
    datasets, tmp_path, monkeypatch
):
    job = make_job(datasets, tmp_path, data={"limit": 24}, batch=96, lr_scale="linear")
    monkeypatch.setattr(fit, "acting", lambda recipe: recipe.train)  # as of a folder of pictures
    with pytest.raises(ValueError, match=r"larger than the 24 training images, .*= 24$"):
        run(job)


def test_tuning_trials_never_see_the_test_images(datasets, tmp_path, monkeypatch):
    seen = []
    for name in ("correct", "answers"):
        real = getattr(fit, name)
        monkeypatch.setattr(
            fit,
            name,
            lambda m, images, *a, real=real: (seen.append(images), real(m, images, *a))[1],
        )
    tuned, _ = run(make_job(datasets, tmp_path / "tune", kind="tune"))
    assert "test/accuracy" not in tuned["metrics"]
    assert tuned["predictions"] == {}
    test = fit.load_splits(
        DataConfig(name="digits", limit=96), datasets, 0, "main", torch.device("cpu")
    ).test
    assert not any(images.pixels.shape == test.pixels.shape for images in seen)
    seen.clear()
    run(make_job(datasets, tmp_path / "final"))
    assert sum(images.pixels.shape == test.pixels.shape for images in seen) == 1


def test_infinite_loss_ends_the_run(datasets, tmp_path):
    with pytest.raises(Diverged, match=r"the loss of step \d+ in epoch 1 is (nan|inf)"):
        run(make_job(datasets, tmp_path, optimizer="sgd", lr=1e30, clip=0.0))


def test_best_validation_epoch_is_the_one_tested(datasets, tmp_path):
    result, rows = run(make_job(datasets, tmp_path, select="best_val", epochs=4, lr=0.03))
    assert result["metrics"]["val/accuracy"] == max(row["val/accuracy"] for row in rows)


@pytest.mark.parametrize("changes", [{}, {"optimizer": "sgd", "lr": 0.3, "clip": 1.0}], ids=str)
@pytest.mark.parametrize("half", ["bf16", "fp16"])
def test_half_precision_trains_and_is_no_fp32(datasets, tmp_path, half, changes):
    """With SGD a step is as long as the clipped gradient: one clipped while scaled is none."""
    _, exact = run(make_job(datasets, tmp_path / "a", **changes))
    _, rough = run(make_job(datasets, tmp_path / "b", precision=half, **changes))
    for row, other in zip(exact, rough, strict=True):
        assert other["train/loss"] != row["train/loss"]
        assert other["train/loss"] == pytest.approx(row["train/loss"], rel=0.01)


@pytest.mark.parametrize(
    "changes",
    [{"data": {"augment": "flip_crop"}, "label_smoothing": 0.1},
     {"optimizer": "sgd", "lr": 0.05, "clip": 0.1}],
)  # fmt: skip
def test_parts_of_a_batch_train_like_the_whole(datasets, tmp_path, changes):
    """16 images in 3 parts are 6, 5 and 5: a mean of means would not be the batch's mean."""
    _, rows = run(make_job(datasets, tmp_path / "a", **changes))
    _, in_parts = run(make_job(datasets, tmp_path / "b", accumulate=3, **changes))
    for row, other in zip(rows, in_parts, strict=True):
        assert other["train/loss"] == pytest.approx(row["train/loss"], rel=1e-5)


def test_parts_keep_the_batchs_gradient_to_rounding():
    x, y = torch.randn(7, 3, 1, 1), torch.randint(4, (7,))
    config, cpu = TrainConfig(label_smoothing=0.1, clip=0.0), torch.device("cpu")
    found = []
    for parts in (1, 2, 3, 7, 99):
        torch.manual_seed(0)
        linear = torch.nn.Linear(3, 4)
        parted = config.model_copy(update={"accumulate": parts})
        model = torch.nn.Sequential(torch.nn.Flatten(), linear)
        loss = make_learner(model, parted, cpu).step(x, y)
        found.append(torch.cat([loss[None], linear.weight.grad.flatten(), linear.bias.grad]))
    for other in found[1:]:
        assert torch.allclose(found[0], other, atol=1e-6)


def test_on_a_cpu_the_hidden_numbers_of_small_images_are_kept():
    net, other = (Mlp(4, Hidden(2.0, "layer")) for _ in range(2))
    learner = make_learner(nn.Sequential(net), TrainConfig(), torch.device("cpu"))
    assert (net.keeps_few, other.keeps_few) == (True, False)  # not by itself: memory is counted
    assert learner.gradients.parameters == tuple(net.parameters())


def test_averaged_weights_are_the_ones_judged(datasets, tmp_path):
    learns = {"epochs": 6, "lr": 0.02}  # to 30 %, where the average is still at chance
    _, rows = run(make_job(datasets, tmp_path / "a", **learns))
    job = make_job(datasets, tmp_path / "b", ema=0.99, **learns)
    result, other = run(job)
    assert [row["train/loss"] for row in rows] == [row["train/loss"] for row in other]
    state = checkpoint.load_checkpoint([tmp_path / "b"], torch.device("cpu"))
    weights = {name.removeprefix("module."): value for name, value in state["ema"].items()}
    assert weights.pop("n_averaged") == 36
    test = fit.load_splits(
        DataConfig(name="digits", limit=96), datasets, 0, "main", torch.device("cpu")
    ).test
    model = fit.build(*fit.read_job(job), 0)
    right = []
    for judged in (state["model"], weights):
        model.load_state_dict(judged)
        right.append(100 * fit.correct(model, test, TrainConfig()).float().mean().item())
    assert result["metrics"]["test/accuracy"] == right[1] != right[0]


@pytest.mark.parametrize("matmul", ["medium", "high"])
def test_precision_of_products_is_set_for_the_trial_alone(datasets, tmp_path, matmul):
    told, _ = run(make_job(datasets, tmp_path / "a", matmul=matmul, epochs=1))
    assert torch.get_float32_matmul_precision() == matmul
    assert told["execution"]["matmul"] == matmul
    plain, _ = run(make_job(datasets, tmp_path / "b", epochs=1))
    assert torch.get_float32_matmul_precision() == "highest"
    assert plain["execution"].keys() == {
        "device", "type", "precision", "threads", "fused", "torch", "python",
    }  # fmt: skip


def test_channels_last_lays_kernels_out_and_changes_rounding_at_most(datasets, tmp_path):
    told, rows = run(make_job(datasets, tmp_path / "a", channels_last=True, epochs=1))
    _, plain = run(make_job(datasets, tmp_path / "b", epochs=1))
    assert rows[0]["train/loss"] == pytest.approx(plain[0]["train/loss"], rel=1e-4)
    assert told["execution"]["channels_last"] is True


@pytest.fixture
def unchecked():
    """Shapes are not checked: the compiler would compile the checks as well."""
    jaxtyping.config.update("jaxtyping_disable", value=True)
    yield
    jaxtyping.config.update("jaxtyping_disable", value=False)


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a graph takes minutes on a busy machine
@pytest.mark.usefixtures("unchecked")
def test_compiled_run_trains_like_an_eager_one(datasets, tmp_path):
    small = {"model": {"depths": (1,)}, "ema": 0.9}
    told, rows = run(make_job(datasets, tmp_path / "a", compile=True, epochs=2, **small))
    _, plain = run(make_job(datasets, tmp_path / "b", epochs=2, **small))
    for row, other in zip(rows, plain, strict=True):
        assert row["train/loss"] == pytest.approx(other["train/loss"], rel=1e-4)
    assert told["execution"]["compile"] is True
    names = checkpoint.load_checkpoint([tmp_path / "b"], torch.device("cpu"))["model"].keys()
    assert (
        checkpoint.load_checkpoint([tmp_path / "a"], torch.device("cpu"))["model"].keys() == names
    )


@pytest.fixture
def graphs(monkeypatch):
    """In place of inductor, which takes minutes: what was compiled, and each time it ran."""
    seen = []

    def backend(graph, example):
        seen.append("compiled")

        def call(*inputs):
            seen.append("ran")
            return graph.forward(*inputs)

        return call

    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model, mode: real(model, backend=backend))
    return seen


@pytest.mark.usefixtures("unchecked")
def test_the_twelfth_arm_of_a_worker_is_compiled_as_the_first(datasets, tmp_path, graphs):
    """Torch compiles the code that the arms of a family share eight times in a process."""
    for arm in range(12):
        graphs.clear()
        model = {"width": 4 * (arm + 1), "depths": (1,)}
        told, _ = run(make_job(datasets, tmp_path / str(arm), compile=True, epochs=1, model=model))
        assert (graphs.count("compiled"), graphs.count("ran")) == (1, 6)
        assert told["execution"]["compile"] is True


@pytest.mark.usefixtures("unchecked")
def test_parts_of_a_batch_may_have_two_sizes_when_compiled(datasets, tmp_path, graphs):
    model = {"depths": (1,)}
    uneven = {"compile": True, "accumulate": 3, "epochs": 2, "model": model}
    run(make_job(datasets, tmp_path / "a", **uneven))
    assert (graphs.count("compiled"), graphs.count("ran")) == (2, 3 * 12)


def test_what_was_not_compiled_is_not_recorded_as_compiled(datasets, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda model, mode: model)  # as TORCHDYNAMO_DISABLE=1
    told, rows = run(make_job(datasets, tmp_path / "a", compile=True, epochs=1))
    plain, same = run(make_job(datasets, tmp_path / "b", epochs=1))
    assert told["execution"] == plain["execution"]
    assert rows == same


class Restless(nn.Module):
    """Compiled anew for every pass: the number of the pass is part of its code."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.notes = []

    def forward(self, x):
        self.notes = [*self.notes, str(len(self.notes))]
        return x * self.weight


def test_a_network_that_is_compiled_at_every_step_fails_and_says_so(graphs):
    called = Compiled(Restless(), TrainConfig(compile=True), torch.device("cpu"))
    for _ in range(3):
        called(torch.ones(1))
    with pytest.raises(RuntimeError, match=r"^train\.compile: after 3 steps .*compile = false\. "):
        called(torch.ones(1))
    assert as_run(TrainConfig(compile=True), called).compile is True


def test_a_run_that_was_compiled_in_part_is_no_run(monkeypatch):
    whole = iter([False, True, True])
    monkeypatch.setattr(
        torch, "compile", lambda model, mode: lambda x: model(x) if next(whole) else x
    )
    called = Compiled(nn.Identity(), TrainConfig(compile=True), torch.device("cpu"))
    for _ in range(3):
        called(torch.ones(1))
    with pytest.raises(RuntimeError, match="2 of 3 passes were not compiled"):
        as_run(TrainConfig(compile=True), called)


def test_convolutions_round_to_tf32_where_products_do():
    for matmul, rounds in (("highest", False), ("high", True), ("highest", False)):
        settle(TrainConfig(matmul=matmul))
        assert torch.backends.cudnn.allow_tf32 is rounds


def test_a_gpus_record_says_what_rounds_to_tf32(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "H100")
    told = []
    for matmul in ("highest", "high"):
        settle(TrainConfig(matmul=matmul))
        told.append(machine.execution(TrainConfig(matmul=matmul), torch.device("cuda:0"))["tf32"])
    settle(TrainConfig())
    torch.backends.cudnn.allow_tf32 = True  # somebody's network set it
    told.append(machine.execution(TrainConfig(), torch.device("cuda:0"))["tf32"])
    assert told == ["nothing", "products and convolutions", "convolutions"]


def test_correct_bits_and_accuracy_agree(datasets, tmp_path):
    import base64

    import numpy as np

    result, _ = run(make_job(datasets, tmp_path))
    found = result["predictions"]
    bits = np.unpackbits(np.frombuffer(base64.b64decode(found["correct"]), dtype=np.uint8))
    assert found["images"] == 96
    assert 100 * bits[:96].mean() == pytest.approx(result["metrics"]["test/accuracy"], abs=1e-4)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux counts afresh")
def test_peak_memory_is_the_trials_own():
    device = torch.device("cpu")
    # Pages of its own, which the system gets back: a tensor may come from a hole in the heap
    # that other tests of this process left, and then nothing rises or falls.
    with mmap.mmap(-1, 2**28) as large:  # 256 MiB
        for page in range(0, len(large), mmap.PAGESIZE):
            large[page] = 1
        before = machine.peak_mib(device)
    machine.forget_peak(device)
    assert machine.peak_mib(device) < before - 200


def test_a_gpu_is_woken_before_its_memory_is_counted_afresh(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "current_device", lambda: asked.append("woken"))
    monkeypatch.setattr(
        torch.cuda, "reset_peak_memory_stats", lambda device: asked.append(str(device))
    )
    machine.forget_peak(torch.device("cuda:0"))
    assert asked == ["woken", "cuda:0"]


RANDOM = {
    "augment": "flip_crop", "policy": "randaugment", "brightness": 0.4, "contrast": 0.4,
    "cutout": 2, "erase": 0.5, "erase_fill": "noise", "mixup": 0.8, "cutmix": 1.0,
    "flip_vertical": 0.5, "rotate": 20.0, "blur": 0.8, "balanced": True,
}  # fmt: skip


ENLARGED = {"augment": "flip", "resized_crop": 0.08}


@pytest.mark.parametrize("ahead", [False, True], ids=["in memory", "read ahead"])
@pytest.mark.parametrize("moves", [{}, ENLARGED], ids=["shifted", "enlarged"])
def test_a_run_with_every_random_change_resumes_bit_for_bit(
    datasets, tmp_path, calm, moves, ahead
):
    """Soft targets with smoothing and parts of batches; and images that a thread reads ahead."""
    words = {"data": RANDOM | moves, "label_smoothing": 0.1, "accumulate": 2}
    folder, whole, rows = calm(**words)
    assert all(math.isfinite(row["train/loss"]) for row in rows)
    with patch.object(splits, "fits", lambda size, device: not ahead):
        with pytest.raises(fit.Stopped):
            run(make_job(datasets, tmp_path / "stopped", **words), stop_after=4)
        resume = (str(tmp_path / "stopped"),)
        resumed, _ = run(make_job(datasets, tmp_path / "2", resume=resume, **words))
    assert same(tmp_path / "2", folder, (resumed, whole))


DRAWN = {"data": RANDOM | ENLARGED, "model": {"drop_path": 0.3}}
TURNS = ["flip_vertical", "rotate", "blur"]
KINDS = [*TURNS, "resized_crop", "augment", "policy", "colour", "cutout", "erase", "mix"]


@pytest.fixture(scope="module")
def drawn(datasets, tmp_path_factory):
    """A run with everything that is drawn, calm; and one stopped in its second epoch."""
    root = tmp_path_factory.mktemp("drawn")
    calm, _ = run(make_job(datasets, root / "calm", **DRAWN))
    with pytest.raises(fit.Stopped):
        run(make_job(datasets, root / "stopped", **DRAWN), stop_after=8)
    return root, calm


@pytest.mark.parametrize("lost", [None, "order", "drop", *KINDS])
def test_resume_needs_every_generator(datasets, tmp_path, monkeypatch, drawn, lost):
    """A generator that would start again, instead of going on, gives another run."""
    root, calm = drawn
    real = recipe.derive

    def derive(seed, stream, *names):
        forgetful = names[0] == lost
        return real(seed, stream, *((names[0], 0, 0) if forgetful else names))

    for module in (fit, batches, rng):
        monkeypatch.setattr(module, "derive", derive)
    job = make_job(datasets, tmp_path / "2", resume=(str(root / "stopped"),), **DRAWN)
    resumed, _ = run(job)
    assert same(tmp_path / "2", root / "calm", (resumed, calm)) is (lost is None)


def test_of_equally_good_epochs_the_first_is_kept():
    now, model = fit.Progress(), torch.nn.Linear(1, 1)
    for epoch, accuracy in enumerate((40.0, 50.0, 50.0)):
        now.epoch = epoch
        now.keep_best(accuracy, model)
    assert (now.best["epoch"], now.best["accuracy"]) == (2, 50.0)
