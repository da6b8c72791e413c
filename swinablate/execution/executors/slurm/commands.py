"""Slurm's own commands, and what they print: sbatch, srun, squeue, scontrol, scancel; no others.

All there is since Slurm 21; accounting is not asked for, which many clusters do not have.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from swinablate.errors import EnvironmentFault

PATIENCE_S = 30.0
"""How long a command may take. It asks the controller, which answers in hundredths of a second,
and gives up after 10 s by itself (MessageTimeout) where nobody answers."""
NEEDED = ("sbatch", "srun", "squeue", "scontrol", "scancel")

PENDING = frozenset(
    {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESIZING"}
)
HELD = frozenset({"RUNNING", "SUSPENDED", "STOPPED", "SIGNALING"})
ENDING = "COMPLETING"
"""States in which an allocation waits, and in which it is there; the one in which it still ends.
In all others it is gone.

Source: squeue(1), JOB STATE CODES.
"""

DEFAULTS = ("SLURM_", "SLURMD_", "SRUN_", "SCANCEL_", "SQUEUE_", "SCONTROL_")
"""Begin variables that stand for options which nobody gave: of an allocation, or of a user's
habits, as SCANCEL_INTERACTIVE. Those of sbatch stay: they name a partition or an account."""
ODD = frozenset({"SBATCH_WAIT", "SBATCH_ARRAY_INX", "SBATCH_TEST_ONLY"})
"""But for these: with them sbatch waits for the job's end, submits several, or none."""


class Refused(Exception):
    """A command said no, or nobody answered it."""


@dataclass(frozen=True)
class Node:
    """What an allocation has of a node.

    Attributes:
        cpus: as Slurm counts them, which may be hardware threads.
        memory_mib: 0 where the cluster does not count memory.
    """

    name: str
    cpus: int
    gpus: int
    memory_mib: int


def check_installed() -> None:
    """Refuse to go on without Slurm's commands.

    Raises:
        EnvironmentFault: one is not on the PATH.
    """
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        raise EnvironmentFault(
            f"there is no {missing[0]} on the PATH",
            at="--executor slurm",
            hint="start this on a login node of the cluster, or load its module for Slurm",
        )


def ask(*words: str, text: str = "") -> str:
    """Run a command; returns what it printed.

    Args:
        *words: the command.
        text: its standard input.

    Raises:
        Refused: with what it said.
    """
    try:
        done = subprocess.run(
            words,
            input=text,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE_S,
            env=plain(os.environ),
            start_new_session=True,  # a Ctrl-C must not cut it short
        )
    except subprocess.CalledProcessError as error:
        raise Refused(_said(error.stderr) or f"{words[0]} ended with {error.returncode}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(str(error)) from None
    return done.stdout


def plain(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which Slurm's commands do as they are told, and no more.

    Within an allocation, its variables are defaults for every option: its number of tasks would
    be that of each worker. And whoever has scancel ask before it does anything (a habit) would
    be asked here, where nobody answers: the allocation would stay.
    """
    return {
        name: value
        for name, value in environment.items()
        if name == "SLURM_CONF" or not (name.startswith(DEFAULTS) or name in ODD)
    }


def state(job: str) -> tuple[str, str]:
    """The state of an allocation, and Slurm's reason for it; "" once it is forgotten.

    Raises:
        Refused: nobody answered.
    """
    try:
        told = ask("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T|%r")
    except Refused as error:
        if "Invalid job id" in str(error):
            return "", ""
        raise
    name, _, reason = told.strip().partition("\n")[0].partition("|")
    return name, reason


def nodes(job: str) -> list[Node]:
    """What an allocation has, node by node.

    Raises:
        Refused: nobody answered, or the allocation is gone.
    """
    found: list[Node] = []
    detail = re.compile(r"^\s+Nodes=(\S+) CPU_IDs=(\S*) Mem=(\d+) GRES=(\S*)", re.MULTILINE)
    for names, cpus, memory, gres in detail.findall(ask("scontrol", "show", "job", "-d", job)):
        each = ask("scontrol", "show", "hostnames", names).split()
        found += [Node(name, _count(cpus), _gpus(gres), int(memory)) for name in each]
    if not found:
        raise Refused(f"scontrol shows no nodes of job {job}")
    return found


def steps(job: str) -> dict[str, str]:
    """Name of a step -> its id, of those that run.

    Raises:
        Refused: nobody answered.
    """
    told = ask("squeue", "--noheader", "--steps", f"--jobs={job}", "--format=%j|%i")
    lines = (line.strip().rpartition("|") for line in told.splitlines())
    return {name: number for name, _, number in lines if name}


def _count(ids: str) -> int:
    """How many numbers `0-3,8` names."""
    ranges = (part.partition("-") for part in ids.split(",") if part)
    return sum(int(last or first) - int(first) + 1 for first, _, last in ranges)


def _gpus(gres: str) -> int:
    """How many GPUs `gpu:a100:2(IDX:0-1),shard:0` names."""
    return sum(map(int, re.findall(r"\bgpu(?::[^:,()]+)?:(\d+)", gres)))


def _said(text: str) -> str:
    """The first thing that a command complained of."""
    for line in text.splitlines():
        said = re.sub(r"^\w+: (error: )?", "", line).strip()
        if said:
            return said
    return ""
