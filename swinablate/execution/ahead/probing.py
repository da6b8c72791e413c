"""What each arm costs on the machine that will run it: a few steps, with all slots busy."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from swinablate.config.code import imports
from swinablate.errors import InputError
from swinablate.execution.ahead.autotune import choose, wait_for_workers
from swinablate.execution.ahead.where import Where
from swinablate.execution.executor import Execution
from swinablate.records.events import ENDINGS, Batch, Event, Job, aside
from swinablate.records.home import Home
from swinablate.records.plan import PlanRecord, everything
from swinablate.records.speeds import SpeedRecord, keep_speed, kept_speed, now_ms, speed_key
from swinablate.scheduling.cost import Cost, Known, Place, cost, recorded_speeds
from swinablate.study.noise.expected import every_outcome
from swinablate.study.plan import Arm, Plan

LOOK_S = 0.5
"""How long to wait for an event before waiting again: nothing else is to be done meanwhile."""

Tell = Callable[[int, str], None]
"""Takes the number and the name of an arm that is about to be probed."""


def key_of(arm: Arm, place: Place) -> str:
    """The name under which a home keeps the probe of an arm; seeds of it share one."""
    recipe = arm.recipe.model_dump(mode="json")
    return speed_key(recipe, arm.shown, place.device, place.slots)


def kept(plan: Plan, home: Home, place: Place) -> dict[str, SpeedRecord]:
    """Arm -> what an earlier probe measured."""
    found = {arm.name: kept_speed(home.root, key_of(arm, place)) for arm in plan.arms}
    return {name: speed for name, speed in found.items() if speed is not None}


def probe(plan: Plan, home: Home, place: Place, tell: Tell, execution: Execution) -> Known:
    """Time every arm whose steps differ from another's, and keep what was measured.

    Every slot trains the same arm at once: trials slow each other down. Of arms that train on
    several devices nothing is said, for a probe has one; nor of commands, which have no steps.

    Args:
        plan: the study.
        home: where it is kept.
        place: where trials will run.
        tell: called before every arm.
        execution: those slots, opened.

    Raises:
        EnvironmentFault: the disk refuses, or what says `auto` cannot be timed.
    """
    home.create()
    speeds: dict[str, SpeedRecord] = {}
    failures: dict[str, str] = {}
    first: dict[str, str] = {}
    choices = choose(plan, home, execution, lambda: False)
    wait_for_workers(execution, lambda: False)
    for arm in (arm for arm in plan.networks if arm.recipe.train.world == 1):
        key = key_of(arm, place)
        twin = first.setdefault(key, arm.name)
        if twin == arm.name:
            tell(len(first) - 1, arm.name)
            found = _measured(_job(arm, home, choices), execution, place.slots)
            if isinstance(found, str):
                failures[arm.name] = found
            else:
                speeds[arm.name] = found
                keep_speed(home.root, key, found)
        elif twin in speeds:
            speeds[arm.name] = speeds[twin]
        else:
            failures[arm.name] = failures[twin]
    return Known(speeds, failures)


def _job(arm: Arm, home: Home, choices: Mapping[str, Mapping[str, Any]]) -> Job:
    trial = arm.trial(arm.seeds[0])
    job = aside(
        "timing",
        trial.recipe.model_dump(mode="json"),
        arm.shown,
        imports.folders(trial.recipe.model.family),
        choices=choices,
    )
    return dataclasses.replace(job, seed=trial.seed, data=str(home.datasets))


def _measured(job: Job, execution: Execution, slots: int) -> SpeedRecord | str:
    """The speed of a job that runs on all slots at once; or why it did not train."""
    busy = min(slots, execution.free)
    jobs = [dataclasses.replace(job, trial=f"timing-{i}") for i in range(busy)]
    began = time.monotonic()
    for each in jobs:
        execution.submit(Batch(jobs=(each,)))
    waiting, started, ends = {each.trial for each in jobs}, 0.0, list[Event]()
    while waiting:
        for happened in execution.poll(LOOK_S):
            if happened.kind == "started":
                started = time.monotonic() - began
            if happened.kind in ENDINGS:
                waiting.discard(happened.trial)
                ends.append(happened)
    for told in ends:
        if told.kind != "done":
            return str(told.data.get("message", told.kind))
    rows = [told.data for told in ends]
    times = ("step_s", "epoch_s", "trial_s", "checkpoint_s")
    return SpeedRecord(
        source="probe",
        **{name: median(float(row[name]) for row in rows) for name in times},
        start_s=started,
        peak_mib=max(float(row["peak_mib"]) for row in rows),
        steps=rows[0]["steps"],
        images=rows[0]["images"],
        busy=busy,
        measured=busy,
        at=now_ms(),
    )


def cost_of(plan: Plan, record: PlanRecord, home: Home, where: Where, tell: Tell | None) -> Cost:
    """What is left of a study costs where it would run: by a probe, or by what is known already.

    Args:
        plan: the study.
        record: of the plan.
        home: where it is recorded.
        where: it would run.
        tell: called before every arm that is probed; None: nothing is, and of a cluster nothing
            is taken.

    Raises:
        InputError: a device that does not exist, no slot at all, or far more than there are cores.
        EnvironmentFault: a probe could not be kept, or there is no cluster.
    """
    if tell is not None and not plan.networks:
        raise InputError(
            "a command has no steps to take a few of, and a plan starts nothing of it",
            at="--probe",
            hint="leave it out: how long trials take is known after the first of each arm",
        )
    found = where.found(plan)
    if tell is not None:
        with found.opened(home) as execution:
            known = probe(plan, home, found.place, tell, execution)
    else:
        outcomes = list(every_outcome(home))
        recorded = recorded_speeds(record, outcomes, found.model(outcomes))
        known = Known({**recorded, **kept(plan, home, found.place)})
    ledger = home.ledger(record.study, record.declaration)
    record = record.model_copy(update={"ledger": ledger})
    return cost(record, home.outcomes(everything(record)), known, found.place)
