"""What a study varies, as its file has it: switches with levels, and recipes as levels."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BeforeValidator

from swinablate.config.levels import Level
from swinablate.config.recipe import Recipe
from swinablate.errors import InputError
from swinablate.text import named_level

RECIPE = "recipe"
"""An axis whose levels are recipe files: of each it takes the [model], so that a family is a level
like any other, and other axes apply to what it has."""


def dotted(axes: object, inside: str = "") -> object:
    """Axes by their whole paths: without quotes, TOML takes `model.shift = [...]` for tables.

    Raises:
        ValueError: one is written twice, in both ways.
    """
    if not isinstance(axes, Mapping):
        return axes
    found: dict[str, object] = {}
    for key, levels in axes.items():
        path = f"{inside}{key}"
        inner = dotted(levels, f"{path}.") if isinstance(levels, Mapping) else {path: levels}
        assert isinstance(inner, Mapping)
        if twice := sorted(found.keys() & inner.keys()):
            raise ValueError(f"axis {twice[0]!r} is written twice; write all its levels in one")
        found |= inner
    return found


DOTTED = BeforeValidator(dotted, json_schema_input_type=dict[str, Any])
"""Of [axes], which may be written with quotes or without."""


def axes_of(written: Mapping[str, Sequence[Level]], at: str) -> dict[str, tuple[Level, ...]]:
    """The axes of a file, each with its levels.

    Raises:
        InputError: an axis without levels, a level twice, or a family as a switch.
    """
    for switch, levels in written.items():
        if not levels:
            raise InputError(
                f"axis {switch!r} has no levels",
                at=f"{at}: axes",
                hint=f'write "{switch}" = [VALUE, ...]',
            )
        for i, level in enumerate(levels):
            # In Python 1 and true are equal; as levels they are two.
            if any(level == other and type(level) is type(other) for other in levels[:i]):
                raise InputError(
                    f"axis {switch!r} has the level {named_level(level)} twice",
                    at=f"{at}: axes",
                    hint="name every level once"
                    + ("; numbers hold 16 digits" if isinstance(level, float) else ""),
                )
        if switch in {"model.family", "family"}:
            raise InputError(
                "a family alone has no sizes",
                at=f"{at}: axes: {switch!r}",
                hint='name recipes: "recipe" = ["vit.toml"], or one arm: [[arms]] name = "ViT", '
                'recipe = "vit.toml"',
            )
    return {switch: tuple(levels) for switch, levels in written.items()}


def recipes_of(
    levels: Sequence[Level], folder: Path, load: Callable[[Path], Recipe], at: str
) -> dict[str, Recipe]:
    """The recipes that are levels, by the stem of their files, which names their arms.

    Args:
        levels: paths, as written.
        folder: what relative ones are relative to.
        load: reads one.
        at: the file that names them.

    Raises:
        InputError: a level that is no text, a file that is no recipe, or two of one stem.
    """
    where, found = f"{at}: axes: {RECIPE!r}", dict[str, Recipe]()
    for level in levels:
        if not isinstance(level, str):
            raise InputError(
                f"expected the path of a recipe, got {named_level(level)}",
                at=where,
                hint='write "recipe" = ["../experiments/vit_digits.toml"]',
            )
        stem = Path(level).stem
        if stem in found:
            raise InputError(
                f"two recipes are called {stem!r}, and their arms would be",
                at=where,
                hint="rename one of the files",
            )
        found[stem] = load(folder / level)
    return found
