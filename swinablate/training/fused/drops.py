"""Layers that drop, in a stack of replicas: drawn outside as each would draw alone, then given.

Shapes: k replicas, b batch, c channels, h w pixels.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.models.build import copied
from swinablate.models.layers.block import DropPath


class Given(nn.Module):
    """Multiplies by a mask that was drawn outside; in the place of a drop layer.

    As that does, it leaves the format as it is: the factors of a drop path are rounded to it
    first, what a dropout gives is rounded once.
    """

    mask: Tensor

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.rounds_factors = isinstance(layer, DropPath)
        self.register_buffer("mask", torch.ones(()), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mask in training; pass in evaluation."""
        if not self.training:
            return x
        mask = self.mask.to(x.dtype) if self.rounds_factors else self.mask
        return (x * mask).to(x.dtype)


@dataclass(frozen=True)
class Drop:
    """A layer that drops, by its path, in the order in which the network calls them.

    Attributes:
        path: in the network.
        layer: itself.
        shape: of what it is given.
        strides: likewise; a dropout draws in the order in which the numbers lie in memory.
    """

    path: str
    layer: nn.Module
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def place(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What layers have in common whose draws are made of the same ones."""
        return self.shape, self.strides

    @property
    def moved(self) -> bool:
        """Whether the numbers lie in another order than that of their axes."""
        return not isinstance(self.layer, DropPath) and not self.ones("meta").is_contiguous()

    def ones(self, device: torch.device | str) -> Tensor:
        """What `draw` takes."""
        return torch.empty_strided(self.shape, self.strides, device=device).fill_(1.0)

    def draw(self, ones: Tensor) -> Tensor:
        """The draws that the layer would make now, from torch's global generator.

        Args:
            ones: as `ones` gives them, on the device that draws.

        Returns:
            A mask; of a drop path the numbers it comes from, one an image.
        """
        if isinstance(self.layer, DropPath):
            return torch.rand(len(ones), device=ones.device)
        mask: Tensor = self.layer.train()(ones)
        return mask

    def masks(self, drawn: Float[Tensor, "k ..."]) -> Float[Tensor, "k ..."]:
        """What every replica multiplies by, from the draws of all."""
        if not isinstance(self.layer, DropPath):
            return drawn
        masks = self.layer.mask(drawn)
        return masks.view(*masks.shape, *[1] * (len(self.shape) - 1))


def made_anew(model: nn.Module, x: Float[Tensor, "b c h w"]) -> str:
    """The name of a buffer that a network replaces when it is called; empty where it does not.

    In a stack it would stay what it was: what changes in place is all that is kept.

    Args:
        model: is not changed.
        x: any images.
    """
    model = copied(model)
    before = dict(model.named_buffers())
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        model.train()(x.clone())
        model.eval()(x.clone())
    after = dict(model.named_buffers())
    moved = (name for name in before | after if before.get(name) is not after.get(name))
    return next(moved, "")


def find_drops(
    model: nn.Module, x: Float[Tensor, "b c h w"], layout: torch.memory_format
) -> list[Drop]:
    """Run the network once, and note which layers drop, in which order and shape.

    Args:
        model: is not changed.
        x: any images.
        layout: how images and kernels lie in memory where it trains alone.
    """
    found: list[Drop] = []
    hooks = []
    if not any(isinstance(layer, DropPath | nn.Dropout) for layer in model.modules()):
        return found
    model = copied(model).to(memory_format=layout)
    for path, layer in model.named_modules():
        if isinstance(layer, DropPath) or (isinstance(layer, nn.Dropout) and layer.p > 0):
            # `path` as a default: the loop's own will have moved on when a hook is called.
            def note(
                module: nn.Module, args: tuple[Tensor, ...], _: Tensor, path: str = path
            ) -> None:
                strides = torch.empty_like(args[0]).stride()  # of its own: not those of a part
                found.append(Drop(path, module, tuple(args[0].shape), strides))

            hooks.append(layer.register_forward_hook(note))
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        model.train()(x.contiguous(memory_format=layout))
    for hook in hooks:  # the layers are asked for their draws
        hook.remove()
    return found
