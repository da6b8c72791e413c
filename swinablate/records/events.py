"""What passes between the coordinator and its workers: jobs go out, events come back.

Both are plain JSON, so that they travel through a pipe, a file or an actor alike.
"""

import dataclasses
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

Kind = Literal[
    "started",
    "resumed",
    "stepped",
    "alive",
    "epoch",
    "checkpoint",
    "done",
    "diverged",
    "failed",
    "stopped",
    "lost",
]
ENDINGS = frozenset({"done", "diverged", "failed", "stopped", "lost"})
"""The kinds after which a trial's attempt sends nothing more."""

TRAINS = "== trains"
"""Begins the line that a worker prints before a batch, so that its log tells whose what follows
is; then ` <trial>:<attempt>` for every job, and a blank."""

CHECKPOINT_S = 30.0
"""Seconds of training between two checkpoints: what a crash costs, with the epoch under way.

Starting a worker and reading its images takes ten seconds and more, so that less would save
little; and a checkpoint of a large network takes seconds of a disk.
"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One trial for a worker: everything it needs, nothing it has to look up.

    Attributes:
        trial: content address.
        attempt: the coordinator's count; events of any other attempt are ignored.
        recipe: the full recipe, plain data.
        image: the image specification, plain data.
        kind: tuning trials never compute the test accuracy. Three are no trials: a probe times
            what `auto` may become, a rehearsal takes one step on noise, a timing takes a few
            steps to tell what a trial costs.
        folder: the attempt's folder; the worker writes its checkpoints there.
        resume: folders of earlier attempts, newest first.
        data: where the prepared data sets are.
        device: "cpu" or "cuda:N" as the worker counts; the executor sets it.
        folders: where the code of an import path is.
        choices: device model -> what its fields that say `auto` became.
        asked: metrics to measure at the end besides those that every trial records.
        checkpoint_s: seconds of training between two checkpoints; 0 is one every epoch.
        measured: it tells what it holds of its device when it has taken its first steps.
        parts: of a batch, instead of `train.accumulate`; None: as the recipe says.
    """

    trial: str
    attempt: int
    recipe: Mapping[str, Any]
    image: Mapping[str, int]
    seed: int
    kind: Literal["final", "tune", "probe", "rehearsal", "timing"]
    folder: str
    resume: tuple[str, ...]
    data: str
    device: str = "cpu"
    folders: tuple[str, ...] = ()
    choices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    checkpoint_s: float = CHECKPOINT_S
    measured: bool = False
    parts: int | None = None


def aside(
    kind: Literal["probe", "rehearsal", "timing"],
    recipe: Mapping[str, Any],
    image: Mapping[str, int],
    folders: tuple[str, ...] = (),
    **more: Any,
) -> Job:
    """A job that is no trial: it keeps nothing, and goes on with nothing.

    Args:
        kind: what is asked of the worker.
        recipe: the full recipe, plain data.
        image: the image specification, plain data.
        folders: where the code of an import path is.
        **more: other fields of the job.
    """
    return Job(
        trial=kind,
        attempt=0,
        recipe=recipe,
        image=image,
        seed=0,
        kind=kind,
        folder="",
        resume=(),
        data="",
        folders=folders,
        **more,
    )


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The unit of execution: one trial, or several that train together."""

    jobs: tuple[Job, ...]

    @property
    def told(self) -> str:
        """The line that a worker prints before it starts."""
        return f"{TRAINS} {' '.join(f'{job.trial}:{job.attempt}' for job in self.jobs)} "

    def dumps(self) -> str:
        """One line of JSON."""
        return json.dumps({"jobs": [dataclasses.asdict(job) for job in self.jobs]})

    @staticmethod
    def loads(text: str) -> "Batch":
        """The inverse of `dumps`."""
        jobs = json.loads(text)["jobs"]
        lists = ("resume", "folders", "asked")
        return Batch(
            jobs=tuple(
                Job(**{**job, **{key: tuple(job[key]) for key in lists if key in job}})
                for job in jobs
            )
        )


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a trial.

    Attributes:
        at: Unix time, milliseconds; recorded once, so that a replay is the same.
        data: what belongs to the kind: a metric row, final metrics, a failure.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, allow_inf_nan=False)

    trial: str
    attempt: int
    kind: Kind
    at: int
    data: Mapping[str, Any] = field(default_factory=dict)

    def dumps(self) -> str:
        """One line of JSON; refuses NaN and infinities."""
        # Not `asdict`: it copies what is plain already, for longer than all the rest takes.
        return json.dumps(vars(self), allow_nan=False)

    @staticmethod
    def loads(text: str) -> "Event":
        """The inverse of `dumps`."""
        return Event(**json.loads(text))


_TYPED = TypeAdapter(Event)
LATEST = 253_402_300_800_000
"""The end of the year 9999 in Unix ms: no calendar of Python's goes on."""


def read_event(line: bytes) -> Event | None:
    """An event from the log of an attempt; None where the line is none, whatever its bytes.

    A crash or a full disk tears lines, and nobody writes them again.
    """
    try:
        found = _TYPED.validate_json(line)
    except ValidationError:
        return None
    if not 0 <= found.at < LATEST:
        return None
    rows = {"epoch": [found.data], "resumed": found.data.get("curve", ())}.get(found.kind, [])
    return found if isinstance(rows, list) and all(map(_is_row, rows)) else None


def _is_row(row: object) -> bool:
    """Whether it is a row of a learning curve."""
    return (
        isinstance(row, Mapping)
        and all(type(value) in {int, float} for value in row.values())
        and type(row.get("epoch")) is int
    )


def event(job: Job, kind: Kind, data: Mapping[str, Any] | None = None) -> Event:
    """An event of `job`, now."""
    return Event(
        trial=job.trial,
        attempt=job.attempt,
        kind=kind,
        at=int(time.time() * 1000),
        data=data or {},
    )
