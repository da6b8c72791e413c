"""One table of networks that others have built too: it drives the tests and docs/models.md.

Both networks run in double precision under the same weights, so that rounding hides nothing.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import timm
import torch
from timm.models import convnext as timm_convnext
from timm.models import swin_transformer as timm_swin
from timm.models import swin_transformer_v2 as timm_swin2
from timm.models.vision_transformer import ResPostBlock, VisionTransformer
from torch import Tensor, nn
from torchvision import models as vision
from torchvision.models import convnext as vision_convnext
from torchvision.models import swin_transformer as vision_swin
from torchvision.models import vision_transformer as vision_vit

from swinablate.config.family import ImageSpec, ModelConfig
from swinablate.config.recipe import derive
from swinablate.models.registry import load_family
from tests.models import copying, references

LOGITS = 1e-6
"""Largest difference of logits allowed, of the largest logit."""
GRADIENTS = 1e-6
"""Largest difference of gradients allowed, of the largest gradient of a tensor."""
SMALL_IMAGE = ImageSpec(height=32, width=32, channels=3, classes=10)
DIGITS = ImageSpec(height=8, width=8, channels=1, classes=10)
PUBLISHED = ImageSpec(height=224, width=224, channels=3, classes=1000)
LARGER = ImageSpec(height=256, width=256, channels=3, classes=1000)
Copy = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A network of ours and the same one built by others.

    Attributes:
        name: as the docs call it.
        model: its family and fields.
        image: its input.
        against: the package of the other one.
        of: its class or function there.
        build: builds it.
        copy: its weights under our names.
        twice: our parameters that are sums of two of theirs, so that their gradients, copied
            like weights, are twice ours.
        batch_norm: whether its gradients are compared in training mode too.
        slow: too large for the unit tests.
    """

    name: str
    model: Mapping[str, Any]
    image: ImageSpec = SMALL_IMAGE
    against: str
    of: str
    build: Callable[[], nn.Module]
    copy: Copy | None = None
    twice: tuple[str, ...] = ()
    batch_norm: bool = False
    slow: bool = False

    def config(self) -> ModelConfig:
        """Its switches."""
        return load_family(self.model["family"], "").config(**self.model)

    def package(self) -> str:
        """Package and version."""
        return f"{self.against} {version(self.against).partition('+')[0]}"


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far two networks are apart; 0 is equal.

    Attributes:
        logits: largest difference, of the largest logit.
        gradients: largest difference in any tensor, of the largest gradient there.
        theirs: their number of parameters.
    """

    logits: float
    gradients: float
    theirs: int = field(compare=False)


@contextmanager
def double() -> Iterator[None]:
    """Let new tensors have double precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def excite(model: nn.Module) -> nn.Module:
    """Draw every parameter, seeded by its name, large enough for masks and biases to show."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            chance = torch.Generator().manual_seed(derive(0, "test", name))
            inputs = parameter[0].numel() if parameter.ndim > 1 else 9
            parameter.normal_(std=1.5 * inputs**-0.5, generator=chance)
    return model


def agree(pair: Pair) -> Agreement:
    """Build both, copy the weights, compare."""
    config = pair.config()
    with double():
        theirs = excite(pair.build().double())
        ours = load_family(config.family, "").build(config, pair.image).double()
        x = torch.randn(
            (2, pair.image.channels, pair.image.height, pair.image.width),
            generator=torch.Generator().manual_seed(0),
        )
        if pair.batch_norm:
            theirs.train()(x)  # running statistics that are not 0 and 1
        copy = pair.copy or copying.in_order(list(ours.state_dict()))
        ours.load_state_dict(copy(theirs.state_dict()), strict=True)
        found = _compare(pair, ours.eval(), theirs.eval(), copy, x)
        if pair.batch_norm:
            more = _compare(pair, ours.train(), theirs.train(), copy, x)
            found = (max(found[0], more[0]), max(found[1], more[1]))
    return Agreement(logits=found[0], gradients=found[1], theirs=_count(theirs))


def _compare(
    pair: Pair, ours: nn.Module, theirs: nn.Module, copy: Copy, x: Tensor
) -> tuple[float, float]:
    answers = ours(x), theirs(x)
    for model, answer in zip((ours, theirs), answers, strict=True):
        model.zero_grad()
        (answer.square().mean() + answer.logsumexp(1).mean()).backward()
    zeros = {name: torch.zeros_like(value) for name, value in theirs.state_dict().items()}
    grads = {n: p.grad for n, p in theirs.named_parameters() if p.grad is not None}
    expected = copy(zeros | grads)
    largest = max(float(g.abs().max()) for g in grads.values())
    worst = 0.0
    for name, parameter in ours.named_parameters():
        assert parameter.grad is not None, name
        got = parameter.grad * (2 if name in pair.twice else 1)
        scale = max(float(expected[name].abs().max()), 1e-6 * largest)
        worst = max(worst, float((got - expected[name]).abs().max()) / scale)
    ours_logits, their_logits = answers
    logits = (ours_logits - their_logits).detach().abs().max() / their_logits.detach().abs().max()
    return float(logits), worst


def _count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


V2 = {
    "attention": "cosine",
    "position_bias": "log_cpb",
    "norm_place": "res_post",
    "qkv_bias": "query_value",
}
SWIN_T = {"patch": 4, "width": 96, "depths": (2, 2, 6, 2), "heads": (3, 6, 12, 24)}
MATCHED = {"patch": 2, "width": 48, "depths": (2, 2, 1), "heads": (3, 6, 12), "window": 4}
OBLONG = {"patch": 2, "width": 12, "depths": (3, 2), "heads": (3, 6), "window": 2}
TWO = {"patch": 2, "width": 24, "depths": (2, 3), "heads": (2, 4), "window": 4}
VIT = {"patch": 2, "width": 32, "depth": 3, "heads": 4}
AVERAGE = {"class_token": False, "global_pool": "avg", "fc_norm": False}
LAYER = functools.partial(nn.LayerNorm, eps=1e-5)


def swin_of_torchvision(fields: Mapping[str, Any], *, v2: bool) -> Callable[[], nn.Module]:
    """A builder of torchvision's Swin, version 1 or 2."""
    more: dict[str, Any] = {}
    if v2:
        more = {
            "block": vision_swin.SwinTransformerBlockV2,
            "downsample_layer": vision_swin.PatchMergingV2,
        }
    return lambda: vision_swin.SwinTransformer(
        patch_size=[fields["patch"]] * 2,
        embed_dim=fields["width"],
        depths=list(fields["depths"]),
        num_heads=list(fields["heads"]),
        window_size=[fields["window"]] * 2,
        num_classes=10,
        stochastic_depth_prob=0.0,
        **more,
    )


def swin_of_timm(kind: type[nn.Module], fields: Mapping[str, Any]) -> Callable[[], nn.Module]:
    """A builder of timm's Swin, version 1 or 2, for 32x32 images."""
    return lambda: kind(
        img_size=32,
        patch_size=fields["patch"],
        num_classes=10,
        embed_dim=fields["width"],
        depths=fields["depths"],
        num_heads=fields["heads"],
        window_size=fields["window"],
        drop_path_rate=0.0,
    )


def vit_of_timm(**more: Any) -> Callable[[], nn.Module]:
    """A builder of timm's ViT for the digits."""
    return lambda: VisionTransformer(
        img_size=8,
        patch_size=2,
        in_chans=1,
        num_classes=10,
        embed_dim=32,
        depth=3,
        num_heads=4,
        norm_layer=LAYER,
        **more,
    )


def with_eps(build: Callable[[], nn.Module], eps: float = 1e-5) -> Callable[[], nn.Module]:
    """The same, its norms with our epsilon."""

    def built() -> nn.Module:
        model = build()
        for module in model.modules():
            if isinstance(module, nn.LayerNorm | nn.BatchNorm2d):
                module.eps = eps
        return model

    return built


def _swin(
    name: str, fields: Mapping[str, Any], against: str, image: ImageSpec = SMALL_IMAGE
) -> Pair:
    """A small network of torchvision or timm, of the version that the fields mean."""
    v2 = fields.items() >= V2.items()
    if against == "torchvision":
        of = "SwinTransformer, blocks V2" if v2 else "SwinTransformer"
        build = swin_of_torchvision(fields, v2=v2)
    else:
        kind = timm_swin2.SwinTransformerV2 if v2 else timm_swin.SwinTransformer
        of, build = kind.__name__, swin_of_timm(kind, fields)
    return Pair(
        name=name,
        model={"family": "swin", **fields},
        image=image,
        against=against,
        of=of,
        build=build,
        copy=COPY_SWIN[against],
    )


def _published_swin(
    name: str, fields: Mapping[str, Any], against: str, of: str, image: ImageSpec = PUBLISHED
) -> Pair:
    def build() -> nn.Module:
        if against == "torchvision":
            return vision.get_model(of)
        return timm.create_model(of, drop_path_rate=0.0)

    return Pair(
        name=name,
        model={"family": "swin", **SWIN_T, **fields},
        image=image,
        against=against,
        of=of,
        build=build,
        copy=COPY_SWIN[against],
        slow=True,
    )


def _vit(name: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Pair:
    return Pair(
        name=f"ViT, {name}",
        model={"family": "vit", **VIT, **ours},
        image=DIGITS,
        against="timm",
        of="VisionTransformer",
        build=vit_of_timm(**theirs),
        copy=copying.vit_of_timm,
        twice=("cls.table",),
    )


COPY_SWIN: Mapping[str, Copy] = {
    "torchvision": copying.swin_of_torchvision,
    "timm": copying.swin_of_timm,
}
SWINS = (
    _swin("Swin, three stages", MATCHED, "torchvision"),
    _swin(
        "Swin, windows of 2, 16x24 pixels",
        OBLONG,
        "torchvision",
        ImageSpec(height=16, width=24, channels=3, classes=10),
    ),
    _swin("Swin, two stages", TWO, "timm"),
    _swin("SwinV2, two stages", TWO | V2, "torchvision"),
    _swin("SwinV2, windows of 2", TWO | V2 | {"window": 2}, "torchvision"),
    _swin("SwinV2, two stages", TWO | V2, "timm"),
    _published_swin("Swin-T", {"window": 7}, "torchvision", "swin_t"),
    _published_swin("Swin-T", {"window": 7}, "timm", "swin_tiny_patch4_window7_224"),
    _published_swin("SwinV2-T", V2 | {"window": 8}, "torchvision", "swin_v2_t", LARGER),
    _published_swin("SwinV2-T", V2 | {"window": 8}, "timm", "swinv2_tiny_window8_256", LARGER),
)

VITS = (
    _vit("class token", {"pool": "cls"}, {"class_token": True, "global_pool": "token"}),
    _vit("mean of patches", {}, AVERAGE),
    _vit("mean and maximum", {"pool": "meanmax"}, AVERAGE | {"global_pool": "avgmax"}),
    _vit("maximum", {"pool": "max"}, AVERAGE | {"global_pool": "max"}),
    _vit(
        "registers, layer scale",
        {"registers": 3, "layer_scale": 0.1},
        AVERAGE | {"reg_tokens": 3, "no_embed_class": True, "init_values": 0.1},
    ),
    _vit("norms at the end", {"norm_place": "res_post"}, AVERAGE | {"block_fn": ResPostBlock}),
    _vit("normalised heads", {"qk_norm": True}, AVERAGE | {"qk_norm": True}),
    Pair(
        name="ViT, class token",
        model={
            "family": "vit",
            "patch": 8,
            "width": 32,
            "depth": 2,
            "heads": 4,
            "pool": "cls",
        },
        against="torchvision",
        of="VisionTransformer",
        build=lambda: vision_vit.VisionTransformer(
            image_size=32,
            patch_size=8,
            num_layers=2,
            num_heads=4,
            hidden_dim=32,
            mlp_dim=128,
            num_classes=10,
            norm_layer=LAYER,
        ),
        copy=copying.vit_of_torchvision,
        twice=("cls.table",),
    ),
    Pair(
        name="ViT-Ti/16",
        model={
            "family": "vit",
            "patch": 16,
            "width": 192,
            "depth": 12,
            "heads": 3,
            "pool": "cls",
        },
        image=PUBLISHED,
        against="timm",
        of="vit_tiny_patch16_224",
        build=with_eps(lambda: timm.create_model("vit_tiny_patch16_224")),
        copy=copying.vit_of_timm,
        twice=("cls.table",),
        slow=True,
    ),
    Pair(
        name="Encoder of Vaswani 2017",
        model={
            "family": "vit",
            "norm_place": "post",
            "activation": "relu",
            "mlp_ratio": 2.0,
            "position": "sincos1d",
            **VIT,
        },
        image=DIGITS,
        against="torch",
        of="nn.TransformerEncoder",
        build=references.Encoder,
        copy=copying.encoder_of_torch,
    ),
)

CONVNEXT = {"family": "convnext", "patch": 4, "widths": (8, 12), "depths": (2, 1)}
VGG = {"family": "vgg", "widths": (4, 8, 16, 32, 32), "convs": (1, 1, 2, 2, 2)}
CNNS = (
    Pair(
        name="ConvNeXt, two stages",
        model=CONVNEXT,
        against="torchvision",
        of="ConvNeXt",
        build=with_eps(
            lambda: vision_convnext.ConvNeXt(
                [
                    vision_convnext.CNBlockConfig(8, 12, 2),
                    vision_convnext.CNBlockConfig(12, None, 1),
                ],
                num_classes=10,
            )
        ),
        copy=copying.convnext_of_torchvision,
    ),
    Pair(
        name="ConvNeXt, four stages",
        model=CONVNEXT | {"widths": (8, 12, 16, 20), "depths": (1, 1, 2, 1)},
        against="timm",
        of="ConvNeXt",
        build=with_eps(
            lambda: timm_convnext.ConvNeXt(
                num_classes=10, depths=(1, 1, 2, 1), dims=(8, 12, 16, 20)
            )
        ),
        copy=copying.convnext_of_timm,
    ),
    Pair(
        name="ConvNeXt-T",
        model={
            "family": "convnext",
            "patch": 4,
            "widths": (96, 192, 384, 768),
            "depths": (3, 3, 9, 3),
        },
        image=PUBLISHED,
        against="torchvision",
        of="convnext_tiny",
        build=with_eps(vision.convnext_tiny),
        copy=copying.convnext_of_torchvision,
        slow=True,
    ),
    Pair(
        name="ResNet-20",
        model={"family": "resnet", "depth": 20},
        against="torchvision",
        of="resnet.BasicBlock, shortcuts A",
        build=lambda: references.ResNet(20),
        batch_norm=True,
    ),
    Pair(
        name="Plain-20",
        model={"family": "resnet", "depth": 20, "residual": False},
        against="torch",
        of="nn.Sequential",
        build=lambda: references.plain(20),
        batch_norm=True,
    ),
    Pair(
        name="DenseNet-BC, 22 layers",
        model={"family": "densenet", "depth": 22},
        against="torchvision",
        of="DenseNet, its stem a 3x3",
        build=lambda: references.densenet(3, 12),
        batch_norm=True,
    ),
    Pair(
        name="VGG-11, narrow",
        model=VGG | {"norm": "none", "head": "fc", "hidden": 16},
        against="torchvision",
        of="vgg.make_layers",
        build=lambda: references.vgg([4, "M", 8, "M", 16, 16, "M", 32, 32, "M", 32, 32, "M"]),
    ),
    Pair(
        name="VGG-11-BN, narrow",
        model=VGG | {"head": "fc", "hidden": 16},
        against="torchvision",
        of="vgg.make_layers",
        build=lambda: references.vgg(
            [4, "M", 8, "M", 16, 16, "M", 32, 32, "M", 32, 32, "M"], batch_norm=True
        ),
        batch_norm=True,
    ),
    Pair(
        name="GoogLeNet",
        model={"family": "googlenet", "width": 16},
        against="torchvision",
        of="googlenet.Inception, with its 5x5",
        build=with_eps(lambda: references.googlenet(16)),
        batch_norm=True,
    ),
    Pair(
        name="NiN",
        model={"family": "nin"},
        against="torch",
        of="nn.Sequential",
        build=references.nin,
        batch_norm=True,
    ),
    Pair(
        name="CNN of post 001",
        model={"family": "post001", "activation": "relu"},
        against="torch",
        of="nn.Sequential",
        build=references.post001,
    ),
    Pair(
        name="LeNet-5",
        model={"family": "lenet"},
        against="torch",
        of="nn.Sequential",
        build=references.lenet,
    ),
    Pair(
        name="LeNet-5 with batch norm",
        model={"family": "lenet", "norm": "batch"},
        against="torch",
        of="nn.Sequential",
        build=lambda: references.lenet(batch_norm=True),
        batch_norm=True,
    ),
    Pair(
        name="LSTM over patches",
        model={"family": "rnn", "width": 48},
        against="torch",
        of="nn.LSTM",
        build=references.Recurrent,
        copy=references.recurrent,
    ),
)

PAIRS = (*SWINS, *VITS, *CNNS)
