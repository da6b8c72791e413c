"""All that was recorded of a study, as plain data: what figures, tables and pages are made of."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from swinablate.records.plan import PlanRecord
from swinablate.records.tables import Confusion, tidy, valued
from swinablate.stats import Declaration, Verdicts, verdicts
from swinablate.text import html_table, interval, number, places_of, signed, unit_of


@contextmanager
def unhurried() -> Iterator[None]:
    """Put off Python's search for circles of objects that nobody reaches while a report is made.

    A figure is tens of thousands of small objects that stay until it is written, and Python looks
    through all of them, and through every library's, again and again: a tenth of the time of a
    report. What it would find meanwhile, the figures already written, are tens of megabytes.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def judge_trials(plan: PlanRecord, declared: Declaration, trials: pd.DataFrame) -> Verdicts:
    """Judge what a study of fixed seeds recorded; pending while a trial waits.

    Args:
        plan: a recorded plan.
        declared: what is asked, in which metric.
        trials: a row for every trial that counts.
    """
    complete = bool((trials.status != "waiting").all()) and not plan.smoke
    return verdicts(valued(trials, declared.metric, declared.unit), declared, complete=complete)


def over_units(plan: PlanRecord, rows: pd.DataFrame, along: str, value: str) -> pd.DataFrame:
    """The rows; where splits of the data are drawn, their means in place of their seeds.

    Args:
        plan: a recorded plan.
        rows: with `arm` and `seed`.
        along: what else tells rows apart.
        value: what is averaged.
    """
    if not plan.units:
        return rows
    split = rows.assign(seed=rows.seed.map(plan.units))
    means = split.groupby(["arm", "seed", along], sort=False)[value].mean()
    return means.to_frame().reset_index()


@dataclass(frozen=True, kw_only=True)
class StudyResults:
    """All that was recorded of a study, as plain data; figures and reports read nothing else.

    Attributes:
        plan: the recorded plan (`plan.json`).
        trials: a row for every planned trial; accuracies in percent.
        curves: a row for every epoch of every trial that started.
        verdicts: the judged arms (`verdicts.json`).
        provenance: commits, versions, machines, hours.
        tuning: a row for every trial of tuning and at a tuned recipe; empty without tuning.
        recalls: a row for every class of every finished trial that recorded them, in percent.
        confusions: arm -> what it takes for what; without those that did not record it.
        ladder: the plan with the arms of every rung or data set, where a study has several; `plan`
            has those that its verdicts are about.
        away: a row for every planned trial at the other rungs or on the other data sets, and at
            home of those that only a trend needs.
        tuned_away: the rows of tuning at the other rungs.
        sets: of a study of several data sets, what was found on each, by its label.
    """

    plan: PlanRecord
    trials: pd.DataFrame
    curves: pd.DataFrame
    verdicts: Mapping[str, Any]
    provenance: Mapping[str, Any]
    tuning: pd.DataFrame = field(default_factory=pd.DataFrame)
    recalls: pd.DataFrame = field(default_factory=pd.DataFrame)
    confusions: Mapping[str, Confusion] = field(default_factory=dict)
    ladder: PlanRecord | None = None
    away: pd.DataFrame = field(default_factory=pd.DataFrame)
    tuned_away: pd.DataFrame = field(default_factory=pd.DataFrame)
    sets: Mapping[str, "StudyResults"] = field(default_factory=dict)

    @property
    def planned(self) -> PlanRecord:
        """The plan with all of its arms."""
        return self.ladder or self.plan

    def frame(self) -> pd.DataFrame:
        """A row for every trial that the study asks for, run or not.

        Returns:
            `arm`, `seed`, `trial`, `status` (waiting, done, failed, diverged), then what was
            measured, as in `tables/trials.csv`; shares in percent, missing where it was not.
        """
        return tidy(pd.concat([self.trials, self.away]) if len(self.away) else self.trials)

    @property
    def observed(self) -> dict[str, list[float]]:
        """Arm -> its observations: a value a seed, or a split's mean where splits are drawn."""
        done = self.trials.assign(value=self.values)
        done = done[(done.status == "done") & done.value.notna()]
        if units := self.plan.units:
            done = done.assign(seed=done.seed.map(units))
            done = done.groupby(["arm", "seed"], sort=False).value.mean().reset_index()
        groups = done.groupby("arm", sort=False).value
        return {str(arm): own.astype(float).tolist() for arm, own in groups}

    @property
    def wanted(self) -> dict[str, int]:
        """Arm -> how many observations it is to have."""
        if units := self.plan.units:
            return {arm.name: len(set(units.values())) for arm in self.plan.arms}
        return {str(arm): int(n) for arm, n in self.trials.groupby("arm").size().items()}

    def class_labels(self, count: int) -> list[str]:
        """What `count` classes are called: by their names where they have some, else by number."""
        known = {one.classes for one in self.plan.images if len(one.classes) == count}
        # Data sets of as many classes that differ in their names share a number alone.
        return list(known.pop()) if len(known) == 1 else [str(k) for k in range(count)]

    def _repr_html_(self) -> str:
        decimals = places_of(self.verdicts)
        rows = [
            {
                "arm": arm["name"],
                "n": arm["n"],
                "mean": number(arm["mean"], decimals),
                "sd": number(arm["sd"], decimals),
                "difference": signed(arm["delta_pp"], decimals) if "verdict" in arm else "-",
                "interval": _interval(arm, decimals),
                "verdict": arm.get("verdict", "baseline"),
            }
            for arm in (self.verdicts["baseline"], *self.verdicts["arms"])
        ]
        told = [f"{one['code']}: {one['text']}" for one in self.verdicts["warnings"]]
        return html_table(rows, self.plan.study, self.plan.question, *told)

    @property
    def values(self) -> "pd.Series[float]":
        """What was compared, of every trial; results trained elsewhere have one column for it."""
        if not self.verdicts.get("declared", True):
            return self.trials.test_acc
        return valued(self.trials, self.plan.compare.metric, unit_of(self.verdicts))["value"]


def _interval(arm: Mapping[str, Any], decimals: int) -> str:
    """The interval of an arm's difference; the baseline, and what is not judged, has none."""
    return interval(arm.get("ci_low"), arm.get("ci_high"), decimals)
