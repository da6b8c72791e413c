"""Files of weights that a recipe starts from: found, and named by their content."""

import functools
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from swinablate.config.commands.changes import changed as command_with
from swinablate.config.recipe import EACH, CommandRecipe, Recipe, StartConfig
from swinablate.config.schema import evolve
from swinablate.config.written import check_file
from swinablate.errors import InputError


def settled(recipe: Recipe, folder: Path, at: str) -> Recipe:
    """The recipe with the absolute path and the digest of the weights it starts from.

    Where the path names one file a seed, nothing is read: which seeds there are is not the
    recipe's to know.

    Args:
        recipe: as written.
        folder: what a relative path is relative to.
        at: the file that names the weights, for messages.

    Raises:
        InputError: there is no such file.
    """
    if not recipe.start.weights:  # an arm from scratch beside a baseline that is not
        start = recipe.start.model_copy(update={"sha256": ""})
        return recipe.model_copy(update={"start": start})
    path = (folder / recipe.start.weights).absolute()
    try:
        digest = EACH if recipe.start.each else _digest(path)
    except OSError as error:
        raise InputError(
            f"no weights can be read from {path}: {error.strerror or error}",
            at=f"{at}: start.weights",
            hint="`swinablate weights STUDY ARM FILE` writes such a file from a trained trial",
        ) from None
    start = recipe.start.model_copy(update={"weights": str(path), "sha256": digest})
    return recipe.model_copy(update={"start": start})


def evolved(recipe: Recipe, changes: Mapping[str, object], folder: Path, at: str) -> Recipe:
    """The recipe with changes, and with the digest of the weights it then starts from.

    Args:
        recipe: as settled.
        changes: dotted path -> level.
        folder: what a relative path of weights is relative to.
        at: where the changes were written, for messages.

    Raises:
        InputError: a change that cannot be made, or no such file.
    """
    if isinstance(recipe, CommandRecipe):
        return command_with(recipe, changes, at)
    changed = evolve(recipe, changes, at)
    if changed.start.sha256 != recipe.start.sha256:
        raise InputError(
            "a digest follows from the weights, and cannot be chosen",
            at=f"{at}: start.sha256",
            hint='name other weights: "start.weights" = ["other.pt"]',
        )
    return settled(changed, folder, at)


def of_seed(path: str | Path, seed: int) -> Path:
    """The file of a seed, of a path that names one a seed."""
    return Path(str(path).replace(EACH, str(seed)))


def each(start: StartConfig, seeds: Iterable[int], at: str, why: str) -> dict[int, StartConfig]:
    """What each seed starts from: its own file, and the digest of that.

    Args:
        start: as settled; its path names one file a seed.
        seeds: whose files are needed.
        at: where the weights were named, for messages.
        why: these seeds, for messages.

    Raises:
        InputError: one of them has no file.
    """
    found: dict[int, StartConfig] = {}
    problems: dict[int, str] = {}
    for seed in seeds:
        path = of_seed(start.weights, seed)
        try:
            own = {"weights": str(path), "sha256": _digest(path)}
            found[seed] = start.model_copy(update=own)
        except OSError as error:
            problems[seed] = f"no weights can be read from {path}: {error.strerror or error}"
    if problems:
        first, *more = problems
        others = f"; nor the files of seeds {', '.join(map(str, more))}" if more else ""
        raise InputError(
            problems[first] + others,
            at=f"{at}: start.weights",
            hint=f'`swinablate weights STUDY ARM "{start.weights}"` writes a file for every '
            f"recorded seed of an arm, and with `--seed {first}` this one; {why}",
        )
    return found


def _digest(path: Path) -> str:
    """Of the file's content.

    Raises:
        OSError: it cannot be read.
    """
    found = check_file(path)
    return _read(path, found.st_mtime_ns, found.st_size)


# A plan asks for every seed's file several times; so many are more than the seeds of any study.
@functools.lru_cache(maxsize=4096)
def _read(path: Path, _changed: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
