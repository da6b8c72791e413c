"""A study file as it is written, and its named arms before they are applied."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from swinablate.config import schema
from swinablate.config.compare import Compare, DeclaredHypothesis
from swinablate.config.levels import Level
from swinablate.config.recipe import Recipe
from swinablate.errors import InputError
from swinablate.records.plan import Design
from swinablate.study.arms.axes import DOTTED
from swinablate.study.arms.contrasts import DeclaredContrast
from swinablate.study.arms.scale import Scale
from swinablate.study.noise.sources import NoiseSources
from swinablate.study.search_space import Tune
from swinablate.study.seeds import Adaptive, Budget, Seeds

NAMED = BeforeValidator(
    lambda value: {"name": value} if isinstance(value, str) else value,
    json_schema_input_type=str | dict[str, Any],
)
"""A data set without anything of its own is its name alone."""
NAME = "data.name"
UNNAMEABLE = re.compile(r"[^A-Za-z0-9._=,+()-]+")
"""What of a data set's name cannot stand in an arm's."""
LABEL = r"[A-Za-z0-9][A-Za-z0-9._=,+()-]{0,39}"
"""At most half of a name, which begins with the arm's."""


class Dataset(schema.Frozen):
    """A data set, and what a baseline needs there: sizes, epochs, subsets."""

    name: Annotated[str, Field(min_length=1)]  # as in [data] of a recipe
    label: Annotated[str, Field(pattern=f"^(?:{LABEL})?$")] = ""  # where two would be called alike
    changes: Annotated[dict[str, Any], DOTTED] = Field(default_factory=dict)  # recipe paths

    @property
    def called(self) -> str:
        """Its label; without one its name, as it may stand in an arm's."""
        return self.label or UNNAMEABLE.sub("-", self.name).strip("-")[:40] or "data"

    @property
    def level(self) -> dict[str, Level]:
        """All that it changes of the baseline."""
        return {NAME: self.name, **self.changes}


Datasets = tuple[Annotated[Dataset, NAMED], ...]


class Match(schema.Frozen):
    """One field to solve, so that the arm is as large as the baseline."""

    by: Literal["params", "macs"]
    # Relative; well inside the 5 % from which a report says that costs differ (`ISO_COST`).
    tolerance: Annotated[float, Field(gt=0, le=0.5)] = 0.02
    adjust: Annotated[str, Field(min_length=1)]  # a recipe path: model.width


class NamedArm(schema.Frozen):
    """Several changes under one name, to the baseline or to it with parts of another recipe."""

    name: str
    changes: dict[str, Any] = Field(default_factory=dict)
    recipe: str | None = None
    take: tuple[Literal["model", "train", "data", "start"], ...] = ("model",)
    match: Match | None = None
    against: str = ""  # the arm that it is compared with instead of the baseline


class StudyFile(schema.Frozen):
    """A study as written; `Study` is the same with its recipes read."""

    question: Annotated[str, Field(min_length=1, max_length=2000)]  # shown above every plan
    baseline: Annotated[str, Field(min_length=1)]
    seeds: Seeds | None = None
    baseline_seeds: Annotated[int, Field(ge=1, le=2000)] | None = None
    adaptive: Adaptive | None = None
    tune: Tune | None = None
    noise: NoiseSources | None = None
    budget: Budget = Budget()
    design: Design = "one_at_a_time"
    axes: Annotated[dict[str, tuple[Any, ...]], DOTTED] = Field(default_factory=dict)
    arms: tuple[NamedArm, ...] = ()
    contrasts: tuple[DeclaredContrast, ...] = ()
    compare: Compare = Compare()
    hypotheses: tuple[DeclaredHypothesis, ...] = ()
    scale: Scale | None = None
    data: Datasets | None = None  # every arm on each of them; names, or tables with changes
    labels: dict[str, str] = Field(default_factory=dict)  # how figures call arms and switches


@dataclass(frozen=True)
class Variant:
    """A named arm before it is applied: changes to the baseline, or another recipe.

    Attributes:
        source: the file of the recipe, as written.
        against: the arm that it is compared with; empty for the baseline.
    """

    name: str
    changes: Mapping[str, Level]
    recipe: Recipe | None
    take: tuple[str, ...]
    match: Match | None
    source: str = ""
    against: str = ""


def check_datasets(sets: Datasets, at: str) -> None:
    """Refuse a list that is no list of several data sets.

    Args:
        sets: as written.
        at: the file, for messages.

    Raises:
        InputError: fewer than two, two of one label, or one that is renamed by its changes.
    """
    where = f"{at}: data"
    if len(sets) < 2:
        raise InputError(
            f"{len(sets)} data set{'' if len(sets) == 1 else 's'} in the list",
            at=where,
            hint='name two or more: data = ["digits", "shapes"]; one is [data] of the recipe',
        )
    labels = [one.called for one in sets]
    if twice := [label for i, label in enumerate(labels) if label in labels[:i]]:
        raise InputError(
            f"two data sets are called {twice[0]!r}",
            at=where,
            hint='tell them apart: { name = "image_folder", label = "leaves", changes = {...} }',
        )
    for one in sets:
        if wrong := [path for path in one.changes if path in ("data", NAME)]:
            raise InputError(
                f"{wrong[0]!r} is changed here, and the name says which data set it is",
                at=f"{where}: {one.called}: changes",
                hint="leave it out",
            )


def check_beside_data(design: str, tables: Mapping[str, bool], at: str) -> None:
    """Refuse what cannot be combined with several data sets in this version.

    Args:
        design: of the study.
        tables: name of a table of the study file -> whether it is there.
        at: the file, for messages.

    Raises:
        InputError: seeds that are added look by look, tuning, scales, or a design of several
            switches.
    """
    given = [f"[{name}]" for name, found in tables.items() if found]
    if design != "one_at_a_time":
        given.append(f"design = {design!r}")
    if given:
        raise InputError(
            f"data = [...] and {given[0]} are not possible together in this version",
            at=f"{at}: data",
            hint="write a study for each data set, and compare them: "
            "`swinablate compare STUDY STUDY...`",
        )


def check_untouched(
    sets: Sequence[Dataset], changes: Iterable[str], at: str, base: Iterable[str] = (NAME,)
) -> None:
    """Refuse an arm that changes what differs between data sets.

    Args:
        sets: as written.
        changes: recipe paths that an arm or an axis changes.
        at: where it is written, for messages.
        base: paths that all data sets set.

    Raises:
        InputError: one of them is a path of a data set, lies inside one, or holds one.
    """
    paths = dict.fromkeys([*base, *(path for one in sets for path in one.changes)])
    for path in changes:
        for own in paths:
            if f"{path}.".startswith(f"{own}.") or f"{own}.".startswith(f"{path}."):
                raise InputError(
                    f"{path!r} is changed here, and data = [...] sets {own!r}",
                    at=at,
                    hint="leave one of the two out: a difference is between arms of one data set",
                )
