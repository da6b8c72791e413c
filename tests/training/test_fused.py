"""Replicas that train as one: each as it would alone, none touching another."""

from contextlib import nullcontext
from dataclasses import replace
from unittest.mock import patch

import pytest
import torch

from swinablate.config.data import DataConfig
from swinablate.config.recipe import Recipe
from swinablate.data import prepare
from swinablate.errors import InputError
from swinablate.execution import worker
from swinablate.models.registry import load_family
from swinablate.records.events import Batch
from swinablate.study.arms.recipes import load_recipe
from swinablate.training import checkpoint
from swinablate.training.evaluation import correct
from swinablate.training.fit import Stopped, fit, read_job
from swinablate.training.fused import fit as fused_fit
from swinablate.training.fused.fit import CannotFuse, fit_fused, validate
from swinablate.training.fused.fit import prepare as ready
from swinablate.training.fused.stack import why_not
from swinablate.training.fused.verify import verify
from tests.training.test_fit import make_job

CLOSE = 2e-5  # of a loss, after 12 steps in fp32; one thread more moves it as much


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    root = tmp_path_factory.mktemp("datasets")
    prepare(DataConfig(name="digits"), root)
    return root


def make_jobs(datasets, folder, variants=({}, {}, {}), **changes):
    """Three seeds; each may have a rate and a decay of its own."""
    return [
        replace(
            make_job(datasets, folder / str(seed), seed=seed, **{"epochs": 2, **changes, **own}),
            trial=f"t{seed}",
        )
        for seed, own in enumerate(variants)
    ]


def alone(job, stop_after=None):
    return _run(
        lambda report, stopping: fit(job, lambda *e: report(job, *e), stopping), stop_after
    )


def together(jobs, stop_after=None):
    return _run(lambda *hooks: fit_fused(ready(jobs), *hooks), stop_after)


def _run(train, stop_after):
    """The result, and every job's epoch rows without what time and memory say."""
    rows, asked = {}, 0

    def report(job, kind, data):
        if kind == "epoch":
            kept = {k: v for k, v in data.items() if not k.startswith(("time", "mem", "at"))}
            rows.setdefault(job.trial, []).append(kept)

    def stopping():
        nonlocal asked
        asked += 1
        return stop_after is not None and asked > stop_after

    with patch.object(checkpoint, "finish"):  # the last checkpoint stays whole, to be compared
        return train(report, stopping), rows


def weights(folder):
    return checkpoint.load_checkpoint([folder], torch.device("cpu"))


RATES = ({}, {"lr": 1e-3, "weight_decay": 0.0}, {"lr": 5e-3, "weight_decay": 0.2})


@pytest.mark.parametrize(
    "changes",
    [
        {"variants": RATES},
        {
            "model": {"drop_path": 0.4, "drop": 0.1, "attn_drop": 0.1},
            "data": {"augment": "flip_crop"},
        },
        {"model": {"norm": "batch"}, "optimizer": "sgd", "lr": 0.05},
        {"optimizer": "sgd", "nesterov": True, "lr": 0.05, "clip": 0.1, "variants": RATES},
        {"optimizer": "adam", "schedule": "one_cycle", "label_smoothing": 0.1, "clip": 0.5},
        {"data": {"mixup": 0.4, "cutout": 2}, "select": "best_val"},
        {"optimizer": "sgd", "l2": 0.1, "lr": 0.05, "variants": RATES},
        {"optimizer": "adam", "l2": 0.1, "variants": RATES},
        {"model": {"norm": "prepbn"}},
        {"optimizer": "rmsprop", "lr_scale": "linear", "lr_batch": 32, "variants": RATES},
        {"optimizer": "adagrad", "l2": 0.1, "variants": RATES},
        {"data": {"limit": 24}, "batch": 96, "lr_scale": "linear", "lr_batch": 12},
    ],
    ids=[
        "rates",
        "drop",
        "batchnorm",
        "sgd",
        "adam",
        "mixup",
        "sgd-l2",
        "adam-l2",
        "prepbn",
        "rmsprop",
        "adagrad",
        "whole",
    ],
)
def test_each_trains_as_it_would_alone(datasets, tmp_path, changes):
    jobs = make_jobs(datasets, tmp_path / "one", **changes)
    results, rows = together(jobs)
    for i, job in enumerate(jobs):
        folder = tmp_path / "alone" / str(i)
        folder.mkdir(parents=True)
        result, own = alone(replace(job, folder=str(folder)))
        for a, b in zip(rows[job.trial], own[job.trial], strict=True):
            assert a["train/loss"] == pytest.approx(b["train/loss"], abs=CLOSE)
            assert a["epoch"] == b["epoch"]
        found = results[job.trial]
        assert found["execution"] == {**result["execution"], "fused": 3, "fusion": 3}
        assert found["metrics"].keys() == result["metrics"].keys()
        assert found["metrics"]["test/accuracy"] == pytest.approx(
            result["metrics"]["test/accuracy"], abs=3.2
        )  # 3 of 96 images
        for name in ("test/loss", "train/eval_loss"):
            assert found["metrics"][name] == pytest.approx(result["metrics"][name], rel=0.02)
        mine, theirs = weights(tmp_path / "one" / str(i)), weights(folder)
        assert mine.keys() == theirs.keys()
        assert mine["model"].keys() == theirs["model"].keys()
        assert mine["progress"].keys() == theirs["progress"].keys()
        for name, value in theirs["model"].items():
            if name.endswith("share"):
                assert torch.equal(mine["model"][name], value), name
            if "running" in name or "steps" in name or "tracked" in name:
                torch.testing.assert_close(mine["model"][name], value, atol=1e-3, rtol=1e-3)
        states = mine["optimizer"], theirs["optimizer"]
        assert states[0]["param_groups"][0]["params"] == states[1]["param_groups"][0]["params"]
        for key, moments in states[1]["state"].items():
            assert states[0]["state"][key].keys() >= {
                k for k, v in moments.items() if v is not None
            }


@pytest.mark.parametrize(("dropped", "revision"), [(0.0, 4), (0.4, 5)])
def test_what_is_fused_in_bf16_says_how_it_rounds(datasets, tmp_path, dropped, revision):
    model = {"drop_path": dropped}
    jobs = make_jobs(datasets, tmp_path, precision="bf16", epochs=1, model=model)
    results, _ = together(jobs)
    assert {found["execution"]["fusion"] for found in results.values()} == {revision}


@pytest.mark.parametrize("data", [{}, {"resample_split": True}])
def test_images_are_on_the_device_once_even_where_each_seed_splits_anew(datasets, tmp_path, data):
    runs = ready(make_jobs(datasets, tmp_path, data=data))
    for part in ("train", "val", "test"):
        held = {getattr(m.splits, part).pixels.data_ptr() for m in runs.members}
        assert len(held) == 1
    splits = {tuple(member.splits.train.rows.tolist()) for member in runs.members}
    assert len(splits) == (3 if data else 1)


def test_seeds_differ_from_each_other(datasets, tmp_path):
    _, rows = together(make_jobs(datasets, tmp_path))
    assert len({rows[t][0]["train/loss"] for t in ("t0", "t1", "t2")}) == 3


@pytest.mark.parametrize("steps", [1, 6, 8])
def test_a_stopped_batch_goes_on_bit_for_bit(datasets, tmp_path, steps):
    """6 steps an epoch: the stops are in the first epoch, at its end, in the second."""
    changes = {"model": {"drop_path": 0.3, "norm": "batch"}, "variants": RATES}
    calm, rows = together(make_jobs(datasets, tmp_path / "calm", **changes))
    first = make_jobs(datasets, tmp_path / "1", **changes)
    with pytest.raises(Stopped):
        together(first, stop_after=steps)
    second = [
        replace(job, resume=(old.folder,))
        for job, old in zip(make_jobs(datasets, tmp_path / "2", **changes), first, strict=True)
    ]
    results, rest = together(second)
    for job in second:
        assert rest[job.trial] == rows[job.trial][steps // 6 :]
        assert results[job.trial]["predictions"] == calm[job.trial]["predictions"]
        states = [weights(tmp_path / name / job.trial[1:])["model"] for name in ("calm", "2")]
        assert all(torch.equal(v, states[1][name]) for name, v in states[0].items())


def test_replicas_at_different_steps_go_on_from_the_newest_they_share(datasets, tmp_path):
    """One has lost its newest checkpoint: a worker was killed while it wrote them."""
    _, rows = together(make_jobs(datasets, tmp_path / "calm"))
    first = make_jobs(datasets, tmp_path / "1")
    with pytest.raises(Stopped):
        together(first, stop_after=8)
    (tmp_path / "1" / "1" / "checkpoint-000000000008.pt").unlink()
    second = make_jobs(datasets, tmp_path / "2")
    second = [replace(j, resume=(o.folder,)) for j, o in zip(second, first, strict=True)]
    _, rest = together(second)
    assert rest == {trial: own[1:] for trial, own in rows.items()}


def test_a_fused_replica_can_go_on_alone(datasets, tmp_path):
    _, rows = together(make_jobs(datasets, tmp_path / "calm", variants=RATES))
    jobs = make_jobs(datasets, tmp_path / "1", variants=RATES)
    with pytest.raises(Stopped):
        together(jobs, stop_after=8)
    folder = tmp_path / "2"
    folder.mkdir()
    _, rest = alone(replace(jobs[1], folder=str(folder), resume=(jobs[1].folder,)))
    assert rest["t1"][-1]["train/loss"] == pytest.approx(rows["t1"][1]["train/loss"], abs=CLOSE)


def test_a_replica_that_diverges_leaves_the_others_alone(datasets, tmp_path):
    rates = ({}, {"lr": 1e30}, {})
    results, rows = together(make_jobs(datasets, tmp_path / "sick", variants=rates, clip=0.0))
    healthy, _ = together(make_jobs(datasets, tmp_path / "well", clip=0.0))
    assert results["t1"] == "the loss of step 2 in epoch 1 is nan"
    assert "t1" not in rows
    for trial in ("t0", "t2"):
        assert results[trial]["predictions"] == healthy[trial]["predictions"]


def test_transfer_trains_alone():
    recipe = Recipe(
        model=load_family("swin", "").config(), data=DataConfig(name="digits"), start={"freeze": 1}
    )
    assert why_not([recipe, recipe]) == "a recipe with [start] trains alone only"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ema": 0.9}, "train.ema trains alone only"),
        ({"optimizer": "muon"}, "train.optimizer = muon trains alone only"),
        ({"precision": "fp16", "accumulate": 2},
         "train.precision = fp16 and train.accumulate trains alone only"),
        ({"variants": ({}, {"epochs": 3}, {})},
         "they differ in more than learning rate and weight decay"),
        ({"variants": ({}, {"model": {"norm": "rms"}}, {})},
         "they differ in more than learning rate and weight decay"),
    ],
)  # fmt: skip
def test_what_cannot_train_as_one_says_why(datasets, tmp_path, changes, reason):
    jobs = make_jobs(datasets, tmp_path, **changes)
    assert why_not([read_job(job)[0] for job in jobs]) == reason
    with pytest.raises(CannotFuse, match=reason):
        ready(jobs)


OWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, kind: str = ""):
        super().__init__()
        self.line, self.kind = nn.Linear(64, 10), kind
        self.register_buffer("mean", torch.zeros(64))
        if kind == "weight norm":
            nn.utils.weight_norm(self.line)
        if kind == "no copy":
            self.rows = (row for row in range(10))

    def forward(self, x):
        x = x.flatten(1)
        if self.kind == "anew":
            self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        elif self.kind == "in place":
            self.mean.mul_(0.9).add_(0.1 * x.mean(0))
        elif self.kind == "chance":
            x = nn.functional.dropout(x, training=self.training)
        return self.line(x - self.mean)
"""


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("anew", "the network makes its buffer 'mean' anew"),
        ("chance", "torch.vmap: vmap: called random operation"),
        ("in place", ""),
        ("weight norm", ""),
        ("no copy", "the network cannot be copied: cannot pickle 'generator' object"),
    ],
)
@pytest.mark.filterwarnings(
    "ignore:.*weight_norm. is deprecated:FutureWarning",
    "ignore:There is a performance drop:UserWarning",
)
def test_what_would_be_lost_in_a_stack_trains_alone(kind, reason, datasets, tmp_path, monkeypatch):
    """Of somebody's own network a buffer that is changed in place is kept, one made anew is not."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    module = f"own_{kind.replace(' ', '_')}"
    (tmp_path / f"{module}.py").write_text(OWN)
    model = {"family": f"{module}:Net", "kind": kind}
    jobs = [
        replace(job, recipe={**job.recipe, "model": model}, folders=(str(tmp_path),))
        for job in make_jobs(datasets, tmp_path)
    ]
    with pytest.raises(CannotFuse, match=reason) if reason else nullcontext():
        ready(jobs)
    recipe = tmp_path / "own.toml"
    model_text = f'[model]\nfamily = "{module}:Net"\nkind = "{kind}"\n'
    recipe.write_text(f'{model_text}[data]\nname = "digits"\n')
    if kind == "chance":
        with pytest.raises(InputError, match="this recipe is not fused: vmap: called random op"):
            verify(load_recipe(recipe), 2, 2, "cpu")


def test_the_worker_trains_a_batch_as_one(datasets, tmp_path):
    happened = []
    jobs = make_jobs(datasets, tmp_path)
    assert worker.execute(Batch(jobs=tuple(jobs)), happened.append, lambda: False)
    for trial in ("t0", "t1", "t2"):
        kinds = [e.kind for e in happened if e.trial == trial]
        assert [kind for kind in kinds if kind != "checkpoint"] == [
            "started",
            "epoch",
            "epoch",
            "done",
        ]
    assert happened[0].data["fused"] == ["t0", "t1", "t2"]
    assert "alone" not in happened[0].data


def test_the_worker_trains_them_one_by_one_if_it_must_and_says_so(datasets, tmp_path):
    happened = []
    jobs = make_jobs(datasets, tmp_path, ema=0.5, epochs=1)
    assert worker.execute(Batch(jobs=tuple(jobs)), happened.append, lambda: False)
    assert [e.trial for e in happened] == ["t0"] * 4 + ["t1"] * 4 + ["t2"] * 4
    assert happened[0].data["alone"] == "train.ema trains alone only"
    assert happened[3].data["execution"]["fused"] == 1


@pytest.mark.parametrize(("batch", "parts"), [(32, [48]), (12, [24, 24]), (10, [20, 20, 8])])
def test_validation_looks_at_no_more_images_than_admission_counts(
    datasets, tmp_path, monkeypatch, batch, parts
):
    """All replicas at the same ones, without a copy for each; two batches of each at once."""
    runs, seen = ready(make_jobs(datasets, tmp_path, batch=batch)), []
    images = runs.members[0].splits.val
    short = replace(images, rows=images.rows[:48], labels=images.labels[:48])
    for member in runs.members:
        member.splits = replace(member.splits, val=short)
    kept = runs.stack.judge
    monkeypatch.setattr(runs.stack, "judge", lambda x: seen.append(tuple(x.shape)) or kept(x))
    found = validate(runs.stack, runs.members)
    assert seen == [(part, 1, 8, 8) for part in parts]
    for k, accuracy in enumerate(found):
        own = correct(runs.stack.give(k)[0], short, runs.members[0].recipe.train)
        assert accuracy == 100 * own.float().mean().item()


def test_many_replicas_share_what_one_network_is_asked_at_once(datasets, tmp_path, monkeypatch):
    monkeypatch.setattr(fused_fit, "EVAL_BATCH", 32)
    runs, seen = ready(make_jobs(datasets, tmp_path, data={"resample_split": True})), []
    kept = runs.stack.judge
    monkeypatch.setattr(runs.stack, "judge", lambda x: seen.append(tuple(x.shape)) or kept(x))
    found = validate(runs.stack, runs.members)
    assert seen[0] == (3, 10, 1, 8, 8)
    for k, member in enumerate(runs.members):
        own = correct(runs.stack.give(k)[0], member.splits.val, member.recipe.train)
        assert found[k] == 100 * own.float().mean().item()
