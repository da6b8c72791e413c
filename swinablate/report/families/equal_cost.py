"""Secondary effects, on validation accuracy: at equal epochs, equal MACs, equal training seconds.

A change may win only because it is trained longer, or lose because it is slow. An arm and what it
is compared with are read where both have used as much as the one of the two that uses less: at
their last whole epoch until then, which for the other lies before the end of its learning rate's
schedule. No other arm has a say in that. The three questions share one error rate, which is not
that of the study: they decide nothing about it.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swinablate.config.metrics import ACCURACY
from swinablate.records.plan import PlanRecord
from swinablate.stats import (
    Contrast,
    Declaration,
    Estimate,
    diverged_shares,
    judge_family,
    others_of,
    read_samples,
)
from swinablate.study.declared import looks_of

CURVE = "curve"
METRIC = "val/accuracy"
SECONDS = "seconds"
RESOURCES = ("epochs", "MACs", SECONDS)


def curve_effects(
    plan: PlanRecord,
    declared: Declaration,
    trials: pd.DataFrame,
    curves: pd.DataFrame,
    *,
    timed: bool = True,
) -> list[Estimate]:
    """Judge every arm at equal cost, three ways.

    Args:
        plan: a recorded plan; with adaptive seeds there are no such effects, for the number of
            seeds then depends on what was seen.
        declared: what the plan declared.
        trials: a row for every trial that counts.
        curves: a row for every epoch.
        timed: False says nothing of equal seconds: they do not compare.

    Returns:
        Contrasts of the family `curve`; none while trials are missing.
    """
    waiting = (trials.status == "waiting").any()
    if curves.empty or waiting or looks_of(plan) or plan.smoke or len(plan.arms) < 2:
        return []
    curves = curves[~curves.arm.isin(plan.apart)]  # they have no epochs, or others
    trials = trials[~trials.arm.isin(plan.apart)]
    spent = _spent(plan, curves)
    asked = len(RESOURCES)
    same = (declared.metric, declared.unit) == (ACCURACY, "pp")
    third = replace(
        declared,
        metric=METRIC,
        called="",
        unit="pp",
        better="higher",
        rope_pp=declared.rope_pp if same else None,
        floor=None if same else 0.0,
        unrecorded={},
        planned={arm: n for arm, n in declared.planned.items() if arm not in plan.apart},
        alpha=declared.alpha / asked,  # one family of three questions
        contrasts=(),
        hypotheses=(),
    )
    others = {
        arm: other for arm, other in others_of(declared).items() if not plan.apart & {arm, other}
    }
    found = [
        each
        for resource in RESOURCES
        if timed or resource != SECONDS
        for each in _at_equal(third, trials, spent, resource, others)
    ]
    # Each question is judged at its third of alpha; three times its p is then below alpha.
    return [
        each if each.p_holm is None else replace(each, p_holm=min(1.0, asked * each.p_holm))
        for each in found
    ]


def _spent(plan: PlanRecord, curves: pd.DataFrame) -> pd.DataFrame:
    """The curves with what each trial has used by the end of each epoch."""
    macs = {arm.name: arm.macs for arm in plan.arms}
    rows = curves.sort_values(["arm", "seed", "epoch"]).reset_index(drop=True)
    # Rates and times are recorded, images are not; rounding gives back the whole number.
    images = (rows.images_per_s * rows.epoch_s).round()
    trial = [rows.arm, rows.seed]
    return rows.assign(
        epochs=rows.epoch.astype(float),
        seconds=rows.epoch_s.groupby(trial).cumsum(),
        MACs=images.groupby(trial).cumsum() * rows.arm.map(macs),
    )


def _at_equal(
    declared: Declaration,
    trials: pd.DataFrame,
    spent: pd.DataFrame,
    resource: str,
    others: Mapping[str, str],
) -> list[Estimate]:
    """Every arm minus what it is compared with, where both have used as much of a resource.

    What an arm is compared with is read anew for each that costs less: a sample of its own,
    though of the same seeds. They correlate in a way that nobody knows, so the intervals are then
    Bonferroni's.
    """
    done = trials[trials.status == "done"][["arm", "seed"]]
    mine = spent.merge(done, on=["arm", "seed"])
    if mine.empty:
        return []
    curves = _by_arm(mine, resource)
    limits = {
        arm: min(_total(curves[one]) for one in (arm, other))
        for arm, other in others.items()
        if arm in curves and other in curves
    }
    frame = trials[["arm", "seed", "status"]].copy()
    # The baseline's own name is for what it is at its end: the reading that most arms share.
    read = {arm: _read(curves[arm], limits.get(arm, np.inf)) for arm in curves}
    frame["value"] = [
        read.get(arm, {}).get(seed, np.nan)
        for arm, seed in zip(frame.arm, frame.seed, strict=True)
    ]
    again: dict[str, str] = {}  # the name of another reading -> whose it is
    sides, parts, own = dict(others), [frame], dict(iter(frame.groupby("arm", sort=False)))
    for arm, limit in limits.items():
        other = others[arm]
        values = _read(curves[other], limit)
        if values == read[other]:
            continue
        sides[arm] = f"{other} | {arm}"  # no arm has such a name
        again[sides[arm]] = other
        rows = own[other]
        parts.append(rows.assign(arm=sides[arm], value=[values.get(s, np.nan) for s in rows.seed]))
    plain = read_samples(frame, declared)
    samples = plain
    if again:
        planned = {**declared.planned, **{name: declared.planned[o] for name, o in again.items()}}
        samples = read_samples(pd.concat(parts), replace(declared, planned=planned))
        samples = {
            key: replace(one, tally=replace(one.tally, name=again[key]), again=True)
            if key in again
            else one
            for key, one in samples.items()
        }
    contrasts = [_contrast(arm, sides[arm], resource) for arm in others]
    # Whether an arm trains is one question, and asked with the study's error rate.
    found = diverged_shares(plain, replace(declared, alpha=declared.alpha * len(RESOURCES)))
    judged = judge_family(contrasts, samples, declared, complete=True, found=found)
    return [
        replace(each, contrast=_contrast(arm, other, resource))
        for each, (arm, other) in zip(judged, others.items(), strict=True)
    ]


def _contrast(arm: str, other: str, resource: str) -> Contrast:
    return Contrast(
        name=f"{arm} at equal {resource}",
        kind=CURVE,
        family=CURVE,
        weights={arm: 1.0, other: -1.0},
        metric=METRIC,
    )


Curves = Mapping[int, tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Seed -> what it has used by the end of each epoch, and its accuracy then."""


def _by_arm(spent: pd.DataFrame, resource: str) -> Mapping[str, Curves]:
    """The curves of every arm; rows come by arm, seed and epoch."""
    found = defaultdict[str, dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]](dict)
    names, seeds = spent.arm.to_numpy(), spent.seed.to_numpy()
    used, accuracy = spent[resource].to_numpy(float), spent.val_acc.to_numpy(float)
    starts = np.flatnonzero(np.r_[True, (names[1:] != names[:-1]) | (seeds[1:] != seeds[:-1])])
    for low, high in zip(starts, [*starts[1:], len(names)], strict=True):
        found[names[low]][seeds[low]] = used[low:high], accuracy[low:high]
    return dict(found)


def _total(curves: Curves) -> float:
    """What an arm uses in all; its slowest seed is read at its end, too."""
    return max(float(used[-1]) for used, _ in curves.values())


def _read(curves: Curves, limit: float) -> dict[int, float]:
    """The accuracy of every seed at its last whole epoch within a limit, where there is one."""
    places = {seed: int(np.searchsorted(c[0], limit, side="right")) for seed, c in curves.items()}
    return {seed: float(curves[seed][1][at - 1]) for seed, at in places.items() if at}
