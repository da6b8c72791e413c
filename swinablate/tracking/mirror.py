"""MLflow's copy of a study, written by one background thread.

A tracking server that is slow, full or gone must not hold up training: what could not be
mirrored is counted, and `swinablate sync` rebuilds it from the records.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swinablate.records.home import Home
from swinablate.records.launch import launch_of
from swinablate.records.outcome import Outcome
from swinablate.tracking.cards import study_card
from swinablate.tracking.tracker import StudyCard, Tracker, TrialCard

if TYPE_CHECKING:
    from swinablate.report.results import StudyResults

log = logging.getLogger(__name__)
PATIENCE = 3
"""After so many failures in a row nothing more is sent: the store is gone.

One failure may be a moment's; three calls that each waited for the store in vain already hold up
the end of a study by minutes, and `sync` brings back what is missing.
"""


class Mirror:
    """A tracker whose calls return at once and never fail.

    Attributes:
        problem: why the first call, or the connection, failed.
    """

    def __init__(self, connect: Callable[[], Tracker]) -> None:
        """Connect, in the background.

        Args:
            connect: opens the tracker; called in the thread that writes.
        """
        self.problem = ""
        self._sent = self._arrived = self._in_a_row = 0
        self._tracker: Tracker | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mirror")
        self._thread.submit(self._connect, connect)

    @property
    def missed(self) -> int:
        """Calls that did not reach the store; before `close`, also those that wait."""
        return self._sent - self._arrived

    def sweep(self, waiting: Collection[str]) -> None:
        """Forget what MLflow shows of trials as running, but for those that wait."""
        self._send(lambda tracker: tracker.sweep(set(waiting)))

    def begin(self, card: TrialCard) -> None:
        """Mirror that a trial runs."""
        self._send(lambda tracker: tracker.begin(card))

    def epochs(self, trial: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Mirror rows of a learning curve."""
        self._send(lambda tracker: tracker.epochs(trial, rows))

    def stopped(self, trial: str, at: int) -> None:
        """Mirror that a trial ended before its end; `at` is Unix ms."""
        ended = {"status": "stopped", "finished_at": at}
        self._send(lambda tracker: tracker.end(trial, ended))

    def end(self, outcome: Outcome) -> None:
        """Mirror how a trial ended."""
        self._send(lambda tracker: tracker.end(outcome.trial, asdict(outcome)))

    def replay(self, card: TrialCard, outcome: Outcome) -> None:
        """Mirror a recorded trial from its start to its end."""
        self.begin(card)
        self.epochs(card.trial, outcome.curve)
        self.end(outcome)

    def close(self, *, wait: bool = True) -> None:
        """Finish what waits, or drop it."""
        if wait:
            self._send(lambda tracker: tracker.close())
        self._thread.shutdown(wait=wait, cancel_futures=not wait)

    def _connect(self, connect: Callable[[], Tracker]) -> None:
        try:
            self._tracker = connect()
        except Exception as error:  # noqa: BLE001  nothing in MLflow may stop a study
            self._fail(error)

    def _send(self, call: Callable[[Tracker], None]) -> None:
        """Make a call later, after those before it."""
        self._sent += 1
        self._thread.submit(self._call, call)

    def _call(self, call: Callable[[Tracker], None]) -> None:
        if self._tracker is None or self._in_a_row >= PATIENCE:
            return
        try:
            call(self._tracker)
            self._arrived, self._in_a_row = self._arrived + 1, 0
        except Exception as error:  # noqa: BLE001  nothing in MLflow may stop a study
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._in_a_row += 1
        if not self.problem:
            self.problem = str(error)
            log.warning("MLflow: %s", error)


def mirror(uri: str, artifacts: Path, card: StudyCard) -> Mirror:
    """The mirror of a study in a store of MLflow's.

    Args:
        uri: of the store.
        artifacts: where files go; a server decides for itself.
        card: the study.
    """
    return Mirror(lambda: Tracker.open(uri, artifacts, card))


def publish(uri: str, home: Home, answer: "StudyResults", folder: Path) -> None:
    """Put the verdicts and the report into MLflow, one summary run an arm.

    Raises:
        EnvironmentFault: the store is out of reach.
    """
    card = study_card(answer.plan, launch_of(home, answer.plan))
    tracker = Tracker.open(uri, home.artifacts, card)
    try:
        tracker.summaries(answer.verdicts)
        tracker.attach(folder)
    finally:
        tracker.close()
