"""Raw files read by what a data set is, and what they give checked against its description."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from swinablate.config.family import BYTE, ImageSpec
from swinablate.data.dataset import Arrays, Bytes, Dataset, Labels, Part, Parts, Pixels
from swinablate.data.image_files import channelled, scaled
from swinablate.errors import EnvironmentFault

FAULTS = (OSError, RuntimeError, TypeError, ValueError, AssertionError)
"""What reading raw files may raise; see `Dataset.read`."""
SILENCE_S = 60.0
"""A server that says nothing for so long is out of reach; one that sends slowly is waited for."""


@dataclass(frozen=True)
class Source:
    """Where images come from, for messages and checks.

    Attributes:
        name: of the data set.
        dataset: how to get them.
        image: their format.
        target: the format that they are scaled to; mostly the same.
        raw: the folder of raw files.
    """

    name: str
    dataset: Dataset
    image: ImageSpec
    target: ImageSpec
    raw: Path

    @property
    def remedy(self) -> str:
        """How to get the images without us."""
        return self.dataset.by_hand(self.raw)

    def parts(self) -> Parts:
        """Read the raw files, downloading them where needed."""
        try:
            with _impatient():
                found = self.dataset.read(self.raw, self.image)
            if isinstance(found, Parts):
                return found
            train, test = self.dataset.train, self.dataset.test
            self._check(found.train_pixels, found.train_labels, train or len(found.train_pixels))
            self._check(found.test_pixels, found.test_labels, test or len(found.test_pixels))
        except FAULTS as error:
            raise self._fault(error) from error
        return _parts(found)

    def chunks(self, part: Part) -> Iterator[tuple[Pixels, Labels]]:
        """Images and classes as they are made, each checked."""
        made = 0
        try:
            for pixels, labels in part.chunks():
                self._check(pixels, labels, len(pixels))
                made += len(pixels)
                yield self._turned(pixels), labels
            if made != part.n:
                raise ValueError(f"expected {part.n} images, found {made}")
        except FAULTS as error:
            raise self._fault(error) from error

    def _turned(self, pixels: Pixels) -> UInt8[Bytes, "n _ _ _"]:
        """Of another size and colour, where that is asked for."""
        image, target = self.image, self.target
        if (image.height, image.width) != (target.height, target.width):
            pixels = scaled(pixels, image, target)
        return pixels if image.channels == target.channels else channelled(pixels)

    def _check(self, pixels: NDArray[Any], labels: NDArray[Any], n: int) -> None:
        """Refuse images that are not what the description says."""
        image = self.image
        expected = (n, image.channels, image.height, image.width)
        if pixels.shape != expected or labels.shape != (n,):
            raise ValueError(
                f"expected images {expected} and {n} labels, "
                f"found {pixels.shape} and {labels.shape}"
            )
        if pixels.dtype != np.uint8 or not set(np.unique(labels)) <= set(range(image.classes)):
            raise ValueError(f"expected bytes and labels from 0 to {image.classes - 1}")
        if image.top < BYTE and pixels.size and (found := int(pixels.max())) > image.top:
            raise ValueError(f"expected pixels from 0 to {image.top}, found {found}")

    def _fault(self, error: BaseException) -> EnvironmentFault:
        reason = " ".join(str(error).split()) or type(error).__name__
        return EnvironmentFault(
            f"data set {self.name!r} could not be had: {reason}",
            at=str(self.raw),
            hint=self.remedy,
        )


def _parts(arrays: Arrays) -> Parts:
    """A data set in memory, as one that is read in a single piece."""
    train, test = arrays.train_pixels, arrays.test_pixels
    return Parts(
        Part(len(train), lambda: iter([(train, arrays.train_labels)])),
        Part(len(test), lambda: iter([(test, arrays.test_labels)])),
    )


@contextmanager
def _impatient() -> Iterator[None]:
    """Give up on a silent server; torchvision sets no time limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
