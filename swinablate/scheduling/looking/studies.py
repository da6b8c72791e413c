"""The studies of a home, one line each: how far, how old, how large."""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from swinablate.errors import EnvironmentFault
from swinablate.records.home import Home
from swinablate.records.plan import PlanRecord, everything
from swinablate.scheduling.due import Due, State, due
from swinablate.scheduling.looking.uses import studies_of

SCHEMA = 1
"""Of `list --json`: a script that reads it can refuse what it does not know."""
Standing = Literal["planned", "running", "interrupted", "done", "damaged"]


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A study of a home.

    Attributes:
        name: it.
        state: damaged where its plan or a record cannot be read.
        interim: a report of it would be one: trials are missing.
        owner: who runs it, in words; mostly empty.
        planned: trials wanted by now; with adaptive seeds more may follow.
        most: trials there can be at the end.
        failed: trials that failed or diverged, of those that are recorded.
        age_s: seconds since a trial of it was last recorded, or since it was declared.
        disk_bytes: of its trials and its own files; trials that studies share count in each.
        problem: why it could not be read.
    """

    name: str
    question: str = ""
    dataset: str = ""
    state: Standing
    interim: bool = True
    smoke: bool = False
    owner: str = ""
    done: int = 0
    failed: int = 0
    planned: int = 0
    most: int = 0
    declarations: int = 0
    declaration: str = ""
    age_s: float | None = None
    disk_bytes: int = 0
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """What `list --json` says of it."""
        return asdict(self)


def studies(home: Home, now: float | None = None) -> Iterator[Listed]:
    """Look at every study of a home; reads files only.

    Args:
        home: the folder.
        now: Unix seconds; None is the clock.
    """
    sizes: dict[str, int] = {}
    for name in studies_of(home):
        try:
            plan = home.declared(name)
            stands = due(State.of(plan, home.outcomes(everything(plan))))
        except EnvironmentFault as error:
            yield Listed(name=name, state="damaged", problem=str(error))
            continue
        yield _listed(home, plan, stands, sizes, time.time() if now is None else now)


def _listed(
    home: Home, plan: PlanRecord, stands: Due, sizes: dict[str, int], now: float
) -> Listed:
    recorded = stands.state.outcomes
    mine = [recorded[row.trial].status for row in stands.rows if row.trial in recorded]
    counts = Counter[str](mine)
    begun = any(home.attempts(row.trial) for row in stands.rows if row.trial not in recorded)
    owner = home.holder(plan.study)
    ended = not stands.left and (stands.spent or len(stands.rows) == stands.most)
    state: Standing = "planned"
    if owner:
        state = "running"
    elif ended:
        state = "done"
    elif mine or begun:
        state = "interrupted"
    every = everything(plan)
    return Listed(
        name=plan.study,
        question=plan.question,
        dataset=plan.baseline.dataset,
        state=state,
        interim=not ended,
        smoke=plan.smoke,
        owner=owner,
        done=counts["done"],
        failed=counts["failed"] + counts["diverged"],
        planned=len(stands.rows),
        most=stands.most,
        declarations=len(home.declarations(plan.study)),
        declaration=plan.declaration,
        age_s=max(0.0, now - _touched(home, plan, every)),
        disk_bytes=_sized(home, plan, every, sizes),
    )


def _touched(home: Home, plan: PlanRecord, trials: Iterable[str]) -> float:
    """When something of a study was last written, Unix seconds, as its disk has it."""
    paths = [home.studies / plan.study / "latest"]
    paths += [home.trials / trial / "result.json" for trial in trials]
    return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)


def _sized(home: Home, plan: PlanRecord, trials: Iterable[str], sizes: dict[str, int]) -> int:
    """Bytes of a study's folders; `sizes` remembers those of trials."""
    for trial in trials:
        if trial not in sizes:
            sizes[trial] = bytes_of(home.trials / trial)
    return bytes_of(home.studies / plan.study) + sum(sizes[trial] for trial in trials)


def bytes_of(folder: Path) -> int:
    """How large the files of a folder are, links not followed."""
    total = 0
    for place, _, names in os.walk(folder):  # passes over folders that went away: a study runs
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118  paths are slow
    return total
