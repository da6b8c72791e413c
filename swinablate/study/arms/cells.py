"""The arms of a study before they are built, here, at another scale, or on other data."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from swinablate.config.complaints import Unfit
from swinablate.config.levels import Level, named_changes
from swinablate.config.recipe import Recipe
from swinablate.config.schema import digest
from swinablate.config.weights import evolved
from swinablate.errors import InputError
from swinablate.study.arms.axes import RECIPE
from swinablate.study.arms.designs import cells
from swinablate.study.arms.mixed import whole
from swinablate.study.arms.written import Match, Variant
from swinablate.study.equality import fields
from swinablate.study.files import BASELINE, Study
from swinablate.text import named_level

CUT = 71
"""Letters of a name that is told apart: with a digest behind them the 80 that a name may have."""


@dataclass(frozen=True)
class Cell:
    """An arm before it is built.

    Attributes:
        recipe: what it trains; None where its changes do not fit each other or the rest.
        unfit: why not.
        against: the arm that it is compared with; empty for the baseline.
    """

    name: str
    changes: Mapping[str, Level]
    recipe: Recipe | None
    cell: bool
    match: Match | None = None
    unfit: str = ""
    against: str = ""


def cells_of(study: Study) -> Iterator[Cell]:
    """Every arm of a study before it is built, the baseline first.

    A combination of levels that cannot be is a cell without a recipe: each of them alone was
    looked at before, so that a misspelled one ends the study.

    Raises:
        InputError: a switch or level that does not exist, or an arm that changes nothing.
    """
    yield Cell(BASELINE, {}, study.baseline, cell=True)
    at = f"{study.file}: axes"
    for name, changes in _labelled(study):
        try:
            yield Cell(name, changes, _evolved(study, study.baseline, changes, at), cell=True)
        except InputError as error:
            yield Cell(name, changes, None, cell=True, unfit=_reason(error))
    for variant in study.variants:
        try:
            yield _named(study, variant)
        except Unfit as error:
            changes = dict(variant.changes)
            yield Cell(
                variant.name,
                changes,
                None,
                cell=False,
                unfit=_reason(error),
                against=variant.against,
            )


def _labelled(study: Study) -> Iterator[tuple[str, dict[str, Level]]]:
    """The name of every cell of the design, and what it changes.

    Arms are named by the last key of a switch, unless two switches share it. Levels that differ in
    characters which no name has, `a/b` and `a:b`, are told apart by a digest.
    """
    last = [switch.rpartition(".")[2] for switch in study.axes]
    full = len(set(last)) < len(last)
    every = list(_changes(study))
    names = [named_changes(changes, full=full) for changes in every]
    count = Counter(names)
    for name, changes in zip(names, every, strict=True):
        own = f"{name[:CUT]}-{digest(changes)[:8]}" if count[name] > 1 else name
        yield own, changes


def _named(study: Study, variant: Variant) -> Cell:
    at = f"{study.file}: arms: {variant.name!r}"
    recipe = _take(study.baseline, variant) if variant.recipe else study.baseline
    changed = _evolved(study, recipe, variant.changes, at)
    if changed == study.baseline:
        raise InputError(
            "this arm is the baseline itself",
            at=at,
            hint="change something, or drop the arm",
        )
    changes = dict(variant.changes)
    if whole(study.baseline, variant.recipe):
        changes = {RECIPE: variant.source, **changes}
    elif variant.recipe:
        changes = _differences(study, changed)
    return Cell(
        variant.name,
        changes,
        changed,
        cell=False,
        match=variant.match,
        against=variant.against,
    )


def _reason(error: InputError) -> str:
    """Why an arm is refused: the problem, and the remedy after a semicolon."""
    return f"{error.problem}; {error.hint}"


def _changes(study: Study) -> Iterator[dict[str, Level]]:
    for switch, levels in study.axes.items():
        for level in levels:
            at = f"{study.file}: axes: {switch!r}"
            if _same(study, switch, level):
                raise InputError(
                    f"{named_level(level)} is the baseline's own level",
                    at=at,
                    hint="leave it out: the baseline is always run",
                )
    yield from cells(study.design, study.axes, f"{study.file}: axes")


def _same(study: Study, switch: str, level: Level) -> bool:
    """Whether it is the baseline's own level.

    A switch that the baseline's family does not have is one if a recipe of the axes has it.

    Raises:
        InputError: there is no such switch, or it does not take the level.
    """
    at = f"{study.file}: axes"
    try:
        return _evolved(study, study.baseline, {switch: level}, at) == study.baseline
    except Unfit:  # alone; another change of a cell may make it fit
        return False
    except InputError:
        if switch == RECIPE or not any(_takes(study, one, switch, level) for one in study.recipes):
            raise
        return False


def _takes(study: Study, recipe: str, switch: str, level: Level) -> bool:
    """Whether a recipe of the axes has a switch, and the switch takes the level."""
    try:
        _evolved(study, study.baseline, {RECIPE: recipe, switch: level}, f"{study.file}: axes")
    except Unfit:
        return True
    except InputError:
        return False
    return True


def _evolved(study: Study, recipe: Recipe, changes: Mapping[str, Level], at: str) -> Recipe:
    """The recipe with changes; the model of another recipe first, and the others on top of it."""
    others = {path: level for path, level in changes.items() if path != RECIPE}
    if RECIPE in changes:
        recipe = recipe.model_copy(update={"model": study.recipes[changes[RECIPE]].model})
    return evolved(recipe, others, Path(study.file).parent, at)


def _take(recipe: Recipe, variant: Variant) -> Recipe:
    assert variant.recipe is not None
    if whole(recipe, variant.recipe):
        return variant.recipe
    parts = {part: getattr(variant.recipe, part) for part in variant.take}
    return recipe.model_copy(update=parts)


def _differences(study: Study, recipe: Recipe) -> dict[str, Level]:
    """What a recipe has that the baseline has not, or has otherwise."""
    ours, theirs = (
        fields(study.baseline.model_dump(mode="json")),
        fields(recipe.model_dump(mode="json")),
    )
    missing = object()
    return {path: level for path, level in theirs.items() if ours.get(path, missing) != level}


def moved(study: Study, changes: Mapping[str, Level], key: str) -> Study:
    """The study with another baseline; arms that take another recipe move with it.

    What a match solves stays as it is.

    Args:
        study: as written.
        changes: recipe path -> level.
        key: of the study file, where they are written.

    Raises:
        InputError: a level that the baseline or a recipe does not take.
    """
    return replace(
        study,
        baseline=with_changes(study, study.baseline, changes, key),
        variants=tuple(_taken(study, one, changes, key) for one in study.variants),
        recipes={
            name: with_changes(study, one, _parts(changes, ("model",)), f"{key} of {name!r}")
            for name, one in study.recipes.items()
        },
    )


def with_changes(study: Study, recipe: Recipe, changes: Mapping[str, Level], key: str) -> Recipe:
    """A recipe of a study with changes that its key has.

    Raises:
        InputError: it does not take one of them.
    """
    return evolved(recipe, changes, Path(study.file).parent, f"{study.file}: {key}")


def _taken(study: Study, variant: Variant, changes: Mapping[str, Level], key: str) -> Variant:
    if variant.recipe is None:
        return variant
    solved = variant.match.adjust if variant.match else ""
    own = {p: level for p, level in _parts(changes, variant.take).items() if p != solved}
    where = f"{key} of {variant.source}"
    return replace(variant, recipe=with_changes(study, variant.recipe, own, where))


def _parts(changes: Mapping[str, Level], parts: Sequence[str]) -> dict[str, Level]:
    return {path: level for path, level in changes.items() if path.partition(".")[0] in parts}


def check_taken(study: Study, paths: Iterable[str], variant: Variant, key: str) -> None:
    """Refuse a recipe that is an arm, and is somewhere else than the baseline already.

    Args:
        study: as written.
        paths: recipe paths that move.
        variant: the arm.
        key: of the study file, by which they move.

    Raises:
        InputError: it takes one of them from its recipe, with another value than the baseline's.
    """
    if variant.recipe is None:
        return
    solved = variant.match.adjust if variant.match else ""
    ours, theirs = (
        fields(recipe.model_dump(mode="json")) for recipe in (study.baseline, variant.recipe)
    )
    for path in paths:
        taken = path.partition(".")[0] in variant.take and path != solved
        if taken and ours.get(path) != theirs.get(path):
            raise InputError(
                f"{variant.source} has {path} = {named_level(theirs.get(path))}, and the baseline "
                f"{named_level(ours.get(path))}: {key} moves both together",
                at=f"{study.file}: arms: {variant.name!r}",
                hint="give both one value, or let it be solved: match = { by = "
                f'"params", adjust = "{path}" }}',
            )
