"""Data sets of torchvision, by its public classes; for processes that may import it.

Files are downloaded, checked by MD5 and unpacked by torchvision, never by us.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from swinablate.config.family import ImageSpec
from swinablate.data.dataset import Arrays, Dataset, Labels, Part, Parts, Pixels
from swinablate.data.image_files import fitted
from swinablate.errors import InputError

CHUNK = 256
"""Images in memory before they are written; torchvision hands them out one by one."""
TRAIN, TEST = ("train", "trainval"), ("test", "val", "valid")
"""Names that torchvision's classes use for a split; the first that a class knows is taken."""

Options = Mapping[str, Any]
BY_SPLIT: tuple[Options, Options] = ({"split": "train"}, {"split": "test"})
"""`options` of classes that tell training and test images apart by the name of a split."""


def torchvision_set(
    kind: str,
    *,
    image: ImageSpec,
    counts: tuple[int, int],
    by_hand: Callable[[Any, Path], str],
    options: tuple[Options, Options] = ({"train": True}, {"train": False}),
    names: tuple[str, ...] = (),
) -> Dataset:
    """A data set whose images torchvision holds as one array.

    Args:
        kind: the class in `torchvision.datasets`.
        image: the format of its images.
        counts: training and test images.
        by_hand: (the class, folder of raw files) -> how to place them without a network.
        options: what the class is called with, for training and for test images.
        names: of the classes, as torchvision has them.
    """

    def read(raw: Path, _image: ImageSpec) -> Arrays:
        train, test = (_array(_class(kind)(raw, download=True, **words)) for words in options)
        return Arrays(*train, *test)

    return Dataset(
        image=image,
        train=counts[0],
        test=counts[1],
        read=read,
        by_hand=lambda raw: by_hand(_class(kind), raw),
        names=names,
    )


def any_set(kind: str) -> Dataset:
    """Any other classification set of torchvision; the recipe gives the format.

    Images are cut to the format's proportions and scaled, one by one. The set's own test
    images are used, or its validation images where it has no others.
    """

    def read(raw: Path, image: ImageSpec) -> Parts:
        train, test = _split(kind, raw, TRAIN), _split(kind, raw, TEST)
        return Parts(
            Part(len(train), lambda: _items(train, image)),
            Part(len(test), lambda: _items(test, image)),
        )

    return Dataset(
        read=read,
        by_hand=lambda raw: f"see torchvision.datasets.{kind}; its files go to {raw}",
    )


def _class(kind: str) -> Any:
    from torchvision import datasets

    found = getattr(datasets, kind, None)
    if not inspect.isclass(found) or not issubclass(found, datasets.VisionDataset):
        raise InputError(
            f"torchvision has no data set {kind!r}",
            at="data.name",
            hint="see https://docs.pytorch.org/vision/stable/datasets.html",
        )
    return found


def _array(part: Any) -> tuple[Pixels, Labels]:
    """Images and classes, whichever way torchvision keeps them."""
    pixels = np.asarray(part.data)
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif pixels.shape[-1] == 3:
        pixels = pixels.transpose(0, 3, 1, 2)
    labels = part.labels if hasattr(part, "labels") else part.targets
    return pixels, np.asarray(labels).astype(np.int64)


def _split(kind: str, raw: Path, names: tuple[str, ...]) -> Any:
    cls = _class(kind)
    known = inspect.signature(cls).parameters
    words: dict[str, Any] = {"download": True} if "download" in known else {}
    if "train" in known:
        return cls(raw, train=names is TRAIN, **words)
    if "split" not in known:
        raise InputError(
            f"torchvision's {kind} has no test images of its own",
            at="data.name",
            hint='write a function that cuts it, and name that: name = "mypackage.data:load"',
        )
    for name in names:
        try:
            return cls(raw, split=name, **words)
        except ValueError as error:
            refusal = error
            # So torchvision's `verify_str_arg` refuses a name; the class may know the next one.
            if "Unknown value" not in str(error):
                raise
    raise refusal


def _items(part: Any, image: ImageSpec) -> Iterator[tuple[Pixels, Labels]]:
    for start in range(0, len(part), CHUNK):
        pairs = [part[i] for i in range(start, min(start + CHUNK, len(part)))]
        pixels = np.stack([fitted(picture, image) for picture, _ in pairs])
        yield pixels, np.array([int(label) for _, label in pairs], dtype=np.int64)


def mnist_by_hand(cls: Any, raw: Path) -> str:
    """Name the four files of MNIST or of a set in its format, and where they go."""
    urls = [cls.mirrors[0] + name for name, _ in cls.resources]
    names = [name.removesuffix(".gz") for name, _ in cls.resources]
    return (
        f"get {', '.join(urls)}; unpack them (gunzip) into {raw / cls.__name__ / 'raw'}, "
        f"which must then hold {', '.join(names)}"
    )


def cifar_by_hand(cls: Any, raw: Path) -> str:
    """Name the archive of CIFAR, and where it goes."""
    files = [name for name, _ in cls.train_list + cls.test_list]
    return _archive(cls, raw, [*files, cls.meta["filename"]])


def stl_by_hand(cls: Any, raw: Path) -> str:
    """Name the archive of STL-10, and where it goes."""
    return _archive(cls, raw, [name for name, _ in cls.train_list + cls.test_list])


def _archive(cls: Any, raw: Path, files: list[str]) -> str:
    return (
        f"get {cls.url}; unpack it (tar -xzf) in {raw}, which must then hold the folder "
        f"{cls.base_folder} with {', '.join(files)}"
    )


def files_by_hand(cls: Any, raw: Path) -> str:
    """Name the two files of SVHN or USPS, and where they go."""
    urls = [cls.split_list[split][0] for split in ("train", "test")]
    return f"get {' and '.join(urls)}, and put them into {raw} as they are"
