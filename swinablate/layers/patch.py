"""From pixels to tokens.

Shapes: b batch, ch image channels, h w pixels, y x token grid, c channels.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.recipe import ImageSpec


def patch_grid(patch: int, image: ImageSpec) -> tuple[int, int]:
    """Rows and columns of patches.

    Raises:
        ValueError: the patch does not tile the image.
    """
    if image.height % patch or image.width % patch:
        raise ValueError(
            f"patch {patch} does not tile the {image.height}x{image.width} image; "
            "choose a divisor of both sides"
        )
    return image.height // patch, image.width // patch


class PatchEmbed(nn.Module):
    """Project non-overlapping patches; a strided convolution, computed as one linear map.

    The weight keeps the convolution's shape, so published weights fit.
    Source: ViT sec. 3.1; Swin sec. 3.1.
    """

    def __init__(self, patch: int, channels: int, width: int) -> None:
        super().__init__()
        self.patch = patch
        self.project = nn.Conv2d(channels, width, patch, patch)

    def forward(self, x: Float[Tensor, "b ch h w"]) -> Float[Tensor, "b y x c"]:
        """Embed each patch; channels last, contiguous."""
        p = self.patch
        x = x.unflatten(3, (-1, p)).unflatten(2, (-1, p))  # b ch y p x p
        x = x.permute(0, 2, 4, 1, 3, 5).flatten(3)  # b y x (ch p p)
        return F.linear(x, self.project.weight.flatten(1), self.project.bias)
