"""What a recorded plan declared, as the statistics read it."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pandas as pd

from swinablate.records.plan import PlanRecord
from swinablate.stats import (
    PATH,
    Contrast,
    Declaration,
    Hypothesis,
    diverged_shares,
    factorial,
    path,
    read_samples,
)
from swinablate.study.designs import SHOWS, directions
from swinablate.study.files import label

WEIGHTLESS = 1e-9
"""Smaller is what rounding leaves of 0: a weight is a whole number over the number of cells."""
CROSSED = ("factorial", "fraction")
ONE_WAY = "one direction of the path could not be run: what a step does may depend on the order"


def declaration(plan: PlanRecord, trials: pd.DataFrame) -> Declaration:
    """What the plan declared.

    Args:
        plan: a recorded plan (`plan.json`).
        trials: a row for every planned trial; says how large the test set is.
    """
    images = trials.test_images.dropna()
    contrasts, lost = effects_of(plan)
    one_way = plan.design == "path" and bool(lost)
    declared = Declaration(
        metric=plan.compare.metric,
        alpha=plan.compare.alpha,
        rope_pp=plan.compare.rope,
        planned={arm.name: len(arm.seeds) for arm in plan.arms},
        contrasts=contrasts,
        hypotheses=tuple(Hypothesis(h.arm, h.expect, h.by) for h in plan.hypotheses),
        test_images=int(images.min()) if len(images) else None,
        shows=SHOWS[plan.design],
        withheld={PATH: ONE_WAY} if one_way else {},
    )
    failing = failing_cells(plan, trials, declared)
    if not failing:
        return declared
    # What cannot be told without them keeps its cells, and has no verdict because of them.
    instead = {contrast.name: contrast for contrast in effects_of(plan, failing)[0]}
    kept = tuple(instead.get(contrast.name, contrast) for contrast in contrasts)
    return replace(declared, contrasts=kept)


def failing_cells(plan: PlanRecord, trials: pd.DataFrame, declared: Declaration) -> frozenset[str]:
    """The cells of a factorial design that fail to train: its effects are told without them.

    Args:
        plan: a recorded plan.
        trials: a row for every planned trial.
        declared: what the plan declared.
    """
    if plan.design not in CROSSED or not (trials.status == "diverged").any():
        return frozenset()
    samples = read_samples(trials.rename(columns={"test_acc": "value"}), declared)
    return frozenset(a for a, share in diverged_shares(samples, declared).items() if share.fails)


def looks_of(plan: PlanRecord) -> tuple[int, ...]:
    """Seeds of an arm at each look; empty for a fixed number of seeds."""
    return tuple(look.seeds for look in plan.looks)


def effects_of(
    plan: PlanRecord, without: Collection[str] = ()
) -> tuple[tuple[Contrast, ...], tuple[str, ...]]:
    """The effects a design is made for, and those that got lost with its refused cells.

    A cell that is the same as another arm lends that arm's results.

    Args:
        plan: a recorded plan.
        without: cells that are left out, too.
    """
    if plan.design == "one_at_a_time":
        return (), ()
    alias = {r.name: r.same_as for r in plan.refusals if r.cell and r.same_as}
    cells = {arm.name: arm.changes for arm in plan.arms if arm.cell}
    cells |= {r.name: r.changes for r in plan.refusals if r.name in alias}
    cells = {name: at for name, at in cells.items() if alias.get(name, name) not in without}
    metric = plan.compare.metric
    contrasts, lost = (
        _steps(plan.axes, cells, metric)
        if plan.design == "path"
        else factorial(cells, switches=list(plan.axes), metric=metric)
    )
    found = []
    for contrast in contrasts:
        weights: defaultdict[str, float] = defaultdict(float)
        for arm, weight in contrast.weights.items():
            weights[alias.get(arm, arm)] += weight
        kept = {arm: weight for arm, weight in weights.items() if abs(weight) > WEIGHTLESS}
        if kept:
            found.append(replace(contrast, weights=kept))
        elif plan.design != "path":
            lost = (*lost, contrast.name)  # the same trials on both sides
    return tuple(found), lost


def _steps(
    axes: Mapping[str, Sequence[Any]], cells: Mapping[str, Mapping[str, Any]], metric: str
) -> tuple[tuple[Contrast, ...], tuple[str, ...]]:
    """What each change adds to those before it, in both directions; and steps without a cell."""
    arms = {frozenset(changes): name for name, changes in cells.items()}
    steps: list[Contrast] = []
    lost: list[str] = []
    for direction, stops in directions(list(axes)).items():
        for k, (before, after) in enumerate(pairwise(stops), 1):
            switch = after[-1]
            name = f"{direction} {k}: {label({switch: axes[switch][0]})}"
            pair = [arms.get(frozenset(stop)) for stop in (before, after)]
            if pair[0] is None or pair[1] is None:
                lost.append(name)
            else:
                steps += path([pair[0], pair[1]], names=[name], metric=metric)
    return tuple(steps), tuple(lost)
