"""Layers that drop, in a stack of replicas: drawn outside as each would draw alone, then given.

Shapes: k replicas, b batch, c channels, h w pixels.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

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
    """A layer that drops, by its path, in the order in which the network calls them."""

    path: str
    layer: nn.Module
    shape: tuple[int, ...]

    def draw(self, ones: Tensor) -> Tensor:
        """The draws that the layer would make now, from torch's global generator.

        Args:
            ones: of `shape`, on the device that draws.

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


def find_drops(model: nn.Module, x: Float[Tensor, "b c h w"]) -> list[Drop]:
    """Run the network once, and note which layers drop, in which order and shape."""
    found: list[Drop] = []
    hooks = []
    for path, layer in model.named_modules():
        if isinstance(layer, DropPath) or (isinstance(layer, nn.Dropout) and layer.p > 0):
            # `path` as a default: the loop's own will have moved on when a hook is called.
            def note(
                module: nn.Module, args: tuple[Tensor, ...], _: Tensor, path: str = path
            ) -> None:
                found.append(Drop(path, module, tuple(args[0].shape)))

            hooks.append(layer.register_forward_hook(note))
    if hooks:
        kept = {name: value.clone() for name, value in model.state_dict().items()}
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            model.train()(x)
        model.load_state_dict(kept)  # batch statistics have moved
    for hook in hooks:
        hook.remove()
    return found
