"""A study of several data sets in real processes: begun, gone on with, judged, written up."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from swinablate.cli.app import main
from swinablate.records.home import Home
from swinablate.scheduling.looking.headline import judged
from tests.conftest import RECIPE, STUDY

pytestmark = pytest.mark.integration

SETS = """data = [
    "digits",
    { name = "shapes", changes = { "model.patch" = 4 } },
    { name = "digits", label = "big", changes = { "data.size" = 16, "model.patch" = 4 } },
]
"""
MORE = "[compare]\nrope = 5.0\n[budget]\ntrials = {}\n"
PLACE = ["--home", "home", "--out", "report", "--slots", "2"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study, its home, its report, and the one that it had on the way."""
    folder = tmp_path_factory.mktemp("sets")
    (folder / "base.toml").write_text(RECIPE.replace("epochs = 2", "epochs = 1"))
    with pytest.MonkeyPatch.context() as here:
        here.chdir(folder)
        Path("sets.toml").write_text(SETS + STUDY + MORE.format(7))
        assert main(["run", "sets.toml", *PLACE]) == 3
        Path("report").rename("interim")
        Path("sets.toml").write_text(SETS + STUDY + MORE.format(18))
        assert main(["run", "sets.toml", *PLACE]) == 0
    return folder


def said(folder: Path, of: str = "report"):
    return json.loads((folder / of / "verdicts.json").read_text())


def test_it_is_interim_until_every_data_set_is_trained_and_then_goes_on(ran):
    (arm,) = said(ran, "interim")["datasets"]
    assert arm["verdict"] in {None, "pending"}
    assert {one["verdict"] for one in arm["sets"]} == {"pending"}
    assert (ran / "interim" / "report.md").read_text().startswith("# INTERIM")
    trials = pd.read_csv(ran / "report" / "tables" / "trials.csv")
    assert (len(trials), set(trials.status), set(trials.attempts)) == (18, {"done"}, {1})


def test_effects_are_those_of_the_recorded_trials_on_each_data_set(ran):
    (arm,) = said(ran)["datasets"]
    means = pd.read_csv(ran / "report" / "tables" / "trials.csv").groupby("arm").test_acc.mean()
    effects = []
    for one, after in zip(arm["sets"], ("", " on shapes", " on big"), strict=True):
        effects.append(means[f"shift=false{after}"] - means[f"baseline{after}"])
        assert one["delta_pp"] == pytest.approx(effects[-1])
        assert one["baseline_mean"] == pytest.approx(means[f"baseline{after}"])
        assert one["n"] == 3
    assert [one["home"] for one in arm["sets"]] == [True, False, False]
    assert min(effects) <= arm["mean_pp"] <= max(effects)
    assert arm["k"] == 3
    assert arm["verdict"] in {"better", "worse", "equivalent", "undecided"}


def test_everything_else_is_about_home_alone(ran):
    found = said(ran)
    assert [arm["name"] for arm in found["arms"]] == ["shift=false"]
    assert found["arms"][0]["delta_pp"] == pytest.approx(
        found["datasets"][0]["sets"][0]["delta_pp"]
    )
    assert list(pd.read_csv(ran / "report" / "tables" / "arms.csv").arm) == [
        "baseline", "shift=false"
    ]  # fmt: skip
    kept = Home(ran / "home")
    assert judged(kept, kept.declared("sets"))["arms"] == found["arms"]


def test_it_is_drawn_and_written_up(ran):
    report = ran / "report"
    assert (report / "figures" / "datasets.svg").stat().st_size > 5000
    rows = pd.read_csv(report / "tables" / "datasets.csv")
    assert list(rows.point) == ["dataset"] * 3 + ["mean"]
    page = re.sub(r"<wbr>", "", (report / "index.html").read_text())
    section = page[page.index('<h2 id="datasets">') : page.index('<h2 id="arms">')]
    assert "runs are never pooled" in section
    assert "on a new data set like these" in section
    assert page.count('<h2 id="datasets">') == 1
    assert 'href="#datasets"' in page
    text = (report / "report.md").read_text()
    assert "## Data sets" in text
    assert "the arms on shapes; the arms on big; the means over data sets" in text
    plan = json.loads((report / "plan.json").read_text())
    assert len(plan["arms"]) == 6
    assert [one["label"] for one in plan["datasets"]["sets"]] == ["digits", "shapes", "big"]


def test_commands_know_its_arms_and_its_figure(ran, monkeypatch, capsys):
    monkeypatch.chdir(ran)
    place = ["--home", "home"]
    assert main(["figure", "sets", "datasets", *place, "--format", "pdf", "--out", "f"]) == 0
    assert Path("f/sets-datasets.pdf").read_bytes()[:4] == b"%PDF"
    capsys.readouterr()
    assert main(["status", "sets", *place]) == 0
    assert "shift=false on shapes" in capsys.readouterr().out
    assert main(["report", "sets.toml", *place, "--out", "again"]) == 0
    out = capsys.readouterr().out
    assert "Verdicts on each data set" in out
    assert "Over the data sets, one effect of each" in out
    assert main(["run", "sets.toml", *place, "--more", "2"]) == 2
    assert "several data sets" in capsys.readouterr().err
