"""Percentages compared by their odds: by hand, in a table, by simulation."""

import math

import numpy as np
import pandas as pd
import pytest

from swinablate.records.plan import ArmRecord, CompareRecord, PlanRecord
from swinablate.records.tables import TRIALS, log_odds, valued
from swinablate.report.answer import judge
from swinablate.report.families.scales import scale_decides
from swinablate.scheduling.due import State, due
from swinablate.stats.comparisons.factorial import factorial
from swinablate.stats.estimate import Cells, estimate
from swinablate.study.declared import declaration
from swinablate.text import LOG_ODDS, error_ratio

IMAGES = 10_000
GRID = {
    "baseline": {}, "a": {"model.a": 1}, "b": {"model.b": 1}, "a, b": {"model.a": 1, "model.b": 1},
}  # fmt: skip
HALVED = {"baseline": 0.02, "a": 0.01, "b": 0.01, "a, b": 0.005}
"""Error rates: each of two changes halves the errors, whatever the other does."""
SD = 0.08
"""Of the logarithm of an arm's error rate over seeds: 98.00 % become 97.84 to 98.15 %."""
ALPHA = 0.05


def test_the_empirical_logit_by_hand():
    # 3 of 4 right: log(3.5 / 1.5); all of 4: log(4.5 / 0.5); none: the same, negative.
    assert log_odds(75.0, 4) == pytest.approx(math.log(3.5 / 1.5))
    assert log_odds(100.0, 4) == pytest.approx(math.log(9))
    assert log_odds(0.0, 4) == pytest.approx(-math.log(9))
    # A float of a percentage is the whole number of images it was made of.
    assert log_odds(100 * float(np.float32(2 / 3)), 3) == pytest.approx(math.log(2.5 / 1.5))


def test_error_ratios_by_hand():
    assert error_ratio(math.log(2), math.log(1.5), math.log(3)) == "errors x 0.50 [0.33, 0.67]"
    assert error_ratio(-math.log(2)) == "errors x 2.00"
    assert error_ratio(None) == ""


def table(errors: dict[str, list[int]]) -> pd.DataFrame:
    rows = [
        {"arm": arm, "seed": seed, "trial": f"{arm}{seed}", "status": "done", "kind": "final",
         "test_acc": 100 * (1 - wrong / IMAGES), "test_images": IMAGES}
        for arm, found in errors.items()
        for seed, wrong in enumerate(found)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(TRIALS))


def record(scale: str, seeds: int = 4, rope: float | None = None) -> PlanRecord:
    arms = [
        ArmRecord(name=name, changes=at, cell=True, seeds=tuple(range(seeds)),
                  trials=tuple(f"{name}{k}" for k in range(seeds)), image={"classes": 10})
        for name, at in GRID.items()
    ]  # fmt: skip
    return PlanRecord(
        design="factorial",
        axes={"model.a": (1,), "model.b": (1,)},
        arms=tuple(arms),
        compare=CompareRecord(scale=scale, rope=rope),
    )


ERRORS = {
    "baseline": [200, 205, 195, 202], "a": [100, 103, 98, 101], "b": [101, 97, 100, 104],
    "a, b": [50, 49, 52, 51],
}  # fmt: skip


def judged(plan: PlanRecord, trials: pd.DataFrame):
    now = due(State.of(plan, {}))
    return judge(plan, declaration(plan, trials), now, trials)


def test_two_halvings_interact_in_points_and_not_in_ratios():
    trials = table(ERRORS)
    words, texts = {}, {}
    for scale in ("linear", "logit"):
        found = judged(record(scale), trials)
        words[scale] = {e.contrast.name: e.verdict for e in found.contrasts}
        texts[scale] = [w.text for w in scale_decides(record(scale), found, trials)]
    (interaction,) = [name for name in words["linear"] if " x " in name]
    assert (words["linear"][interaction], words["logit"][interaction]) == ("worse", "undecided")
    assert texts["linear"] == [
        (
            f"the scale decides about {interaction}: worse in percentage points, as declared, "
            "undecided in error ratios of test accuracy."
        )
    ]
    assert texts["logit"] == [
        (
            f"the scale decides about {interaction}: undecided in error ratios, as declared, "
            "worse in percentage points of test accuracy."
        )
    ]


def test_a_halving_is_a_difference_of_log_2_and_said_in_errors():
    found = judged(record("logit", rope=0.1), table(ERRORS)).to_json()
    assert (found["unit"], found["better"]) == (LOG_ODDS, "higher")
    arm = found["arms"][0]
    k = [IMAGES - e for e in ERRORS["a"]]
    own = np.mean([math.log((n + 0.5) / (IMAGES - n + 0.5)) for n in k])
    k = [IMAGES - e for e in ERRORS["baseline"]]
    base = np.mean([math.log((n + 0.5) / (IMAGES - n + 0.5)) for n in k])
    assert arm["delta_pp"] == pytest.approx(own - base, abs=1e-12)
    assert arm["delta_pp"] == pytest.approx(math.log(2), abs=0.03)
    assert "log odds, errors x 0.50 [0.4" in arm["sentence"]
    assert arm["sentence"].startswith("a raises test accuracy by 0.698 log odds, errors x 0.50 [")
    assert arm["new_images_low"] is None


def test_far_from_100_percent_nothing_is_said_of_the_scale():
    trials = table({arm: [w + 2000 for w in found] for arm, found in ERRORS.items()})
    assert not list(scale_decides(record("linear"), judged(record("linear"), trials), trials))


def test_seeds_that_all_reach_100_percent_are_not_taken_for_certainty():
    plan = record("logit")
    declared = declaration(plan, table({**ERRORS, "a": [0, 0, 0, 0]}))
    # There an image more or less is the step from (n + .5) / .5 on: 1 / .5 and a little.
    assert declared.floor_pp == pytest.approx((2 + 1 / (IMAGES + 0.5)) / 12**0.5)
    frame = valued(table(ERRORS), declared.metric, declared.unit)
    assert np.isfinite(frame["value"]).all()


def called(rng: np.random.Generator, rates, families: int, seeds: int, scale: str) -> float:
    """In how many families the interaction is called, by the product's own estimate."""
    contrasts, lost = factorial(GRID)
    assert not lost
    (weights,) = [
        np.array([[c.weights.get(arm, 0.0) for arm in GRID]])
        for c in contrasts
        if c.kind == "interaction"
    ]
    n = np.array([2 * seeds, seeds, seeds, seeds])
    means, variances = [], []
    for rate, size in zip(rates.values(), n, strict=True):
        drawn = rate * np.exp(SD * rng.normal(size=(families, size)))
        wrong = rng.binomial(IMAGES, drawn)
        values = 100 * (1 - wrong / IMAGES)
        values = log_odds(values, IMAGES) if scale == "logit" else values
        means.append(values.mean(1))
        variances.append(values.var(1, ddof=1))
    cells = Cells(
        mean=np.stack(means, 1), var=np.stack(variances, 1), n=n.astype(float),
        declared=n.astype(float), pooled=np.ones(4, dtype=bool),
    )  # fmt: skip
    found = estimate(cells, weights, alpha=ALPHA)
    return float((np.abs(found.delta) > found.half).mean())


@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_independent_halvings_are_no_interaction_on_the_logit_scale(seeds):
    families = 4000
    rng = np.random.default_rng(seeds)
    error = (ALPHA * (1 - ALPHA) / families) ** 0.5  # .0034
    share = called(rng, HALVED, families, seeds, "logit")
    assert share <= ALPHA + 4 * error, share
    # In percentage points the same changes interact by half a point.
    assert called(rng, HALVED, 500, seeds, "linear") > {3: 0.8, 5: 0.95, 8: 0.99}[seeds]


def test_a_real_interaction_is_found_on_the_logit_scale():
    together = {**HALVED, "a, b": 0.01}  # the second change adds nothing to the first
    assert called(np.random.default_rng(1), together, 1000, 5, "logit") > 0.95
