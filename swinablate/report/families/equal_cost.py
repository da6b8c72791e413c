"""Secondary effects, on validation accuracy: at equal epochs, equal MACs, equal training seconds.

A change may win only because it is trained longer, or lose because it is slow. Every arm is read
where it has used as much as the arm that uses least: its last whole epoch until then, which for
all others lies before the end of their learning rate's schedule. The three
questions share one error rate, which is not that of the study: they decide nothing about it.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

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
RESOURCES = ("epochs", "MACs", "seconds")


def curve_effects(
    plan: PlanRecord, declared: Declaration, trials: pd.DataFrame, curves: pd.DataFrame
) -> list[Estimate]:
    """Judge every arm at equal cost, three ways.

    Args:
        plan: a recorded plan; with adaptive seeds there are no such effects, for the number of
            seeds then depends on what was seen.
        declared: what the plan declared.
        trials: a row for every trial that counts.
        curves: a row for every epoch.

    Returns:
        Contrasts of the family `curve`; none while trials are missing.
    """
    waiting = (trials.status == "waiting").any()
    if curves.empty or waiting or looks_of(plan) or plan.smoke or len(plan.arms) < 2:
        return []
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
        alpha=declared.alpha / asked,  # one family of three questions
        contrasts=(),
        hypotheses=(),
    )
    others = others_of(declared)
    found = [
        each
        for resource in RESOURCES
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
    """Every arm minus what it is compared with, where both have used as much of a resource."""
    done = trials[trials.status == "done"][["arm", "seed"]]
    mine = spent.merge(done, on=["arm", "seed"])
    if mine.empty:
        return []
    totals = mine.groupby(["arm", "seed"])[resource].max()
    limit = float(totals.groupby("arm").max().min())  # its slowest seed is read at its end, too
    within = mine[mine[resource] <= limit]
    last = within.sort_values("epoch").groupby(["arm", "seed"]).val_acc.last()
    frame = trials[["arm", "seed", "status"]].copy()
    pairs = zip(frame.arm, frame.seed, strict=True)
    frame["value"] = [last.get(pair, np.nan) for pair in pairs]
    contrasts = [
        Contrast(
            name=f"{arm} at equal {resource}",
            kind=CURVE,
            family=CURVE,
            weights={arm: 1.0, other: -1.0},
            metric=METRIC,
        )
        for arm, other in others.items()
    ]
    samples = read_samples(frame, declared)
    # Whether an arm trains is one question, and asked with the study's error rate.
    found = diverged_shares(samples, replace(declared, alpha=declared.alpha * len(RESOURCES)))
    return judge_family(contrasts, samples, declared, complete=True, found=found)
