"""W12 and W29 of commands: numbers that are the same, where that is no chance."""

from dataclasses import replace

import pytest

from swinablate.records.outcome import Outcome
from swinablate.records.plan import ArmRecord, PlanRecord
from swinablate.scheduling.unchanged import unchanged, unheard

RECIPE = {"command": {"run": ["x"]}, "switches": {}}


def outcome(trial, value, curve=()):
    rows = tuple(
        {"epoch": float(e), "at": float(hash(trial) % 1000), "command/acc": v}
        for e, v in enumerate(curve)
    )
    return Outcome(
        trial=trial,
        seed=0,
        kind="final",
        recipe=RECIPE,
        image={},
        status="done",
        attempt=1,
        metrics={"command/acc": value, "time/train_s": float(hash(trial) % 7)},
        curve=rows,
    )


def recorded(arms, recipe=RECIPE):
    """A plan and its records: arm -> its values, or (value, curve), by seed."""
    records = {
        f"{arm}{seed}": outcome(f"{arm}{seed}", *(v if isinstance(v, tuple) else (v,)))
        for arm, values in arms.items()
        for seed, v in enumerate(values)
    }
    plan = PlanRecord(
        arms=tuple(
            ArmRecord(
                name=arm,
                recipe=recipe,
                seeds=tuple(range(len(values))),
                trials=tuple(f"{arm}{seed}" for seed in range(len(values))),
            )
            for arm, values in arms.items()
        )
    )
    return plan, records


def warned(arms, recipe=RECIPE):
    found = unchanged(*recorded(arms, recipe))
    return [(one.code, one.text.partition(" gave")[0]) for one in found]


@pytest.mark.parametrize(
    ("arms", "found"),
    [
        ({"baseline": [1, 2, 3], "a": [4, 5, 6]}, []),
        ({"baseline": [1, 2, 3], "a": [1, 2, 3]}, [("W12", "baseline and a")]),
        ({"baseline": [1, 2, 3, 4], "a": [1, 2]}, [("W12", "baseline and a")]),
        ({"baseline": [1, 2, 3], "a": [1, 5, 6]}, []),  # one accuracy may be another's by chance
        ({"baseline": [1], "a": [1]}, []),
        ({"baseline": [1, 2, 3], "a": [4, 4, 4]}, [("W29", "every seed of a")]),
        ({"baseline": [1, 2, 3], "a": [4, 4]}, []),
        (
            {"baseline": [(1, (5, 6, 1)), 2, 3], "a": [(1, (5, 6, 1)), 7, 8]},
            [("W12", "baseline and a")],  # a whole curve is no chance
        ),
        ({"baseline": [(1, (5, 6, 1)), 2, 3], "a": [(1, (5, 7, 1)), 7, 8]}, []),
    ],
)
def test_what_is_the_same_is_named_where_it_is_no_chance(arms, found):
    assert warned(arms) == found


def test_seeds_that_are_the_same_are_named_and_not_called_every_one():
    arms = {"baseline": [(1, (5, 6, 1)), 2, (3, (4, 4, 1)), 9]}
    arms["a"] = [(1, (5, 6, 1)), 7, (3, (4, 4, 1)), 8]
    (one,) = unchanged(*recorded(arms, {"command": {"run": ["x"]}, "switches": {}}))
    assert "gave the same numbers at seeds 0, 2: the change" in one.text


def test_of_networks_their_answers_tell():
    same = {"baseline": [1, 1, 1], "a": [1, 1, 1]}
    assert warned(same)
    assert warned(same, {"model": {"family": "swin"}}) == []


ALSO = {"name": "loss", "pattern": "loss (.*)", "unit": "nats", "better": "lower"}


@pytest.mark.parametrize(
    ("having", "said"),
    [
        ({}, "no trial gave 'loss' (loss (.*)): nothing in its output is called so"),
        ({"a0"}, "trials that did not give 'loss' (loss (.*)): baseline 2 of 2; a 1 of 2."),
        ({"baseline0", "baseline1", "a0", "a1"}, ""),
    ],
)
def test_a_number_that_is_asked_for_beside_the_first_and_never_found_is_named(having, said):
    asked = {"command": {"run": ["x"], "also": [ALSO]}, "switches": {}}
    plan, records = recorded({"baseline": [1, 2], "a": [3, 4]}, asked)
    records = {
        trial: replace(one, metrics={**one.metrics, "command/loss": 0.5})
        if trial in having
        else one
        for trial, one in records.items()
    }
    found = list(unheard(plan, records))
    assert [one.code for one in found] == ["W30"] * bool(said)
    assert "".join(one.text for one in found).startswith(said)
    assert list(unheard(plan, {})) == []
