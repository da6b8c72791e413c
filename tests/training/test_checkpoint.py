"""A checkpoint is whole, or it is not used."""

from pathlib import Path

import pytest
import torch

from swinablate.training import checkpoint

CPU = torch.device("cpu")


def folder_with(tmp_path: Path, *steps: int) -> Path:
    for step in steps:
        checkpoint.save(tmp_path, step, {"step": step, "weights": torch.full((3,), float(step))})
    return tmp_path


def test_newest_of_two_is_loaded_and_older_ones_are_gone(tmp_path):
    folder_with(tmp_path, 5, 10, 100)
    assert [p.name for p in sorted(tmp_path.iterdir())] == [
        "checkpoint-000000000010.pt",
        "checkpoint-000000000100.pt",
    ]
    state = checkpoint.load_checkpoint([tmp_path], CPU)
    assert state["step"] == 100
    assert state["weights"].tolist() == [100.0] * 3


@pytest.mark.parametrize("damage", ["bit", "cut", "empty"])
def test_damaged_one_is_passed_over_with_a_warning(tmp_path, caplog, damage):
    folder_with(tmp_path, 1, 2)
    newest = tmp_path / "checkpoint-000000000002.pt"
    data = bytearray(newest.read_bytes())
    data[-200] ^= 1
    newest.write_bytes({"bit": bytes(data), "cut": bytes(data[:-1]), "empty": b""}[damage])
    assert checkpoint.load_checkpoint([tmp_path], CPU)["step"] == 1
    assert f"damaged checkpoint {newest}" in caplog.text


def test_nothing_whole_is_a_fresh_start(tmp_path):
    assert checkpoint.load_checkpoint([tmp_path], CPU) is None
    assert checkpoint.load_checkpoint([], CPU) is None


def test_newest_step_wins_over_newest_attempt(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    folder_with(tmp_path / "1", 30)
    folder_with(tmp_path / "2", 20)
    assert checkpoint.load_checkpoint([tmp_path / "2", tmp_path / "1"], CPU)["step"] == 30


def test_pickled_code_is_refused(tmp_path):
    checkpoint.save(tmp_path, 1, {"x": Path("/etc/passwd")})
    with pytest.raises(Exception, match="Weights only load failed"):
        checkpoint.load_checkpoint([tmp_path], CPU)
