"""Holes in images and mixtures of two: cutout, random erasing, mixup, cutmix.

All act on normalised images; what is cut out becomes 0, which is the mean colour under
`data.normalisation = "dataset"`, mid-grey under "half" and black under "none".

Shapes: b images, c channels, h w pixels, k classes.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from swinablate.data.augment.rectangle import Rectangles
from swinablate.data.rng import Chance, Source, generators, normal, uniform, whole

ERASED = Rectangles(area=(0.02, 0.33), aspect=(0.3, 3.3), least=0, spare=1)
"""torchvision's defaults, see `Erase`; there too a rectangle as wide as the image does not fit."""


@dataclass(frozen=True)
class Cutout:
    """One square hole in each image, centred on any of its pixels (DeVries 2017, sec. 3).

    As in the authors' code (`util/cutout.py`), a square that sticks out is cut off.
    """

    side: int

    def __call__(self, x: Float[Tensor, "b c h w"], chance: Chance) -> Float[Tensor, "b c h w"]:
        """Cut, in place."""
        generator, (b, _, h, w) = chance("cutout"), x.shape
        row = whole(generator, h, (b,)) - self.side // 2
        column = whole(generator, w, (b,)) - self.side // 2
        hole = torch.stack((row, row + self.side, column, column + self.side))
        return x.mul_(outside(hole.to(x.device, non_blocking=True), h, w))


@dataclass(frozen=True)
class Erase:
    """One rectangle in some images, of random area and shape (Zhong 2020, alg. 1).

    Area 2 to 33 %, height to width 0.3 to 3.3, up to ten tries: the defaults of torchvision
    (`transforms.RandomErasing`) and of the paper but for its aspect, whose logarithm is
    uniform here as it is there.

    Attributes:
        share: of the images, on average.
        noise: fill with Gaussian noise instead of 0, as Swin's recipe does; drawn for the pixels
            of the rectangles alone.
    """

    share: float
    noise: bool

    def __call__(self, x: Float[Tensor, "b c h w"], chance: Chance) -> Float[Tensor, "b c h w"]:
        """Erase, in place."""
        generator, (b, c, h, w) = chance("erase"), x.shape
        hit = uniform(generator, (b,)) < self.share
        hole, fits = ERASED.draw(b, h, w, generator)
        edges = torch.where(hit & fits, hole, 0.0).long()
        if not self.noise:
            return x.mul_(outside(edges.to(x.device, non_blocking=True), h, w))
        areas = (edges[1] - edges[0]) * (edges[3] - edges[2])
        counts = areas.view(len(generators(generator)), -1).sum(1).tolist()
        noise = normal(generator, [c * count for count in counts])
        held = torch.cat((edges, areas[None])).to(x.device, non_blocking=True)
        place = inside(held, sum(counts), h, w)
        place = (place // (h * w) * (c * h * w) + place % (h * w))[:, None]
        place = place + h * w * torch.arange(c, device=x.device)
        x.view(-1)[place.view(-1)] = noise.to(x.device, non_blocking=True)
        return x


@dataclass(frozen=True)
class Mixing:
    """Each image with the one before it in the batch, whose order is random.

    Mixup (Zhang 2018, eq. 1) adds them up in proportions lambda and 1 - lambda, lambda from
    Beta(alpha, alpha); cutmix (Yun 2019, sec. 3.1) puts a rectangle of the other one in, of
    area 1 - lambda where it does not stick out, and counts what is seen. Unlike in the
    authors' code, which draws once a batch, every image has its own draws. With both on,
    each image gets one of them, by the toss of a coin (as in timm and Swin's recipe).

    Attributes:
        mixup, cutmix: alpha; 0 is off, and one of them is on.
        share: of the images that are mixed, on average.
        classes: how many there are.
    """

    mixup: float
    cutmix: float
    share: float
    classes: int

    def __call__(
        self, x: Float[Tensor, "b c h w"], labels: Int[Tensor, " b"], chance: Chance
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b {self.classes}"]]:
        """Mix images, and their classes in the same proportions."""
        (b, _, h, w), device = x.shape, x.device
        source = chance("mix")
        added, hole = self.draw(b, h, w, source)
        seen = (hole[1] - hole[0]) * (hole[3] - hole[2])
        ours = (added * (1.0 - seen / (h * w))).float().to(device, non_blocking=True)
        kept = added.float().to(device, non_blocking=True)[:, None, None, None]
        if self.cutmix:
            kept = kept * outside(hole.to(device, non_blocking=True), h, w)
        own = F.one_hot(labels, self.classes).float()
        runs = len(generators(source))
        others, theirs = (before(part, runs) for part in (x, own))
        return others.lerp_(x, kept), torch.lerp(theirs, own, ours[:, None])

    def draw(
        self, b: int, h: int, w: int, generator: Source
    ) -> tuple[Float[Tensor, " {b}"], Int[Tensor, "4 {b}"]]:
        """Share of the image itself in each sum, and the rectangle of the other one.

        Exactly one of them acts on an image that is mixed: the share is 1 where there is a
        rectangle, and the rectangle empty where there is a sum.
        """
        coin = uniform(generator, (2, b), images=1, dtype=torch.float64)
        row = whole(generator, h, (b,))
        column = whole(generator, w, (b,))
        # torch draws from Beta with its global generator only.
        seeds = [one.initial_seed() for one in generators(generator)]
        chances = [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]
        adding, cutting = (
            torch.from_numpy(
                np.concatenate([c.beta(alpha, alpha, b // len(seeds)) for c in chances])
            )
            for alpha in (self.mixup or 1.0, self.cutmix or 1.0)
        )
        mixed = coin[0] < self.share
        adds = mixed & (coin[1] < 0.5 if self.cutmix else True) & bool(self.mixup)
        cuts = mixed & ~adds
        side = torch.where(cuts, (1.0 - cutting).sqrt(), 0.0)
        tall, wide = (h * side).long(), (w * side).long()
        top, left = row - tall // 2, column - wide // 2
        hole = torch.stack(
            (
                top.clamp(min=0),
                (top + tall).clamp(max=h),
                left.clamp(min=0),
                (left + wide).clamp(max=w),
            )
        )
        return torch.where(adds, adding, 1.0), hole


def before(x: Float[Tensor, "b ..."], runs: int) -> Float[Tensor, "b ..."]:
    """Each image's predecessor in its run's batch; that of the first is the last."""
    own = x.view(runs, len(x) // runs, *x.shape[1:])
    return torch.cat((own[:, -1:], own[:, :-1]), 1).flatten(0, 1)


def outside(edges: Int[Tensor, "4 b"], h: int, w: int) -> Float[Tensor, "b 1 {h} {w}"]:
    """0 inside each image's rectangle, else 1: from top to bottom, left to right, ends out.

    Numbers, because on a CPU a product is several times as fast as a choice by a mask;
    `lerp` by them takes each pixel from one image or the other, unchanged.
    """
    top, bottom, left, right = edges[:, :, None]
    row, column = torch.arange(h, device=edges.device), torch.arange(w, device=edges.device)
    rows, columns = (row >= top) & (row < bottom), (column >= left) & (column < right)
    inside: Tensor = rows[:, None, :, None].float() * columns[:, None, None, :].float()
    return 1.0 - inside


def inside(holes: Int[Tensor, "5 b"], count: int, h: int, w: int) -> Int[Tensor, " {count}"]:
    """Places of all pixels inside the images' rectangles, one image after the other, row by row.

    Args:
        holes: edges as in `outside`, and areas.
        count: the sum of the areas; given, so that nothing waits for the device.
        h: height of the images.
        w: width of the images.
    """
    areas, device = holes[4], holes.device
    image = torch.arange(len(areas), device=device)
    image = image.repeat_interleave(areas, output_size=count)
    top, _, left, right, _ = holes[:, image]
    rank = torch.arange(count, device=device) - (areas.cumsum(0) - areas)[image]
    wide = right - left
    row, column = top + rank // wide, left + rank % wide
    place: Tensor = image * (h * w) + row * w + column
    return place
