"""A family crossed with a switch that one of them lacks, and contrasts: run for real at the CLI."""

import json
import subprocess
import sys

import pytest

from tests.conftest import RECIPE, STUDY
from tests.study.test_contrasts import VIT

pytestmark = pytest.mark.integration

STUDY_OF_FAMILIES = (
    STUDY.partition("[axes]")[0].replace("seeds = 3", 'design = "factorial"\nseeds = 3', 1)
    + """
[axes]
"recipe" = ["vit.toml"]
"model.shift" = [false]
"train.lr" = [0.01]

[[arms]]
name = "ViT, wide"
recipe = "vit.toml"
changes = { "model.width" = 16 }
against = "recipe=vit"

[[contrasts]]
name = "rate, ViT less Swin"
of = { "recipe=vit, lr=0.01" = 1, "recipe=vit" = -1, "lr=0.01" = -1, "baseline" = 1 }

[[hypotheses]]
contrast = "rate, ViT less Swin"
expect = "better"
"""
)


def swinablate(*words, cwd):
    command = [sys.executable, "-m", "swinablate", *map(str, words)]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=400, check=False
    )


@pytest.mark.slow
def test_a_family_axis_with_a_refused_cell_trains_and_is_judged(write, tmp_path):
    (tmp_path / "vit.toml").write_text(VIT)
    path = write(STUDY_OF_FAMILIES, RECIPE)
    smoked = swinablate("run", path, "--smoke", "--home", "smoke", "--no-report", cwd=tmp_path)
    assert smoked.returncode == 0, smoked.stderr
    done = swinablate("run", path, "--home", "home", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Declared contrasts, a family of their own" in done.stdout
    answer = json.loads((tmp_path / "out/verdicts.json").read_text())
    families = {c["name"]: c["family"] for c in answer["contrasts"]}
    assert families["rate, ViT less Swin"] == families["ViT, wide"] == "contrasts"
    assert families["recipe=vit x lr=0.01"] == "interactions"
    plan = json.loads((tmp_path / "out/plan.json").read_text())
    assert [one["name"] for one in plan["refusals"]] == [
        "recipe=vit, shift=false", "recipe=vit, shift=false, lr=0.01",
    ]  # fmt: skip
    assert [w["code"] for w in answer["warnings"]].count("W14") == 2
    page = (tmp_path / "out/index.html").read_text()
    assert "no switch is called" in page
    assert "Declared contrasts" in page
