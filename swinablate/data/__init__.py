"""Images: what a recipe's data set is, getting it, splitting it, and batches of it.

`image_spec` and `describe` need no data and serve `plan`. `prepare` runs once, in the
coordinator. `load` and the batches run in workers and import torch, not torchvision.
"""

from swinablate.data.augment.pipeline import Augment, augmentation
from swinablate.data.batches import (
    EVAL_BATCH,
    batch,
    epoch_order,
    eval_batches,
    eval_size,
    train_batches,
)
from swinablate.data.facts import notices
from swinablate.data.loader import raw_batches
from swinablate.data.prepared import (
    Prepared,
    check_sizes,
    known,
    opened,
    prepare,
    prepare_own,
    source,
)
from swinablate.data.registry import (
    Sizes,
    class_names,
    completed,
    describe,
    image_spec,
    resolved_data,
    unread_data,
)
from swinablate.data.revisions import acting, revised_batch, revisions
from swinablate.data.rng import Chance, of_runs, of_step
from swinablate.data.splits import Images, Splits, load_splits, per_class

__all__ = [
    "EVAL_BATCH",
    "Augment",
    "Chance",
    "Images",
    "Prepared",
    "Sizes",
    "Splits",
    "acting",
    "augmentation",
    "batch",
    "check_sizes",
    "class_names",
    "completed",
    "describe",
    "epoch_order",
    "eval_batches",
    "eval_size",
    "image_spec",
    "known",
    "load_splits",
    "notices",
    "of_runs",
    "of_step",
    "opened",
    "per_class",
    "prepare",
    "prepare_own",
    "raw_batches",
    "resolved_data",
    "revised_batch",
    "revisions",
    "source",
    "train_batches",
    "unread_data",
]
