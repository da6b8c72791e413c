"""Handwritten digits, 8x8 (Alpaydin and Kaynak, 1998; scikit-learn's `load_digits`).

The test set is 540 of the 1797 images, stratified and drawn once. Writers are not told apart
in this data, so the same hand may be in both parts.
"""

from pathlib import Path

import numpy as np

from swinablate.config.family import ImageSpec
from swinablate.data.dataset import Arrays, Dataset, draws, stratified_order

TEST = 540
"""Three tenths of all images; the other 1257 are for training and validation."""


def read(_raw: Path, _image: ImageSpec) -> Arrays:
    """Cut scikit-learn's copy into test images and the others. Pixels are 0 to 16."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    pixels = pixels.astype(np.uint8).reshape(-1, 1, 8, 8)
    labels = labels.astype(np.int64)
    order = stratified_order(labels, draws(len(labels), "digits", "test"))
    test, train = np.sort(order[:TEST]), np.sort(order[TEST:])
    return Arrays(pixels[train], labels[train], pixels[test], labels[test])


DATASET = Dataset(
    image=ImageSpec(height=8, width=8, channels=1, classes=10, top=16),
    train=1257,
    test=TEST,
    read=read,
    by_hand=lambda _raw: "the images come with scikit-learn: install it again",
)
