"""MLflow's copy of a study, written by one background thread.

A tracking server that is slow, full or gone must not hold up training: what could not be
mirrored is counted, and `swinablate sync` rebuilds it from the records.
"""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from swinablate.records.home import Home
from swinablate.records.outcome import Outcome
from swinablate.tracking.cards import study_card
from swinablate.tracking.tracker import StudyCard, Tracker, TrialCard

if TYPE_CHECKING:
    from swinablate.report.results import StudyResults

log = logging.getLogger(__name__)
PATIENCE = 3
"""After so many failures in a row nothing more is sent: the store is gone."""


class Mirror:
    """A tracker whose calls return at once and never fail.

    Attributes:
        missed: calls that did not reach the store.
        problem: the first reason why.
    """

    def __init__(self, uri: str, artifacts: Path, card: StudyCard) -> None:
        self.missed, self.problem = 0, ""
        self._in_a_row = 0
        self._tracker: Tracker | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mirror")
        self._futures: list[Future[None]] = []
        self._thread.submit(self._open, uri, artifacts, card)

    def call(self, method: str, *args: object) -> None:
        """Call a method of the tracker later, in order."""
        self._thread.submit(self._call, method, args)

    def end(self, outcome: Outcome) -> None:
        """Mirror how a trial ended."""
        self.call("end", outcome.trial, asdict(outcome))

    def replay(self, card: TrialCard, outcome: Outcome) -> None:
        """Mirror a recorded trial from its start to its end."""
        self.call("begin", card)
        self.call("epochs", card.trial, outcome.curve)
        self.end(outcome)

    def close(self, *, wait: bool = True) -> None:
        """Finish what waits, or drop it."""
        if wait:
            self._thread.submit(self._shut)
        self._thread.shutdown(wait=wait, cancel_futures=not wait)

    def _open(self, uri: str, artifacts: Path, card: StudyCard) -> None:
        try:
            self._tracker = Tracker.open(uri, artifacts, card)
        except Exception as error:  # noqa: BLE001  nothing in MLflow may stop a study
            self._fail(error)
            self._in_a_row = PATIENCE

    def _call(self, method: str, args: tuple[object, ...]) -> None:
        if self._tracker is None or self._in_a_row >= PATIENCE:
            self.missed += 1
            return
        try:
            getattr(self._tracker, method)(*args)
            self._in_a_row = 0
        except Exception as error:  # noqa: BLE001  nothing in MLflow may stop a study
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.missed += 1
        self._in_a_row += 1
        if not self.problem:
            self.problem = str(error)
            log.warning("MLflow: %s", error)

    def _shut(self) -> None:
        if self._tracker is not None:
            self._tracker.close()


def publish(uri: str, home: Home, answer: "StudyResults", folder: Path) -> None:
    """Put the verdicts and the report into MLflow, one summary run an arm.

    Raises:
        EnvironmentFault: the store is out of reach.
    """
    tracker = Tracker.open(
        uri, home.artifacts, study_card(answer.plan, answer.provenance["command"])
    )
    try:
        tracker.summaries(answer.verdicts)
        tracker.attach(folder)
    finally:
        tracker.close()
