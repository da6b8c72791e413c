"""MLflow's copy of a study, written by one background thread.

A tracking server that is slow, full or gone must not hold up training, nor the end of a study for
long: what could not be mirrored is counted, and `swinablate sync` rebuilds it from the records.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swinablate.records.home import Home
from swinablate.records.launch import launch_of
from swinablate.records.outcome import Outcome
from swinablate.records.plan import PlanRecord, Row, everything
from swinablate.tracking.cards import StudyCard, TrialCard, study_card, trial_card

if TYPE_CHECKING:
    from swinablate.report.results import StudyResults
    from swinablate.tracking.tracker import Tracker

log = logging.getLogger(__name__)
Call = Callable[["Tracker"], None]
Recorded = Callable[[], Iterable[tuple[Row, Outcome]]]
PATIENCE = 3
"""After so many failures in a row the store is left alone for a while: it is gone.

One failure may be a moment's; three calls that each waited for the store in vain are none.
"""
PAUSE_S = 60.0
"""How long it is left alone: a server that is started again is there within a minute, and a call
a minute costs neither side anything."""
LIMIT = 100_000
"""Calls that wait in such a pause at most, a kilobyte each; later ones are missed."""
SHOW_S = 10.0
"""From a trial's start to the first call about its epochs, and between two: each costs
milliseconds however many rows it brings, and nobody watches a curve more closely. A trial's end
brings what was held back, so one that is shorter takes no call of its own for its curve."""
SERVER_S, DATABASE_S = 5.0, 60.0
"""How long the end of a study waits for a call that does not return.

A server that takes five seconds for one request has stopped to answer. A database may be creating
its tables on a loaded machine, or wait for whoever holds the file, and says so by itself.
"""


class Mirror:
    """A tracker whose calls return at once and never fail.

    The thread is a daemon: Python does not wait for it when the process ends.

    Attributes:
        problem: why the first call, or the connection, failed.
        gone: `close` gave up on it.
    """

    def __init__(self, connect: Callable[[], "Tracker"], silence: float = SERVER_S) -> None:
        """Connect, in the background, as soon as there is anything of a trial to tell.

        Args:
            connect: opens the tracker; called in the thread that writes.
            silence: seconds that `close` waits for a call that does not return.
        """
        self.problem, self.gone = "", False
        self._connect, self._silence = connect, silence
        self._sent = self._arrived = self._in_a_row = self._ended = 0
        self._tracker: Tracker | None = None
        self._calls: deque[Call] = deque()
        self._rows: dict[str, list[Mapping[str, Any]]] = {}  # of trials that run, not sent yet
        self._told: dict[str, float] = {}
        self._changed = threading.Condition()
        self._until, self._closing = -math.inf, False
        self._due = threading.Event()  # there is something of a trial to tell, or all is over
        self._thread = threading.Thread(target=self._serve, name="mirror", daemon=True)
        self._thread.start()

    @property
    def missed(self) -> int:
        """Calls that did not reach the store; before `close`, also those that wait."""
        return self._sent - self._arrived

    def sweep(self, waiting: Collection[str]) -> None:
        """Forget what MLflow shows of trials as running, but for those that wait."""
        self._send(lambda tracker: tracker.sweep(set(waiting)), hurry=False)

    def begin(self, card: TrialCard) -> None:
        """Mirror that a trial runs."""
        self._told[card.trial] = time.monotonic()
        self._send(lambda tracker: tracker.begin(card))

    def epochs(self, trial: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Mirror rows of a learning curve, soon."""
        held = self._rows.setdefault(trial, [])
        held += rows
        if time.monotonic() - self._told.get(trial, -math.inf) >= SHOW_S:
            self._told[trial] = time.monotonic()
            self._send_rows(trial)

    def stopped(self, trial: str, at: int) -> None:
        """Mirror that a trial ended before its end; `at` is Unix ms."""
        ended = {"status": "stopped", "finished_at": at}
        self._send_rows(trial)
        self._told.pop(trial, None)
        self._send(lambda tracker: tracker.end(trial, ended))

    def end(self, outcome: Outcome) -> None:
        """Mirror how a trial ended; its record has the rows that were held back."""
        self._rows.pop(outcome.trial, None)
        self._told.pop(outcome.trial, None)

        def end(tracker: "Tracker") -> None:
            tracker.end(outcome.trial, vars(outcome))
            tracker.interim(outcome.trial)

        self._send(end)

    def replay(self, card: TrialCard, outcome: Outcome) -> None:
        """Mirror a recorded trial from its start to its end."""
        self.begin(card)
        self.epochs(card.trial, outcome.curve)
        self.end(outcome)

    def close(self, *, within: float | None = None) -> None:
        """Finish what waits, or drop it.

        Args:
            within: seconds for all of it, 0 drops it at once; None: as long as it goes on.
        """
        if within != 0:
            self._send(lambda tracker: tracker.close())
        with self._changed:
            self._closing = True
            if within == 0:
                self._calls.clear()
            self._changed.notify()
        self._due.set()
        if within != 0:
            self._wait(math.inf if within is None else within)

    def _wait(self, within: float) -> None:
        """Wait for the thread, until it gets no further."""
        began = moved = time.monotonic()
        ended = self._ended
        while self._thread.is_alive():
            self._thread.join(0.05)
            now = time.monotonic()
            if self._ended != ended:
                ended, moved = self._ended, now
            if now - moved > self._silence or now - began > within:
                with self._changed:
                    self._calls.clear()
                self.gone = True
                self._tell(f"it did not answer for {now - moved:.0f} s")
                return

    def _send_rows(self, trial: str) -> None:
        if rows := tuple(self._rows.pop(trial, ())):
            self._send(lambda tracker: tracker.epochs(trial, rows))

    def _send(self, call: Call, *, hurry: bool = True) -> None:
        """Make a call later, after those before it; without hurry, not before there is another."""
        with self._changed:
            self._sent += 1
            if len(self._calls) < LIMIT or time.monotonic() >= self._until:
                self._calls.append(call)
            self._changed.notify()
        if hurry:
            self._due.set()

    def _serve(self) -> None:
        """Open the tracker, and make the calls in turn until `close`.

        Not before a trial runs: importing MLflow takes a second, which the first trial would
        otherwise wait for.
        """
        self._due.wait()
        if not self._calls:
            return
        self._open()
        while (call := self._next()) is not None:
            if self._tracker is None and not self._open():
                with self._changed:
                    self._calls.appendleft(call)  # it was not the call's fault
                continue
            self._make(call)

    def _next(self) -> Call | None:
        """The next call, when it is time for it; None at the end.

        At the end a store that was left alone gets one more try.
        """
        with self._changed:
            while not self._closing and (not self._calls or time.monotonic() < self._until):
                pause = self._until - time.monotonic()
                self._changed.wait(pause if pause > 0 else None)
            if self._closing and time.monotonic() < self._until:
                if self.gone:
                    return None
                self.gone = True
            return self._calls.popleft() if self._calls else None

    def _open(self) -> bool:
        try:
            self._tracker = self._connect()
        except Exception as error:  # noqa: BLE001  nothing in MLflow may stop a study
            self._fail(error, PATIENCE)
        self._ended += 1
        return self._tracker is not None

    def _make(self, call: Call) -> None:
        assert self._tracker is not None
        try:
            call(self._tracker)
        except Exception as error:  # noqa: BLE001  nothing in MLflow may stop a study
            self._fail(error, 1)
        else:
            self._arrived, self._in_a_row, self._until = self._arrived + 1, 0, -math.inf
            self.gone = False
        self._ended += 1

    def _fail(self, error: Exception, weight: int) -> None:
        self._in_a_row += weight
        if self._in_a_row >= PATIENCE:
            self._until = time.monotonic() + PAUSE_S
        self._tell(str(error))

    def _tell(self, problem: str) -> None:
        if not self.problem:
            self.problem = problem
            log.warning("MLflow: %s", problem)


def mirror(uri: str, artifacts: Path, card: StudyCard) -> Mirror:
    """The mirror of a study in a store of MLflow's.

    Args:
        uri: of the store.
        artifacts: where files go; a server decides for itself.
        card: the study.
    """
    server = uri.startswith(("http://", "https://"))

    def connect() -> "Tracker":
        from swinablate.tracking.tracker import Tracker

        return Tracker.open(uri, artifacts, card)

    return Mirror(connect, SERVER_S if server else DATABASE_S)


def tell(tracker: "Tracker", row: Row, outcome: Outcome, *, reused: bool = False) -> None:
    """Tell a tracker of a recorded trial from its start to its end.

    Raises:
        EnvironmentFault: the store failed.
    """
    tracker.begin(trial_card(row, reused=reused))
    tracker.epochs(row.trial, outcome.curve)
    tracker.end(row.trial, vars(outcome))


def publish(
    uri: str,
    home: Home,
    answer: "StudyResults",
    folder: Path,
    recorded: Recorded,
) -> None:
    """Put the verdicts and the report into MLflow, one summary run an arm.

    Args:
        uri: of the store.
        home: where the study ran.
        answer: the verdicts.
        folder: the report.
        recorded: all trials, for a store that lacks some: it came with a copied home, or all
            were trained by other studies.

    Raises:
        EnvironmentFault: the store is out of reach.
    """
    with _caught_up(uri, home, answer.planned, recorded) as tracker:
        tracker.summaries(answer.verdicts, answer.away)
        tracker.attach(folder)


def publish_trials(uri: str, home: Home, plan: PlanRecord, recorded: Recorded) -> None:
    """Put the trials that MLflow lacks there, as a study shows them while it trains.

    Args:
        uri: of the store.
        home: where the study ran.
        plan: what it declared.
        recorded: as `publish` takes it.

    Raises:
        EnvironmentFault: the store is out of reach.
    """
    with _caught_up(uri, home, plan, recorded):
        pass


@contextmanager
def _caught_up(uri: str, home: Home, plan: PlanRecord, recorded: Recorded) -> "Iterator[Tracker]":
    """A tracker that has been told of every recorded trial."""
    from swinablate.tracking.tracker import Tracker

    with closing(Tracker.open(uri, home.artifacts, study_card(plan, launch_of(home, plan)))) as to:
        lacking = to.lacks(everything(plan))
        told = dict[str, str]()
        for row, outcome in recorded() if lacking else ():
            if row.trial in lacking:
                tell(to, row, outcome, reused=not to.moved)
                told[row.arm.name] = row.trial
        for trial in told.values():  # once an arm: it counts all that were told
            to.interim(trial)
        yield to
