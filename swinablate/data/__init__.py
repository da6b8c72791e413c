"""Images: what a recipe's data set is, getting it, splitting it, and batches of it.

`image_spec` and `describe` need no data and serve `plan`. `prepare` runs once, in the
coordinator. `load` and the batches run in workers and import torch, not torchvision.
"""

from swinablate.data.batches import batch, epoch_order, eval_batches
from swinablate.data.catalog import Sizes, describe, image_spec
from swinablate.data.splits import Images, Splits, load
from swinablate.data.store import Prepared, prepare

__all__ = [
    "Images",
    "Prepared",
    "Sizes",
    "Splits",
    "batch",
    "describe",
    "epoch_order",
    "eval_batches",
    "image_spec",
    "load",
    "prepare",
]
