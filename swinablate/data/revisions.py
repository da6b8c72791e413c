"""Meanings of a recipe's data that were mended, and which recipes they concern.

A recipe that uses one has other trial ids than before; all others keep theirs, and their bits.
"""

import functools
from collections.abc import Mapping
from types import MappingProxyType

from swinablate.config.data import DataConfig
from swinablate.config.family import BYTE
from swinablate.config.recipe import Recipe
from swinablate.config.train import TrainConfig
from swinablate.data.augment.pipeline import MARGIN, margin, on_bytes
from swinablate.data.registry import describe, image_spec

RANGE = 2
"""1 took pixels of any range for 0 to 255: digits, which are 0 to 16, were nearly black."""
EIGHTH = 2
"""1 shifted images of any size by up to 4 pixels: half the side of digits."""
ERASED_ONLY = 2
"""1 drew noise for every pixel of a batch, 2 draws it for those that are erased."""
WHOLE_SET = 2
"""1 scaled the rate by a batch of more images than there are to train on, which no step has."""


KNOWN = 500
"""Recipes' data that a process remembers: every trial of a study asks, and has one of a few."""


@functools.lru_cache(KNOWN)
def revisions(config: DataConfig) -> Mapping[str, int]:
    """Field -> revision of its meaning, of the mended ones that a recipe uses.

    Raises:
        InputError: no data set has that name.
        ValueError: see `image_spec`.
    """
    image = image_spec(config)
    found: dict[str, int] = {}
    if image.top < BYTE:
        scaled = () if config.normalisation == "dataset" else ("normalisation",)
        found |= {f"data.{name}": RANGE for name in (*scaled, *on_bytes(config))}
    if config.crop_margin == "eighth" and 0 < margin(config, image) < MARGIN:
        found["data.augment"] = EIGHTH
    if config.erase and config.erase_fill == "noise":
        found["data.erase_fill"] = ERASED_ONLY
    return MappingProxyType(found)


def acting(recipe: Recipe) -> TrainConfig:
    """A recipe's training with the batch that its steps have.

    As it is written where the number of images is known only when they are read: `check_sizes`
    then sees to it that the batch is one of them.
    """
    sizes = describe(recipe.data)
    return recipe.train.of_images(sizes.train) if sizes else recipe.train


def revised_batch(recipe: Recipe) -> Mapping[str, int]:
    """Field -> revision of its meaning, if the rate follows a batch that is cut to the images."""
    train = recipe.train
    cut = train.lr_scale != "none" and acting(recipe).batch < train.batch
    return {"train.lr_scale": WHOLE_SET} if cut else {}
