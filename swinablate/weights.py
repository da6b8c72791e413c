"""Files of weights that a recipe starts from: found, and named by their content."""

import functools
import hashlib
from pathlib import Path

from swinablate.errors import InputError
from swinablate.recipe import Recipe


def settled(recipe: Recipe, folder: Path, at: str) -> Recipe:
    """The recipe with the absolute path and the digest of the weights it starts from.

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
        found = path.stat()
        digest = _digest(path, found.st_mtime_ns, found.st_size)
    except OSError as error:
        raise InputError(
            f"no weights can be read from {path}: {error.strerror or error}",
            at=f"{at}: start.weights",
            hint="`swinablate weights` writes such a file from a trained trial",
        ) from None
    start = recipe.start.model_copy(update={"weights": str(path), "sha256": digest})
    return recipe.model_copy(update={"start": start})


@functools.lru_cache(maxsize=32)
def _digest(path: Path, _changed: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
