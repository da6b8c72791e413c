"""Several scales with tuning: every rung is tuned on its own, and what is told at its recipes."""

import functools
from math import log2

import pytest

from swinablate.cli.wording.plan_text import promise
from swinablate.cli.wording.scale_text import rung_rows
from swinablate.records.home import Home
from swinablate.report import contents, render
from swinablate.report.families.total import families
from swinablate.report.tables import every_trial, open_parts
from swinablate.scheduling.ledger import choices, tries
from swinablate.study.noise.expected import Noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY
from tests.scheduling import test_ledger as one
from tests.scheduling.test_ledger import TABLE, planned, play, told

SCALE = """
[scale]
axis = "model.width"
levels = [8, 12, 16]
[compare]
rope = 0.5
"""
WOBBLE = (0.0, 0.2, -0.1)


def text(repeats, seeds=3):
    tune = TABLE.replace("trials = 7", f"trials = 3\nrepeats = {repeats}")
    study = STUDY.replace("seeds = 3\nbaseline_seeds = 3", f"seeds = {seeds}")
    return study + tune + SCALE


@pytest.fixture(scope="module")
def made_of(tmp_path_factory):
    """A plan takes a second or two, so that tests which ask for the same one share it."""

    @functools.cache
    def made(repeats, seeds=3):
        folder = tmp_path_factory.mktemp("study")
        (folder / "base.toml").write_text(RECIPE)
        (folder / "study.toml").write_text(text(repeats, seeds))
        return planned(folder / "study.toml")

    return made


def width(trial):
    return trial.recipe.model.width


@pytest.fixture(autouse=True)
def worth(monkeypatch):
    """No recipe suits as it is, wide networks want small rates; tuned, the arm's cost grows."""

    def validation(trial):
        lr = trial.recipe.train.lr
        return 0 if lr == 3e-3 else 50 + (1000 if width(trial) < 16 else -1000) * lr

    def accuracy(trial):
        tuned = trial.recipe.train.lr != 3e-3
        shifted = trial.arm.startswith("shift")
        cost = 2.0 + 2.0 * log2(width(trial) / 8) if tuned else 1.0
        return 90 - shifted * cost + WOBBLE[(2 * trial.seed + width(trial) + shifted) % 3]

    monkeypatch.setattr(one, "validation", validation)
    monkeypatch.setattr(one, "test_accuracy", accuracy)


def test_every_rung_has_tries_of_its_own_and_its_own_choice(made_of):
    made = made_of('"seed"')
    declared, recorded = play(made)
    assert len(made.arms) == 6
    best = choices(declared, recorded)
    assert {arm for arm, _ in best} == {arm.name for arm in made.arms}
    for arm in made.arms:
        for repeat in range(3):
            found = tries(declared, arm.name, recorded, repeat)
            assert [each.status for each in found] == ["done"] * 3
            assert all(
                recorded[trial].recipe["model"]["width"] == arm.recipe.model.width
                for trial in best[arm.name, repeat].finals
            )
    rates = [best["baseline" + after, 0].params["train.lr"] for after in ("", " at width=16")]
    assert rates[0] > rates[1]


def test_a_trend_is_told_at_the_arms_own_recipes_and_at_tuned_ones(made_of, tmp_path):
    made = made_of('"seed"')
    declared, recorded = play(made)
    answer = told(Home(tmp_path / "home"), made, declared, recorded)
    fixed, tuned = answer.verdicts["scale"]
    assert (fixed["arm"], fixed["basis"]) == ("shift=false", "fixed")
    assert (tuned["arm"], tuned["basis"], tuned["n"]) == ("shift=false, tuned", "tuned", 3)
    best = choices(declared, recorded)
    for at, after in zip(tuned["rungs"], ("", " at width=12", " at width=16"), strict=True):
        gaps = []
        for repeat in range(3):
            (ours,) = best[f"shift=false{after}", repeat].finals
            (theirs,) = best[f"baseline{after}", repeat].finals
            gaps.append(
                recorded[ours].metrics["test/accuracy"] - recorded[theirs].metrics["test/accuracy"]
            )
        assert at["effect"] == pytest.approx(sum(gaps) / 3)
        assert at["chosen"]["baseline"] == [
            dict(best[f"baseline{after}", repeat].params) for repeat in range(3)
        ]
    assert tuned["slope"] < -0.5 < fixed["slope"]
    assert tuned["answer"] == "grows"
    assert "the slopes of tuned arms" in families(answer.verdicts)
    assert open_parts(answer) == []
    rows = every_trial(answer)
    assert set(rows[rows.basis.isin(["tuned", "both"])].arm) == {arm.name for arm in made.arms}
    files = contents(answer)
    page = files["index.html"].decode().replace("<wbr>", "")
    section = page[page.index('<h2 id="scale">') : page.index('<h2 id="arms">')]
    assert "Arms were tuned at every rung" in section
    assert "shift=false, tuned" in section
    assert "lr = " in section
    assert "shift=false, tuned" in files["report.md"].decode()
    assert "shift=false, tuned" in files["tables/scale.csv"].decode()


def test_after_one_tuning_there_are_numbers_and_no_answer(made_of, tmp_path):
    made = made_of("1")
    answer = told(Home(tmp_path / "home"), made, *play(made))
    _, tuned = answer.verdicts["scale"]
    assert tuned["slope"] < 0
    assert (tuned["answer"], tuned["why"]) == (
        "cannot tell", "one tuning an arm: how lucky it was is in no interval",
    )  # fmt: skip
    assert "the slopes of tuned arms" not in families(answer.verdicts)


def test_the_seeds_of_one_tuning_are_one_result(made_of, tmp_path):
    made = made_of("3", seeds=6)
    declared, recorded = play(made)
    answer = told(Home(tmp_path / "home"), made, declared, recorded)
    _, tuned = answer.verdicts["scale"]
    assert (tuned["n"], tuned["planned"]) == (3, 3)
    assert "3 tunings at 3 rungs" in tuned["sentence"]


def test_while_a_rung_is_not_tuned_its_trend_is_pending(made_of, tmp_path):
    made = made_of('"seed"')
    declared, recorded = play(made)
    last = choices(declared, recorded)["shift=false at width=16", 2]
    del recorded[last.finals[0]]
    answer = told(Home(tmp_path / "home"), made, declared, recorded)
    fixed, tuned = answer.verdicts["scale"]
    assert not fixed["why"].startswith("pending")
    assert (tuned["answer"], tuned["why"]) == ("cannot tell", "pending: 1 trial missing")
    assert open_parts(answer) == ["scale"]
    render(answer, tmp_path / "report")
    assert (tmp_path / "report" / "report.md").read_text().startswith("# INTERIM")


def test_the_plan_counts_the_tries_of_every_rung(made_of):
    made = made_of('"seed"')
    assert made.tries == 6 * 3 * 3
    record = plan_record(made, {}, Noise(None, ""))
    said = " ".join(promise(record))
    assert sum(row[3] for row in rung_rows(record, None)) == made.most
    assert f"{made.fewest} to {made.most} trials" in said
    assert plan(made.study).declaration == made.declaration
