"""What the values of a table are: their unit, which way is good, and what cannot be meant."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from swinablate.config.metrics import ACCURACY
from swinablate.errors import InputError
from swinablate.report.foreign.columns import Results
from swinablate.stats.declaration import Direction
from swinablate.stats.estimate import MOST

Scale = Literal["percent", "fraction", "none"]
UNITS = (
    r"(?<=[_ (\[])(?:s|sec|secs|seconds|ms|us|ns|min|mins|hours|h"
    r"|kb|mb|gb|kib|mib|gib|bytes|j|kwh)[)\]]?$"
)
"""The last word of a name that is no share but an amount: `latency_ms`, `memory (GiB)`."""
AMOUNTS = (
    r"hausdorff|chamfer|(?<![a-z])(?:rmsle|msle|hd95|kid|mpjpe|epe|bpb|kl)(?![a-z])|brier"
    r"|loss|perplexity|entropy|deviance|distance|latency|runtime|duration|memory|energy|regret"
    r"|(?<![a-z])(?:ppl|mae|mse|rmse|nll|fid|bpc|bpd|lpips|time|cost|flops|macs|params)(?![a-z])"
    rf"|{UNITS}"
)
"""In the name of an amount of which less is better."""
LOWER = re.compile(
    AMOUNTS
    + r"|error|miss_?rate|(?<![a-z])(?:err|wer|cer|eer|ece|s?mape|wape|fpr\d*|fnr)(?![a-z])",
    re.IGNORECASE,
)
"""In the name of a metric of which less is better."""
NO_SHARE = re.compile(
    AMOUNTS + r"|throughput|reward|return|psnr|inception|pesq"
    r"|(?<![a-z])(?:fps|elo|snr|sdr|db)(?![a-z])|(?:/|_per_)s(?:ec)?$",
    re.IGNORECASE,
)
"""In the name of a metric that is no share of anything: no number of it is a percentage."""
WHOLE = 100.0
"""Percent, and how many of them a fraction of 1 is."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What was said of the values; None was not said.

    Attributes:
        metric: what they are called.
        unit: percent; fractions of 1, which are shown in percent; or anything else.
        better: which way is good.
    """

    metric: str | None = None
    unit: Scale | None = None
    better: Direction | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Values with a unit and a direction.

    Attributes:
        rows: as read; fractions have become percent.
        metric: what the values are called.
        percent: whether they are percent, and differences percentage points.
        better: which way is good.
    """

    rows: pd.DataFrame
    metric: str
    percent: bool
    better: Direction

    @property
    def datasets(self) -> list[str]:
        """The data sets, as they come in the table."""
        return list(dict.fromkeys(self.rows.dataset))


def settled(results: Results, asked: Measure) -> Measured:
    """Settle what the values are.

    Raises:
        InputError: they cannot be what was said, or may as well be something else.
    """
    metric = asked.metric or results.metric or ACCURACY
    # What it is called here, and what the table calls it: another name turns nothing round.
    called = list(dict.fromkeys(filter(None, (metric, results.metric))))
    low = next((name for name in called if LOWER.search(name)), None)
    if asked.better is None and low is not None:
        raise InputError(
            f"{low!r} sounds as if lower were better",
            at=str(results.file),
            hint="say which way is good: --better lower, or --better higher",
        )
    unit = asked.unit or ("percent" if results.percent else None)
    if unit is None and any(map(NO_SHARE.search, called)):
        unit = "none"
    if results.percent and unit != "percent":
        raise InputError(
            f"the values have percent signs, --unit says {unit}",
            at=str(results.file),
            hint="leave out --unit, or the signs",
        )
    rows = results.rows
    counted = rows[(rows.status == "done") & np.isfinite(rows.value)]
    if unit is None:
        _doubt(results, counted)
    wild = counted[counted.value.abs() > MOST]
    if len(wild):
        raise InputError(
            f"value = {wild.value.iloc[0]:g} is beyond anything that is measured",
            at=f"{results.file}: line {wild.line.iloc[0]}",
            hint="is it a number of this metric? mark a run that diverged in a column 'status'",
        )
    if unit != "none":
        _within(results, counted, 1.0 if unit == "fraction" else WHOLE)
    if unit == "fraction":
        # Rounded as far as a float of this size is exact: 0.931 becomes 93.1.
        rows = rows.assign(value=(WHOLE * rows.value).round(10))
    return Measured(
        rows=rows, metric=metric, percent=unit != "none", better=asked.better or "higher"
    )


def _doubt(results: Results, counted: pd.DataFrame) -> None:
    """Refuse what looks like fractions, where nobody said that it is percent.

    Raises:
        InputError: all values, those of one arm, or one of an arm lie in 0 to 1.
    """
    last = counted.sort_values("step", kind="stable")
    last = last.drop_duplicates(["dataset", "arm", "seed"], keep="last").sort_index()
    small = last.value.between(0, 1)
    if len(last) and small.all():
        low, high = last.value.min(), last.value.max()
        raise InputError(
            f"all values lie in 0 to 1 (from {low:g} to {high:g})",
            at=str(results.file),
            hint="say what they are: --unit fraction if 1 is all right, --unit none for a "
            "loss or a score without a unit, --unit percent if they are percent",
        )
    # An exact 0 is the same in both units; 1 and less is the rare arm that learnt nothing.
    odd = last[small & (last.value > 0)]
    if len(odd):
        one = odd.iloc[0]
        other = last[last.value > 1].iloc[0]
        raise InputError(
            f"values in two units: {one.value:g} ({one.arm}, line {one.line}), "
            f"{other.value:g} ({other.arm}, line {other.line})",
            at=f"{results.file}: line {one.line}",
            hint="write all values in one unit; or say --unit percent if all of them are "
            "percent, --unit none if none is",
        )


def _within(results: Results, counted: pd.DataFrame, most: float) -> None:
    """Refuse what is no share.

    Raises:
        InputError: a value is negative, or larger than the whole.
    """
    wrong = counted[~counted.value.between(0, most)]
    if len(wrong):
        one = wrong.iloc[0]
        shown = f"{one.value:g} %" if most == WHOLE else f"{one.value:g}"
        what = "a percentage" if most == WHOLE else "a fraction of 1"
        raise InputError(
            f"value = {shown} of {one.arm} is not {what}",
            at=f"{results.file}: line {one.line}",
            hint=f"a value lies in 0 to {most:g}"
            + (", as --unit fraction says" if most < WHOLE else "")
            + "; for a loss or a score without a unit, say --unit none",
        )
