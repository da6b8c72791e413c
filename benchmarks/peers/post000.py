"""The Swin of post 000, rebuilt in its own style, for its speed.

Separate maps for queries, keys and values; copies into and out of windows in every block; a
mask of every window, repeated for the batch. As written it has 1,267,930 parameters, the number
that the post prints, and its mask is wrong: see `model.shift_mask = "post000"`.

Shapes: b batch, h w grid, d width, m window, n windows, e heads, t tokens of a window.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention with four square maps."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.w_q, self.w_k = nn.Linear(width, width), nn.Linear(width, width)
        self.w_v, self.linear = nn.Linear(width, width), nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "bn t d"], mask: Float[Tensor, "bn t t"] | None = None
    ) -> Float[Tensor, "bn t d"]:
        """Attend within each window."""
        count, tokens, width = x.shape
        depth = width // self.heads

        def split(y: Tensor) -> Tensor:
            return y.reshape(count, tokens, self.heads, depth).permute(0, 2, 1, 3)

        q, k, v = split(self.w_q(x)), split(self.w_k(x)), split(self.w_v(x))
        scores = torch.matmul(q, k.transpose(-1, -2)) / depth**0.5
        if mask is not None:
            scores = scores + mask.unsqueeze(1)
        mixed = torch.matmul(F.softmax(scores, dim=-1), v)
        answer: Tensor = self.linear(mixed.permute(0, 2, 1, 3).reshape(count, tokens, width))
        return answer


class Windows(nn.Module):
    """Attention in windows, shifted or not."""

    def __init__(self, width: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.attention = Attention(width, heads)

    def forward(self, x: Float[Tensor, "b h w d"]) -> Float[Tensor, "b h w d"]:
        """Roll, cut, attend, put together, roll back."""
        b, h, w, d = x.shape
        m = self.window
        if self.shift:
            x = torch.roll(x, (-self.shift, -self.shift), (1, 2))
        x = x.reshape(b, h // m, m, w // m, m, d).permute(0, 1, 3, 2, 4, 5)
        x = x.reshape(b * (h // m) * (w // m), m * m, d)
        mask = self.mask(x.device).repeat(len(x), 1, 1) if self.shift else None
        x = self.attention(x, mask)
        x = x.reshape(b, h // m, w // m, m, m, d).permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, d)
        return torch.roll(x, (self.shift, self.shift), (1, 2)) if self.shift else x

    def mask(self, device: torch.device) -> Float[Tensor, "1 t t"]:
        """The four parts of one window, whichever window it is."""
        labels = torch.zeros(self.window, self.window, device=device)
        half = self.window // 2  # of an odd window the first part is the smaller one
        labels[:half, half:] = 1
        labels[half:, :half] = 2
        labels[half:, half:] = 3
        flat = labels.reshape(-1)
        apart = flat[:, None] != flat[None, :]
        return torch.zeros(apart.shape, device=device).masked_fill(apart, -100.0)[None]


class Block(nn.Module):
    """A pair: windows, MLP, shifted windows, MLP."""

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))
        self.plain = Windows(width, heads, window, 0)
        self.shifted = Windows(width, heads, window, window // 2)
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
            for _ in range(2)
        )

    def forward(self, x: Float[Tensor, "b h w d"]) -> Float[Tensor, "b h w d"]:
        """Four residual branches."""
        x = x + self.plain(self.norms[0](x))
        x = x + self.mlps[0](self.norms[1](x))
        x = x + self.shifted(self.norms[2](x))
        answer: Tensor = x + self.mlps[1](self.norms[3](x))
        return answer


class Merging(nn.Module):
    """Four neighbours become one token of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Float[Tensor, "b h w d"]) -> Float[Tensor, "b h//2 w//2 2*d"]:
        """Merge."""
        corners = x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]
        merged: Tensor = self.reduction(self.norm(torch.cat(corners, -1)))
        return merged


class Swin(nn.Module):
    """The network of the post.

    Args:
        patch: pixels.
        width: of the first stage; twice as many in each that follows.
        depths: blocks of each stage, as the paper counts: two a pair.
        heads: of each stage.
        window: of all stages.
        classes: number of classes.
    """

    def __init__(
        self,
        *,
        patch: int = 4,
        width: int = 48,
        depths: Sequence[int] = (2, 2, 2),
        heads: Sequence[int] = (4, 8, 16),
        window: int = 2,
        classes: int = 10,
    ) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, width, patch, patch)
        parts: list[nn.Module] = []
        for i, (depth, many) in enumerate(zip(depths, heads, strict=True)):
            parts += [Merging(width * 2 ** (i - 1))] if i else []
            parts += [Block(width * 2**i, many, window) for _ in range(depth // 2)]
        self.parts = nn.Sequential(*parts)
        last = width * 2 ** (len(depths) - 1)
        self.norm, self.head = nn.LayerNorm(last), nn.Linear(last, classes)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b classes"]:
        """Classify."""
        x = self.parts(self.embed(x).permute(0, 2, 3, 1))
        answer: Tensor = self.head(self.norm(x).mean((1, 2)))
        return answer
