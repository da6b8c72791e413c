"""What a difference says about images that nobody has tested.

The interval over seeds answers "trained again, on this test set". For "on other images like
these" the draw of the test images has to be added, from which images each model gets right.

Source: the crossed random effects of seeds and images, as in Bates et al., J. Stat. Softw. 67
(2015), by the method of moments.

Shapes: n seeds, i test images.
"""

import base64
import binascii
from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from swinablate.errors import InputError
from swinablate.stats.critical import bonferroni

Right = NDArray[np.bool_]


def unpack(texts: Sequence[str], images: int) -> Right:
    """Read packed answers: (n, i), true where the image was classified correctly.

    Args:
        texts: base64 of `numpy.packbits`, one a seed.
        images: size of the test set.

    Raises:
        InputError: a text that is none, or of another test set.
    """
    rows = []
    for text in texts:
        try:
            packed = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
        except (binascii.Error, ValueError) as error:
            raise InputError(f"unreadable answers: {text[:20]!r}") from error
        if len(packed) != ceil(images / 8):
            raise InputError(f"answers to {8 * len(packed)} images where {images} were asked")
        rows.append(np.unpackbits(packed, count=images).astype(bool))
    return np.array(rows)


def covers(texts: Sequence[str], images: int) -> bool:
    """Whether every seed has answers, to a test set of this size."""
    size = 4 * ceil(ceil(images / 8) / 3)  # base64 writes 3 bytes as 4 characters
    return all(len(text) == size for text in texts)


def new_images(
    arm: Right, baseline: Right, se: float, df: float, *, comparisons: int, alpha: float
) -> float:
    """Return the half-width of the interval for other images of the same kind, in points.

    Args:
        arm: (n, i) answers of the arm's seeds.
        baseline: (n_0, i) answers of the baseline's.
        se: standard error of the difference over seeds, in points.
        df: its degrees of freedom.
        comparisons: how many share the error rate.
        alpha: error rate of all of them.
    """
    images = arm.shape[1]
    gap = 100 * (arm.mean(axis=0) - baseline.mean(axis=0))
    between = float(gap.var(ddof=1)) / images
    # The mean answer to one image is itself noisy over seeds; `se` counts that already.
    twice = sum(_noise(right) for right in (arm, baseline)) / images
    # By the method of moments the sum can fall below its parts, which no variance does.
    variance = max(se**2 + between - twice, se**2, between)
    freedom = variance**2 / (se**4 / df + between**2 / (images - 1))
    half: float = float(bonferroni(comparisons, freedom, alpha)) * float(variance) ** 0.5
    return half


def _noise(right: Right) -> float:
    """Variance over seeds of the mean answer to one image, averaged over images."""
    return 100.0**2 * float(right.var(axis=0, ddof=1).mean()) / len(right)
