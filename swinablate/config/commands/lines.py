"""The words and variables that a command is started with: of a trial, or to be read."""

from collections.abc import Mapping
from pathlib import Path

from swinablate.config.commands import words
from swinablate.config.commands.schema import CommandConfig
from swinablate.config.commands.sources import folder_of


def line_of(
    command: CommandConfig, switches: Mapping[str, words.Value], values: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """The words, and the variables besides those of the process.

    Args:
        command: as checked.
        switches: name -> level.
        values: of the placeholders that every command has.
    """
    known = {name: words.written(level, command.words) for name, level in switches.items()}
    known |= values
    placed = set[str]().union(*map(words.used, (*command.run, *command.environment.values())))
    rest = {name: level for name, level in switches.items() if name not in placed}
    line = [words.filled(word, known) for word in command.run]
    if command.give == "flags":
        line += words.flags(rest, command.words)
    elif command.give == "assignments":
        line += [f"{name}={known[name]}" for name in rest]
    named = {name.upper(): known[name] for name in rest if command.give == "environment"}
    own = {key: words.filled(text, known) for key, text in command.environment.items()}
    return line, {**named, **own}


def started(command: CommandConfig, line: list[str]) -> list[str]:
    """The words with the program as it is started: a path is relative to the folder."""
    if "/" not in line[0]:
        return line
    return [str(Path(folder_of(command)) / line[0]), *line[1:]]
