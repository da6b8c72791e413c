"""Image files in folders: `data.root` holds `train/CLASS/*` and `test/CLASS/*` (or `val`).

Pictures of any size and kind that PIL reads; each is cut in the middle to the proportions of
`data.image`, scaled to its size and made grey or coloured (`picture.fitted`), once.
Classes are numbered in the order of their folders' names.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from swinablate.config import schema
from swinablate.config.family import ImageSpec
from swinablate.data.dataset import Dataset, Labels, Part, Parts, Picture, Pixels
from swinablate.data.image_files import MODES, fitted
from swinablate.errors import InputError

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
CHUNK = 512
"""Pictures decoded before they are written: work for every core, and all that memory holds."""
LAYOUT = "give a folder that holds train/CLASS/*.png and test/CLASS/*.png (or val)"
Files = list[tuple[Path, int]]


def read(root: Path, image: ImageSpec) -> Parts:
    """List the pictures and check the folders; they are decoded while they are written."""
    if image.channels not in MODES:
        raise InputError(
            f"image files have 1 or 3 channels, not {image.channels}",
            at="data.image.channels",
            hint="write channels = 3, or 1 for grey images",
        )
    train, test, classes = _listed(root)
    if len(classes) != image.classes:
        raise InputError(
            f"{root / 'train'} holds {len(classes)} classes, not {image.classes}",
            at="data.image.classes",
            hint=f"write classes = {len(classes)}",
        )
    return Parts(
        Part(len(train), lambda: _decoded(train, image)),
        Part(len(test), lambda: _decoded(test, image)),
    )


def state(root: Path) -> str:
    """Digest of every picture's name, size and time of change."""
    train, test, _ = _listed(root)
    found = [(path, path.stat()) for path, _ in train + test]
    return schema.digest(
        [[path.relative_to(root).as_posix(), s.st_size, s.st_mtime_ns] for path, s in found]
    )


def _listed(root: Path) -> tuple[Files, Files, list[str]]:
    if not root.is_dir():
        raise InputError(f"no folder {root}", at="data.root", hint=LAYOUT)
    test = root / "test" if (root / "test").is_dir() else root / "val"
    for part in (root / "train", test):
        if not part.is_dir():
            known = ", ".join(sorted(p.name for p in root.iterdir())) or "nothing"
            what = "train" if part.name == "train" else "test or val"
            raise InputError(
                f"no folder {what} in {root}; it holds {known}", at="data.root", hint=LAYOUT
            )
    classes = _folders(root / "train")
    if strange := sorted(set(_folders(test)) - set(classes)):
        raise InputError(
            f"class {strange[0]!r} is in {test} but not in {root / 'train'}",
            at="data.root",
            hint="every class needs training images",
        )
    return _pictures(root / "train", classes), _pictures(test, classes), classes


def _folders(part: Path) -> list[str]:
    names = sorted(p.name for p in part.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise InputError(f"no class in {part}", at="data.root", hint=LAYOUT)
    return names


def _pictures(part: Path, classes: list[str]) -> Files:
    files: Files = []
    for label, name in enumerate(classes):
        folder = part / name
        found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not found and (folder.is_dir() or part.name == "train"):
            raise InputError(
                f"no picture in {folder}",
                at="data.root",
                hint=f"put files there ({' '.join(sorted(SUFFIXES))}), or remove the folder",
            )
        files += [(path, label) for path in found]
    return files


def _decoded(files: Files, image: ImageSpec) -> Iterator[tuple[Pixels, Labels]]:
    """Decode in threads: PIL lets go of Python while it decodes and scales."""

    def one(path: Path) -> Picture:
        from PIL import Image

        try:
            with Image.open(path) as picture:
                return fitted(picture, image)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"a picture cannot be read: {reason}", at=str(path), hint="mend it, or remove it"
            ) from error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(files), CHUNK):
            some = files[start : start + CHUNK]
            pixels = np.stack(list(pool.map(one, [path for path, _ in some])))
            yield pixels, np.array([label for _, label in some], dtype=np.int64)


DATASET = Dataset(
    read=read,
    by_hand=lambda root: f"{root}: {LAYOUT}",
    rooted=True,
    state=state,
)
