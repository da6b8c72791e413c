"""The allocation that a study holds: asked for, looked at, given back.

It is a batch job that does nothing: workers run in it as steps. A process here outlives the
coordinator by a moment and cancels what it left, however it ended.
"""

import concurrent.futures
import contextlib
import logging
import os
import secrets
import subprocess
import time
from dataclasses import dataclass

from swinablate.errors import EnvironmentFault, InputError
from swinablate.execution.executor import Request
from swinablate.execution.executors.slurm.commands import (
    ENDING,
    HELD,
    PENDING,
    Node,
    Refused,
    ask,
    nodes,
    plain,
    state,
    steps,
)

log = logging.getLogger(__name__)

FIRST_S, LATER_S, CALM_S = 0.5, 15.0, 60.0
"""How long after a look another is taken: at first, at most while it waits (each look doubles
it), and while all goes well, when workers tell more than the controller could."""

GONE = ("Invalid job id", "already completing or completed")
"""What scancel says of a job that needs no cancelling."""

HOLDER = """\
#!/bin/sh
# Holds machines for a study of swinablate, whose workers run as steps of this job. At a time limit
# it goes on, as the job ends with it, and workers first write their checkpoints.
trap : TERM USR1
trap 'exit 0' USR2
while :; do
  sleep 1000 &
  wait
done
"""

LEFT = """\
trap '' INT TERM HUP
cat >/dev/null
i=0
while [ "$i" -lt 60 ]; do
  if [ -n "$1" ]; then
    found=$(squeue --noheader --steps --jobs="$1" --format='%j|%i') && {
      for step in $(printf '%s' "$found" | tr -d ' ' | sed -n "s/^$0-[0-9]*|//p"); do
        scancel --signal=KILL "$step"
      done
      exit
    }
  else
    scancel --name="$0" && exit
  fi
  i=$((i + 1))
  sleep 5
done
"""
"""What waits for the end of the coordinator. For five minutes, as a controller that is started
again takes about one."""


@dataclass(frozen=True)
class Sight:
    """What was last seen of an allocation.

    Attributes:
        phase: "waiting", "held", "ending" or "gone".
        name: Slurm's word for it.
    """

    phase: str
    name: str = ""
    reason: str = ""
    nodes: tuple[Node, ...] = ()


class Allocation:
    """One allocation; not looked at more often than a busy controller likes.

    Args:
        request: what to ask for; its `time` and `options` are sbatch's.
        tasks: workers a node.
        inside: the allocation this process runs in, which is then used and not given back.
    """

    def __init__(self, request: Request, tasks: int, inside: str = "") -> None:
        # Known before it exists, so that there is no moment in which nobody could cancel it.
        self.name = f"swinablate-{request.name[:40]}-{secrets.token_hex(4)}"
        self.inside, self._sight = inside, Sight("waiting")
        self._looks = concurrent.futures.ThreadPoolExecutor(1)
        self._look: concurrent.futures.Future[Sight] | None = None
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", LEFT, self.name, inside],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=plain(os.environ),
            start_new_session=True,
        )
        try:
            self.job = inside or submit(request, tasks, self.name)
        except BaseException:
            self._end_guard()
            raise
        self._wait_s, self._due = FIRST_S, time.monotonic()

    @property
    def ours(self) -> bool:
        """Whether it was asked for here."""
        return not self.inside

    def see(self) -> Sight:
        """What is known by now; never waits."""
        if self._look is not None and self._look.done():
            with contextlib.suppress(Refused):  # nobody answered: what was known stays
                self._sight = self._look.result()
            self._look = None
            phase = self._sight.phase
            doubled = min(self._wait_s * 2, LATER_S)
            self._wait_s = {"waiting": doubled, "ending": FIRST_S}.get(phase, CALM_S)
            self._due = time.monotonic() + self._wait_s
        if self._look is None and time.monotonic() >= self._due and self._sight.phase != "gone":
            self._look = self._looks.submit(look, self.job, self._sight)
        return self._sight

    def doubt(self) -> None:
        """Look again soon: something happened that may be its end."""
        self._due = min(self._due, time.monotonic() + FIRST_S)

    def close(self) -> None:
        """Give it back, with all that runs in it; of one that is not ours, our steps."""
        try:
            if self.ours:
                with contextlib.suppress(Refused):  # it is gone
                    # One that runs stays for Slurm's KillWait else; for one that waits, scancel
                    # would try for a quarter of a minute to reach its script.
                    if state(self.job)[0] not in PENDING:
                        ask("scancel", "--batch", "--signal=USR2", self.job)
                ask("scancel", self.job)
            else:
                running = steps(self.job)
                left = [number for name, number in running.items() if name.startswith(self.name)]
                if left:
                    ask("scancel", "--signal=KILL", *left)
        except Refused as error:
            if not any(gone in str(error) for gone in GONE):
                log.warning("job %s: %s; it is tried again for 5 minutes", self.job, error)
                self._leave_guard()
                return
        finally:
            self._looks.shutdown(wait=False, cancel_futures=True)
        self._end_guard()

    def _leave_guard(self) -> None:
        """Let it do what could not be done here."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.returncode = 0  # nobody waits for it

    def _end_guard(self) -> None:
        self._guard.kill()
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()


def look(job: str, before: Sight) -> Sight:
    """Ask the controller.

    Raises:
        Refused: nobody answered.
    """
    name, reason = state(job)
    if name in PENDING:
        # One that was held is not believed to wait: a controller that was killed may say so of
        # a job that runs. Whether it runs, its workers tell.
        return before if before.phase == "held" else Sight("waiting", name, reason)
    if name in HELD:
        return Sight("held", name, reason, before.nodes or tuple(nodes(job)))
    if name == ENDING:
        return Sight("ending", name, reason)
    return Sight("gone", name or "unknown to Slurm", reason)


def words(request: Request, tasks: int, name: str) -> list[str]:
    """The words for sbatch; the user's come last, and win."""
    given = [word for text in request.options for word in text.split()]
    return [
        "sbatch",
        "--parsable",
        "--no-requeue",  # whatever ended, we resubmit ourselves: nothing is to run twice
        "--no-kill",  # the workers of other nodes go on when a node fails
        f"--job-name={name}",
        "--output=/dev/null",
        f"--nodes={request.nodes or 1}",
        f"--ntasks-per-node={tasks}",
        f"--cpus-per-task={request.threads}",
        *([f"--gres=gpu:{request.gpus_per_node}"] if request.gpus_per_node else []),
        *([f"--time={request.time}"] if request.time else []),
        *given,
    ]


def rehearse(request: Request, tasks: int) -> None:
    """Ask Slurm whether it would take the request; nothing is submitted.

    Raises:
        InputError: it would not.
        EnvironmentFault: nobody answers.
    """
    try:
        ask(*words(request, tasks, "swinablate"), "--test-only", text=HOLDER)
    except Refused as error:
        raise _fault(error) from None


def submit(request: Request, tasks: int, name: str) -> str:
    """Ask for an allocation; returns its number.

    Raises:
        InputError: Slurm refuses the request.
        EnvironmentFault: nobody answers.
    """
    try:
        told = ask(*words(request, tasks, name), text=HOLDER)
    except Refused as error:
        raise _fault(error) from None
    return told.strip().splitlines()[-1].partition(";")[0]  # "17;cluster" where there are several


def _fault(error: Refused) -> EnvironmentFault | InputError:
    said = str(error)
    if any(word in said.lower() for word in ("contact", "timed out", "connection", "socket")):
        return EnvironmentFault(
            f"Slurm does not answer: {said}",
            at="--executor slurm",
            hint="see whether sinfo answers, and start the same command again",
        )
    return InputError(
        f"Slurm refuses the allocation: {said}",
        at="--executor slurm",
        hint="change --nodes, --gpus-per-node, --time or --sbatch; sinfo shows what there is",
    )
