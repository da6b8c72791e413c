"""Images a core augments per second: the product's batches against torch's DataLoader.

The peer is a `DataLoader` over PIL images with torchvision's transforms, v1 (the documented
default of its references) and v2, without worker processes: what counts is the work of one
core. Images are random bytes of CIFAR's format; speed does not need CIFAR. All variants are
run in turn, in one process, one thread, `rounds` times.

    python benchmarks/data_path.py
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from swinablate.data import (
    Images,
    augmentation,
    batch,
    epoch_order,
    of_step,
    raw_batches,
)
from swinablate.recipe import DataConfig, ImageSpec

FORMAT = ImageSpec(height=32, width=32, channels=3, classes=10)
N, BATCH, HOLE = 2048, 128, 16
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


def measure(rounds: int = 5) -> list[dict[str, Any]]:
    """Time every variant `rounds` times, in turn.

    Returns:
        One row a case and peer: `case`, `ours` and `theirs` in images per second of
        processor time (median), `peer`, `ratio` (median of the rounds' ratios), `low`,
        `high` (their range). The peer "ours again" is the control: its ratio should be 1.
    """
    torch.set_num_threads(1)
    pixels = np.random.Generator(np.random.PCG64(0)).integers(
        0, 256, (N, 32, 32, 3), dtype=np.uint8
    )
    rows = []
    for case, words in CASES.items():
        ours = _ours(pixels, words)
        peers = {"ours again": ours, **_peers(pixels, case)}
        rates: dict[str, list[float]] = {name: [] for name in ("ours", *peers)}
        for epoch in (ours, *peers.values()):
            _rate(epoch, 0)  # warm
        for i in range(rounds):
            for name, epoch in (("ours", ours), *peers.items()):
                rates[name].append(_rate(epoch, i + 1))
        for name in peers:
            ratios = [a / b for a, b in zip(rates["ours"], rates[name], strict=True)]
            rows.append(
                {
                    "case": case,
                    "peer": name,
                    "ours": median(rates["ours"]),
                    "theirs": median(rates[name]),
                    "ratio": median(ratios),
                    "low": min(ratios),
                    "high": max(ratios),
                }
            )
    return rows


def _rate(epoch: Epoch, number: int) -> float:
    """Images per second of processor time; small epochs are repeated for a tenth of one."""
    began, made = time.process_time(), 0
    while (spent := time.process_time() - began) < 0.1:
        made += epoch(number)
    return made / spent


def _ours(pixels: np.ndarray, words: dict[str, Any]) -> Epoch:
    images = Images(
        pixels=torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy()),
        rows=torch.arange(N),
        labels=torch.arange(N) % FORMAT.classes,
        scale=torch.full((3, 1, 1), 1 / (255 * DEVIATION)),
        shift=torch.full((3, 1, 1), -MEAN / DEVIATION),
    )
    change = augmentation(DataConfig(name="noise", image=FORMAT, **words), FORMAT)

    def epoch(number: int) -> int:
        order = epoch_order(N, 0, "main", number)
        for step, raw in enumerate(raw_batches(images, order, BATCH)):
            batch(raw, images, change, of_step(0, "main", number, step))
        return N

    return epoch


def _peers(pixels: np.ndarray, case: str) -> dict[str, Epoch]:
    """Loaders that do the same; none where torchvision mixes once a batch only."""
    if "mixup" in case or "cutmix" in case:
        return {}
    labels = [i % FORMAT.classes for i in range(N)]
    made = {}
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


if __name__ == "__main__":
    for row in measure():
        print(
            f"{row['case']:26s}{row['peer']:28s}{row['ours']:10,.0f}/s {row['theirs']:10,.0f}/s "
            f"{row['ratio']:6.2f}x [{row['low']:.2f}, {row['high']:.2f}]"
        )
