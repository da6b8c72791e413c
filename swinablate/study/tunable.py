"""What may be tuned: training, never the arm itself; and the recipes that tuning makes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from swinablate.config import schema
from swinablate.config.recipe import Recipe
from swinablate.errors import InputError
from swinablate.study.files import Study
from swinablate.study.search_space import Tune, written_values

STREAM = "tune"
"""Tuning draws from generators of its own: no final trial shares its luck with the choice."""
FREE = frozenset(
    ("lr", "weight_decay", "l2", "batch", "optimizer", "momentum", "nesterov", "eps", "schedule",
     "step_factor", "warmup", "clip", "label_smoothing", "ema")
)  # fmt: skip
"""Fields of `train` whose best value depends on the network, and that leave the cost alone."""


def check_tuning(study: Study, arms: Mapping[str, Recipe]) -> None:
    """Refuse what tuning would make meaningless, and values that a field does not take.

    Args:
        study: the question.
        arms: name -> recipe, of every arm.

    Raises:
        InputError: an arm trains in the stream of tuning; the space names what may not be tuned,
            what an arm changes, or a value out of range.
    """
    for name, recipe in arms.items():
        if reserved(recipe.train.stream):
            raise InputError(
                f"{name} trains in the stream {recipe.train.stream!r}, which is tuning's own",
                at=f"{study.file}: train.stream",
                hint='choose another name: "again"',
            )
    if study.tune is not None:
        _check_space(study, study.tune)
        # One value at a time, and of a range its ends: a field that takes them takes the rest.
        for params in _corners(study.tune):
            for recipe in arms.values():
                tuned(recipe, params, f"{study.file}: tune.space")


def _check_space(study: Study, tune: Tune) -> None:
    for key in tune.space:
        at = f"{study.file}: tune.space: {key!r}"
        field = key.removeprefix("train.")
        if field == key or field not in FREE:
            raise InputError(
                f"{key!r} cannot be tuned",
                at=at,
                hint="one of " + ", ".join(f"train.{name}" for name in sorted(FREE)),
            )
        if key in _changed(study):
            raise InputError(
                f"the study varies {key!r} itself: tuned, no arm would keep its change",
                at=at,
                hint="leave it out of [tune], or out of the axes and arms",
            )


def reserved(stream: str) -> bool:
    """Whether the name of a random stream is tuning's."""
    return stream == STREAM or stream.startswith(f"{STREAM}/")


def tuned(recipe: Recipe, params: Mapping[str, Any], at: str = "tuning.json") -> Recipe:
    """The recipe at a point of the space.

    Raises:
        InputError: a value that its field does not take.
    """
    return schema.evolve(recipe, params, at)


def trying(recipe: Recipe, params: Mapping[str, Any]) -> Recipe:
    """The recipe of a tuning trial; arms that differ in their stream are tuned apart."""
    own = recipe.train.stream
    stream = STREAM if own == "main" else f"{STREAM}/{own}"[:40]  # as long as a stream may be
    return tuned(recipe, {**params, "train.stream": stream})


def point(recipe: Recipe, space: Sequence[str]) -> dict[str, Any]:
    """Where a recipe stands in the space; it may lie outside."""
    return {key: getattr(recipe.train, key.removeprefix("train.")) for key in space}


def _corners(tune: Tune) -> Iterator[dict[str, Any]]:
    """Every value that is written in the space, one at a time."""
    for key, part in tune.space.items():
        yield from ({key: value} for value in written_values(part))


def _changed(study: Study) -> set[str]:
    """Paths that axes and the `changes` of named arms touch; a whole recipe is no such change."""
    levels = [{axis: level} for axis, axis_levels in study.axes.items() for level in axis_levels]
    found: set[str] = set()
    for changes in [*levels, *(variant.changes for variant in study.variants)]:
        for path, level in changes.items():
            inner = level if isinstance(level, Mapping) else {}
            found |= {path, *(f"{path}.{key}" for key in inner)}
    return found
