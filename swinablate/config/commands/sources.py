"""The files that a command is made of: found, and named by their content."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from swinablate.config.commands.schema import CommandConfig
from swinablate.errors import InputError

ASIDE = frozenset({"__pycache__", ".git", ".venv", "venv", ".swinablate", "node_modules"})
"""Folders that `**` does not look into: what is there is made of sources, or is none."""
PIECE = 1 << 20
"""Bytes of a source that are read at a time: a word of `run` may name data of any size."""


def settled(command: CommandConfig, base: str, at: str) -> CommandConfig:
    """The command with its folder and the digest of its sources.

    Args:
        command: as written.
        base: the recipe's folder.
        at: the recipe, for messages.

    Raises:
        InputError: there is no such folder, program or source.
    """
    found = command.model_copy(update={"base": base})
    folder = folder_of(found)
    if not folder.is_dir():
        raise InputError(
            f"there is no folder {folder}",
            at=f"{at}: command.folder",
            hint="it is relative to the recipe",
        )
    _check_program(command.run[0], folder, at)
    files = [*sources_of(found, at)]
    if command.sources is None and not files:
        raise InputError(
            f"no word of run names a file in {folder}, so that nothing says which code this is",
            at=f"{at}: command.sources",
            hint='name the files: sources = ["**/*.py"]; or none, and a change of the code '
            "is not noticed: sources = []",
        )
    return found.model_copy(update={"sha256": digest_of(folder, files, at)})


def folder_of(command: CommandConfig) -> Path:
    """Where a command runs."""
    return Path(os.path.normpath(Path(command.base) / command.folder))


def sources_of(command: CommandConfig, at: str) -> list[Path]:
    """The files that are part of what a command is, each once, in an order of their own.

    Raises:
        InputError: a glob finds nothing, or is none.
    """
    folder = folder_of(command)
    if command.sources is None:
        words = [part for word in command.run for part in (word, word.rpartition("=")[2])]
        named = (folder / word for word in words if word and "\0" not in word)
        return sorted({path for path in named if path.is_file()})
    found: set[Path] = set()
    for glob in command.sources:
        try:
            matched = set(_matched(folder, glob))
        except (ValueError, NotImplementedError) as error:
            raise InputError(
                f"{glob!r} is no glob: {error}",
                at=f"{at}: command.sources",
                hint='write it relative to the folder: "**/*.py"',
            ) from None
        if not matched:
            raise InputError(
                f"{glob!r} finds no file in {folder}",
                at=f"{at}: command.sources",
                hint='globs are relative to the folder: "train.py", "src/**/*.py"',
            )
        found |= matched
    return sorted(found)


def digest_of(folder: Path, files: list[Path], at: str) -> str:
    """A digest of files by their names and contents.

    Raises:
        InputError: one of them cannot be read.
    """
    whole = hashlib.sha256()
    for path in files:
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                whole.update(f"{os.path.relpath(path, folder)}\x1f{size}\x1f".encode())
                while piece := file.read(PIECE):
                    whole.update(piece)
        except OSError as error:
            raise InputError(
                f"{path} cannot be read: {error.strerror or error}",
                at=f"{at}: command.sources",
                hint="give files that can be read",
            ) from None
    return whole.hexdigest()


def _matched(folder: Path, glob: str) -> Iterator[Path]:
    for path in folder.glob(glob):
        inside = path.relative_to(folder).parts if path.is_relative_to(folder) else ()
        if path.is_file() and not ASIDE & set(inside):
            yield path


def _check_program(name: str, folder: Path, at: str) -> None:
    """Refuse a program that is not there; nothing is started to see.

    Raises:
        InputError: there is none.
    """
    found = (folder / name).is_file() if "/" in name else shutil.which(name) is not None
    if not found and "{" not in name:
        raise InputError(
            f"no program is called {name!r}",
            at=f"{at}: command.run",
            hint=f"give a path relative to {folder}, or a program of the PATH",
        )
