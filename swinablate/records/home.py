"""The truth: `trials/<id>/`, one folder a trial, and what stands in a home.

    trials/<id>/attempts/<k>/events.jsonl    appended by the coordinator
    trials/<id>/attempts/<k>/checkpoint-*    written by the worker of attempt k
    trials/<id>/attempts/<k>/result.json     how attempt k ended, if it ended
    trials/<id>/result.json                  the commit marker, written last, atomically
    studies/<name>/<declaration>/plan.json   what was declared
    studies/<name>/<declaration>/tuning.json  what tuning suggested so far, in order
    studies/<name>/choices.json              what `auto` became, by device model

Optuna and MLflow are projections of it that `sync` rebuilds.
"""

import json
import os
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.events import Event
from swinablate.records.files import write_atomically
from swinablate.records.outcome import SCHEMA, Outcome
from swinablate.records.plan import Ledger, PlanRecord, Record

R = TypeVar("R", bound=Record)


class Home:
    """A folder with everything that was run: trials, studies, stores, data sets."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.trials = self.root / "trials"
        self.studies = self.root / "studies"
        self.datasets = self.root / "datasets"
        self.artifacts = self.root / "artifacts"
        self.locks = self.root / "locks"
        self.logs = self.root / "logs"

    def create(self) -> None:
        """Make the folders.

        Raises:
            EnvironmentFault: the disk refuses.
        """
        try:
            for folder in (self.trials, self.studies, self.datasets, self.locks, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise EnvironmentFault(
                f"cannot write: {error.strerror or error}",
                at=str(self.root),
                hint="choose another folder with --home or SWINABLATE_HOME",
            ) from None

    @property
    def optuna_url(self) -> str:
        """The default store of Optuna.

        Raises:
            InputError: no address can name a file in this folder.
        """
        return self._database("optuna.db")

    @property
    def mlflow_uri(self) -> str:
        """The default store of MLflow.

        Raises:
            InputError: no address can name a file in this folder.
        """
        return self._database("mlflow.db")

    def _database(self, name: str) -> str:
        from sqlalchemy.engine import make_url  # half a second, which `--help` does not need

        path = str(self.root / name)
        url = f"sqlite:///{path}"
        # What an address may not hold is read otherwise; MLflow formats braces; bytes are no text.
        odd = {"{", "}", *map(chr, range(0xD800, 0xE000))} & set(path)
        if odd or make_url(url).database != path:
            raise InputError(
                "no address can name a database in this folder",
                at=str(self.root),
                hint="choose one without ?, %, { and } with --home or SWINABLATE_HOME, "
                "or give both --storage and --tracking-uri",
            )
        return url

    def outcome(self, trial: str) -> Outcome | None:
        """How a trial ended; None while it has not.

        Raises:
            EnvironmentFault: the record is there and cannot be understood.
        """
        path = self.trials / trial / "result.json"
        try:
            data = json.loads(path.read_text("utf-8"))
            if data["schema"] > SCHEMA:
                raise EnvironmentFault(
                    f"written by a newer swinablate (schema {data['schema']})",
                    at=str(path),
                    hint="upgrade swinablate",
                )
            return Outcome(**{**data, "curve": tuple(data["curve"])})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EnvironmentFault(
                f"unreadable record: {error}",
                at=str(path),
                hint="move this folder away; `swinablate run STUDY` then trains the trial again",
            ) from None

    def outcomes(self, trials: Iterable[str]) -> dict[str, Outcome]:
        """The recorded ones among `trials`."""
        found = ((trial, self.outcome(trial)) for trial in trials)
        return {trial: outcome for trial, outcome in found if outcome is not None}

    def begin(self, trial: str) -> int:
        """Open the next attempt at a trial and return its number, from 1."""
        number = self.attempts(trial) + 1
        self.attempt(trial, number).mkdir(parents=True)
        return number

    def attempts(self, trial: str) -> int:
        """How many attempts at a trial have begun."""
        folder = self.trials / trial / "attempts"
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return max((int(name) for name in names if name.isdigit()), default=0)

    def attempt(self, trial: str, number: int) -> Path:
        """The folder of one attempt."""
        return self.trials / trial / "attempts" / str(number)

    def earlier(self, trial: str, number: int) -> tuple[str, ...]:
        """Folders of the attempts before `number` that a resume may use, newest first."""
        # From the checkpoint of one that ended, the next would only end the same way.
        folders = (self.attempt(trial, k) for k in range(number - 1, 0, -1))
        return tuple(str(p) for p in folders if p.is_dir() and not (p / "result.json").exists())

    def append(self, happened: Event) -> None:
        """Write one event to its attempt's log."""
        path = self.attempt(happened.trial, happened.attempt) / "events.jsonl"
        with path.open("a", encoding="utf-8") as log:
            log.write(happened.dumps() + "\n")

    def events(self, trial: str) -> Iterator[Event]:
        """Every event of a trial's newest attempt; a torn last line is not one."""
        attempts = sorted((self.trials / trial / "attempts").glob("*/events.jsonl"), key=_number)
        if attempts:
            # A crash can tear the last line alone: lines are appended by one process.
            for line in attempts[-1].read_text("utf-8").splitlines():
                try:
                    yield Event.loads(line)
                except (ValueError, TypeError):
                    return

    def commit(self, outcome: Outcome) -> None:
        """Record how a trial ended: in its attempt, then as the commit marker."""
        text = json.dumps(asdict(outcome), allow_nan=False, indent=1)
        write_atomically(self.attempt(outcome.trial, outcome.attempt) / "result.json", text)
        write_atomically(self.trials / outcome.trial / "result.json", text)

    def reopen(self, trial: str) -> None:
        """Make a failed trial wait again; what its attempts recorded stays."""
        (self.trials / trial / "result.json").unlink(missing_ok=True)

    def declare(self, plan: PlanRecord) -> None:
        """Record what a study declared, and that this is its newest declaration."""
        folder = self.studies / plan.study
        text = json.dumps(plan.to_json(), indent=1, allow_nan=False)
        write_atomically(folder / plan.declaration / "plan.json", text)
        write_atomically(folder / "latest", plan.declaration)  # last: it never names what is not

    def declared(self, name: str, declaration: str = "") -> PlanRecord:
        """A recorded plan of a study: that of a declaration's digest, or the newest.

        What its tuning has suggested so far is its `ledger`.

        Raises:
            InputError: the study was never run in this home.
            EnvironmentFault: the plan is there and cannot be understood.
        """
        try:
            latest = declaration or (self.studies / name / "latest").read_text("utf-8").strip()
            path = self.studies / name / latest / "plan.json"
            text = path.read_text("utf-8")
        except OSError:
            raise InputError(
                f"study {name!r} has not been run in {self.root}",
                hint="`swinablate run FILE` runs it, or name the right folder with --home",
            ) from None
        plan = _parsed(PlanRecord, text, path, "`swinablate run STUDY` declares it")
        return plan.model_copy(update={"ledger": self.ledger(name, latest)})

    def ledger(self, name: str, declaration: str) -> Ledger:
        """What the tuning of a declared study suggested so far; empty before it began.

        Raises:
            EnvironmentFault: it is there and cannot be understood.
        """
        path = self.studies / name / declaration / "tuning.json"
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            return Ledger()
        return _parsed(Ledger, text, path, "`swinablate run STUDY` then tunes from the start")

    def keep_ledger(self, name: str, declaration: str, ledger: Ledger) -> None:
        """Record what tuning suggested, before any of it runs."""
        path = self.studies / name / declaration / "tuning.json"
        write_atomically(path, json.dumps(ledger.to_json(), indent=1))

    def declarations(self, name: str) -> list[str]:
        """Digests of all declarations of a study that were run."""
        return sorted(path.parent.name for path in (self.studies / name).glob("*/plan.json"))

    def choices(self, name: str) -> dict[str, Any]:
        """What `auto` became in a study: device model -> choice, and what was measured."""
        try:
            text = (self.studies / name / "choices.json").read_text("utf-8")
        except FileNotFoundError:
            return {}
        found: dict[str, Any] = json.loads(text)["devices"]
        return found

    def keep_choices(self, name: str, devices: Mapping[str, Any]) -> None:
        """Record what `auto` became, for every later run of the study."""
        text = json.dumps({"schema": SCHEMA, "devices": devices}, indent=1)
        write_atomically(self.studies / name / "choices.json", text)

    @contextmanager
    def owned(self, name: str) -> Iterator[None]:
        """Be the only coordinator of a study; the lock dies with its holder.

        Raises:
            EnvironmentFault: another process holds it; names pid, host and start.
        """
        lock = FileLock(self.locks / f"{name}.lock")
        holder = self.locks / f"{name}.holder"
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise EnvironmentFault(
                f"study {name!r} is already running: {self.holder(name)}",
                at=str(self.root),
                hint="wait for it, stop it, or look with `swinablate status STUDY`",
            ) from None
        try:
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            write_atomically(holder, f"pid {os.getpid()} on {socket.gethostname()} since {since}")
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    def holder(self, name: str) -> str:
        """Who runs a study, in words; empty when nobody does."""
        lock = FileLock(self.locks / f"{name}.lock")
        try:
            with lock.acquire(timeout=0):
                return ""
        except Timeout:
            try:
                return (self.locks / f"{name}.holder").read_text("utf-8")
            except OSError:
                return "another process"
        except OSError:
            return ""


def _parsed(kind: type[R], text: str, path: Path, again: str) -> R:
    """A recorded file as a value.

    Args:
        kind: of the record.
        text: the file's content.
        path: the file, for messages.
        again: what becomes of it where it is moved away, in words.

    Raises:
        EnvironmentFault: it is no such record, or a newer swinablate wrote it.
    """
    try:
        data = json.loads(text)
        if data["schema"] > SCHEMA:
            raise EnvironmentFault(
                f"written by a newer swinablate (schema {data['schema']})",
                at=str(path),
                hint="upgrade swinablate",
            )
        return kind.model_validate(data)
    except (ValueError, KeyError, TypeError) as error:  # pydantic's errors are ValueErrors
        first = str(error).partition("\n")[0]
        raise EnvironmentFault(
            f"unreadable record: {first}", at=str(path), hint=f"move this file away; {again}"
        ) from None


def _number(path: Path) -> int:
    return int(path.parent.name) if path.parent.name.isdigit() else 0
