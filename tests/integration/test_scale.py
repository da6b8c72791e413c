"""A study at several scales in real processes: begun, gone on with, judged, drawn, written up."""

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

SCALE = """
[scale]
axis = "model.width"
levels = [8, 10, 12, 14, 16]
predict = 24
rules = { "train.lr" = -1.0 }

[compare]
rope = 2.0

[budget]
trials = 8
"""
PLACE = ["--home", "home", "--out", "report", "--slots", "2"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study, its home, its report, and the one that it had on the way."""
    folder = tmp_path_factory.mktemp("scale")
    (folder / "base.toml").write_text(RECIPE.replace("epochs = 2", "epochs = 1"))
    with pytest.MonkeyPatch.context() as here:
        here.chdir(folder)
        Path("width.toml").write_text(STUDY + SCALE)
        assert main(["run", "width.toml", *PLACE]) == 3
        Path("report").rename("interim")
        Path("width.toml").write_text((STUDY + SCALE).replace("trials = 8", "trials = 30"))
        assert main(["run", "width.toml", *PLACE]) == 0
    return folder


def said(folder: Path, of: str = "report"):
    return json.loads((folder / of / "verdicts.json").read_text())


def test_it_is_interim_until_every_rung_is_trained_and_then_goes_on(ran):
    (arm,) = said(ran, "interim")["scale"]
    assert (arm["answer"], arm["why"]) == ("cannot tell", "pending: 22 trials missing")
    assert (ran / "interim" / "report.md").read_text().startswith("# INTERIM")
    trials = pd.read_csv(ran / "report" / "tables" / "trials.csv")
    assert (len(trials), set(trials.status), set(trials.attempts)) == (30, {"done"}, {1})


def test_the_slope_is_that_of_the_recorded_trials(ran):
    (arm,) = said(ran)["scale"]
    trials = pd.read_csv(ran / "report" / "tables" / "trials.csv")
    for rung in arm["rungs"]:
        after = "" if rung["rung"] == "width=8" else f" at {rung['rung']}"
        ours, theirs = (
            trials[trials.arm == f"{name}{after}"].set_index("seed").test_acc
            for name in ("shift=false", "baseline")
        )
        assert rung["effect"] == pytest.approx((ours - theirs).mean())
        assert theirs.size == 3
    assert [*arm][:8] == [
        "arm", "by", "against", "slope", "ci_low", "ci_high", "predicted", "predicted_low",
    ]  # fmt: skip
    assert arm["answer"] in {"grows", "holds", "shrinks", "reverses", "cannot tell"}
    assert arm["predicted_at"] == "width=24"
    assert arm["held_out"]["rung"] == "width=16"


def test_everything_else_is_about_home_alone(ran):
    found = said(ran)
    assert [arm["name"] for arm in found["arms"]] == ["shift=false"]
    assert found["baseline"]["n"] == 3
    home = found["arms"][0]["delta_pp"]
    assert home == pytest.approx(found["scale"][0]["rungs"][0]["effect"])
    arms = pd.read_csv(ran / "report" / "tables" / "arms.csv")
    assert list(arms.arm) == ["baseline", "shift=false"]
    kept = Home(ran / "home")
    assert judged(kept, kept.declared("width"))["arms"] == found["arms"]


def test_it_is_drawn_and_written_up(ran):
    report = ran / "report"
    assert (report / "figures" / "scale.svg").stat().st_size > 5000
    rows = pd.read_csv(report / "tables" / "scale.csv")
    assert list(rows.point) == ["measured"] * 5 + ["line"] * 2 + ["predicted"]
    page = re.sub(r"<wbr>", "", (report / "index.html").read_text())
    section = page[page.index('<h2 id="scale">') : page.index('<h2 id="arms">')]
    assert "per doubling of params" in section
    assert "train.lr moving as model.width to the power of" in section
    assert "without width=16 the others predict" in section
    assert 'href="#scale"' in page
    text = (report / "report.md").read_text()
    assert "## Scale" in text
    assert "slope, 95 % CI (pp)" in text
    assert "the slopes over scales" in text
    plan = json.loads((report / "plan.json").read_text())
    assert len(plan["arms"]) == 10
    assert len(plan["scale"]["rungs"]) == 5


def test_commands_know_its_arms_and_its_figure(ran, monkeypatch, capsys):
    monkeypatch.chdir(ran)
    place = ["--home", "home"]
    assert main(["figure", "width", "scale", *place, "--format", "pdf", "--out", "f"]) == 0
    assert Path("f/width-scale.pdf").read_bytes()[:4] == b"%PDF"
    capsys.readouterr()
    assert main(["status", "width", *place]) == 0
    assert "shift=false at width=16" in capsys.readouterr().out
    assert main(["report", "width.toml", *place, "--out", "again"]) == 0
    assert "Effects over scales, per doubling of params" in capsys.readouterr().out
    assert (Path("again") / "report.md").read_bytes() == Path("report/report.md").read_bytes()
    assert main(["export", "width", "b.tar", *place]) == 0
    assert main(["verify", "b.tar"]) == 0


LOOKS = """
[scale]
axis = "model.width"
levels = [8, 12]

[adaptive]
looks = [3, 4]

[compare]
rope = 2.0
"""


def test_looks_give_seeds_to_rungs_of_open_trends_in_real_processes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("base.toml").write_text(RECIPE.replace("epochs = 2", "epochs = 1"))
    text = STUDY.replace("seeds = 3\nbaseline_seeds = 3\n", "") + LOOKS
    Path("width.toml").write_text(text)
    assert main(["run", "width.toml", *PLACE]) == 0
    (arm,) = said(tmp_path)["scale"]
    # Trained for one epoch, nobody knows after three seeds how this effect moves.
    assert arm["look"] == 4
    assert (arm["n"], arm["planned"]) == (4, 4)
    trials = pd.read_csv("report/tables/trials.csv")
    counts = trials[trials.status == "done"].groupby("arm").seed.nunique()
    assert counts["shift=false at width=12"] == counts["baseline at width=12"] == 4
    assert counts["baseline"] >= 6
    home = said(tmp_path)
    assert home["baseline"]["n"] == 2 * home["arms"][0]["n"]
    page = re.sub(r"<wbr>", "", Path("report/index.html").read_text())
    assert "An arm got seeds, look by look, until its trend was told" in page
    assert main(["run", "width.toml", *PLACE]) == 0  # nothing is left
    assert len(pd.read_csv("report/tables/trials.csv")) == len(trials)
