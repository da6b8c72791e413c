"""A study somewhere else: at another scale, or on another data set, with all of its arms."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from swinablate.config.levels import Level
from swinablate.config.recipe import Recipe
from swinablate.config.weights import evolved
from swinablate.errors import InputError
from swinablate.study.arms.written import Variant
from swinablate.study.equality import fields
from swinablate.study.files import Study
from swinablate.text import named_level


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
