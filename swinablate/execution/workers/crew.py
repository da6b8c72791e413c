"""The workers of a study on a cluster: started where a slot has none, greeted, given up.

A trial is given only to a worker that has said that it is ready, and who it is.
"""

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from swinablate.errors import EnvironmentFault
from swinablate.execution.executor import Slot
from swinablate.execution.processes import Starter
from swinablate.execution.workers.courier import MOST_MIB, Inbox, given
from swinablate.execution.workers.hello import apart, check
from swinablate.execution.workers.pool import Pool, Worker
from swinablate.records.disk.files import write_atomically
from swinablate.records.events import Batch, Event, Job

FIRST_S, LATER_S = 1.0, 60.0
"""How long after a worker's start another may be started on its slot: at first, and at most where
none gets ready any more, as on a node that is down."""
FAILURES = 3
"""So many workers of a slot may end before any was ever ready: what is wrong is wrong for all."""


class Probe:
    """A file that workers are to read, to see whether they see the home.

    Args:
        logs: an existing folder of the home.
        study: whose images they are to see (`keep_folders`).
    """

    def __init__(self, logs: Path, study: str = "") -> None:
        self.written = secrets.token_hex(16)
        self.folders = _folders(logs, study)
        self.path = logs / f"probe-{self.written[:8]}"
        self.path.write_text(self.written, "utf-8")

    @property
    def words(self) -> list[str]:
        """What a worker is told of it, when it is started."""
        return [str(self.path.absolute()), *self.folders]

    def remove(self) -> None:
        """The study has ended."""
        self.path.unlink(missing_ok=True)


def keep_folders(logs: Path, study: str, folders: Sequence[Path]) -> None:
    """Note where a study's prepared images are, for workers elsewhere to say what they see."""
    text = json.dumps([str(folder) for folder in folders])
    write_atomically(_noted(logs, study), text)


def _folders(logs: Path, study: str) -> list[str]:
    try:
        found: list[str] = json.loads(_noted(logs, study).read_text("utf-8"))
    except FileNotFoundError:
        return []
    return found


def _noted(logs: Path, study: str) -> Path:
    return logs / f"data-{study}.json"


class Crew:
    """A worker a slot at most, on machines of a cluster.

    Args:
        starter: starts them.
        slots: where.
        probe: a file that they are to read; their logs are beside it.
        at: the option that an error names.
        ended: called with a worker that has ended; says for how many seconds its slot is to stay
            empty.
        say: takes a line for the user.
    """

    def __init__(
        self,
        starter: Starter,
        slots: Sequence[Slot],
        probe: Probe,
        at: str,
        *,
        ended: Callable[[Worker], float] = lambda _: 0.0,
        say: Callable[[str], None] = print,
    ) -> None:
        self._slots, self._probe, self._at, self._ended = slots, probe, at, ended
        self._logs, self._say = probe.path.parent, say
        self._pool = Pool(starter, self._logs, greet=self._greet, keep=self._keep)
        self._inbox, self._apart, self._large = Inbox(), set[str](), False
        self._next = {slot.index: (0.0, FIRST_S) for slot in slots}
        self._failures, self.ever = 0, False

    @property
    def workers(self) -> list[Worker]:
        """Those that run, ready or not."""
        return self._pool.workers

    @property
    def idle(self) -> list[Worker]:
        """Those that are ready and have nothing to do."""
        return [w for w in self.workers if w.said and not w.leaving and w.batch is None]

    def give(self, batch: Batch) -> object:
        """Give the batch to a worker that is ready."""
        worker = self.idle[0]
        return self._pool.give(worker, batch, given(batch) if apart(worker.said) else ())

    def staff(self) -> None:
        """Start a worker on every slot that has none, if it is time to try again."""
        taken, now = {worker.slot.index for worker in self.workers}, time.monotonic()
        for slot in self._slots:
            at, wait = self._next[slot.index]
            if slot.index not in taken and now >= at:
                self._pool.start(slot)
                self._next[slot.index] = (now + wait, min(2 * wait, LATER_S))

    def hear(self, timeout: float) -> list[Event]:
        """What the workers wrote.

        Raises:
            EnvironmentFault: a worker is refused, or none ever gets ready.
        """
        events = self._pool.hear(timeout)
        while self._pool.ended:  # few have: all workers are not looked at for every event
            self._look_back(self._pool.ended.pop(0))
        return events

    def cancel(self, handle: object) -> None:
        """End a worker; what is heard next says that its jobs are lost."""
        self._pool.cancel(handle)

    def stop(self) -> None:
        """Tell every worker."""
        self._pool.stop()

    def close(self) -> None:
        """End every worker's input, and wait."""
        self._pool.close()

    def _greet(self, slot: Slot, said: Mapping[str, Any]) -> None:
        check(said, self._probe.written, self._probe.folders)
        if apart(said) and said["host"] not in self._apart:
            self._apart.add(said["host"])
            self._say(
                f"worker on {said['host']}: it does not see the home; checkpoints up to "
                f"{MOST_MIB} MiB come back as events do"
            )
        self.ever, self._failures = True, 0
        self._next[slot.index] = (0.0, FIRST_S)

    def _keep(self, told: Mapping[str, Any], job: Job) -> None:
        """A checkpoint, or a part of one, of a worker that does not see the home."""
        if "data" in told:
            self._inbox.take(told, Path(job.folder))
        elif not self._large:
            self._large = True
            self._say(
                f"a checkpoint of {told['mib']} MiB is too large to come back: trials whose host "
                "dies or is wanted back begin again; a home that all hosts see would keep them"
            )

    def _look_back(self, worker: Worker) -> None:
        """Give up where none ever gets ready."""
        index, process = worker.slot.index, worker.process
        if rest := self._ended(worker):
            self._next[index] = (time.monotonic() + rest, FIRST_S)
        if worker.said:
            return
        self._failures += 1
        if not self.ever and self._failures >= FAILURES * len(self._slots):
            raise EnvironmentFault(
                f"no worker gets ready{process.where()}{process.end().why}",
                at=self._at,
                hint=f"see {self._logs / f'worker-{index}.log'}; the Python of this command "
                f"and the home must be on a file system that all nodes share",
            )
