"""An effect over scales: its line against scipy and statsmodels, its answers, its error rates."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import t, ttest_1samp

from benchmarks.programs.scale import CLIMBS, WORLDS, World, climbed, row
from swinablate.stats.comparisons.line import PRIOR
from swinablate.stats.comparisons.trend import NO_LINE, Asked, trend, visible
from swinablate.stats.sequential.spending import nominal
from swinablate.stats.sequential.trends import Climb, trends_at_looks

VALUES = [34_710.0, 76_582.0, 134_838.0, 300_502.0]
X = np.log2(VALUES)
ASKED = Asked(alpha=0.05, rope=0.5)


def drawn(line, *, seeds=6, sd=0.4, number=0, r=4):
    """(n, r) differences around the effects of a line."""
    chance = np.random.default_rng(number)
    return np.asarray(line(X[:r] - X[0])) + np.asarray(sd) * chance.standard_normal((seeds, r))


def weighed(table, x=X):
    """numpy's weighted line through means of seeds, and its error when each is left out once."""

    def fit(rows):
        logs, free = np.log(rows.var(axis=0, ddof=1)), len(rows) - 1
        weights = np.exp(-(free * logs + PRIOR * logs.mean()) / (free + PRIOR))
        return np.polyfit(x, rows.mean(axis=0), 1, w=weights**0.5)

    without = np.array([fit(np.delete(table, k, axis=0)) for k in range(len(table))])
    return fit(table), (len(table) - 1) * np.cov(without.T, ddof=0)


def test_a_slope_weighs_rungs_by_precision_and_is_told_by_leaving_out_seeds():
    table = drawn(lambda x: -1 - 0.4 * x, sd=[1.2, 0.4, 0.4, 0.2])
    (slope, _), errors = weighed(table)
    found = trend(table, VALUES, ASKED)
    half = t.ppf(0.975, 5) * errors[0, 0] ** 0.5
    assert found.slope == pytest.approx(slope)
    assert (found.ci_low, found.ci_high) == pytest.approx((slope - half, slope + half))
    for at, own in zip(found.effects, table.T, strict=True):
        theirs = ttest_1samp(own, 0).confidence_interval(0.95)
        assert (at.effect, at.low, at.high) == pytest.approx((own.mean(), theirs.low, theirs.high))


def test_of_two_rungs_no_weight_matters():
    """Every line goes through both: Student's interval of the slopes of the seeds."""
    table = drawn(lambda x: -1 - 0.4 * x, r=2, sd=[2, 0.4])
    theirs = ttest_1samp(np.polyfit(X[:2], table.T, 1)[0], 0).confidence_interval(0.95)
    found = trend(table, VALUES[:2], ASKED)
    assert (found.ci_low, found.ci_high) == pytest.approx((theirs.low, theirs.high))


def test_a_noisy_rung_costs_a_slope_less_than_where_all_weigh_the_same():
    table = drawn(lambda x: -1 - 0.4 * x, seeds=12, sd=[2.4, 0.4, 0.4, 0.4])
    even = ttest_1samp(np.polyfit(X, table.T, 1)[0], 0).confidence_interval(0.95)
    found = trend(table, VALUES, ASKED)
    assert found.ci_high - found.ci_low < 0.8 * (even.high - even.low)


def test_seeds_that_are_all_alike_at_one_rung_do_not_outweigh_all_others():
    table = drawn(lambda x: -1 - 0.4 * x)
    table[:, 3] = -3.0
    found = trend(table, VALUES, ASKED)
    assert np.isfinite([found.slope, found.ci_low, found.ci_high]).all()
    almost = trend(table + [0, 0, 0, 1e-9] * np.arange(6)[:, None], VALUES, ASKED)
    assert almost.slope == pytest.approx(found.slope)


def test_arms_together_have_wider_intervals_and_the_same_prediction():
    table = drawn(lambda x: -1 - 0.4 * x)
    one, five = (
        trend(table, VALUES, Asked(alpha=0.05, comparisons=m, ahead=1.2e6)) for m in (1, 5)
    )
    wider = t.ppf(1 - 0.05 / 10, 5) / t.ppf(0.975, 5)
    assert five.ci_high - five.slope == pytest.approx(wider * (one.ci_high - one.slope))
    assert five.line[0].low < one.line[0].low
    assert five.predicted == one.predicted


def test_the_prediction_is_that_of_a_regression_over_the_rungs():
    table = drawn(lambda x: np.array([-1.0, -2.5, -1.5, -3.0]), sd=0.2)  # far off any line
    table = table - table.mean(axis=0)
    table = table / table.std(axis=0) * 0.2 + [-1.0, -2.5, -1.5, -3.0]  # all equally noisy
    found = trend(table, VALUES, Asked(alpha=0.05, ahead=1.2e6)).predicted
    fit = sm.OLS(table.mean(axis=0), sm.add_constant(X)).fit()
    theirs = fit.get_prediction([1, np.log2(1.2e6)]).summary_frame(alpha=0.05)
    said = (theirs["mean"][0], theirs.obs_ci_lower[0], theirs.obs_ci_upper[0])
    assert (found.effect, found.low, found.high) == pytest.approx(said)


def test_rungs_that_lie_on_a_line_by_chance_are_not_trusted_more_than_the_seeds():
    table = drawn(lambda x: -1 - 0.4 * x)
    table += (-1 - 0.4 * (X - X[0])) - table.mean(axis=0)  # no effect off the line
    found = trend(table, VALUES, Asked(alpha=0.05, ahead=1.2e6)).predicted
    line, errors = weighed(table)
    there = np.array([np.log2(1.2e6), 1.0])
    half = t.ppf(0.975, 5) * (there @ errors @ there) ** 0.5
    assert (found.low, found.high) == pytest.approx((there @ line - half, there @ line + half))


def test_three_rungs_are_tested_for_a_bend_as_one_contrast():
    table = drawn(lambda x: np.array([0.0, 1.0, 0.2]), r=3, sd=0.8)
    x = X[:3]
    bend = np.linalg.svd(np.stack([np.ones(3), x]))[2][2]  # orthogonal to every line
    found = trend(table, VALUES[:3], Asked(alpha=0.05, ahead=1.2e6))
    assert found.p_fit == pytest.approx(ttest_1samp(table @ bend, 0).pvalue)
    assert found.predicted is None  # which takes four


def test_two_rungs_have_a_slope_and_nothing_that_could_reject_it():
    found = trend(drawn(lambda x: -1 - 1.0 * x, r=2), VALUES[:2], Asked(alpha=0.05, ahead=1.2e6))
    assert (found.p_fit, found.predicted, found.held_out) == (None, None, None)
    assert found.answer == "grows"


def test_the_largest_of_five_rungs_is_held_out_and_predicted_from_the_others():
    values = [*VALUES, 1.2e6]
    x = np.log2(values) - X[0]
    chance = np.random.default_rng(1)
    table = -1 - 0.4 * x + 0.3 * chance.standard_normal((6, 5))
    found = trend(table, values, Asked(alpha=0.05)).held_out
    alone = trend(table[:, :4], VALUES, Asked(alpha=0.05, ahead=1.2e6)).predicted
    assert found.predicted == alone
    assert found.measured.effect == pytest.approx(table[:, 4].mean())
    assert found.hit
    table[:, 4] += 50
    assert not trend(table, values, Asked(alpha=0.05)).held_out.hit


@pytest.mark.parametrize(
    ("line", "answer", "why"),
    [
        (lambda x: -1 - 0.8 * x, "grows", ""),
        (lambda x: 1 + 0.8 * x, "grows", ""),
        (lambda x: -4 + 0.8 * x, "shrinks", ""),
        (lambda x: 4 - 0.8 * x, "shrinks", ""),
        (lambda x: 1.5 - x, "reverses", ""),
        (lambda x: -1 + 0 * x, "holds", ""),
        (lambda x: 0 * x, "holds", ""),
        (lambda x: np.array([-1, 3, 3, -1]), "cannot tell", "lie on no line"),
    ],
)  # fmt: skip
def test_answers(line, answer, why):
    found = trend(drawn(line, seeds=12, sd=0.2, number=2), VALUES, ASKED)
    assert found.answer == answer
    assert why in found.why
    assert not found.negligible


def test_a_slope_that_is_seen_and_does_not_matter_is_negligible():
    found = trend(drawn(lambda x: -1 - 0.1 * x, seeds=40, sd=0.1), VALUES, ASKED)
    assert (found.answer, found.negligible) == ("grows", True)


def test_what_is_not_ruled_out_is_not_told():
    noisy = drawn(lambda x: -1 + 0 * x, seeds=4, sd=2.0)
    assert trend(noisy, VALUES, ASKED).why == (
        "the slope may be 0, and a change that matters is not ruled out"
    )
    quiet = drawn(lambda x: -1 + 0 * x, seeds=12, sd=0.2, number=2)
    bare = trend(quiet, VALUES, Asked(alpha=0.05))
    assert (bare.answer, bare.why) == (
        "cannot tell",
        "the slope may be 0, and no rope says which change matters",
    )


def test_two_seeds_and_seeds_that_are_all_alike_say_nothing():
    few = trend(drawn(lambda x: -1 - x, seeds=2), VALUES, ASKED)
    assert (few.answer, few.slope) == ("cannot tell", None)
    assert few.why == "fewer than 3 seeds ended at every rung"
    alike = trend(np.full((5, 4), -1.0), VALUES, ASKED)
    assert (alike.answer, alike.why) == ("cannot tell", "no seed differs from another")
    assert trend(np.empty((0, 4)), VALUES, ASKED).n == 0


def test_no_smaller_noise_is_believed_than_rounding_leaves():
    table = drawn(lambda x: -1 - 0.4 * x, sd=1e-6)
    apart = X - X.mean()
    half = t.ppf(0.975, 5) * (2 * 0.1**2 / 6 / (apart @ apart)) ** 0.5
    found = trend(table, VALUES, Asked(alpha=0.05, floor=0.1))
    assert found.ci_high - found.slope == pytest.approx(half, rel=1e-3)


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ([[1.0]], [1.0]),
        ([[1.0, 2.0]], [1.0]),
        ([[1.0, np.nan]], [1.0, 2.0]),
        ([[1.0, 2.0]], [2.0, 1.0]),
        ([[1.0, 2.0]], [0.0, 1.0]),
    ],
)
def test_what_is_no_trend_is_refused(table, values):
    with pytest.raises(ValueError, match="rung"):
        trend(table, values, ASKED)


def test_a_plan_sees_the_slope_that_known_noise_leaves():
    """The closed form, and the numbers that a plan of four widths and 8 seeds is known for."""
    apart = X - X.mean()
    slope, ahead = visible(VALUES, 8, 0.97, 1_190_710.0, alpha=0.05)
    assert slope == pytest.approx(1.959964 * 2**0.5 * 0.97 / (8 * apart @ apart) ** 0.5)
    # Said elsewhere as .43 and 1.6, with 2 standard errors in place of 1.96.
    assert (round(slope * 2 / 1.96, 2), round(ahead * 2 / 1.96, 1)) == (0.43, 1.6)
    less, near = visible(VALUES, 8, 0.4, 1_190_710.0, alpha=0.05)
    assert (round(less * 2 / 1.96, 2), round(near * 2 / 1.96, 2)) == (0.18, 0.65)
    assert visible(VALUES, 8, 0.97, None, alpha=0.05)[1] is None


LOOKS = (3, 5, 8)


def climb(line, *, seeds=8, sd=0.4, number=0):
    return Climb(table=drawn(line, seeds=seeds, sd=sd, number=number), values=VALUES)


def test_at_a_look_the_levels_are_what_the_looks_leave_of_the_error_rate():
    one = climb(lambda x: -1 - 0.4 * x, seeds=3)
    asked = Asked(alpha=0.05, comparisons=2, rope=0.5, ahead=1.2e6, looks=LOOKS)
    found = trends_at_looks({"a": one}, asked).found["a"]
    alone = trend(one.table, VALUES, Asked(alpha=nominal(LOOKS, 0.025)[0]))
    assert (found.ci_low, found.ci_high) == pytest.approx((alone.ci_low, alone.ci_high))
    ends = trend(one.table, VALUES, Asked(alpha=2 * nominal(LOOKS, 0.0125)[0]))
    assert found.line[0].low == pytest.approx(ends.line[0].low)
    assert found.look == 3
    assert nominal(LOOKS, 0.025)[0] < 0.025 / 4


def test_what_is_told_stays_and_what_is_open_gets_the_seeds_of_the_next_look():
    clear = climb(lambda x: -1 - 3 * x, sd=0.05)
    open_ = climb(lambda x: -1 + 0 * x, sd=1.5, number=3)
    asked = Asked(alpha=0.05, comparisons=2, rope=0.5, looks=LOOKS)
    found = trends_at_looks({"clear": clear, "open": open_}, asked)
    assert (found.found["clear"].answer, found.found["clear"].look) == ("grows", 3)
    assert (found.wanted, found.open) == ({"clear": 3, "open": 8}, ())
    assert (found.found["open"].answer, found.found["open"].look) == ("cannot tell", 8)
    short = trends_at_looks(
        {"clear": clear, "open": Climb(table=open_.table[:6], values=VALUES)}, asked
    )
    assert (short.wanted, short.reached) == ({"clear": 3, "open": 8}, {"clear": 3, "open": 5})
    assert short.open == ("open",)
    # What is trained later is no part of what was told.
    other = Climb(table=np.vstack([clear.table[:3], clear.table[3:] + 9]), values=VALUES)
    assert (
        trends_at_looks({"clear": other, "open": open_}, asked).found["clear"]
        == (found.found["clear"])
    )


def test_rungs_that_lie_on_no_line_get_no_more_seeds_and_lost_seeds_count_as_had():
    bent = climb(lambda x: np.array([-1.0, 3.0, 3.0, -1.0]), sd=0.1)
    table = drawn(lambda x: -1 + 0 * x, sd=1.5, number=3)[:5]
    table[1, 2] = np.nan
    lost = Climb(table=table, values=VALUES)
    asked = Asked(alpha=0.05, rope=0.5, looks=LOOKS)
    found = trends_at_looks({"bent": bent, "lost": lost}, asked)
    assert (found.found["bent"].why, found.wanted["bent"]) == (NO_LINE, 3)
    assert (found.found["lost"].n, found.found["lost"].look) == (4, 5)
    assert trends_at_looks({}, asked).open == ()


QUICK = 400
ERROR = 100 * (0.05 * 0.95 / QUICK) ** 0.5
"""Of a rate of 95 %: 1.1."""


@pytest.mark.parametrize("rungs", [4, 5])
def test_intervals_of_linear_worlds_hold_as_often_as_they_say(rungs):
    """And by z too rarely: four standard errors either way. All: benchmarks/results/scale.md."""
    found = row(World("linear", rungs, 5), QUICK)
    assert abs(found["slope"] - 95) < 4 * ERROR
    assert found["predicted"] > 95 - 4 * ERROR
    assert found["true"] > 95 - 4 * ERROR
    assert found["z"] < 95 - 4 * ERROR
    assert found["no line"] < 5 + 4 * ERROR


def test_a_prediction_without_lack_of_fit_and_runs_pooled_fail():
    bent = row(World("bent", 4, 8, bend=1.0), QUICK)
    assert bent["predicted"] > 95 - 4 * ERROR
    assert bent["no lack of fit"] < 95 - 4 * ERROR
    assert abs(bent["slope"] - 95) < 4 * ERROR
    uneven = row(World("linear", 5, 5, uneven=4.0), QUICK)
    assert abs(uneven["slope"] - 95) < 4 * ERROR
    assert uneven["own"] < 95 - 4 * ERROR  # weights by variances that five seeds do not know
    assert uneven["wide"] < 1


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_every_world_of_the_table(world):
    """Four standard errors of 2,000 worlds, 2 points."""
    found = row(world, 2000)
    assert abs(found["slope"] - 95) < 2
    if world.kind != "saturating":
        assert found["predicted"] > 93
        assert found["true"] > 93
    assert found["wrong"] < 5


def test_looks_err_no_more_often_than_they_may_and_habits_do():
    """Three arms of no slope; four standard errors of 120 worlds, 8 points. More: benchmarks/results."""
    found = climbed(CLIMBS[1], 120)
    error = 100 * (0.05 * 0.95 / 120) ** 0.5
    assert found["looks wrong"] < 5 + 4 * error
    assert found["looks missed"] < 5 + 4 * error
    assert found["habit missed"] > 5 + 4 * error
    assert found["looks ahead"] > 95 - 4 * error


@pytest.mark.slow
@pytest.mark.parametrize("world", CLIMBS, ids=str)
def test_every_world_of_the_table_of_looks(world):
    """Four standard errors of 1,000 worlds, 2.8 points."""
    found = climbed(world, 1000)
    assert found["looks wrong"] < 7.8
    assert found["looks missed"] < 7.8
