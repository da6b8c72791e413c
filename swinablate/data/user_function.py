"""Data sets by import path: `name = "mypackage.data:load"` calls `load()`.

The function takes nothing and returns the images as `swinablate.data.dataset.Arrays`, or as a
tuple of four arrays or CPU tensors: training images, their classes, test images, theirs.
Images are uint8, n c h w, from 0 to the `top` of `data.image` (255 where it says nothing); classes
are integers from 0, one an image. Training images are all from which training and validation
images are cut; the test images must be the same for ever.

Its module is looked for as a network's is: in the folder of the recipe that names it, then in
the current folder, then where Python looks. It is called in the coordinator, once whenever a
study is started; what it returns is kept in the home, and replaced when it returns something
else.
"""

import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from swinablate.config.code import imports
from swinablate.config.code.theirs import builtin, named, theirs
from swinablate.config.family import ImageSpec
from swinablate.data.dataset import Arrays, Dataset
from swinablate.errors import InputError

AT = "data.name"
TORCHVISION = "torchvision.datasets:"


def function_set(name: str) -> Dataset:
    """The data set that a function returns; neither imported nor called before it is read."""

    @functools.cache  # asked for its digest first, then for its images: called once
    def arrays() -> Arrays:
        return _arrays(_called(name), name)

    def read(_raw: Path, image: ImageSpec) -> Arrays:
        found = arrays()
        _check(found, name, image)
        return found

    return Dataset(
        read=read,
        by_hand=lambda _raw: f"the images come from {name}",
        state=lambda _raw: _digest(arrays()),
    )


def is_path(name: str) -> bool:
    """Whether a data set's name is an import path; torchvision's classes are looked up there."""
    return ":" in name and not name.startswith(TORCHVISION)


def function(name: str, folders: Sequence[Path] = (), at: str = AT) -> Callable[[], object]:
    """Import what a path names.

    Args:
        name: the import path.
        folders: where to look before the current folder; once imported, it is remembered.
        at: where the path was written, for the error message.

    Raises:
        InputError: no such module or function.
    """
    found = imports.attribute_of(name, folders, at)
    if not callable(found) or builtin(found):
        raise InputError(
            f"{name} is of type {type(found).__name__}, not a function that returns images",
            at=at,
            hint='write name = "mypackage.data:load", where load() returns the images',
        )
    return found


def _called(name: str) -> object:
    load = function(name)
    try:
        with theirs():
            return load()
    except Exception as error:
        raise InputError(
            f"{name}() failed: {named(error)}",
            at=AT,
            hint="call it by itself; it takes no arguments",
        ) from error


def _arrays(found: object, name: str) -> Arrays:
    """Four arrays of the right types."""
    parts = tuple(vars(found).values()) if isinstance(found, Arrays) else found
    if not isinstance(parts, tuple | list) or len(parts) != 4:
        kind = f"{len(parts)} parts" if isinstance(parts, tuple | list) else type(found).__name__
        raise _refusal(name, f"returned {kind}, not four arrays")
    try:
        arrays = [np.asarray(part) for part in parts]
    except Exception as error:  # rows of several lengths, tensors of a GPU or with gradients, ...
        raise _refusal(name, f"returned what is no array: {named(error)}") from error
    train, classes, test, test_classes = arrays
    for part, pixels, labels in (("training", train, classes), ("test", test, test_classes)):
        if pixels.dtype != np.uint8 or pixels.ndim != 4:
            kind = f"{pixels.dtype} of {pixels.ndim} dimensions"
            raise _refusal(name, f"{part} images are {kind}, not uint8 n c h w")
        if labels.dtype.kind not in "iu" or labels.ndim != 1:
            kind = f"{labels.dtype} of {labels.ndim} dimensions"
            raise _refusal(name, f"{part} classes are {kind}, not integers n")
    return Arrays(train, classes.astype(np.int64), test, test_classes.astype(np.int64))


def _check(found: Arrays, name: str, image: ImageSpec) -> None:
    """Compare with the format that the recipe promises."""
    promised = (image.channels, image.height, image.width)
    for what, pixels, labels in (
        ("training", found.train_pixels, found.train_labels),
        ("test", found.test_pixels, found.test_labels),
    ):
        if len(pixels) != len(labels) or not len(pixels):
            raise _refusal(
                name, f"there are {len(pixels)} {what} images and {len(labels)} classes"
            )
        if pixels.shape[1:] != promised:
            raise _refusal(
                name, f"{what} images are {pixels.shape[1:]}, data.image says {promised}"
            )
        if (most := pixels.max()) > image.top:
            raise _refusal(name, f"{what} pixels reach {most}, data.image.top is {image.top}")
        low, high = labels.min(), labels.max()
        if low < 0 or high >= image.classes:
            raise _refusal(
                name,
                f"{what} classes are {low} to {high}, data.image says 0 to {image.classes - 1}",
            )


def _refusal(name: str, problem: str) -> InputError:
    return InputError(
        f"{name}(): {problem}",
        at=AT,
        hint="return (train_images, train_classes, test_images, test_classes): uint8 n c h w "
        "and integers, as data.image = { height, width, channels, classes } says",
    )


def _digest(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for array in vars(arrays).values():
        digest.update(f"{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
