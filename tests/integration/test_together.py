"""Sections of a study file that work together, trained for real: scales, tunings, looks, noise."""

import json
from collections import Counter
from pathlib import Path

import pytest
from mlflow import MlflowClient

from swinablate.cli.app import main
from swinablate.records.home import Home
from tests.conftest import RECIPE

pytestmark = [pytest.mark.integration, pytest.mark.slow]

STUDY = """\
question = "Do these go together?"
baseline = "base.toml"
{seeds}
[axes]
"model.shift" = [false]
[compare]
rope = 2
"""
SCALE = """
[scale]
axis = "model.width"
levels = [8, 10, 12]
"""
TUNE = """
[tune]
trials = 3
repeats = 3
space = { "train.lr" = { low = 1e-3, high = 1e-2, log = true } }
"""
LOOKS = """
[adaptive]
looks = [3, 5]
"""
NOISE = """
[noise]
sources = ["training", "split", "tuning"]
splits = 6
"""
STUDIES = {
    "tuned scale": ("seeds = 4", SCALE + TUNE),
    "scale by looks": ("", SCALE + LOOKS),
    "noise of tuning": ("seeds = 1", NOISE + TUNE),
}


@pytest.fixture(params=STUDIES)
def ran(request, tmp_path, monkeypatch):
    """The study's name, and the verdicts of its finished run."""
    monkeypatch.chdir(tmp_path)
    Path("base.toml").write_text(RECIPE.replace("epochs = 2", "epochs = 1"))
    seeds, sections = STUDIES[request.param]
    Path("study.toml").write_text(STUDY.format(seeds=seeds) + sections)
    assert main(["run", "study.toml", "--home", "home", "--out", "report", "--slots", "2"]) == 0
    return request.param, json.loads(Path("report/verdicts.json").read_text())


def _summaries():
    """Arm -> state and verdict in MLflow's table."""
    client = MlflowClient(Home(Path("home")).mlflow_uri)
    (experiment,) = client.search_experiments(filter_string="name LIKE 'study @ %'")
    runs = client.search_runs([experiment.experiment_id], "tags.kind = 'summary'")
    return {run.info.run_name: (run.info.status, run.data.tags["verdict"]) for run in runs}


def test_they_train_to_the_end_and_are_judged(ran):
    name, found = ran
    rows = _summaries()
    assert {status for status, _ in rows.values()} == {"FINISHED"}
    assert rows["shift=false"][1] == found["arms"][0]["verdict"]
    if "scale" in found:
        elsewhere = {
            verdict for arm, (_, verdict) in rows.items() if arm.startswith("shift=false ")
        }
        assert elsewhere == {f"trend: {found['scale'][0]['answer']}"}
        assert len(rows) == (8 if name == "tuned scale" else 6)  # tuned arms have their own
    assert found["baseline"]["waiting"] == 0
    assert [arm["verdict"] for arm in found["arms"]] != ["pending"]
    trends = [(one["arm"], one.get("basis", "fixed")) for one in found.get("scale", ())]
    bases = Counter(one["basis"] for one in found["contrasts"] if one["kind"] == "arm")
    if name == "scale by looks":
        assert [one["look"] for one in found["scale"]] in ([3], [5])
        assert trends == [("shift=false", "fixed")]
        return
    assert bases == {"fixed": 1, "tuned": 1}
    assert [len(arm["choices"]) for arm in found["tuning"]["arms"]] == [3, 3]
    if name == "tuned scale":
        assert trends == [("shift=false", "fixed"), ("shift=false, tuned", "tuned")]
        assert all(len(one["rungs"]) == 3 and one["slope"] is not None for one in found["scale"])
        return
    tuned = [one for one in found["noise"]["components"] if "tuning" in one]
    assert {one["name"] for one in tuned} == {"baseline, tuned", "shift=false, tuned"}
    assert all(one["tunings"] == 3 and one["tuning"]["high"] > 0 for one in tuned)
