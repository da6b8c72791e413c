"""The truth: `trials/<id>/`, one folder a trial, and what stands in a home.

    trials/<id>/attempts/<k>/events.jsonl    appended by the coordinator
    trials/<id>/attempts/<k>/checkpoint-*    written by the worker of attempt k
    trials/<id>/attempts/<k>/result.json     how attempt k ended, if it ended
    trials/<id>/attempts/<k>/reopened        `retry` did not let that be the trial's end
    trials/<id>/result.json                  the commit marker, written last, atomically
    studies/<name>/<declaration>/plan.json   what was declared
    studies/<name>/<declaration>/tuning.json  what tuning suggested so far, in order
    studies/<name>/choices.json              what `auto` became, by device model

JSON files are sealed (`records.seal`) and checked whenever they are read. Optuna and MLflow are
projections of all this that `sync` rebuilds.
"""

import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.disk import files, locks
from swinablate.records.disk.files import set_aside, write_atomically, writing
from swinablate.records.events import Event, read_event
from swinablate.records.outcome import Outcome, read_outcome, with_measured
from swinablate.records.plan import Choices, PlanRecord
from swinablate.records.seal import Damaged, read_record, seal, unseal
from swinablate.records.tuning import Ledger

DECLARATION = re.compile("[0-9a-f]{1,64}")
SYNC = "`swinablate sync STUDY` restores it from the copy in its attempt"
RETRY = "`swinablate retry STUDY` trains the trial again; the damaged file is kept"
INSTANT_S = 0.2
"""A holder says who it is as soon as it has the lock: so long is waited for its name."""


class Home:
    """A folder with everything that was run: trials, studies, stores, data sets."""

    def __init__(self, root: Path, datasets: Path | None = None) -> None:
        self.root = root.absolute()
        self.trials = self.root / "trials"
        self.studies = self.root / "studies"
        self.datasets = (datasets or self.root / "datasets").absolute()
        self.artifacts = self.root / "artifacts"
        self.locks = self.root / "locks"
        self.logs = self.root / "logs"

    def create(self) -> None:
        """Make the folders.

        Raises:
            EnvironmentFault: the disk refuses.
        """
        with writing(self.root):
            for folder in (self.trials, self.studies, self.datasets, self.locks, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root, prefix=".", suffix=".tmp") as file:
                file.write(bytes(1 << 12))  # a full disk still makes empty files

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

        A trial that was killed between the two writes of `commit` has ended.

        Raises:
            Damaged: the record is not what was written, or another trial's.
            EnvironmentFault: it cannot be read, or a newer swinablate wrote it.
        """
        try:
            return read_outcome(self._marker(trial), trial, "")
        except FileNotFoundError:
            copy = self._copy(trial)
        except Damaged as error:
            raise Damaged(error.problem, at=error.at, hint=self._remedy(trial)) from None
        try:
            return read_outcome(copy, trial, RETRY) if copy else None
        except FileNotFoundError:
            return None

    def outcomes(self, trials: Iterable[str]) -> dict[str, Outcome]:
        """The recorded ones among `trials`; one that has no folder costs a look into a set."""
        begun = {one.name for one in os.scandir(self.trials)} if self.trials.is_dir() else ()
        found = ((trial, self.outcome(trial)) for trial in trials if trial in begun)
        return {t: with_measured(one, self.trials / t) for t, one in found if one is not None}

    def begin(self, trial: str) -> int:
        """Open the next attempt at a trial and return its number, from 1."""
        number = self.attempts(trial) + 1
        with writing(self.trials):
            self.attempt(trial, number).parent.mkdir(parents=True, exist_ok=True)
            while True:  # a number that another process took first is not given twice
                try:
                    self.attempt(trial, number).mkdir()
                except FileExistsError:
                    number += 1
                else:
                    return number

    def attempts(self, trial: str) -> int:
        """How many attempts at a trial have begun."""
        names = (path.name for path in files.entries(self.trials / trial / "attempts"))
        return max((int(name) for name in names if name.isdecimal()), default=0)

    def attempt(self, trial: str, number: int) -> Path:
        """The folder of one attempt."""
        return self.trials / trial / "attempts" / str(number)

    def earlier(self, trial: str, number: int) -> tuple[str, ...]:
        """Folders of the attempts before `number` that a resume may use, newest first."""
        # From the checkpoint of one that ended, the next would only end the same way.
        folders = (self.attempt(trial, k) for k in range(number - 1, 0, -1))
        return tuple(str(p) for p in folders if p.is_dir() and not (p / "result.json").exists())

    def append(self, happened: Event) -> None:
        """Write one event to its attempt's log.

        Raises:
            EnvironmentFault: the disk refuses.
        """
        path = self.attempt(happened.trial, happened.attempt) / "events.jsonl"
        with writing(path), path.open("a", encoding="utf-8") as log:
            log.write(happened.dumps() + "\n")

    def events(self, trial: str) -> Iterator[Event]:
        """Every event of a trial's newest attempt; lines that are none of it are passed over.

        Nothing is judged by them: they show how far a trial is that has no record yet.
        """
        number = self.attempts(trial)
        try:
            lines = (self.attempt(trial, number) / "events.jsonl").read_bytes().splitlines()
        except OSError:
            return
        for line in lines:
            happened = read_event(line)
            if happened and (happened.trial, happened.attempt) == (trial, number):
                yield happened

    def commit(self, outcome: Outcome) -> None:
        """Record how a trial ended: in its attempt, then as the commit marker.

        Raises:
            EnvironmentFault: the disk refuses.
        """
        text = seal(vars(outcome))  # plain data: `asdict` would copy every row of its curve
        write_atomically(self.attempt(outcome.trial, outcome.attempt) / "result.json", text)
        write_atomically(self._marker(outcome.trial), text)

    def reopen(self, trial: str) -> None:
        """Make a failed trial wait again; what its attempts recorded stays."""
        marker, number = self._marker(trial), self.attempts(trial)
        with writing(marker):
            if number:
                (self.attempt(trial, number) / "reopened").touch()
            marker.unlink(missing_ok=True)

    def finish(self, trial: str) -> None:
        """Make the second write of `commit` where a kill came between the two."""
        marker, copy = self._marker(trial), self._copy(trial)
        if copy and copy.exists() and not marker.exists():
            write_atomically(marker, copy.read_text("utf-8"))

    def mend(self, trials: Iterable[str], *, anew: bool) -> Iterator[str]:
        """Repair damaged records; only for who owns a study of theirs, and was asked to.

        A record is restored from that of its attempt. No file is deleted: what cannot be
        believed gets another name.

        Args:
            trials: their ids.
            anew: make those wait that cannot be restored.

        Yields:
            What was done, in words.
        """
        for trial in trials:
            marker, copy = self._marker(trial), self._copy(trial)
            if _whole(marker, trial) or not self._damaged(trial):
                continue
            if copy and _whole(copy, trial):
                set_aside(marker)
                self.finish(trial)
                yield f"trial {trial[:12]}: record restored from attempt {copy.parent.name}"
            elif anew:
                for path in filter(None, (marker, copy)):
                    if path.exists():
                        set_aside(path)
                yield f"trial {trial[:12]}: the damaged record is put aside; it is trained again"

    def _marker(self, trial: str) -> Path:
        return self.trials / trial / "result.json"

    def _copy(self, trial: str) -> Path | None:
        """Where the newest attempt recorded its end; None where that is not the trial's."""
        number = self.attempts(trial)
        folder = self.attempt(trial, number)
        return folder / "result.json" if number and not (folder / "reopened").exists() else None

    def _damaged(self, trial: str) -> bool:
        try:
            self.outcome(trial)
        except Damaged:
            return True
        return False

    def _remedy(self, trial: str) -> str:
        copy = self._copy(trial)
        return SYNC if copy and _whole(copy, trial) else RETRY

    def declare(self, plan: PlanRecord) -> None:
        """Record what a study declared, and that this is its newest declaration.

        Raises:
            EnvironmentFault: the disk refuses, or a newer swinablate declared it.
        """
        folder = self.studies / plan.study
        path = folder / plan.declaration / "plan.json"
        try:
            unseal(path, {}, "")
        except FileNotFoundError:
            pass
        except Damaged:
            set_aside(path)
        write_atomically(path, seal(plan.to_json()))
        write_atomically(folder / "latest", plan.declaration)  # last: it never names what is not

    def declared(self, name: str, declaration: str = "") -> PlanRecord:
        """A recorded plan of a study: that of a declaration's digest, or the newest.

        What its tuning has suggested so far is its `ledger`.

        Raises:
            InputError: the study was never run in this home.
            Damaged: the plan is not what was written, or another study's.
            EnvironmentFault: it cannot be read, or a newer swinablate wrote it.
        """
        again, digest = declares_again(name), declaration or self.latest(name)
        path = self.studies / name / digest / "plan.json"
        try:
            plan = read_record(PlanRecord, path, {"study": name, "declaration": digest}, again)
        except FileNotFoundError:
            raise Damaged("damaged record: it is missing", at=str(path), hint=again) from None
        if any(len(arm.seeds) != len(arm.trials) for arm in plan.arms):
            problem = "damaged record: an arm has more seeds than trials, or fewer"
            raise Damaged(problem, at=str(path), hint=again)
        return plan.model_copy(update={"ledger": self.ledger(name, digest)})

    def latest(self, name: str) -> str:
        """The digest of a study's newest declaration.

        Raises:
            InputError: the study was never run in this home.
            Damaged: it names none.
        """
        path, again = self.studies / name / "latest", declares_again(name)
        try:
            found = path.read_text("utf-8", errors="replace").strip()
        except FileNotFoundError:
            raise InputError(
                f"study {name!r} has not been run in {self.root}",
                hint="`swinablate run FILE` runs it, or name the right folder with --home",
            ) from None
        except (IsADirectoryError, NotADirectoryError) as error:
            raise Damaged(f"damaged record: {error.strerror}", at=str(path), hint=again) from None
        except OSError as error:
            raise files.unreadable(error, path) from None
        if not DECLARATION.fullmatch(found):
            problem = "damaged record: it names no declaration"
            raise Damaged(problem, at=str(path), hint=again)
        return found

    def ledger(self, name: str, declaration: str) -> Ledger:
        """What the tuning of a declared study suggested so far; empty before it began.

        Raises:
            Damaged: it is not what was written, or another study's.
            EnvironmentFault: it cannot be read, or a newer swinablate wrote it.
        """
        path = self.studies / name / declaration / "tuning.json"
        again = "move this file away; `swinablate run STUDY` then tunes from the start, with what "
        owner = {"study": name, "declaration": declaration}
        try:
            return read_record(Ledger, path, owner, f"{again}is recorded")
        except FileNotFoundError:
            return Ledger()

    def keep_ledger(self, name: str, declaration: str, ledger: Ledger) -> None:
        """Record what tuning suggested, before any of it runs."""
        path = self.studies / name / declaration / "tuning.json"
        owner = {"study": name, "declaration": declaration}
        write_atomically(path, seal({**ledger.to_json(), **owner}))

    def declarations(self, name: str) -> list[str]:
        """Digests of all declarations of a study that were run."""
        folders = (path for path in files.entries(self.studies / name) if path.is_dir())
        return [path.name for path in folders if files.there(path / "plan.json")]

    def choices(self, name: str) -> dict[str, Any]:
        """What `auto` became in a study: device model -> choice, and what was measured.

        Raises:
            Damaged: it is not what was written, or another study's.
            EnvironmentFault: it cannot be read, or a newer swinablate wrote it.
        """
        path = self.studies / name / "choices.json"
        again = "move this file away; `swinablate run STUDY` then measures anew"
        try:
            found = read_record(Choices, path, {"study": name}, again)
        except FileNotFoundError:
            return {}
        devices: dict[str, Any] = found.to_json()["devices"]
        return devices

    def keep_choices(self, name: str, devices: Mapping[str, Any]) -> None:
        """Record what `auto` became, for every later run of the study."""
        write_atomically(
            self.studies / name / "choices.json", seal({"study": name, "devices": devices})
        )

    @contextmanager
    def owned(self, name: str, *, take_over: bool = False) -> Iterator[None]:
        """Be the only coordinator of a study; the lock dies with its holder.

        Args:
            name: of the study.
            take_over: leave a holder behind that is not known to be alive.

        Raises:
            EnvironmentFault: another process holds it; names pid, host and start. Or there
                cannot be locks in this home.
        """
        hint = "wait for it, stop it, or look with `swinablate status STUDY`; if it is no more, "
        try:
            with locks.lock(self._lock(name), INSTANT_S, take_over=take_over):
                yield
        except locks.Taken as error:
            raise EnvironmentFault(
                f"study {name!r} is already running: {error}",
                at=str(self.root),
                hint=f"{hint}`swinablate run STUDY --take-over` goes on without it",
            ) from None

    def holder(self, name: str) -> str:
        """Who runs a study, in words; empty when nobody does."""
        return locks.holder(self._lock(name))

    def _lock(self, name: str) -> Path:
        return self.locks / f"{name}.lock"


def declares_again(name: str) -> str:
    """What to do where a study's declaration is damaged."""
    return f"`swinablate run studies/{name}.toml` declares it again"


def _whole(path: Path, trial: str) -> bool:
    """Whether a file is this trial's record."""
    try:
        read_outcome(path, trial, "")
    except (EnvironmentFault, FileNotFoundError):
        return False
    return True
