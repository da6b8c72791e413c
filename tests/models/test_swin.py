"""Swin against torchvision's, and what its switches mean."""

import re

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torchvision.models.swin_transformer import SwinTransformer

from swinablate.config.family import ImageSpec
from swinablate.models.families.swin import FAMILY, Swin, SwinConfig, geometry
from swinablate.models.families.vit import ViT, ViTConfig
from swinablate.models.fingerprint import signature
from swinablate.models.layers.norm import TokenBatchNorm, TokenRMSNorm
from swinablate.models.layers.window import allowed
from tests.models.copying import swin_of_torchvision

DIGITS = ImageSpec(height=8, width=8, channels=1, classes=10)
CIFAR = ImageSpec(height=32, width=32, channels=3, classes=10)
POST000 = {
    "patch": 4,
    "depths": (2, 2, 2),
    "heads": (4, 8, 16),
    "window": 2,
    "position_bias": "none",
    "patch_norm": False,
    "shift_covered": True,
    "shift_mask": "post000",
    "init": "torch",
}
TINY = {"patch": 1, "width": 16, "depths": (2, 2), "heads": (2, 4), "window": 2}


def torchvision_twin(config: SwinConfig, classes: int = 10) -> nn.Module:
    return SwinTransformer(
        patch_size=[config.patch] * 2,
        embed_dim=config.width,
        depths=list(config.depths),
        num_heads=list(config.heads),
        window_size=[config.window] * 2,
        num_classes=classes,
        stochastic_depth_prob=0.0,
    )


def test_equals_torchvision_without_shift(excite):
    """A twin of one block a stage never shifts."""
    config = SwinConfig(patch=2, width=24, heads=(3, 6), depths=(1, 1), window=4)
    theirs = excite(torchvision_twin(config))
    ours = Swin(config, CIFAR)
    ours.load_state_dict(swin_of_torchvision(theirs.state_dict()))
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-4)


def test_equals_torchvision_with_its_shift_taken_away(excite):
    config = SwinConfig(patch=2, width=24, heads=(3, 6), depths=(2, 2), window=4, shift=False)
    theirs = excite(torchvision_twin(config))
    for module in theirs.modules():
        if hasattr(module, "shift_size"):
            module.shift_size = [0, 0]
    ours = Swin(config, CIFAR)
    ours.load_state_dict(swin_of_torchvision(theirs.state_dict()))
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "image", "params"),
    [
        (TINY, DIGITS, 34_710),
        (TINY | {"position_bias": "none"}, DIGITS, 34_602),
        (TINY | {"norm": "batch_ffn"}, DIGITS, 35_478),
        (TINY | {"norm": "batch"}, DIGITS, 34_710),
        (TINY | {"window": 4}, DIGITS, 35_190),
        ({"heads": (3, 6, 12), "depths": (2, 2, 2)}, CIFAR, 1_268_356),
        (POST000, CIFAR, 1_267_930),
    ],
)
def test_parameter_counts(changes, image, params):
    model = Swin(SwinConfig(**changes), image)
    assert sum(p.numel() for p in model.parameters()) == params


@pytest.mark.parametrize(
    ("norm", "kinds"),
    [
        ("layer", {nn.LayerNorm}),
        ("batch", {TokenBatchNorm}),
        ("batch_ffn", {TokenBatchNorm}),
        ("rms", {TokenRMSNorm}),
    ],
)
def test_norm_replaces_every_norm(norm, kinds):
    model = Swin(SwinConfig(norm=norm), CIFAR)
    every = (nn.LayerNorm, nn.BatchNorm1d, nn.RMSNorm)
    found = [type(m) for m in model.modules() if isinstance(m, every)]
    inside = 4 if norm == "batch_ffn" else 0
    assert set(found) == kinds
    assert len(found) == 2 * 4 + 1 + 2 + inside  # of each block, merge, after patches and last


def test_batch_norm_normalises_over_images_and_places():
    """The example of post 002: three features of four tokens."""
    x = torch.tensor([[1.0, 1, 1], [1, 2, 4], [1, 5, 5], [1, 3, 4]])
    batch, layer = TokenBatchNorm(3, eps=1e-5), nn.LayerNorm(3)
    rows = [[0, -1.1832, -1.6667], [0, -0.5071, 0.3333], [0, 1.5213, 1.0], [0, 0.1690, 0.3333]]
    torch.testing.assert_close(
        batch(x.view(2, 2, 3)).view(4, 3), torch.tensor(rows), atol=1e-4, rtol=0
    )
    rows = [[0, 0, 0], [-1.0690, -0.2673, 1.3363], [-1.4142, 0.7071, 0.7071]]
    rows += [[-1.3363, 0.2673, 1.0690]]
    torch.testing.assert_close(layer(x), torch.tensor(rows), atol=1e-4, rtol=0)


def test_padding_does_not_enter_batch_statistics():
    """Running means after one step are those of the real tokens, in every norm of a block."""
    config = SwinConfig(
        patch=1, width=4, depths=(2,), heads=(1,), window=7, pad="masked", norm="batch"
    )
    model = Swin(config, DIGITS)
    seen: dict[str, int] = {}
    for name, module in model.named_modules():
        if isinstance(module, TokenBatchNorm):
            module.register_forward_hook(
                lambda _, args, __, name=name: seen.update({name: args[0].flatten(0, -2).shape[0]})
            )
    model(torch.randn(3, 1, 8, 8))
    assert set(seen.values()) == {3 * 64}


def test_a_window_over_the_grid_is_global_attention(excite, pixels):
    """No switch of the shift acts, and every token sees every other."""
    fields = TINY | {"window": 8, "depths": (2,), "heads": (2,)}
    model = excite(Swin(SwinConfig(**fields), DIGITS))
    x = torch.randn(1, 8, 8, 16, requires_grad=True)
    model.stages[0].blocks[1].attention(x)[0, 0, 0].sum().backward()
    assert (x.grad.abs().sum(-1) > 0).all()
    same = [
        fields,
        fields | {"window": 30},
        fields | {"shift": False},
        fields | {"shift_mask": "none"},
        fields | {"pad": "masked"},
    ]
    assert len({signature(FAMILY, SwinConfig(**f), DIGITS) for f in same}) == 1


def test_a_bias_table_of_zeros_is_no_bias(excite, pixels):
    ours = excite(Swin(SwinConfig(), CIFAR))
    bare = Swin(SwinConfig(position_bias="none"), CIFAR)
    state = ours.state_dict()
    for name, value in state.items():
        if name.endswith("table"):
            value.zero_()
    bare.load_state_dict({k: v for k, v in state.items() if not k.endswith("table")})
    x = pixels(CIFAR)
    torch.testing.assert_close(ours(x), bare(x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("image", "fields"),
    [
        (ImageSpec(height=8, width=16, channels=1, classes=3), TINY),
        (ImageSpec(height=16, width=8, channels=2, classes=3), TINY | {"window": 4}),
        (ImageSpec(height=4, width=16, channels=3, classes=2), TINY | {"window": 8}),
        (DIGITS, TINY | {"depths": (1,), "heads": (1,)}),
        (DIGITS, TINY | {"window": 1}),
        (ImageSpec(height=2, width=2, channels=1, classes=2), TINY),
        (DIGITS, TINY | {"window": 3, "pad": "masked", "norm": "batch_ffn"}),
    ],
)
def test_unusual_shapes_train(image, fields, pixels):
    model = Swin(SwinConfig(**fields), image)
    logits = model(pixels(image))
    assert logits.shape == (2, image.classes)
    logits.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_geometry_shows_what_is_built():
    shown = geometry(SwinConfig(depths=(2, 2, 1), heads=(3, 6, 12), window=8), CIFAR)
    assert shown == (
        {"grid": (16, 16), "window": (8, 8), "shift": (4, 4), "pad": (0, 0), "width": 48,
         "heads": 3, "depth": 2},
        {"grid": (8, 8), "window": (8, 8), "shift": (0, 0), "pad": (0, 0), "width": 96,
         "heads": 6, "depth": 2},
        {"grid": (4, 4), "window": (4, 4), "shift": (0, 0), "pad": (0, 0), "width": 192,
         "heads": 12, "depth": 1},
    )  # fmt: skip


def test_geometry_of_padding_and_oblong_grids():
    oblong = ImageSpec(height=4, width=12, channels=1, classes=2)
    (stage,) = geometry(
        SwinConfig(patch=1, depths=(2,), heads=(3,), window=5, pad="masked"), oblong
    )
    assert (stage["window"], stage["shift"], stage["pad"]) == ((4, 5), (0, 2), (0, 3))


def test_one_block_a_stage_never_shifts():
    (stage,) = geometry(SwinConfig(depths=(1,), heads=(3,)), CIFAR)
    assert stage["shift"] == (0, 0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"window": 3},
            (
                "stage 0: window 3 does not tile the 16x16 grid; "
                'choose a divisor, or model.pad = "masked"'
            ),
        ),
        (
            {"patch": 5},
            'patch 5 does not tile the 32x32 image; choose a divisor of both sides, or model.pad = "masked"',
        ),
        (
            {"patch": 32},
            (
                "stage 1: the 1x1 grid cannot be halved; "
                'choose a patch or a number of stages that leaves even grids, or model.pad = "masked"'
            ),
        ),
    ],
)
def test_what_does_not_tile_is_refused(fields, message):
    for act in (geometry, Swin):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            act(SwinConfig(**fields), CIFAR)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"heads": (3,)},
            "heads has 1 entries, depths has 2; give both one entry per stage",
        ),
        (
            {"heads": (3, 5)},
            (
                "stage 1: 5 heads do not divide 96 channels; "
                "choose heads that divide width * 2**stage"
            ),
        ),
        (
            {"mlp_ratio": 0.3},
            (
                "mlp_ratio 0.3 of 48 channels is 14.4; "
                "choose a ratio that gives a whole number of channels"
            ),
        ),
    ],
)
def test_what_contradicts_itself_is_refused(fields, message):
    with pytest.raises(ValidationError) as error:
        SwinConfig(**fields)
    assert error.value.errors()[0]["msg"] == f"Value error, {message}"


def test_the_swin_of_post_000_never_looks_across_a_window(excite):
    """Its shifted blocks are no-ops, on the last 2x2 grid too: 4x4 tokens stay together."""
    model = excite(Swin(SwinConfig(**POST000), CIFAR))
    for i, side in enumerate((8, 4, 2)):
        module = model.stages[i].blocks[1].attention
        x = torch.randn(1, side, side, 48 * 2**i, requires_grad=True)
        module(x)[0, 1, 0].sum().backward()
        assert (x.grad[0].abs().sum(-1) > 0).nonzero().tolist() == [[1, 0]]
    right = Swin(SwinConfig(**POST000 | {"shift_mask": "regions"}), CIFAR)
    x = torch.randn(1, 8, 8, 48, requires_grad=True)
    right.stages[0].blocks[1].attention(x)[0, 1, 1].sum().backward()
    found = (x.grad[0].abs().sum(-1) > 0).nonzero().tolist()
    assert found == [[1, 1], [1, 2], [2, 1], [2, 2]]


def quarters(side):
    """By loops, as the post has them, over tokens i and j of a window: who may look at whom."""
    half = side // 2
    return [
        [
            (i // side >= half) == (j // side >= half) and (i % side >= half) == (j % side >= half)
            for j in range(side**2)
        ]
        for i in range(side**2)
    ]


@pytest.mark.parametrize("side", [2, 3, 4, 5, 7])
def test_the_mask_of_post_000_cuts_every_window_at_its_middle(side):
    """Of an odd window the first part is the smaller one."""
    grid = (2 * side, 2 * side)
    seen = allowed(grid, (0, 0), (side, side), (side // 2, side // 2), "post000")
    assert seen.tolist() == [quarters(side)] * 4


def test_without_a_shift_the_mask_of_post_000_cuts_nothing():
    assert allowed((6, 6), (0, 0), (3, 3), (0, 0), "post000").all()
    rows = allowed((6, 3), (0, 0), (3, 3), (1, 0), "post000")[0]
    assert rows[0].tolist() == [True] * 3 + [False] * 6


def test_windows_may_differ_between_stages():
    shown = geometry(SwinConfig(window=(8, 2)), CIFAR)
    assert [(s["window"], s["shift"]) for s in shown] == [((8, 8), (4, 4)), ((2, 2), (1, 1))]


def test_a_band_limits_what_a_token_sees():
    config = SwinConfig(patch=1, width=4, depths=(1,), heads=(1,), window=8, band=2)
    block = Swin(config, DIGITS).stages[0].blocks[0]
    x = torch.randn(1, 8, 8, 4, requires_grad=True)
    block.attention(x)[0, 0, 4].sum().backward()
    found = (x.grad[0].abs().sum(-1) > 0).nonzero().tolist()
    assert found == [[r, c] for r in range(3) for c in range(2, 7)]
    wide = SwinConfig(**TINY, band=1)
    assert signature(FAMILY, wide, DIGITS) == signature(FAMILY, SwinConfig(**TINY), DIGITS)


def test_attention_by_position_alone_does_not_ask_what_tokens_are(excite):
    """Weights of the mixture are the same for every image."""
    for kind, bias in (("bias_only", "table"), ("uniform", "table"), ("bias_only", "none")):
        config = SwinConfig(**TINY, attention=kind, position_bias=bias)
        mixed = excite(Swin(config, DIGITS)).stages[0].blocks[1].attention
        mixed.value.bias.data.zero_()
        mixed.out.bias.data.zero_()
        a, b = torch.randn(2, 1, 8, 8, 16).unbind(0)
        torch.testing.assert_close(mixed(a + 2 * b), mixed(a) + 2 * mixed(b), atol=1e-4, rtol=1e-4)
    uniform, nothing = (
        signature(FAMILY, SwinConfig(**TINY, **fields), DIGITS)
        for fields in (
            {"attention": "uniform"},
            {"attention": "bias_only", "position_bias": "none"},
        )
    )
    assert uniform == nothing


def test_uniform_attention_is_the_mean_of_the_window():
    config = SwinConfig(patch=1, width=4, depths=(1,), heads=(2,), window=4, attention="uniform")
    module = Swin(config, DIGITS).stages[0].blocks[0].attention
    for layer in (module.value, module.out):
        nn.init.eye_(layer.weight)
        nn.init.zeros_(layer.bias)
    x = torch.randn(2, 8, 8, 4)
    windows = x.unflatten(2, (2, 4)).unflatten(1, (2, 4)).mean((2, 4))
    expected = windows.repeat_interleave(4, 1).repeat_interleave(4, 2)
    torch.testing.assert_close(module(x), expected)


def test_linear_attention_sees_the_whole_grid():
    config = SwinConfig(**TINY, attention="linear")
    shown = geometry(config, DIGITS)
    assert [(s["window"], s["shift"]) for s in shown] == [((8, 8), (0, 0)), ((4, 4), (0, 0))]
    x = torch.randn(1, 8, 8, 16, requires_grad=True)
    Swin(config, DIGITS).stages[0].blocks[0].attention(x)[0, 0, 0].sum().backward()
    assert (x.grad.abs().sum(-1) > 0).all()


@pytest.mark.parametrize(
    ("merge", "grid", "width"),
    [("linear", 4, 32), ("conv", 4, 32), ("avg", 4, 32), ("none", 8, 16)],
)
def test_merging(merge, grid, width):
    config = SwinConfig(**TINY, merge=merge)
    second = geometry(config, DIGITS)[1]
    assert (second["grid"], second["width"]) == ((grid, grid), width)
    y = Swin(config, DIGITS).stages[0](torch.randn(2, 8, 8, 16))
    assert y.shape == (2, grid, grid, width)


@pytest.mark.parametrize("window", [2, 4])
@pytest.mark.parametrize(
    "fields",
    [
        {"attention": "cosine", "position_bias": "log_cpb", "qkv_bias": "query_value"},
        {"norm_place": "post", "norm": "batch", "drop_path": 0.5},
        {"norm_place": "res_post", "norm": "prepbn", "layer_scale": 0.1},
        {"norm_place": "res_post", "norm": "dyt"},
        {"attention": "bias_only", "band": 1, "qkv_bias": "none", "head": "fc"},
        {"absolute_position": "sincos2d", "stem": "conv", "merge": "conv"},
        {"absolute_position": "sincos1d", "merge": "none", "heads": (2, 2)},
        {"absolute_position": "learned", "merge": "avg", "norm": "rms", "init": "torch"},
    ],
    ids=lambda fields: "-".join(map(str, fields.values())),
)
def test_combinations_learn(fields, window, assert_learns):
    assert_learns(FAMILY, SwinConfig(**TINY | {"window": window} | fields), DIGITS)


def test_a_res_post_block_starts_as_the_identity():
    config = SwinConfig(**TINY, norm_place="res_post")
    model = Swin(config, DIGITS)
    FAMILY.init(model, config, lambda name: torch.Generator().manual_seed(0))
    x = torch.randn(2, 8, 8, 16)
    assert torch.equal(model.stages[0].blocks(x), x)


@pytest.mark.parametrize("place", ["pre", "post", "res_post", "sandwich"])
def test_after_a_block_that_ends_with_a_norm_comes_no_other(place):
    """Vaswani et al. have none after the last block; the others need theirs."""
    last = Swin(SwinConfig(**TINY, norm_place=place), DIGITS).norm
    assert isinstance(last, nn.Identity if place == "post" else nn.LayerNorm)
    last = ViT(ViTConfig(width=16, heads=2, depth=2, norm_place=place), DIGITS).norm
    assert isinstance(last, nn.Identity if place == "post" else nn.LayerNorm)


def test_norm_places():
    """pre: x + f(norm x); post: norm(x + f x); res_post: x + norm(f x)."""
    x = torch.randn(2, 8, 8, 16)
    expected = {
        "pre": lambda b: x + b.attention(b.norm1(x)),
        "post": lambda b: b.norm1(x + b.attention(x)),
        "res_post": lambda b: x + b.norm1(b.attention(x)),
    }
    for place, formula in expected.items():
        block = Swin(SwinConfig(**TINY, norm_place=place), DIGITS).stages[0].blocks[1]
        nn.init.constant_(block.norm1.weight, 0.7)
        block.mlp = nn.Identity()
        second = {"pre": lambda y, b=block: y + b.norm2(y)}
        second["post"] = lambda y, b=block: b.norm2(y + y)
        second["res_post"] = second["pre"]
        torch.testing.assert_close(block(x), second[place](formula(block)))


def test_one_grey_pixel_keeps_its_value_through_the_first_norm():
    """A patch embedding without a bias would leave of it nothing but its sign."""
    config = SwinConfig(patch=1, width=16, depths=(2,), heads=(2,), window=2)
    model = Swin(config, ImageSpec(height=4, width=4, channels=1, classes=2))
    FAMILY.init(model, config, lambda name: torch.Generator().manual_seed(len(name)))
    grey = torch.linspace(0.2, 1.0, 16).reshape(1, 1, 4, 4)
    tokens = model.embed(grey).flatten(0, -2)
    assert (tokens - tokens[0]).abs().max() > 0.1
