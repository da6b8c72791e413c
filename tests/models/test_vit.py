"""What the ViT's switches mean."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from swinablate.config.family import ImageSpec
from swinablate.models.families.vit import FAMILY, ViT, ViTConfig, geometry
from swinablate.models.layers import attention
from swinablate.models.layers.attention import OverQueries
from swinablate.models.layers.norm import TokenBatchNorm, TokenRMSNorm

DIGITS = ImageSpec(height=8, width=8, channels=1, classes=10)
CIFAR = ImageSpec(height=32, width=32, channels=3, classes=10)
SMALL = {"patch": 2, "width": 32, "depth": 3, "heads": 4}


@pytest.mark.parametrize(
    ("fields", "image", "params"),
    [
        (SMALL, DIGITS, 39_178),
        (SMALL | {"position": "none"}, DIGITS, 38_666),
        ({"width": 128, "depth": 6, "heads": 4}, CIFAR, 1_205_642),
        ({"patch": 2, "width": 128, "depth": 6, "heads": 4}, CIFAR, 1_225_610),
    ],
)
def test_parameter_counts(fields, image, params):
    assert sum(p.numel() for p in ViT(ViTConfig(**fields), image).parameters()) == params


@pytest.mark.parametrize(("position", "blind"), [("none", True), ("learned", False)])
def test_only_the_position_tells_the_order_of_patches(position, blind, excite, pixels):
    """Post 001: without position, attention cannot see order."""
    model = excite(ViT(ViTConfig(**SMALL, position=position), DIGITS)).eval()
    x = pixels(DIGITS)
    patches = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).transpose(3, 4).flatten(2, 3)
    shuffled = patches[:, :, torch.randperm(16, generator=torch.Generator().manual_seed(0))]
    y = shuffled.unflatten(2, (4, 4)).transpose(3, 4).flatten(4, 5).flatten(2, 3)
    assert y.shape == x.shape
    assert torch.allclose(model(x), model(y), atol=1e-4, rtol=1e-4) is blind


def test_attention_equals_torch(excite):
    """Against nn.MultiheadAttention under the same weights."""
    ours = excite(ViT(ViTConfig(**SMALL), DIGITS)).blocks[0].attention
    theirs = nn.MultiheadAttention(32, 4, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.qkv.weight,
            "in_proj_bias": ours.qkv.bias,
            "out_proj.weight": ours.out.weight,
            "out_proj.bias": ours.out.bias,
        }
    )
    x = torch.randn(2, 16, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("norm", "kinds"),
    [("layer", {nn.LayerNorm}), ("batch", {TokenBatchNorm}), ("rms", {TokenRMSNorm})],
)
def test_norm_replaces_every_norm(norm, kinds):
    model = ViT(ViTConfig(norm=norm), CIFAR)
    every = (nn.LayerNorm, nn.BatchNorm1d, nn.RMSNorm)
    found = [type(m) for m in model.modules() if isinstance(m, every)]
    assert set(found) == kinds
    assert len(found) == 2 * 4 + 1


def test_images_need_not_be_square(pixels):
    image = ImageSpec(height=8, width=20, channels=2, classes=4)
    assert ViT(ViTConfig(patch=4, depth=1), image)(pixels(image)).shape == (2, 4)
    assert geometry(ViTConfig(patch=4, depth=1), image) == (
        {"grid": (2, 5), "tokens": 10, "width": 96, "heads": 3, "depth": 1},
    )


def test_heads_must_divide_the_width():
    with pytest.raises(ValidationError) as error:
        ViTConfig(width=32, heads=3)
    message = "3 heads do not divide 32 channels; choose heads that divide width"
    assert error.value.errors()[0]["msg"] == f"Value error, {message}"


def test_post_norm_equals_the_encoder_of_torch(excite):
    """nn.TransformerEncoder, ReLU, LN(x + f(x)): the encoder of Vaswani 2017."""
    layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True)
    theirs = excite(nn.TransformerEncoder(layer, 3, enable_nested_tensor=False))
    fields = {"norm_place": "post", "activation": "relu", "mlp_ratio": 2.0}
    ours = ViT(ViTConfig(**SMALL, **fields), DIGITS).blocks
    names = {"self_attn.in_proj_": "attention.qkv.", "self_attn.out_proj": "attention.out"}
    names |= {"linear1": "mlp.fc1", "linear2": "mlp.fc2", "layers.": ""}
    state = {}
    for name, value in theirs.state_dict().items():
        for old, new in names.items():
            name = name.replace(old, new)  # noqa: PLW2901
        state[name] = value
    ours.load_state_dict(state)
    x = torch.randn(2, 16, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("fields", "params"),
    [
        ({"share_layers": True}, 2_102_784),
        ({"share_layers": False}, 10_513_920),
        ({"share_layers": False, "mlp_ratio": 4.0}, 5 * 3_152_384),
    ],
)
def test_the_encoder_of_post_002_has_one_layer_of_weights(fields, params):
    """As written, 5 layers share theirs, and the FFN is half as wide as the text says."""
    post002 = {
        "patch": 2,
        "width": 512,
        "heads": 8,
        "depth": 5,
        "norm_place": "post",
        "activation": "relu",
        "mlp_ratio": 2.0,
        "position": "none",
        "attention_scale": "fourth_root",
        "softmax_over": "queries",
    }
    model = ViT(ViTConfig(**post002 | fields), DIGITS)
    assert sum(p.numel() for p in model.blocks.parameters()) == params
    assert model.blocks[0].attention.mix.similarity.scale == pytest.approx(64**-0.25)
    assert isinstance(model.blocks[0].attention.mix, OverQueries)


@pytest.mark.parametrize(
    ("kind", "scale"), [("root", 8**-0.5), ("full", 1 / 8), ("fourth_root", 8**-0.25)]
)
def test_attention_scales(kind, scale):
    model = ViT(ViTConfig(**SMALL, attention_scale=kind), DIGITS)
    q, k = model.blocks[0].attention.mix.similarity(torch.ones(1, 4, 2, 8), torch.ones(1, 4, 2, 8))
    torch.testing.assert_close(q, torch.full((1, 4, 2, 8), scale))
    assert torch.equal(k, torch.ones(1, 4, 2, 8))


def test_a_learned_scale_starts_at_the_usual_one(pixels):
    answers = []
    for kind in ("learned", "root"):
        config = ViTConfig(**SMALL, attention_scale=kind)
        model = ViT(config, DIGITS)
        FAMILY.init(model, config, lambda name: torch.Generator().manual_seed(len(name)))
        answers.append(model(pixels(DIGITS)))
    torch.testing.assert_close(*answers)


def seen(config: ViTConfig, at: int) -> list[int]:
    """Tokens that the output of the first attention at place `at` depends on."""
    torch.manual_seed(0)
    module = ViT(config, DIGITS).blocks[0].attention
    (shown,) = geometry(config, DIGITS)
    x = torch.randn(1, shown["tokens"], config.width, requires_grad=True)
    module(x)[0, at].sum().backward()
    return (x.grad[0].abs().sum(-1) > 0).nonzero().flatten().tolist()


def test_a_band_limits_patches_but_not_the_prefix():
    """4x4 patches after a class token and two registers."""
    config = ViTConfig(**SMALL, band=1, pool="cls", registers=2)
    assert seen(config, 0) == list(range(19))
    assert seen(config, 3) == [0, 1, 2, *(3 + i for i in (0, 1, 4, 5))]
    assert seen(ViTConfig(**SMALL, band=1), 5) == [0, 1, 2, 4, 5, 6, 8, 9, 10]
    assert seen(ViTConfig(**SMALL), 5) == list(range(16))


def test_relative_bias_leaves_the_prefix_alone(excite):
    model = excite(ViT(ViTConfig(**SMALL, position_bias="table", pool="cls"), DIGITS))
    bias = model.blocks[0].attention.mix.bias.position()
    assert bias.shape == (4, 17, 17)
    assert not bias[:, 0].any()
    assert not bias[:, :, 0].any()
    table = model.blocks[0].attention.mix.bias.position.table
    torch.testing.assert_close(bias[:, 1, 1], table[24])  # 3 * 7 + 3: no offset
    torch.testing.assert_close(bias[:, 2, 1], table[25])  # one column to the right of the key


@pytest.mark.parametrize(
    "fields",
    [
        {"pool": "cls", "registers": 2, "band": 1},
        {"registers": 2, "position_bias": "table"},
        {"share_layers": True, "norm": "batch", "attention_scale": "learned"},
        {"norm_place": "post", "drop_path": 0.3, "position": "sincos2d", "stem": "conv"},
        {"norm_place": "res_post", "norm": "prepbn", "softmax_over": "queries"},
        {"qkv_bias": "none", "norm": "dyt", "position": "post002", "layer_scale": 0.1},
    ],
    ids=lambda fields: "-".join(map(str, fields.values())),
)
def test_combinations_learn(fields, assert_learns):
    assert_learns(FAMILY, ViTConfig(**SMALL | fields), DIGITS)


@pytest.mark.parametrize("attention", ["dot", "cosine", "additive"])
def test_a_patch_that_nobody_sees_has_no_queries_to_sum_over(attention):
    """The last one that is read, where it does not see itself: its column of scores is empty."""
    fields = {"attention": attention, "causal": True, "diagonal": False}
    assert ViTConfig(**fields).softmax_over == "keys"
    with pytest.raises(ValidationError, match="it has no queries for weights to sum to 1 over"):
        ViTConfig(**fields, softmax_over="queries")
    ViTConfig(**fields | {"attention": "linear"}, softmax_over="queries")  # which has no weights


def test_shared_layers_refuse_a_rate_per_layer():
    with pytest.raises(ValidationError) as error:
        ViTConfig(share_layers=True, drop_path=0.1)
    message = (
        "shared layers have one drop rate, drop_path gives each its own; "
        "choose share_layers = false or drop_path = 0.0"
    )
    assert error.value.errors()[0]["msg"] == f"Value error, {message}"


@pytest.mark.parametrize(
    "fields",
    [{}, {"position_bias": "table"}, {"causal": True}, {"attention": "cosine"}, {"qk_norm": True}],
    ids=["plain", "table", "causal", "cosine", "normed"],
)
def test_torchs_kernel_mixes_as_products_and_a_softmax_do(fields, excite, monkeypatch):
    """The kernel is taken on a GPU only; what it is given is the same on a CPU."""
    model = excite(ViT(ViTConfig(**(SMALL | fields)), DIGITS))
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    taken = []

    def pays(v):
        taken.append(tuple(v.shape))
        return True

    def both():
        model.zero_grad()
        logits = model(x)
        torch.autograd.backward(logits.square().sum())
        return [logits.detach(), *(p.grad for p in model.parameters())]

    plain = both()
    monkeypatch.setattr(attention, "kernel_pays", pays)
    kernel = both()
    assert taken == [(2, 4, 16, 8)] * 3  # images, heads, tokens, channels, in every block
    for one, other in zip(plain, kernel, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_weights_that_are_dropped_are_no_kernels(monkeypatch):
    monkeypatch.setattr(attention, "kernel_pays", lambda _: pytest.fail("asked"))
    ViT(ViTConfig(**SMALL, attn_drop=0.1), DIGITS).train()(torch.zeros(2, 1, 8, 8))
    ViT(ViTConfig(**SMALL, softmax_over="queries"), DIGITS)(torch.zeros(2, 1, 8, 8))
    ViT(ViTConfig(**SMALL, attention="additive"), DIGITS)(torch.zeros(2, 1, 8, 8))


def test_a_processor_has_no_kernel_for_attention():
    assert not attention.kernel_pays(torch.zeros(2, 4, 197, 8, dtype=torch.bfloat16))
