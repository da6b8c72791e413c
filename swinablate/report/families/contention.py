"""Whether training times may be compared: what ran beside a trial slows it, and no switch did.

Seeds of one arm do the same work, so they should take the same time; and a trial that trains on a
processor should be on one for all of its time. Where either fails, throughput, training times and
effects at equal seconds speak of the machine's other work, and are withheld; so they are where
seeds trained as one, because an interval needs times of single trials.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from swinablate.records.plan import PlanRecord
from swinablate.stats import Warn
from swinablate.text import duration

CODE = "W28"
SHARE = 0.9
"""Of its training time that an arm on a processor has to be on one: it leaves a tenth for reading
and the operating system. One core is asked of trials with several threads too, for how many of
them have work at a time is not known."""
SPREAD = 1.3
"""Times as long as the fastest that the slowest seed of an arm may take. In the report of the
quick start, two trials at a time on two cores, it was 1.25; where other programs ran, 5."""
FUSED = r"\bfused=(?!1\b)"
"""Of an execution class, as `trials.csv` has it: how many trials were one."""
TIMES = frozenset({"train_s", "images_per_s"})
"""Quantities that the machine's other work changes."""
UNTOLD = "training times do not compare: see W28"


def contention(plan: PlanRecord, trials: pd.DataFrame) -> list[Warn]:
    """Say that times do not compare, and why; nothing of a smoke run, nor of a command.

    Args:
        plan: a recorded plan.
        trials: a row for every trial that counts.

    Returns:
        One warning, W28, or none. Records of earlier versions have no processor time: of them
        only the spread within arms can tell.
    """
    theirs = [arm.name for arm in plan.arms if arm.commanded]  # what they wait for is their own
    if plan.smoke or (plan.arms and len(theirs) == len(plan.arms)):
        return []
    ours = ~trials.arm.isin(theirs)
    done = trials[ours & (trials.status == "done") & trials.train_s.notna()]
    rows = done.astype({"train_s": float, "cpu_s": float})
    busy, shared = [*_spread(rows), *_starved(rows)], _shared(rows)
    if not (busy or shared):
        return []
    others = (
        "Other programs, or more trials than cores, took part of the machine. " if busy else ""
    )
    text = (
        f"training times do not compare: {'; '.join([*busy, *shared])}. {others}"
        "Throughput, training times and effects at equal seconds are withheld."
    )
    return [Warn(CODE, text)]


def timed(warnings: Iterable[Mapping[str, Any]]) -> bool:
    """Whether training times compare, by the warnings of verdicts.json."""
    return not any(one["code"] == CODE for one in warnings)


def clocked(trials: pd.DataFrame) -> bool:
    """Whether every trial that is done recorded its processor time, or none its time at all."""
    done = trials[(trials.status == "done") & trials.train_s.notna()]
    return bool(done.cpu_s.notna().all())


def _spread(rows: pd.DataFrame) -> list[str]:
    """The arm whose seeds differ most in time."""
    times = rows.groupby("arm", sort=False).train_s.agg(["min", "max"])
    ratio = (times["max"] / times["min"]).where(times["min"] > 0)
    wide = ratio[ratio > SPREAD]
    if wide.empty:
        return []
    arm = str(wide.idxmax())
    low, high = map(float, times.loc[arm])
    said = (
        f"the seeds of {_among(arm, len(wide))} do the same work and took {duration(low)} to "
        f"{duration(high)}, {wide[arm]:.1f} times as long"
    )
    return [said]


def _starved(rows: pd.DataFrame) -> list[str]:
    """The arm whose trials waited most for a processor; those on a GPU wait for that."""
    known = rows[rows.cpu_s.notna() & rows.execution.str.contains("type=cpu", na=False)]
    sums = known.groupby("arm", sort=False)[["cpu_s", "train_s"]].sum()
    share = (sums.cpu_s / sums.train_s).where(sums.train_s > 0)
    low = share[share < SHARE]
    if low.empty:
        return []
    arm = str(low.idxmin())
    said = (
        f"the trials of {_among(arm, len(low))} were on a processor for {100 * low[arm]:.0f} % "
        "of their training time"
    )
    return [said]


def _shared(rows: pd.DataFrame) -> list[str]:
    """Trials that trained as one: each has its share of one time, and no spread of its own."""
    together = int(rows.execution.str.contains(FUSED, na=False).sum())
    if not together:
        return []
    said = (
        f"{together} of {len(rows)} trials trained as one with others, and each has its share of "
        "their time; --fuse off times every trial by itself"
    )
    return [said]


def _among(arm: str, number: int) -> str:
    return arm if number == 1 else f"{arm} (the most of {number} arms)"
