"""Recipes of commands with other levels of their switches, checked as a whole."""

import math
from collections.abc import Mapping
from typing import Any

from swinablate.config.commands import boards
from swinablate.config.commands.schema import CommandConfig, Switches, misfit
from swinablate.config.commands.sources import settled
from swinablate.config.complaints import show
from swinablate.config.levels import Level
from swinablate.config.plugins import did_you_mean
from swinablate.config.recipe import COMMAND, CommandRecipe
from swinablate.config.schema import add, evolve, validate
from swinablate.errors import InputError

SWITCHES = "switches"
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
"""What a switch takes, by the type of its default."""


def checked(command: CommandConfig, switches: Switches, base: str, at: str) -> CommandRecipe:
    """The recipe of a command whose words, switches and sources fit each other.

    Args:
        command: as written.
        switches: name -> default.
        base: the recipe's folder.
        at: the recipe, for messages.

    Raises:
        InputError: they do not.
    """
    key, problem, hint = misfit(command, switches)
    if problem:
        raise InputError(problem, at=f"{at}: {key}", hint=hint)
    if any(one.tag for one in command.metrics) and boards.lacking():
        why = "events of TensorBoard need a package that is not installed"
        raise InputError(why, at=f"{at}: command.metric: tag", hint=boards.HINT)
    return CommandRecipe.of(settled(command, base, at), switches)


def recipe_of(data: Mapping[str, Any]) -> CommandRecipe:
    """A recipe from its recorded values; nothing is looked for where it was planned.

    Raises:
        InputError: this version does not have one of its fields.
    """
    command = validate(CommandConfig, data[COMMAND], COMMAND)
    return CommandRecipe.of(command, dict(data[SWITCHES]))


def changed(recipe: CommandRecipe, changes: Mapping[str, Level], at: str) -> CommandRecipe:
    """The recipe with other levels.

    Args:
        recipe: as checked.
        changes: `switches.NAME` or `command.KEY` -> level.
        at: where the changes were written, for messages.

    Raises:
        InputError: there is no such switch, or it does not take the level.
    """
    switches, of_command = dict(recipe.switches), dict[str, Level]()
    for path, level in _by_path(changes, at).items():
        head, _, name = path.partition(".")
        if head == COMMAND and name:
            of_command[name] = level
        elif head == SWITCHES and name in switches:
            switches[name] = _taken(path, switches[name], level, at)
        else:
            raise InputError(
                f"no switch is called {path!r}",
                at=at,
                hint=did_you_mean(path, [f"{SWITCHES}.{one}" for one in switches])
                if switches
                else "this recipe is a command without [switches]: add them there",
            )
    for name in ("base", "sha256"):
        if name in of_command:
            why = "it follows from the recipe's place and sources, and cannot be chosen"
            raise InputError(why, at=f"{at}: command.{name}", hint="leave it out")
    command = recipe.command
    if of_command:
        command = evolve(command, of_command, at, f"{COMMAND}.")
    return checked(command, switches, recipe.command.base, at)


def _by_path(changes: Mapping[str, Level], at: str) -> dict[str, Level]:
    """Changes by whole paths: without quotes, TOML takes `switches.lr = 0.2` for a table.

    Raises:
        InputError: one is written twice.
    """
    found: dict[str, Level] = {}
    for path, level in changes.items():
        table = path in {SWITCHES, COMMAND} and isinstance(level, Mapping)
        parts = {f"{path}.{name}": one for name, one in level.items()} if table else {path: level}
        add(parts, found, at)
    return found


def _taken(path: str, default: object, level: Level, at: str) -> bool | int | float | str:
    """The level, if it is of the kind of the default; a whole number is a number, too.

    Raises:
        InputError: it is not.
    """
    if isinstance(default, float) and type(level) is int:
        return float(level)
    if isinstance(level, float) and not math.isfinite(level):
        hint = "write a number that has an end"
        raise InputError(f"expected a finite number, got {level}", at=f"{at}: {path}", hint=hint)
    if type(level) is type(default) and isinstance(level, bool | int | float | str):
        return level
    kind = KINDS[type(default)]
    raise InputError(
        f"expected {kind}, like the {show(default)} of [switches], got {show(level)}",
        at=f"{at}: {path}",
        hint=f"write {kind}, or change the default in the recipe",
    )
