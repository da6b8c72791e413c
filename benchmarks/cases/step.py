"""A training step: our Swin, ViT and ResNet against post 000, torchvision and timm.

Every side has its default and its documented fast mode. In "the same format" both have the
same number format and the same fused Adam. Ours does more than post 000: its shift mask is
right, and it has a table of position biases.
"""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from benchmarks.harness import Benchmark, Comparison, Pair, Result, Settings, answer, interleave
from benchmarks.peers.post000 import Swin
from benchmarks.peers.steps import DEFAULT, FAST, SAME, TINY, A, C, Track, others, own, recipe
from swinablate.config.recipe import Recipe
from swinablate.config.train import TrainConfig

TIE = 0.97
VIT: dict[str, Any] = {"patch": 4, "width": 96, "depth": 6, "heads": 3}
Build = Callable[[], nn.Module]


@dataclass(frozen=True, kw_only=True)
class Contest:
    """One network in several hands.

    Attributes:
        setting: as the table calls it.
        ours: fields of our family.
        peers: name -> builder, of the packages that are there.
        batch: images.
        least: our fast mode against the peer called "post 000", where there is one.
    """

    setting: str
    ours: dict[str, Any]
    peers: dict[str, Build]
    batch: int
    least: float | None = None


def run(settings: Settings) -> Result:
    """Measure every contest, one after the other."""
    gaps: list[str] = []
    findings: list[Comparison] = []
    for contest in contests(settings, gaps):
        findings += _contest(contest, settings)
    findings += _resnet(settings)
    if settings.device == "cpu":
        gaps.append("compiled steps, timm compiled: for a GPU only; no GPU was available")
    return Result(findings=findings, gaps=gaps)


def contests(settings: Settings, gaps: list[str]) -> Iterator[Contest]:
    """What is compared; packages that are missing are added to `gaps`."""
    if settings.tiny:
        yield Contest(
            setting="Swin, tiny",
            ours={"family": "swin", **TINY, "window": 2},
            peers={"post 000": lambda: Swin(**TINY, window=2)},
            batch=2,
        )
        return
    for name, fields, window, batch, least in (
        ("A", A, 2, 32, 1.6),
        ("A", A, 2, 128, 1.6),
        ("C", C, 4, 32, 2.5),
    ):
        yield Contest(
            setting=f"Swin {name}, batch {batch}",
            ours={"family": "swin", **fields, "window": window},
            peers=_swins(fields, window, gaps),
            batch=batch,
            least=least,
        )
    yield Contest(
        setting="ViT, batch 32", ours={"family": "vit", **VIT}, peers=_vits(gaps), batch=32
    )


def _contest(contest: Contest, settings: Settings) -> list[Comparison]:
    track = Track(batch=contest.batch, device=settings.device, seconds=settings.seconds)
    plain = recipe(contest.ours, batch=contest.batch)
    forms: dict[str, dict[str, Any]] = {
        "ours fp32": {},
        "ours fp32, matmul medium": {"matmul": "medium"},
        "ours bf16": {"precision": "bf16"},
    }
    modes = {"default": DEFAULT, "fp32, fused Adam": SAME, "bf16, fused Adam": FAST}
    if settings.device != "cpu":
        forms["ours bf16 compiled"] = {"precision": "bf16", "compile": True}
        modes["bf16 compiled"] = replace(FAST, compiled=True)
    sides = [
        own(name, plain.model_copy(update={"train": _with(plain, form)}), track)
        for name, form in forms.items()
    ]
    for peer, build in contest.peers.items():
        sides += [others(f"{peer} {name}", build, mode, track) for name, mode in modes.items()]
    times = interleave(contest.setting, "image", sides, settings.rounds)
    return answer(times, _pairs(contest, settings.device))


def _with(made: Recipe, form: dict[str, Any]) -> TrainConfig:
    return made.train.model_copy(update=form)


def _pairs(contest: Contest, device: str) -> Iterator[Pair]:
    clock: Any = "cpu" if device == "cpu" else "wall"
    for peer in contest.peers:
        if peer == "post 000":
            for ours, least in (
                ("ours bf16", contest.least),
                ("ours fp32, matmul medium", None),
                ("ours fp32", None),
            ):
                yield Pair(a=ours, b=f"{peer} default", least=least, clock=clock)
            yield Pair(a="ours bf16", b=f"{peer} bf16, fused Adam", clock=clock)
            continue
        yield Pair(a="ours bf16", b=f"{peer} default", clock=clock)
        yield Pair(a="ours fp32", b=f"{peer} fp32, fused Adam", least=TIE, clock=clock)
        yield Pair(a="ours bf16", b=f"{peer} bf16, fused Adam", least=TIE, clock=clock)
        goal = 1.25 if peer == "timm" else None
        yield Pair(a="ours bf16 compiled", b=f"{peer} bf16 compiled", least=goal, clock=clock)


def _resnet(settings: Settings) -> list[Comparison]:
    """Ours against itself: what the formats are worth."""
    fields = {"family": "resnet", "depth": 8 if settings.tiny else 20}
    fields |= {"width": 4 if settings.tiny else 64}
    batch = 2 if settings.tiny else 32
    forms: dict[str, dict[str, Any]] = {
        "ours fp32": {},
        "ours bf16, channels last": {"precision": "bf16", "channels_last": True},
        "ours bf16": {"precision": "bf16"},
        "ours fp32, channels last": {"channels_last": True},
    }
    track = Track(batch=batch, device=settings.device, seconds=settings.seconds)
    sides = [own(name, recipe(fields, batch=batch, **form), track) for name, form in forms.items()]
    setting = f"ResNet-{fields['depth']}, width {fields['width']}, batch {batch}"
    times = interleave(setting, "image", sides, settings.rounds)
    clock: Any = "cpu" if settings.device == "cpu" else "wall"
    least = {"ours bf16, channels last": 2.0}
    return answer(
        times,
        [
            Pair(a=name, b="ours fp32", least=least.get(name), clock=clock)
            for name in list(forms)[1:]
        ],
    )


def _swins(fields: dict[str, Any], window: int, gaps: list[str]) -> dict[str, Build]:
    peers: dict[str, Build] = {"post 000": lambda: Swin(**fields, window=window)}
    vision = _package("torchvision.models.swin_transformer", "torchvision's Swin", gaps)
    if vision is not None:
        peers["torchvision"] = lambda: vision.SwinTransformer(
            patch_size=[fields["patch"]] * 2,
            embed_dim=fields["width"],
            depths=list(fields["depths"]),
            num_heads=list(fields["heads"]),
            window_size=[window] * 2,
            num_classes=10,
            stochastic_depth_prob=0.0,
        )
    timm = _package("timm.models.swin_transformer", "timm's Swin", gaps)
    if timm is not None:
        peers["timm"] = lambda: timm.SwinTransformer(
            img_size=32,
            patch_size=fields["patch"],
            num_classes=10,
            embed_dim=fields["width"],
            depths=fields["depths"],
            num_heads=fields["heads"],
            window_size=window,
            drop_path_rate=0.0,
        )
    return peers


def _vits(gaps: list[str]) -> dict[str, Build]:
    peers: dict[str, Build] = {}
    vision = _package("torchvision.models.vision_transformer", "torchvision's ViT", gaps)
    width, depth, heads = VIT["width"], VIT["depth"], VIT["heads"]
    if vision is not None:
        peers["torchvision"] = lambda: vision.VisionTransformer(
            image_size=32,
            patch_size=VIT["patch"],
            num_layers=depth,
            num_heads=heads,
            hidden_dim=width,
            mlp_dim=4 * width,
            num_classes=10,
        )
    timm = _package("timm.models.vision_transformer", "timm's ViT", gaps)
    if timm is not None:
        peers["timm"] = lambda: timm.VisionTransformer(
            img_size=32,
            patch_size=VIT["patch"],
            num_classes=10,
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            class_token=False,
            global_pool="avg",
            fc_norm=False,
        )
    return peers


def _package(name: str, what: str, gaps: list[str]) -> Any:
    """A module of a package that need not be there."""
    try:
        return importlib.import_module(name)
    except ImportError:
        gap = f"{what}: {name.partition('.')[0]} is not installed"
        if gap not in gaps:
            gaps.append(gap)
        return None


BENCHMARK = Benchmark("a training step against post 000, torchvision and timm", run)
