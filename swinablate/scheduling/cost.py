"""What is left of a study costs: hours, memory and disk, from how fast its recipes run.

A plan's trials are dealt to slots in the order in which they would run; what each takes is known
from a probe (`records.speeds`), or from trials that ended before.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from heapq import heapreplace
from itertools import islice
from statistics import median
from typing import Any, Literal

from swinablate.config import schema
from swinablate.config.data import DataConfig
from swinablate.config.train import TrainConfig
from swinablate.records.outcome import Outcome
from swinablate.records.plan import ArmRecord, PlanRecord
from swinablate.records.speeds import SpeedRecord, what_costs
from swinablate.scheduling.due import State, due, most_wanted

HOUR = 3600.0
"""Seconds."""
FP32 = 4
"""Bytes of a weight: weights and optimizers are kept in full precision, whatever trains."""
MOMENTS = {"adamw": 2, "adam": 2, "muon": 2, "sgd": 1, "rmsprop": 1, "adagrad": 1}
"""Numbers that an optimizer keeps for each weight, at most: Muon has one for matrices, and AdamW's
two for the rest."""
CHECKPOINTS = 2
"""Of a trial under way; when the third is written, the first goes."""

CONFIGS: Mapping[str, type[schema.Frozen]] = {"data": DataConfig, "train": TrainConfig}
"""Parts of a recipe whose fields have defaults, and their types."""

Source = Literal["probe", "recorded", "none"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where trials run.

    Attributes:
        device: its model.
        slots: trials at a time.
        gpus: that the slots are on; 0 for a CPU. On a cluster they may be parts of GPUs.
    """

    device: str
    slots: int
    gpus: float = 0


@dataclass(frozen=True, kw_only=True)
class ArmCost:
    """What is left of an arm.

    Attributes:
        trials: at most, that have no record.
        hours: what these take together, one after the other; None if nobody knows.
        failure: why a probe of it could not train; mostly empty.
    """

    name: str
    trials: int
    speed: SpeedRecord | None
    hours: float | None
    failure: str = ""

    def to_json(self) -> dict[str, Any]:
        """An entry of `plan --json`'s cost."""
        known = self.speed
        return {
            "name": self.name,
            "step_s": known and known.step_s,
            "peak_mib": round(known.peak_mib, 1) if known and known.peak_mib is not None else None,
            "hours": self.hours,
            "trials": self.trials,
            "source": known.source if known else "none",
            "images": known.images if known else None,
            "failure": self.failure or None,
        }


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What is left of a study.

    Attributes:
        arms: in the order of the plan.
        fewest: hours from start to end if the study is over as soon as can be.
        most: hours if it needs all trials that there can be.
        gpu_hours: of all these trials, at most.
        disk_mib: what trials keep, and the checkpoints of those that run; None of a command.
    """

    place: Place
    arms: tuple[ArmCost, ...]
    fewest: float | None
    most: float | None
    gpu_hours: float | None
    disk_mib: float | None

    @property
    def source(self) -> Source:
        """How the speeds are known: by probes alone, also by recorded trials, or not of all."""
        left = [arm for arm in self.arms if not arm.failure]
        if any(arm.speed is None for arm in left) or not left:
            return "none"
        both = {arm.speed.source for arm in left if arm.speed}
        return "recorded" if "recorded" in both else "probe"

    def to_json(self) -> dict[str, Any]:
        """`plan --json`'s `cost`."""
        return {
            "source": self.source,
            "arms": [arm.to_json() for arm in self.arms],
            "hours": self.most,
            "hours_min": self.fewest,
            "gpu_hours": self.gpu_hours,
            "disk_mib": None if self.disk_mib is None else round(self.disk_mib, 1),
            "slots": self.place.slots,
            "device": self.place.device,
        }


@dataclass(frozen=True)
class Known:
    """How fast arms run, as far as is known; arms that a probe could not train.

    Attributes:
        speeds: arm -> its speed.
        failures: arm -> why it did not train.
    """

    speeds: Mapping[str, SpeedRecord]
    failures: Mapping[str, str] = field(default_factory=dict)


def cost(plan: PlanRecord, outcomes: Mapping[str, Outcome], known: Known, place: Place) -> Cost:
    """What the trials of a plan that have no record will take.

    Tuning is taken to cost what the arms' own recipes do. Trials that train as one on a GPU take
    less than is said here.

    Args:
        plan: with the ledger of its tuning.
        outcomes: trial id -> outcome, of any trial.
        known: speeds of its arms.
        place: where it will run.
    """
    state = State.of(plan, outcomes)
    fewest, most = _left(plan, state)
    each: dict[str, float | None] = {
        arm.name: speed.seconds(arm.recipe.get("train")) if speed else None
        for arm in plan.arms
        for speed in [known.speeds.get(arm.name)]
    }
    # An arm that cannot train ends at once, and costs nothing.
    durations = {name: 0.0 if name in known.failures else each[name] for name in each}
    share = place.gpus / place.slots
    fewest, most = (_within(state, names, durations, share) for names in (fewest, most))
    counts: defaultdict[str, int] = defaultdict(int)
    for name in most:
        counts[name] += 1
    arms = tuple(
        ArmCost(
            name=arm.name,
            trials=counts[arm.name],
            speed=known.speeds.get(arm.name),
            hours=None if seconds is None else seconds * counts[arm.name] / HOUR,
            failure=known.failures.get(arm.name, ""),
        )
        for arm in plan.arms
        for seconds in [each[arm.name]]
    )
    start = max((speed.start_s for speed in known.speeds.values()), default=0.0)
    ends = _end(most, durations, place.slots, start)
    total = [arm.hours for arm in arms if arm.trials and not arm.failure]
    return Cost(
        place=place,
        arms=arms,
        fewest=_end(fewest, durations, place.slots, start),
        most=ends,
        gpu_hours=None if share and None in total else share * sum(h or 0.0 for h in total),
        disk_mib=_disk_mib(plan, counts, place.slots),
    )


def recorded_speeds(
    plan: PlanRecord, outcomes: Iterable[Outcome], device: str
) -> dict[str, SpeedRecord]:
    """Arm -> how fast such trials ran on such a device: the median of those that ended well.

    Args:
        plan: whose arms.
        outcomes: of any trial, of any study.
        device: model of the device.
    """
    wanted = {arm.name: _key(arm.recipe) for arm in plan.arms if arm.recipe}
    found: defaultdict[str, list[SpeedRecord]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.status == "done" and outcome.execution.get("device") == device:
            key = _key(outcome.recipe)
            speed = _speed_of(outcome) if key in wanted.values() else None
            if speed is not None:
                found[key].append(speed)
    return {name: _median(found[key]) for name, key in wanted.items() if found[key]}


def _key(recipe: Mapping[str, Any]) -> str:
    """Equal for recipes whose steps cost the same, also where a field is younger than one."""
    parts = what_costs(recipe)
    for part, plain in _defaults().items():
        parts[part] = {k: v for k, v in parts[part].items() if k not in plain or v != plain[k]}
    return schema.digest(parts)


@cache
def _defaults() -> dict[str, dict[str, Any]]:
    """Part of a recipe -> its fields' defaults, as records have them."""
    found: dict[str, dict[str, Any]] = {}
    for part, config in CONFIGS.items():
        fields = config.model_fields
        values = {name: fields[name].get_default(call_default_factory=True) for name in fields}
        found[part] = json.loads(json.dumps(values, default=str))
    return found


def _speed_of(outcome: Outcome) -> SpeedRecord | None:
    """How fast a trial ran; None where its record does not tell."""
    if "command" in outcome.recipe:
        return SpeedRecord(
            source="recorded", trial_s=outcome.seconds, peak_mib=None, at=outcome.finished_at
        )
    train, curve = outcome.recipe["train"], outcome.curve
    seconds = outcome.metrics.get("time/train_s", 0.0)
    images = sum(row["time/images_per_s"] * row["time/epoch_s"] for row in curve)
    total = train.get("steps") or round(images / train["batch"])
    if not total or not seconds or not curve:
        return None
    together = int(outcome.execution.get("fused", 1))
    return SpeedRecord(
        source="recorded",
        step_s=seconds / total / together,
        # What was not training is not told apart; nearly all of it comes epoch by epoch.
        epoch_s=max(0.0, outcome.seconds - seconds / together) / len(curve),
        peak_mib=outcome.metrics.get("memory/peak_mib", 0.0),
        steps=round(total / len(curve)),
        at=outcome.finished_at,
    )


def _median(speeds: Sequence[SpeedRecord]) -> SpeedRecord:
    steps = [one.step_s for one in speeds if one.step_s is not None]
    peaks = [one.peak_mib for one in speeds if one.peak_mib is not None]
    return SpeedRecord(
        source="recorded",
        step_s=median(steps) if steps else None,
        trial_s=median(one.trial_s for one in speeds),
        epoch_s=median(one.epoch_s for one in speeds),
        peak_mib=max(peaks, default=None),
        steps=speeds[0].steps,
        measured=len(speeds),
        at=max(one.at for one in speeds),
    )


def _left(plan: PlanRecord, state: State) -> tuple[list[str], list[str]]:
    """The arm of every trial that is left, in the order they run: at least, and at most."""
    now = due(state)
    waiting = [row.arm.name for row in now.upcoming()]
    if now.spent or now.finished:
        return waiting, waiting
    if plan.tune is not None:
        return _tuned(plan, state, waiting)
    if now.decisions is not None:
        later = most_wanted(plan, now.decisions)
        more = [
            name
            for name, count in later.items()
            for _ in range(count - now.decisions.wanted.get(name, 0))
        ]
        return waiting, [*waiting, *more]
    return waiting, waiting


def _tuned(plan: PlanRecord, state: State, waiting: Sequence[str]) -> tuple[list[str], list[str]]:
    """What tuning leaves: all tries, and finals once or twice, without what is recorded."""
    assert plan.tune is not None
    done: defaultdict[str, int] = defaultdict(int)
    for row in state.rows:
        done[row.arm.name] += row.trial in state.outcomes
    soon: defaultdict[str, int] = defaultdict(int)
    for name in waiting:
        soon[name] += 1
    ends = list(waiting), list(waiting)
    for arm in plan.arms:
        finals = len(arm.seeds)
        tries = plan.tune.of(finals) * plan.tune.trials * plan.tune.seeds
        for times in (1, 2):
            left = tries + times * finals - done[arm.name] - soon[arm.name]
            ends[times - 1].extend([arm.name] * max(0, left))
    room = plan.budget.trials
    if room is None:
        return ends
    fewest, most = (list(islice(names, max(0, room - state.used))) for names in ends)
    return fewest, most


def _within(
    state: State, trials: Sequence[str], seconds: Mapping[str, float | None], share: float
) -> list[str]:
    """Those that begin before the hours of the budget are spent.

    Args:
        state: of the study.
        trials: the arm of each, in the order they run.
        seconds: arm -> how long its trials take.
        share: GPUs that a trial holds.
    """
    budget = state.plan.budget
    hours = [
        (limit, spent, rate)
        for limit, spent, rate in (
            (budget.hours, state.seconds, 1.0),
            (budget.gpu_hours, state.gpu_seconds, share),
        )
        if limit is not None
    ]
    began, total = list[str](), 0.0
    for name in trials:
        if any(spent + rate * total >= HOUR * limit for limit, spent, rate in hours):
            break
        began.append(name)
        total += seconds[name] or 0.0
    return began


def _end(
    trials: Sequence[str], seconds: Mapping[str, float | None], slots: int, start: float
) -> float | None:
    """Hours until the last trial ends, each begun on the first slot that is free."""
    if not trials:
        return 0.0
    free = [start] * min(slots, len(trials))
    for name in trials:
        took = seconds[name]
        if took is None:
            return None
        heapreplace(free, free[0] + took)
    return max(free) / HOUR


def _disk_mib(plan: PlanRecord, counts: Mapping[str, int], slots: int) -> float | None:
    """Weights of the trials to come, and the largest checkpoints of those that run at once."""
    ours = [arm for arm in plan.arms if not arm.commanded]  # what a command keeps, nobody knows
    if not ours:
        return None
    kept = sum(_weights_mib(arm) * counts[arm.name] for arm in ours)
    left = sum(counts[arm.name] for arm in ours)
    running = max(
        (_weights_mib(arm) * _copies(arm) for arm in ours if counts[arm.name]), default=0.0
    )
    return kept + CHECKPOINTS * running * min(slots, left)


def _weights_mib(arm: ArmRecord) -> float:
    return FP32 * (arm.params or 0) / 2**20


def _copies(arm: ArmRecord) -> int:
    """Sets of numbers as large as the weights that a checkpoint holds."""
    train = arm.recipe["train"]
    return 1 + MOMENTS[train["optimizer"]] + bool(train["ema"])
