"""Parts for small data and controls of attention: each against another implementation."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from timm.layers import SwiGLU
from timm.models.pvt_v2 import MlpWithDepthwiseConv
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn

from swinablate.config.family import ImageSpec
from swinablate.models.families.swin import (
    FAMILY,
    Swin,
    SwinConfig,
    WindowAttention,
    geometry,
    stages,
)
from swinablate.models.families.vit import SelfAttention, UniformAttention, ViT, ViTConfig
from swinablate.models.fingerprint import signature
from swinablate.models.layers.bias import LinearSpaced, linear_offsets
from swinablate.models.layers.mlp import DepthwiseMlp, Hidden, Mlp, gated_width
from swinablate.models.layers.norm import TokenBatchNorm, TokenGroupNorm
from swinablate.models.layers.patch import ConvPoolStem, ShiftedPatches
from swinablate.models.layers.pool import Max, MeanMax, SequencePool, Skip
from swinablate.models.layers.window import without_self
from tests.models import copying
from tests.models.parity import vit_of_timm

DIGITS = ImageSpec(height=8, width=8, channels=1, classes=10)
TINY = {"patch": 1, "width": 16, "depths": (2, 2), "heads": (2, 4), "window": 2}
SMALL = {"patch": 2, "width": 32, "depth": 2, "heads": 4}


def noise(*size: int) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(0))


def test_shifted_patches_hold_each_patch_and_its_four_shifted_copies():
    """Lee 2021, fig. 3: by half a patch towards each corner, black from outside."""
    stem, x = ShiftedPatches(4, 2, 160), noise(1, 2, 8, 12)
    stem.norm = nn.Identity()
    stem.reduce.weight.data = torch.eye(160)
    nn.init.zeros_(stem.reduce.bias)
    y = stem(x)
    assert y.shape == (1, 2, 3, 160)
    around = F.pad(x, (4, 4, 4, 4))
    for row, column in itertools.product(range(2), range(3)):
        parts = []
        for down, right in ((0, 0), (-2, -2), (-2, 2), (2, -2), (2, 2)):
            top, left = 4 + 4 * row + down, 4 + 4 * column + right
            parts.append(around[0, :, top : top + 4, left : left + 4].flatten())
        assert torch.equal(y[0, row, column], torch.cat(parts))


def test_shifted_patches_are_normalised_before_they_are_projected():
    stem, x = ShiftedPatches(2, 1, 6), noise(1, 1, 4, 4)
    bare = ShiftedPatches(2, 1, 20)
    bare.norm = nn.Identity()
    bare.reduce.weight.data = torch.eye(20)
    nn.init.zeros_(bare.reduce.bias)
    torch.testing.assert_close(stem(x), stem.reduce(F.layer_norm(bare(x), (20,))))


def test_a_patch_of_one_pixel_has_no_half():
    message = r'^stem "spt" shifts by half a patch, and patches of 1 have no half; choose patch 2$'
    with pytest.raises(ValueError, match=message):
        ShiftedPatches(1, 3, 8)


@pytest.mark.parametrize(
    ("patch", "channels"),
    [(1, [(3, 10)]), (2, [(3, 10)]), (4, [(3, 64), (64, 10)]), (8, [(3, 64), (64, 64), (64, 10)])],
)
def test_pooled_convolutions_reach_the_grid(patch, channels):
    """The tokenizer of CCT: 64 channels inside, no biases."""
    stem = ConvPoolStem(patch, 3, 10)
    convs = [m for m in stem.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels) for m in convs] == channels
    assert all(m.bias is None for m in convs)
    x = noise(2, 3, 16, 8)
    assert stem(x).shape == (2, 16 // patch, 8 // patch, 10)
    for conv in convs:
        x = F.relu(F.conv2d(x, conv.weight, padding=1))
        x = x if patch == 1 else F.max_pool2d(x, 3, 2, 1)
    assert torch.equal(stem(noise(2, 3, 16, 8)), x.permute(0, 2, 3, 1))


def test_cct_2_has_its_published_size():
    """CCT-2/3x2 of the authors' README: 0.28M; by its layers 283,723."""
    config = ViTConfig(
        patch=4, stem="conv_pool", width=128, depth=2, heads=2, mlp_ratio=1.0, qkv_bias="none",
        pool="sequence",
    )  # fmt: skip
    model = ViT(config, ImageSpec(height=32, width=32, channels=3, classes=10))
    stem, layer = 27 * 64 + 9 * 64 * 128, 128 * 384 + 3 * (128 * 128 + 128) + 2 * 256
    expected = stem + 64 * 128 + 2 * layer + 256 + 129 + 1290
    assert sum(p.numel() for p in model.parameters()) == expected == 283_723


def test_an_mlp_with_a_depthwise_convolution_equals_timms(excite):
    theirs = excite(MlpWithDepthwiseConv(6, 12))
    ours = DepthwiseMlp(6, Hidden(2.0, "layer"))
    state = theirs.state_dict()
    ours.load_state_dict({name.replace("dwconv", "conv"): v for name, v in state.items()})
    x = noise(2, 4, 5, 6)
    expected = theirs(x.flatten(1, 2), [4, 5]).unflatten(1, (4, 5))
    torch.testing.assert_close(ours(x), expected)


@pytest.mark.parametrize(
    ("activation", "layer"), [("swiglu", nn.SiLU), ("geglu", nn.GELU)], ids=["swiglu", "geglu"]
)
def test_a_gated_mlp_equals_timms(activation, layer, excite):
    """Of 12 hidden channels two thirds are left: with three matrices as many numbers as before."""
    theirs = excite(SwiGLU(6, 8, act_layer=layer))
    ours = Mlp(6, Hidden(2.0, "layer", activation))
    state = theirs.state_dict().items()
    ours.load_state_dict(
        {name.replace("fc1_g", "fc1").replace("fc1_x", "value"): v for name, v in state}
    )
    x = noise(2, 4, 5, 6)
    torch.testing.assert_close(ours(x), theirs(x))
    counts = [sum(p.numel() for p in m.parameters()) for m in (ours, Mlp(6, Hidden(2.0, "layer")))]
    assert counts == [3 * 48 + 8 + 8 + 6, 2 * 72 + 12 + 6]  # the biases differ by 4


def test_a_gated_mlp_with_a_convolution_activates_what_was_convolved():
    """TransNeXt's ConvGLU: the value is of the token alone."""
    mlp = DepthwiseMlp(6, Hidden(2.0, "layer", "geglu"))
    x = noise(2, 4, 5, 6)
    convolved = mlp.conv(mlp.fc1(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(mlp(x), mlp.fc2(F.gelu(convolved) * mlp.value(x)))


@pytest.mark.parametrize(("hidden", "inner"), [(64, 43), (12, 8), (3, 2), (1, 1)])
def test_two_thirds_of_the_channels_are_rounded(hidden, inner):
    assert gated_width(hidden) == inner


@pytest.mark.parametrize(("width", "groups"), [(48, 3), (16, 1), (24, 1)])
def test_group_norm_is_torchs_with_channels_last(width, groups):
    norm, x = TokenGroupNorm(width), noise(2, 3, 5, width)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    expected = F.group_norm(x.permute(0, 3, 1, 2), groups, norm.weight, norm.bias)
    torch.testing.assert_close(norm(x), expected.permute(0, 2, 3, 1))


def test_linear_offsets():
    expected = [[a / 2, b] for a in range(-2, 3) for b in (-1, 0, 1)]
    torch.testing.assert_close(linear_offsets((3, 2)), torch.tensor(expected, dtype=torch.float))
    assert not linear_offsets((1, 1)).any()


def test_linear_bias_is_the_networks_answer_to_each_offset(excite):
    bias = excite(LinearSpaced((2, 3), 4))
    row, column = 1, 2  # the query; the key is the first token
    answer = bias.fc2(F.relu(bias.fc1(torch.tensor([1.0, 1.0]))))
    torch.testing.assert_close(bias()[:, row * 3 + column, 0], 16 * answer.sigmoid())


def test_without_itself_a_token_keeps_itself_only_where_it_is_alone():
    seen = torch.tensor([[[1, 1, 0], [1, 1, 0], [0, 0, 1]]]).bool()
    assert without_self(seen).int().tolist() == [[[0, 1, 0], [1, 0, 0], [0, 0, 1]]]


def reference(module: nn.Module, q: Tensor, k: Tensor, v: Tensor, hidden: Tensor) -> Tensor:
    """torch's own attention, its last axes tokens and channels."""
    mask = torch.zeros(hidden.shape).masked_fill(hidden, float("-inf"))
    q = q * module.mix.similarity.log_scale.exp()[:, None, None]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)


def test_locality_self_attention_of_vit(excite):
    """Lee 2021, eq. 5 to 7: learned temperatures, and nobody attends to themselves."""
    config = ViTConfig(**SMALL, diagonal=False, attention_scale="learned", pool="cls")
    module = excite(SelfAttention((4, 4), config))
    x = noise(2, 17, 32)
    q, k, v = module.qkv(x).view(2, 17, 3, 4, 8).permute(2, 0, 3, 1, 4)
    expected = reference(module, q, k, v, torch.eye(17).bool()).transpose(1, 2).flatten(2)
    torch.testing.assert_close(module(x), module.out(expected), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("window", [2, 4])
def test_locality_self_attention_of_swin(window, excite):
    """Both ways of attending: sums of products, and matrix products."""
    config = SwinConfig(
        patch=1, width=8, depths=(1,), heads=(2,), window=window, position_bias="none",
        diagonal=False, attention_scale="learned",
    )  # fmt: skip
    (stage,) = stages(config, ImageSpec(height=4, width=4, channels=1, classes=2))
    module = excite(WindowAttention(stage, (0, 0), config))
    x, tokens = noise(1, 4, 4, 8), window**2
    cut = x.view(1, 4 // window, window, 4 // window, window, 8).transpose(2, 3)
    cut = cut.reshape(-1, tokens, 8)
    q, k, v = module.qkv(cut).view(-1, tokens, 3, 2, 4).permute(2, 0, 3, 1, 4)
    mixed = reference(module, q, k, v, torch.eye(tokens).bool()).transpose(1, 2).flatten(2)
    grid = module.out(mixed).view(1, 4 // window, 4 // window, window, window, 8)
    expected = grid.transpose(2, 3).reshape(1, 4, 4, 8)
    torch.testing.assert_close(module(x), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "scale"), [("root", 8**-0.5), ("full", 1 / 8), ("fourth_root", 8**-0.25)]
)
def test_attention_scales_of_swin(kind, scale):
    model = Swin(SwinConfig(**TINY, attention_scale=kind), DIGITS)
    assert model.stages[0].blocks[0].attention.mix.similarity.scale == pytest.approx(scale)


def test_a_learned_scale_of_swin_starts_at_the_usual_one():
    answers = []
    for kind in ("learned", "root"):
        config = SwinConfig(**TINY, attention_scale=kind)
        model = Swin(config, DIGITS)
        FAMILY.init(model, config, lambda name: torch.Generator().manual_seed(len(name)))
        answers.append(model(noise(2, 1, 8, 8)))
    torch.testing.assert_close(*answers)


@pytest.mark.parametrize("window", [2, 4])
def test_queries_and_keys_are_normalised_by_head(window, excite):
    """Then the scores no longer know how long they were."""
    config = SwinConfig(**TINY | {"window": window}, qk_norm=True)
    module = excite(Swin(config, DIGITS)).stages[0].blocks[0].attention
    for norm in (module.mix.similarity.norm_q, module.mix.similarity.norm_k):
        assert norm.normalized_shape == (8,)
    before, x = module(noise(2, 8, 8, 16)), noise(2, 8, 8, 16)
    with torch.no_grad():
        module.qkv.weight[:32] *= 7
        module.qkv.bias[:32] *= 7
    torch.testing.assert_close(module(x), before, atol=1e-4, rtol=1e-4)


def test_uniform_attention_of_vit_is_the_mean_of_what_is_seen():
    config = ViTConfig(**SMALL, attention="uniform", band=1, pool="cls")
    module = UniformAttention((4, 4), config)
    for layer in (module.value, module.out):
        nn.init.eye_(layer.weight)
        nn.init.zeros_(layer.bias)
    x = noise(2, 17, 32)
    y = module(x)
    torch.testing.assert_close(y[:, 0], x.mean(1))
    corner = [0, 1, 2, 5, 6]  # the class token, and rows and columns 0 and 1
    torch.testing.assert_close(y[:, 1], x[:, corner].mean(1))


def test_cosine_and_linear_attention_of_vit(excite):
    x = noise(2, 16, 32)

    def parts(module: nn.Module) -> tuple[Tensor, ...]:
        return module.qkv(x).view(2, 16, 3, 4, 8).permute(2, 0, 3, 1, 4).unbind(0)

    cosine = excite(SelfAttention((4, 4), ViTConfig(**SMALL, attention="cosine")))
    q, k, v = parts(cosine)
    scores = F.cosine_similarity(q[..., :, None, :], k[..., None, :, :], dim=-1)
    scale = cosine.mix.similarity.log_scale.clamp(max=4.6052).exp()[:, None, None]
    mixed = ((scores * scale).softmax(-1) @ v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(cosine(x), cosine.out(mixed), atol=1e-5, rtol=1e-4)

    linear = excite(SelfAttention((4, 4), ViTConfig(**SMALL, attention="linear")))
    q, k, v = parts(linear)
    weights = (F.elu(q) + 1) @ (F.elu(k) + 1).mT
    mixed = (weights / weights.sum(-1, keepdim=True) @ v).transpose(1, 2).flatten(2)
    torch.testing.assert_close(linear(x), linear.out(mixed), atol=1e-4, rtol=1e-4)


def test_pools():
    x = noise(2, 3, 4, 5)
    flat = x.view(2, 12, 5)
    assert torch.equal(Max()(x), flat.max(1).values)
    torch.testing.assert_close(MeanMax()(x), 0.5 * flat.mean(1) + 0.5 * flat.max(1).values)
    pool = SequencePool(5)
    weights = torch.softmax(flat @ pool.score.weight[0] + pool.score.bias, 1)
    torch.testing.assert_close(pool(x), torch.einsum("bn,bnc->bc", weights, flat))
    assert torch.equal(Skip(2)(flat), flat[:, 2:])


@pytest.mark.parametrize("pool", ["max", "meanmax", "sequence"])
def test_registers_are_not_pooled(pool, excite):
    model = excite(ViT(ViTConfig(**SMALL, pool=pool, registers=3), DIGITS))
    x = noise(2, 19, 32).requires_grad_()
    model.pool(x).sum().backward()
    seen = x.grad.abs().sum((0, 2)) > 0
    assert not seen[:3].any()
    assert seen[3:].sum() > 3


def test_hybrid_norm_is_layer_between_tokens_and_batch_between_channels():
    model = Swin(SwinConfig(**TINY, norm="hybrid", norm_place="sandwich"), DIGITS)
    found = {
        name: type(m)
        for name, m in model.named_modules()
        if isinstance(m, nn.LayerNorm | TokenBatchNorm)
    }
    batch = {name for name, kind in found.items() if kind is TokenBatchNorm}
    assert len(found) == 4 * 4 + 3
    assert batch == {
        *(
            f"stages.{stage}.blocks.{i}.{name}"
            for stage in (0, 1)
            for i in (0, 1)
            for name in ("norm2", "norm2_out")
        ),
        "stages.0.merge.norm",
    }


def test_without_norms_there_are_none():
    model = Swin(SwinConfig(**TINY, norm="none"), DIGITS)
    assert not [n for n, _ in model.named_parameters() if "norm" in n]
    assert not [m for m in model.modules() if isinstance(m, nn.LayerNorm | nn.BatchNorm1d)]


def test_a_sandwich_has_norms_at_both_ends_of_a_branch(excite):
    model = excite(Swin(SwinConfig(**TINY, norm_place="sandwich"), DIGITS))
    block, x = model.stages[0].blocks[1], noise(2, 8, 8, 16)
    y = x + block.norm1_out(block.attention(block.norm1(x)))
    torch.testing.assert_close(block(x), y + block.norm2_out(block.mlp(block.norm2(y))))


def test_shared_blocks_have_one_set_of_weights_and_their_own_windows(excite):
    """The same as a network of separate blocks that happen to be equal."""
    fields = TINY | {"depths": (3, 2), "norm": "batch", "layer_scale": 0.1}
    shared = excite(Swin(SwinConfig(**fields, share_layers=True), DIGITS)).eval()
    apart = Swin(SwinConfig(**fields), DIGITS).eval()
    apart.load_state_dict(shared.state_dict())
    x = noise(2, 1, 8, 8)
    torch.testing.assert_close(shared(x), apart(x))

    def count(model: nn.Module, stage: int) -> int:
        return sum(p.numel() for p in model.stages[stage].blocks.parameters())

    assert [count(apart, i) for i in (0, 1)] == [3 * count(shared, 0), 2 * count(shared, 1)]
    masks = [name for name, _ in shared.named_buffers() if name.endswith("mask")]
    assert masks == [f"stages.{i}.blocks.1.attention.mix.bias.mask" for i in (0, 1)]


@pytest.mark.parametrize(
    ("by", "at", "expected"),
    [
        (1, (0, 0), ([0], [0])),
        (1, (3, 5), ([1, 2, 3, 4], [5, 6, 7])),
        (3, (0, 7), ([0, 1, 2], [7])),
        (3, (3, 3), ([3, 4, 5, 6], [3, 4, 5, 6])),
    ],
)
def test_shift_by_says_how_far(by, at, expected):
    """8x8, window 4: what wrapped stays apart, however far it was."""
    config = SwinConfig(patch=1, width=4, depths=(2,), heads=(1,), window=4, shift_by=by)
    (shown,) = geometry(config, DIGITS)
    assert shown["shift"] == (by, by)
    x = noise(1, 8, 8, 4).requires_grad_()
    block = Swin(config, DIGITS).stages[0].blocks[1]
    block.attention(x)[0, at[0], at[1]].sum().backward()
    seen = (x.grad[0].abs().sum(-1) > 0).nonzero().tolist()
    assert seen == [list(pair) for pair in itertools.product(*expected)]


def test_a_shift_past_the_window_is_refused():
    message = "^stage 0: shift_by 3 moves windows of 2 past themselves; choose less, or model"
    with pytest.raises(ValueError, match=message):
        geometry(SwinConfig(**TINY, shift_by=3), DIGITS)
    config = SwinConfig(**TINY, shift_by=1)
    assert signature(FAMILY, config, DIGITS) == signature(FAMILY, SwinConfig(**TINY), DIGITS)


@pytest.mark.parametrize(
    "fields",
    [
        {"diagonal": False, "attention_scale": "learned", "qk_norm": True},
        {"share_layers": True, "norm": "hybrid", "norm_place": "sandwich", "drop_path": 0.3},
        {"mlp_conv": True, "norm": "group", "head": "meanmax", "activation": "relu"},
        {"stem": "conv_pool", "position_bias": "linear_cpb", "norm": "none", "head": "max"},
        {"share_layers": True, "norm_place": "res_post", "position_bias": "log_cpb"},
    ],
    ids=lambda fields: "-".join(map(str, fields.values())),
)
def test_combinations_learn(fields, assert_learns):
    assert_learns(FAMILY, SwinConfig(**TINY | {"window": 4} | fields), DIGITS)


def louder(model: nn.Module) -> nn.Module:
    """With weights large enough for masks to matter."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * noise(*parameter.shape))
    return model


def assert_drops_alike(ours: nn.Module, theirs: nn.Module, names: dict[str, float]) -> None:
    """One seed of torch's generator gives both the same logits while they train."""
    for module in theirs.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False  # it draws in another order
    answers = []
    for model in (ours.train(), theirs.train()):
        torch.manual_seed(0)
        answers.append(model(noise(4, 1, 8, 8)))
    torch.testing.assert_close(*answers, atol=1e-4, rtol=1e-4)
    torch.manual_seed(1)
    assert not torch.allclose(ours(noise(4, 1, 8, 8)), answers[0], atol=1e-2)
    assert torch.equal(ours.eval()(noise(4, 1, 8, 8)), ours(noise(4, 1, 8, 8)))
    assert names == {
        path: module.p for path, module in ours.named_modules() if isinstance(module, nn.Dropout)
    }


def test_vit_drops_what_timm_drops():
    """Behind the patches, on the weights, behind attention and both layers of the MLP."""
    rates = {"pos_drop_rate": 0.2, "proj_drop_rate": 0.2, "attn_drop_rate": 0.3}
    theirs = louder(vit_of_timm(**rates)())
    config = ViTConfig(**SMALL | {"depth": 3}, pool="cls", drop=0.2, attn_drop=0.3)
    ours = ViT(config, DIGITS)
    ours.load_state_dict(copying.vit_of_timm(theirs.state_dict()))
    places = ("attention.drop", "mlp.drop1", "mlp.drop2")
    names = {"drop": 0.2} | {f"blocks.{i}.{place}": 0.2 for i in range(3) for place in places}
    names |= {f"blocks.{i}.attention.mix.drop": 0.3 for i in range(3)}
    assert_drops_alike(ours, theirs, names)


def test_swin_drops_what_timm_drops():
    """One window, so that both have the same order of tokens; timm drops nothing at the start."""
    theirs = SwinTransformer(
        img_size=8, patch_size=1, in_chans=1, num_classes=10, embed_dim=16, depths=(1,),
        num_heads=(2,), window_size=8, drop_path_rate=0.0, proj_drop_rate=0.2, attn_drop_rate=0.3,
    )  # fmt: skip
    fields = {"patch": 1, "width": 16, "depths": (1,), "heads": (2,), "window": 8}
    ours = Swin(SwinConfig(**fields, drop=0.2, attn_drop=0.3), DIGITS)
    ours.load_state_dict(copying.swin_of_timm(louder(theirs).state_dict()))
    assert ours.drop.p == 0.2
    ours.drop = nn.Identity()
    places = {"attention.drop": 0.2, "attention.mix.drop": 0.3, "mlp.drop1": 0.2, "mlp.drop2": 0.2}
    names = {f"stages.0.blocks.0.{place}": rate for place, rate in places.items()}
    assert_drops_alike(ours, theirs, names)


@pytest.mark.parametrize(
    ("kind", "attention"),
    [(SwinConfig, "bias_only"), (SwinConfig, "linear"), (ViTConfig, "uniform")],
)
def test_weights_that_no_image_has_are_not_dropped(kind, attention):
    message = (
        f"{attention} attention has no weights of an image's own to drop; "
        "choose attn_drop = 0.0, or dot, cosine or additive attention"
    )
    with pytest.raises(ValueError, match=message):
        kind(attention=attention, attn_drop=0.1)


def test_weights_of_small_windows_are_dropped_too():
    """Of 4 tokens, whose products are sums."""
    model = Swin(SwinConfig(**TINY, attn_drop=0.99), DIGITS)
    torch.manual_seed(0)
    with torch.no_grad():
        for block in model.stages[0].blocks:
            q = k = v = torch.ones(2, 8, 4, 16, 2)  # m d n k b
            assert (block.attention.mix.eval()(q, k, v) == 0).float().mean() == 0
            assert (block.attention.mix.train()(q, k, v) == 0).float().mean() > 0.9
