"""How a trial ended: the record that everything else is made of."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    NonNegativeInt,
    PositiveInt,
    TypeAdapter,
    ValidationError,
)

from swinablate.records.seal import SCHEMA, Damaged, misfit, unseal

Status = Literal["done", "diverged", "failed"]
MEASURED = "measured.json"
"""Beside a record: metrics that were measured after it was written, from the same weights."""
EVERY = "test/balanced_accuracy"
"""Of all trials that record more than their accuracy: it is finite whatever the logits are."""
LEAST = {"epoch", "at", "train/loss", "val/accuracy", "time/epoch_s", "time/images_per_s"}
"""What every row of a curve of schema 1 has. Such a record has no digest; that it is complete is
what can be asked of it, and that its accuracies are possible."""


def _row(values: Mapping[str, float]) -> Mapping[str, float]:
    if type(values.get("epoch")) is not float:  # every number is one by now
        raise ValueError("a row of the curve names no epoch")
    return values


def _execution(values: Mapping[str, Any]) -> Mapping[str, Any]:
    fused = values.get("fused", 1)
    if type(fused) is not int or fused < 1:
        raise ValueError(f"{fused} trials trained as one")
    return values


def _predictions(values: Mapping[str, Any]) -> Mapping[str, Any]:
    images = values.get("images", 0)
    texts = (values.get("sha256", ""), values.get("correct", ""))
    if type(images) is not int or any(type(text) is not str for text in texts):
        raise ValueError("no digest of predictions")
    if "correct" in values:
        bits = base64.b64decode(texts[1], validate=True)
        if len(bits) != -(-images // 8):
            raise ValueError(f"{len(bits)} bytes of bits for {images} images")
    if "confusion" in values:
        _confusion(values["confusion"], images)
    return values


def _confusion(rows: Any, images: int) -> None:
    """Refuse what is no square of counts of all images.

    Raises:
        ValueError: it is none.
    """
    square = isinstance(rows, list) and all(
        isinstance(row, list) and len(row) == len(rows) for row in rows
    )
    counts = [count for row in rows for count in row] if square else []
    whole = all(type(count) is int and count >= 0 for count in counts)
    if not square or not whole or sum(counts) != images:
        raise ValueError(f"no confusion of {images} images")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a trial ended, and all that was measured on the way.

    Attributes:
        metrics: final values; accuracies in percent.
        curve: one row an epoch: `epoch`, `at` (Unix ms), and metrics by name.
        execution: device model, precision, threads, versions; equal for equal classes.
        predictions: digest of the test predictions, which were right (base64 bits), and, of few
            classes, how many images of each class (a row) were taken for each (a column).
        failure: kind, message, traceback; None for a done trial.
        started_at: Unix ms, for people; a clock may be set meanwhile.
        finished_at: the same.
        elapsed_s: of the last attempt, by a clock that is never set; None in older records.
        schema: of the file; 1 carries no digest, so that nobody can check it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        strict=True, allow_inf_nan=False, revalidate_instances="always"
    )

    trial: str
    seed: int
    kind: Literal["final", "tune"]
    recipe: Mapping[str, Any]
    image: Mapping[str, int]
    status: Status
    attempt: PositiveInt
    metrics: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[Annotated[Mapping[str, float], AfterValidator(_row)], ...] = ()
    execution: Annotated[Mapping[str, Any], AfterValidator(_execution)] = field(
        default_factory=dict
    )
    provenance: Mapping[str, Any] = field(default_factory=dict)
    predictions: Annotated[Mapping[str, Any], AfterValidator(_predictions)] = field(
        default_factory=dict
    )
    failure: Mapping[str, str] | None = None
    started_at: NonNegativeInt = 0
    finished_at: NonNegativeInt = 0
    elapsed_s: float | None = None
    schema: int = SCHEMA

    @property
    def seconds(self) -> float:
        """How long it took; of trials that trained as one, its share."""
        together = int(self.execution.get("fused", 1))
        if self.elapsed_s is not None:
            return self.elapsed_s / together
        return max(0, self.finished_at - self.started_at) / 1000 / together


_TYPED = TypeAdapter(Outcome)
_FIELDS = frozenset(one.name for one in fields(Outcome))
_FIRST = frozenset({
    *("trial", "seed", "kind", "recipe", "image", "status", "attempt", "metrics", "curve"),
    *("execution", "provenance", "predictions", "failure", "started_at", "finished_at", "schema"),
})  # fmt: skip
"""What every record of schema 1 has, and nothing else."""


def read_outcome(path: Path, trial: str, remedy: str) -> Outcome:
    """A recorded outcome, checked field by field.

    Args:
        path: the file.
        trial: whose it must be.
        remedy: what to do with a damaged one, in words.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it is no such record, or another trial's.
        EnvironmentFault: it cannot be read, or a newer swinablate wrote it.
    """
    data = unseal(path, {"trial": trial}, remedy)
    known = {key: value for key, value in data.items() if key in _FIELDS}
    try:
        if data["schema"] == 1:
            _check_names(data)
        if isinstance(known.get("curve"), list):
            known["curve"] = tuple(known["curve"])
        found = Outcome(**known)
        _TYPED.validate_python(found)
        if found.schema == 1:
            _check_first(found)
    except ValidationError as error:
        raise Damaged(f"damaged record: {misfit(error)}", at=str(path), hint=remedy) from None
    except (ValueError, TypeError) as error:  # a field is missing
        raise Damaged(f"damaged record: {error}", at=str(path), hint=remedy) from None
    return found  # as it was written: pydantic makes 6 a 6.0


def measurable(found: Outcome) -> bool:
    """Whether a trial has an answer to every test image, so that more may be known of it."""
    own = "command" in found.recipe  # what it answered, its script knows
    return (found.kind, found.status) == ("final", "done") and not own


def told(found: Outcome) -> float | None:
    """What Optuna hears of a trial: its validation accuracy; of a command, what it measured."""
    own = (value for name, value in found.metrics.items() if name.startswith("command/"))
    return found.metrics.get("val/accuracy", next(own, None))


def with_measured(found: Outcome, folder: Path) -> Outcome:
    """The outcome with what was measured of it later; its own metrics are never replaced.

    Args:
        found: as recorded.
        folder: the trial's.
    """
    if not measurable(found):
        return found
    try:
        more = read_measured(found, folder)
    except (FileNotFoundError, Damaged):
        return found  # what is damaged is measured again
    return replace(found, metrics={**more, **found.metrics})


def read_measured(found: Outcome, folder: Path, remedy: str = "") -> dict[str, float]:
    """What was measured later of a trial.

    Args:
        found: as recorded.
        folder: the trial's.
        remedy: what to do with a damaged file, in words.

    Raises:
        FileNotFoundError: nothing was.
        Damaged: it was cut off, edited, or is about another training.
        EnvironmentFault: it cannot be read, or a newer swinablate wrote it.
    """
    path = folder / MEASURED
    later = unseal(path, {"trial": found.trial}, remedy)
    metrics = later.get("metrics")
    wrong = ""
    if later["schema"] == 1:  # no such file was ever written without a digest
        wrong = "it has no digest"
    elif later.get("attempt") != found.attempt:
        wrong = "it is of another attempt"
    elif later.get("predictions") != found.predictions.get("sha256"):
        wrong = "it is of weights that answered otherwise"
    elif not isinstance(metrics, dict) or any(type(one) is not float for one in metrics.values()):
        wrong = "metrics: expected numbers"
    if wrong:
        raise Damaged(f"damaged record: {wrong}", at=str(path), hint=remedy)
    return dict(metrics or {})


def _check_names(data: Mapping[str, Any]) -> None:
    """Refuse a record of schema 1 that has another field, or one less.

    Raises:
        ValueError: it does.
    """
    if odd := _FIRST ^ data.keys():
        raise ValueError(f"{'no' if min(odd) in _FIRST else 'unknown'} field {min(odd)!r}")


def _check_first(found: Outcome) -> None:
    """Refuse a record of schema 1 that lacks what every one has, or cannot be.

    Raises:
        ValueError: it does.
    """
    final = {"test/accuracy"} if found.kind == "final" else set()
    if found.status == "done" and (lost := {"val/accuracy", *final} - found.metrics.keys()):
        raise ValueError(f"metrics: no {min(lost)!r}")
    if any(LEAST - row.keys() for row in found.curve):
        raise ValueError("curve: a row lacks what was measured")
    for values in (found.metrics, *found.curve):
        for name, value in values.items():
            if name.endswith("/accuracy") and not 0 <= value <= 100 + 1e-6:  # floats round up
                raise ValueError(f"{name}: {value} is no percentage")
