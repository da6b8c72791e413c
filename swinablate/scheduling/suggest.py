"""Writes down what is tried next: the ledger of a study's tuning, one suggestion after another."""

from collections.abc import Collection, Mapping
from typing import Any

from swinablate.config import schema
from swinablate.records.outcome import Outcome
from swinablate.scheduling.ledger import tries, unguided, wants
from swinablate.scheduling.sampler import suggest
from swinablate.study.plan import Arm, Plan, Trial
from swinablate.study.tunable import point, trying, tuned

SCHEMA = 1


def extended(
    plan: Plan,
    declared: Mapping[str, Any],
    recorded: Mapping[str, Outcome],
    arms: Collection[str],
) -> dict[str, Any] | None:
    """The ledger with every suggestion that can be made now; None if there is none to make.

    Args:
        plan: the plan.
        declared: the same as plain data, with the `ledger` so far.
        recorded: trial id -> outcome.
        arms: names of those that run.
    """
    ledger = dict(declared.get("ledger", {"schema": SCHEMA, "arms": {}}))
    new = False
    for arm in plan.arms:
        while arm.name in arms and wants({**declared, "ledger": ledger}, arm.name, recorded):
            before = ledger["arms"].get(arm.name, [])
            entry = _next(plan, arm, {**declared, "ledger": ledger}, recorded)
            ledger = {**ledger, "arms": {**ledger["arms"], arm.name: [*before, entry]}}
            new = True
    return ledger if new else None


def tune_trials(plan: Plan, declared: Mapping[str, Any]) -> list[Trial]:
    """All trials of tuning that the ledger names, and the final ones they may lead to."""
    found = []
    for arm in plan.arms:
        for entry in declared.get("ledger", {}).get("arms", {}).get(arm.name, []):
            again = trying(arm.recipe, entry["params"])
            tries = range(len(entry["trials"]))
            found += [arm.trial(seed, again, "tune") for seed in tries]
            recipe = tuned(arm.recipe, entry["params"])
            found += [arm.trial(seed, recipe) for seed in arm.seeds]
    return found


def _next(
    plan: Plan, arm: Arm, declared: Mapping[str, Any], recorded: Mapping[str, Outcome]
) -> dict[str, Any]:
    """The next recipe of an arm, with the ids of its trials."""
    space = declared["tune"]["space"]
    assert plan.study.tune is not None
    found = tries(declared, arm.name, recorded)
    params = point(arm.recipe, list(space))  # first its own: tuning can never do worse on it
    if found:
        params = suggest(
            space,
            [(one.params, one.told) for one in found],
            # The number alone: arms are offered the same first recipes, as they share the order
            # of their images; and a baseline tuned in another study is not tuned again.
            seed=int(schema.digest(["tune", len(found)])[:8], 16),
            unguided=unguided(declared["tune"]["trials"]),
        )
    again, final = trying(arm.recipe, params), tuned(arm.recipe, params)
    return {
        "number": len(found),
        "params": params,
        "trials": [arm.trial(seed, again, "tune").id for seed in range(plan.study.tune.seeds)],
        "finals": [arm.trial(seed, final).id for seed in arm.seeds],
    }
