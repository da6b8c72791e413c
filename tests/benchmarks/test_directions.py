"""The table of directions has every newer switch, from studies that are there and plan."""

import re
from types import SimpleNamespace

import pytest

from benchmarks.programs import directions
from swinablate.config.schema import read_toml
from swinablate.study.files import load_study
from tests.rows import ROOT

TABLES = (ROOT / "benchmarks/results/directions.md").read_text("utf-8")
OTHERS = (ROOT / "benchmarks/results/switches.md").read_text("utf-8")
"""What was mended, and what is new in ViT."""


def arms(study):
    """Of a study's file: the names that its arms have."""
    found = read_toml(directions.FOLDER / f"{study}.toml")
    one = {
        f"{path.partition('.')[2]}={str(level).lower() if isinstance(level, bool) else level}"
        for path, levels in found["axes"].items()
        for level in levels
    }
    return one | {arm["name"] for arm in found.get("arms", ())}


@pytest.mark.parametrize("study", directions.STUDIES)
def test_every_arm_of_a_study_has_its_row(study):
    (section,) = re.findall(rf"^## `{study}`\n(.*?)(?=^## |\Z)", TABLES, re.MULTILINE | re.DOTALL)
    assert f"`{' '.join(directions.command(study))}`" in section
    rows = {row.split(" | ")[0].removeprefix("| ") for row in section.splitlines() if "(" in row}
    assert arms(study) | {"baseline"} == {row for row in rows if not row.startswith(("arm", "`"))}
    load_study(directions.FOLDER / f"{study}.toml", directions.STUDIES[study])


@pytest.mark.parametrize(
    "level",
    ["position_bias=rope", "activation=swiglu", "activation=geglu", "attention=additive",
     "optimizer=muon", "optimizer=rmsprop", "optimizer=adagrad", "batch 256, lr_scale=linear",
     "cell=gru", "bidirectional=true", "activation=relu", "window=2", "patch=4", "test/translated/1"],
)  # fmt: skip
def test_a_newer_level_was_measured(level):
    assert level in TABLES


@pytest.mark.parametrize(
    "level", ["position=rope2d", "causal=true", "pool=layers", "norm=prepbn", "l2=0.05"]
)
def test_a_newer_level_of_others_was_measured(level):
    assert level in OTHERS


def test_a_row_is_of_its_arm():
    """Means, deviations and differences, and those of what is measured beside."""
    base = {"mean": 90.0, "sd": 1.0, "n": 3}
    arm = {"name": "x", "mean": 88.5, "sd": 0.5, "delta_pp": -1.5, "ci_low": -3.0, "ci_high": 0.25}
    beside = {"metric": "test/translated/1", "baseline": base | {"mean": 40.0},
              "arms": [arm | {"mean": 41.0, "delta_pp": 1.0}]}  # fmt: skip
    judged = {"baseline": base, "arms": [arm], "secondary": [beside]}
    *_, first, second = directions.section("swin_digits", SimpleNamespace(verdicts=judged))
    assert first == "| baseline | 90.00 (1.00) | | | 40.00 | |"
    assert second == "| x | 88.50 (0.50) | -1.50 | -3.00, +0.25 | 41.00 | +1.00 |"
