"""A study file whose numbers were trained elsewhere: `[results]` says where they are."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from swinablate.config import schema
from swinablate.config.compare import DeclaredHypothesis, Size
from swinablate.config.plugins import did_you_mean
from swinablate.errors import LEAST_ALPHA, InputError
from swinablate.stats.comparisons.measures import Scale
from swinablate.stats.estimate import Method

LOCAL = "sqlite:///"
"""Begins the address of a store that is a file; with one slash more its path is absolute."""
TRAINS = frozenset((
    *("seeds", "baseline_seeds", "adaptive", "tune", "budget", "design", "axes", "arms"),
    *("contrasts", "scale", "noise"),
))  # fmt: skip
"""Parts of a study that trains."""


class ResultsConfig(schema.Frozen):
    """Where results are, and which columns or tags say what.

    Attributes:
        file: a CSV (W&B's export, too), or a folder of TensorBoard's events, beside the study.
        experiment: of MLflow; then `tracking_uri` says where, and `file` is empty.
        arm: the column of arms; several, by commas, where arms are combinations.
        seed: the column of seeds.
        value: the column of results.
        dataset: the column of data sets, each judged by itself.
        unit: percent; fractions of 1; or none. Left out: what the numbers look like.
        better: which way is good. Left out: what the metric's name says.
    """

    file: str = ""
    experiment: str = ""
    tracking_uri: str = ""
    arm: str | None = None
    seed: str | None = None
    value: str | None = None
    dataset: str | None = None
    unit: Scale | None = None
    better: Literal["higher", "lower"] | None = None


class ResultsCompare(schema.Frozen):
    """What is compared, and what counts as a difference."""

    metric: Annotated[str, Field(min_length=1)] | None = None  # a column, a tag, or a name
    rope: Size | None = None
    alpha: Annotated[float, Field(ge=LEAST_ALPHA, lt=0.5)] = 0.05
    method: Method = "auto"


class ResultsStudyFile(schema.Frozen):
    """A study that trains nothing: its question, its baseline, and where its results are."""

    question: Annotated[str, Field(min_length=1, max_length=2000)]
    baseline: Annotated[str, Field(min_length=1)]  # an arm's name
    results: ResultsConfig
    compare: ResultsCompare = ResultsCompare()
    hypotheses: tuple[DeclaredHypothesis, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)


def load_results(path: Path) -> tuple[ResultsStudyFile, Path, str]:
    """Read such a study.

    Returns:
        What it says; the file or folder, or the name of an experiment; and MLflow's address.

    Raises:
        InputError: it is malformed, trains something, or its results have no place or two.
    """
    written = schema.read_toml(path)
    _check_parts(written, path)
    study = schema.validate(ResultsStudyFile, written, str(path))
    said = study.results
    at = f"{path}: results"
    if bool(said.file) == bool(said.experiment):
        raise InputError(
            "results are in one place: a file, or an experiment of MLflow",
            at=at,
            hint='write file = "runs.csv" (a folder of TensorBoard\'s events, too), or '
            'tracking_uri = "sqlite:///mlflow.db" and experiment = "NAME"',
        )
    if bool(said.experiment) != bool(said.tracking_uri):
        raise InputError(
            "an experiment has an address, and an address an experiment",
            at=at,
            hint='write both: tracking_uri = "sqlite:///mlflow.db", experiment = "NAME"',
        )
    for i, asked in enumerate(study.hypotheses, 1):
        for key in ("contrast", "quantity"):
            if getattr(asked, key):
                raise InputError(
                    "of results from elsewhere only arms and the compared metric are known",
                    at=f"{path}: hypotheses: {i}: {key}",
                    hint='write arm = "..."',
                )
    if said.experiment:
        return study, Path(said.experiment), _address(said.tracking_uri, path.parent)
    return study, path.parent / said.file, ""


def check_arms(hypotheses: Sequence[DeclaredHypothesis], arms: Iterable[str], at: str) -> None:
    """Refuse a hypothesis about an arm that has no results.

    Raises:
        InputError: there is one.
    """
    known = list(arms)
    for asked in hypotheses:
        if asked.arm not in known:
            raise InputError(
                f"no arm is called {asked.arm!r}",
                at=f"{at}: hypotheses",
                hint=did_you_mean(asked.arm, known),
            )


def _check_parts(written: Mapping[str, Any], path: Path) -> None:
    both = sorted(TRAINS & written.keys())
    if both:
        raise InputError(
            "a study with [results] trains nothing: arms and seeds are those of its results",
            at=f"{path}: {both[0]}",
            hint="leave it out; or leave out [results] to train",
        )


def _address(uri: str, folder: Path) -> str:
    """An address; a file or folder without an absolute path lies beside the study."""
    if uri.startswith(LOCAL) and not uri.startswith(f"{LOCAL}/"):
        return f"{LOCAL}{(folder / uri.removeprefix(LOCAL)).absolute()}"
    return uri if ":" in uri else str((folder / uri).absolute())
