"""A worker: batches of jobs in, events out; one process, one device, torch and nothing else.

`python -m swinablate.execution.worker [PARENT]` reads lines of JSON on its standard input (a
batch, or `{"stop": true}`) and writes events as lines on its standard output. When its input ends,
the coordinator is gone and so is the worker, at once: nothing it would still write is wanted. On
SIGUSR1 it writes the stacks of its threads to its standard error, whatever it is doing. With
`along PARENT` it is a further process of a trial that trains on several devices.
"""

import contextlib
import faulthandler
import itertools
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from shutil import disk_usage
from typing import Any, TextIO

import torch

from swinablate.errors import Diverged, EnvironmentFault
from swinablate.execution.workers import lifeline
from swinablate.execution.workers.command import CommandLost, run_command
from swinablate.execution.workers.courier import BEGINS, Apart, Beside
from swinablate.execution.workers.numbers import CommandFailed
from swinablate.execution.workers.ranks import RankLost, follow, leading
from swinablate.records.disk.files import NO_SPACE
from swinablate.records.events import Batch, Event, Job, Kind, event
from swinablate.records.secrets import redact, secrets_here
from swinablate.text import visible
from swinablate.training.ahead.autotune import measure
from swinablate.training.ahead.rehearsal import ONE_WAY_OUT, rehearse
from swinablate.training.ahead.timing import time_trial
from swinablate.training.fit import Stopped, fit
from swinablate.training.fused.fit import CannotFuse, fit_fused, prepare
from swinablate.training.graphs import warm
from swinablate.training.machine import (
    gpu_memory,
    out_of_memory,
    peak_mib,
    without_determinism,
)

Emit = Callable[[Event], None]
AFTERWARDS = "the worker ended after another trial's error"
STEPS = 2
"""After so many a trial holds what it will: the first makes the optimizer's moments, and the
second is the first that holds them beside all that the backward pass needs. On a GPU, when its
steps have been recorded as a graph, which has memory of its own."""

STARVED = ("exit", "no result")
"""How a command ends that could not write."""
LEAST = 1 << 20
"""Bytes that a disk has left which is not full: a result takes less."""


def execute(batch: Batch, emit: Emit, stopping: Callable[[], bool]) -> bool:
    """Run a batch: its jobs as one, or one after the other where they do not train as one.

    Args:
        batch: the jobs.
        emit: takes every event; each job's last one is one of `events.ENDINGS`.
        stopping: asked before every training step.

    Returns:
        Whether the process is still clean; after an unexpected error it is not.
    """
    why = ""
    stopping = _measured(batch, emit, stopping)
    if len(batch.jobs) > 1:
        try:
            return _together(batch, emit, stopping)
        except CannotFuse as error:
            why = str(error)
    for i, job in enumerate(batch.jobs):
        if not _execute(job, emit, stopping, why):
            for rest in batch.jobs[i + 1 :]:  # an error may have left the process in any state
                emit(event(rest, "lost", {"kind": "killed", "message": AFTERWARDS}))
            return False
    return True


def _measured(batch: Batch, emit: Emit, stopping: Callable[[], bool]) -> Callable[[], bool]:
    """The same question, asked before every step; after the first ones it tells what is held."""
    if not batch.jobs[0].measured or batch.jobs[0].kind not in {"final", "tune"}:
        return stopping
    steps, device = itertools.count(), torch.device(batch.jobs[0].device)
    enough = warm(device, STEPS)

    def asked() -> bool:
        if next(steps) == enough:
            emit(event(batch.jobs[0], "stepped", gpu_memory(device)))
        return stopping()

    return asked


def _together(batch: Batch, emit: Emit, stopping: Callable[[], bool]) -> bool:
    def report(job: Job, kind: Kind, data: Mapping[str, Any]) -> None:
        emit(event(job, kind, data))

    def tell(kind: Kind, data: Mapping[str, Any] | None = None) -> None:
        for job in batch.jobs:
            emit(event(job, kind, data))

    # `prepare` alone may say CannotFuse: once "started" is told, the jobs cannot start again.
    try:
        runs = prepare(batch.jobs)
        members = [job.trial for job in batch.jobs]
        started = {"pid": os.getpid(), "device": batch.jobs[0].device, "fused": members}
        tell("started", started)
        results = fit_fused(runs, report, stopping)
    except CannotFuse:
        raise
    except Stopped:
        tell("stopped")
        return True
    except Exception as error:  # noqa: BLE001  as in `_execute`
        found = failure(error, batch)
        together = {"together": len(batch.jobs)} if found["kind"] == "oom" else {}
        tell("failed", {**found, **together})
        return False
    for job in batch.jobs:
        emit(_ending(job, results[job.trial]))
    return True


def _ending(job: Job, found: Mapping[str, Any] | str) -> Event:
    """What a replica ends with: its result, or why it diverged."""
    if isinstance(found, str):
        return event(job, "diverged", {"kind": "nan", "message": found, "traceback": ""})
    return event(job, "done", found)


def _execute(job: Job, emit: Emit, stopping: Callable[[], bool], why: str = "") -> bool:
    def report(kind: Kind, data: Mapping[str, Any]) -> None:
        emit(event(job, kind, data))

    more: dict[str, Any] = {"alone": why} if why else {}
    more |= {"accumulate": job.parts} if job.parts else {}
    emit(event(job, "started", {"pid": os.getpid(), "device": job.device, **more}))
    try:
        result = _outcome(job, report, stopping)
    except Stopped:
        emit(event(job, "stopped"))
    except Diverged as error:
        emit(event(job, "diverged", {"kind": "nan", "message": _said(error), "traceback": ""}))
    except (CommandFailed, CommandLost, RankLost) as error:
        emit(_told(job, error))
        return False
    except Exception as error:  # noqa: BLE001  whatever a model does wrong is the trial's failure
        emit(event(job, "failed", failure(error, Batch(jobs=(job,)))))
        return False
    else:
        emit(event(job, "done", result))
    return True


def _said(error: Exception) -> str:
    """What an error says, without secrets and what a terminal obeys: a command may print both."""
    return visible(redact(str(error), secrets_here()))


def _told(job: Job, error: CommandFailed | CommandLost | RankLost) -> Event:
    """What ends a job whose command failed, or of which a process was killed."""
    if isinstance(error, CommandFailed):
        told = {"kind": error.kind, "message": _said(error), "traceback": ""}
        if error.kind in STARVED and _full(job.folder):
            told |= {"kind": "disk", "message": f"no space left in {job.folder}: {_said(error)}"}
        return event(job, "failed", told)
    excused = {"excused": True} if isinstance(error, CommandLost) and error.excused else {}
    return event(job, "lost", {"kind": "killed", "message": str(error), **excused})


def _full(folder: str) -> bool:
    try:
        return disk_usage(folder).free < LEAST
    except OSError:  # the command has removed it
        return False


def _outcome(
    job: Job, report: Callable[[Kind, Mapping[str, Any]], None], stopping: Callable[[], bool]
) -> dict[str, Any]:
    if "command" in job.recipe:
        return run_command(job, report, stopping)
    if job.kind == "probe":
        return measure(job, stopping)
    if job.kind == "rehearsal":
        return rehearse(job)
    if job.kind == "timing":
        return time_trial(job, stopping)

    def gone(error: Exception) -> None:
        told = _lost(job, error)
        report(told.kind, told.data)

    with leading(job, gone) as ranks:
        return fit(job, report, stopping, ranks)


def _lost(job: Job, error: Exception) -> Event:
    """What ends a job whose other process ended first, where nothing is raised of it here."""
    if isinstance(error, RankLost):
        return _told(job, error)
    return event(job, "failed", failure(error, Batch(jobs=(job,))))


def failure(error: Exception, batch: Batch) -> dict[str, str]:
    """Name the kind of an error: oom, disk, data or exception. What it says goes on record.

    Args:
        error: what ended the jobs.
        batch: the jobs that trained as one.
    """
    kind, message = "exception", f"{type(error).__name__}: {error}"
    if out_of_memory(error):
        kind, message = "oom", f"{message} ({_demand(batch)})"
    elif operation := without_determinism(error):
        message = f"{operation} has no deterministic form on this device; {ONE_WAY_OUT}"
    elif isinstance(error, OSError) and error.errno in NO_SPACE:
        kind, message = "disk", f"no space left: {error.filename or error.strerror}"
    elif isinstance(error, EnvironmentFault):
        kind, message = "data", str(error)
    # The innermost calls say where it failed; a runaway recursion must not fill the record.
    known = secrets_here()
    return {
        "kind": kind,
        "message": redact(message, known),
        "traceback": redact(traceback.format_exc(limit=-20), known),
    }


def _demand(batch: Batch) -> str:
    """What took the memory, and what would take less."""
    job = batch.jobs[0]
    train = job.recipe.get("train", {})
    parts = job.parts or max(1, int(train.get("accumulate", 1)))
    together = f" for each of {len(batch.jobs)} trials that train as one" * (len(batch.jobs) > 1)
    size = f"{train.get('batch')} images" + f" in {parts} parts" * (parts > 1)
    less = "--fuse off" if together else f"train.accumulate = {2 * parts}"
    return (
        f"peak memory {peak_mib(torch.device(job.device)):.0f} MiB, a batch of {size}{together}; "
        f"{less} or a smaller batch needs less"
    )


def main(parent: int | None = None, hello: Mapping[str, Any] | None = None) -> None:
    """Serve batches until the input ends.

    Args:
        parent: the process that starts workers here, with which this one is to end, whatever
            it is doing; None where its input alone says so.
        hello: what to say first, by a worker that a cluster started, and may want back.
    """
    if parent is not None:
        lifeline.die_with_parent(parent)
    lifeline.leave_signals_to_coordinator()
    faulthandler.register(signal.SIGUSR1 if hello is None else signal.SIGUSR2, all_threads=True)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a model prints must not end up among the events
    lock = threading.Lock()
    batches: queue.Queue[Batch | None] = queue.Queue()
    stop = threading.Event()

    def say(line: str) -> None:
        with lock, contextlib.suppress(BrokenPipeError):
            out.write(line + "\n")
            out.flush()

    courier = Beside() if hello is None or hello["probe"] else Apart(say)

    def tell(happened: Event) -> None:
        courier.hear(happened)
        say(happened.dumps())

    def end(code: int) -> None:
        courier.close()
        (os._exit if hello is None else lifeline.end_with_group)(code)

    if hello is not None:
        lifeline.on_wish_to_leave(partial(_leave, say, batches, stop))
        say(json.dumps({"ready": hello}))
    threading.Thread(
        target=_listen, args=(sys.stdin, batches, stop, end, courier), daemon=True
    ).start()
    torch.set_num_interop_threads(1)  # slots are counted so that `train.threads` fill the cores
    clean = True
    while clean and (batch := batches.get()) is not None:
        print(batch.told, file=sys.stderr, flush=True)  # its log: `swinablate logs` looks for it
        clean = execute(batch, tell, stop.is_set)
    if hello is not None:
        end(0 if clean else 1)
    sys.exit(1)


def _leave(
    say: Callable[[str], None], batches: "queue.Queue[Batch | None]", stop: threading.Event
) -> None:
    say('{"leaving": true}')  # before what ends because of it: no other batch is to come
    stop.set()
    batches.put(None)


def _listen(
    lines: TextIO,
    batches: "queue.Queue[Batch | None]",
    stop: threading.Event,
    end: Callable[[int], None],
    courier: Beside | Apart,
) -> None:
    for line in lines:
        if line.startswith('{"stop"'):
            stop.set()
        elif line.startswith(BEGINS):
            courier.take(line)
        else:
            batches.put(courier.moved(Batch.loads(line)))
    end(0)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["along", number]:
            follow(int(number), failure)
        case [number]:
            main(int(number))
        case _:
            main()
