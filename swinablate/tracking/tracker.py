"""The door to MLflow: what a study did, for browsing.

MLflow holds copies. Everything here may be called again: runs are found by their tags,
metric rows keep the time at which they were measured, and an equal row is stored once.
One process, and in it one thread, writes: two that create MLflow's tables in one SQLite
file at the same moment destroy it (`store.creation`).
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swinablate.errors import EnvironmentFault
from swinablate.records.disk import stores
from swinablate.records.report_folder import written
from swinablate.records.secrets import redact_address
from swinablate.tracking import interim as track_interim
from swinablate.tracking import rows as track_rows
from swinablate.tracking import text as track_text
from swinablate.tracking import views as track_views
from swinablate.tracking.beside import rows
from swinablate.tracking.cards import StudyCard, TrialCard
from swinablate.tracking.runs import (
    Known,
    Row,
    Runs,
    another_home,
    connect,
    experiment,
    telling,
    user,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["StudyCard", "Tracker", "TrialCard"]

STATUS = {"done": "FINISHED", "failed": "FAILED", "diverged": "FAILED", "stopped": "KILLED"}
"""Ours -> MLflow's. MLflow's own guesses (a killed process: running for ever) are not used."""


class Tracker:
    """One study in MLflow: a run a trial, a summary an arm, views, the report.

    Attributes:
        experiment: id of MLflow's.
        moved: the store came with a copied or moved home, and knows none of the study's trials.
    """

    def __init__(self, uri: str, artifacts: Path | None, card: StudyCard) -> None:
        """Use `open`."""
        self._uri, self._study = uri, card
        server = uri.startswith(("http://", "https://"))
        place = None if server or artifacts is None else artifacts.absolute()
        self._client = connect(uri)
        name = track_text.experiment(card.name, card.dataset)
        file = stores.database(uri)
        # A store in the home is copied with it; one elsewhere serves many homes.
        self.moved = bool(
            place
            and file
            and file.is_relative_to(place.parent)
            and another_home(self._client, name, place)
        )
        found = experiment(self._client, name, place)
        self.experiment = str(found.experiment_id)
        self._tags = {str(key): str(value) for key, value in found.tags.items()}
        self._created = int(found.creation_time or 0)
        self._runs = Runs(self._client, self.experiment)
        self._cards: dict[str, TrialCard] = {}
        self._held: dict[str, list[Mapping[str, Any]]] = {}  # rows of trials told again
        self._trials: dict[str, Known] = {}
        self._ended: dict[str, dict[str, Mapping[str, Any]]] = {}  # arm -> its finals that ended
        self._summaries: dict[str, Known] = {}
        self._report: Known | None = None
        for run in self._runs:
            self._remember(run)
        self._label()

    @classmethod
    def open(cls, uri: str, artifacts: Path | None, card: StudyCard) -> "Tracker":
        """Open the study's experiment, or create it, and write its views.

        Args:
            uri: SQLite or PostgreSQL address, or the http(s) address of a server.
            artifacts: where files go; a server decides for itself.
            card: the study.

        Raises:
            InputError: `uri` is no address.
            EnvironmentFault: the store is locked, corrupt or out of reach.
        """
        uri = stores.sqlalchemy_url(uri)
        with telling(uri):
            return cls(uri, artifacts, card)

    def begin(self, card: TrialCard) -> None:
        """Show a trial as running; one that is told again is shown when it ends.

        Raises:
            EnvironmentFault: the store failed.
        """
        self._cards[card.trial] = card
        if card.reused:
            self._held[card.trial] = []
            return
        self._held.pop(card.trial, None)
        with telling(self._uri):
            run = self._run(card, _now())
            self._describe(run, card)
            self._runs.restart(run)

    def epochs(self, trial_id: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows of the learning curve: `epoch`, `at` (Unix ms), and metrics by name.

        Raises:
            EnvironmentFault: the store failed, or the trial was never begun.
        """
        card = self._card(trial_id)
        if trial_id in self._held:
            self._held[trial_id].extend(rows)
            return
        with telling(self._uri):
            self._runs.log(self._run(card, _now()), track_rows.curve(rows))

    def end(self, trial_id: str, outcome: Mapping[str, Any]) -> None:
        """Show how a trial ended. What was shown and is no longer true is replaced.

        Args:
            trial_id: content address.
            outcome: as in `result.json`; of a stopped trial, its status and `finished_at`.

        Raises:
            EnvironmentFault: the store failed, or the trial was never begun.
        """
        card, stamp = self._card(trial_id), track_rows.digest(outcome)
        with telling(self._uri):
            run = self._trials.get(trial_id)
            if run and run.tags.get("record") == stamp and run.status != "RUNNING":
                self._describe(run, card)
            else:
                self._conclude(card, outcome, stamp)
        self._held.pop(trial_id, None)
        if card.kind == "final" and outcome["status"] != "stopped":
            kept = {key: outcome.get(key, {}) for key in ("status", "metrics")}
            self._ended.setdefault(card.arm, {})[trial_id] = kept

    def interim(self, trial_id: str) -> None:
        """Show how far the arm of a trial is that just ended, until the report judges it.

        Raises:
            EnvironmentFault: the store failed, or the trial was never begun.
        """
        card = self._card(trial_id)
        if trial_id not in self._ended.get(card.arm, {}):
            return
        arm = track_interim.row(self._study, card.arm, self._ended[card.arm].values())
        run = self._summaries.get(card.arm)
        if run and run.tags.get("verdict", track_interim.PENDING) != track_interim.PENDING:
            judged = run.tags.get("done", "0").split()[0]
            if int(judged) >= arm["n"]:  # what is told again is no news
                return
        with telling(self._uri):
            self._show(self._summaries.get(card.arm) or self._summary(card.arm, _now()), arm)

    def lacks(self, trials: Iterable[str]) -> set[str]:
        """Those of some trials whose end is not shown."""
        shown = {trial for trial, run in self._trials.items() if "record" in run.tags}
        return set(trials) - shown

    def sweep(self, alive: set[str]) -> None:
        """Close the runs a crash left running, but for the trials in `alive`.

        Raises:
            EnvironmentFault: the store failed.
        """
        with telling(self._uri):
            for trial, run in self._trials.items():
                if run.status == "RUNNING" and trial not in alive:
                    self._runs.end(run, "KILLED", _now())

    def summaries(self, verdicts: Mapping[str, Any], away: "pd.DataFrame | None" = None) -> None:
        """Show every arm's mean, difference and verdict, above the trials.

        Args:
            verdicts: as in `verdicts.json`.
            away: a row for every trial of arms that these are not about.

        Raises:
            EnvironmentFault: the store failed.
        """
        newest = max((run.started for run in self._trials.values()), default=0)
        with telling(self._uri):
            # The newest stands on top.
            for arm in reversed([*track_text.arms(verdicts), *rows(self._study, verdicts, away)]):
                self._summarize(arm, newest)
            self._note(verdicts)

    def attach(self, report_dir: Path) -> None:
        """Keep the files that a report wrote with the study, in a run of their own.

        Raises:
            EnvironmentFault: the store failed, or the report cannot be read.
        """
        with telling(self._uri):
            run = self._reported()
            self._runs.keep(run, report_dir, written(report_dir))
            note = track_text.report(self._study, there=True)
            self._runs.tag(run, {"mlflow.note.content": note})
            self._runs.end(run, "FINISHED", _now())
            self._note(None)

    def links(self) -> dict[str, str]:
        """Title -> address, relative to the address of MLflow's pages."""
        return track_views.links(self.experiment) | (self._back() if self._report else {})

    def close(self) -> None:
        """Leave no trial running that we do not hear of any more.

        Raises:
            EnvironmentFault: the store failed.
        """
        self.sweep(set())

    # ---- trials ----

    def _remember(self, run: Known) -> None:
        kind, tags = run.tags.get("kind"), run.tags
        if kind == "trial" and "trial" in tags:
            self._trials.setdefault(tags["trial"], run)
        elif tags.get("declaration") != self._study.declaration:
            return
        elif kind == "summary" and "summarizes" in tags:
            self._summaries.setdefault(tags["summarizes"], run)
        elif kind == "report":
            self._report = self._report or run

    def _card(self, trial: str) -> TrialCard:
        if trial not in self._cards:
            raise EnvironmentFault(
                f"trial {trial[:12]} was not begun in MLflow",
                at=redact_address(self._uri),
                hint="run `swinablate sync STUDY`",
            )
        return self._cards[trial]

    def _run(self, card: TrialCard, started: int) -> Known:
        """The trial's run; created where there is none."""
        if card.trial not in self._trials:
            tags = self._origin() | track_text.tags(card)
            tags |= track_interim.colour(self._study, card.arm)
            if card.reused:
                tags["reused_from"] = f"trials/{card.trial[:12]}"
            run = self._runs.create(track_text.name(card), tags, started)
            self._trials[card.trial] = run
            self._views()
            params = track_text.params(card, self._study.varied)
            self._runs.add(run, params=params, rows=track_rows.sizes(card, run))
            files = {"recipe.json": card.recipe, "geometry.json": card.geometry}
            self._runs.write(run, files)
        return self._trials[card.trial]

    def _describe(self, run: Known, card: TrialCard) -> None:
        """Name, tags and parameters as this study sees them; another may share the trial."""
        self._runs.rename(run, track_text.name(card))
        self._runs.tag(run, self._origin() | track_text.tags(card))
        self._runs.describe(run, track_text.params(card, self._study.varied))

    def _conclude(self, card: TrialCard, outcome: Mapping[str, Any], stamp: str) -> None:
        curve: Sequence[Mapping[str, Any]] = (
            outcome.get("curve") or self._held.get(card.trial) or ()
        )
        ended = int(outcome.get("finished_at") or _now())
        truth = track_rows.curve(curve) | track_rows.final(outcome, curve, ended)
        run = self._trials.get(card.trial)
        shown = self._runs.rows(run) - track_rows.sizes(card, run) if run else set[Row]()
        if run and "curve" in outcome and shown - truth:
            self._runs.delete(run)  # it shows rows of an attempt that did not count
            del self._trials[card.trial]
        run = self._run(card, int(outcome.get("started_at") or _now()))
        self._describe(run, card)
        back = self._back("" if card.kind == "tune" else card.arm)
        note = track_text.ending(card, self._study, outcome, back)
        self._runs.add(run, tags=note | {"record": stamp}, rows=truth)
        if digest := str(outcome.get("provenance", {}).get("data", "")):
            self._runs.trained_on(run, card.dataset or self._study.dataset, digest)
        self._runs.end(run, STATUS[str(outcome["status"])], ended)

    # ---- the study ----

    def _reported(self) -> Known:
        """The run that keeps the report; until it comes, a page that says so."""
        if self._report is None:
            note = track_text.report(self._study, there=False)
            tags = self._origin() | {"kind": "report", "mlflow.note.content": note}
            self._report = self._runs.create("report", tags, _now())
            self._runs.write(self._report, {"index.html": track_views.COMING})
            self._runs.wait(self._report)
        return self._report

    def _back(self, arm: str = "") -> dict[str, str]:
        """From a run to the report, and to the summary of a trial's arm."""
        run, mine = self._reported().id, self._study.declaration
        found = {"Report": track_views.run_link(self.experiment, run, "index.html")}
        of_arm = {f"Arm {arm}": track_views.arm_link(self.experiment, mine, arm)} if arm else {}
        return found | of_arm

    def _origin(self) -> dict[str, str]:
        tags = {
            "study": self._study.name,
            "declaration": self._study.declaration,
            "mlflow.user": user(),
            "mlflow.source.name": "swinablate",
            "mlflow.source.type": "LOCAL",
        }
        if self._study.commit:
            tags["mlflow.source.git.commit"] = self._study.commit
        return tags

    def _label(self) -> None:
        """The experiment's kind, note and views."""
        self._set("mlflow.experimentKind", "custom_model_development")
        self._set("study", self._study.name)
        self._views()
        if self._tags.get("declaration") != self._study.declaration:  # else keep the verdicts
            self._note(None)
            self._set("declaration", self._study.declaration)

    def _views(self) -> None:
        varied = [track_text.key(name) for name in track_text.short(self._study.varied).values()]
        arms = sorted({run.tags["arm"] for run in self._trials.values()})
        columns = track_views.Columns(
            metric=track_text.key(self._study.metric),
            summary=track_text.mean_and_sd(self._study.metric, self._study.unit),
            varied=varied,
        )
        views = track_views.tags(self._study.declaration, columns, arms, self._created)
        for key, value in views.items():
            self._set(key, value)

    def _note(self, verdicts: Mapping[str, Any] | None) -> None:
        """The experiment's note; verdicts stay in it until there are others."""
        if verdicts is not None:
            self._set("verdicts", track_text.verdicts(verdicts))
        said = self._tags.get("verdicts", "") if self._summaries else ""
        text = track_text.study(self._study, said, self.links())
        self._set("mlflow.note.content", text)

    def _set(self, key: str, value: str) -> None:
        value = value if key.startswith("mlflow.sharedViewState") else track_text.cut(value)
        if self._tags.get(key) != value:
            self._client.set_experiment_tag(self.experiment, key, value)
            self._tags[key] = value

    def _summarize(self, arm: Mapping[str, Any], newest: int) -> None:
        """One summary run, rewritten in place; anew where trials are newer."""
        name, step, now = str(arm["name"]), int(arm["n"]), _now()
        run, kept = self._summaries.get(name), set[Row]()
        if run:
            # MLflow deletes no row: a run that shows more seeds than there are now is made anew.
            kept = {row for row in self._runs.rows(run) if row[3] <= step}
            if run.started < newest or kept != self._runs.rows(run):
                self._runs.delete(run)
                run = None
        if run is None:
            run = self._summary(name, max(now, newest))
            self._runs.log(run, kept)
        self._show(run, arm)

    def _summary(self, arm: str, started: int) -> Known:
        tags = self._origin() | {"kind": "summary", "summarizes": arm}
        tags |= track_interim.colour(self._study, arm)
        self._summaries[arm] = self._runs.create(arm, tags, started)
        return self._summaries[arm]

    def _show(self, run: Known, arm: Mapping[str, Any]) -> None:
        """Put what is known of an arm into its summary; no more calls than its state needs."""
        name, step, now = str(arm["name"]), int(arm["n"]), max(_now(), run.started)
        last = sorted(self._runs.rows(run), key=lambda row: (row[3], row[2]))
        latest = {key: (value, at_n) for key, value, _, at_n in last}
        values = track_text.numbers(arm) | track_interim.sizes(self._study, name)
        new = {(k, v, now, step) for k, v in values.items() if latest.get(k) != (v, step)}
        card = self._study.arms.get(name)
        params = track_interim.family(self._study, name)
        params |= track_text.varied(card.recipe, self._study.varied) if card else {}
        tags = track_text.summary(arm) | {"done": track_interim.done(self._study, arm)}
        tags["mlflow.note.content"] += f"\n\n{track_text.linked(self._back())}"
        self._runs.add(run, tags=tags, params=params, rows=new)
        state = track_interim.state(arm)
        if state == "SCHEDULED":
            self._runs.wait(run)
        elif run.status != state:
            self._runs.end(run, state, now)


def _now() -> int:
    return int(time.time() * 1000)
