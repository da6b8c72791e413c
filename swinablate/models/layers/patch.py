"""From pixels to tokens.

Shapes: b batch, ch image channels, h w pixels, y x token grid, c channels.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.config.family import ImageSpec

Stem = Literal["patchify", "conv", "conv_pool", "spt"]
INNER = 64
"""Channels of the first convolutions of `ConvPoolStem`, as in the authors' code."""


def patch_grid(patch: int, image: ImageSpec, more: str = "") -> tuple[int, int]:
    """Rows and columns of patches.

    Args:
        patch: its side, pixels.
        image: to cut.
        more: what else the family has for a patch that does not tile, for the message.

    Raises:
        ValueError: the patch does not tile the image.
    """
    if image.height % patch or image.width % patch:
        raise ValueError(
            f"patch {patch} does not tile the {image.height}x{image.width} image; "
            f"choose a divisor of both sides{more}"
        )
    return image.height // patch, image.width // patch


def padded_patch_grid(patch: int, image: ImageSpec) -> tuple[int, int]:
    """Rows and columns of patches, of an image that is padded to whole ones."""
    return -(-image.height // patch), -(-image.width // patch)


class Frame(nn.Module):
    """Add rows of pixels below and columns to the right, until patches tile the image.

    Zeros, after images are normalised. Source: Swin code for detection, `PatchEmbed`.
    """

    def __init__(self, patch: int, image: ImageSpec) -> None:
        super().__init__()
        self.pad = (0, -image.width % patch, 0, -image.height % patch)

    def forward(self, x: Float[Tensor, "b ch h w"]) -> Float[Tensor, "b ch H W"]:
        """Pad."""
        return F.pad(x, self.pad)


def make_frame(patch: int, image: ImageSpec) -> nn.Module:
    """Build what pads images to whole patches; nothing where patches tile them."""
    tiled = image.height % patch == 0 == image.width % patch
    return nn.Identity() if tiled else Frame(patch, image)


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


class ConvStem(nn.Module):
    """3x3 convolutions of stride 2 with batch norm and ReLU, until the grid fits.

    Source: Xiao et al. 2021, "Early convolutions help transformers see better",
    arXiv:2106.14881, sec. 4.
    """

    def __init__(self, patch: int, channels: int, width: int) -> None:
        super().__init__()
        halvings = _halvings(patch)
        steps: list[nn.Module] = []
        for stride in [2] * halvings or [1]:  # patches of one pixel keep the grid
            conv = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
            steps += [conv, nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        self.steps = nn.Sequential(*steps)
        self.project = nn.Conv2d(width, width, 1)

    def forward(self, x: Float[Tensor, "b ch h w"]) -> Float[Tensor, "b y x c"]:
        """Embed; channels last."""
        return self.project(self.steps(x)).permute(0, 2, 3, 1)


def _halvings(patch: int) -> int:
    halvings = patch.bit_length() - 1
    if patch != 2**halvings:
        raise ValueError(
            f"a convolutional stem halves the image, so it cannot make patches of {patch}; "
            "choose a power of two"
        )
    return halvings


class ConvPoolStem(nn.Module):
    """3x3 convolutions with ReLU, each max-pooled, until the grid fits.

    Source: CCT, Hassani et al. 2021, arXiv:2104.05704, sec. 3.3.
    """

    def __init__(self, patch: int, channels: int, width: int) -> None:
        super().__init__()
        halvings = _halvings(patch)
        steps: list[nn.Module] = []
        for i in range(max(1, halvings)):
            out = width if i + 1 >= halvings else INNER
            steps += [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.ReLU()]
            steps += [nn.MaxPool2d(3, 2, 1)] * bool(halvings)  # likewise
            channels = out
        self.steps = nn.Sequential(*steps)

    def forward(self, x: Float[Tensor, "b ch h w"]) -> Float[Tensor, "b y x c"]:
        """Embed; channels last."""
        return self.steps(x).permute(0, 2, 3, 1)


class ShiftedPatches(nn.Module):
    """Patches of the image and of four copies, shifted diagonally by half a patch.

    Source: Lee et al. 2021, "Vision transformer for small-size datasets", arXiv:2112.13492,
    sec. 3.1: concatenated, layer-normalised, projected.
    """

    def __init__(self, patch: int, channels: int, width: int) -> None:
        super().__init__()
        if patch < 2:
            raise ValueError(
                'stem "spt" shifts by half a patch, and patches of 1 have no half; choose patch 2'
            )
        self.patch = patch
        self.norm = nn.LayerNorm(5 * channels * patch**2)
        self.reduce = nn.Linear(5 * channels * patch**2, width)

    def forward(self, x: Float[Tensor, "b ch h w"]) -> Float[Tensor, "b y x c"]:
        """Embed each patch with its surroundings; channels last."""
        p, by = self.patch, self.patch // 2
        (high, wide), around = x.shape[2:], F.pad(x, [by] * 4)
        corners = [(0, 0), (0, 2 * by), (2 * by, 0), (2 * by, 2 * by)]
        copies = [around[:, :, top : top + high, left : left + wide] for top, left in corners]
        x = torch.cat((x, *copies), 1).unflatten(3, (-1, p)).unflatten(2, (-1, p))
        return self.reduce(self.norm(x.permute(0, 2, 4, 1, 3, 5).flatten(3)))  # b y x (5ch p p)


_STEMS: Mapping[Stem, Callable[[int, int, int], nn.Module]] = {
    "patchify": PatchEmbed,
    "conv": ConvStem,
    "conv_pool": ConvPoolStem,
    "spt": ShiftedPatches,
}


def make_embed(stem: Stem, patch: int, channels: int, width: int) -> nn.Module:
    """Build the way from pixels to tokens.

    Raises:
        ValueError: a convolutional stem and a patch that is no power of two, or patches of
            one pixel to be shifted by half.
    """
    return _STEMS[stem](patch, channels, width)
