"""Data sets on which a study trains every arm, as its file has them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from swinablate.config.levels import Level
from swinablate.config.schema import Frozen
from swinablate.errors import InputError
from swinablate.study.arms.axes import DOTTED

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


class Dataset(Frozen):
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


def check_beside(design: str, tables: Mapping[str, bool], at: str) -> None:
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
