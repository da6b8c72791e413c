"""Image files in folders: `data.root` holds `train/CLASS/*` and `test/CLASS/*`.

Pictures of any size and kind that PIL reads; each is turned upright, cut in the middle to the
proportions of `data.image`, scaled to its size and made grey or coloured (`image_files.fitted`),
once. Classes are numbered in the order of their folders' names. A recipe without `data.image` has
the format that is found (`look`).

With `val/CLASS/*` (or `valid`, `validation`) beside the two, that is what chooses, and nothing is
cut from the training images for it; without a folder `test` it is the test set. Hidden files and
folders, and those that systems leave behind, are no pictures (`hidden`).

A folder that holds `CLASS/*` alone is cut by `data.test_fraction`: of each class the pictures
whose files have the smallest digests are the test set. So no seed chooses it, neither a trial's
nor `data.split_seed`, and neither does a file's name: it is the same on every machine, and a
picture more moves few others.
"""

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from swinablate.config import schema
from swinablate.config.family import ImageSpec
from swinablate.data.dataset import Dataset, Part, Parts, Side
from swinablate.data.image_files import MODES, Files, decoded, headers, unusable
from swinablate.errors import InputError

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
PASSED = {
    ".avif",
    ".cr2",
    ".dng",
    ".heic",
    ".heif",
    ".jfif",
    ".jp2",
    ".jpe",
    ".jxl",
    ".nef",
    ".npy",
}
"""Of pictures that are not read: another version's PIL, or none, may know them."""
TIFF = "2"
"""How pictures of that kind are read: 1 took those of 16 bits whose 0 is white for negatives."""
LEFT_BEHIND = {"__macosx", "@eadir", "$recycle.bin"}
"""Folders of macOS's archives, of Synology's and of Windows' disks; they hold copies."""
LAYOUT = "give a folder that holds train/CLASS/*.png and test/CLASS/*.png (or val)"
TRAIN, TEST, VAL = ("train", "training"), ("test", "testing"), ("val", "valid", "validation")
"""Names of the parts' folders, in any case."""


P = ParamSpec("P")
R = TypeVar("R")


def legible(look: Callable[P, R]) -> Callable[P, R]:
    """Name a folder that must not be listed, or a link that leads nowhere, in the user's words."""

    @wraps(look)
    def looked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return look(*args, **kwargs)
        except OSError as error:
            raise InputError(
                f"cannot be read: {error.strerror or error}",
                at=str(error.filename or "data.root"),
                hint="mend it, or remove it",
            ) from None

    return looked


@dataclass(frozen=True)
class Listed:
    """The files of a folder, and the classes they are of."""

    classes: list[str]
    train: Files
    test: Files
    val: Files


@legible
def read(root: Path, image: ImageSpec) -> Parts:
    """List the pictures and check the folders; they are decoded while they are written."""
    return _parts(root, image, _listed(root), _part(root, TRAIN))


@legible
def cut(root: Path, image: ImageSpec, share: float) -> Parts:
    """The same of a folder that holds `CLASS/*` alone.

    Args:
        root: the folder.
        image: the format.
        share: of each class's pictures, rounded: the test set.
    """
    if root.is_dir() and _parted(root) and (train := _part(root, TRAIN)):
        raise InputError(
            f"{root} holds {train.name}: it is parted already",
            at="data.test_fraction",
            hint="leave data.test_fraction out",
        )
    names, files = _flat(root)
    train_files: Files = []
    test_files: Files = []
    for label, name in enumerate(names):
        mine = sorted((_digest(path), path) for path, kind in files if kind == label)
        tested = round(share * len(mine))
        if not 0 < tested < len(mine):
            part = "test" if not tested else "training"
            raise InputError(
                f"{share} of the {len(mine)} pictures of class {name!r} leaves no {part} images",
                at="data.test_fraction",
                hint="give another share, or more pictures",
            )
        test_files += sorted((path, label) for _, path in mine[:tested])
        train_files += sorted((path, label) for _, path in mine[tested:])
    return _parts(root, image, Listed(names, train_files, test_files, []), root)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _parts(root: Path, image: ImageSpec, found: Listed, above: Path | None) -> Parts:
    """What was listed, to be decoded; `above` holds the classes, for a message."""
    if image.channels not in MODES:
        raise InputError(
            f"image files have 1 or 3 channels, not {image.channels}",
            at="data.image.channels",
            hint="write channels = 3, or 1 for grey images",
        )
    if len(found.classes) != image.classes:
        raise InputError(
            f"{above} holds {len(found.classes)} classes, not {image.classes}",
            at="data.image.classes",
            hint=f"write classes = {len(found.classes)}",
        )
    every = found.train + found.val + found.test
    endings = [path.suffix.lower() for path in _inside(root)]
    passed = Counter(one for one in endings if one in PASSED)

    def part(files: Files) -> Part:
        names = [_told(path.relative_to(root).as_posix()) for path, _ in files]
        converted = Counter[str]()
        made = partial(decoded, files, image, every, converted)
        return Part(len(files), made, names, converted, passed)

    return Parts(part(found.train), part(found.test), part(found.val) if found.val else None)


@legible
def look(root: Path, size: Side | None, share: float | None) -> ImageSpec:
    """Classes, channels and size of a folder's pictures, by their headers.

    Pictures that are all grey have one channel, others three. Where they are of several sizes,
    nobody but the user knows the right one; one that is asked for they are made of at once,
    whatever theirs are, not by scaling them twice.

    Args:
        root: the folder.
        size: pixels a side, or height and width, that a recipe asks for.
        share: what is cut off to test, where the folder holds `CLASS/*` alone; else None.
    """
    if share is not None:
        names, files = _flat(root)
    else:
        found = _listed(root)
        names, files = found.classes, found.train + found.val + found.test
    first: tuple[Path, tuple[int, int]] | None = None
    colour = False
    for path, seen in headers(files):
        if isinstance(seen, str):
            raise unusable(files)
        first, colour = first or (path, seen[0]), colour or seen[1]
        if size is None and seen[0] != first[1]:
            (height, width), (h, w) = first[1], seen[0]
            raise InputError(
                f"pictures are of several sizes: {first[0]} has {width} x {height} pixels, "
                f"{path} {w} x {h}",
                at="data.size",
                hint="write size = 64 in [data]: the pixels a side that all are cut and scaled to",
            )
        if size is not None and colour:
            break  # the others could add nothing
    assert first
    height, width = first[1] if size is None else size if isinstance(size, tuple) else (size, size)
    return ImageSpec(height=height, width=width, channels=3 if colour else 1, classes=len(names))


@legible
def state(root: Path) -> str:
    """Digest of every picture's name, size and times of change."""
    if root.is_dir() and not _parted(root):
        _, files = _flat(root)
    else:
        found = _listed(root)
        files = found.train + found.val + found.test
    # What was made of TIFF by a version that read it otherwise is made again.
    again = [TIFF] if any(path.suffix.lower() in {".tif", ".tiff"} for path, _ in files) else []
    return schema.digest(
        [*again, *([path.relative_to(root).as_posix(), *_print(path)] for path, _ in files)]
    )


def _print(path: Path) -> tuple[int, int, int]:
    """What changes with a file; its time of change can be set, as copies do, the last cannot."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def classes(root: Path) -> tuple[str, ...]:
    """The folders of the training images; nothing is read of them, and nothing is wrong."""
    with contextlib.suppress(OSError, InputError):
        if root.is_dir():
            return tuple(map(_told, _folders((_parted(root) and _part(root, TRAIN)) or root)))
    return ()


def _told(name: str) -> str:
    """A name of a file as text: one that is not UTF-8 with its bytes written out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def hidden(name: str) -> bool:
    """Whether a file or folder is none that somebody put there as a picture or a class.

    `.ipynb_checkpoints` holds copies of pictures, `.thumbnails` small ones, and `._x.png` what
    macOS knows of `x.png`.
    """
    return name.startswith(".") or name.lower() in LEFT_BEHIND


def _listed(root: Path) -> Listed:
    if not root.is_dir():
        raise InputError(f"no folder {root}", at="data.root", hint=LAYOUT)
    train, test, val = (_part(root, names) for names in (TRAIN, TEST, VAL))
    if test is None:
        test, val = val, None
    for part, what in ((train, "train"), (test, "test or val")):
        if part is None:
            known = ", ".join(sorted(p.name for p in root.iterdir())) or "nothing"
            flat = what == "train" and test is None and len(_folders(root)) > 1
            raise InputError(
                f"no folder {what} in {root}; it holds {known}",
                at="data.root",
                hint=f"{LAYOUT}; of CLASS/*.png alone, data.test_fraction = 0.2 takes a fifth to "
                "test"
                if flat
                else LAYOUT,
            )
    assert train
    assert test
    names = _folders(train)
    if not names:
        raise InputError(f"no class in {train}", at="data.root", hint=LAYOUT)
    if len(names) == 1:
        raise InputError(
            f"{train} holds one class, {names[0]!r}: there is nothing to tell apart",
            at="data.root",
            hint="every class needs a folder of its own",
        )
    others = [part for part in (test, val) if part]
    for part in others:
        _check_classes(part, train, names)
    return Listed(
        names,
        _pictures(train, names, needed=True),
        _pictures(test, names),
        _pictures(val, names) if val else [],
    )


def _flat(root: Path) -> tuple[list[str], Files]:
    """The classes and all pictures of a folder that is not parted."""
    if not root.is_dir():
        raise InputError(f"no folder {root}", at="data.root", hint="give a folder of CLASS/*.png")
    names = _folders(root)
    if len(names) < 2:
        raise InputError(
            f"{root} holds {len(names)} folders: there is nothing to tell apart",
            at="data.root",
            hint="every class needs a folder of its own",
        )
    return names, _pictures(root, names, needed=True)


def _parted(root: Path) -> bool:
    """Whether a folder is cut into parts; `train` may be a class beside cars and planes."""
    train, *others = found = [_part(root, names) for names in (TRAIN, TEST, VAL)]
    cut = train is not None and any(others)
    return cut or len(_folders(root)) == sum(part is not None for part in found)


def _part(root: Path, names: Sequence[str]) -> Path | None:
    """The folder of a part, by whichever of its names.

    Raises:
        InputError: two folders claim to be it.
    """
    found = sorted(p for p in root.iterdir() if p.name.lower() in names and p.is_dir())
    if len(found) > 1:
        both = " and ".join(p.name for p in found)
        raise InputError(
            f"{root} holds {both}, which mean the same", at="data.root", hint="keep one of them"
        )
    return found[0] if found else None


def _check_classes(part: Path, train: Path, names: Sequence[str]) -> None:
    found = _folders(part)
    if not found:
        raise InputError(f"no class in {part}", at="data.root", hint=LAYOUT)
    if strange := sorted(set(found) - set(names)):
        raise InputError(
            f"class {strange[0]!r} is in {part} but not in {train}",
            at="data.root",
            hint="every class needs training images",
        )


def _folders(part: Path) -> list[str]:
    return sorted(p.name for p in part.iterdir() if p.is_dir() and not hidden(p.name))


def _inside(folder: Path) -> Iterator[Path]:
    """All files below a folder, also of folders that are links, each of which once."""
    seen: set[str] = set()
    for above, folders, files in os.walk(folder, onerror=_raised, followlinks=True):
        place = os.path.realpath(above)
        folders[:] = [] if place in seen else [name for name in folders if not hidden(name)]
        if place not in seen:
            yield from (Path(above, name) for name in files if not hidden(name))
        seen.add(place)


def _raised(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # a class without a folder in this part
        raise error


def _pictures(part: Path, names: Sequence[str], *, needed: bool = False) -> Files:
    files: Files = []
    for label, name in enumerate(names):
        folder = part / name
        found = sorted(path for path in _inside(folder) if path.suffix.lower() in SUFFIXES)
        if not found and (folder.is_dir() or needed):
            raise InputError(
                f"no picture in {folder}",
                at="data.root",
                hint=f"put files there ({' '.join(sorted(SUFFIXES))}), or remove the folder",
            )
        files += [(path, label) for path in found]
    return files


DATASET = Dataset(
    read=read,
    by_hand=lambda root: f"{root}: {LAYOUT}",
    rooted=True,
    state=state,
    listed=classes,
    cut=cut,
    look=look,
    version=2,  # 1 took hidden files, lying pictures and transparent ones as they are
)
