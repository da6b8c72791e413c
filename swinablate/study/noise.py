"""How much what is compared varies over seeds, and how we know."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from swinablate.config.metrics import metric
from swinablate.errors import EnvironmentFault
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome
from swinablate.records.tables import log_odds
from swinablate.study.plan import Plan

STATISTICS_SEEDS = 3
"""With fewer seeds nothing is tested: of two, an sd is anybody's guess."""


@dataclass(frozen=True)
class Noise:
    """How much the study's metric varies over seeds, and how we know.

    Attributes:
        sd: in the unit of its differences; None if nobody knows.
        source: where it comes from, in words.
    """

    sd: float | None
    source: str


def expected_noise(plan: Plan, home: Home) -> Noise:
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
