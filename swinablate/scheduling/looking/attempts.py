"""The attempts at a trial: how each began and ended, and what its worker printed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swinablate.records.disk.files import entries
from swinablate.records.events import ENDINGS, TRAINS, Event, read_event
from swinablate.records.home import Home


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt at a trial.

    Attributes:
        number: from 1.
        state: its last word of `events.ENDINGS`; "begun" where none came.
        reopened: `retry` did not let that be the trial's end.
        epochs: that it told of, or went on from.
        message: why it ended, where it did not end well.
        folder: of its events and checkpoints.
    """

    number: int
    state: str
    reopened: bool
    epochs: int
    started_at: int | None
    ended_at: int | None
    device: str
    message: str
    folder: Path
    events: tuple[Event, ...]

    @property
    def log(self) -> Path:
        """Where its events stand."""
        return self.folder / "events.jsonl"

    def to_json(self) -> dict[str, Any]:
        """What `show --json` says of it."""
        shown = {k: v for k, v in vars(self).items() if k != "events"}
        return shown | {"folder": str(self.folder), "log": str(self.log)}


def attempts_of(home: Home, trial: str) -> list[Attempt]:
    """All attempts at a trial, the newest last."""
    names = (path.name for path in entries(home.trials / trial / "attempts"))
    numbers = sorted(int(name) for name in names if name.isdecimal())
    return [_attempt(home, trial, number) for number in numbers]


def _attempt(home: Home, trial: str, number: int) -> Attempt:
    folder = home.attempt(trial, number)
    events = tuple(_events(folder / "events.jsonl", trial, number))
    curve: list[Mapping[str, Any]] = []
    for one in events:
        curve = list(one.data.get("curve", ())) if one.kind == "resumed" else curve
        curve = [*curve, one.data] if one.kind == "epoch" else curve
    last = events[-1] if events and events[-1].kind in ENDINGS else None
    first = next((one for one in events if one.kind == "started"), None)
    return Attempt(
        number=number,
        state=last.kind if last else "begun",
        reopened=(folder / "reopened").exists(),
        epochs=len(curve),
        started_at=first.at if first else None,
        ended_at=last.at if last else None,
        device=str(first.data.get("device", "")) if first else "",
        message=str(last.data.get("message", "")) if last and last.kind != "done" else "",
        folder=folder,
        events=events,
    )


def _events(log: Path, trial: str, number: int) -> Iterator[Event]:
    try:
        lines = log.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        one = read_event(line)
        if one is not None and (one.trial, one.attempt) == (trial, number):
            yield one


@dataclass(frozen=True, kw_only=True)
class Printed:
    """What a worker wrote while it trained an attempt, alone or with others in one graph."""

    file: Path
    lines: tuple[str, ...]


def printed(home: Home, trial: str, number: int) -> list[Printed]:
    """What workers printed during an attempt.

    Workers of a slot share a log: each names the trials of a batch before it starts. Logs of
    earlier versions have no such lines, and nothing is made up for them.
    """
    files = sorted(home.logs.glob("worker-*.log"))
    found = (Printed(file=f, lines=tuple(_section(f, trial, number))) for f in files)
    return [one for one in found if one.lines]


def _section(file: Path, trial: str, number: int) -> Iterator[str]:
    """The lines behind those that name the attempt, each until another batch is named."""
    mine = f" {trial}:{number} "
    inside = False
    with file.open("r", encoding="utf-8", errors="replace") as log:
        for line in log:
            if line.startswith(TRAINS):
                inside = mine in line
            if inside:
                yield line.rstrip("\n")
