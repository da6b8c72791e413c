"""Effects over data sets: what is said of them, and what figures have."""

import io
import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from swinablate.cli.app import main
from swinablate.report import contents
from swinablate.report.analyze import Question, analyze
from swinablate.report.drawing.files import saved
from swinablate.report.drawing.kinds import MORE
from swinablate.report.drawing.paper import Paper
from swinablate.report.families.datasets import (
    each_of,
    effect_rows,
    over,
    over_sets,
    profile_rows,
)
from swinablate.report.figures import datasets, profile
from swinablate.report.tables import every_trial, open_parts
from tests.answers import several

NAMES = ("digits", "shapes", "clothes", "letters", "signs", "maps")


def results(k: int, arms=None, better="higher", spread=0.4) -> str:
    """A table of five seeds of every arm on k data sets: one arm is better, one as good."""
    chance = np.random.default_rng(k)
    arms = arms or {"base": 0.0, "good": 3.0, "same": 0.0}
    lines = ["dataset,arm,seed,value"]
    for i, name in enumerate(NAMES[:k]):
        for arm, effect in arms.items():
            moved = effect * (1 + spread * (i % 3 - 1))
            values = 80.0 + 2 * i + moved + chance.normal(0, 0.3, 5)
            lines += [f"{name},{arm},{seed},{value:.4f}" for seed, value in enumerate(values)]
    return "\n".join(lines) + "\n"


@pytest.fixture
def judged(tmp_path):
    def asked(k: int, **question):
        (tmp_path / "r.csv").write_text(results(k))
        return analyze(tmp_path / "r.csv", Question(baseline="base", rope=1.0, **question))

    return asked


def test_analyze_says_what_holds_over_data_sets(judged):
    found = judged(3).to_json()
    good, same = found["over"]
    own = [found["datasets"][name]["arms"][0] for name in NAMES[:3]]
    assert [one["delta_pp"] for one in good["sets"]] == [one["delta_pp"] for one in own]
    assert [one["dataset"] for one in good["sets"]] == list(NAMES[:3])
    assert (good["arm"], good["k"], good["same_sign"]) == ("good", 3, 3)
    assert good["verdict"] == "undecided"  # two degrees of freedom, and effects of 1.8 to 4.2
    assert all(one["verdict"] == "better" for one in good["sets"])
    assert good["new_low"] < good["mean_pp"] < good["new_high"]
    assert good["sentence"].startswith("undecided: +2.98 pp over 3 data sets (")
    assert "on a new data set like these" in good["sentence"]
    assert (same["iqm_pp"], same["why"]) == (None, "")


def test_more_data_sets_decide_and_have_a_middle_half(judged):
    good, same = judged(6).to_json()["over"]
    assert (good["verdict"], same["verdict"]) == ("better", "equivalent")
    assert good["iqm_low"] < good["iqm_pp"] < good["iqm_high"]
    assert "the middle half of them +2.83 (+0.33 to +5.33)" in good["sentence"]


def test_two_data_sets_have_a_mean_and_no_word(judged):
    good, _ = judged(2).to_json()["over"]
    assert good["mean_pp"] == pytest.approx(np.mean([one["delta_pp"] for one in good["sets"]]))
    assert (good["verdict"], good["ci_low"], good["new_low"]) == (None, None, None)
    assert "no word is given" in good["sentence"]


def test_the_mean_is_of_data_sets_and_not_of_runs(tmp_path):
    """A hundred seeds of one data set weigh no more than five of another that differs as much."""
    text = results(3, spread=0.9).splitlines()
    chance = np.random.default_rng(1)
    more = [f"digits,{arm},{seed},{80 + at + chance.normal(0, 0.3):.4f}"
            for arm, at in (("base", 0), ("good", 0.3)) for seed in range(5, 100)]  # fmt: skip
    (tmp_path / "r.csv").write_text("\n".join([*text, *more]) + "\n")
    good = analyze(tmp_path / "r.csv", Question(baseline="base")).to_json()["over"][0]
    effects = [one["delta_pp"] for one in good["sets"]]
    assert good["mean_pp"] == pytest.approx(np.mean(effects), abs=0.1)
    assert good["ci_low"] < 0  # pooled, the interval of 105 runs would exclude it


def test_less_is_better_where_it_is_said():
    chance = np.random.default_rng(0)
    arm = {"name": "x", "n": 5, "se": 0.1, "ci_low": -1, "ci_high": -0.5, "verdict": "better",
           "negligible": False}  # fmt: skip
    one = {"alpha": 0.05, "rope_pp": None, "better": "lower", "unit": "none", "metric": "loss",
           "method": "", "baseline": {"name": "b", "mean": 2.0, "sd": 0.1}}  # fmt: skip
    judged = {
        name: {**one, "arms": [{**arm, "delta_pp": -0.8 + chance.normal(0, 0.05)}]}
        for name in NAMES[:4]
    }
    assert over(judged)[0]["verdict"] == "better"
    assert over(judged, "pending: 2 trials missing")[0]["verdict"] == "pending"
    gone = {name: {**own, "arms": []} for name, own in judged.items()}
    alone = {**gone, "digits": judged["digits"]}
    (left,) = over(alone)
    assert (left["k"], left["verdict"]) == (1, None)
    assert left["sentence"] == "an effect and its error are known on 1 data set."


def test_profiles_weigh_data_sets_alike_and_need_five(judged):
    assert not len(profile_rows(judged(4).answers))
    answers = judged(6).answers
    rows = profile_rows(answers)
    assert list(dict.fromkeys(rows.arm)) == ["base", "good", "same"]
    good = rows[rows.arm == "good"]
    assert good.share.is_monotonic_decreasing
    assert good.share.iloc[0] == pytest.approx(1.0)
    gains = [
        (value - answer.verdicts["baseline"]["mean"], 1 / 30)
        for answer in answers.values()
        for value in answer.observed["good"]
    ]
    at = float(good.gain.iloc[12])
    expected = math.fsum(weight for gain, weight in gains if gain >= at)
    assert good.share.iloc[12] == pytest.approx(expected)


@pytest.mark.parametrize("k", [2, 3, 6])
@pytest.mark.parametrize("width", [None, 3.25, 6.75])
def test_figures_draw_their_tables(judged, k, width):
    found = judged(k)
    rows = effect_rows(found.to_json()["over"], next(iter(found.answers.values())).verdicts)
    assert len(rows) == 2 * (k + 1)
    assert saved(datasets.FIGURE, rows, "datasets", "png", Paper(width)).startswith(b"\x89PNG")
    if k == 6:
        drawn = saved(profile.FIGURE, profile_rows(found.answers), "p", "png", Paper(width))
        assert drawn.startswith(b"\x89PNG")


def test_analyze_writes_a_report_over_data_sets_beside_those_of_each(tmp_path, capsys):
    (tmp_path / "r.csv").write_text(results(6))
    out = tmp_path / "out"
    words = ["analyze", str(tmp_path / "r.csv"), "--baseline", "base", "--out", str(out)]
    for _ in range(2):  # the second time over its own files
        assert main(words) == 0
    said = capsys.readouterr()
    assert "Over the data sets, one effect of each" in said.out
    folder = out / "over-data-sets"
    assert str(folder / "index.html") in said.err
    found = json.loads((folder / "compare.json").read_text())
    assert [one["arm"] for one in found["datasets"]] == ["good", "same"]
    page = (folder / "index.html").read_text()
    assert "Effects over the data sets" in page
    assert "Performance profiles" in page
    assert len(pd.read_csv(folder / "tables" / "datasets.csv")) == 2 * 7
    assert (out / "digits" / "index.html").is_file()


def test_a_report_over_data_sets_says_all_and_everything_else_is_about_home():
    answer = several()
    files = contents(answer)
    text, page = files["report.md"].decode(), files["index.html"].decode().replace("<wbr>", "")
    assert "## Data sets" in text
    assert "the arms on usps" not in text
    assert "the arms on shapes; the arms on fashion\\_mnist" in text
    assert "the means over data sets" in text
    shift, norm, same = answer.verdicts["datasets"]
    assert [one["verdict"] for one in (shift, norm, same)] == ["worse", "undecided", "equivalent"]
    assert [own["verdict"] for own in norm["sets"]][::4] == ["better", "worse"]
    assert (norm["k"], len(norm["sets"])) == (5, 5)
    section = page[page.index('<h2 id="datasets">') : page.index('<h2 id="arms">')]
    assert "middle half" in section
    assert "Performance profiles" in section
    assert {"figures/datasets.svg", "tables/profile.csv"} <= files.keys()
    arms = pd.read_csv(io.BytesIO(files["tables/arms.csv"])).arm
    assert list(arms) == ["baseline", "shift=false", 'norm="batch"', "window=4"]


def test_while_trials_are_missing_there_is_no_word():
    answer = several()
    rows = every_trial(answer).copy()
    gone = (rows.arm == "window=4 on kmnist") & (rows.seed == 1)
    rows.loc[gone, ["status", "test_acc"]] = ["waiting", None]
    sets = each_of(answer.planned, rows)
    found = over_sets(answer.planned, sets)["datasets"]
    assert [one["verdict"] for one in found] == ["pending"] * 3
    assert found[0]["why"] == "1 trial missing"
    assert found[0]["sentence"].startswith("pending (1 trial missing): -1.")
    waiting = replace(answer, away=rows[rows.arm.isin(answer.away.arm)])
    assert open_parts(waiting) == ["datasets"]
    assert "The arms on digits are complete" in contents(waiting)["index.html"].decode()


def test_an_arm_that_failed_everywhere_on_a_data_set_has_the_others():
    answer = several()
    rows = every_trial(answer).copy()
    gone = rows.arm == "shift=false on kmnist"
    rows.loc[gone, ["status", "test_acc"]] = ["failed", None]
    shift, norm, _ = over_sets(answer.planned, each_of(answer.planned, rows))["datasets"]
    assert (shift["k"], len(shift["sets"]), norm["k"]) == (4, 5, 5)
    assert shift["iqm_pp"] is None


@pytest.mark.parametrize(
    ("status", "lost", "why"),
    [
        ("diverged", 5, "it fails to train on letters"),
        (
            "failed",
            1,
            "there is no verdict on letters: good failed on 1 of 5 seeds: run them again where they were trained",
        ),
    ],
)
def test_a_data_set_that_an_arm_lost_leaves_it_without_a_word_over_all(
    tmp_path, status, lost, why
):
    """The mean of those that went well says nothing of all: 3 better and 1 that does not train."""
    rows = results(4, {"base": 0.0, "good": 3.0, "also": 3.0}, spread=0.01).splitlines()
    text = [f"{rows[0]},status"]
    for row in rows[1:]:
        dataset, arm, seed, _ = row.split(",")
        gone = (dataset, arm) == ("letters", "good") and int(seed) < lost
        text.append(f"{row},done" if not gone else f"{dataset},{arm},{seed},,{status}")
    (tmp_path / "r.csv").write_text("\n".join(text) + "\n")
    good, also = analyze(tmp_path / "r.csv", Question(baseline="base")).to_json()["over"]
    assert (also["verdict"], also["why"]) == ("better", "")
    assert (good["verdict"], good["why"]) == ("undecided", why)
    assert good["mean_pp"] == pytest.approx(3.0, abs=0.3)
    assert good["sentence"].startswith(f"undecided ({why}): +")
    assert ("over 3 of 4 data sets" in good["sentence"]) == (lost == 5)
    assert "over 4 data sets" in also["sentence"]


def test_no_two_data_sets_look_alike():
    looks = [datasets._look(i) for i in range(64)]
    assert looks[:8] == list(MORE)
    assert len({(look.marker, look.colour) for look in looks}) == 64
