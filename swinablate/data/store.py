"""Prepared data sets: converted once, checked by digest, mapped into memory by workers.

Layout: `<root>/<name>/<version and format>/` holds one `.npy` per array and `manifest.json`
with the digest of each. The folder appears whole or not at all.
"""

import hashlib
import json
import logging
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from swinablate import schema
from swinablate.data.catalog import find, image_spec
from swinablate.dataset import Arrays, Dataset, Pixels
from swinablate.errors import EnvironmentFault
from swinablate.recipe import DataConfig, ImageSpec

log = logging.getLogger(__name__)
FILES = ("train_pixels", "train_labels", "train_moments", "test_pixels", "test_labels")
MANIFEST = "manifest.json"
SILENCE_S = 60.0  # a server that says nothing for so long is out of reach


@dataclass(frozen=True)
class Prepared:
    """A data set on disk.

    Attributes:
        path: its folder.
        sha256: digest of every image and label; equal on every machine.
    """

    path: Path
    sha256: str


def prepare(config: DataConfig, root: Path) -> Prepared:
    """Download and convert a data set, unless that is done; for the coordinator only.

    Several processes may ask at once: one works, the others wait for it.

    Args:
        config: the recipe's data.
        root: the home's folder of data sets; raw files are looked for and kept here.

    Raises:
        InputError: no data set has that name.
        ValueError: see `image_spec`.
        EnvironmentFault: no network, wrong files, no space, or no permission.
    """
    dataset, image = find(config), image_spec(config)
    folder = _folder(config.name, dataset, image, root)
    if sha256 := _verify(folder):
        return Prepared(folder, sha256)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root / f".{config.name}.lock", config.name):
            sha256 = _verify(folder)  # another process may have done it meanwhile
            if sha256 is None:
                arrays = _obtain(config.name, dataset, image, root)
                sha256 = _write(arrays, folder)
    except OSError as error:
        raise EnvironmentFault(
            f"data set {config.name!r} cannot be stored: {error.strerror or error}",
            at=error.filename or str(root),
            hint="free some space or give write permission, or choose another --home",
        ) from error
    return Prepared(folder, sha256)


def opened(config: DataConfig, root: Path) -> Mapping[str, NDArray[Any]]:
    """Map the arrays of a prepared data set into memory.

    Pages are read when they are touched and shared between processes. Digests are not
    checked here (`prepare` has done that), sizes are.

    Raises:
        EnvironmentFault: it is not prepared, or a file is damaged.
    """
    folder = _folder(config.name, find(config), image_spec(config), root)
    fault = EnvironmentFault(
        f"data set {config.name!r} is not prepared, or damaged",
        at=str(folder),
        hint="start the study again: `swinablate run` prepares it",
    )
    try:
        files = json.loads((folder / MANIFEST).read_text("utf-8"))["files"]
        if any((folder / f"{x}.npy").stat().st_size != files[x]["bytes"] for x in FILES):
            raise fault
        return {x: np.load(folder / f"{x}.npy", mmap_mode="c") for x in FILES}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise fault from error


def _folder(name: str, dataset: Dataset, image: ImageSpec, root: Path) -> Path:
    size = f"{image.height}x{image.width}x{image.channels}-{image.classes}"
    return root / name / f"v{dataset.version}-{size}"


def _verify(folder: Path) -> str | None:
    """The digest of a prepared data set; None if it is missing or damaged."""
    if not folder.exists():
        return None
    try:
        files = json.loads((folder / MANIFEST).read_text("utf-8"))["files"]
        if files == {x: _fingerprint(folder / f"{x}.npy") for x in FILES}:
            return schema.digest(files)
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s: %s", folder, error)
    log.warning("%s is damaged: making it again", folder)
    return None


def _fingerprint(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"sha256": digest, "bytes": file.tell()}


def _obtain(name: str, dataset: Dataset, image: ImageSpec, root: Path) -> Arrays:
    """Read the raw files, downloading them where needed, and check what came."""
    try:
        with _impatient():
            arrays = dataset.read(root, image)
        _check(arrays, dataset, image)
    except (OSError, RuntimeError, TypeError, ValueError, AssertionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise EnvironmentFault(
            f"data set {name!r} could not be had: {reason}",
            at=str(root),
            hint=dataset.by_hand(root),
        ) from error
    return arrays


def _check(arrays: Arrays, dataset: Dataset, image: ImageSpec) -> None:
    """Refuse a data set that is not what its description says."""
    for pixels, labels, n in (
        (arrays.train_pixels, arrays.train_labels, dataset.train),
        (arrays.test_pixels, arrays.test_labels, dataset.test),
    ):
        expected = (n, image.channels, image.height, image.width)
        if pixels.shape != expected or labels.shape != (n,):
            raise ValueError(
                f"expected images {expected} and {n} labels, "
                f"found {pixels.shape} and {labels.shape}"
            )
        if pixels.dtype != np.uint8 or not set(np.unique(labels)) <= set(range(image.classes)):
            raise ValueError(f"expected bytes and labels from 0 to {image.classes - 1}")


def _write(arrays: Arrays, folder: Path) -> str:
    """Write the converted files; only whole folders get their final name."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(".*.tmp"):  # by a killed process: we hold the lock
        shutil.rmtree(left)
    temporary = folder.parent / f".{folder.name}.tmp"
    temporary.mkdir()
    content = {**vars(arrays), "train_moments": _moments(arrays.train_pixels)}
    for name in FILES:
        with (temporary / f"{name}.npy").open("wb") as file:
            np.save(file, np.ascontiguousarray(content[name]))
            _flush(file)
    files = {name: _fingerprint(temporary / f"{name}.npy") for name in FILES}
    with (temporary / MANIFEST).open("w", encoding="utf-8") as text:
        json.dump({"schema": 1, "files": files}, text, indent=1)
        _flush(text)
    if folder.exists():  # damaged
        folder.rename(folder.parent / f".{folder.name}.damaged.tmp")
        shutil.rmtree(folder.parent / f".{folder.name}.damaged.tmp")
    temporary.rename(folder)
    return schema.digest(files)


def _moments(pixels: Pixels) -> NDArray[np.int64]:
    """Sum and sum of squares of each image's channels (n c 2).

    Any subset's mean and deviation follow from these without reading its pixels.
    """
    flat = pixels.reshape(*pixels.shape[:2], -1)
    return np.stack([flat.sum(2, dtype=np.int64), np.square(flat, dtype=np.int64).sum(2)], axis=2)


def _flush(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _locked(path: Path, name: str) -> Iterator[None]:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=2)
    except Timeout:
        log.warning("another process prepares data set %r: waiting for it", name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _impatient() -> Iterator[None]:
    """Give up on a silent server; torchvision sets no time limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
