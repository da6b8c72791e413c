"""Training, validation and test images of one trial, on its device.

The test set is the data set's own. The rest is put in one stratified random order, drawn by
`data.split_seed` (and the trial's seed with `data.resample_split`); its first images are for
validation, the next ones for training. So the validation set does not depend on
`data.train_fraction`, and a smaller training set is part of every larger one. Where a data set
has validation images of its own, none are cut.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Int64, Real, UInt8
from numpy.typing import NDArray
from torch import Tensor

from swinablate.config.data import DataConfig
from swinablate.data.dataset import Moments, Rows, Wholes, draws, stratified_order
from swinablate.data.prepared import opened, own_validation
from swinablate.data.registry import image_spec, sizes_of


@dataclass(frozen=True, kw_only=True)
class Images:
    """Some of a data set's images; splits cut from one part share its memory.

    Attributes:
        pixels: raw images of the whole part.
        rows: which of them these are.
        labels: their classes.
        scale, shift: per channel; x = pixels * scale + shift is the normalised image.
        ahead: the images do not fit: they stay in the file, and a thread reads them ahead.
        balanced: in training, every class comes equally often.
    """

    pixels: UInt8[Tensor, "all c h w"]
    rows: Int[Tensor, " n"]
    labels: Int[Tensor, " n"]
    scale: Float[Tensor, "c 1 1"]
    shift: Float[Tensor, "c 1 1"]
    ahead: bool = False
    balanced: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shared(self) -> Int[Tensor, " n"] | None:
        """Classes that are to come equally often, image by image; None where images do."""
        return self.labels if self.balanced else None

    @property
    def device(self) -> torch.device:
        """Where batches are made; that of the pixels unless they are read ahead."""
        return self.rows.device

    def normalised(self, pixels: Real[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Raw images, as the network takes them; floats are overwritten."""
        return pixels.float().mul_(self.scale).add_(self.shift)


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The images of one trial."""

    train: Images
    val: Images
    test: Images


def load_splits(
    config: DataConfig, root: Path, seed: int, stream: str, device: torch.device
) -> Splits:
    """Split a prepared data set.

    Args:
        config: the recipe's data.
        root: the home's folder of data sets.
        seed: the trial's; matters with `data.resample_split` only.
        stream: `train.stream`; likewise.
        device: where the images go. On a CPU they stay in the file, mapped.

    Raises:
        EnvironmentFault: the data set is not prepared, or damaged.
        ValueError: a split would be empty.
    """
    arrays = opened(config, root)
    labels, test_labels = np.asarray(arrays["train_labels"]), np.asarray(arrays["test_labels"])
    own = own_validation(config, root)
    sizes = sizes_of(config, len(labels), len(test_labels), own)
    trial = (seed, stream) if config.resample_split else ()
    chance = draws(len(labels), "split", config.split_seed, *trial)
    if own:
        cut = len(labels) - own
        order = stratified_order(labels[:cut], chance[:cut])
        train = order[: sizes.train]
        val = cut + stratified_order(labels[cut:], chance[cut:])[: sizes.val]
    else:
        order = stratified_order(labels, chance)
        held_out = round(config.val_fraction * len(labels))
        train, val = order[held_out:][: sizes.train], order[: sizes.val]
    test = np.arange(len(test_labels))
    if sizes.test < len(test):  # the same few for every seed
        test = stratified_order(test_labels, draws(len(test), "limit"))[: sizes.test]
    scale, shift = _normalisation(config, arrays, train)
    held = [arrays["train_pixels"], arrays["test_pixels"]]
    ahead = not fits(sum(x.nbytes for x in held), device)
    place = torch.device("cpu") if ahead else device
    pixels, test_pixels = (torch.from_numpy(x).to(place) for x in held)

    def part(
        pixels: UInt8[Tensor, "all c h w"], labels: Int64[Wholes, " all"], rows: Rows
    ) -> Images:
        return Images(
            pixels=pixels,
            rows=torch.from_numpy(rows).to(device),
            labels=torch.from_numpy(labels[rows]).to(device),
            scale=scale.to(device),
            shift=shift.to(device),
            ahead=ahead,
            balanced=config.balanced,
        )

    return Splits(
        train=part(pixels, labels, train),
        val=part(pixels, labels, val),
        test=part(test_pixels, test_labels, test),
    )


def per_class(config: DataConfig, root: Path, seed: int = 0) -> dict[str, list[int]]:
    """Split -> images of each class, in the order of the classes.

    Args:
        config: the recipe's data.
        root: the home's folder of data sets.
        seed: a trial's; others differ by an image of a class, with `data.resample_split` only.

    Raises:
        EnvironmentFault: the data set is not prepared, or damaged.
        ValueError: a split would be empty.
    """
    found = load_splits(config, root, seed, "main", torch.device("cpu"))
    classes = image_spec(config).classes
    parts = {"train": found.train, "val": found.val, "test": found.test}
    return {
        name: torch.bincount(images.labels, minlength=classes).tolist()
        for name, images in parts.items()
    }


def fits(size: int, device: torch.device) -> bool:
    """Whether images of so many bytes may stay in memory, without crowding out the training.

    A quarter of what is free on a GPU; half of the machine's memory on a CPU, where they are
    mapped and all trials share them. What does not fit is read from the file as it is needed;
    trials compute the same either way. Free is, too, what torch keeps of earlier trials of a warm
    worker: it gives that back when it is short of memory.
    """
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return size <= (torch.cuda.mem_get_info(device)[0] + kept) // 4
    return size <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _normalisation(
    config: DataConfig, arrays: Mapping[str, NDArray[Any]], train: Rows
) -> tuple[Float[Tensor, "c 1 1"], Float[Tensor, "c 1 1"]]:
    first = arrays["train_pixels"][0]
    if config.normalisation == "dataset":
        return normalisation(arrays["train_moments"][train], first.size)
    one = torch.ones(len(first), 1, 1)
    top = image_spec(config).top
    # 0..top to -1..1, or to 0..1.
    return (one * (2 / top), -one) if config.normalisation == "half" else (one / top, 0 * one)


def normalisation(
    moments: Moments, values: int
) -> tuple[Float[Tensor, "c 1 1"], Float[Tensor, "c 1 1"]]:
    """Scale and shift that give images mean 0 and variance 1 in each channel.

    Args:
        moments: sum and sum of squares of each training image's channels.
        values: numbers in an image: channels x height x width.
    """
    n, channels, _ = moments.shape
    mean, square = np.moveaxis(moments.sum(0) / (n * values // channels), 1, 0)
    deviation = np.sqrt(square - mean**2)
    scale = 1 / np.where(deviation > 0, deviation, 1.0)  # a constant channel stays constant
    return (
        torch.from_numpy(scale.astype(np.float32))[:, None, None],
        torch.from_numpy((-mean * scale).astype(np.float32))[:, None, None],
    )
