"""One trial on several devices: each process has the whole network and a part of every batch.

Li et al. 2020, "PyTorch Distributed: Experiences on Accelerating Data Parallel Training",
arXiv:2006.15704; torch's DistributedDataParallel averages the gradients. Every process draws the
whole batch and augments it, so that an image is what it would be on one device, then takes its
part. Statistics of batch norm are of a process's own part, and the first one's are kept.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

if TYPE_CHECKING:
    from jaxtyping import Float, Int

PATIENCE = timedelta(hours=12)
"""How long a process waits for the others: the first one judges test images alone, and one that
has ended is noticed by whoever started it, not by this."""


@dataclass(frozen=True)
class Ranks:
    """One of the processes that train a network together.

    Attributes:
        rank: which; the first, 0, looks at test images, reports and writes checkpoints.
        world: how many there are.
    """

    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0

    def join(self, device: torch.device, meeting: str) -> None:
        """Wait for the others.

        Args:
            device: this process's own.
            meeting: a path on this machine where no file is yet.
        """
        if device.type == "cuda":
            torch.cuda.set_device(device)
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            init_method=f"file://{meeting}",
            rank=self.rank,
            world_size=self.world,
            timeout=PATIENCE,
        )

    @staticmethod
    def leave() -> None:
        """Let go of the others."""
        if dist.is_initialized():
            dist.destroy_process_group()

    def wrap(self, model: nn.Module) -> nn.Module:
        """The network as training calls it: with gradients that are means over all processes."""
        if self.world == 1:
            return model
        return DistributedDataParallel(model)

    def part(self, values: Tensor) -> Tensor:
        """This process's own images of a batch, or what they show."""
        return values if self.world == 1 else values.tensor_split(self.world)[self.rank]

    def share(self, images: int, size: int) -> Int[Tensor, " n"]:
        """Which of some images this process judges: every so-manieth batch of a size.

        Batches stay whole, so that each is what it would be on one device.
        """
        places = torch.arange(images)
        return places[places // size % self.world == self.rank]

    def agree(self, model: nn.Module) -> None:
        """Give all the first one's own part of a network, such as statistics of batch norm."""
        for buffer in model.buffers() if self.world > 1 else ():
            dist.broadcast(buffer, 0)

    def total(self, found: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
        """The sum of what every process says; other memory."""
        if self.world == 1:
            return found
        summed = found.clone()
        dist.all_reduce(summed)
        return summed

    def wait(self) -> None:
        """Until every process is here."""
        if self.world > 1:
            dist.barrier()


ALONE = Ranks()


def unshared(forward: object, *, last: bool) -> AbstractContextManager[None]:
    """Keep gradients to oneself in every part of a batch but the last."""
    if last or not isinstance(forward, DistributedDataParallel):
        return nullcontext()
    found: AbstractContextManager[None] = forward.no_sync()
    return found
