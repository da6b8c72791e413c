"""What is kept of a run that has ended: the weights that it was judged by, and its curve."""

import errno
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
import torch

from swinablate.errors import EnvironmentFault, InputError
from swinablate.training import checkpoint, fit
from swinablate.training.fused.fit import fit_fused
from swinablate.training.fused.fit import prepare as ready
from tests.training.test_fit import make_job

SELECTED = [{}, {"select": "best_val"}, {"ema": 0.9}]
IDS = ["last", "best", "averaged"]


def never() -> bool:
    return False


def silent(*_) -> None:
    """Takes no note of an event."""


def whole(job) -> None:
    """Train, and leave the checkpoints as training wrote them."""
    with patch.object(checkpoint, "finish"):
        fit.fit(job, silent, never)


@pytest.mark.parametrize("changes", SELECTED, ids=IDS)
def test_an_ended_run_keeps_the_judged_weights_alone(datasets, tmp_path, changes):
    whole(make_job(datasets, tmp_path / "whole", **changes))
    fit.fit(make_job(datasets, tmp_path / "kept", **changes), silent, never)
    before, after = ([*(tmp_path / name).iterdir()] for name in ("whole", "kept"))
    assert len(before) == 2
    assert [path.name for path in after] == ["checkpoint-000000000018.pt"]
    assert after[0].stat().st_size < sum(path.stat().st_size for path in before) / 3
    state = checkpoint.load_checkpoint([tmp_path / "kept"], torch.device("cpu"))
    assert not state["optimizer"]
    assert [row["epoch"] for row in state["progress"]["curve"]] == [1, 2, 3]


@pytest.mark.parametrize("changes", SELECTED, ids=IDS)
def test_the_exported_file_has_the_same_bytes(datasets, tmp_path, changes):
    """A recipe that starts from it names it by its content."""
    whole(make_job(datasets, tmp_path / "whole", **changes))
    fit.fit(make_job(datasets, tmp_path / "kept", **changes), silent, never)
    for name in ("whole", "kept"):
        assert checkpoint.export([tmp_path / name], tmp_path / f"{name}.pt")
    assert (tmp_path / "whole.pt").read_bytes() == (tmp_path / "kept.pt").read_bytes()


def test_weights_are_written_over_no_folder_and_no_link_to_nothing(datasets, tmp_path):
    fit.fit(make_job(datasets, tmp_path / "kept"), silent, never)
    (tmp_path / "link").symlink_to("/nowhere/weights.pt")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for name, error, problem in (
        ("link", InputError, "this is a link that leads nowhere"),
        ("folder", InputError, "this is a folder, and weights are a file"),
        ("file/a.pt", EnvironmentFault, "the weights cannot be written: Not a directory"),
    ):
        with pytest.raises(error) as caught:
            checkpoint.export([tmp_path / "kept"], tmp_path / name, replace=False)
        assert (caught.value.problem, bool(caught.value.hint)) == (problem, True)
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("changes", SELECTED, ids=IDS)
def test_a_run_whose_end_was_not_recorded_says_it_again_without_training(
    datasets, tmp_path, monkeypatch, changes
):
    """Its coordinator died between the worker's last word and the record."""
    first = fit.fit(make_job(datasets, tmp_path / "1", **changes), silent, never)
    monkeypatch.setattr(fit, "train_batches", None)  # a step of training would fail
    told = []
    job = make_job(datasets, tmp_path / "2", resume=(str(tmp_path / "1"),), **changes)
    again = fit.fit(job, lambda *event: told.append(event[0]), never)
    assert again["predictions"] == first["predictions"]
    assert again["metrics"]["val/accuracy"] == first["metrics"]["val/accuracy"]
    assert told == ["resumed"]


@pytest.mark.parametrize("select", ["last", "best_val"])
def test_so_does_a_batch_that_trained_as_one(datasets, tmp_path, select):
    def jobs(folder: Path):
        made = [
            make_job(datasets, tmp_path / folder / str(seed), seed=seed, select=select)
            for seed in range(2)
        ]
        return [replace(job, trial=f"t{job.seed}") for job in made]

    first = fit_fused(ready(jobs("1")), silent, never)
    old = jobs("1")
    assert [len([*Path(job.folder).iterdir()]) for job in old] == [1, 1]
    second = [replace(b, resume=(a.folder,)) for a, b in zip(old, jobs("2"), strict=True)]
    told = []
    again = fit_fused(ready(second), lambda *event: told.append(event[1]), never)
    assert told == ["resumed", "resumed"]
    for trial, found in first.items():
        assert again[trial]["predictions"] == found["predictions"]
        assert again[trial]["metrics"]["val/accuracy"] == found["metrics"]["val/accuracy"]


def test_where_the_disk_is_full_the_checkpoints_stay_as_they_are(datasets, tmp_path, monkeypatch):
    job = make_job(datasets, tmp_path / "run")
    whole(job)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    state = checkpoint.load_checkpoint([tmp_path / "run"], torch.device("cpu"))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.finish(tmp_path / "run", 18, state)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
