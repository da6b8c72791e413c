"""Cutting, shifting, masking: who sees whom."""

import itertools

import pytest
import torch
from torch import nn

from swinablate.config.family import ImageSpec
from swinablate.models.families.swin import Swin, SwinConfig, stages, window_attention
from swinablate.models.layers.window import ChannelFirstWindows, Windows, allowed, relative_index


def attention(side: int, **fields) -> nn.Module:
    """Window attention of an odd block on a side x side grid, one head."""
    config = SwinConfig(patch=1, width=4, depths=(2,), heads=(1,), **fields)
    (stage,) = stages(config, ImageSpec(height=side, width=side, channels=1, classes=2))
    return window_attention(stage, stage.shift, config)


def seen(module: nn.Module, side: int, row: int, column: int) -> list[tuple[int, int]]:
    """Which tokens the output at (row, column) depends on."""
    torch.manual_seed(0)
    x = torch.randn(1, side, side, 4, requires_grad=True)
    module(x)[0, row, column].sum().backward()
    found = (x.grad[0].abs().sum(-1) > 0).nonzero()
    return [(r, c) for r, c in found.tolist()]


def box(rows, columns) -> list[tuple[int, int]]:
    return list(itertools.product(rows, columns))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ((0, 0), box(range(2), range(2))),
        ((0, 3), box(range(2), range(2, 6))),
        ((3, 3), box(range(2, 6), range(2, 6))),
        ((7, 1), box((6, 7), range(2))),
        ((7, 7), box((6, 7), (6, 7))),
    ],
)
def test_a_shifted_token_sees_its_neighbours_and_nothing_that_wrapped(at, expected):
    assert seen(attention(8, window=4), 8, *at) == expected


def test_without_shift_a_token_sees_its_window():
    module = attention(8, window=4, shift=False)
    assert seen(module, 8, 0, 0) == box(range(4), range(4))
    assert seen(module, 8, 5, 3) == box(range(4, 8), range(4))


def test_without_mask_opposite_edges_see_each_other():
    edges = (0, 1, 6, 7)
    assert seen(attention(8, window=4, shift_mask="none"), 8, 0, 0) == box(edges, edges)


def test_the_mask_of_post_000_quarters_every_window():
    module = attention(8, window=4, shift_mask="post000")
    assert seen(module, 8, 3, 3) == box((2, 3), (2, 3))
    assert seen(module, 8, 0, 0) == box(range(2), range(2))


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 4), (7, 7)])
def test_the_mask_of_post_000_makes_windows_of_two_blind(row, column):
    """With windows of 2x2 each token sees itself alone: the attention does nothing."""
    module = attention(8, window=2, shift_mask="post000")
    assert seen(module, 8, row, column) == [(row, column)]


def test_small_windows_shift_like_large_ones():
    module = attention(8, window=2)
    assert seen(module, 8, 0, 0) == [(0, 0)]
    assert seen(module, 8, 1, 1) == box((1, 2), (1, 2))
    assert seen(module, 8, 7, 3) == [(7, 3), (7, 4)]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ((0, 0), box(range(3), range(3))),
        ((3, 3), box(range(3, 8), range(3, 8))),
        ((7, 7), box(range(3, 8), range(3, 8))),
        ((0, 7), box(range(3), range(3, 8))),
    ],
)
def test_padding_moves_no_border_between_shifted_windows(at, expected):
    """8x8, window 7, shift 3: timm lets (0, 0) see rows and columns 0, 1, 3..7."""
    assert seen(attention(8, window=7, pad="masked"), 8, *at) == expected


def test_a_padded_corner_sees_its_own_window():
    module = attention(8, window=7, pad="masked", shift=False)
    assert seen(module, 8, 7, 7) == [(7, 7)]
    assert seen(module, 8, 7, 0) == box((7,), range(7))


@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize("mask", ["regions", "none", "post000"])
@pytest.mark.parametrize("window", [2, 3, 5, 6, 7])
def test_attention_over_equal_tokens_returns_them_whatever_the_padding(window, mask, shift):
    """With values of 1 every output is 1; one padded key would make it smaller."""
    module = attention(8, window=window, pad="masked", shift=shift, shift_mask=mask)
    nn.init.zeros_(module.qkv.weight)
    nn.init.zeros_(module.qkv.bias)
    module.qkv.weight.data[8:] = torch.eye(4)
    nn.init.eye_(module.out.weight)
    nn.init.zeros_(module.out.bias)
    torch.testing.assert_close(module(torch.ones(1, 8, 8, 4)), torch.ones(1, 8, 8, 4))


def test_values_of_padding_never_arrive():
    """A bias gives padded tokens values; nobody may see them."""
    module = attention(8, window=7, pad="masked")
    nn.init.zeros_(module.qkv.weight)
    module.qkv.bias.data.zero_()
    module.qkv.weight.data[8:] = torch.eye(4)
    module.qkv.bias.data[8:] = 1e6
    nn.init.eye_(module.out.weight)
    nn.init.zeros_(module.out.bias)
    x = torch.full((1, 8, 8, 4), -1e6)
    torch.testing.assert_close(module(x), torch.zeros(1, 8, 8, 4))


def test_joining_undoes_splitting():
    windows = Windows((4, 6), (2, 3), 2, 8)
    x = torch.arange(2 * 4 * 6 * 24.0).view(2, 4, 6, 24)
    for part, expected in zip(windows.split(x), x.split(8, -1), strict=True):
        assert torch.equal(windows.join(part), expected)


def test_joining_undoes_cutting():
    windows = ChannelFirstWindows((4, 6), (2, 3), 2, 8)
    x = torch.arange(2 * 4 * 6 * 8.0).view(2, 4, 6, 8)
    assert torch.equal(windows.join(windows.cut(x)), x)


def test_both_ways_of_splitting_agree():
    """Channels before tokens or after them, it is the same heads, windows and images."""
    x = torch.arange(2 * 4 * 6 * 24.0).view(2, 4, 6, 24)
    cut = ChannelFirstWindows((4, 6), (2, 3), 2, 8)
    rows = torch.cat([cut.cut(part) for part in x.split(8, -1)], 1)
    for small, plain in zip(
        cut.split(rows.T), Windows((4, 6), (2, 3), 2, 8).split(x), strict=True
    ):
        assert torch.equal(small.permute(4, 3, 0, 2, 1), plain)


def test_splitting_keeps_a_window_together():
    q, _, _ = Windows((4, 4), (2, 2), 1, 1).split(
        torch.arange(16.0).view(1, 4, 4, 1).repeat(1, 1, 1, 3)
    )
    assert q.squeeze().tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"attention": "cosine"},
        {"attention_scale": "learned"},
        {"qk_norm": True},
        {"qkv_bias": "query_value"},
        {"qkv_bias": "none"},
        {"pad": "masked", "depths": (2,), "heads": (2,)},  # 9 rows
    ],
)
def test_both_ways_of_attending_agree(fields, monkeypatch):
    """Sums of products and matrix products, with bias and mask, values and gradients."""
    answers, kinds = [], []
    for small in (4, 0):
        monkeypatch.setattr("swinablate.models.families.swin.SMALL", small)
        shape = {"width": 8, "heads": (2, 4), "depths": (2, 2), "window": 2, "patch": 4}
        image = ImageSpec(height=36 if "pad" in fields else 32, width=32, channels=3, classes=5)
        model = Swin(SwinConfig(**shape | fields), image).double()
        kinds.append({type(module).__name__ for module in model.modules()})
        draw = torch.Generator().manual_seed(0)
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.3, generator=draw)
        x = torch.randn(3, 3, image.height, 32, dtype=torch.float64, generator=draw)
        y = model(x)
        answers.append((y, *torch.autograd.grad(y.square().sum(), list(model.parameters()))))
    assert "SmallWindowAttention" in kinds[0]
    assert "WindowAttention" in kinds[1]
    torch.testing.assert_close(*answers)


@pytest.mark.parametrize("window", [(1, 1), (2, 2), (3, 3), (2, 4), (4, 1)])
def test_relative_index_names_the_offset_from_key_to_query(window):
    high, wide = window
    index = relative_index(window).view(high * wide, high * wide)
    places = list(itertools.product(range(high), range(wide)))
    for (i, (r, c)), (j, (s, d)) in itertools.product(enumerate(places), repeat=2):
        assert index[i, j] == (r - s + high - 1) * (2 * wide - 1) + c - d + wide - 1


def test_everybody_sees_themselves():
    for kind in ("regions", "none", "post000"):
        mask = allowed((6, 7), (2, 1), (4, 4), (2, 2), kind)
        assert mask.diagonal(dim1=1, dim2=2).all()
        assert torch.equal(mask, mask.mT)


def test_the_mask_of_the_paper():
    """4x4, windows of 2, shift 1 (Swin fig. 4): whole, halves, halves, single tokens."""
    groups = [
        len({tuple(row) for row in window})
        for window in allowed((4, 4), (0, 0), (2, 2), (1, 1), "regions").tolist()
    ]
    assert groups == [1, 2, 2, 4]
