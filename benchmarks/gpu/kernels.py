"""What the kernels of a step take: attention, augmentation, and which are the largest."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.cases.step import VIT
from benchmarks.gpu.common import RECIPES, Found, Where, clear, peak, speed
from benchmarks.gpu.steps import alone, small, stepper
from benchmarks.peers.steps import recipe
from swinablate.config.family import ImageSpec
from swinablate.config.recipe import Recipe
from swinablate.data import Augment, augmentation, image_spec, of_runs, of_step
from swinablate.data.batches import TOGETHER
from swinablate.models.layers import attention as attend
from swinablate.study.arms.recipes import load_recipe
from swinablate.training.graphs import EAGER, Device

SHAPES = {
    "windows of 49, first stage": (64 * 64, 3, 49, 32),
    "ViT, 49 tokens": (512, 3, 49, 32),
    "ViT, 64 tokens": (512, 3, 64, 32),
    "ViT, 100 tokens": (256, 3, 100, 32),
    "ViT-S/16": (128, 6, 197, 64),
}
"""Batch or windows, heads, tokens, channels of a head."""


@dataclass(frozen=True, kw_only=True)
class Heads:
    """What attention mixes: queries, keys, values, and a bias of the scores or none."""

    q: Tensor
    k: Tensor
    v: Tensor
    bias: Tensor | None
    grad: Tensor

    def plain(self) -> Tensor:
        """As `layers.attention` writes it."""
        with torch.autocast(self.q.device.type, torch.bfloat16):
            scores = (self.q * self.q.shape[-1] ** -0.5) @ self.k.mT
            weights = (scores if self.bias is None else scores + self.bias).softmax(-1)
            mixed: Tensor = weights.to(self.v.dtype) @ self.v
        return mixed

    def fused(self) -> Tensor:
        """As torch's own does it."""
        bias = self.bias
        mask = None if bias is None else bias.to(self.q.dtype).expand(len(self.q), -1, -1, -1)
        return F.scaled_dot_product_attention(self.q, self.k, self.v, attn_mask=mask)

    def both(self, way: str) -> None:
        """Forward and backward, "plain" or "fused"."""
        torch.autograd.backward(getattr(self, way)(), self.grad)


def attention(where: Where) -> Found:
    """Softmax attention as ours and as torch's, forward and backward, each as a graph."""
    found: Found = {}
    for name, (b, *rest) in SHAPES.items():
        batch = 2 if where.tiny else b
        heads, tokens, _ = rest
        q, k, v, grad = (
            torch.randn(batch, *rest, device=where.device, dtype=torch.bfloat16) for _ in range(4)
        )
        bias = torch.zeros(heads, tokens, tokens, device=where.device)
        for some in (q, k, v, bias):
            some.requires_grad_()
        given = Heads(q=q, k=k, v=v, bias=bias if "windows" in name else None, grad=grad)
        torch.use_deterministic_algorithms(mode=True)  # as trials have it
        for way in ("plain", "fused"):
            clear(where)
            try:
                took = speed(_launched(given, way, where), batch, where)
                took["peak_bytes"] = peak(where)
            except RuntimeError as error:
                took = {"refused": str(error)[:300]}
            found[f"{name}, {way}"] = took
    return found


def _launched(given: Heads, way: str, where: Where) -> Callable[[], object]:
    """Forward and backward; on a GPU as a graph, so that the kernels are what is timed."""

    def work(_: Tensor) -> Tensor:
        given.both(way)
        return given.grad

    if where.device.type != "cuda":
        return lambda: work(given.grad)
    device = Device(where.device)
    for _ in range(EAGER):
        with device.stream():
            work(given.grad)
    replay, _ = device.record(work, [given.grad])
    return replay


def kernel(where: Where) -> Found:
    """Whole training steps of ViTs with and without torch's attention."""
    wide: dict[str, Any] = {"patch": 16, "width": 384, "depth": 12, "heads": 6}
    sizes = {
        "ViT-S/16, 224 pixels, batch 128": (wide, 224, 128),
        "ViT 6x96, 64 tokens, batch 128": (VIT, 32, 128),
    }
    found: Found = {}
    for name, (fields, side, batch) in sizes.items():
        smaller = {"patch": 4, "width": 16, "depth": 1, "heads": 2} if where.tiny else fields
        side, batch = (8, 2) if where.tiny else (side, batch)  # noqa: PLW2901
        image = ImageSpec(height=side, width=side, channels=3, classes=10)
        made = recipe({"family": "vit", **smaller}, batch=batch, precision="bf16")
        made = made.model_copy(update={"data": made.data.model_copy(update={"image": image})})
        for way, least in (("kernel", attend.LONG), ("plain", 10**9)):
            with replaced(attend, "LONG", least):
                clear(where)
                found[f"{name}, {way}"] = alone(made, where)
    return found


def profile(where: Where) -> Found:
    """The kernels that take longest in a step of 16 seeds as one, and in one alone."""
    made = small(where, precision="bf16")
    many = 2 if where.tiny else 16
    return {"as one": _largest(made, many, where), "alone": _largest(made, 1, where)}


def miniature(where: Where) -> Found:
    """Steps of Table 4 in miniature, windows of 7, Fashion-MNIST: alone, five seeds as one."""
    found: Found = {}
    written = load_recipe(RECIPES / "swin_table4_fashion.toml")
    for form in ("fp32", "bf16"):
        train = written.train.model_copy(update={"precision": form})
        made = written.model_copy(update={"train": train})
        for count in (1, 5):
            clear(where)
            images = count * made.train.batch
            found[f"{form}, {count}"] = speed(stepper(made, count, where), images, where)
            found[f"{form}, {count}: largest"] = _largest(made, count, where)
    return found


def _largest(made: Recipe, count: int, where: Where) -> Found:
    step = stepper(made, count, where)
    for _ in range(10):
        step()
    where.wait()
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if where.device.type == "cuda":
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=kinds) as taken:
        for _ in range(5):
            step()
        where.wait()
    on = "self_device_time_total" if where.device.type == "cuda" else "self_cpu_time_total"
    rows = sorted(taken.key_averages(), key=lambda row: -getattr(row, on))[:30]
    return {row.key[:300]: [getattr(row, on) / 5, row.count / 5] for row in rows}


def changes(where: Where) -> Found:
    """What a batch's augmentation takes beside the step of A, batch 128."""
    made = small(where, precision="bf16")
    image, batch = image_spec(made.data), made.train.batch
    found: Found = {"step": alone(made, where)}
    pixels = torch.randint(256, (batch, 3, image.height, image.width), dtype=torch.uint8)
    pixels, labels = pixels.to(where.device), torch.zeros(batch, dtype=torch.long)
    labels = labels.to(where.device)
    many = pixels.repeat(TOGETHER, 1, 1, 1), labels.repeat(TOGETHER)
    kinds: dict[str, dict[str, Any]] = {
        "flip and crop": {},
        "and cutout, mixup": {"cutout": 8, "mixup": 0.8},
        "and randaugment": {"policy": "randaugment"},
    }
    for name, fields in kinds.items():
        data = made.data.model_copy(update={"augment": "flip_crop", **fields})
        change, steps = augmentation(data, image), itertools.count()

        def once(change: Augment = change, steps: Iterator[int] = steps) -> None:
            chance = of_step(0, "", 0, next(steps))
            change(pixels, labels, lambda x: x.float() / 255, chance)

        found[name] = speed(once, batch, where)

        def at_once(change: Augment = change, steps: Iterator[int] = steps) -> None:
            chances = [of_step(0, "", 0, next(steps)) for _ in range(TOGETHER)]
            change(*many, lambda x: x.float() / 255, of_runs(chances))

        found[f"{name}, {TOGETHER} steps at once"] = speed(at_once, TOGETHER * batch, where)
    return found


@contextmanager
def replaced(module: ModuleType, name: str, value: object) -> Iterator[None]:
    """Another value of a module's constant for a while."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
