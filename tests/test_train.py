"""One run: schedule, decay, determinism, exact resume, hygiene."""

import math
from pathlib import Path

import pytest
import torch

from swinablate import checkpoint, train
from swinablate.data import image_spec, prepare
from swinablate.errors import Diverged
from swinablate.events import Job
from swinablate.recipe import DataConfig, Recipe, TrainConfig
from swinablate.study import load_family

SWIN = {"patch": 2, "width": 8, "depths": (2,), "heads": (2,), "window": 2}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    root = tmp_path_factory.mktemp("datasets")
    prepare(DataConfig(name="digits"), root)
    return root


def make_job(
    datasets, folder: Path, *, kind="final", resume=(), seed=0, data=None, **changes
) -> Job:
    config = DataConfig(name="digits", **({"limit": 96} | (data or {})))
    recipe = Recipe(
        model=load_family("swin", "").config(**SWIN, **changes.pop("model", {})),
        data=config,
        train=TrainConfig(**({"epochs": 3, "batch": 16} | changes)),
    )
    folder.mkdir(parents=True, exist_ok=True)
    return Job(
        trial="t", attempt=1, recipe=recipe.model_dump(mode="json"),
        image=image_spec(config).model_dump(mode="json"), seed=seed, kind=kind,
        folder=str(folder), resume=resume, data=str(datasets),
    )  # fmt: skip


def run(job: Job, stop_after: int | None = None):
    """Train; returns the result and the epoch rows without times. Stops after so many steps."""
    rows, asked = [], 0

    def report(kind, data):
        if kind == "epoch":
            rows.append({k: v for k, v in data.items() if not k.startswith(("time", "mem", "at"))})

    def stopping():
        nonlocal asked
        asked += 1
        return stop_after is not None and asked > stop_after

    return train.fit(job, report, stopping), rows


def test_cosine_schedule_rises_over_the_warmup_and_ends_near_zero():
    config = TrainConfig(warmup=0.1)
    rates = [train.rate(config, step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.5 * (1 + math.cos(math.pi * 89 / 90)))
    assert train.rate(TrainConfig(schedule="constant", warmup=0.0), 99, 100) == 1.0


def test_decay_spares_norms_biases_and_tables():
    family = load_family("swin", "")
    model = family.build(family.config(**SWIN), image_spec(DataConfig(name="digits")))
    decayed, free = train.make_optimizer(model, TrainConfig()).param_groups
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


@pytest.mark.parametrize("changes", [{}, {"optimizer": "sgd", "lr": 0.05}, {"select": "best_val"}])
@pytest.mark.parametrize("steps", [1, 7, 12])
def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(datasets, tmp_path, steps, changes):
    """6 steps an epoch: the stops are in the first epoch, in the second, and at its start."""
    data = {"augment": "flip_crop"}
    calm, rows = run(make_job(datasets, tmp_path / "calm", data=data, **changes))
    with pytest.raises(train.Stopped):
        run(make_job(datasets, tmp_path / "1", data=data, **changes), stop_after=steps)
    resume = (str(tmp_path / "1"),)
    resumed, rest = run(make_job(datasets, tmp_path / "2", data=data, resume=resume, **changes))
    assert rest == rows[steps // 6 :]
    assert resumed["predictions"] == calm["predictions"]
    states = [checkpoint.load([tmp_path / name], torch.device("cpu")) for name in ("calm", "2")]
    for name, value in states[0]["model"].items():
        assert torch.equal(value, states[1]["model"][name]), name
    assert states[0]["optimizer"]["param_groups"] == states[1]["optimizer"]["param_groups"]


def test_last_partial_batch_is_dropped_and_steps_end_a_run(datasets, tmp_path):
    result, rows = run(make_job(datasets, tmp_path, batch=40, steps=5, epochs=99))
    assert len(rows) == 3  # 2 steps an epoch: 2 + 2 + 1
    assert result["metrics"]["epochs"] == 3


def test_tuning_trials_never_see_the_test_images(datasets, tmp_path, monkeypatch):
    seen = []
    real = train.predict
    monkeypatch.setattr(
        train, "predict", lambda m, images, t: (seen.append(images), real(m, images, t))[1]
    )
    tuned, _ = run(make_job(datasets, tmp_path / "tune", kind="tune"))
    assert "test/accuracy" not in tuned["metrics"]
    assert tuned["predictions"] == {}
    test = train.load(
        DataConfig(name="digits", limit=96), datasets, 0, "main", torch.device("cpu")
    ).test
    assert not any(images.pixels.shape == test.pixels.shape for images in seen)
    seen.clear()
    run(make_job(datasets, tmp_path / "final"))
    assert sum(images.pixels.shape == test.pixels.shape for images in seen) == 1


def test_infinite_loss_ends_the_run(datasets, tmp_path):
    with pytest.raises(Diverged, match=r"the loss of epoch 1 is (nan|inf)"):
        run(make_job(datasets, tmp_path, optimizer="sgd", lr=1e30, clip=0.0))


def test_best_validation_epoch_is_the_one_tested(datasets, tmp_path):
    result, rows = run(make_job(datasets, tmp_path, select="best_val", epochs=4, lr=0.03))
    assert result["metrics"]["val/accuracy"] == max(row["val/accuracy"] for row in rows)


def test_bf16_trains_and_is_no_fp32(datasets, tmp_path):
    _, exact = run(make_job(datasets, tmp_path / "a"))
    _, rough = run(make_job(datasets, tmp_path / "b", precision="bf16"))
    assert rough[0]["train/loss"] != exact[0]["train/loss"]
    assert rough[0]["train/loss"] == pytest.approx(exact[0]["train/loss"], rel=0.02)


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
    large = torch.ones(64, 2**20)  # 256 MiB
    before = train.peak_mib(device)
    del large
    train.forget_peak(device)
    assert train.peak_mib(device) < before - 200
