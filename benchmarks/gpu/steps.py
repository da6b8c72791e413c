"""Steps of a network on a GPU: ours alone, many as one, in many processes, and others'."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.gpu.common import RECIPES, WARM, Found, Where, clear, peak, speed
from benchmarks.peers.steps import TINY, A, noise, recipe
from benchmarks.peers.studies import program, told
from swinablate.config.family import ImageSpec
from swinablate.config.recipe import Recipe
from swinablate.data import image_spec
from swinablate.models.cost import cost
from swinablate.models.registry import load_family
from swinablate.study.arms.recipes import load_recipe
from swinablate.training.fit import build
from swinablate.training.fused.stack import Stack
from swinablate.training.precision import settle
from swinablate.training.step import make_learner


def small(where: Where, **train: Any) -> Recipe:
    """Post 000's network and batch."""
    fields = TINY if where.tiny else A
    batch = 4 if where.tiny else 128
    return recipe({"family": "swin", **fields, "window": 2}, batch=batch, **train)


def alone(made: Recipe, where: Where) -> Found:
    """The training step of one trial."""
    found = speed(stepper(made, 1, where), made.train.batch, where)
    return found | {"peak_bytes": peak(where)}


def stepper(made: Recipe, replicas: int, where: Where) -> Callable[[], object]:
    """The step of one trial, or of many as one."""
    settle(made.train)
    image = image_spec(made.data)
    x, y = noise(made.train.batch, image, where.device)
    if replicas == 1:
        learner = make_learner(build(made, image, 0), made.train, where.device)
        return lambda: learner.step(x, y)
    models = [build(made, image, seed).to(where.device) for seed in range(replicas)]
    stack = Stack(models, [made.train] * replicas, x)
    xs, ys = (part.expand(replicas, *part.shape).contiguous() for part in (x, y))

    def step() -> None:
        stack.gradients(xs, ys, {})
        stack.step(1.0)

    return step


def fused(made: Recipe, replicas: int, where: Where) -> Found:
    """The step of many seeds as one graph, and its memory beside what admission expects."""
    image = image_spec(made.data)
    known = cost(load_family("swin", "benchmark"), made.model, image)
    expected = 2 * known.activation_bytes * made.train.batch + 24 * known.params
    found = speed(stepper(made, replicas, where), replicas * made.train.batch, where)
    return found | {"peak_bytes": peak(where), "expected_bytes": replicas * expected}


NETWORKS = (
    "swin_digits",
    "vit_digits",
    "resnet_digits",
    "densenet_digits",
    "post002_digits",
    "swin_fashion",
    "vit_fashion",
    "resnet20_fashion",
    "googlenet_fashion",
    "swin_table4_fashion",
    "post000_cifar10",
    "resnet20_cifar10",
)
"""Recipes whose seeds are trained together in the studies shipped: of many and of few kernels."""
TOGETHER = (2, 5, 16)


def networks(where: Where, precision: str) -> Found:
    """Steps of shipped recipes, alone and so many seeds as one, and what `--fuse auto` takes."""
    found: Found = {}
    for name in NETWORKS[: 1 if where.tiny else None]:
        made = load_recipe(RECIPES / f"{name}.toml")
        plain = {"precision": precision, "matmul": "highest", "compile": False}
        made = made.model_copy(update={"train": made.train.model_copy(update=plain)})
        known = cost(load_family(made.model.family, name), made.model, image_spec(made.data))
        row: Found = {"activation_bytes": known.activation_bytes, "batch": made.train.batch}
        quick = replace(where, round_s=where.round_s / 4)  # many are asked; rounds are five
        try:
            for count in (1, *TOGETHER):
                clear(where)
                images = count * made.train.batch
                took = speed(stepper(made, count, where), images, quick)
                row[str(count)] = [took["images_per_s"], *took["range"], took["first_s"]]
        except Exception as error:  # noqa: BLE001  one recipe's fault is a finding
            row["error"] = f"{type(error).__name__}: {error}"[:300]
        found[name] = row
    return found


def processes(count: int, precision: str, where: Where) -> Found:
    """So many processes at once on one device; their images a second add up."""
    model = {"family": "swin", **(TINY if where.tiny else A), "window": 2}
    train = {"batch": 4 if where.tiny else 128, "precision": precision}
    seconds = 1.0 if where.tiny else 8.0  # longer than they start apart
    words = (json.dumps(model), json.dumps(train), str(where.device), str(seconds))
    with ThreadPoolExecutor(count) as pool:
        spent = list(pool.map(lambda _: told(program("steps", *words), None), range(count)))
    rates = [each["units"] / each["wall_s"] for each in spent]
    return {"images_per_s": sum(rates), "range": [count * min(rates), count * max(rates)]}


def swin_t(where: Where, batch: int, *, compiled: bool) -> Found:
    """Swin-T at 224, ours, its step alone."""
    made = load_recipe(RECIPES / ("swin_digits.toml" if where.tiny else "swin_t_224.toml"))
    changes = {"batch": batch, "compile": compiled, "precision": "bf16"}
    return alone(made.model_copy(update={"train": made.train.model_copy(update=changes)}), where)


def peer(where: Where, name: str, *, compiled: bool) -> Found:
    """The same network of others, in a loop as anybody writes it."""
    batch, side = (2, 32) if where.tiny else (128, 224)
    torch.use_deterministic_algorithms(mode=False)
    torch.manual_seed(0)
    model = _theirs(name, side).to(where.device).train()
    call = torch.compile(model, mode="reduce-overhead") if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    x, y = noise(batch, ImageSpec(height=side, width=side, channels=3, classes=10), where.device)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(where.device.type, torch.bfloat16):
            loss = F.cross_entropy(call(x).float(), y)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)  # as the recipe has it
        optimizer.step()

    return speed(step, batch, where) | {"peak_bytes": peak(where)}


def _theirs(name: str, side: int) -> nn.Module:
    if name == "torchvision":
        from torchvision.models import swin_t as network

        made: nn.Module = network(weights=None)
        return made
    import timm

    plain = "swin_tiny_patch4_window7_224"
    found: nn.Module = timm.create_model(plain, img_size=side, drop_path_rate=0.2)
    return found


def arms(where: Where) -> Found:
    """Ten compiled arms in one process: the last is as compiled as the first, and how long."""
    found: Found = {}
    for width in range(1, 3 if where.tiny else 11):
        made = small(where, compile=True)
        model = made.model.model_copy(update={"width": 16 * width})
        clear(where)
        began = time.perf_counter()
        settle(made.train)
        made = made.model_copy(update={"model": model})
        learner = make_learner(build(made, image_spec(made.data), 0), made.train, where.device)
        x, y = noise(made.train.batch, image_spec(made.data), where.device)
        for _ in range(WARM):
            learner.step(x, y)
        where.wait()
        eager = getattr(learner.forward, "eager", None)
        found[str(16 * width)] = {"eager_passes": eager, "s": time.perf_counter() - began}
    return found
