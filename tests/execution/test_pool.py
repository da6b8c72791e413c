"""Workers under way, with pipes in the place of processes."""

import os

import pytest

from swinablate.execution.executor import Slot
from swinablate.execution.processes import Process
from swinablate.execution.workers.pool import Pool
from swinablate.records.events import Batch
from tests.execution.jobs import Jobs


class Asked:
    """A worker of a cluster, which says that it leaves when it hears a signal."""

    def __init__(self) -> None:
        self.heard, write = os.pipe()
        read, self.said = os.pipe()
        self.process = Process(
            os.fdopen(write, "wb"),
            os.fdopen(read, "rb"),
            kill=self.end,
            wait=lambda: os.close(self.heard) or 0,
            pid=lambda: None,
            ask_stack=lambda: None,
        )

    def start(self, slot, log) -> Process:
        return self.process

    def close(self) -> None:
        pass

    def leave(self) -> None:
        os.write(self.said, b'{"leaving": true}\n')

    def end(self) -> None:
        self.leave()
        os.close(self.said)


@pytest.mark.parametrize("hangs", [True, False])
def test_who_is_ended_for_hanging_does_not_leave(datasets, tmp_path, hangs):
    """Else its slot stays empty, and its trial is tried for ever: no attempt would count."""
    asked = Asked()
    pool = Pool(asked, tmp_path, greet=lambda slot, said: None)
    worker = pool.start(Slot(index=0, device="cpu"))
    batch = pool.give(worker, Batch(jobs=(Jobs(datasets, tmp_path).make(),)))
    if hangs:
        pool.cancel(batch)
    else:
        asked.end()
    assert pool.hear(0.1) == []  # that it leaves
    (lost,) = pool.hear(0.1)
    assert (lost.kind, lost.data["kind"]) == ("lost", "hung" if hangs else "killed")
    assert lost.data.get("excused", False) is not hangs
    assert worker.leaving is not hangs
    pool.close()
