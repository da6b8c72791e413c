"""Running a study from Python: what `swinablate run` does, without a terminal."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from swinablate.config import plugins
from swinablate.config.plugins import did_you_mean
from swinablate.config.variants import digests
from swinablate.config.weights import of_seed
from swinablate.errors import InputError, SwinablateError, TrialError
from swinablate.execution.ahead.pictures import check_pictures
from swinablate.execution.executor import EXECUTORS, Executor
from swinablate.execution.run import Options, execute
from swinablate.execution.sync import recorded
from swinablate.records.disk.addresses import check_storage, check_tracking
from swinablate.records.events import Event
from swinablate.records.home import Home
from swinablate.records.launch import DEFAULT_HOME, Launch, home_folder
from swinablate.records.outcome import Outcome
from swinablate.records.secrets import STORAGE, TRACKING, secrets_of
from swinablate.report.answer import gather
from swinablate.report.drawing import Canvas
from swinablate.report.plots import canvas_of, paper_of, relabelled
from swinablate.report.results import StudyResults
from swinablate.study import files
from swinablate.study.files import Study
from swinablate.study.plan import Plan, Trial
from swinablate.study.planner import plan
from swinablate.text import html_table, named_level
from swinablate.tracking.mirror import publish
from swinablate.training import checkpoint
from swinablate.training.measure import measure

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class ResultsInHand(StudyResults):
    """What a study recorded, judged, as `run` returns it."""

    def figure(self, name: str, *, width: float | None = None, by: str = "") -> Canvas:
        """Draw one figure.

        Args:
            name: "forest", "cost", "curves", ...; of an unknown one the error lists them.
            width: inches; None is as wide as the report's page.
            by: of a figure that can be drawn in several ways, which: "params" of "cost".

        Returns:
            A matplotlib figure.

        Raises:
            InputError: there is no such figure.
        """
        return canvas_of(self, name, paper_of(width), by)


@dataclass(frozen=True, kw_only=True)
class StudyInHand(Study):
    """A study that was read from its file, and what a home holds of it."""

    def figure(
        self,
        name: str,
        *,
        home: Path | str = DEFAULT_HOME,
        width: float | None = None,
        by: str = "",
    ) -> Canvas:
        """Draw one figure of what was recorded, as `swinablate figure` does.

        Args:
            name: "forest", "cost", "curves", ...; of an unknown one the error lists them.
            home: the folder of everything recorded.
            width: inches; None is as wide as the report's page.
            by: of a figure that can be drawn in several ways, which: "params" of "cost".

        Returns:
            A matplotlib figure.

        Raises:
            InputError: the study was not run in this home, or has no such figure.
        """
        answer = relabelled(
            gather(Home(home_folder(home, "home")), self.name), self.labels, self.file
        )
        return canvas_of(answer, name, paper_of(width), by)

    def results(self, *, home: Path | str = DEFAULT_HOME) -> "pd.DataFrame":
        """A row for every trial that was asked for, whether or not it has run.

        Args:
            home: the folder of everything recorded.

        Returns:
            `arm`, `seed`, `trial`, `status`, then what was measured; see `StudyResults.frame`.

        Raises:
            InputError: the study was not run in this home.
        """
        return gather(Home(home_folder(home, "home")), self.name).frame()

    def _repr_html_(self) -> str:
        axes = [
            {"switch": path, "levels": ", ".join(map(named_level, levels))}
            for path, levels in self.axes.items()
        ]
        arms = [{"switch": one.name, "levels": "an arm of its own"} for one in self.variants]
        data, family = self.baseline.data.name, self.baseline.model.family
        seeds = f"looks at {list(self.looks)} seeds" if self.looks else f"seeds {list(self.seeds)}"
        said = f"{family} on {data}, {self.design}, {seeds}"
        return html_table([*axes, *arms], self.name, self.question, said)


def load_study(
    path: Path | str, settings: Sequence[str] = (), *, smoke: bool = False
) -> StudyInHand:
    """Read a study file and the experiments it names.

    Args:
        path: the study file; its stem is the study's name, or the beginning of a variant's.
        settings: `KEY=VALUE` from the command line. `study.seeds=3` changes the study,
            any recipe path (`train.epochs=3`) the baseline.
        smoke: allow one seed.

    Raises:
        InputError: anything in the files or settings that cannot be done as written.
    """
    read = files.load_study(Path(path), settings, smoke=smoke)
    return StudyInHand(**{field.name: getattr(read, field.name) for field in fields(read)})


class Silent:
    """Watches a study and hands on what is said, if somebody wants to hear it."""

    def __init__(self, say: Callable[[str], None] | None) -> None:
        self._say = say

    def begin(self, plan: Plan, recorded: Mapping[str, Outcome], slots: int) -> None:
        """Say what will be done."""
        count, before = plan.most, len(recorded)
        most = "at most " if plan.study.looks or plan.study.tune else ""
        self.say(f"{plan.study.name}: {most}{count} trials, {before} recorded, {slots} at a time")

    def expect(self, done: int, trials: int, most: int) -> None:
        """Every trial is told when it ends; nothing to add."""

    def happened(self, trial: Trial, event: Event) -> None:
        """Say how a trial ended."""
        if event.kind in {"done", "diverged", "failed"}:
            self.say(f"{trial.arm} s{trial.seed}: {event.kind}")

    def say(self, text: str) -> None:
        """Hand on one line."""
        if self._say is not None:
            self._say(text)


def run(  # noqa: PLR0913  named words, each with a default: those of the command
    study: Study | Path | str,
    *,
    home: Path | str = DEFAULT_HOME,
    slots: int | None = None,
    devices: str = "auto",
    fuse: int | None = None,
    executor: str = "local",
    storage: str | None = None,
    tracking_uri: str | None = None,
    say: Callable[[str], None] | None = None,
) -> ResultsInHand:
    """Train what a study lacks, and judge it.

    Args:
        study: a study, or the path of its file.
        home: the folder of everything recorded.
        slots: trials at a time; None takes one a GPU, or one a core.
        devices: "auto", "cpu", or "cuda:0,cuda:1".
        fuse: trials of one arm that train as one graph; None chooses, 1 is off.
        executor: where trials run: "local", "serial", "slurm" or "ray".
        storage: address of Optuna's store; None is a file in the home.
        tracking_uri: of MLflow's store; None is a file in the home.
        say: takes a line at every step; None is silent.

    Returns:
        Tables, curves and verdicts; `swinablate.report.render` writes them to a folder.

    Raises:
        InputError: the study cannot be done as written.
        EnvironmentFault: lock, disk, data or stores are in the way.
        TrialError: it was stopped before every trial was recorded.
    """
    where = Home(home_folder(home, "home"))
    plugins.load(EXECUTORS, executor, Executor, at="executor")  # before any work
    if storage is not None:
        check_storage(storage, "storage")
    if tracking_uri is not None:
        check_tracking(tracking_uri, "tracking_uri")
    options = Options(
        slots=slots,
        devices=devices,
        fuse=fuse,
        executor=executor,
        storage=storage,
        tracking=tracking_uri,
    )
    if not isinstance(study, Study):
        options = replace(options, launch=_launch(Path(study), Path(home), options))
    loaded = study if isinstance(study, Study) else load_study(Path(study))
    check_pictures(loaded, where)
    summary = execute(plan(loaded), where, options, Silent(say))
    if summary.missing:
        raise TrialError(f"{summary.missing} trials are missing", hint="run it again: it goes on")
    for line in measure(where, where.declared(loaded.name)):
        Silent(say).say(f"not recorded, {line}")
    answer = gather(where, loaded.name)
    if not summary.unreachable:  # else it would be waited for again
        try:
            show(answer, where, tracking_uri or where.mlflow_uri)
        except SwinablateError as error:
            Silent(say).say(f"not in MLflow: {error}")
    return ResultsInHand(**{one.name: getattr(answer, one.name) for one in fields(answer)})


def show(answer: StudyResults, home: Home, uri: str) -> None:
    """Put the trials that MLflow lacks, the verdicts and the report there, as `run` does.

    Args:
        answer: the verdicts.
        home: where the study ran.
        uri: of MLflow's store.

    Raises:
        EnvironmentFault: the store is out of reach.
    """
    from swinablate.report import render  # seconds

    with TemporaryDirectory(prefix="swinablate-") as above:
        folder = Path(above) / "report"
        render(answer, folder, force=True)
        publish(uri, home, answer, folder, lambda: recorded(home, answer.planned))


def _launch(study: Path, home: Path, options: Options) -> Launch:
    """The command that does the same as `run`."""
    stores = {
        option: (url, variable)
        for option, url, variable in (
            ("--storage", options.storage, STORAGE),
            ("--tracking-uri", options.tracking, TRACKING),
        )
        if url is not None
    }
    given = Launch(
        study=str(study),
        file=str(study.absolute()),
        digests=digests(study),
        home="" if home == Path(DEFAULT_HOME) else str(home),
        stores={option: url for option, (url, _) in stores.items() if not secrets_of(url)},
        variables=tuple(variable for url, variable in stores.values() if secrets_of(url)),
    )
    words = [] if options.executor == "local" else ["--executor", options.executor]
    return given.model_copy(update={"command": given.says("run", *words)})


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A file with the weights of a trial.

    Attributes:
        status: written; there, because the same file was there already; or unfinished, because
            the trial has no weights to give.
    """

    seed: int
    trial: str
    file: Path
    status: Literal["written", "there", "unfinished"]


def keep_weights(home: Home, study: str, arm: str, seed: int, path: Path) -> str:
    """Write the weights that a finished trial was judged by, as torch saves a state dict.

    Returns:
        The trial's id.

    Raises:
        InputError: the study has no such arm or seed, the trial is not done, or another file
            is there.
        EnvironmentFault: no checkpoint is left, or the file cannot be written.
    """
    found = _finished(home, study, arm, seed)
    checkpoint.export(_attempts(home, found), path, replace=False)
    return found.trial


def keep_each(
    home: Home, study: str, arm: str, path: Path, seed: int | None = None
) -> Iterator[Kept]:
    """Write the weights of every seed of an arm that is done, one file a seed.

    No file is written over. Those that are there are looked at first, so that nothing is
    written where one of them is another.

    Args:
        home: where the study ran.
        study: its name.
        arm: one of its arms.
        path: of the files; `{seed}` in it is the seed.
        seed: this one alone; None is all.

    Yields:
        Every file as it is written or found, then those of trials that are not done.

    Raises:
        InputError: the study has no such arm or seed, no trial is done, or another file is there.
        EnvironmentFault: no checkpoint is left, or a file cannot be written.
    """
    trials = _trials(home, study, arm)
    if seed is not None:
        trials = {seed: _finished(home, study, arm, seed).trial}
    recorded = home.outcomes(trials.values())
    done = {one: recorded[t] for one, t in trials.items() if t in recorded and _done(recorded[t])}
    if not done:
        raise InputError(
            f"no trial of {arm} has finished", at=study, hint="`swinablate status STUDY` shows all"
        )
    for one in sorted(done, key=lambda one: not of_seed(path, one).exists()):
        file = of_seed(path, one)
        new = checkpoint.export(_attempts(home, done[one]), file, replace=False)
        yield Kept(seed=one, trial=trials[one], file=file, status="written" if new else "there")
    for one in [one for one in trials if one not in done]:
        yield Kept(seed=one, trial=trials[one], file=of_seed(path, one), status="unfinished")


def _trials(home: Home, study: str, arm: str) -> dict[int, str]:
    """The final trials of an arm, by seed."""
    arms = {found.name: found for found in home.declared(study).arms}
    if arm not in arms:
        raise InputError(f"no arm is called {arm!r}", at=study, hint=did_you_mean(arm, list(arms)))
    if arms[arm].commanded:
        raise InputError(
            f"{arm} is a command: what it trains, it keeps itself",
            at=study,
            hint="let the script save its weights below {out}; `swinablate show ARM` names trials",
        )
    return dict(zip(arms[arm].seeds, arms[arm].trials, strict=True))


def _finished(home: Home, study: str, arm: str, seed: int) -> Outcome:
    trials = _trials(home, study, arm)
    found = home.outcome(trials[seed]) if seed in trials else None
    if found is None or not _done(found):
        known = ", ".join(map(str, trials))
        problem = "has not finished" if seed in trials else f"is not planned; seeds: {known}"
        raise InputError(
            f"{arm} s{seed} {problem}", at=study, hint="`swinablate status STUDY` shows all"
        )
    return found


def _done(found: Outcome) -> bool:
    return found.status == "done"


def _attempts(home: Home, found: Outcome) -> list[Path]:
    """The folders of a trial, newest first."""
    return [home.attempt(found.trial, k) for k in range(found.attempt, 0, -1)]
