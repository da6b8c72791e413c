"""How large a network may be to be planned, and how large one is before it is built.

A plan builds every network, so a number with some zeros too many would be an hour of allocation.
Three questions, each cheap enough to be asked of anything: the images, in closed form; a network
of ours, in closed form from its geometry; any network, while it is built without storage.
"""

import contextlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from swinablate.config.family import Family, ImageSpec, ModelConfig

LARGEST = 12 << 30
"""Bytes. ViT-H (632 million parameters) just fits; one twice as large takes a plan minutes."""
PER_PARAMETER = 16
"""Bytes of a parameter while it trains: itself, its gradient, and the two moments of AdamW."""
IMAGES = 4
"""Images that a plan gives to every network: batch statistics of fewer say too little."""
BLOCKS = 800
"""Of ours, one after the other: ResNet-1202 has 600; a plan takes 0.05 s for each of an arm."""
MODULES = 20_000
"""Of any network. Swin-L has 700, and 800 blocks of ours at most 16,000."""
STEPS = 20_000
"""Tokens that a recurrent network reads one after the other, times its layers."""
SURE = 16
"""How far the closed form may be above the bound and the network still be built to be counted:
of no recipe is it off by that much."""
SMALL = 256 << 20
"""Bytes, by the closed form, of a network that may be built and run to be counted. Its weights are
a quarter of them at most; and were the form off by `SURE`, those would be 1 GiB."""
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""Of the container that this process runs in, where there is one."""


class TooLarge(ValueError):
    """The network, or its images, would not fit."""


def memory() -> int:
    """Bytes that a network may need here: the bound, or this machine's memory if that is less."""
    found = [LARGEST, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with contextlib.suppress(OSError, ValueError):  # none, or "max"
        found.append(int(MEMORY_LIMIT.read_text("ascii")))
    return min(found)


def check_bytes(needed: int | float, what: str) -> None:
    """Refuse what does not fit.

    Args:
        needed: bytes.
        what: needs them: "the network needs about".

    Raises:
        TooLarge: more than may be needed.
    """
    most = memory()
    if needed > most:
        raise TooLarge(
            f"{what} {volume(needed)}, and {volume(most)} is the most that can be planned "
            "here; make it smaller"
        )


def check_config(family: Family[ModelConfig], config: ModelConfig, image: ImageSpec) -> None:
    """Refuse images and networks of ours by their numbers alone, before anything is built.

    A network of somebody else's tells its size only while it is built: `counted` stops it.

    Raises:
        TooLarge: they do not fit.
        ValueError: the family cannot build the network for another reason.
    """
    pixels = image.channels * image.height * image.width
    what = f"{IMAGES} images of {image.channels}x{image.height}x{image.width} need about"
    check_bytes(4 * IMAGES * pixels, what)
    if ":" not in config.family:
        check_geometry(config, image, family.geometry(config, image))


def check_geometry(
    config: ModelConfig, image: ImageSpec, geometry: Sequence[Mapping[str, Any]]
) -> None:
    """Refuse one of our networks by its numbers alone, before anything is built.

    Args:
        config: its switches.
        image: its input.
        geometry: its effective numbers.

    Raises:
        TooLarge: it has too many blocks or steps, or needs far more memory than there is.
    """
    blocks = sum(map(_blocks, geometry))
    needed = _needed(config, image, geometry)
    if needed > SURE * memory():
        check_bytes(needed, "the network needs about")
    if blocks > BLOCKS:
        raise TooLarge(
            f"the network has {blocks:,} blocks one after the other and needs about "
            f"{volume(needed)}, and {BLOCKS} blocks can be planned; make it less deep"
        )
    steps = sum(row["tokens"] * row["depth"] for row in geometry if config.family == "rnn")
    if steps > STEPS:
        raise TooLarge(
            f"the network takes {steps:,} steps one after the other for an image, and "
            f"{STEPS:,} can be planned; take larger patches"
        )


def is_small(config: ModelConfig, image: ImageSpec, geometry: Sequence[Mapping[str, Any]]) -> bool:
    """Whether one of our networks may be built and run without a thought, by its numbers alone."""
    return _needed(config, image, geometry) <= SMALL


def _needed(config: ModelConfig, image: ImageSpec, geometry: Sequence[Mapping[str, Any]]) -> float:
    """Bytes that a network of ours needs to train on a few images, within a factor of a few."""
    weights = PER_PARAMETER * _weights(config, image, geometry)
    return weights + 4 * IMAGES * _kept(geometry)


def check_cost(params: int, activation_bytes: int) -> None:
    """Refuse a network whose sizes have been counted.

    Raises:
        TooLarge: it needs more memory than there is.
    """
    check_bytes(PER_PARAMETER * params + IMAGES * activation_bytes, "the network needs about")


@contextlib.contextmanager
def counted() -> Iterator[None]:
    """Count what a constructor makes, and stop it as soon as that is too much.

    Raises:
        TooLarge: it makes too many modules or parameters.
    """
    seen: set[int] = set()
    modules = parameters = 0
    most = memory() / PER_PARAMETER

    def module(*_: object) -> None:
        nonlocal modules
        modules += 1
        if modules > MODULES:
            raise TooLarge(f"the network has more than {MODULES:,} modules; make it smaller")

    def parameter(_: nn.Module, __: str, value: nn.Parameter | None) -> None:
        nonlocal parameters
        if value is None or nn.parameter.is_lazy(value) or id(value) in seen:
            return
        seen.add(id(value))  # what several modules share counts once
        parameters += value.numel()
        if parameters > most:
            check_bytes(PER_PARAMETER * parameters, "the network needs more than")

    hooks = (
        register_module_module_registration_hook(module),
        register_module_parameter_registration_hook(parameter),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def volume(size: int | float) -> str:
    """Bytes for people: `1.5 GiB`, `3,410 TiB`."""
    size = min(max(size, 1.0), 1e300)  # beyond a float's end, its end will do
    power = min(4, int(math.log2(size) // 10))
    number = size / 1024**power
    shown = (
        f"{number:.3g}"
        if number < 1000
        else f"{number:,.0f}"
        if number < 1e15
        else f"{number:.0e}"
    )
    return f"{shown} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"


def _blocks(row: Mapping[str, Any]) -> int:
    """Blocks of a stage; every family calls them as its paper does."""
    return next((row[key] for key in ("depth", "blocks", "convs", "layers") if key in row), 1)


def _weights(
    config: ModelConfig, image: ImageSpec, geometry: Sequence[Mapping[str, Any]]
) -> float:
    """Weights, within a factor of a few: matrices of every block, the stem and the head."""
    fields = dict(config)
    ratio = fields.get("mlp_ratio", 0)
    kernel = max([3, *_numbers(fields.get("kernels", ())), *_numbers(fields.get("kernel", ()))])
    width = geometry[0]["width"]
    first = image.channels * max(fields.get("patch", 1), kernel) ** 2 * width
    last = geometry[-1]
    head = last["width"] * image.classes
    if fields.get("head") == "fc":  # which reads every position
        hidden = fields.get("hidden", image.classes)
        head = hidden * (hidden + last["width"] * math.prod(last.get("grid", (1, 1))))
    blocks = sum(
        _blocks(row) * (2 + 2 * ratio + kernel * kernel / 4) * row["width"] * _inner(row, fields)
        for row in geometry
    )
    return float(first + head + blocks)


def _inner(row: Mapping[str, Any], fields: Mapping[str, Any]) -> float:
    """What a block's matrices lead to: as wide again, or what a dense layer adds."""
    growth = fields.get("growth")
    return float(row["width"] if growth is None else growth)


def _kept(geometry: Sequence[Mapping[str, Any]]) -> float:
    """Numbers that a training step keeps of one image, at least: of each block's tokens."""
    found = 0.0
    for row in geometry:
        positions = row.get("tokens") or math.prod(row["grid"])
        keys = math.prod(row["window"]) if "window" in row else row.get("tokens", 0)
        scores = keys * row.get("heads", 0)
        found += _blocks(row) * positions * (4 * row["width"] + scores)
    return found


def _numbers(value: object) -> Sequence[int]:
    return value if isinstance(value, tuple) else (value,) if isinstance(value, int) else ()
