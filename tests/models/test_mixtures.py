"""Tokens weighed by a layer of tanh, tokens read in order, and the sum of all layers."""

import pytest
import torch
from torch import nn

from swinablate.config.family import ImageSpec
from swinablate.models.families import swin, vit
from swinablate.models.families.vit import SelfAttention, ViT, ViTConfig
from swinablate.models.layers.pool import LayerSum

DIGITS = ImageSpec(height=8, width=8, channels=1, classes=10)
SMALL = {"patch": 2, "width": 32, "depth": 3, "heads": 4}


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def added(score: nn.Linear, q, k):
    """w^T tanh(q_i + k_j), a pair at a time (Bahdanau 2015, app. A.1.2), of one image."""
    heads, tokens, _ = q.shape
    scores = torch.empty(heads, tokens, tokens)
    for m in range(heads):
        for i in range(tokens):
            for j in range(tokens):
                scores[m, i, j] = score.weight[m] @ torch.tanh(q[m, i] + k[m, j])
    return scores


@pytest.mark.parametrize("over", ["keys", "queries"])
def test_additive_attention_of_vit(over, excite):
    module = excite(
        SelfAttention((2, 3), ViTConfig(**SMALL, attention="additive", softmax_over=over))
    )
    x = noise(1, 6, 32)
    q, k, v = module.qkv(x).view(6, 3, 4, 8).permute(1, 2, 0, 3)
    shares = added(module.mix.score, q, k).softmax(-1 if over == "keys" else -2)
    wanted = module.out((shares @ v).transpose(0, 1).flatten(1))[None]
    torch.testing.assert_close(module(x), wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("window", [2, 4])
def test_additive_attention_of_swin_has_position_and_mask(window, excite):
    """In windows of few tokens, too; an image of one window."""
    config = swin.SwinConfig(
        patch=1, width=8, depths=(1,), heads=(2,), window=window, attention="additive",
        diagonal=False, qk_norm=True,
    )  # fmt: skip
    image = ImageSpec(height=window, width=window, channels=1, classes=2)
    module = excite(swin.Swin(config, image).stages[0].blocks[0].attention)
    x, tokens, bias = noise(1, window, window, 8), window**2, module.mix.bias
    q, k, v = module.qkv(x.flatten(1, 2)).view(tokens, 3, 2, 4).permute(1, 2, 0, 3)
    norms = module.mix.similarity
    scores = added(module.mix.score, norms.norm_q(q), norms.norm_k(k)) + bias.position()
    scores = scores.masked_fill(torch.eye(tokens).bool(), float("-inf"))
    wanted = module.out((scores.softmax(-1) @ v).transpose(0, 1).flatten(1))
    torch.testing.assert_close(module(x).view(tokens, 8), wanted, atol=1e-5, rtol=1e-4)


def reached(config: ViTConfig) -> torch.Tensor:
    """Which token (column) the output of all blocks at a token (row) depends on."""
    torch.manual_seed(0)
    blocks = ViT(config, DIGITS).blocks
    (shown,) = vit.geometry(config, DIGITS)
    x = torch.randn(1, shown["tokens"], config.width, requires_grad=True)
    rows = [torch.autograd.grad(y.sum(), x, retain_graph=True)[0] for y in blocks(x)[0]]
    return torch.stack(rows)[:, 0].abs().sum(-1) > 0


@pytest.mark.parametrize(
    "fields", [{}, {"attention": "uniform"}, {"attention": "additive"}, {"position": "rope2d"}]
)
def test_no_patch_is_reached_by_one_that_comes_later(fields):
    """Through all blocks; a patch reaches all that come after it."""
    found = reached(ViTConfig(**SMALL, causal=True, **fields))
    assert torch.equal(found, torch.ones(16, 16).tril().bool())


def test_registers_are_read_first_and_the_class_token_last():
    """Nothing that comes later returns through them in another block."""
    found = reached(ViTConfig(**SMALL, causal=True, pool="cls", registers=2))
    assert found[0].all()
    assert not found[1:, 0].any()
    assert found[1:3].int().tolist() == [[0, 1, 1, *[0] * 16]] * 2
    assert found[3:, 1:3].all()
    assert torch.equal(found[3:, 3:], torch.ones(16, 16).tril().bool())


def test_a_band_and_no_self_narrow_what_was_read_before():
    """The first patch has no other, and keeps itself."""
    config = ViTConfig(**SMALL | {"depth": 1}, causal=True, band=1, diagonal=False)
    hidden = ViT(config, DIGITS).blocks[0].attention.mix.bias.mask[0, 0].isinf()
    assert (~hidden)[5].nonzero().flatten().tolist() == [0, 1, 2, 4]
    assert (~hidden)[0].nonzero().flatten().tolist() == [0]


@pytest.mark.parametrize("share", [False, True])
def test_the_sum_of_layers_is_elmos(share, excite):
    """gamma * sum of softmax(s)_j h_j, of every block's output behind the norm."""
    config = ViTConfig(**SMALL, pool="layers", share_layers=share, registers=1)
    model = excite(ViT(config, DIGITS)).eval()
    x = noise(2, 1, 8, 8)
    h, outputs = model.registers(model.position(model.embed(x).flatten(1, 2))), []
    for k in range(3):
        h = model.blocks[0 if share else k](h)
        outputs.append(model.norm(h)[:, 1:].mean(1))
    weigh = model.pool[0]
    shares = weigh.weights.softmax(0)
    mixed = weigh.gamma * sum(s * y for s, y in zip(shares, outputs, strict=True))
    torch.testing.assert_close(model(x), model.head(mixed), atol=1e-5, rtol=1e-4)


def test_layers_start_at_equal_shares():
    config = ViTConfig(**SMALL, pool="layers")
    model = ViT(config, DIGITS)
    nn.init.constant_(model.pool[0].weights, 7.0)
    vit.FAMILY.init(model, config, lambda _: torch.Generator().manual_seed(0))
    x = noise(6, 4, 32)
    torch.testing.assert_close(model.pool[0](x), x.view(3, 2, 4, 32).mean(0))
    assert [tuple(p.shape) for p in LayerSum(3).parameters()] == [(3,), (1,)]


@pytest.mark.parametrize(
    "fields",
    [
        {"attention": "additive", "attn_drop": 0.1, "causal": True, "pool": "cls"},
        {"pool": "layers", "norm": "batch", "registers": 2, "causal": True},
        {"pool": "layers", "share_layers": True, "norm_place": "post"},
        {"position": "rope2d", "band": 1, "pool": "cls", "attention": "cosine"},
        {"attention": "additive", "softmax_over": "queries", "qk_norm": True},
    ],
    ids=lambda fields: "-".join(map(str, fields.values())),
)
def test_combinations_learn(fields, assert_learns):
    assert_learns(vit.FAMILY, ViTConfig(**SMALL | fields), DIGITS)
