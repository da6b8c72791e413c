"""The shipped recipes' training steps in the number formats that `train.precision = "auto"` tries.

What it would gain where it takes bf16: a step of the recipe's own batch, augmentation left out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from benchmarks.harness import Benchmark, Comparison, Pair, Result, Settings, answer, interleave
from benchmarks.peers.steps import TINY, Track, own, recipe
from swinablate.config.recipe import Recipe
from swinablate.study.arms.recipes import load_recipe
from swinablate.training.ahead.autotune import FASTER

RECIPES = (
    "swin_digits",
    "vit_digits",
    "resnet_digits",
    "swin_shapes",
    "swin_fashion",
    "vit_fashion",
    "resnet20_fashion",
    "convnext_fashion",
    "swin_cifar10",
    "vit_cifar10",
    "resnet20_cifar10",
)
"""A Swin, a ViT and a convolutional network at each size of image that is trained here."""
FOLDER = Path(__file__).parents[2] / "experiments"


def run(settings: Settings) -> Result:
    """Time every recipe's step in fp32, in fp32 of medium products, and in bf16."""
    findings: list[Comparison] = []
    for name, made in _recipes(settings):
        track = Track(batch=made.train.batch, device=settings.device, seconds=settings.seconds)
        forms = {
            "fp32": {"precision": "fp32"},
            "fp32, medium": {"precision": "fp32", "matmul": "medium"},
            "bf16": {"precision": "bf16"},
        }
        sides = [
            own(
                form,
                made.model_copy(update={"train": made.train.model_copy(update=fields)}),
                track,
            )
            for form, fields in forms.items()
        ]
        times = interleave(f"{name}, batch {made.train.batch}", "image", sides, settings.rounds)
        clock: Literal["cpu", "wall"] = "cpu" if settings.device == "cpu" else "wall"
        findings += answer(
            times,
            [
                Pair(a="fp32, medium", b="fp32", clock=clock),
                Pair(a="bf16", b="fp32", clock=clock),
            ],
        )
    taken = f"`auto` takes a format whose step takes less than {FASTER:g} of fp32's time"
    return Result(findings=findings, notes=[taken])


def _recipes(settings: Settings) -> Iterator[tuple[str, Recipe]]:
    if settings.tiny:
        yield "tiny", recipe({"family": "swin", **TINY, "window": 2}, batch=2)
        return
    for name in RECIPES:
        yield name, load_recipe(FOLDER / f"{name}.toml")


BENCHMARK = Benchmark("the shipped recipes' steps in fp32 and bf16", run)
