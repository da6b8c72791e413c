"""Declared contrasts, and arms against others, at tuned recipes: families, words, pages."""

import csv

import pytest

from swinablate.records.home import Home
from swinablate.report import render
from swinablate.report.families.total import families
from tests.scheduling import test_ledger as one
from tests.scheduling.test_ledger import BASE, SHIFTED, play, told
from tests.scheduling.test_repeats import planned, repeated

NORM, TWIN = "norm=batch", "twin"
MORE = """
[[arms]]
name = "twin"
changes = { "model.shift" = false, "model.norm" = "batch" }
against = "norm=batch"

[[contrasts]]
name = "gap"
of = { "shift=false" = 1, "norm=batch" = -1 }

[[contrasts]]
name = "together"
of = { "twin" = 1, "shift=false" = -1, "norm=batch" = -1, "baseline" = 1 }
"""
TUNED = {BASE: 93.0, SHIFTED: 96.0, NORM: 90.0, TWIN: 99.0}
WOBBLE = (0.0, 0.4, -0.3, 0.1, -0.2, 0.3)


def study(repeats, seeds):
    text = repeated(repeats, seeds).replace("[false]", '[false]\n"model.norm" = ["batch"]')
    return text + MORE


@pytest.fixture
def answered(write, tmp_path, monkeypatch):
    """Play a study whose tuned arms have known means; its answer."""

    def accuracy(trial):
        wobble = WOBBLE[(2 * trial.seed + len(trial.arm)) % 6]
        fixed = trial.recipe.train.lr == 3e-3
        return (90.0 if fixed else TUNED[trial.arm]) + wobble

    monkeypatch.setattr(one, "test_accuracy", accuracy)

    def answer(repeats, seeds="seeds = 6\nbaseline_seeds = 6", status=lambda trial: "done"):
        made = planned(write(study(repeats, seeds)))
        return told(Home(tmp_path / "home"), made, *play(made, status))

    return answer


def tuned(answer):
    return {c["name"]: c for c in answer.verdicts["contrasts"] if c["basis"] == "tuned"}


@pytest.mark.parametrize(("repeats", "many"), [('"seed"', 6), ("3", 3)])
def test_independent_tunings_judge_every_comparison_that_was_declared(answered, repeats, many):
    answer = answered(repeats)
    found = tuned(answer)
    assert {name: c["family"] for name, c in found.items()} == {
        f"{SHIFTED}, tuned": "tuned",
        f"{NORM}, tuned": "tuned",
        f"{TWIN}, tuned": "tuned contrasts",
        "gap, tuned": "tuned contrasts",
        "together, tuned": "tuned contrasts",
    }
    assert found["gap, tuned"]["weights"] == {SHIFTED: 1, NORM: -1}
    assert found["gap, tuned"]["delta_pp"] == pytest.approx(6.0, abs=0.6)
    assert found["together, tuned"]["delta_pp"] == pytest.approx(6.0, abs=0.6)
    assert found[f"{TWIN}, tuned"]["weights"] == {TWIN: 1, NORM: -1}
    assert {c["verdict"] for n, c in found.items() if NORM not in n} == {"better"}
    assert found[f"{NORM}, tuned"]["verdict"] == "worse"
    text = found["gap, tuned"]["sentence"]
    assert text.startswith("gap, tuned: better, above 0 (")
    assert text.endswith(f"; shift=false - norm=batch, {many} tunings an arm).")
    assert "the declared contrasts of tuned arms" in families(answer.verdicts)


def test_each_family_is_corrected_for_itself_alone(answered):
    found = tuned(answered('"seed"'))
    arms = [c for c in found.values() if c["family"] == "tuned"]
    # A family of three has wider intervals than one of two, for the same standard error.
    width = {n: (c["ci_high"] - c["ci_low"]) / 2 / c["se"] for n, c in found.items()}
    assert len(arms) == 2
    assert width["gap, tuned"] > width[f"{SHIFTED}, tuned"] * 1.03


def test_after_one_tuning_contrasts_have_no_word_either(answered, tmp_path):
    answer = answered("1")
    found = tuned(answer)
    assert {c["verdict"] for c in found.values()} == {"undecided"}
    assert {c["reason"] for c in found.values()} == {
        "one tuning an arm: how lucky it was is in no interval"
    }
    assert found["gap, tuned"]["sentence"].startswith(
        "Of the recipes that one tuning found for each arm, shift=false - norm=batch is +6."
    )
    render(answer, tmp_path / "report")
    page = (tmp_path / "report/index.html").read_text()
    section = page[page.index("Declared contrasts of tuned arms") :]
    assert "none: given the recipes found" in section[: section.index("</table>")]


def test_the_report_has_them_beside_those_at_the_fixed_recipes(answered, tmp_path):
    answer = answered('"seed"')
    render(answer, tmp_path / "report")
    text = (tmp_path / "report/report.md").read_text()
    assert "### Declared contrasts of tuned arms" in text
    assert "- gap, tuned: better, above 0 (" in text
    page = (tmp_path / "report/index.html").read_text()
    assert page.count("together, tuned: better") == 1  # no finding of the fixed recipes
    rows = csv.DictReader((tmp_path / "report/tables/contrasts.csv").read_text().splitlines())
    assert [row["contrast"] for row in rows] == [TWIN, "gap", "together"]


def test_contrasts_of_an_arm_that_lost_seeds_of_a_tuning_have_no_word(answered):
    def ends(trial):
        away = trial.kind == "final" and trial.recipe.train.lr != 3e-3
        return "diverged" if away and (trial.arm, trial.seed) == (SHIFTED, 4) else "done"

    found = tuned(answered("3", status=ends))
    why = "some, not all, seeds of a tuning of shift=false diverged"
    for name in ("gap, tuned", "together, tuned"):
        assert (found[name]["verdict"], found[name]["reason"]) == ("undecided", why)
        assert f"undecided, because {why}" in found[name]["sentence"]
    assert found[f"{TWIN}, tuned"]["verdict"] == "better"


def test_an_arm_whose_tuned_seeds_all_diverge_fails_beside_the_arm_it_is_against(answered):
    def ends(trial):
        away = trial.kind == "final" and trial.recipe.train.lr != 3e-3
        return "diverged" if away and trial.arm == TWIN else "done"

    found = tuned(answered('"seed"', status=ends))
    assert found[f"{TWIN}, tuned"]["verdict"] == "fails to train"
    assert found["together, tuned"]["verdict"] == "undecided"
    assert found["gap, tuned"]["verdict"] == "better"
