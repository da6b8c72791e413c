"""A whole home looked through: what is whole, what nobody can check, what is damaged. Reads only.

What a command needs it checks itself, when it reads it. Here everything is read, also what no
command would ask for until a paper is due.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.disk import locks
from swinablate.records.disk.files import entries, files_below, half_written
from swinablate.records.events import read_event
from swinablate.records.home import SYNC, Home, declares_again
from swinablate.records.launch import UNKNOWN, Launch, launch_of
from swinablate.records.outcome import MEASURED, Outcome, measurable, read_measured
from swinablate.records.plan import everything
from swinablate.records.seal import Damaged, unseal

State = Literal["whole", "unchecked", "waiting", "damaged"]
Mend = Literal["sync", "retry", "report"]
Repair = Mend | Literal["run", ""]
UNCHECKED = "schema 1: it has no digest, so that nobody can check whether it was edited"
AGAIN = "the record itself is whole; `swinablate report STUDY` measures again, from kept weights"
ALONE = (
    "the record itself is whole; move the file away: no declared study of this home has the trial"
)
BLOCK = 1 << 20
"""Bytes of a checkpoint that are read at a time: they may be as large as memory."""
HEX = 64
"""Characters of a sha256, with which a checkpoint begins."""


@dataclass(frozen=True)
class Finding:
    """Something in a home that is not as it was written, or that is left over.

    Attributes:
        path: the file, or the trial's folder.
        hint: what to do, in words; with the command, to be pasted, where it is known.
        damaged: it cannot be believed; otherwise it is only worth knowing.
        repair: the command that mends it; empty where none does.
    """

    path: Path
    problem: str
    hint: str = ""
    damaged: bool = False
    repair: Repair = ""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """All that was found in a home.

    Attributes:
        studies: their names.
        trials: id -> its state. A trial that was begun and has not ended is waiting.
        findings: what is worth a word, damaged or not.
    """

    studies: tuple[str, ...]
    trials: dict[str, State]
    findings: tuple[Finding, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is damaged."""
        return not any(finding.damaged for finding in self.findings)

    def count(self, state: State) -> int:
        """How many trials are in a state."""
        return list(self.trials.values()).count(state)


def survey(home: Home, seen: Callable[[int, int], None] = lambda _done, _of: None) -> Survey:
    """Read everything that a home holds, and write nothing.

    Args:
        home: the folder.
        seen: is told how many of how many trials were read.

    What cannot be read, or was written by a newer swinablate, is found like what is damaged.
    """
    findings: list[Finding] = []
    users: dict[str, Launch] = {}
    names = sorted(path.name for path in entries(home.studies) if path.is_dir())
    for name in names:
        findings += _study(home, name, users)
    trials: dict[str, State] = {}
    folders = entries(home.trials)
    for number, folder in enumerate(folders, 1):
        if folder.name.startswith("."):
            continue
        state, found = _trial(home, folder, users)
        trials[folder.name] = state
        findings += found
        seen(number, len(folders))
    findings += [*_left(home), *_locks(home)]
    return Survey(studies=tuple(names), trials=trials, findings=tuple(findings))


def _study(home: Home, name: str, users: dict[str, Launch]) -> Iterator[Finding]:
    """What is wrong with a study's own files; `users` learns which trials are whose."""
    try:
        digests = home.declarations(name)
    except EnvironmentFault as error:
        yield _damaged(error, "")
        return
    for digest in digests:
        yield from _declaration(home, name, digest, users)
    latest = home.studies / name / "latest"
    try:
        if home.latest(name) not in digests:
            problem = "damaged record: it names a declaration that is not there"
            yield Finding(latest, problem, declares_again(name), damaged=True, repair="run")
        home.choices(name)
    except InputError:
        yield Finding(latest, "missing: no declaration was ever finished here")
    except EnvironmentFault as error:
        yield _damaged(error, "run")


def _declaration(
    home: Home, name: str, digest: str, users: dict[str, Launch]
) -> Iterator[Finding]:
    """Of one declaration: the plan, what tuning suggested, how it was started."""
    path, launch = home.studies / name / digest / "plan.json", UNKNOWN
    try:
        plan = home.declared(name, digest)
        if unseal(path, {}, "")["schema"] == 1:
            yield Finding(path, UNCHECKED)
    except EnvironmentFault as error:
        yield _damaged(error, "run")
        return
    try:
        launch = launch_of(home, plan)
    except EnvironmentFault as error:
        yield _damaged(error, "run")
    for trial in everything(plan):
        users[trial] = launch if launch.study else users.get(trial, UNKNOWN)


def _damaged(error: EnvironmentFault, repair: Repair) -> Finding:
    """An error as a finding; only what is damaged can be mended."""
    repair = repair if isinstance(error, Damaged) else ""
    return Finding(Path(error.at), error.problem, error.hint, damaged=True, repair=repair)


def _trial(home: Home, folder: Path, users: dict[str, Launch]) -> tuple[State, list[Finding]]:
    """A trial's state, and what is worth a word of it."""
    trial, launch = folder.name, users.get(folder.name)
    try:
        outcome = home.outcome(trial)
    except EnvironmentFault as error:
        return "damaged", [_repaired(error, launch)]
    found: list[Finding] = []
    if launch is None:
        found.append(Finding(folder, "no declared study of this home has this trial"))
    if outcome is not None and not (folder / "result.json").exists():
        problem = "it ended, and a kill came before its record stood in its place"
        what = _says(launch, "sync", "`swinablate sync STUDY` puts it there")
        found.append(Finding(folder, problem, what, repair="sync"))
    found += _measured(folder, outcome, launch)
    try:
        for attempt in (path for path in entries(folder / "attempts") if path.is_dir()):
            found += _attempt(attempt, trial, ended=outcome is not None)
    except EnvironmentFault as error:
        found.append(_damaged(error, ""))
    if outcome is None:
        return "waiting", found
    return ("unchecked" if outcome.schema == 1 else "whole"), found


def _measured(folder: Path, outcome: Outcome | None, launch: Launch | None) -> Iterator[Finding]:
    """What was measured after the record was written: believed where it is this training's."""
    path = folder / MEASURED
    if not path.exists():
        return
    if outcome is None or not measurable(outcome):
        why = (
            "the trial has not ended" if outcome is None else "it is no final trial with an answer"
        )
        yield Finding(path, f"of no use: {why}", "it is never read; delete it when you like")
        return
    try:
        read_measured(outcome, folder)
    except Damaged as error:
        hint = ALONE if launch is None else _says(launch, "report", AGAIN)
        repair: Repair = "" if launch is None else "report"
        yield Finding(path, error.problem, hint, damaged=True, repair=repair)
    except EnvironmentFault as error:
        yield _damaged(error, "")


def _repaired(error: EnvironmentFault, launch: Launch | None) -> Finding:
    """A damaged record, and the command that mends it."""
    repair: Mend = "sync" if error.hint == SYNC else "retry"
    found = _damaged(error, repair)
    if not found.repair:
        return found
    if launch is None:
        hint = "move the trial's folder away: no declared study of this home has it"
        return replace(found, hint=hint, repair="")
    return replace(found, hint=_says(launch, repair, error.hint))


def _says(launch: Launch | None, command: Mend, hint: str) -> str:
    """A hint with the command as it can be pasted, where one is known."""
    words = launch.says(command).removeprefix("swinablate ") if launch else ""
    return hint.replace(f"{command} STUDY", words) if words else hint


def _attempt(folder: Path, trial: str, *, ended: bool) -> Iterator[Finding]:
    """An attempt's copy of the record, its log and its checkpoints."""
    try:
        unseal(folder / "result.json", {"trial": trial}, "")
    except FileNotFoundError:
        pass
    except EnvironmentFault as error:  # the trial's record itself is whole
        what = "the trial's record does not need it"
        yield Finding(folder / "result.json", error.problem, what)
    log = folder / "events.jsonl"
    lines = log.read_bytes().splitlines() if log.is_file() and not ended else []
    torn = [number for number, line in enumerate(lines, 1) if read_event(line) is None]
    if torn:
        what = "nothing is judged by them; the trial goes on from its checkpoints"
        problem = f"{len(torn)} of {len(lines)} lines are no events; the first is line {torn[0]}"
        yield Finding(log, problem, what)
    for path in sorted(folder.glob("checkpoint-*.pt")):
        if not _whole(path):
            what = "the one before it is used, or the trial starts again; the numbers are the same"
            yield Finding(path, "damaged checkpoint: its digest is another's", what)


def _whole(path: Path) -> bool:
    """Whether a checkpoint is what its digest says, or is gone by now; it is not loaded."""
    rest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            digest = file.read(HEX + 1)
            while block := file.read(BLOCK):
                rest.update(block)
    except FileNotFoundError:  # its study runs, and keeps the newest two
        return True
    return digest == rest.hexdigest().encode() + b"\n"


def _left(home: Home) -> Iterator[Finding]:
    """What kills left behind, and what was put aside."""
    places = (path for path in entries(home.root) if path.is_dir())
    files = sorted(file for place in places for file in files_below(place))
    for path in filter(half_written, files):
        yield Finding(path, "half written, and left by a kill", "it is never read")
    for path in (path for path in files if ".damaged-" in path.name):
        yield Finding(path, "put aside as damaged", "it is never read; delete it when you like")


def _locks(home: Home) -> Iterator[Finding]:
    """Who works here now: what is half done then is nobody's fault."""
    for path in sorted(home.locks.glob("*.lock")):
        if who := locks.holder(path):
            yield Finding(path, f"running: {who}")
