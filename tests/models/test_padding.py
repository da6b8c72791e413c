"""Images, windows and mergings that do not tile, padded: `model.pad = "masked"`."""

import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.swin_transformer import PatchMerging, PatchMergingV2, SwinTransformer

from swinablate.config.family import ImageSpec
from swinablate.models.cost import size
from swinablate.models.families.swin import FAMILY, Swin, SwinConfig, geometry
from swinablate.models.layers.merge import (
    MergeAverage,
    MergeConv,
    MergeLinear,
    MergeThenNorm,
    halved_upwards,
)
from tests.models.copying import swin_of_torchvision

FASHION = ImageSpec(height=28, width=28, channels=1, classes=10)
UNEVEN = ImageSpec(height=30, width=27, channels=1, classes=10)
TINY = {"width": 8, "heads": (2, 4), "depths": (2, 2), "pad": "masked"}


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("grid", [(7, 7), (5, 4), (4, 5), (1, 1), (6, 4)])
@pytest.mark.parametrize(
    ("ours", "theirs"), [(MergeLinear, PatchMerging), (MergeThenNorm, PatchMergingV2)]
)
def test_an_odd_grid_is_merged_as_torchvision_merges_it(grid, ours, theirs, excite):
    mine, other = ours(6, "layer"), excite(theirs(6, nn.LayerNorm))
    state = other.state_dict()
    mine.load_state_dict({n.replace("reduction", "reduce"): v for n, v in state.items()})
    x = draw(2, *grid, 6)
    torch.testing.assert_close(mine(x), other(x), rtol=1e-6, atol=1e-6)
    assert mine(x).shape[1:3] == halved_upwards(grid)


def test_an_average_at_the_edge_is_of_the_tokens_that_are_there():
    merge = MergeAverage(1, "none")
    nn.init.ones_(merge.reduce.weight)
    x = torch.arange(1.0, 10.0).view(1, 3, 3, 1)
    assert merge(x)[0, :, :, 0].tolist() == [[3.0, 4.5], [7.5, 9.0]]


def test_a_convolution_pads_itself():
    merge = MergeConv(3, "layer")
    assert merge(draw(2, 7, 5, 3)).shape == (2, 4, 3, 6)


@pytest.mark.parametrize("stem", ["patchify", "conv", "conv_pool", "spt"])
@pytest.mark.parametrize("merge", ["linear", "conv", "avg", "none"])
def test_an_image_is_padded_below_and_right_to_whole_patches(stem, merge, excite):
    config = SwinConfig(patch=4, stem=stem, merge=merge, window=4, **TINY)
    ours = excite(Swin(config, UNEVEN)).eval()
    whole = excite(Swin(config, ImageSpec(height=32, width=28, channels=1, classes=10))).eval()
    x = draw(2, 1, 30, 27)
    assert torch.equal(ours(x), whole(F.pad(x, (0, 1, 0, 2))))
    assert ours(x).std() > 0


def test_the_grids_of_padded_networks_are_shown():
    found = geometry(SwinConfig(patch=4, window=4, **TINY), UNEVEN)
    assert [row["grid"] for row in found] == [(8, 7), (4, 4)]
    assert [row["pad"] for row in found] == [(0, 1), (0, 0)]
    kept = geometry(SwinConfig(patch=4, window=4, merge="none", **TINY), UNEVEN)
    assert [row["grid"] for row in kept] == [(8, 7), (8, 7)]


def test_every_token_of_a_padded_network_holds_pixels_of_the_image(excite):
    """The last token of each padded row: with no window's padding left, it answers to pixels."""
    config = SwinConfig(patch=4, window=2, **TINY)
    model = excite(Swin(config, FASHION)).eval()
    x = draw(1, 1, 28, 28).requires_grad_()
    model.stages(model.embed_norm(model.embed(model.frame(x))))[0, -1, -1].sum().backward()
    assert x.grad[0, 0, -4:, -4:].all()


def test_macs_of_a_padded_merging_are_those_of_the_grid_it_makes():
    """7x7 halved to 4x4 costs 7x7's first stage and all that 8x8 costs after it."""

    def macs(side, stages):
        config = SwinConfig(
            patch=4, width=8, depths=(1, 1)[:stages], heads=(2, 4)[:stages], window=1, pad="masked"
        )
        image = ImageSpec(height=side, width=side, channels=1, classes=10)
        return size(FAMILY, config, image, "macs")

    assert macs(28, 2) == macs(32, 2) - macs(32, 1) + macs(28, 1)
    assert macs(28, 2) < macs(32, 2)


def test_what_tiles_is_the_same_network_with_padding_and_without():
    asked = {"patch": 2, "window": 4, "width": 8, "heads": (2, 4), "depths": (2, 2)}
    image = ImageSpec(height=32, width=32, channels=1, classes=10)
    padded, plain = (Swin(SwinConfig(pad=p, **asked), image) for p in ("masked", "refuse"))
    assert repr(padded) == repr(plain)
    assert list(padded.state_dict()) == list(plain.state_dict())


@pytest.mark.parametrize("window", [(4, 2), (2, 8), (1, 4)])
def test_windows_with_unequal_sides_are_torchvisions(window, excite):
    image = ImageSpec(height=32, width=32, channels=3, classes=10)
    config = SwinConfig(patch=2, width=12, heads=(3, 6), depths=(2, 2), window=(window, window))
    theirs = excite(
        SwinTransformer([2, 2], 12, [2, 2], [3, 6], list(window), stochastic_depth_prob=0.0, num_classes=10)
    ).eval()  # fmt: skip
    ours = Swin(config, image).eval()
    ours.load_state_dict(swin_of_torchvision(theirs.state_dict()))
    x = draw(2, 3, 32, 32)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-4)


def test_unequal_sides_are_one_stages_and_clamped_axis_by_axis():
    config = SwinConfig(window=((16, 2), 4))
    found = geometry(config, ImageSpec(height=16, width=32, channels=3, classes=10))
    assert [row["window"] for row in found] == [(8, 2), (4, 4)]
    assert [row["shift"] for row in found] == [(0, 1), (0, 2)]
    assert SwinConfig.model_validate_json(json.dumps(config.model_dump(mode="json"))) == config


def test_an_odd_side_of_a_window_cuts_elsewhere_than_half():
    assert "shift_mask" in SwinConfig(shift_mask="post000", window=((3, 2), 4)).mended(
        decays=False
    )
    even = SwinConfig(shift_mask="post000", window=((4, 2), 4))
    assert "shift_mask" not in even.mended(decays=False)
