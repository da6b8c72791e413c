"""Images a core augments per second: the product's batches against torch's DataLoader.

The peer is a `DataLoader` over PIL images with torchvision's transforms, v1 (the documented
default of its references) and v2, without worker processes: what counts is the work of one
core. Images are random bytes of CIFAR's format; speed does not need CIFAR.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.harness import (
    Benchmark,
    Comparison,
    Pair,
    Result,
    Round,
    Settings,
    Side,
    answer,
    interleave,
    repeated,
)
from swinablate.config.data import DataConfig
from swinablate.config.family import ImageSpec
from swinablate.data import Images, augmentation, batch, epoch_order, of_step, raw_batches

FORMAT = ImageSpec(height=32, width=32, channels=3, classes=10)
N, TINY, BATCH, HOLE = 2048, 128, 128, 16
V1_CUTOUT = 12.0
"""The target, where there is one: against v1 transforms with cutout."""
MEAN, DEVIATION = 0.47, 0.25
CASES: dict[str, dict[str, Any]] = {
    "normalise": {},
    "crop flip": {"augment": "flip_crop"},
    "crop flip cutout": {"augment": "flip_crop", "cutout": HOLE},
    "crop flip erase": {"augment": "flip_crop", "erase": 0.5},
    "crop flip mixup": {"augment": "flip_crop", "mixup": 0.8},
    "crop flip cutmix": {"augment": "flip_crop", "cutmix": 1.0},
    "crop flip randaugment": {"augment": "flip_crop", "policy": "randaugment"},
    "crop flip trivialaugment": {"augment": "flip_crop", "policy": "trivialaugment"},
    "jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4},
}
Epoch = Callable[[int], int]
"""Runs one epoch, given its number; returns how many images it made."""


@dataclass(frozen=True)
class Pictures(Dataset[tuple[Any, int]]):
    """PIL images and classes, as torchvision's CIFAR10 gives them."""

    pixels: np.ndarray
    labels: Sequence[int]
    transform: Callable[[Any], Any]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Any, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.pixels[i])), self.labels[i]


@dataclass(frozen=True)
class Cutout:
    """The authors' transform (uoguelph-mlrg/Cutout, util/cutout.py) for one hole."""

    side: int

    def __call__(self, x: Tensor) -> Tensor:
        """Blacken the hole (after normalisation: make it the mean)."""
        h, w = x.shape[1:]
        row, column = torch.randint(h, ()).item(), torch.randint(w, ()).item()
        top, left = max(row - self.side // 2, 0), max(column - self.side // 2, 0)
        mask = torch.ones(h, w)
        mask[top : row + self.side // 2, left : column + self.side // 2] = 0.0
        return x * mask


def run(settings: Settings) -> Result:
    """Time every variant of every case, in turn."""
    torch.set_num_threads(1)
    shape = (TINY if settings.tiny else N, 32, 32, 3)
    pixels = np.random.Generator(np.random.PCG64(0)).integers(0, 256, shape, dtype=np.uint8)
    findings: list[Comparison] = []
    for case in ["crop flip cutout"] if settings.tiny else CASES:
        sides = [_side("ours", _ours(pixels, CASES[case]), settings)]
        sides += [_side(n, e, settings) for n, e in _peers(pixels, case).items()]
        if len(sides) > 1:
            times = interleave(case, "image", sides, settings.rounds)
            findings += answer(times, _pairs(case))
    gaps = ["images augmented on a GPU, as a share of a step: no GPU was available"]
    mixed = "mixup and cutmix have no peer: torchvision draws them once a batch"
    return Result(findings=findings, gaps=gaps, notes=[mixed])


def _side(name: str, epoch: Epoch, settings: Settings) -> Side:
    def ready() -> Round:
        made = epoch(0)
        number = itertools.count(1)
        return repeated(lambda: epoch(next(number)), made, min(settings.seconds, 0.2))

    return Side(name, ready)


def _pairs(case: str) -> list[Pair]:
    v1 = V1_CUTOUT if case == "crop flip cutout" else None
    return [
        Pair(a="ours", b="DataLoader, transforms v1", least=v1),
        Pair(a="ours", b="DataLoader, transforms v2"),
    ]


def _ours(pixels: np.ndarray, words: dict[str, Any]) -> Epoch:
    count = len(pixels)
    images = Images(
        pixels=torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy()),
        rows=torch.arange(count),
        labels=torch.arange(count) % FORMAT.classes,
        scale=torch.full((3, 1, 1), 1 / (255 * DEVIATION)),
        shift=torch.full((3, 1, 1), -MEAN / DEVIATION),
    )
    change = augmentation(DataConfig(name="noise", image=FORMAT, **words), FORMAT)

    def epoch(number: int) -> int:
        order = epoch_order(count, 0, "main", number)
        for step, raw in enumerate(raw_batches(images, order, BATCH)):
            batch(raw, images, change, of_step(0, "main", number, step))
        return count // BATCH * BATCH

    return epoch


def _peers(pixels: np.ndarray, case: str) -> dict[str, Epoch]:
    """Loaders that do the same; none where torchvision mixes once a batch only."""
    if "mixup" in case or "cutmix" in case:
        return {}
    labels = [i % FORMAT.classes for i in range(len(pixels))]
    made: dict[str, Epoch] = {}
    for name, transform in _transforms(case):
        loader = DataLoader(
            Pictures(pixels, labels, transform), BATCH, shuffle=True, drop_last=True
        )

        def epoch(_number: int, loader: DataLoader[Any] = loader) -> int:
            return sum(len(x) for x, _ in loader)

        made[f"DataLoader, transforms {name}"] = epoch
    return made


def _transforms(case: str) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    from torchvision import transforms as v1
    from torchvision.transforms import v2

    spread = (MEAN,) * 3, (DEVIATION,) * 3
    for name, t in (("v1", v1), ("v2", v2)):
        before: list[Any] = []
        if "crop" in case:
            before += [t.RandomCrop(32, padding=4), t.RandomHorizontalFlip()]
        if "randaugment" in case:
            before.append(t.RandAugment())
        if "trivialaugment" in case:
            before.append(t.TrivialAugmentWide())
        if "jitter" in case:
            before.append(t.ColorJitter(0.4, 0.4, 0.4))
        tensor = (
            [v1.ToTensor()] if t is v1 else [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
        )
        after: list[Any] = [t.Normalize(*spread)]
        if "cutout" in case:
            after.append(Cutout(HOLE))
        if "erase" in case:
            after.append(t.RandomErasing())
        yield name, t.Compose([*before, *tensor, *after])


BENCHMARK = Benchmark("images a core augments against torch's DataLoader", run)
