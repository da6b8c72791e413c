"""Prepared data sets: converted once, checked by digest, mapped into memory by workers.

Layout: `<root>/<name>/<version and format>/` holds one `.npy` per array and `manifest.json`
with the digest of each. The folder appears whole or not at all. Images are written as they
are made, so a data set may be larger than the memory; workers map it (`splits.fits`).
"""

import errno
import hashlib
import json
import logging
import math
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from swinablate.config import schema
from swinablate.config.data import DataConfig
from swinablate.config.family import BYTE, ImageSpec
from swinablate.config.train import TrainConfig
from swinablate.data.dataset import Part, Parts
from swinablate.data.facts import Tally, found
from swinablate.data.reading import Source
from swinablate.data.registry import (
    describe,
    find_dataset,
    image_spec,
    native_spec,
    raw_folder,
    sizes_of,
)
from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.disk import locks

log = logging.getLogger(__name__)
FILES = ("train_pixels", "train_labels", "train_moments", "test_pixels", "test_labels")
"""A file an array. Test images have no moments: the training images normalise them too."""
MANIFEST = "manifest.json"


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
        InputError: no data set has that name; its folder, files or function are wrong; or it
            has too few images for the splits.
        ValueError: see `image_spec`.
        EnvironmentFault: no network, wrong files, no space, or no permission.
    """
    dataset, image = find_dataset(config), image_spec(config)
    folder, raw = _folder(config, root), raw_folder(config, root)
    state = dataset.state(raw) if dataset.state else None
    sha256 = _verify(folder, state)
    try:
        if sha256 is None:
            root.mkdir(parents=True, exist_ok=True)
            with _locked(root / f".{folder.parent.name}.lock", config.name):
                sha256 = _verify(folder, state)  # another process may have done it meanwhile
                if sha256 is None:
                    source = Source(config.name, dataset, native_spec(config), image, raw)
                    sha256 = _write(source.parts(), source, folder, state)
    except OSError as error:
        raise EnvironmentFault(
            f"data set {config.name!r} cannot be stored: {error.strerror or error}",
            at=error.filename or str(root),
            hint="free some space or give write permission, or choose another --home",
        ) from error
    prepared = Prepared(folder, sha256)
    check_sizes(config, prepared)
    return prepared


def prepare_own(configs: Iterable[DataConfig], root: Path) -> None:
    """Read folders of a user's own pictures, unless they are as they were.

    They are what most often has something wrong, and a plan takes seconds: so they come first.

    Args:
        configs: data of recipes; others than such folders are left to `prepare`.
        root: the home's folder of data sets.

    Raises:
        InputError: a folder or pictures in it are wrong.
        EnvironmentFault: they cannot be kept.
    """
    for config in dict.fromkeys(configs):
        dataset = find_dataset(config)
        if not dataset.rooted or dataset.state is None:
            continue
        state = dataset.state(raw_folder(config, root))
        try:
            if manifest_of(config, root).get("state") == state:
                continue
        except EnvironmentFault:
            pass  # not there yet
        except ValueError:
            continue  # a format that cannot be; the plan says so, and of which arm
        prepare(config, root)


def own_validation(config: DataConfig, root: Path) -> int:
    """How many of the last training images are the data set's own validation images.

    Raises:
        EnvironmentFault: it is not prepared, or damaged.
    """
    return _own(manifest_of(config, root))


def _own(manifest: Mapping[str, Any]) -> int:
    return int(manifest.get("val", 0))


def known(config: DataConfig, root: Path) -> Mapping[str, Any] | None:
    """What is known of a recipe's images (`facts.found`).

    Nothing where they are not prepared, or were so by a version that did not look.
    """
    try:
        facts: Mapping[str, Any] | None = manifest_of(config, root).get("facts")
    except EnvironmentFault:
        return None
    return facts


def manifest_of(config: DataConfig, root: Path) -> Mapping[str, Any]:
    """What is known of a prepared data set.

    Raises:
        EnvironmentFault: it is not prepared, or damaged.
    """
    folder = _folder(config, root)
    try:
        found: Mapping[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _missing(config, folder) from error
    return found


def _missing(config: DataConfig, folder: Path) -> EnvironmentFault:
    return EnvironmentFault(
        f"data set {config.name!r} is not prepared, or damaged",
        at=str(folder),
        hint="start the study again: `swinablate run STUDY` prepares it",
    )


def opened(config: DataConfig, root: Path) -> Mapping[str, NDArray[Any]]:
    """Map the arrays of a prepared data set into memory.

    Pages are read when they are touched and shared between processes. Digests are not
    checked here (`prepare` has done that), sizes are.

    Raises:
        EnvironmentFault: it is not prepared, or a file is damaged.
    """
    folder = _folder(config, root)
    fault = _missing(config, folder)
    try:
        files = json.loads((folder / MANIFEST).read_text("utf-8"))["files"]
        if any((folder / f"{x}.npy").stat().st_size != files[x]["bytes"] for x in FILES):
            raise fault
        # Copy on write: torch warns of arrays that cannot be written, and the files stay whole.
        return {x: np.load(folder / f"{x}.npy", mmap_mode="c") for x in FILES}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise fault from error


def _folder(config: DataConfig, root: Path) -> Path:
    dataset, image, target = find_dataset(config), native_spec(config), image_spec(config)
    size = f"{image.height}x{image.width}x{image.channels}-{image.classes}"
    if config.image is not None and image.top < BYTE:  # the recipe's, not the data set's own
        size += f"-{image.top}"
    if (target.height, target.width) != (image.height, image.width):
        size += f"-as-{target.height}x{target.width}"
    if target.channels != image.channels:
        size += f"-of-{target.channels}"
    if config.test_fraction is not None:
        size += f"-test-{config.test_fraction}"
    name = re.sub(r"[^\w.]", ".", config.name)
    if name != config.name or config.root is not None:  # two may look alike
        place = str(raw_folder(config, root)) if config.root is not None else ""
        name = f"{name}-{schema.digest([config.name, place])[:8]}"
    return root / name / f"v{dataset.version}-{size}"


def _verify(folder: Path, state: str | None) -> str | None:
    """The digest of a prepared data set; None if it is missing, damaged, or of other files."""
    if not folder.exists():
        return None
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        files = manifest["files"]
        if manifest.get("state") != state:
            log.warning("%s is of images that have changed: making it again", folder)
            return None
        if files == {x: _fingerprint(folder / f"{x}.npy") for x in FILES}:
            return _digest(manifest)
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s: %s", folder, error)
    log.warning("%s is damaged: making it again", folder)
    return None


def source(config: DataConfig) -> DataConfig:
    """What a recipe's data have in common with others of the same prepared images."""
    return DataConfig(
        name=config.name,
        root=config.root,
        image=config.image,
        size=config.size,
        channels=config.channels,
        test_fraction=config.test_fraction,
    )


def check_sizes(
    config: DataConfig, prepared: Prepared, trains: Iterable[TrainConfig] = ()
) -> None:
    """Refuse what a data set is too small for whose size was not known before.

    Args:
        config: the recipe's data.
        prepared: the same.
        trains: how networks train on them.

    Raises:
        InputError: a split would be empty, or a rate follow a batch that is larger.
    """
    rest, test = (
        len(np.load(prepared.path / f"{part}_labels.npy", mmap_mode="r"))
        for part in ("train", "test")
    )
    manifest = json.loads((prepared.path / MANIFEST).read_text("utf-8"))
    try:
        sizes = sizes_of(config, rest, test, _own(manifest))
        for train in trains if describe(config) is None else ():
            train.check_rate(sizes.train)
    except ValueError as error:
        problem, _, hint = str(error).partition("; ")
        raise InputError(problem, at="data", hint=hint) from None


def _fingerprint(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"sha256": digest, "bytes": file.tell()}


def _write(parts: Parts, source: Source, folder: Path, state: str | None) -> str:
    """Write the converted files; only whole folders get their final name."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(".*.tmp"):  # by a killed process: we hold the lock
        shutil.rmtree(left)
    temporary = folder.parent / f".{folder.name}.tmp"
    temporary.mkdir()
    try:
        _check_space(parts, source.target, temporary)
        rest = [parts.train, *([parts.val] if parts.val else [])]
        train = _write_part(temporary, "train", rest, source)
        _save(temporary / "train_moments.npy", np.concatenate(train.moments))
        test = _write_part(temporary, "test", [parts.test], source)
        facts = found(train, test, source.target, parts.val.n if parts.val else 0)
        facts["passed"] = dict(parts.train.passed)
        facts["converted"] = dict(sum((part.converted for part in [*rest, parts.test]), Counter()))
        files = {name: _fingerprint(temporary / f"{name}.npy") for name in FILES}
        known: dict[str, Any] = {"facts": facts} | ({} if state is None else {"state": state})
        if parts.val:
            known["val"] = parts.val.n
        with (temporary / MANIFEST).open("w", encoding="utf-8") as text:
            json.dump({"schema": 1, "files": files, **known}, text, indent=1)
            _flush(text)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    if folder.exists():  # damaged
        folder.rename(folder.parent / f".{folder.name}.damaged.tmp")
        shutil.rmtree(folder.parent / f".{folder.name}.damaged.tmp")
    temporary.rename(folder)
    return _digest({"files": files, **known})


def _digest(manifest: Mapping[str, Any]) -> str:
    """Of every image and label, and of which of them are for validation, where that is given."""
    own = {"val": manifest["val"]} if "val" in manifest else {}
    return schema.digest({**manifest["files"], **own})


def _check_space(parts: Parts, image: ImageSpec, folder: Path) -> None:
    images = parts.train.n + parts.test.n + (parts.val.n if parts.val else 0)
    needed = images * image.channels * image.height * image.width
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            errno.ENOSPC, f"{needed >> 20} MiB are needed, {free >> 20} are free", str(folder)
        )


def _write_part(folder: Path, name: str, parts: Sequence[Part], source: Source) -> Tally:
    """Write images and classes as they come, part after part."""
    image = source.target
    shape = (sum(part.n for part in parts), image.channels, image.height, image.width)
    tally = Tally([name for part in parts for name in part.names])
    with (folder / f"{name}_pixels.npy").open("wb") as file:
        head = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, head)
        for pixels, classes in chain.from_iterable(map(source.chunks, parts)):
            file.write(np.ascontiguousarray(pixels).data)
            tally.add(pixels, classes)
        _flush(file)
    if not tally.labels:
        raise InputError(f"there is no {name} image", at="data", hint=source.remedy)
    _save(folder / f"{name}_labels.npy", np.concatenate(tally.labels))
    return tally


def _save(path: Path, array: NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.save(file, np.ascontiguousarray(array))
        _flush(file)


def _flush(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _locked(path: Path, name: str) -> Iterator[None]:
    with ExitStack() as held:
        try:
            held.enter_context(locks.lock(path, 2.0))
        except locks.Taken as error:
            log.warning("%s prepares data set %r: waiting for it", error, name)
            held.enter_context(locks.lock(path, math.inf))
        yield
