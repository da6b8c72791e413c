"""What a recorded plan declared, as the statistics read it."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from swinablate.config.levels import named_changes
from swinablate.config.metrics import ACCURACY, UNIFORM, Metric, metric
from swinablate.records.plan import PlanRecord
from swinablate.records.tables import unrecorded, valued
from swinablate.stats import (
    PATH,
    Contrast,
    Declaration,
    Hypothesis,
    diverged_shares,
    factorial,
    instead,
    path,
    read_samples,
)
from swinablate.stats import declared as declared_contrast
from swinablate.stats.seeds.units import Units
from swinablate.study.arms.designs import SHOWS, directions
from swinablate.text import LOG_ODDS, column_of

if TYPE_CHECKING:
    import pandas as pd

WEIGHTLESS = 1e-9
"""Smaller is what rounding leaves of 0: a weight is a whole number over the number of cells."""
CROSSED = ("factorial", "fraction")
ONE_WAY = "one direction of the path could not be run: what a step does may depend on the order"


def declaration(plan: PlanRecord, trials: "pd.DataFrame") -> Declaration:
    """What the plan declared.

    Args:
        plan: a recorded plan (`plan.json`).
        trials: a row for every planned trial; says how large the test set is.
    """
    compared = metric(plan.compare.metric)
    effects, lost = effects_of(plan)
    among, _ = comparisons_of(plan)
    one_way = plan.design == "path" and bool(lost)
    declared = Declaration(
        **(said_of(compared, plan, trials) | on_scale(compared, plan.compare.scale, trials)),
        alpha=plan.compare.alpha,
        rope_pp=plan.compare.rope,
        planned={arm.name: len(arm.seeds) for arm in plan.arms},
        contrasts=(*effects, *among),
        hypotheses=about(plan, compared.name),
        shows=shows(plan),
        withheld={PATH: ONE_WAY} if one_way else {},
    )
    failing = failing_cells(plan, trials, declared)
    if not failing:
        return declared
    # What cannot be told without them keeps its cells, and has no verdict because of them.
    without = {contrast.name: contrast for contrast in effects_of(plan, failing)[0]}
    kept = tuple(without.get(contrast.name, contrast) for contrast in effects)
    return replace(declared, contrasts=(*kept, *among), shows=shows(plan, failing))


def shows(plan: PlanRecord, failing: Collection[str] = ()) -> str:
    """What the design can and cannot show, with the cells that it has.

    Args:
        plan: a recorded plan.
        failing: cells that fail to train.
    """
    lost = ((unrun_cells(plan), "cannot be run"), (sorted(failing), "failed to train"))
    gone = [f"{', '.join(cells)}, which {why}" for cells, why in lost if cells]
    if plan.design != "factorial" or not gone:
        return SHOWS[plan.design]
    return (
        f"A factorial design without {', and '.join(gone)}, shows what each switch does, and "
        "whether the effect of one depends on another, only if no three switches act together: "
        "without those cells an effect is no average over the levels of all others. What the "
        "other cells do not tell apart is not judged."
    )


def said_of(compared: Metric, plan: PlanRecord, trials: "pd.DataFrame") -> dict[str, Any]:
    """What a declaration says of a metric: its unit, which way is good, where it is unknown.

    Args:
        compared: the metric.
        plan: a recorded plan.
        trials: a row for every planned trial; says how large the test set is.
    """
    known = trials.test_images.dropna()
    images = int(known.min()) if len(known) else None
    lacking = trials.arm[unrecorded(trials, compared.name)]
    found = {
        "metric": compared.name,
        "called": compared.called,
        "unit": compared.unit,
        "better": compared.better,
        "apart": plan.apart,
        "units": units_of(plan),
        "unrecorded": {str(arm): int(n) for arm, n in lacking.value_counts(sort=False).items()},
    }
    if compared.name == ACCURACY:  # which images are right says what other images would show
        return {**found, "test_images": images}
    return {**found, "floor": compared.floor(images, plan.baseline.image.get("classes"))}


def units_of(plan: PlanRecord) -> Units:
    """What counts as one observation of an arm, and what the intervals hold over.

    Args:
        plan: a recorded plan.
    """
    sources = plan.noise.sources
    if not sources:
        return Units()
    alone = "over training seeds, on this split only"
    return Units(plan.units, "over training seeds and data splits" if plan.units else alone)


def on_scale(compared: Metric, scale: str, trials: "pd.DataFrame") -> dict[str, Any]:
    """What the logit scale changes of a declaration; nothing on the linear one.

    No smaller sd is believed than rounding to whole images gives the arm that is nearest to 0 or
    100 %, where an image counts most: an arm whose seeds are all at 100 % shows no noise.
    """
    if scale != "logit":
        return {}
    of_arms = trials.assign(value=trials[column_of(compared.name)]).groupby("arm")["value"].mean()
    images = trials.test_images.dropna().min()
    right = of_arms.dropna() * images / 100
    steps = 1 / (right + 0.5) + 1 / (images - right + 0.5)  # the derivative of the logit
    return {
        "unit": LOG_ODDS,
        "test_images": None,  # other images: that interval is one of percentage points
        "floor": float(steps.max()) * UNIFORM if len(steps) else 0.0,
    }


def about(plan: PlanRecord, name: str) -> tuple[Hypothesis, ...]:
    """What the plan supposes of a metric or quantity; one that names none is about its metric."""
    return tuple(
        Hypothesis(h.about, h.expect, h.by)
        for h in plan.hypotheses
        if (h.quantity or plan.compare.metric) == name
    )


def failing_cells(
    plan: PlanRecord, trials: "pd.DataFrame", declared: Declaration
) -> frozenset[str]:
    """The cells of a factorial design that fail to train: its effects are told without them.

    Args:
        plan: a recorded plan.
        trials: a row for every planned trial.
        declared: what the plan declared.
    """
    if plan.design not in CROSSED or not (trials.status == "diverged").any():
        return frozenset()
    samples = read_samples(valued(trials, declared.metric, declared.unit), declared)
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
    name = plan.compare.metric
    contrasts, lost = (
        _steps(plan.axes, cells, name)
        if plan.design == "path"
        else factorial(cells, switches=list(plan.axes), metric=name)
    )
    found = []
    for contrast in contrasts:
        kept = _merged(contrast.weights, alias)
        if kept:
            found.append(replace(contrast, weights=kept))
        elif plan.design != "path":
            lost = (*lost, contrast.name)  # the same trials on both sides
    return tuple(found), lost


def comparisons_of(plan: PlanRecord) -> tuple[tuple[Contrast, ...], dict[str, str]]:
    """The comparisons that were declared one by one; and those that got lost, and why.

    An arm that is the same as another one is that one.

    Args:
        plan: a recorded plan.
    """
    alias = {r.name: r.same_as for r in plan.refusals if r.same_as}
    refused = {r.name for r in plan.refusals if not r.same_as}
    metric = plan.compare.metric
    found = [
        instead(arm.name, alias.get(arm.against, arm.against), metric)
        for arm in plan.arms
        if arm.against
    ]
    lost: dict[str, str] = {}
    for contrast in plan.contrasts:
        gone = [arm for arm in contrast.of if arm in refused]
        kept = _merged(contrast.of, alias)
        if gone:
            lost[contrast.name] = f"{', '.join(gone)} cannot be run"
        elif not kept:
            lost[contrast.name] = "its arms are the same network and training"
        else:
            found.append(declared_contrast(contrast.name, kept, metric))
    return tuple(found), lost


def unrun_cells(plan: PlanRecord) -> tuple[str, ...]:
    """The cells of a factorial design that cannot be run, and are no other arm's either."""
    if plan.design not in CROSSED:
        return ()
    return tuple(r.name for r in plan.refusals if r.cell and not r.same_as)


def assumed(plan: PlanRecord, told: Sequence[Contrast]) -> tuple[str, ...]:
    """The effects that a design tells only as if no three switches acted together.

    With all of its cells it would use one that cannot be run.

    Args:
        plan: a recorded plan.
        told: the effects that are told without those cells.
    """
    gone = set(unrun_cells(plan))
    if not gone:
        return ()
    cells = {arm.name: arm.changes for arm in plan.arms if arm.cell}
    cells |= {r.name: r.changes for r in plan.refusals if r.cell}
    whole, _ = factorial(cells, switches=list(plan.axes), metric=plan.compare.metric)
    uses = {contrast.name for contrast in whole if gone & contrast.weights.keys()}
    return tuple(contrast.name for contrast in told if contrast.name in uses)


def _merged(weights: Mapping[str, float], alias: Mapping[str, str]) -> dict[str, float]:
    """The weights with arms that are others' under those; what cancels is left out."""
    merged: defaultdict[str, float] = defaultdict(float)
    for arm, weight in weights.items():
        merged[alias.get(arm, arm)] += weight
    return {arm: weight for arm, weight in merged.items() if abs(weight) > WEIGHTLESS}


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
            name = f"{direction} {k}: {named_changes({switch: axes[switch][0]})}"
            pair = [arms.get(frozenset(stop)) for stop in (before, after)]
            if pair[0] is None or pair[1] is None:
                lost.append(name)
            else:
                steps += path([pair[0], pair[1]], names=[name], metric=metric)
    return tuple(steps), tuple(lost)
