"""Weights of other implementations: their files, names and sizes made ours, or refused."""

import hashlib
import re
import sys

import pytest
import safetensors.torch
import timm
import torch
from timm.layers import resample_abs_pos_embed, resize_rel_pos_bias_table_simple
from timm.models.convnext import ConvNeXt as TimmConvNeXt
from timm.models.convnext import checkpoint_filter_fn
from timm.models.swin_transformer import SwinTransformer as TimmSwin
from timm.models.swin_transformer_v2 import SwinTransformerV2 as TimmSwin2
from timm.models.vision_transformer import VisionTransformer as TimmViT
from torch import nn
from torch.nn import functional as F
from torchvision.models import convnext as vision_convnext
from torchvision.models import swin_transformer as vision_swin
from torchvision.models import vision_transformer as vision_vit

from swinablate.config.family import ImageSpec
from swinablate.config.recipe import StartConfig
from swinablate.errors import EnvironmentFault, InputError
from swinablate.models.pretrained.files import state_in
from swinablate.models.pretrained.fit import adapt
from swinablate.models.pretrained.layouts import placed
from swinablate.models.registry import load_family
from swinablate.models.transfer import begin, fitting
from swinablate.study.cautions import cautions
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from tests.models import references
from tests.models.parity import LAYER, V2, with_eps

COLOUR = ImageSpec(height=32, width=32, channels=3, classes=10)
SWIN = {"family": "swin", "patch": 2, "width": 12, "depths": (2, 2), "heads": (3, 6), "window": 4}
VIT = {"family": "vit", "patch": 4, "width": 24, "depth": 2, "heads": 4, "pool": "cls"}
CONVNEXT = {"family": "convnext", "patch": 4, "widths": (8, 12, 16, 20), "depths": (1, 1, 2, 1)}


def vision_v1():
    return vision_swin.SwinTransformer([2, 2], 12, [2, 2], [3, 6], [4, 4], num_classes=10)


def vision_v2():
    return vision_swin.SwinTransformer(
        [2, 2], 12, [2, 2], [3, 6], [4, 4], num_classes=10,
        block=vision_swin.SwinTransformerBlockV2, downsample_layer=vision_swin.PatchMergingV2,
    )  # fmt: skip


def timm_swin(kind=TimmSwin, **more):
    fields = {
        "img_size": 32, "patch_size": 2, "num_classes": 10, "embed_dim": 12, "depths": (2, 2),
        "num_heads": (3, 6), "window_size": 4,
    }  # fmt: skip
    return kind(**(fields | more))


def timm_vit(**more):
    fields = {
        "img_size": 32, "patch_size": 4, "num_classes": 10, "embed_dim": 24, "depth": 2,
        "num_heads": 4, "norm_layer": LAYER,
    }  # fmt: skip
    return TimmViT(**(fields | more))


def vision_v():
    return vision_vit.VisionTransformer(
        image_size=32, patch_size=4, num_layers=2, num_heads=4, hidden_dim=24, mlp_dim=96,
        num_classes=10, norm_layer=LAYER,
    )  # fmt: skip


def vision_next():
    settings = [(8, 12, 1), (12, 16, 1), (16, 20, 2), (20, None, 1)]
    blocks = [vision_convnext.CNBlockConfig(*one) for one in settings]
    return vision_convnext.ConvNeXt(blocks, num_classes=10)


class Residual(nn.Module):
    """A small ResNet with torchvision's names, of torchvision's blocks and shortcuts A."""

    def __init__(self):
        super().__init__()
        plain = references.ResNet(8)
        self.source = [plain]  # no part of its state
        convs = [m for m in plain.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
        names = ["conv1", "bn1"]
        for i in range(3):
            names += [f"layer{i + 1}.0.{part}" for part in ("conv1", "bn1", "conv2", "bn2")]
        assert len(names) == len(convs)
        self.names = dict(zip(names, convs, strict=True))
        self.last = next(m for m in plain.modules() if isinstance(m, nn.Linear))

    def state_dict(self):
        parts = {**self.names, "fc": self.last}
        return {f"{n}.{k}": v for n, part in parts.items() for k, v in part.state_dict().items()}

    def eval(self):
        self.source[0].eval()
        return self

    def double(self):
        self.source[0].double()
        return self

    def forward(self, x):
        return self.source[0](x)


NETWORKS = {
    "torchvision's Swin": (SWIN, vision_v1),
    "torchvision's SwinV2": (SWIN | V2, vision_v2),
    "timm's Swin": (SWIN, timm_swin),
    "timm's SwinV2": (SWIN | V2, lambda: timm_swin(TimmSwin2)),
    "timm's ViT": (VIT, timm_vit),
    "timm's ViT with registers": (
        VIT | {"registers": 3},
        lambda: timm_vit(reg_tokens=3, no_embed_class=False),
    ),
    "torchvision's ViT": (VIT, vision_v),
    "torchvision's ConvNeXt": (CONVNEXT, with_eps(vision_next)),
    "timm's ConvNeXt": (
        CONVNEXT,
        with_eps(lambda: TimmConvNeXt(num_classes=10, depths=(1, 1, 2, 1), dims=(8, 12, 16, 20))),
    ),
    "torchvision's ResNet": ({"family": "resnet", "depth": 8}, Residual),
}


def ours(fields, image=COLOUR):
    family = load_family(fields["family"], "")
    return family.build(family.config(**fields), image).eval()


def drawn(model):
    """All weights away from where they start, so that none of them is idle."""
    state = model.state_dict()
    for name, value in state.items():
        if value.is_floating_point() and "index" not in name and "coords" not in name:
            chance = torch.Generator().manual_seed(len(name))
            if name.endswith("running_var"):
                value.uniform_(0.5, 2.0, generator=chance)
            elif not name.endswith("logit_scale"):
                value.normal_(std=0.3, generator=chance)
    return model.eval()


def pixels(channels=3, count=2):
    return torch.randn(count, channels, 32, 32, generator=torch.Generator().manual_seed(0))


def start(path, **more):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return StartConfig(weights=str(path), sha256=digest, **more)


def assert_same(mine, other):
    x = pixels().double()
    with torch.no_grad():
        expected = other.double()(x)
        torch.testing.assert_close(
            mine.double()(x), expected, rtol=0, atol=1e-6 * float(expected.abs().max())
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_of_others_give_their_logits(name, tmp_path):
    fields, build = NETWORKS[name]
    other = drawn(build())
    torch.save(other.state_dict(), tmp_path / "w.pt")
    mine = ours(fields)
    begin(mine, start(tmp_path / "w.pt"))
    assert_same(mine, other)


def microsoft(state):
    """timm's weights as Swin's authors name them: merged after a stage, with buffers."""
    found = {"layers.0.blocks.1.attn_mask": torch.zeros(4, 16, 16)}
    for theirs, value in state.items():
        name = theirs.replace("head.fc.", "head.")
        found[name.replace("layers.1.downsample", "layers.0.downsample")] = value
    return found | {"layers.0.blocks.0.attn.relative_position_index": torch.zeros(16, 16)}


WRAPPINGS = {
    "model": lambda state: {"model": microsoft(state), "epoch": 3},
    "state_dict": lambda state: {"state_dict": {f"module.{n}": v for n, v in state.items()}},
    "compiled": lambda state: {f"_orig_mod.{n}": v for n, v in state.items()},
    "compiled inside": lambda state: {n.replace(".attn.", "._orig_mod.attn."): v for n, v in state.items()},
    "Lightning": lambda state: {
        "epoch": 3, "pytorch-lightning_version": "2.6", "hyper_parameters": {"lr": 0.1},
        "state_dict": {f"model._orig_mod.{n}": v for n, v in state.items()},
    },
    "PyTorch's tutorial": lambda state: {
        "epoch": 3, "model_state_dict": {f"module.{n}": v for n, v in state.items()},
        "optimizer_state_dict": {"state": {}, "param_groups": []}, "loss": 0.1,
    },
    "kuangliu/pytorch-cifar": lambda state: {
        "net": {f"module.{n}": v for n, v in state.items()}, "acc": 95.0, "epoch": 3,
    },
    "another attribute of Lightning": lambda state: {
        "state_dict": {f"net.backbone.{n}": v for n, v in state.items()}
    },
    "averaged": lambda state: {f"module.module.{n}": v for n, v in state.items()} | {"n_averaged": torch.tensor(5)},
}  # fmt: skip


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("suffix", ["pt", "pth"])
def test_weights_are_found_in_what_training_scripts_save(wrapping, suffix, tmp_path):
    other = drawn(timm_swin())
    path = tmp_path / f"w.{suffix}"
    torch.save(WRAPPINGS[wrapping](other.state_dict()), path)
    mine = ours(SWIN)
    told = adapt(mine, state_in(path.read_bytes(), path)).told
    assert ("taken off" in told[0]) == (wrapping != "model")
    assert ("2 tensors left out that are computed here" in told) == (wrapping == "model")
    begin(mine, start(path))
    assert_same(mine, other)


def test_safetensors_files_are_read(tmp_path):
    other = drawn(timm_swin())
    path = tmp_path / "model.safetensors"
    state = {name: value.contiguous() for name, value in other.state_dict().items()}
    safetensors.torch.save_file(state, path)
    mine = ours(SWIN)
    begin(mine, start(path))
    assert_same(mine, other)
    with pytest.raises(ValueError, match=r"broken\.safetensors holds no weights"):
        state_in(b"no such file", tmp_path / "broken.safetensors")


def test_without_safetensors_its_files_are_refused_with_the_package_to_install(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(EnvironmentFault) as fault:
        state_in(b"", tmp_path / "w.safetensors")
    assert fault.value.hint == "pip install 'swinablate[safetensors]'"


def test_a_file_with_objects_is_not_run_but_refused(tmp_path):
    torch.save({"model": {}, "config": ImageSpec}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"w\.pth holds objects beside its weights, and those"):
        state_in((tmp_path / "w.pth").read_bytes(), tmp_path / "w.pth")


def meta(state):
    """timm's ConvNeXt as its authors name it; what timm makes of that is timm's again."""
    found = {}
    for theirs, value in state.items():
        name = theirs.replace("stem.", "downsample_layers.0.").replace("conv_dw", "dwconv")
        name = name.replace("mlp.fc", "pwconv").replace("head.norm", "norm")
        name = re.sub(r"stages\.(\d)\.downsample", r"downsample_layers.\1", name)
        found[re.sub(r"stages\.(\d)\.blocks", r"stages.\1", name).replace("head.fc", "head")] = (
            value
        )
    return found


def test_weights_of_convnexts_authors_give_their_logits(tmp_path):
    fields, build = NETWORKS["timm's ConvNeXt"]
    other = drawn(build())
    state = meta(other.state_dict())
    assert {"downsample_layers.0.0.weight", "stages.0.0.dwconv.weight", "stages.2.1.pwconv2.bias",
            "downsample_layers.3.1.bias", "stages.3.0.gamma", "norm.weight", "head.bias"} < state.keys()  # fmt: skip
    build().load_state_dict(checkpoint_filter_fn(dict(state), other), strict=True)
    torch.save({"model": state}, tmp_path / "w.pth")
    mine = ours(fields)
    assert adapt(mine, state).told == ("renamed from Meta's ConvNeXt",)
    begin(mine, start(tmp_path / "w.pth"))
    assert_same(mine, other)


def test_weights_that_are_no_numbers_are_refused_before_anything_trains(tmp_path):
    state = ours(SWIN).state_dict()
    state["head.bias"][0] = float("nan")
    state["norm.bias"][:] = float("nan")
    torch.save(state, tmp_path / "w.pt")
    (tmp_path / "r.toml").write_text(
        '[model]\nfamily = "swin"\n[data]\nname = "digits"\n[start]\nweights = "w.pt"\n'
    )
    (tmp_path / "s.toml").write_text(
        'question = "?"\nbaseline = "r.toml"\nseeds = 2\n[axes]\n"start.freeze" = [1]\n'
    )
    with pytest.raises(
        InputError, match=r"w\.pt holds values that are no numbers \(NaN\), in "
    ) as no:
        plan(load_study(tmp_path / "s.toml"))
    assert "'norm.bias' and 1 more" in str(no.value)
    assert no.value.hint == "take weights of a training that did not diverge"
    state["head.bias"][0] = -float("inf")  # in a mask that may be meant
    state["norm.bias"][:] = 0.0
    torch.save(state, tmp_path / "w.pt")
    state["attn_mask"] = torch.full((1, 4, 4), -float("inf"))
    torch.save(state, tmp_path / "w.pt")
    assert state_in((tmp_path / "w.pt").read_bytes(), tmp_path / "w.pt").keys() == state.keys()


SPARSE = ("tensors that are no dense real numbers, in", "holds objects beside")
"""Of a file that older versions of torch do not read as weights alone."""
WHOLE = "the weights do not fit: 'head.weight' holds whole numbers there (torch.int64)"


@pytest.mark.parametrize(
    ("name", "made", "said"),
    [
        ("head.weight", lambda x: x.to_sparse(), SPARSE),
        ("head.weight", lambda x: x.to("meta"), "tensors that are no dense real numbers, in"),
        ("head.weight", lambda x: x.to(torch.complex64), "tensors that are no dense real numbers"),
        ("head.weight", lambda x: x / 0, "holds matrices with infinite values, in 'head.weight'"),
        ("embed_norm.running_var", lambda x: x - 2, "holds negative variances, in 'embed_norm"),
        ("head.weight", lambda x: x.long(), WHOLE),
    ],
    ids=["sparse", "meta", "complex", "infinite", "negative", "whole"],
)
@pytest.mark.filterwarnings("ignore:Validating sparse")  # torch's word on what it does anyway
def test_weights_that_no_training_gives_are_refused_before_anything_trains(
    tmp_path, name, made, said
):
    """They were failed or diverged trials, or a traceback of the plan."""
    fields = '[model]\nfamily = "swin"\nnorm = "batch"\n'
    digits = ImageSpec(height=8, width=8, channels=1, classes=10)
    state = ours({"family": "swin", "norm": "batch"}, digits).state_dict()
    state[name] = made(state[name])
    torch.save(state, tmp_path / "w.pt")
    (tmp_path / "r.toml").write_text(
        f'{fields}[data]\nname = "digits"\n[start]\nweights = "w.pt"\n'
    )
    (tmp_path / "s.toml").write_text(
        'question = "?"\nbaseline = "r.toml"\nseeds = 2\n[axes]\n"start.freeze" = [1]\n'
    )
    words = said if isinstance(said, tuple) else (said,)
    with pytest.raises(InputError, match="|".join(map(re.escape, words))):
        plan(load_study(tmp_path / "s.toml"))


def test_the_order_of_a_mergings_inputs_is_the_authors():
    """Theirs concatenates x[0::2, 0::2], x[1::2, 0::2], x[0::2, 1::2], x[1::2, 1::2]."""
    merge = ours(SWIN).stages[0].merge
    x = torch.randn(2, 8, 6, 12, generator=torch.Generator().manual_seed(0))
    four = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
    assert torch.equal(merge(x), merge.reduce(merge.norm(torch.cat(four, -1))))


# ---- other windows, grids and channels


@pytest.mark.parametrize("window", [2, 8, ((4, 2), (8, 4))])
def test_bias_tables_are_interpolated_to_other_windows_as_by_timm(window):
    state = drawn(timm_swin()).state_dict()
    mine = ours(SWIN | {"window": window})
    found = adapt(mine, state)
    sides = window if isinstance(window, tuple) else ((window, window),) * 2
    for i, (rows, columns) in enumerate(sides):
        theirs = f"layers.{i}.blocks.1.attn.relative_position_bias_table"
        expected = resize_rel_pos_bias_table_simple(
            state[theirs], (rows, columns), ((2 * rows - 1) * (2 * columns - 1), 3 * 2**i)
        )
        got = found.weights[f"stages.{i}.blocks.1.attention.mix.bias.position.table"]
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
    assert "renamed from timm's Swin" in found.told
    told = [line for line in found.told if "bias" in line]
    assert told[0].startswith("4 bias tables" if window in (2, 8) else "2 bias tables")
    assert told[0].endswith(f"from windows of 4x4 to {sides[0][0]}x{sides[0][1]}")
    begin_on(mine, found.weights)


def begin_on(model, weights):
    model.load_state_dict(weights, strict=True)
    assert model(pixels()[:, : 3]).isfinite().all()  # fmt: skip


def vision_oblong(window):
    return vision_swin.SwinTransformer([2, 2], 12, [2, 2], [3, 6], list(window), num_classes=10)


OBLONG = {"window": ((4, 2), (4, 2))}


def test_windows_of_unequal_sides_are_taken_as_they_are(tmp_path):
    other = drawn(vision_oblong((4, 2)))
    torch.save(other.state_dict(), tmp_path / "w.pt")
    mine = ours(SWIN | OBLONG)
    begin(mine, start(tmp_path / "w.pt"))
    assert_same(mine, other)


@pytest.mark.parametrize("window", [4, ((2, 4), (2, 4)), ((8, 4), (2, 2))])
def test_windows_of_unequal_sides_are_interpolated_where_the_file_tells_them(window):
    """Those of 4x2 and 2x4 have as many rows, and are not the same table."""
    state = drawn(vision_oblong((4, 2))).state_dict()
    mine = ours(SWIN | {"window": window})
    found = adapt(mine, state)
    sides = window if isinstance(window, tuple) else ((4, 4),) * 2
    for i, (rows, columns) in enumerate(sides):
        table = state[f"features.{2 * i + 1}.1.attn.relative_position_bias_table"]
        plane = table.reshape(7, 3, -1).permute(2, 0, 1)[None]
        expected = F.interpolate(plane, (2 * rows - 1, 2 * columns - 1), mode="bicubic")[0]
        got = found.weights[f"stages.{i}.blocks.1.attention.mix.bias.position.table"]
        torch.testing.assert_close(got, expected.permute(1, 2, 0).flatten(0, 1))
    assert any("from windows of 4x2 to " in line for line in found.told)
    begin_on(mine, found.weights)


def test_a_plan_knows_the_windows_of_unequal_sides_without_the_weights(tmp_path):
    torch.save(vision_oblong((4, 2)).state_dict(), tmp_path / "w.pt")
    (tmp_path / "r.toml").write_text(
        '[model]\nfamily = "swin"\npatch = 2\nwidth = 12\nwindow = [[2, 4], [4, 4]]\n'
        '[data]\nname = "cifar10"\n[train]\nsteps = 2\n[start]\nweights = "w.pt"\n'
    )
    (tmp_path / "s.toml").write_text(
        'question = "?"\nbaseline = "r.toml"\nseeds = 2\n[axes]\n"start.weights" = [""]\n'
    )
    (told,) = [
        r["text"] for r in cautions(plan(load_study(tmp_path / "s.toml"))) if r["code"] == "W27"
    ]
    assert "2 bias tables interpolated from windows of 4x2 to 2x4" in told
    assert "2 bias tables interpolated from windows of 4x2 to 4x4" in told


@pytest.mark.parametrize(
    ("window", "index"),
    [
        ((4, 1), None),  # looks up what one of 1x4 does
        ((4, 2), torch.zeros(64)),
        ((4, 2), torch.arange(60)),
        ((4, 2), torch.arange(9).view(3, 3)),
    ],
)
def test_a_window_that_the_file_does_not_tell_is_refused(window, index):
    state = vision_oblong(window).state_dict()
    for name in [name for name in state if name.endswith("relative_position_index")]:
        state[name] = state[name] if index is None else index
    with pytest.raises(ValueError, match=r"position\.table' is "):
        fitting(ours(SWIN), StartConfig(), state)


@pytest.mark.parametrize("height", [16, 64])
def test_positions_are_interpolated_to_another_grid_as_by_timm(height):
    state = drawn(timm_vit()).state_dict()
    image = ImageSpec(height=height, width=24, channels=3, classes=10)
    found = adapt(ours(VIT, image), state)
    expected = resample_abs_pos_embed(state["pos_embed"], [height // 4, 6], num_prefix_tokens=1)
    torch.testing.assert_close(found.weights["position.table"], expected[0, 1:])
    assert torch.equal(found.weights["cls.table"], (state["cls_token"] + expected[:, :1])[0])
    assert found.told == (
        "renamed from timm's ViT",
        f"positions interpolated from a grid of 8x8 to {height // 4}x6",
    )


def test_positions_of_an_oblong_grid_are_kept_where_it_is_the_networks():
    """8 patches and a class token are 9 places, which a square would have too."""
    image = ImageSpec(height=8, width=16, channels=3, classes=10)
    theirs = drawn(timm_vit(img_size=(8, 16))).state_dict()
    found = adapt(ours(VIT, image), theirs)
    assert torch.equal(found.weights["position.table"], theirs["pos_embed"][0, 1:])
    other = ours(VIT, ImageSpec(height=16, width=24, channels=3, classes=10))
    with pytest.raises(
        ValueError, match=r"^the weights do not fit: as timm's ViT, 'position.table'"
    ):
        fitting(other, StartConfig(), drawn(timm_vit(img_size=(8, 12))).state_dict())


@pytest.mark.parametrize(("rows", "prefix"), [(16, 0), (17, 1), (20, 4)])
def test_places_before_the_patches_are_told_by_what_is_over(rows, prefix):
    state = {
        "cls.table": torch.zeros(1, 1, 2),
        "registers.table": torch.zeros(1, 3, 2),
        "position.table": torch.arange(rows * 2.0).view(1, rows, 2),
    }
    found = placed(state)
    assert len(found["position.table"]) == 16
    assert found["position.table"][0, 0] == 2 * prefix
    assert bool(found["registers.table"].any()) == (prefix == 4)
    assert bool(found["cls.table"].any()) == (prefix > 0)


@pytest.mark.parametrize(
    ("fields", "build"), [(SWIN, timm_swin), NETWORKS["torchvision's ResNet"]]
)
def test_three_input_channels_are_added_up_for_one(fields, build):
    """So a grey image gives the logits of a colour image whose channels are equal."""
    other = drawn(build())
    grey = ours(fields, COLOUR.model_copy(update={"channels": 1}))
    found = adapt(grey, other.state_dict())
    grey.load_state_dict(found.weights)
    assert found.told[-1] == "the weights of 3 input channels added up for 1"
    x = pixels(1)
    with torch.no_grad():
        expected = other(x.expand(-1, 3, -1, -1))
        torch.testing.assert_close(
            grey(x), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max())
        )


def test_our_own_weights_are_taken_as_they_are():
    mine = ours(SWIN)
    state = drawn(ours(SWIN)).state_dict()
    found = adapt(mine, state)
    assert found.told == ()
    assert found.of == ""
    assert all(found.weights[name] is value for name, value in state.items())


def test_names_that_the_network_has_itself_are_no_wrapper():
    """A network of somebody else's whose parts are called `model`, `conv1` and `layer1`."""
    inner = nn.ModuleDict(
        {
            "conv1": nn.Conv2d(3, 4, 3),
            "layer1": nn.ModuleList([nn.ModuleDict({"conv1": nn.Conv2d(4, 4, 3)})]),
        }
    )
    wrapped = nn.ModuleDict({"model": inner})
    for model in (inner, wrapped):
        assert adapt(model, model.state_dict()).weights.keys() == model.state_dict().keys()
        assert adapt(model, model.state_dict()).told == ()


# ---- refused


def without(state, part):
    return {name: value for name, value in state.items() if part not in name}


@pytest.mark.parametrize(
    ("fields", "weights", "message"),
    [
        (
            SWIN,
            lambda: without(timm_swin().state_dict(), "layers.1.blocks.1"),
            "as timm's Swin, they lack 'stages.1.blocks.1.attention.mix.bias.position.table' and 12 more; OTHER",
        ),
        (
            SWIN,
            lambda: vision_v().state_dict(),
            "as torchvision's ViT, they lack 'embed_norm.bias' and 56 more; OTHER",
        ),
        (
            VIT,
            lambda: timm_vit(class_token=False, global_pool="avg").state_dict(),
            (
                "timm's `fc_norm` normalises the mean of the tokens, and this network its tokens; take "
                "weights of a network with a class token, or with `fc_norm=False`"
            ),
        ),
        (
            VIT,
            lambda: timm_vit().state_dict() | {"dist_token": torch.zeros(1, 1, 24)},
            "as timm's ViT, the network lacks 'dist_token'; OTHER",
        ),
        (
            SWIN,
            lambda: {"a": torch.zeros(1), "backbone.b": torch.zeros(1)},
            (
                "their names, as 'a' and 1 more, are neither the network's nor of a layout that "
                "is known (torchvision's Swin, Microsoft's Swin, timm's Swin, timm's ViT, torchvision's "
                "ViT, torchvision's ConvNeXt, timm's ConvNeXt, Meta's ConvNeXt, torchvision's ResNet); OTHER"
            ),
        ),
        (
            SWIN,
            lambda: timm_swin(num_classes=7).state_dict(),
            'as timm\'s Swin, \'head.weight\' is [7, 24] there and [10, 24] here; start.head = "new" draws the head anew',
        ),
        (
            SWIN,
            lambda: timm_swin(patch_size=4).state_dict(),
            "as timm's Swin, 'embed.project.weight' is [12, 3, 4, 4] there and [12, 3, 2, 2] here; OTHER",
        ),
        (
            {"family": "resnet", "depth": 8},
            lambda: timm.create_model("resnet10t").state_dict(),
            None,
        ),
    ],
)  # fmt: skip
def test_what_is_unknown_or_not_whole_is_refused(fields, weights, message):
    with pytest.raises(ValueError, match=r"^the weights do not fit: ") as refusal:
        fitting(ours(fields), StartConfig(), weights())
    if message:
        message = message.replace("OTHER", "take weights of the same network")
        assert str(refusal.value) == f"the weights do not fit: {message}"


def test_a_plan_says_what_is_done_to_the_weights(tmp_path):
    torch.save(
        {"model": timm_swin(in_chans=1, img_size=8, patch_size=1).state_dict()}, tmp_path / "t.pt"
    )
    (tmp_path / "r.toml").write_text(
        '[model]\nfamily = "swin"\npatch = 1\nwidth = 12\nwindow = 2\n[data]\nname = "digits"\n'
        '[train]\nsteps = 2\n[start]\nweights = "t.pt"\n'
    )
    (tmp_path / "s.toml").write_text(
        'question = "?"\nbaseline = "r.toml"\nseeds = 2\n'
        '[axes]\n"model.window" = [4]\n"start.weights" = [""]\n'
    )
    found = plan(load_study(tmp_path / "s.toml"))
    assert found.refusals == ()
    told = {row["text"] for row in cautions(found) if row["code"] == "W27"}
    said = "the weights that it starts from are fitted: renamed from timm's Swin"
    assert told == {
        f"baseline: {said}; 4 bias tables interpolated from windows of 4x4 to 2x2.",
        f"window=4: {said}.",
    }
    assert re.match("^[0-9a-f]{64}$", found.arms[0].recipe.start.sha256)
