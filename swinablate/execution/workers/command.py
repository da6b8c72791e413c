"""One trial of a command: its words, its folders, its process, and what becomes of it."""

import json
import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from swinablate.config.commands import words
from swinablate.config.commands.lines import line_of, started
from swinablate.config.commands.schema import WRITTEN, CommandConfig, Switches
from swinablate.config.commands.sources import digest_of, folder_of, sources_of
from swinablate.config.recipe import AGAIN
from swinablate.config.schema import validate
from swinablate.errors import Diverged, InputError
from swinablate.execution.workers.curve import Curve, Report
from swinablate.execution.workers.doubts import Doubts
from swinablate.execution.workers.keeper import Ending
from swinablate.execution.workers.lifeline import kill_group, signal_name
from swinablate.execution.workers.numbers import (
    CommandFailed,
    Incomplete,
    from_file,
    printed,
)
from swinablate.records.events import Job
from swinablate.records.secrets import without_stores
from swinablate.text import OWN
from swinablate.training.fit import Stopped
from swinablate.training.machine import model_of

LOOK_S = 0.1
"""How long a wish to stop is not seen."""
BEAT_S = 20.0
"""How often a command that runs is said to run: whoever waits takes silence for a hang. What hangs
in truth is what `timeout` is for, since scripts are silent for as long as they like."""
KEEPER_S = 10.0
"""How much longer than the command's grace its keeper may take to end it: it looks ten times a
second, and clears up for four seconds at most. One that takes longer is stopped."""
ASKS = ("EOFError", "EOF when reading", "/dev/tty")
"""In the last words of a script that waited for somebody to type, Python's and the shell's."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""Variables by which numerical libraries know how many threads of a processor they may use."""


class CommandLost(Exception):
    """A command was ended by somebody else, or wants to be started again.

    Attributes:
        excused: it asked for that itself, and no try counts.
    """

    def __init__(self, problem: str, *, excused: bool = False) -> None:
        super().__init__(problem)
        self.excused = excused


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a trial writes.

    Attributes:
        out: its results, new with every attempt.
        checkpoint: what the next attempt finds again.
        config: the file of its switches; there is none where words hold them.
    """

    out: Path
    checkpoint: Path
    config: Path | None


def run_command(job: Job, report: Report, stopping: Callable[[], bool]) -> dict[str, Any]:
    """Run the command of a job to its end, and read its result.

    Args:
        job: of a recipe that is a command.
        report: takes events: its results as they are printed, and that it is alive.
        stopping: asked all the time.

    Returns:
        `metrics`, `execution` and `predictions`, as of any other trial.

    Raises:
        CommandFailed: it failed, or gave no result.
        Diverged: its result is no finite number, or its exit code says so.
        CommandLost: it was killed, or asked to be started again.
        Stopped: it was asked to end before it did.
    """
    written, at = job.recipe["command"], f"trial {job.trial[:12]}"
    command = validate(CommandConfig, written, f"{at}: command")
    _check_sources(command, at)
    found = _once(job, command, report, stopping)
    if AGAIN in job.asked:
        apart = replace(job, folder=str(Path(job.folder) / AGAIN), resume=())
        twin = _once(apart, command, _quiet(report), stopping)
        for name, value in twin["metrics"].items():
            if name.startswith(OWN):
                found["metrics"][f"{AGAIN}/{name.removeprefix(OWN)}"] = value
    return found


def _quiet(report: Report) -> Report:
    """Tell that a command is alive, and nothing of its curve."""
    return lambda kind, data: report(kind, data) if kind == "alive" else None


def _once(
    job: Job, command: CommandConfig, report: Report, stopping: Callable[[], bool]
) -> dict[str, Any]:
    """Run it to its end once, and read its result."""
    places = _prepare(job, command)
    began = time.monotonic()
    curve = Curve(command.metrics, report)
    watched = _Watched(command, report, stopping, began, curve)
    ending, why = watched.run(_order(job, command, places))
    seconds = time.monotonic() - began
    if ending.problem:
        raise CommandFailed("exit", f"the command did not start: {ending.problem}")
    if why == "timeout":
        raise CommandFailed("timeout", f"it ran for {command.timeout:g} s, its timeout")
    if why == "doubts" and watched.doubts.fault:
        raise watched.doubts.fault
    # Whatever it gave when it was asked to end may be that of half a training.
    if ending.asked or (why == "stopped" and ending.code != 0):
        raise Stopped
    _check_code(command, ending)
    try:
        metrics, missing = _values(command, ending, places, curve)
    except Incomplete as error:
        if why == "stopped":
            raise Stopped from None
        left = "; it left processes behind, which were killed: it is to stay until it is done"
        raise Incomplete(f"exit code 0 and no result: {error}{left * ending.left}") from None
    curve.close()
    if missing:
        report("alive", {"missing": "; ".join(missing)})
    return {
        "metrics": {
            **metrics,
            "time/train_s": round(seconds, 3),
            "time/cpu_s": round(ending.cpu_s, 3),
        },
        "execution": {
            "device": model_of(job.device),
            "type": job.device.partition(":")[0],
            "threads": command.threads,
        },
        "predictions": {},
    }


def _check_sources(command: CommandConfig, at: str) -> None:
    """Refuse to run other code than was planned.

    Raises:
        CommandFailed: it changed since.
    """
    try:
        now = digest_of(folder_of(command), sources_of(command, at), at)
    except InputError as error:
        raise CommandFailed("sources", f"{error.problem}") from None
    if now != command.sha256:
        raise CommandFailed(
            "sources",
            "its sources are not those that were planned: `swinablate run STUDY` plans anew, and "
            "trains what is new",
        )


def _prepare(job: Job, command: CommandConfig) -> Places:
    """Make the folders of an attempt; the checkpoints of the one before move here."""
    attempt = Path(job.folder)
    out, checkpoint = attempt / "out", attempt / "checkpoint"
    out.mkdir(parents=True, exist_ok=True)
    for earlier in map(Path, job.resume):
        if (earlier / "checkpoint").is_dir() and not checkpoint.exists():
            (earlier / "checkpoint").rename(checkpoint)  # one writer: nobody else has it then
    checkpoint.mkdir(exist_ok=True)
    config = None
    if command.give in WRITTEN:
        config = attempt / f"config.{command.give}"
        values = {"seed": job.seed, **job.recipe["switches"]}
        config.write_text(words.file_of(command.give, values), "utf-8")
    return Places(out=out, checkpoint=checkpoint, config=config)


def _order(job: Job, command: CommandConfig, places: Places) -> dict[str, Any]:
    """What the keeper is told."""
    switches: Switches = dict(job.recipe["switches"])
    values = {
        "seed": str(job.seed),
        "out": str(places.out),
        "checkpoint": str(places.checkpoint),
        "threads": str(command.threads),
        "config": str(places.config or ""),
    }
    line, variables = line_of(command, switches, values)
    return {
        "words": started(command, line),
        "folder": str(folder_of(command)),
        "environment": {
            **without_stores(os.environ),
            **dict.fromkeys(THREADS, str(command.threads)),
            "SWINABLATE_OUT": str(places.out),
            "SWINABLATE_CHECKPOINT": str(places.checkpoint),
            "SWINABLATE_SEED": str(job.seed),
            **variables,
        },
        "patterns": [one.pattern for one in command.metrics if one.pattern],
        "grace": command.grace,
    }


class _Watched:
    """A command under way, and the process that keeps it."""

    def __init__(
        self,
        command: CommandConfig,
        report: Report,
        stopping: Callable[[], bool],
        began: float,
        curve: Curve,
    ) -> None:
        self._command = command
        self._report, self._stopping, self._began = report, stopping, began
        self._curve, self._why = curve, ""
        self.doubts = Doubts(command)

    def run(self, order: Mapping[str, Any]) -> tuple[Ending, str]:
        """Run it to its end: how it ended, and "stopped" or "timeout" where it was asked to.

        Raises:
            CommandLost: the keeper was killed.
        """
        keeper = subprocess.Popen(
            [sys.executable, "-m", "swinablate.execution.workers.keeper"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        said: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=_listen, args=(keeper.stdout, said), daemon=True).start()
        try:
            _send(keeper.stdin, json.dumps(order))
            while True:
                ending = self._heard(said)
                if ending is not None:
                    return ending, self._why
                self._ask(keeper.stdin)
                if time.monotonic() > self._last:
                    kill_group(self._pid or keeper.pid)
                    keeper.kill()
        finally:
            keeper.stdin.close()  # where it still runs, nobody wants what it does
            keeper.wait()

    def _heard(self, said: "queue.Queue[bytes]") -> Ending | None:
        """Take in the next line, if one comes soon; the last one is the ending."""
        try:
            line = said.get(timeout=LOOK_S)
        except queue.Empty:
            return None
        if not line:
            if self._why:
                return Ending(code=-signal.SIGKILL, asked=True)
            if self._pid:  # whoever else is in its group lives on: nobody is left to see to that
                kill_group(self._pid)
            raise CommandLost("the process that keeps the command was killed")
        told = json.loads(line)
        if "ended" in told:
            return Ending(**told["ended"])
        if "began" in told:
            self._pid = told["began"]
        else:
            self._take(told)
        return None

    def _take(self, told: Mapping[str, Any]) -> None:
        """Take in what a line held."""
        if "partly" in told:
            self.doubts.partly(*told["partly"])
        elif "passed" in told:
            self.doubts.passed(told["passed"])
        else:
            self.doubts.whole(told["match"][0])
            self._curve.printed(*told["match"])

    def _ask(self, stdin: "IO[bytes]") -> None:
        """Ask it to end, if that is wanted; say that it is alive."""
        now = time.monotonic()
        limit = self._command.timeout
        if not self._why:
            if self._stopping():
                self._why = "stopped"
            elif self.doubts.fault:
                self._why = "doubts"
            elif limit is not None and now - self._began > limit:
                self._why = "timeout"
            if self._why:
                _send(stdin, "stop")
                self._last = now + self._command.grace + KEEPER_S
        if now - self._beat > BEAT_S:
            self._beat = now
            self._report("alive", {})

    _beat, _last, _pid = 0.0, math.inf, 0


def _send(stdin: "IO[bytes]", line: str) -> None:
    try:
        stdin.write(line.encode() + b"\n")
        stdin.flush()
    except BrokenPipeError:
        pass  # it ended: its output says so


def _listen(stdout: "IO[bytes]", said: "queue.Queue[bytes]") -> None:
    with stdout:
        for line in stdout:
            said.put(line)
    said.put(b"")


def _check_code(command: CommandConfig, ending: Ending) -> None:
    """Tell exit codes apart.

    Raises:
        Diverged: the recipe says that it means so.
        CommandLost: it was killed, or the recipe says that it wants to be started again.
        CommandFailed: it is any other but 0.
    """
    code = ending.code
    if code == 0:
        return
    last = f"; it said last: {ending.said}" if ending.said else "; it said nothing"
    if any(sign in ending.said for sign in ASKS):
        last += " (standard input is closed, and there is no terminal: give what it asks as words)"
    if code in command.diverged:
        raise Diverged(f"exit code {code}, which [command] calls diverged{last}")
    if code in command.preempted:
        raise CommandLost(f"exit code {code}, which [command] calls preempted", excused=True)
    if code == -signal.SIGKILL:
        raise CommandLost("the command was killed by SIGKILL: for its memory, if nobody else did")
    how = signal_name(-code) if code and code < 0 else f"exit code {code}"
    raise CommandFailed("exit", f"{how}{last}")


def _values(
    command: CommandConfig, ending: Ending, places: Places, curve: Curve
) -> tuple[dict[str, float], list[str]]:
    """The results, when the command has ended well, and what is missing of those beside the first.

    Raises:
        CommandFailed: there is no number to compare, or several where one was wanted.
        Diverged: it is no finite number.
    """
    found, missing = dict[str, float](), list[str]()
    lines = zip(ending.matches, ending.last, ending.whole, ending.passed, strict=True)
    for metric in command.metrics:
        try:
            if metric.pattern:
                value = printed(metric, *next(lines))
            else:
                points = from_file(metric, places.out)
                curve.read(metric, points)
                value = points[-1].value
        except (CommandFailed, Diverged) as error:
            if metric is command.metric:
                raise
            missing.append(f"{metric.called}: {error}")
        else:
            found[metric.recorded_as] = value
    return found, missing
