"""Arms of equal size: one field solved so that an arm meets the baseline's cost.

Equal parameters are not equal compute (35 times apart among small families), and neither is
what a paper's table compares unless somebody made it so.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from swinablate.config import schema
from swinablate.config.family import Family, ImageSpec, ModelConfig
from swinablate.config.levels import Level
from swinablate.config.recipe import Recipe
from swinablate.data import image_spec
from swinablate.errors import InputError
from swinablate.models.cost import Measure, size
from swinablate.models.registry import load_family
from swinablate.study.arms.written import Match
from swinablate.text import named_level, signed

LARGEST = 1 << 16
"""Of the solved number; nobody trains a wider network here."""
HEADS = 32
"""Numbers of heads tried for one width, the nearest to the written one first; farther ones would
be another network."""
TRIES = 512
"""Numbers looked at beside an invalid one before giving up: what heads, groups or windows have to
divide comes back much sooner."""


@dataclass(frozen=True, kw_only=True)
class Matched:
    """What was solved to make an arm as large as the baseline.

    Attributes:
        by: what is equal, "params" or "macs".
        tolerance: the largest relative difference allowed.
        solved: recipe path -> its value as written, and in the arm; heads too where no width
            that they divide comes close enough.
        target: the baseline's number.
        found: the arm's.
    """

    by: Measure
    tolerance: float
    solved: Mapping[str, tuple[Level, Level]]
    target: int
    found: int

    @property
    def off(self) -> float:
        """Relative difference to the baseline."""
        return self.found / self.target - 1

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "off": self.off}


def solve(recipe: Recipe, match: Match, target: int, at: str) -> tuple[Recipe, Matched]:
    """Set one field of a recipe so that its network costs as much as another.

    Of several channels or blocks, given as a list, all change in proportion. Values that the
    family refuses (windows that do not tile) are skipped. Heads stay as they are if a width
    they divide comes close enough; if none does, the nearest valid number of heads goes with
    each width.

    Args:
        recipe: the arm's, as written.
        match: what to make equal, how closely, by which field.
        target: the baseline's parameters or multiply-accumulates.
        at: where the match was written, for messages.

    Raises:
        InputError: the field is none of the model's, or not a number.
        ValueError: no value of it comes close enough.
    """
    written = _written(recipe, match.adjust, at)
    closest: tuple[float, Recipe, int] | None = None
    for heads in (False, True):
        found = _closest(recipe, match, target, written, heads=heads)
        closest = min(filter(None, (closest, found)), key=_distance, default=None)
        if closest is not None and closest[0] <= match.tolerance:
            break
    if closest is None:
        raise ValueError(f"no value of {match.adjust} makes a network; adjust another field")
    off, made, cost = closest
    solved = {
        f"model.{name}": (before, after)
        for name, before in recipe.model
        if (after := getattr(made.model, name)) != before
    }
    result = Matched(
        by=match.by, tolerance=match.tolerance, solved=solved, target=target, found=cost
    )
    if off > match.tolerance:
        level = named_level(getattr(made.model, match.adjust.removeprefix("model.")))
        raise ValueError(
            f"no {match.adjust} brings its {match.by} within {100 * match.tolerance:.1f} % of the "
            f"baseline's {target:,}: the closest, {level}, has {cost:,} "
            f"({signed(100 * result.off, 1)} %); widen match.tolerance, or adjust "
            "another field"
        )
    return made, result


def _distance(found: tuple[float, Recipe, int]) -> float:
    return found[0]


def _closest(
    recipe: Recipe, match: Match, target: int, written: Level, *, heads: bool
) -> tuple[float, Recipe, int] | None:
    """The recipe closest to the target, how far it is off, and its cost."""
    family = load_family(recipe.model.family, "match")
    image = image_spec(recipe.data)

    @cache
    def candidate(n: int) -> Recipe | None:
        changes = {match.adjust: _level(written, n)}
        choices = [changes]
        if heads:
            choices = [changes | more for more in _heads(recipe, n)]
        return next(filter(None, (_made(recipe, c, family, image) for c in choices)), None)

    @cache
    def cost(n: int) -> int:
        made = candidate(n)
        assert made is not None
        return size(family, made.model, image, match.by)

    n = _nearest(target, cost, lambda n: candidate(n) is not None)
    made = None if n is None else candidate(n)
    if n is None or made is None:
        return None
    return abs(cost(n) / target - 1), made, cost(n)


def _made(
    recipe: Recipe, changes: Mapping[str, Level], family: Family[ModelConfig], image: ImageSpec
) -> Recipe | None:
    """The recipe with all changes at once, if the family takes it."""
    try:
        made = schema.evolve(recipe, changes, "match")
        family.geometry(made.model, image)
    except (InputError, ValueError):
        return None
    return made


def _heads(recipe: Recipe, width: int) -> list[dict[str, Level]]:
    """Numbers of heads to try, the nearest to the written one first."""
    if "heads" not in type(recipe.model).model_fields:
        return []
    written = dict(recipe.model)["heads"]
    first = written[0] if isinstance(written, tuple) else written
    # By ratio: half as many heads are as far away as twice as many.
    near = sorted(range(1, width + 1), key=lambda n: abs(math.log(n / first)))
    return [{"model.heads": _level(written, n)} for n in near[:HEADS]]


def _written(recipe: Recipe, path: str, at: str) -> Level:
    """The value to change: a whole number, or several."""
    part, _, name = path.partition(".")
    fields = type(recipe.model).model_fields
    if part != "model" or name not in fields:
        numbers = [f"model.{n}" for n in fields if _is_number(getattr(recipe.model, n))]
        raise InputError(
            f"match.adjust = {path!r} is no field of the family {recipe.model.family!r}",
            at=at,
            hint=f"a whole number that changes the size: {', '.join(numbers)}",
        )
    written = getattr(recipe.model, name)
    if not _is_number(written):
        raise InputError(
            f"match.adjust = {path!r} is {named_level(written)}, not a whole number",
            at=at,
            hint='match by a size: adjust = "model.width"',
        )
    return written


def _is_number(value: object) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(map(_is_number, value))
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _level(written: Level, n: int) -> Level:
    """The value whose (first) number is `n`; others keep their ratio to the first."""
    if isinstance(written, tuple):
        return tuple(max(1, round(number * n / written[0])) for number in written)
    return n


def _nearest(target: int, cost: Callable[[int], int], valid: Callable[[int], bool]) -> int | None:
    """The valid number whose cost is closest to `target`; costs grow with the number."""
    low = _valid_from(1, valid)
    if low is None:
        return None
    high = low
    # Double until it is too large, then halve the gap; a network is built for every look.
    while cost(high) < target:
        low = high
        further = _valid_from(2 * high, valid)
        if further is None or further > LARGEST:
            return low
        high = further
    while (middle := _between(low, high, valid)) is not None:
        low, high = (middle, high) if cost(middle) < target else (low, middle)
    return min((low, high), key=lambda n: abs(cost(n) - target))


def _valid_from(n: int, valid: Callable[[int], bool]) -> int | None:
    return next((m for m in range(n, n + TRIES) if valid(m)), None)


def _between(low: int, high: int, valid: Callable[[int], bool]) -> int | None:
    middle = (low + high) // 2
    up = (n for n in range(middle, high) if n > low and valid(n))
    down = (n for n in range(middle - 1, low, -1) if valid(n))
    return next(up, None) or next(down, None)
