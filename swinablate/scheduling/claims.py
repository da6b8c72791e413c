"""Which trials this process trains: studies of one home share a trial, and train it once.

A claim is a lock (`records.locks`) on `locks/trials/<id>.lock`, taken before an attempt begins and
kept until it has ended. It dies with its holder; whoever has it next goes on from the checkpoints.
The file is removed with the claim, so that there are no more of them than trials that run.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from swinablate.records.disk import locks
from swinablate.records.home import Home

AGAIN_S = 1.0
"""Between two tries for a claim of another's: a try costs some hundred microseconds, and few
trials take less than a second."""


class Claims:
    """The claims that this process holds, and those of others that it met."""

    def __init__(
        self,
        home: Home,
        *,
        take_over: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Claim nothing yet.

        Args:
            home: with the trials.
            take_over: leave holders behind that are not known to be alive.
            clock: monotonic, seconds.
        """
        self._home, self._take_over, self._clock = home, take_over, clock
        self._held: dict[str, ExitStack] = {}
        self._others: dict[str, str] = {}
        self._again: dict[str, float] = {}

    @property
    def others(self) -> Mapping[str, str]:
        """Trials that others trained when they were last asked for -> who did, in words."""
        return self._others

    def take(self, trial: str) -> bool:
        """Claim a trial; False while another has it, which is looked at once a second.

        Raises:
            EnvironmentFault: there cannot be locks in this home, or the disk refuses.
        """
        if trial in self._held:
            return True
        if trial in self._again and self._clock() < self._again[trial]:
            return False
        path, claim = _lock(self._home, trial), ExitStack()
        try:
            claim.enter_context(locks.lock(path, take_over=self._take_over, passing=True))
        except locks.Taken as error:
            self._others[trial] = str(error)
            self._again[trial] = self._clock() + AGAIN_S
            return False
        self._held[trial] = claim
        self._others.pop(trial, None)
        self._again.pop(trial, None)
        return True

    def release(self, trial: str) -> None:
        """Let a claim go; harmless where there is none."""
        if claim := self._held.pop(trial, None):
            claim.close()

    def keep(self, trials: Collection[str]) -> None:
        """Let all claims go but those of some trials."""
        for trial in [held for held in self._held if held not in trials]:
            self.release(trial)

    def close(self) -> None:
        """Let all claims go."""
        self.keep(())

    @contextmanager
    def passing(self, trial: str) -> Iterator[bool]:
        """Hold a claim for a moment; tells whether it could be had."""
        had = self.take(trial)
        try:
            yield had
        finally:
            self.release(trial)


def trainer(home: Home, trial: str) -> str:
    """Who trains a trial now, in words; empty when nobody does."""
    return locks.holder(_lock(home, trial))


def _lock(home: Home, trial: str) -> Path:
    return home.locks / "trials" / f"{trial}.lock"
