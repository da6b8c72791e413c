"""How much what is compared varies over seeds, and how we know."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from swinablate.config.metrics import metric
from swinablate.errors import EnvironmentFault
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome
from swinablate.records.tables import log_odds
from swinablate.study.plan import Arm, Plan
from swinablate.text import counted

STATISTICS_SEEDS = 3
"""With fewer seeds nothing is tested: of two, an sd is anybody's guess."""


@dataclass(frozen=True)
class Noise:
    """How much the study's metric varies over seeds, and how we know.

    Attributes:
        sd: in the unit of its differences; None if nobody knows.
        source: where it comes from, in words.
        difference: of a study that draws splits, the sds of a difference between two arms.
    """

    sd: float | None
    source: str
    difference: "Difference | None" = None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What a difference between two arms varies by, and how we know.

    Attributes:
        training: sd between trainings on one split.
        split: sd between splits.
        tuning: sd between tunings of both arms.
        known: where they come from, in words.
    """

    training: float
    split: float
    known: str
    tuning: float = 0.0


def expected_noise(plan: Plan, home: Home) -> Noise:
    """What results vary by: as declared, else as recorded trials of the same data say."""
    found = over_seeds(plan, home)
    noise = plan.study.noise
    if noise is None or not (noise.nested or noise.tuned):
        return found
    return replace(found, difference=of_differences(plan, home, found))


def of_differences(plan: Plan, home: Home, alone: Noise) -> Difference | None:
    """What differences between arms vary by between splits and within them.

    As declared in `noise.sd`; else as the study's own recorded trials say, where some arm and the
    baseline have two splits or more, some with two trainings; else as if arms were independent
    and splits alike, which is the least that there can be.

    Args:
        plan: of a study that draws splits.
        home: where trials are recorded.
        alone: the sd over seeds on one split.
    """
    noise = plan.study.noise
    if noise is not None and noise.sd is not None:
        return Difference(
            training=noise.sd.training,
            split=noise.sd.split,
            tuning=noise.sd.tuning,
            known="noise.sd in the study file",
        )
    nested = noise is not None and noise.nested
    if nested and (found := _piloted(plan, home)):
        return found
    if alone.sd is None:
        return None
    unknown = " and ".join(["splits"] * nested + ["tunings"] * (noise is not None and noise.tuned))
    return Difference(
        training=2**0.5 * alone.sd,
        split=0.0,
        known=f"{alone.source}, arms taken as independent; what {unknown} add is not known yet",
    )


def _piloted(plan: Plan, home: Home) -> Difference | None:
    """From this study's own trials, as far as they are recorded; pooled over arms."""
    # scipy's optimizer takes a moment to import, which other plans do not need
    from swinablate.stats.seeds.components import components

    first, *others = plan.arms
    base, found = _values(plan, first, home), []
    for arm in others:
        own = _values(plan, arm, home)
        groups: defaultdict[int, list[float]] = defaultdict(list)
        for seed in own.keys() & base.keys():
            groups[arm.splits[seed]].append(own[seed] - base[seed])
        if len(groups) >= STATISTICS_SEEDS:
            told = components([*groups.values()])
            found.append((told.training.variance, told.split.variance))
    known = [(own, theirs) for own, theirs in found if own and theirs is not None]
    if not known:
        return None
    training, split = (float(np.mean(column)) ** 0.5 for column in zip(*known, strict=True))
    said = f"this study's own trials of {counted(len(known), 'arm')}"
    return Difference(training=training, split=split, known=said)


def _values(plan: Plan, arm: Arm, home: Home) -> dict[int, float]:
    """Seed -> what is compared, of the trials of an arm that are recorded."""
    key, logit = metric(plan.study.compare.metric).key, plan.study.compare.scale == "logit"
    known = home.outcomes(arm.trial(seed).id for seed in arm.seeds)
    found = {}
    for seed in arm.seeds:
        outcome = known.get(arm.trial(seed).id)
        value = outcome.metrics.get(key) if outcome and outcome.status == "done" else None
        if outcome and value is not None:
            images = outcome.predictions["images"] if logit else 0
            found[seed] = float(log_odds(value, images)) if logit else float(value)
    return found


def over_seeds(plan: Plan, home: Home) -> Noise:
    """The sd over seeds: as declared, else pooled from recorded trials of the same data.

    Where no seed differs from another (every one at 100 %, say), nobody knows it: 0 would
    promise to find any difference, however small.
    """
    declared = plan.study.compare.sd
    if declared is not None:
        return Noise(declared, "compare.sd in the study file")
    ours, _ = _parted(plan.arms[0].recipe.model_dump(mode="json"))
    name = plan.arms[0].recipe.data.name
    key = metric(plan.study.compare.metric).key
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for outcome in every_outcome(home):
        value = outcome.metrics.get(key)  # a tuning trial has none
        if outcome.kind != "final" or outcome.status != "done" or value is None:
            continue
        if plan.study.compare.scale == "logit":
            value = float(log_odds(value, outcome.predictions["images"]))
        theirs, rest = _parted(outcome.recipe)
        if theirs == ours:
            # Seeds of one recipe vary by chance alone; different recipes differ by more.
            groups[json.dumps(rest, sort_keys=True)].append(value)
    known = [values for values in groups.values() if len(values) >= STATISTICS_SEEDS]
    free = sum(len(values) - 1 for values in known)
    if not known:
        return Noise(None, "unknown: set compare.sd, or run a few seeds first")
    trials = sum(map(len, known))
    # Asked of the values: rounding leaves 1e-28 of the variance of equal ones.
    if all(len(set(values)) == 1 for values in known):
        said = f"unknown: no seed of {trials} recorded trials on {name} differs from another"
        return Noise(None, f"{said}; set compare.sd")
    pooled = sum(float(np.var(values, ddof=1)) * (len(values) - 1) for values in known) / free
    return Noise(pooled**0.5, f"{trials} recorded trials of {len(known)} recipes on {name}")


def _parted(recipe: Mapping[str, Any]) -> tuple[object, list[object]]:
    """What recipes share whose results are of one kind, and what else they say.

    That is the data; of a command, the words of it.
    """
    if "command" not in recipe:
        return recipe.get("data"), [recipe.get("model"), recipe.get("train")]
    command = recipe["command"]
    rest = [recipe.get("switches"), command.get("sha256")]
    return [command.get("run"), command.get("metric")], rest


def every_outcome(home: Home) -> Iterable[Outcome]:
    """All records of a home that can be read, of any study."""
    for path in sorted(home.trials.glob("*/result.json")):
        try:
            outcome = home.outcome(path.parent.name)
        except EnvironmentFault:
            continue  # a damaged record is `run`'s to complain about
        if outcome is not None:
            yield outcome
