"""The training batches of several runs, cut and changed as if they were one run's.

One gather and one call of every change serve all of them. Only the draws are each run's own, so
that every run sees what it sees alone, bit for bit.

Shapes: k runs, b images in a batch of each, c channels, h w pixels, n images
of all runs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int, Real
from torch import Tensor

from swinablate.data import Augment, Images, epoch_order, of_runs, of_step, raw_batches

Batches = Iterator[tuple[Float[Tensor, "k b c h w"], Tensor]]
"""Images, and their classes (k b) or the share of each class (k b classes)."""


@dataclass(frozen=True, kw_only=True)
class Feed:
    """Where the batches come from.

    Attributes:
        images: of all runs; each has a normalisation of its own.
        firsts: where each run's images start in `images`.
        count: training images of each.
        scale, shift: the runs' normalisations.
        seeds: of the runs.
        stream: of all.
        size: images in a batch of each.
        augment: the recipe's random changes.
    """

    images: Images
    firsts: tuple[int, ...]
    count: int
    scale: Float[Tensor, "k 1 c 1 1"]
    shift: Float[Tensor, "k 1 c 1 1"]
    seeds: tuple[int, ...]
    stream: str
    size: int
    augment: Augment

    def batches(self, epoch: int, first: int) -> Batches:
        """The batches of an epoch.

        Args:
            epoch: from 0.
            first: batches to skip.
        """
        steps = self.count // self.size
        orders = torch.stack([
            start + self.order(start, seed, epoch)[: steps * self.size]
            for start, seed in zip(self.firsts, self.seeds, strict=True)
        ])  # fmt: skip
        # Batch after batch, and in each run after run.
        order = orders.view(len(orders), steps, self.size).transpose(0, 1).flatten()
        raws = raw_batches(self.images, order, len(orders) * self.size, first)
        for step, (pixels, labels) in enumerate(raws, first):
            chance = of_runs([of_step(seed, self.stream, epoch, step) for seed in self.seeds])
            x, y = self.augment(pixels, labels, self.normalised, chance)
            shape = (len(orders), self.size)
            yield x.view(*shape, *x.shape[1:]), y.view(*shape, *y.shape[1:])

    def order(self, start: int, seed: int, epoch: int) -> Int[Tensor, " n"]:
        """The order of a run's images, whose first one is at `start`."""
        labels = self.images.shared
        own = None if labels is None else labels[start : start + self.count]
        return epoch_order(self.count, seed, self.stream, epoch, own)

    def normalised(self, pixels: Real[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Raw images, as each run's network takes them; floats are overwritten."""
        x = pixels.float().view(len(self.seeds), self.size, *pixels.shape[1:])
        return x.mul_(self.scale).add_(self.shift).flatten(0, 1)


def make_feed(
    images: Sequence[Images], seeds: Sequence[int], stream: str, batch: int, augment: Augment
) -> Feed:
    """The batches of several runs.

    Args:
        images: each run's, all of the same pixels and as many; the same ones for all, unless
            every run has a split of its own.
        seeds: of the runs.
        stream: of their recipe.
        batch: images in a batch of each, if there are so many.
        augment: the recipe's random changes.
    """
    first, count = images[0], len(images[0])
    same = all(one is first for one in images)
    if not same:
        rows = torch.cat([one.rows for one in images])
        first = replace(first, rows=rows, labels=torch.cat([one.labels for one in images]))
    return Feed(
        images=first,
        firsts=tuple(0 if same else k * count for k in range(len(images))),
        count=count,
        scale=torch.stack([one.scale for one in images])[:, None],
        shift=torch.stack([one.shift for one in images])[:, None],
        seeds=tuple(seeds),
        stream=stream,
        size=min(batch, count),
        augment=augment,
    )
