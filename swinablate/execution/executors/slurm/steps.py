"""Workers as steps of an allocation: srun's pipes are the worker's."""

import contextlib
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from swinablate.execution.executor import Slot
from swinablate.execution.executors.slurm.commands import Refused, ask, plain, steps
from swinablate.execution.processes import VISIBLE, End, Process, environment
from swinablate.execution.workers.lifeline import kill_group, reap

GRACE_S = 10.0
"""How long a step may take to end after its input has ended, or after srun was told to end it. A
worker ends in hundredths of a second; Slurm asks twice, 5 s apart, where a node is slow."""
KILLED = 128
"""What srun adds to the number of the signal that ended its task, as a shell does."""

REASONS = re.compile(r"^(?:slurmstepd|srun)[^:]*: (?:error: )?(?:\*\*\* )?(.*?)(?: \*\*\*)?$")
"""A line of Slurm's own in the log of a worker."""
TELLING = re.compile(r"CANCELLED|DUE TO|[Nn]ode fail|oom|[Uu]nable|error|down|execve|NODE FAIL")
NOT_THE_TRIALS = re.compile(r"CANCELLED|DUE TO (?!.*OOM)|[Nn]ode failure|NODE FAIL|[Cc]onnection")
"""What ended by somebody's wish, a time limit, a preemption or a broken node: no trial's fault."""


class Steps:
    """Starts each worker as a step; where there is no room for it yet, the step waits.

    Args:
        job: the allocation.
        name: of steps, which a number follows.
        slots: the slots of each host, which share what the allocation has there.
        share: host -> (processors, MiB or 0) of one of its slots.
        probe: what workers are told of the file that they are to read.
    """

    def __init__(
        self, job: str, name: str, share: dict[str, tuple[int, int]], probe: Sequence[str]
    ) -> None:
        self._job, self._name, self._share, self._probe = job, name, share, probe
        self._count = 0

    def start(self, slot: Slot, log: IO[bytes]) -> Process:
        """Start a worker; it says when it is ready."""
        self._count += 1
        name = f"{self._name}-{self._count}"
        began = os.fstat(log.fileno()).st_size
        process = subprocess.Popen(
            self._words(slot, name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=self._environment(slot),
            start_new_session=True,  # a Ctrl-C in the terminal is the coordinator's
        )
        assert process.stdin is not None
        assert process.stdout is not None
        step = _Step(process, self._job, name)
        path = Path(log.name)
        return Process(
            process.stdin,
            process.stdout,
            step.kill,
            step.wait,
            lambda: process.pid,
            close=step.close,
            where=lambda: f" on {slot.host}",
            end=lambda: ended(path, began),
            stack=signal.SIGUSR2,  # srun hands it on
        )

    def close(self) -> None:
        """Nothing to do."""

    def _words(self, slot: Slot, name: str) -> list[str]:
        cpus, memory = self._share[slot.host]
        return [
            *("srun", f"--jobid={self._job}", f"--job-name={name}", f"--nodelist={slot.host}"),
            *("--nodes=1", "--ntasks=1", f"--cpus-per-task={cpus}"),
            "--exact",  # else a step takes the whole node
            f"--mem={memory}M" if memory else "--mem=0",  # 0: not counted
            "--gres=none" if slot.device == "cpu" else "--gres=gpu:1",
            *("--unbuffered", "--mpi=none", "--kill-on-bad-exit=1"),
            *(sys.executable, "-m", "swinablate.execution.workers.remote", *self._probe),
        ]

    @staticmethod
    def _environment(slot: Slot) -> dict[str, str]:
        made = plain(environment("cpu"))
        if slot.device != "cpu":
            del made[VISIBLE]  # Slurm says which
        return made


class _Step:
    """A step, and the srun that stands for it here."""

    def __init__(self, process: "subprocess.Popen[bytes]", job: str, name: str) -> None:
        self._process, self._job, self._name = process, job, name
        self._told = math.inf

    def close(self) -> None:
        """End its input: the worker ends, and takes along what it started."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def kill(self) -> None:
        """Have srun end its task now, which needs no controller; asked again later, end srun."""
        now = time.monotonic()
        self._told = min(self._told, now)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGTERM)
            if now > self._told + GRACE_S:
                kill_group(self._process.pid)

    def wait(self) -> int:
        """Until srun has ended by itself, by `kill`, by scancel, or by SIGKILL: in this order."""
        if self._process.returncode is not None:
            return self._process.returncode
        self.close()
        for more in (self.kill, self._cancel, lambda: kill_group(self._process.pid)):
            if self._ended_within(GRACE_S):
                break
            more()
        code = self._process.returncode = reap(self._process.pid)
        if KILLED < code < KILLED + signal.NSIG:
            code = self._process.returncode = KILLED - code
        return code

    def _cancel(self) -> None:
        with contextlib.suppress(Refused):
            if number := steps(self._job).get(self._name):
                ask("scancel", "--signal=KILL", number)

    def _ended_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        options = os.WEXITED | os.WNOWAIT | os.WNOHANG
        while os.waitid(os.P_PID, self._process.pid, options) is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def ended(log: Path, began: int) -> End:
    """What Slurm wrote of a worker's end to its log, behind so many bytes."""
    with log.open("rb") as file:
        file.seek(began)
        lines = file.read().decode(errors="replace").splitlines()
    said = [found[1] for line in lines if (found := REASONS.match(line)) and TELLING.search(line)]
    text = "; ".join(dict.fromkeys(said[:3]))
    excused = any(NOT_THE_TRIALS.search(line) for line in said)
    return End(f" (Slurm: {text})" if text else "", excused=excused)
