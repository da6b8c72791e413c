"""Removing a study from a home: what only it uses goes, what others use stays.

The stores go first, which can be made again; then the trials, then the study itself. A folder is
renamed away in one step before its files are deleted, so that who is killed in the middle leaves a
whole trial or none, and the study until all of its trials are gone: a second removal finishes.
"""

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.disk import locks
from swinablate.records.disk.files import writing
from swinablate.records.home import Home
from swinablate.records.launch import UNKNOWN, Launch, launch_of
from swinablate.records.plan import PlanRecord
from swinablate.scheduling.claims import Claims
from swinablate.scheduling.looking.studies import bytes_of
from swinablate.scheduling.looking.uses import rows_of, studies_of
from swinablate.scheduling.owner import Owner
from swinablate.scheduling.queue import forget, queue_name
from swinablate.tracking.removal import remove_experiments
from swinablate.tracking.text import experiment

AWAY = ".removed"
"""Folder with what is being deleted, on the disk where that was; no command reads it."""


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What a removal takes, and what it leaves.

    Attributes:
        plans: every declaration of the study that can be read.
        goes: trials that no other study uses.
        stays: trials that others use -> those studies.
        unread: declarations that are damaged: trials that only they name stay.
        disk_bytes: that become free.
        launch: how the study was last started, with its stores.
    """

    study: str
    plans: tuple[PlanRecord, ...]
    goes: tuple[str, ...]
    stays: dict[str, tuple[str, ...]]
    unread: tuple[str, ...]
    disk_bytes: int
    launch: Launch = UNKNOWN

    def to_json(self) -> dict[str, Any]:
        """What `rm --json` says of it."""
        return {
            "study": self.study,
            "declarations": len(self.plans),
            "removed": list(self.goes),
            "kept": {trial: list(users) for trial, users in self.stays.items()},
            "unread": list(self.unread),
            "disk_bytes": self.disk_bytes,
        }


def planned(home: Home, study: str) -> Removal:
    """Say what removing a study takes; reads only.

    Raises:
        InputError: it is not in this home.
        EnvironmentFault: another study cannot be read, so that nobody knows what it uses.
    """
    own = Path(study).name == study and study not in {"", ".", ".."}
    if not own or not (home.studies / study).is_dir():
        raise InputError(
            f"study {study!r} has not been run in {home.root}",
            hint="`swinablate list` shows the studies of a home; --home names another",
        )
    users: dict[str, list[str]] = {}
    for name in studies_of(home):
        if name != study:
            for plan in _all(home, name):
                for row in rows_of(plan):
                    users.setdefault(row.trial, []).append(name)
    plans, unread = [], []
    for digest in home.declarations(study):
        try:
            plans.append(home.declared(study, digest))
        except EnvironmentFault as error:
            unread.append(str(error))
    ids = dict.fromkeys(row.trial for plan in plans for row in rows_of(plan))
    goes = tuple(one for one in ids if one not in users and (home.trials / one).exists())
    sizes = [bytes_of(home.trials / trial) for trial in goes]
    return Removal(
        study=study,
        plans=tuple(plans),
        goes=goes,
        stays={one: tuple(dict.fromkeys(users[one])) for one in ids if one in users},
        unread=tuple(unread),
        disk_bytes=sum(sizes) + bytes_of(home.studies / study),
        launch=_launch(home, plans),
    )


def remove(
    home: Home,
    study: str,
    *,
    storage: str | None = None,
    tracking: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Removal:
    """Remove a study, whatever of it an interrupted removal has left.

    Args:
        home: where it is.
        study: its name.
        storage: address of Optuna's store; None is where it was run with, or the home's.
        tracking: address of MLflow's; None the same.
        say: takes a line for everything that went.

    Raises:
        InputError: it is not in this home.
        EnvironmentFault: it is running, a store is out of reach, or the disk refuses.
    """
    with home.owned(study), closing(Claims(home)) as claims:
        _sweep(home)
        found = planned(home, study)  # again: within the lock nobody declares it anew
        given = found.launch.stores
        url = storage or given.get("--storage") or home.optuna_url
        uri = tracking or given.get("--tracking-uri") or home.mlflow_uri
        queues = [queue_name(study, plan.declaration) for plan in found.plans]
        for name in forget(url, queues, Owner(home=home.root, say=say)):
            say(f"from Optuna: {name}")
        names = [experiment(study, _dataset(plan)) for plan in found.plans]
        for done, places in remove_experiments(uri, names, [p.declaration for p in found.plans]):
            say(f"from MLflow: {done}")
            for place in places:
                if place.is_relative_to(home.artifacts):
                    _discard(home, place, f"run-{place.name}")
        for trial in found.goes:
            with claims.passing(trial) as had:
                if had:
                    _discard(home, home.trials / trial, f"trial-{trial}")
        _discard(home, home.studies / study, f"study-{study}")
        (home.locks / f"{study}.lock").unlink(missing_ok=True)  # ours: it is held
    for place in _places(home):
        shutil.rmtree(place, ignore_errors=True)
    return found


def unfinished(home: Home, study: str) -> bool:
    """Whether a removal was killed after the study itself was gone; sweeps up what it left."""
    left = any((place / f"study-{study}").exists() for place in _places(home))
    if left:
        _sweep(home)
    return left


def running(home: Home, study: str) -> str:
    """Who runs a study, in words; empty when nobody does."""
    return locks.holder(home.locks / f"{study}.lock")


def _all(home: Home, name: str) -> Iterator[PlanRecord]:
    """Every declaration of another study.

    Raises:
        EnvironmentFault: one is damaged.
    """
    for digest in home.declarations(name):
        try:
            yield home.declared(name, digest)
        except EnvironmentFault as error:
            raise EnvironmentFault(
                f"nobody can say which trials study {name!r} uses, and so which may go: "
                f"{error.problem}",
                at=error.at,
                hint=error.hint or "`swinablate doctor` looks at all of a home",
            ) from None


def _launch(home: Home, plans: list[PlanRecord]) -> Launch:
    """How the study was last started with stores of its own, if it ever was."""
    found = [launch_of(home, plan) for plan in plans]
    return next((one for one in found if one.stores or one.variables), UNKNOWN)


def _dataset(plan: PlanRecord) -> str:
    return plan.baseline.dataset


def _discard(home: Home, folder: Path, name: str) -> None:
    """Take a folder away in one step, then delete it."""
    if not folder.exists() and not folder.is_symlink():
        return
    with writing(folder):
        near = folder.parent.stat().st_dev == home.root.stat().st_dev
        places = [home.root, folder.parent] if near else [folder.parent]
        away = _moved(folder, [place / AWAY / name for place in places])
        if not name.startswith("study-"):  # that one says until the end whose removal it was
            _delete(away)


def _moved(folder: Path, places: list[Path]) -> Path:
    """Rename a folder to the first place that takes it: a mount of the same disk is another."""
    for away in places:
        away.parent.mkdir(exist_ok=True)
        try:
            folder.rename(away)
        except OSError as error:
            if error.errno != errno.EXDEV or away == places[-1]:
                raise
        else:
            break
    return away


def _sweep(home: Home) -> None:
    """Delete what a killed removal has left."""
    with writing(home.root):
        for place in (place for place in _places(home) if place.exists()):
            shutil.rmtree(place)  # of links in it, the links


def _delete(path: Path) -> None:
    """Delete a folder; of a link to one, the link: somebody else keeps what it names."""
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path)


def _places(home: Home) -> tuple[Path, ...]:
    """Where removals may have left something."""
    return tuple(where / AWAY for where in (home.root, home.trials, home.studies))
