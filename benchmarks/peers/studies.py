"""Whole studies, ours and others', run and timed: small images, real processes, real stores."""

import itertools
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import Spent
from swinablate.errors import EnvironmentFault
from swinablate.execution.processes import environment
from swinablate.execution.run import Options, execute
from swinablate.records.events import Event
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome
from swinablate.study.files import load_study
from swinablate.study.plan import Plan, Trial
from swinablate.study.planner import plan

ROOT = Path(__file__).parent.parent.parent
"""The checkout: this suite is no part of what is installed."""
STUDY = """\
question = "How long does it take?"
baseline = "base.toml"
seeds = [{seeds}]
baseline_seeds = {count}
{arms}
"""


@dataclass
class Clock:
    """Watches a study: when its first trial started, and what had been spent by then."""

    began: float = 0.0
    own: float = 0.0
    first_worker: float = 0.0

    def begin(self, plan: Plan, recorded: Mapping[str, Outcome], slots: int) -> None:
        """Nothing has started."""

    def expect(self, done: int, trials: int, most: int) -> None:
        """Nothing to do."""

    def say(self, text: str) -> None:
        """Nothing to do."""

    def happened(self, _: Trial, event: Event) -> None:
        """Look at the clocks when the first trial starts."""
        if event.kind == "started" and not self.began:
            self.began, self.own = time.perf_counter(), time.process_time()
            worker = event.data["pid"]
            self.first_worker = used_by(worker) + used_by(parent(worker))


class OurStudies:
    """Studies of new trials in one home, whose stores are there already.

    Args:
        folder: for everything.
        recipe: the baseline, TOML.
        arms: the study's axes and arms, TOML.
        slots: trials at a time.
        smoke: shorten every trial to a few steps.
    """

    def __init__(
        self, folder: Path, recipe: str, arms: str, slots: int, *, smoke: bool = True
    ) -> None:
        self._folder, self._arms, self._slots, self._smoke = folder, arms, slots, smoke
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "base.toml").write_text(recipe, "utf-8")
        self._home = Home(folder / "home")
        self._seeds, self._folders = itertools.count(), itertools.count()

    def command(self, seeds: int) -> list[str]:
        """The command that runs a study of so many new seeds an arm, in a home of its own."""
        home, slots = str(self._folder / f"home-{next(self._folders)}"), str(self._slots)
        words = ["run", str(self._write(seeds)), "--home", home, "--slots", slots, "--no-report"]
        return [sys.executable, "-m", "swinablate", *words]

    def _write(self, seeds: int) -> Path:
        path = self._folder / "timed.toml"
        new = ", ".join(str(next(self._seeds)) for _ in range(seeds))
        path.write_text(STUDY.format(seeds=new, count=seeds, arms=self._arms), "utf-8")
        return path

    def run(self, seeds: int) -> tuple[Clock, int]:
        """Run a study of so many new seeds an arm: its clock, and its trials.

        Raises:
            EnvironmentFault: a trial failed; there is nothing to time then.
        """
        path = self._write(seeds)
        made, clock = plan(load_study(path, smoke=self._smoke)), Clock()
        summary = execute(made, self._home, Options(slots=self._slots), clock)
        if summary.exit_code:
            raise EnvironmentFault(f"a study ended so: {dict(summary.counts)}", at=str(path))
        return clock, len(made.trials)

    def after_the_start(self, seeds: int) -> Spent:
        """What a study spends after its first trial has started.

        Everything that trials do is counted, and the start of every worker but the first.
        """
        before = used_by_children()
        clock, trials = self.run(seeds)
        return Spent(
            units=trials,
            wall_s=time.perf_counter() - clock.began,
            cpu_s=time.process_time()
            - clock.own
            + used_by_children()
            - before
            - clock.first_worker,
        )

    def alone(self, seeds: int) -> Spent:
        """The same trials as function calls in one process, in a worker's environment.

        The images are there: a study has run.
        """
        words = [str(self._write(seeds)), str(self._home.datasets)]
        folder = self._folder / f"alone-{next(self._folders)}"
        smoke = ["--smoke"] * self._smoke
        return Spent(**told(program("alone", *words, str(folder), *smoke), environment("cpu")))


def used_by_children() -> float:
    """Seconds of processor time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def used_by(pid: int) -> float:
    """Seconds of processor time of another process that runs; 0 where there is no /proc."""
    found = [] if pid == os.getpid() else _stat(pid)
    return sum(map(int, found[11:13])) / os.sysconf("SC_CLK_TCK")


def parent(pid: int) -> int:
    """The process that started another, this one where there is no /proc."""
    found = _stat(pid)
    return int(found[1]) if found else os.getpid()


def _stat(pid: int) -> list[str]:
    """What /proc says of a process, from its state on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def program(name: str, *words: str) -> list[str]:
    """The command that runs a program of `programs/`."""
    return [sys.executable, "-m", f"benchmarks.programs.{name}", *words]


def together(commands: Sequence[Sequence[str]], at_a_time: int) -> Spent:
    """Run commands, some at a time, and wait for all.

    Raises:
        EnvironmentFault: one failed.
    """
    wall, cpu = time.perf_counter(), used_by_children()
    waiting, running = list(commands), list[subprocess.Popen[bytes]]()
    while waiting or running:
        while waiting and len(running) < at_a_time:
            running.append(subprocess.Popen(waiting.pop(), env=plain(), stdout=subprocess.PIPE))
        first = running.pop(0)
        first.communicate()
        if first.returncode:
            raise EnvironmentFault(f"a program ended with exit code {first.returncode}")
    return Spent(
        units=len(commands),
        wall_s=time.perf_counter() - wall,
        cpu_s=used_by_children() - cpu,
    )


def told(command: Sequence[str], env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a command that prints JSON on its last line.

    Raises:
        EnvironmentFault: it failed.
    """
    done = subprocess.run(
        command, env=plain() | dict(env or {}), stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise EnvironmentFault(f"{command[1]} ended with exit code {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def plain() -> dict[str, str]:
    """The environment of a program: one thread, as our workers have, and glibc's allocator.

    Programs of the suite are found wherever the command was started.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
