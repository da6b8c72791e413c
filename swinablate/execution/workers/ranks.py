"""The further processes of a trial that trains on several devices: a worker starts and ends them.

`python -m swinablate.execution.worker along PARENT` reads one line on its standard input, trains
its part of every batch, and says nothing: the worker that started it tests, reports and
writes checkpoints. Why it ended before its time stands in a file beside the place where they meet.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from swinablate.errors import Diverged, EnvironmentFault
from swinablate.execution.workers import lifeline
from swinablate.records.events import Batch, Job
from swinablate.training.fit import fit
from swinablate.training.ranks import ALONE, Ranks

LOOK_S = 0.2
"""Between two looks whether the others live: a fraction of what starting a worker takes."""
GRACE_S = 30.0
"""What the leader has to notice for itself that another process is gone. On CPUs its next step
says so at once; a GPU's library may wait for ever, and then the worker is ended."""
LOCAL = {"linux": "lo", "darwin": "lo0"}
"""The interface of a machine to itself, on which its processes meet: a host's name may lead to
another one, or nowhere."""


class RankLost(Exception):
    """A process that trained with this one was killed; nothing of the trial is at fault."""


def world_of(job: Job) -> int:
    """On how many devices a job trains; what is no trial takes one."""
    return int(job.recipe["train"].get("world", 1)) if job.kind in {"final", "tune"} else 1


@contextmanager
def leading(job: Job, gone: Callable[[Exception], None]) -> Iterator[Ranks]:
    """Have the other processes of a job train along; none is left afterwards.

    Args:
        job: the trial.
        gone: told of what is raised otherwise, in another thread, before this process is ended: a
            GPU's library may wait for a process that is gone, and then nothing is raised.

    Raises:
        RankLost: one of them was killed.
        MemoryError: memory was too small for one of them.
        EnvironmentFault: data, or what else of this machine one of them needs.
        RuntimeError: what else went wrong in one of them.
    """
    world = world_of(job)
    if world == 1:
        yield ALONE
        return
    ranks = Ranks(0, world)
    with tempfile.TemporaryDirectory(prefix="swinablate-") as folder:
        others = [_start(job, Ranks(rank, world), Path(folder)) for rank in range(1, world)]
        over = threading.Event()
        watching = (others, over, Path(folder), gone)
        threading.Thread(target=_watch, args=watching, daemon=True).start()
        os.environ.update(meeting_place())
        try:
            ranks.join(torch.device(job.device), _meeting(Path(folder)))
            yield ranks
        except RuntimeError as error:  # what torch says where another process is gone
            _explain(error, others, Path(folder))
            raise
        finally:
            over.set()
            for other in others:
                other.kill()
                other.wait()
            ranks.leave()


def meeting_place() -> dict[str, str]:
    """What makes processes of one machine meet on it, unless something else is asked for."""
    name, own = "GLOO_SOCKET_IFNAME", LOCAL.get(sys.platform)
    return {name: own} if own and name not in os.environ else {}


def _start(job: Job, ranks: Ranks, folder: Path) -> "subprocess.Popen[bytes]":
    kind, _, first = job.device.partition(":")
    device = f"{kind}:{int(first or 0) + ranks.rank}" if kind == "cuda" else job.device
    process = subprocess.Popen(
        [sys.executable, "-m", "swinablate.execution.worker", "along", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=2,  # a worker writes events where others write what they print
        env={**os.environ, **meeting_place()},
    )
    line = {
        "batch": Batch(jobs=(replace(job, device=device),)).dumps(),
        "ranks": vars(ranks),
        "folder": str(folder),
    }
    assert process.stdin is not None
    with process.stdin, suppress(BrokenPipeError):  # it ended: `_explain` says why
        process.stdin.write(json.dumps(line).encode() + b"\n")
    return process


def _meeting(folder: Path) -> str:
    return str(folder / "meeting")


def _watch(
    others: "list[subprocess.Popen[bytes]]",
    over: threading.Event,
    folder: Path,
    gone: Callable[[Exception], None],
) -> None:
    """End this worker where another process is gone and nothing is noticed for too long."""
    while not over.wait(LOOK_S):
        if any(other.poll() not in {None, 0} for other in others):
            if not over.wait(GRACE_S):
                if (cause := _cause(others, folder)) is not None:
                    gone(cause)
                sys.stderr.write("a process that trained along is gone; this worker ends too\n")
                os._exit(1)
            return


def _explain(error: RuntimeError, others: "list[subprocess.Popen[bytes]]", folder: Path) -> None:
    """Say of a lost connection what became of the process behind it."""
    until = time.monotonic() + LOOK_S * 10  # its end may come a moment after that of its socket
    while time.monotonic() < until and all(other.poll() is None for other in others):
        time.sleep(LOOK_S / 10)
    if (cause := _cause(others, folder)) is not None:
        raise cause from error


def _cause(others: "list[subprocess.Popen[bytes]]", folder: Path) -> Exception | None:
    """What became of the first of the others that ended before its time; None if nobody knows."""
    for rank, other in enumerate(others, 1):
        code = other.poll()
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return RankLost(f"process {rank} of the trial was ended by {name}")
        with suppress(OSError):
            found = json.loads(_report(folder, rank).read_text("utf-8"))
            message = f"process {rank} of the trial: {found['message']}"
            kinds: Mapping[str, type[Exception]] = {"oom": MemoryError, "data": EnvironmentFault}
            return kinds.get(found["kind"], RuntimeError)(message)
    return None


def _report(folder: Path, rank: int) -> Path:
    return folder / f"rank-{rank}.json"


def follow(parent: int, failure: Callable[[Exception, Batch], Mapping[str, str]]) -> None:
    """Train along until the trial ends.

    Args:
        parent: the worker that started this process.
        failure: what goes on record of an error.
    """
    lifeline.die_with_parent(parent)
    lifeline.leave_signals_to_coordinator()
    line: dict[str, Any] = json.loads(sys.stdin.readline())
    batch, ranks, folder = Batch.loads(line["batch"]), Ranks(**line["ranks"]), Path(line["folder"])
    (job,) = batch.jobs
    try:
        ranks.join(torch.device(job.device), _meeting(folder))
        fit(job, lambda _kind, _data: None, lambda: False, ranks)
    except Diverged:  # the first process says so
        pass
    except Exception as error:  # whatever it is, the first process says it
        _report(folder, ranks.rank).write_text(json.dumps(failure(error, batch)), "utf-8")
        raise
    ranks.leave()
