"""Marks in 16x16 images; in which direction does the cross see the plus?

A positive control. An image is four blocks of 8x8 pixels, a block four cells of 4x4. A cross
stands in one block and a plus in a neighbouring one, 8 pixels to the right, to the left,
below or above: the four classes, chance 25 %. Both stand in the same cell of their blocks;
rings and corners stand in any cell of the other two blocks; noise is everywhere. All that is
drawn is drawn independently of the class. Therefore

- the contents of the four blocks, as a set, say nothing about the class: a network that mixes
  no blocks and does not know which is which (Swin with patch 4 and window 2 in one stage, and
  no shift) answers at chance, whatever its weights;
- the contents of the sixteen cells, as a set, say nothing either, and mirroring their places
  turns one class into another: so does that Swin without position bias, and a ViT that knows
  no positions, answer at chance.
"""

from pathlib import Path

import numpy as np

from swinablate.config.family import ImageSpec
from swinablate.data.dataset import Arrays, Dataset, Labels, Pixels, draws, made_here

TRAIN, TEST = 3000, 1000
"""Multiples of the four classes; of 1000 test images, chance is 25 % give or take 1.4 points."""
SIDE, BLOCK, CELL, MARK = 16, 8, 4, 3  # pixels
NOISE = 40  # largest grey value of the background
CROSS, PLUS, RING, CORNER = range(4)
MARKS = np.array(
    [
        [[1, 0, 1], [0, 1, 0], [1, 0, 1]],
        [[0, 1, 0], [1, 1, 1], [0, 1, 0]],
        [[1, 1, 1], [1, 0, 1], [1, 1, 1]],
        [[1, 1, 0], [1, 0, 0], [0, 0, 0]],
    ],
    dtype=np.uint8,
)
"""By the names above, drawn where a number is 1."""
BLOCKS = np.array(  # class, one of two places -> block of cross, plus, distractor, distractor
    [
        [[0, 1, 2, 3], [2, 3, 0, 1]],  # right
        [[1, 0, 2, 3], [3, 2, 0, 1]],  # left
        [[0, 2, 1, 3], [1, 3, 0, 2]],  # below
        [[2, 0, 1, 3], [3, 1, 0, 2]],  # above
    ]
)


def read(_raw: Path, _image: ImageSpec) -> Arrays:
    """Draw the images; the same ones for ever."""
    return Arrays(*_part("train", TRAIN), *_part("test", TEST))


def _part(part: str, n: int) -> tuple[Pixels, Labels]:
    grey = draws(n * SIDE * SIDE, "shapes", part, "noise") % np.uint64(NOISE + 1)
    pixels = grey.astype(np.uint8).reshape(n, 1, SIDE, SIDE)
    labels = np.arange(n, dtype=np.int64) % 4
    place = BLOCKS[labels, _choice(part, "place", n, 2)]  # n 4
    pair = _choice(part, "cell", n, 4)
    for i, kind in enumerate(("cross", "plus", "first", "second")):
        cell = pair if i < 2 else _choice(part, f"{kind} cell", n, 4)
        mark = np.full(n, i) if i < 2 else RING + _choice(part, f"{kind} mark", n, 2)
        top, left = BLOCK * (place[:, i] // 2) + CELL * (cell // 2), BLOCK * (place[:, i] % 2)
        rows = top[:, None, None] + np.arange(MARK)[:, None]
        columns = (left + CELL * (cell % 2))[:, None, None] + np.arange(MARK)
        pixels[np.arange(n)[:, None, None], 0, rows, columns] += MARKS[mark] * (255 - NOISE)
    return pixels, labels


def _choice(part: str, what: str, n: int, options: int) -> Labels:
    return (draws(n, "shapes", part, what) % np.uint64(options)).astype(np.int64)


DATASET = Dataset(
    image=ImageSpec(height=SIDE, width=SIDE, channels=1, classes=4),
    train=TRAIN,
    test=TEST,
    read=read,
    by_hand=made_here,
)
