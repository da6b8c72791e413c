"""How a mixer of tokens and a mixer of channels make a residual block.

Shapes: b batch, c channels, `*tokens` any token layout.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.models.layers.init import GeneratorFor, Initialised, Started, draw
from swinablate.models.layers.norm import BlockNorm, Norm, make_norm, of_channels, of_tokens

Place = Literal["pre", "post", "res_post", "sandwich"]


class DropPath(nn.Module):
    """Skip a branch for random images, so that its expectation stays.

    Draws from torch's global generator, which training seeds for every step.
    Source: Huang et al. 2016, arXiv:1603.09382.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Float[Tensor, "b *tokens c"]) -> Float[Tensor, "b *tokens c"]:
        """Drop whole images in training; pass in evaluation."""
        if not self.training:
            return x
        draws = torch.rand([x.shape[0]] + [1] * (x.ndim - 1), device=x.device)
        return x * self.mask(draws, x.dtype)

    def mask(
        self, draws: Float[Tensor, "..."], dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "..."]:
        """0 for a branch that is skipped, else what keeps the expectation."""
        keep = 1 - self.rate
        return (draws < keep).to(dtype).div(keep)


class LayerScale(Started):
    """Scale each channel of a branch, from `start`. Source: CaiT, arXiv:2103.17239, sec. 2."""

    def __init__(self, width: int, start: float) -> None:
        super().__init__()
        self.start = {"scale": start}
        self.scale = nn.Parameter(torch.full((width,), start))

    def forward(self, x: Float[Tensor, "b *tokens c"]) -> Float[Tensor, "b *tokens c"]:
        """Scale."""
        return x * self.scale


def branch_end(width: int, layer_scale: float, drop_path: float) -> nn.Module:
    """What a branch goes through before it is added; 0 is off."""
    ends: list[nn.Module] = [LayerScale(width, layer_scale)] if layer_scale else []
    return nn.Sequential(*ends, *([DropPath(drop_path)] if drop_path else []))


def branch_ends(width: int, layer_scale: float, drop_path: float) -> tuple[nn.Module, nn.Module]:
    """The same for both branches of a block."""
    return branch_end(width, layer_scale, drop_path), branch_end(width, layer_scale, drop_path)


def drop_rates(last: float, blocks: int) -> list[float]:
    """Rates that rise linearly from 0 to `last` over all blocks; one block drops nothing."""
    return [last * i / max(1, blocks - 1) for i in range(blocks)]


class Block(nn.Module):
    """x + f(norm(x)), for tokens and then for channels. Source: Swin eq. 3; ViT eq. 2, 3.

    Args:
        width: channels.
        attention: mixes tokens.
        mlp: mixes channels.
        norm: the kind of both norms.
        ends: what each branch goes through before it is added.
    """

    def __init__(
        self,
        width: int,
        attention: nn.Module,
        mlp: nn.Module,
        norm: BlockNorm,
        ends: tuple[nn.Module, nn.Module],
    ) -> None:
        super().__init__()
        self.norm1 = make_norm(of_tokens(norm), width)
        self.attention = attention
        self.end1, self.end2 = ends
        self.norm2 = make_norm(of_channels(norm), width)
        self.mlp = mlp

    def forward(self, x: Float[Tensor, "b *tokens c"]) -> Float[Tensor, "b *tokens c"]:
        """Mix tokens, then channels."""
        x = x + self.end1(self.attention(self.norm1(x)))
        return x + self.end2(self.mlp(self.norm2(x)))


class PostBlock(Block):
    """norm(x + f(x)). Source: Vaswani et al. 2017, arXiv:1706.03762, sec. 3.1."""

    def forward(self, x: Float[Tensor, "b *tokens c"]) -> Float[Tensor, "b *tokens c"]:
        """Mix tokens, then channels."""
        x = self.norm1(x + self.end1(self.attention(x)))
        return self.norm2(x + self.end2(self.mlp(x)))


class ResPostBlock(Block):
    """x + norm(f(x)). Source: SwinV2, arXiv:2111.09883, sec. 3.2.

    The norms start at 0, as in the authors' code: each block starts as the identity.
    """

    def forward(self, x: Float[Tensor, "b *tokens c"]) -> Float[Tensor, "b *tokens c"]:
        """Mix tokens, then channels."""
        x = x + self.end1(self.norm1(self.attention(x)))
        return x + self.end2(self.norm2(self.mlp(x)))


class SandwichBlock(Block):
    """x + norm(f(norm(x))). Source: CogView, arXiv:2105.13290, sec. 2.4; SwinV2 tab. 7."""

    def __init__(
        self,
        width: int,
        attention: nn.Module,
        mlp: nn.Module,
        norm: BlockNorm,
        ends: tuple[nn.Module, nn.Module],
    ) -> None:
        super().__init__(width, attention, mlp, norm, ends)
        self.norm1_out = make_norm(of_tokens(norm), width)
        self.norm2_out = make_norm(of_channels(norm), width)

    def forward(self, x: Float[Tensor, "b *tokens c"]) -> Float[Tensor, "b *tokens c"]:
        """Mix tokens, then channels."""
        x = x + self.end1(self.norm1_out(self.attention(self.norm1(x))))
        return x + self.end2(self.norm2_out(self.mlp(self.norm2(x))))


class Repeated(nn.Sequential):
    """One block, applied several times with the same weights. Source: ALBERT, arXiv:1909.11942.

    Args:
        block: the block.
        times: how often.
    """

    def __init__(self, block: nn.Module, times: int) -> None:
        super().__init__(block)
        self.times = times

    def forward(self, x: Float[Tensor, "b *tokens c"]) -> Float[Tensor, "b *tokens c"]:
        """Apply again and again."""
        for _ in range(self.times):
            x = super().forward(x)
        return x


def draw_blocks(model: nn.Module, config: Initialised, generator_for: GeneratorFor) -> None:
    """Draw every parameter as `draw` does; then every `ResPostBlock` starts as the identity."""
    draw(model, config, generator_for)
    for module in model.modules():
        if isinstance(module, ResPostBlock):
            for norm in (module.norm1, module.norm2):
                for name, parameter in norm.named_parameters():
                    if name.endswith(("weight", "bias")):
                        nn.init.zeros_(parameter)


def share(first: nn.Module, others: list[nn.Module]) -> None:
    """Give blocks the parameters and norms of the first; what they see stays their own.

    Source: ALBERT, arXiv:1909.11942, sec. 3.1, within a stage.
    """
    for path, module in list(first.named_modules()):
        if not list(module.parameters(recurse=False)):
            continue
        parent, _, name = path.rpartition(".")
        for other in others:
            setattr(other.get_submodule(parent), name, module)


def last_norm(place: Place, norm: Norm, width: int) -> nn.Module:
    """Build what follows the last block: a norm, where that has not just ended with one."""
    return nn.Identity() if place == "post" else make_norm(norm, width)


def mended_place(place: Place) -> dict[str, int]:
    """Which meaning of `norm_place` a config uses, where it was mended."""
    return {"norm_place": 2} if place == "post" else {}  # 1 had a norm after the last block's


BLOCKS: Mapping[Place, type[Block]] = {
    "pre": Block,
    "post": PostBlock,
    "res_post": ResPostBlock,
    "sandwich": SandwichBlock,
}


def make_drop(rate: float) -> nn.Module:
    """Build what drops a share of the numbers; 0 is off.

    It draws from torch's global generator, which training seeds for every step.
    """
    return nn.Dropout(rate) if rate else nn.Identity()
