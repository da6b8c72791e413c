"""Images: what a recipe's data set is, getting it, splitting it, and batches of it.

`image_spec` and `describe` need no data and serve `plan`. `prepare` runs once, in the
coordinator. `load` and the batches run in workers and import torch, not torchvision.
"""

from swinablate.data.augment import Augment, augmentation
from swinablate.data.batches import batch, epoch_order, eval_batches
from swinablate.data.catalog import Sizes, describe, image_spec, resolved
from swinablate.data.chance import Chance, of_step
from swinablate.data.feed import raw_batches
from swinablate.data.splits import Images, Splits, load
from swinablate.data.store import Prepared, check_sizes, prepare, source

__all__ = [
    "Augment",
    "Chance",
    "Images",
    "Prepared",
    "Sizes",
    "Splits",
    "augmentation",
    "batch",
    "check_sizes",
    "describe",
    "epoch_order",
    "eval_batches",
    "image_spec",
    "load",
    "of_step",
    "prepare",
    "raw_batches",
    "resolved",
    "source",
]
