"""Where the draws of one training step come from."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from swinablate.config.recipe import derive

Source = torch.Generator | tuple[torch.Generator, ...]
"""A generator; or those of several runs, whose images lie one run after the other, as many of
each. Every run's draws are then those that it has alone."""
Chance = Callable[[str], Source]
"""Name of a kind of draws -> its source in this step.

Each kind draws from a generator of its own, so switching one on or off leaves the draws of
all others alone: two arms that differ in cutout see the same crops. Generators are on the
CPU, whatever the device: a recipe means the same augmentation everywhere."""


def of_step(seed: int, stream: str, epoch: int, step: int) -> Callable[[str], torch.Generator]:
    """The draws of one step: a function of these four, not of any step before."""

    def generator(kind: str) -> torch.Generator:
        return torch.Generator().manual_seed(derive(seed, stream, kind, epoch, step))

    return generator


def of_runs(own: Sequence[Callable[[str], torch.Generator]]) -> Chance:
    """The draws of a step of several runs, from those of each."""
    return lambda kind: tuple(generator(kind) for generator in own)


def generators(source: Source) -> tuple[torch.Generator, ...]:
    """Of every run."""
    return (source,) if isinstance(source, torch.Generator) else source


def uniform(
    source: Source, shape: Sequence[int], images: int = 0, dtype: torch.dtype | None = None
) -> Tensor:
    """Numbers from 0 to 1.

    Args:
        source: what draws them.
        shape: how many.
        images: the dimension of `shape` along which the images lie.
        dtype: torch's default if None.
    """
    return _drawn(
        source, shape, images, lambda part, g: torch.rand(part, generator=g, dtype=dtype)
    )


def whole(source: Source, end: int, shape: Sequence[int], images: int = 0) -> Tensor:
    """Whole numbers from 0 to `end`, which is left out; the rest as in `uniform`."""
    return _drawn(source, shape, images, lambda part, g: torch.randint(end, part, generator=g))


def normal(source: Source, counts: Sequence[int]) -> Tensor:
    """Numbers of a Gaussian, mean 0 and variance 1, in one row.

    Args:
        source: what draws them.
        counts: how many each run draws.
    """
    pairs = zip(generators(source), counts, strict=True)
    parts = [torch.empty(count).normal_(generator=generator) for generator, count in pairs]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _drawn(
    source: Source,
    shape: Sequence[int],
    images: int,
    draw: Callable[[list[int], torch.Generator], Tensor],
) -> Tensor:
    every, part = generators(source), list(shape)
    part[images] //= len(every)
    parts = [draw(part, generator) for generator in every]
    return parts[0] if len(parts) == 1 else torch.cat(parts, images)
