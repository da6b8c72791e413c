"""Checkpoints between a coordinator and workers that do not see its home: as lines, like events.

Such a worker writes them to a folder on its own disk. What it has written goes to the coordinator
ahead of the event that says so, and lies in the attempt's folder of the home as if the worker
itself had put it there; with the next attempt the newest go to that one's worker. Where a host
dies, its trial goes on from the last that arrived.
"""

import base64
import hashlib
import json
import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from swinablate.records.events import Batch, Event, Job

log = logging.getLogger(__name__)

MOST_MIB = 16
"""A larger checkpoint stays where it is: 1.4 million weights with AdamW's moments fit.

To take one of 16 MiB in costs the coordinator 0.16 s of processor time, measured on a Xeon,
and nobody else is heard meanwhile: of eight workers with one every 30 s, that is 4 % of its time.
"""
PART = 36 << 10
"""Bytes in a line: as base64, with the rest of the line, less than one read of a pipe (64 KiB)."""
NEWEST = 2
"""Files that a next attempt is given: if one is damaged, the other is left."""
NAME = re.compile(r"checkpoint-\d{12}\.pt")
"""Nothing else is ever written on a worker's word."""
BEGINS = '{"kept"'
"""How such a line begins."""
SENDS = frozenset({"checkpoint", "stopped", "done"})
"""Events before which something may have been written."""


def pieces(trial: str, attempt: int, path: Path, left: list[str]) -> Iterator[str]:
    """The lines of a file; one line without bytes where it is too large.

    Args:
        trial: whose it is.
        attempt: that wrote it, or is to go on from it.
        path: the file.
        left: names of all checkpoints of that attempt: others of it have gone.
    """
    size = path.stat().st_size
    told = {"trial": trial, "attempt": attempt, "name": path.name}
    if size > MOST_MIB << 20:
        yield json.dumps({"kept": {**told, "mib": round(size / 2**20)}})
        return
    count = max(1, -(-size // PART))
    with path.open("rb") as file:
        for part in range(count):
            data = base64.b64encode(file.read(PART)).decode()
            more = {"left": left} if part == count - 1 else {}
            yield json.dumps({"kept": {**told, "part": part, "data": data, **more}})


class Inbox:
    """Puts files together from their lines; one a trial is under way at a time."""

    def __init__(self) -> None:
        self._under_way: dict[str, tuple[tuple[int, str], list[bytes]]] = {}

    def take(self, told: Mapping[str, Any], folder: Path) -> None:
        """Take in a piece; with the last one the file is there whole, or not at all.

        Args:
            told: what a line says.
            folder: of the attempt.
        """
        trial, which = str(told["trial"]), (int(told["attempt"]), str(told["name"]))
        before, parts = self._under_way.get(trial, (which, []))
        if before != which or told["part"] == 0:
            parts = []
        if len(parts) != told["part"]:  # its begin was another worker's
            return
        parts.append(base64.b64decode(told["data"]))
        self._under_way[trial] = which, parts
        if "left" in told:
            del self._under_way[trial]
            _put(folder, which[1], b"".join(parts), told["left"])


def _put(folder: Path, name: str, content: bytes, left: list[str]) -> None:
    """Write a checkpoint that is whole, and drop those that its writer has dropped.

    A disk that refuses costs what was trained since the one before, and no more.
    """
    digest, _, payload = content.partition(b"\n")
    if not NAME.fullmatch(name) or hashlib.sha256(payload).hexdigest().encode() != digest:
        log.warning("a checkpoint came damaged: %s is not written", folder / name)
        return
    temporary = folder / f".{name}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)  # its digest tells after a power loss whether it is whole
        temporary.replace(folder / name)
        for old in folder.glob("checkpoint-*.pt"):
            if old.name not in {*left, name}:
                old.unlink(missing_ok=True)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        log.warning("no checkpoint was kept: %s", error)


def given(batch: Batch) -> Iterator[str]:
    """The lines that a worker apart is to have before a batch: what its trials go on from."""
    for job in batch.jobs:
        paths = [path for one in job.resume for path in Path(one).glob("checkpoint-*.pt")]
        for path in sorted(paths, key=lambda path: path.name)[-NEWEST:]:
            yield from pieces(job.trial, job.attempt, path, [each.name for each in paths])


class Beside:
    """The worker's side where it sees the home: there is nothing to do."""

    def take(self, line: str) -> None:
        """Nothing comes."""

    def moved(self, batch: Batch) -> Batch:
        """The same batch."""
        return batch

    def hear(self, happened: Event) -> None:
        """What was written is in the home."""

    def close(self) -> None:
        """Nothing is left."""


class Apart:
    """The worker's side where it does not see the home: a folder on its own disk.

    Args:
        say: takes a line for the coordinator.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._root = Path(tempfile.mkdtemp(prefix="swinablate-"))
        self._inbox = Inbox()
        self._sent: dict[Path, int] = {}

    def take(self, line: str) -> None:
        """Take in a line that comes ahead of a batch."""
        told = json.loads(line)["kept"]
        if "data" in told:
            self._inbox.take(told, self._earlier(told["trial"], told["attempt"]))

    def moved(self, batch: Batch) -> Batch:
        """The same batch, with folders that are here."""
        return Batch(jobs=tuple(self._moved(job) for job in batch.jobs))

    def hear(self, happened: Event) -> None:
        """Send what was written before something happened; what has ended leaves nothing."""
        if happened.kind in SENDS:
            self._send(happened)
        if happened.kind in {"done", "stopped", "diverged", "failed"}:
            for folder in (self._folder, self._earlier):
                shutil.rmtree(folder(happened.trial, happened.attempt), ignore_errors=True)

    def close(self) -> None:
        """Leave nothing."""
        shutil.rmtree(self._root, ignore_errors=True)

    def _moved(self, job: Job) -> Job:
        if not job.folder:  # it keeps nothing
            return job
        folder = self._folder(job.trial, job.attempt)
        folder.mkdir(parents=True, exist_ok=True)
        earlier = self._earlier(job.trial, job.attempt)
        return replace(job, folder=str(folder), resume=(str(earlier),))

    def _send(self, happened: Event) -> None:
        folder = self._folder(happened.trial, happened.attempt)
        paths = sorted(folder.glob("checkpoint-*.pt"))
        for path in paths:
            written = path.stat().st_mtime_ns
            if self._sent.get(path) != written:
                self._sent[path] = written
                left = [one.name for one in paths]
                for line in pieces(happened.trial, happened.attempt, path, left):
                    self._say(line)

    def _folder(self, trial: str, attempt: int) -> Path:
        return self._root / f"{trial}-{attempt}"

    def _earlier(self, trial: str, attempt: int) -> Path:
        return self._root / f"{trial}-{attempt}-earlier"
