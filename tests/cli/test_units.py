"""What `plan` says of differences that are not in percent, however small they are."""

from swinablate.cli.wording.plan_text import promise
from swinablate.records.plan import CompareRecord, NoiseRecord
from tests.answers import nested, scaled, several, study


def said(plan, metric="test/loss", **more):
    """The lines about a plan whose arms are not looked at."""
    compare = CompareRecord(metric=metric, rope=0.002)
    arms = tuple(arm.model_copy(update={"recipe": {}}) for arm in plan.arms)
    return " ".join(promise(plan.model_copy(update={"compare": compare, "arms": arms, **more})))


def test_a_unit_that_is_none_is_no_word():
    noise = NoiseRecord(sd=0.001, source="made up")
    found = said(study().plan, "command/score:none:higher", noise=noise, detectable_pp=0.00123)
    assert "found with power 0.8: about 0.0012 (sd 0.0010 over seeds" in found
    assert "0.0012 none" not in found


def test_small_percentages_are_no_0():
    noise = NoiseRecord(sd=0.001, source="made up")
    found = said(study().plan, "test/accuracy", noise=noise, detectable_pp=0.00123)
    assert "about 0.0012 percentage points (sd 0.0010 over seeds" in found


def test_slopes_and_means_have_the_digits_that_they_need():
    ladder = scaled().ladder
    scale = ladder.scale.model_copy(update={"detectable_pp": 0.0012, "predicted_pp": 0.004})
    found = said(ladder, scale=scale)
    assert "+-0.0012 nats per doubling of params, +-0.0040 at width=64" in found
    ladder, numbers = several(3).ladder, {"detectable_pp": 0.0012, "spread_detectable_pp": 0.03}
    sets = ladder.datasets.model_copy(update={**numbers, "spread_pp": 0.01})
    found = said(ladder, datasets=sets)
    assert "+-0.0012 nats where effects are the same on all, +-0.0300 where they differ" in found


def test_splits_have_the_digits_that_they_need():
    plan = nested().plan
    spread = {"training": 0.0021, "split": 0.0004, "tuning": 0.0}
    row = {"why": "declared", "splits": 4, "each": 3, "trials": 24, "detectable_pp": 0.0051}
    noise = NoiseRecord.model_validate(
        plan.noise.model_dump() | {"difference": spread, "known": "it", "replicates": [row]}
    )
    found = said(plan, noise=noise)
    assert "finds 0.00510 nats with power 0.8 (a difference has sd 0.00210 between" in found


def test_one_hour_is_one():
    plan = study().plan
    budget = type(plan.budget)(hours=1.0, trials=3)
    assert "Ends at 1 hour or 3 trials, decided or not." in said(plan, budget=budget).replace(
        "Ends at 3 trials or 1 hour", "Ends at 1 hour or 3 trials"
    )
