"""Every study of a home: how far it is, what runs, its validation curves; from files alone."""

from collections import defaultdict
from collections.abc import Mapping
from statistics import mean
from typing import Any

from swinablate.errors import SwinablateError
from swinablate.records.home import Home
from swinablate.records.plan import PlanRecord, everything
from swinablate.scheduling.looking.uses import studies_of
from swinablate.scheduling.status import SCHEMA, read_status
from swinablate.text import known


class Overview:
    """What a page shows of a home; what did not change is not read again."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._kept: dict[str, tuple[object, dict[str, Any]]] = {}

    def read(self) -> dict[str, Any]:
        """All studies, those that run first, then the newest.

        Returns:
            Plain data: of each study its counts as `status --json` has them, its question,
            whether it is finished, and the mean curve of every arm.
        """
        names = studies_of(self._home)
        names.sort(key=lambda name: _time(self._home.studies / name / "latest"), reverse=True)
        found = [self._study(name) for name in names]
        found.sort(key=lambda one: not one.get("owner"))
        return {"schema": SCHEMA, "home": str(self._home.root), "studies": found}

    def _study(self, name: str) -> dict[str, Any]:
        try:
            plan = self._home.declared(name)
            stamp = self._stamp(plan)
            kept = self._kept.get(name)
            if kept is None or kept[0] != stamp or kept[1].get("owner"):
                self._kept[name] = kept = (stamp, self._look(name, plan))
        except (SwinablateError, OSError) as error:  # one damaged file hides no other study
            return {"study": name, "problem": str(error)}
        return kept[1]

    def _stamp(self, plan: PlanRecord) -> object:
        """What changes when anything of a study does: its records, and who runs it."""
        files = [self._home.trials / trial / "result.json" for trial in everything(plan)]
        return plan.declaration, self._home.holder(plan.study), tuple(map(_time, files))

    def _look(self, name: str, plan: PlanRecord) -> dict[str, Any]:
        status = read_status(self._home, name, plan)
        ended = status.done + status.failed + status.diverged
        return {
            **status.to_json(),
            "question": plan.question,
            "finished": not status.owner and ended == status.planned,
            "curves": curves(self._home, plan),
        }


def curves(home: Home, plan: PlanRecord) -> list[dict[str, Any]]:
    """Of every arm its mean validation accuracy by epoch, over the seeds that came so far.

    Returns:
        An arm each: `arm`, `seeds` that have an epoch, and `points` of (epoch, percent).
    """
    if plan.baseline.commanded:
        return []  # its curve is of what decides, and nobody should stop a study because of that
    ours = [arm for arm in plan.arms if not arm.commanded]
    finals = {trial: arm.name for arm in ours for trial in arm.trials}
    recorded = home.outcomes(finals)
    by_arm: defaultdict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    seeds: defaultdict[str, int] = defaultdict(int)
    for trial, arm in finals.items():
        rows = recorded[trial].curve if trial in recorded else _under_way(home, trial)
        seeds[arm] += bool(rows)
        for row in rows:
            if known(row.get("val/accuracy")):
                by_arm[arm][int(row["epoch"])].append(float(row["val/accuracy"]))
    return [
        {
            "arm": arm.name,
            "seeds": seeds[arm.name],
            "points": [
                [epoch, round(mean(v), 3)] for epoch, v in sorted(by_arm[arm.name].items())
            ],
        }
        for arm in plan.arms
        if not arm.commanded
    ]


def _under_way(home: Home, trial: str) -> list[Mapping[str, Any]]:
    curve: list[Mapping[str, Any]] = []
    for happened in home.events(trial):
        if happened.kind == "resumed":
            curve = list(happened.data["curve"])
        elif happened.kind == "epoch":
            curve.append(happened.data)
    return curve


def _time(path: Any) -> int:
    try:
        return int(path.stat().st_mtime_ns)
    except OSError:
        return 0
