"""A report of a study that draws splits: components, words, and no figure that pools runs."""

from dataclasses import replace

import numpy as np
import pytest

from swinablate.report import contents
from swinablate.report.drawing.interval import mean
from swinablate.report.families.sources import sources, words
from swinablate.report.figures import classes, curves, forest, levels, noise, seeds
from swinablate.stats.seeds.components import components
from swinablate.study.declared import declaration
from tests.answers import levels as of_levels
from tests.answers import nested, recalled, study

SPLITS, EACH = 4, 3


def means(answer, arm, column="test_acc"):
    own = answer.trials[answer.trials.arm == arm].sort_values("seed")
    return own[column].to_numpy().reshape(SPLITS, EACH)


def over(answer, of):
    """The study as if its seeds were on splits."""
    arms = tuple(arm.model_copy(update={"splits": of}) for arm in answer.plan.arms)
    return replace(answer, plan=answer.plan.model_copy(update={"arms": arms}))


def test_components_are_those_of_arms_and_of_differences_on_the_same_seeds():
    answer = nested()
    block = answer.verdicts["noise"]
    assert (block["splits"], block["seeds"]) == (SPLITS, EACH)
    entries = {(one["name"], one["of"]): one for one in block["components"]}
    own, base = means(answer, "shift=false"), means(answer, "baseline")
    for values, kind in ((own, "arm"), (own - base, "difference")):
        found, told = components(list(values)), entries["shift=false", kind]
        assert told["split"]["sd"] == pytest.approx(found.split.variance**0.5)
        assert told["training"]["high"] == pytest.approx(found.training.high**0.5)
        assert told["split_share"]["low"] == pytest.approx(found.share.low)
        assert (told["splits"], told["runs"]) == (SPLITS, SPLITS * EACH)
    # what a split does to both arms alike is in every arm, and in no difference
    assert entries["shift=false", "arm"]["split"]["sd"] > 0.6
    assert entries["shift=false", "difference"]["split"]["sd"] < 0.5
    assert len(block["components"]) == 8 + 7


def test_intervals_say_what_they_hold_over():
    answer = nested()
    for arm in answer.verdicts["arms"]:
        assert "over training seeds and data splits" in arm["sentence"]
        assert (arm["pairs"], arm["n"], arm["runs"]) == (SPLITS, SPLITS, SPLITS * EACH)
    files = contents(answer)
    page, text = files["index.html"].decode(), files["report.md"].decode()
    for said in (page, text):
        assert "over training seeds and data splits" in said
        assert "one standard deviation over splits, of their means" in said
        assert "between trainings on one split" in said
    assert "4/12" not in text
    assert "tables/noise.csv" in files


def test_one_source_says_that_it_is_this_split_only():
    answer = study()
    drawn = answer.plan.noise.model_copy(update={"sources": ("training",)})
    plan = answer.plan.model_copy(update={"noise": drawn})
    declared = declaration(plan, answer.trials)
    assert declared.units.over == "over training seeds, on this split only"
    block = sources(plan, declared, answer.trials)["noise"]
    assert (block["splits"], block["over"]) == (1, declared.units.over)
    first = block["components"][0]
    sd = answer.trials[answer.trials.arm == "baseline"].test_acc.std()
    assert (first["training"]["sd"], first["split"]["sd"]) == (pytest.approx(sd), None)
    assert "on one split" in words({**answer.verdicts, "noise": block})[0]


def test_a_study_that_does_not_say_has_no_such_block():
    answer = study()
    assert sources(answer.plan, declaration(answer.plan, answer.trials), answer.trials) == {}
    assert words(answer.verdicts) == []
    assert not noise.FIGURE.applies(answer)


def test_what_is_drawn_of_a_mean_is_its_interval_over_splits():
    answer = nested()
    split = means(answer, "shift=false").mean(axis=1)
    wanted = mean(split.tolist(), 0.95)
    row = seeds.table(answer).query("mark == 'mean' and arm == 'shift=false'").iloc[0]
    assert (row.low, row.high) == pytest.approx((wanted.low, wanted.high))
    assert (row.n, row.seeds) == (SPLITS, SPLITS)
    drawn = forest.table(answer).query("mark == 'interval' and arm == 'shift=false'").iloc[0]
    assert (drawn.n, drawn.seeds) == (SPLITS, SPLITS)
    last = curves.table(answer).query("mark == 'mean' and arm == 'shift=false'").iloc[-1]
    assert last.n == SPLITS


def test_ticks_of_the_forest_are_what_its_intervals_are_made_of():
    answer = nested()
    rows = forest.table(answer)
    for arm in answer.verdicts["arms"]:
        mine = rows[(rows["mark"] == "seed") & (rows.arm == arm["name"])]
        gaps = means(answer, arm["name"]).mean(axis=1) - means(answer, "baseline").mean(axis=1)
        assert sorted(mine.delta_pp) == pytest.approx(sorted(gaps))
        assert mine.delta_pp.mean() == pytest.approx(arm["delta_pp"])
    label = forest.draw(rows).axes[0].get_xlabel()
    assert "n = 4 splits)" in label
    assert label.endswith("ticks: differences within splits")
    texts = [text.get_text() for text in seeds.draw(seeds.table(answer)).axes[0].texts]
    assert "splits" in texts
    assert "n" not in texts


def test_levels_and_classes_have_intervals_over_splits():
    answer = over(of_levels(), {"0": 0, "1": 0, "2": 1, "3": 1, "4": 2})
    assert set(levels.table(answer).n) == {3}
    found = classes.table(over(recalled(), {str(k): k // 2 for k in range(10)}))
    assert set(found.n) == {3}


def test_the_figure_has_both_sources_and_what_leaves_its_axis_is_marked():
    rows = noise.table(nested())
    assert [*rows.source[:2]] == ["training", "split"]
    assert np.isfinite(rows.sd).all()
    assert (rows.low <= rows.sd).all()
    assert (rows.sd <= rows.high).all()
