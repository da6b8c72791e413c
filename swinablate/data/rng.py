"""Where the draws of one training step come from."""

from collections.abc import Callable

import torch

from swinablate.config.recipe import derive

Chance = Callable[[str], torch.Generator]
"""Name of a kind of draws -> its generator in this step.

Each kind draws from a generator of its own, so switching one on or off leaves the draws of
all others alone: two arms that differ in cutout see the same crops. Generators are on the
CPU, whatever the device: a recipe means the same augmentation everywhere."""


def of_step(seed: int, stream: str, epoch: int, step: int) -> Chance:
    """The draws of one step: a function of these four, not of any step before."""

    def generator(kind: str) -> torch.Generator:
        return torch.Generator().manual_seed(derive(seed, stream, kind, epoch, step))

    return generator
