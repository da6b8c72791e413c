"""Which studies can stand in one table, what differs between them, and the table itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from swinablate.errors import InputError
from swinablate.records.home import Home
from swinablate.report.answer import gather
from swinablate.report.families.datasets import over
from swinablate.report.results import StudyResults
from swinablate.report.tables import interim
from swinablate.text import flat, level, places_of, unit_of

SCHEMA = 1
"""Of `compare --json`: a script that reads it can refuse what it does not know."""
KEPT = ("name", "n", "mean", "sd", "diverged", "failed", "delta_pp", "ci_low", "ci_high",
        "verdict", "negligible", "against")  # fmt: skip
"""What of an arm's verdict stands beside those of other studies."""
HINT = "compare studies that declare the same, or read their reports one by one"


@dataclass(frozen=True, kw_only=True)
class Across:
    """Studies that were judged alike.

    Attributes:
        answers: of every study, in the order in which they were asked for.
        differs: what differs between them, and may: name -> study -> value, in words.
        named: the data set of each, where no recipe says it.
        title: of the report; empty is the names of the studies.
    """

    answers: tuple[StudyResults, ...]
    differs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    named: tuple[str, ...] = ()
    title: str = ""

    @property
    def sets(self) -> tuple[str, ...]:
        """The data set of each study."""
        return self.named or tuple(answer.plan.baseline.dataset for answer in self.answers)

    @property
    def first(self) -> Mapping[str, Any]:
        """The verdicts of the first study: metric, unit, alpha, rope and method are everyone's."""
        return self.answers[0].verdicts

    @property
    def names(self) -> tuple[str, ...]:
        """Of the studies."""
        return tuple(answer.plan.study for answer in self.answers)

    @property
    def arms(self) -> tuple[str, ...]:
        """Every arm of any study, as they come."""
        named = (arm["name"] for answer in self.answers for arm in answer.verdicts["arms"])
        return tuple(dict.fromkeys(named))

    @property
    def places(self) -> int:
        """Decimals of all differences, so that they can be compared by eye."""
        return max(places_of(answer.verdicts) for answer in self.answers)

    def to_json(self) -> dict[str, Any]:
        """`compare --json`, and `compare.json` of the report."""
        return {
            "schema": SCHEMA,
            **{key: shared(self.first, key) for key in SHARED},
            "differs": self.differs,
            "studies": [_study(*pair) for pair in self._pairs()],
            "datasets": self.over,
        }

    def table(self) -> pd.DataFrame:
        """A row for every arm of every study."""
        rows = [
            {
                "study": answer.plan.study,
                "dataset": dataset,
                "interim": interim(answer),
                **{key: arm.get(key) for key in KEPT},
            }
            for answer, dataset in self._pairs()
            for arm in answer.verdicts["arms"]
        ]
        return pd.DataFrame(rows).rename(columns={"name": "arm"})

    def _pairs(self) -> list[tuple[StudyResults, str]]:
        return list(zip(self.answers, self.sets, strict=True))

    @cached_property
    def over(self) -> list[dict[str, Any]]:
        """The effect of every arm over the data sets of the studies, where each has its own.

        Two studies of one data set would count its images twice: then there is nothing.
        """
        if len(set(self.sets)) < len(self.sets):
            return []
        judged = {name: answer.verdicts for answer, name in self._pairs()}
        unfinished = [answer.plan.study for answer in self.answers if interim(answer)]
        pending = f"unfinished: {', '.join(unfinished)}" if unfinished else ""
        return [one for one in over(judged, pending) if one["k"] > 1]

    def cell(self, study: int, arm: str) -> Mapping[str, Any] | None:
        """An arm's verdict in a study; None where the study has no such arm."""
        found = self.answers[study].verdicts["arms"]
        return next((one for one in found if one["name"] == arm), None)


SHARED = ("metric", "unit", "alpha", "rope_pp", "method")
"""What must be the same: intervals of another metric, error rate or method are others' answers."""


def across(home: Home, names: Sequence[str]) -> Across:
    """Judge several studies of a home, to be shown side by side.

    Raises:
        InputError: fewer than two, one twice, one that was not run, or two that were not judged
            alike.
    """
    if len(set(names)) < 2:
        raise InputError("one study is nothing to compare", hint="name two or more")
    if len(set(names)) < len(names):
        raise InputError("a study is named twice", hint="name each once")
    answers = tuple(gather(home, name) for name in names)
    first, *rest = answers
    for other in rest:
        for key in SHARED:
            a, b = shared(first.verdicts, key), shared(other.verdicts, key)
            if a != b:
                ours, theirs = ("not declared" if one is None else one for one in (a, b))
                raise InputError(
                    f"{key} is {ours} in {first.plan.study!r} and {theirs} in "
                    f"{other.plan.study!r}: "
                    "their verdicts are answers to different questions",
                    hint=HINT,
                )
    return Across(answers=answers, differs=_differs(answers))


def shared(verdicts: Mapping[str, Any], key: str) -> Any:
    """One of `SHARED` as a study has it."""
    return unit_of(verdicts) if key == "unit" else verdicts.get(key)


def _study(answer: StudyResults, dataset: str) -> dict[str, Any]:
    return {
        "name": answer.plan.study,
        "question": answer.plan.question,
        "declaration": answer.plan.declaration,
        "interim": interim(answer),
        "dataset": dataset,
        "baseline": dict(answer.verdicts["baseline"]),
        "arms": [{key: arm.get(key) for key in KEPT} for arm in answer.verdicts["arms"]],
    }


def _differs(answers: Sequence[StudyResults]) -> dict[str, dict[str, str]]:
    """Seeds, and every field of the baselines' recipes that is not everywhere the same."""
    said: dict[str, dict[str, str]] = {}
    recipes = {answer.plan.study: flat(answer.plan.baseline.recipe) for answer in answers}
    seeds = {
        answer.plan.study: f"{len(answer.plan.baseline.seeds)} of the baseline, "
        f"{'/'.join(map(str, sorted({len(arm.seeds) for arm in answer.plan.arms[1:]})))} of an arm"
        for answer in answers
    }
    if len(set(seeds.values())) > 1:
        said["seeds"] = seeds
    for path in dict.fromkeys(path for recipe in recipes.values() for path in recipe):
        values = {
            name: level(recipe[path]) if path in recipe else "-"
            for name, recipe in recipes.items()
        }
        if len(set(values.values())) > 1:
            said[f"baseline's {path}"] = values
    return said
