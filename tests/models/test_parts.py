"""The parts that families share, each by itself."""

import math

import pytest
import torch
from torch import nn

from swinablate.models.layers.attention import LAST, Cosine, Linear, NoKeyBias, OverQueries, Scaled
from swinablate.models.layers.bias import LogSpaced, log_offsets
from swinablate.models.layers.block import DropPath, LayerScale, Repeated, drop_rates
from swinablate.models.layers.init import initialise
from swinablate.models.layers.norm import DynamicTanh, Fading, Progressive, TokenBatchNorm
from swinablate.models.layers.patch import ConvStem, PatchEmbed
from swinablate.models.layers.position import absolute_position, sincos, sincos_post002
from swinablate.models.layers.window import near


def test_patches_equal_a_strided_convolution():
    embed = PatchEmbed(3, 2, 5)
    x = torch.randn(2, 2, 6, 9)
    torch.testing.assert_close(embed(x), embed.project(x).permute(0, 2, 3, 1))


def test_a_convolutional_stem_reaches_the_grid():
    for patch in (1, 2, 4, 8):
        assert ConvStem(patch, 3, 6)(torch.randn(2, 3, 16, 8)).shape == (
            2,
            16 // patch,
            8 // patch,
            6,
        )
    with pytest.raises(ValueError, match=r"^a convolutional stem .* patches of 3; choose a power"):
        ConvStem(3, 3, 6)


def test_sincos_depends_on_the_distance_alone():
    """Vaswani 2017, sec. 3.5; post 002 breaks it: its Gram matrix is not Toeplitz."""
    places = sincos(torch.arange(20), 64)
    gram = places @ places.T
    torch.testing.assert_close(places.square().sum(1), torch.full((20,), 32.0))
    for i in range(1, 20):
        assert gram.diagonal(i).max() - gram.diagonal(i).min() < 1e-4


def test_sincos_of_the_paper():
    row = sincos(torch.tensor([3]), 4)[0]
    expected = [math.sin(3), math.cos(3), math.sin(3 / 100), math.cos(3 / 100)]
    torch.testing.assert_close(row, torch.tensor(expected))


def test_sincos_in_two_dimensions_codes_row_and_column():
    places = absolute_position("sincos2d", (3, 4), 8).places
    assert torch.equal(places[:, :4], sincos(torch.arange(3), 4).repeat_interleave(4, 0))
    assert torch.equal(places[:, 4:], sincos(torch.arange(4), 4).repeat(3, 1))


def test_sincos_wants_whole_pairs():
    message = "sincos2d needs channels in multiples of 4, got 6; "
    message += "choose another width or a learned position"
    with pytest.raises(ValueError, match=f"^{message}$"):
        absolute_position("sincos2d", (2, 2), 6)


def test_drop_path_keeps_the_expectation_and_drops_whole_images():
    torch.manual_seed(0)
    drop = DropPath(0.25)
    y = drop(torch.ones(4000, 2, 3))
    kept = (y[:, 0, 0] > 0).float()
    assert torch.equal(y, (kept / 0.75)[:, None, None].expand(-1, 2, 3))
    assert abs(kept.mean().item() - 0.75) < 0.03
    torch.manual_seed(0)
    assert torch.equal(drop(torch.ones(4000, 2, 3)), y)
    assert torch.equal(drop.eval()(torch.ones(5, 2)), torch.ones(5, 2))


def test_drop_rates_rise_linearly():
    """torchvision divides by zero for a single block."""
    assert drop_rates(0.3, 4) == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert drop_rates(0.3, 1) == [0.0]


def test_layer_scale_starts_where_it_is_told():
    scale = LayerScale(3, 0.1)
    nn.init.ones_(scale.scale)
    initialise(scale, "fan_in", lambda _: torch.Generator())
    assert torch.equal(scale(torch.ones(2, 3)), torch.full((2, 3), 0.1))


def test_dynamic_tanh():
    norm = DynamicTanh(2)
    torch.testing.assert_close(
        norm(torch.tensor([[2.0, -4]])), torch.tanh(torch.tensor([[1.0, -2]]))
    )


def test_progressive_norm_fades_from_layer_to_batch():
    """And stays where it is while nobody says how far training is, in evaluation too."""
    torch.manual_seed(0)
    norm = Progressive(4)
    assert norm.eta == 1.0
    nn.init.constant_(norm.eta, 0.5)
    x = torch.randn(8, 5, 4)
    torch.testing.assert_close(norm(x), nn.functional.layer_norm(x, [4]))
    fading = Fading(nn.Sequential(norm), 0.8)
    batch = TokenBatchNorm(4)
    fading.at(0.4)
    half = 0.5 * norm.layer(x) + 0.5 * (batch(x) + 0.5 * x)
    torch.testing.assert_close(norm(x), half)
    torch.testing.assert_close(norm(x), half)
    for done in (0.8, 1.0):
        fading.at(done)
        torch.testing.assert_close(norm(x), batch(x) + 0.5 * x)
    assert norm.share == 0.0
    fading.at(0.0)
    norm.eval()
    torch.testing.assert_close(norm(x), nn.functional.layer_norm(x, [4]))


def test_frozen_norms_do_not_fade():
    model = nn.ModuleList([nn.Sequential(Progressive(4)), nn.Sequential(Progressive(4))])
    model[0][0].share.fill_(0.25)
    Fading(model, 1.0, [model[0]]).at(0.5)
    assert [part[0].share.item() for part in model] == [0.25, 0.5]


def test_cosine_ignores_length_and_limits_its_scale():
    similarity = Cosine(2, LAST)
    q, k = torch.randn(3, 2, 4, 8), torch.randn(3, 2, 4, 8)
    first, second = similarity(q, k), similarity(5 * q, 7 * k)
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(first[0].norm(dim=-1), torch.full((3, 2, 4), 10.0))
    nn.init.constant_(similarity.log_scale, 50.0)
    torch.testing.assert_close(similarity(q, k)[0].norm(dim=-1), torch.full((3, 2, 4), 100.0))


def test_no_key_bias():
    layer = NoKeyBias(4)
    nn.init.constant_(layer.bias, 2.0)
    assert layer(torch.zeros(1, 4)).tolist() == [[2.0] * 4 + [0.0] * 4 + [2.0] * 4]


def test_linear_attention_equals_its_quadratic_form():
    q, k, v = torch.randn(3, 2, 3, 5, 4).unbind(0)
    weights = (nn.functional.elu(q) + 1) @ (nn.functional.elu(k) + 1).mT
    expected = weights / weights.sum(-1, keepdim=True) @ v
    torch.testing.assert_close(Linear()(q, k, v), expected)


def test_log_offsets_of_swin_v2():
    """The authors' formula for a window of 3: offsets -2..2, scaled to 8."""
    logs = [math.copysign(math.log2(1 + abs(x) * 4) / 3, x) if x else 0.0 for x in range(-2, 3)]
    expected = [[a, b] for a in logs for b in logs]
    torch.testing.assert_close(log_offsets((3, 3)), torch.tensor(expected))


@pytest.mark.parametrize("window", [(1, 1), (1, 3), (2, 2)])
def test_log_spaced_bias_of_any_window_is_finite(window):
    """torchvision's window 1 is 0/0."""
    bias = LogSpaced(window, 2)()
    tokens = window[0] * window[1]
    assert bias.shape == (2, tokens, tokens)
    assert bias.isfinite().all()


def test_near_is_a_square_neighbourhood():
    seen = near((3, 4), 1)
    for i in range(12):
        for j in range(12):
            close = max(abs(i // 4 - j // 4), abs(i % 4 - j % 4)) <= 1
            assert seen[i, j] == close


@pytest.mark.parametrize("scheme", ["fan_in", "trunc02", "xavier", "he", "torch"])
def test_schemes(scheme):
    """Spread of weights of 200 inputs and 300 outputs; biases."""
    model = nn.Sequential(nn.Linear(200, 300))
    initialise(model, scheme, lambda name: torch.Generator().manual_seed(len(name)))
    spread = {
        "fan_in": 200**-0.5,
        "trunc02": 0.02,
        "xavier": math.sqrt(2 / 500),
        "he": math.sqrt(2 / 200),
        "torch": math.sqrt(1 / 600),
    }
    assert model[0].weight.std().item() == pytest.approx(spread[scheme], rel=0.02)
    assert bool(model[0].bias.any()) is (scheme == "torch")


def test_the_position_code_of_post_002_is_no_longer_a_rotation():
    """Lengths 28.1 to 36.4 instead of 32, and a Gram matrix that is not Toeplitz."""
    places = sincos_post002(torch.arange(200), 64)
    lengths = places.square().sum(1)
    assert (lengths.min().item(), lengths.max().item()) == pytest.approx((28.07, 36.42), abs=0.01)
    gram = places @ places.T
    diagonals = [gram.diagonal(i) for i in range(199)]
    assert max((d.max() - d.min()).item() for d in diagonals) == pytest.approx(8.8, abs=0.01)


def test_a_softmax_over_queries_does_not_average():
    q, k, v = torch.randn(3, 2, 3, 5, 4).unbind(0)
    mixed = OverQueries(Scaled(0.5), nn.Identity())(q, k, v)
    torch.testing.assert_close(mixed, (0.5 * q @ k.mT).softmax(2) @ v)


def test_repeating_a_block():
    block = nn.Linear(2, 2)
    x = torch.randn(3, 2)
    torch.testing.assert_close(Repeated(block, 3)(x), block(block(block(x))))
