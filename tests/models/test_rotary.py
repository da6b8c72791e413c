"""Queries and keys turned by row and column: offsets alone count, and timm turns as we do."""

import itertools
from inspect import signature

import pytest
import torch
from timm.layers import RotaryEmbeddingCat, apply_rot_embed_cat
from torch import nn

from swinablate.config.family import ImageSpec
from swinablate.models.families.swin import SmallWindowAttention as Small
from swinablate.models.families.swin import SwinConfig, WindowAttention, stages
from swinablate.models.families.vit import SelfAttention, ViTConfig
from swinablate.models.layers.attention import FIRST, LAST
from swinablate.models.layers.position import Rotary

GRID = (3, 5)


class Plain(nn.Module):
    def forward(self, q, k):
        return q, k


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.skipif(
    "rotate_half" not in signature(RotaryEmbeddingCat.__init__).parameters,
    reason="timm turns by halves since 1.0.30",
)
def test_turns_are_timms():
    """Of its base of 100, by row first, in halves."""
    turns = RotaryEmbeddingCat(
        16, temperature=100.0, in_pixels=False, feat_shape=list(GRID), rotate_half=True
    )
    q, k = noise(2, 3, 15, 16), noise(2, 3, 15, 16) + 1
    ours = Rotary(GRID, 16, Plain(), LAST)(q, k)
    for found, x in zip(ours, (q, k), strict=True):
        wanted = apply_rot_embed_cat(x, turns.get_embed(), half=True)
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)


def test_scores_depend_on_the_offset_alone():
    """The same content everywhere: the score of two places is one of their offset."""
    rotary = Rotary(GRID, 8, Plain(), LAST)
    q, k = rotary(noise(8).expand(15, 8), (noise(2, 8)[1]).expand(15, 8))
    scores, by_offset = q @ k.T, {}
    for i in range(15):
        for j in range(15):
            offset = (i // 5 - j // 5, i % 5 - j % 5)
            by_offset.setdefault(offset, []).append(scores[i, j].item())
    assert len(by_offset) == 5 * 9
    for found in by_offset.values():
        assert found == pytest.approx([found[0]] * len(found), abs=1e-5)
    firsts = sorted(found[0] for found in by_offset.values())
    assert min(b - a for a, b in itertools.pairwise(firsts)) > 1e-5  # and all differ


def test_a_prefix_is_not_turned():
    q = noise(1, 1, 17, 8)
    turned, _ = Rotary(GRID, 8, Plain(), LAST, prefix=2)(q, q)
    alone, _ = Rotary(GRID, 8, Plain(), LAST)(q[..., 2:, :], q[..., 2:, :])
    assert torch.equal(turned[..., :2, :], q[..., :2, :])
    assert torch.equal(turned[..., 2:, :], alone)


def test_channels_may_come_before_tokens():
    """Of small windows: m d n k b."""
    q = noise(2, 3, 4, 15, 8)  # k b m n d
    last, _ = Rotary(GRID, 8, Plain(), LAST)(q, q)
    moved = q.permute(2, 4, 3, 0, 1)
    first, _ = Rotary(GRID, 8, Plain(), FIRST)(moved, moved)
    assert torch.equal(first.permute(3, 4, 0, 2, 1), last)


@pytest.mark.parametrize("fields", [{}, {"attention": "cosine"}, {"qk_norm": True}], ids=str)
def test_vit_turns_what_it_multiplies(fields, excite):
    """Behind the norms of queries and keys, and not the class token."""
    config = ViTConfig(width=32, heads=4, pool="cls", position="rope2d", **fields)
    plain = config.model_copy(update={"position": "none"})
    module, other = (excite(SelfAttention(GRID, c)) for c in (config, plain))
    q, k, v = (noise(3, 2, 4, 16, 8) + 0.5).unbind(0)
    turns = Rotary(GRID, 8, Plain(), LAST, prefix=1)
    if fields.get("qk_norm"):
        inner, norms = other.mix.similarity, module.mix.similarity
        norms.load_state_dict(inner.state_dict())
        q1, k1 = turns(inner.norm_q(q), inner.norm_k(k))
        wanted = ((q1 @ k1.mT) * 8**-0.5).softmax(-1) @ v
    else:
        wanted = other.mix(*turns(q, k), v)
        if fields:
            module.mix.similarity.similarity.load_state_dict(other.mix.similarity.state_dict())
            wanted = other.mix(*turns(q, k), v)
    torch.testing.assert_close(module.mix(q, k, v), wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", [WindowAttention, Small])
def test_swin_turns_inside_windows(kind, excite):
    """Places are counted in every window from its own corner: all windows are alike."""
    config = SwinConfig(patch=1, width=16, depths=(1,), heads=(2,), window=4, position_bias="rope")
    (stage,) = stages(config, ImageSpec(height=2, width=8, channels=1, classes=2))
    module = excite(kind(stage, (0, 0), config))
    tile = noise(1, 2, 4, 16)
    found = module(tile.repeat(1, 1, 2, 1))
    torch.testing.assert_close(found, found[:, :, :4].repeat(1, 1, 2, 1))
    q, k, v = module.qkv(tile.flatten(1, 2)).view(8, 3, 2, 8).permute(1, 2, 0, 3)
    q, k = Rotary((2, 4), 8, Plain(), LAST)(q, k)
    mixed = ((q @ k.mT) * 8**-0.5).softmax(-1) @ v
    wanted = module.out(mixed.transpose(0, 1).flatten(1)).view(1, 2, 4, 16)
    torch.testing.assert_close(found[:, :, :4], wanted, atol=1e-5, rtol=1e-4)


def test_turns_have_no_parameters():
    assert list(Rotary(GRID, 8, Plain(), LAST).parameters()) == []
    assert Rotary(GRID, 8, Plain(), LAST).state_dict() == {}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: ViTConfig(width=30, heads=5, position="rope2d"),
         r"a head has 6 channels, .* choose other heads, another width, or another position"),
        (lambda: SwinConfig(width=12, heads=(2, 2), position_bias="rope"), "a head has 6 channels"),
        (lambda: ViTConfig(attention="linear", position="rope2d"),
         "linear attention has no products .* choose dot or cosine attention, or another position"),
        (lambda: SwinConfig(attention="bias_only", position_bias="rope"), "bias_only attention"),
    ],
)  # fmt: skip
def test_what_cannot_be_turned_is_refused(make, reason):
    with pytest.raises(ValueError, match=reason):
        make()
