"""A checkpoint is whole, or it is not used."""

import hashlib
import io
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from swinablate.training import checkpoint

CPU = torch.device("cpu")


def folder_with(tmp_path: Path, *steps: int) -> Path:
    for step in steps:
        checkpoint.save(tmp_path, step, state(step))
    return tmp_path


def state(step: int) -> dict[str, dict[str, Any]]:
    weights = {"weights": torch.full((3,), float(step))}
    return {"model": weights, "optimizer": {}, "progress": {"step": step}}


def step_of(folders: list[Path]) -> int | None:
    """The step whose checkpoint is loaded."""
    found = checkpoint.load_checkpoint(folders, CPU)
    return found and found["progress"]["step"]


def test_newest_of_two_is_loaded_and_older_ones_are_gone(tmp_path):
    folder_with(tmp_path, 5, 10, 100)
    assert [p.name for p in sorted(tmp_path.iterdir())] == [
        "checkpoint-000000000010.pt",
        "checkpoint-000000000100.pt",
    ]
    found = checkpoint.load_checkpoint([tmp_path], CPU)
    assert found["progress"] == {"step": 100}
    assert found["model"]["weights"].tolist() == [100.0] * 3


@pytest.mark.parametrize("damage", ["bit", "cut", "empty"])
def test_damaged_one_is_passed_over_with_a_warning(tmp_path, caplog, damage):
    folder_with(tmp_path, 1, 2)
    newest = tmp_path / "checkpoint-000000000002.pt"
    data = bytearray(newest.read_bytes())
    data[-200] ^= 1
    newest.write_bytes({"bit": bytes(data), "cut": bytes(data[:-1]), "empty": b""}[damage])
    assert step_of([tmp_path]) == 1
    assert f"damaged checkpoint {newest}" in caplog.text


def test_nothing_whole_is_a_fresh_start(tmp_path):
    assert checkpoint.load_checkpoint([tmp_path], CPU) is None
    assert checkpoint.load_checkpoint([], CPU) is None


def test_newest_step_wins_over_newest_attempt(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    folder_with(tmp_path / "1", 30)
    folder_with(tmp_path / "2", 20)
    assert step_of([tmp_path / "2", tmp_path / "1"]) == 30


class Malice:
    """Pickled as a call of `os.mkdir`."""

    def __init__(self, made: Path) -> None:
        self._made = made

    def __reduce__(self):
        return os.mkdir, (str(self._made),)


def keep(folder: Path, step: int, payload: bytes) -> None:
    """A checkpoint whose digest is right, whatever it holds."""
    digest = hashlib.sha256(payload).hexdigest().encode()
    (folder / f"checkpoint-{step:012d}.pt").write_bytes(digest + b"\n" + payload)


def saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def test_pickled_code_is_never_run_and_the_older_checkpoint_serves(tmp_path, caplog):
    """S4 of the faults: a malicious file with the right digest."""
    folder_with(tmp_path, 1)
    keep(tmp_path, 2, saved({**state(2), "model": {"x": Malice(tmp_path / "made")}}))
    assert step_of([tmp_path]) == 1
    assert not (tmp_path / "made").exists()
    assert "checkpoint-000000000002.pt holds no checkpoint" in caplog.text


@pytest.mark.parametrize(
    "payload",
    [b"", b"no pickle", b"\x80\x05.", saved([1]), saved({"weird": 1}), saved({**state(2), "progress": 1})],
    ids=["empty", "text", "torn pickle", "a list", "another dict", "another progress"],
)  # fmt: skip
def test_what_is_no_checkpoint_is_passed_over_though_its_digest_is_right(tmp_path, payload):
    folder_with(tmp_path, 1)
    keep(tmp_path, 2, payload)
    assert step_of([tmp_path]) == 1
    (tmp_path / "checkpoint-000000000001.pt").unlink()
    assert step_of([tmp_path]) is None


def test_a_checkpoint_that_does_not_fit_into_memory_is_not_taken_for_a_damaged_one(tmp_path, monkeypatch):  # fmt: skip
    """From the one before it the trial would meet the same limit, an epoch later."""

    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes")

    folder_with(tmp_path, 1, 2)
    monkeypatch.setattr(torch, "load", full)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        checkpoint.load_checkpoint([tmp_path], CPU)
