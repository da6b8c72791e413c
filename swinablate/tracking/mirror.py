"""MLflow's copy of a study, written by one background thread.

A tracking server that is slow, full or gone must not hold up training: what could not be
mirrored is counted, and `swinablate sync` rebuilds it from the records.
"""

import logging
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swinablate.records.home import Home, Outcome
from swinablate.records.provenance import provenance
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


def study_card(plan: Mapping[str, Any], command: str) -> StudyCard:
    """What MLflow shows of a study.

    Args:
        plan: as declared (`plan.json`).
        command: what reproduces the study.
    """
    paths = [path for arm in plan["arms"] for path in arm["changes"]]
    paths += (plan.get("tune") or {}).get("space", ())
    return StudyCard(
        name=plan["study"],
        dataset=plan["arms"][0]["recipe"]["data"]["name"],
        declaration=plan["declaration"],
        question=plan["question"],
        commit=provenance()["git"].get("commit"),
        varied=tuple(dict.fromkeys(paths)),
        command=command,
    )


def trial_card(arm: Mapping[str, Any], seed: int, trial: str, *, reused: bool) -> TrialCard:
    """What MLflow shows of a trial.

    Args:
        arm: one of the declared plan's; of a tuned row, with its kind and recipe.
        seed: of the trial.
        trial: its id.
        reused: recorded earlier.
    """
    recipe = arm["recipe"]
    kind = "tune" if arm.get("kind") == "tune" else "final"
    if own := arm.get("starts", {}).get(kind, {}).get(str(seed)):
        recipe = {**recipe, "start": {**recipe["start"], **own}}
    return TrialCard(
        trial=trial,
        arm=arm["name"],
        seed=seed,
        kind=arm.get("kind", "final"),
        number=arm.get("number"),
        changes=arm["changes"],
        recipe=recipe,
        geometry=arm["geometry"],
        params=arm["params"],
        macs=arm["macs"],
        reused=reused,
    )


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
