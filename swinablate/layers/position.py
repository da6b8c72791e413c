"""Where a token was, added to what it is.

Shapes: n tokens, c channels, `*b` any leading axes.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class LearnedPosition(nn.Module):
    """One learned vector per place. Source: ViT sec. 3.1."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(tokens, width))

    def forward(self, x: Float[Tensor, "*b n c"]) -> Float[Tensor, "*b n c"]:
        """Add the place to the content."""
        return x + self.table
