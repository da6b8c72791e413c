"""Training, validation and test images of one trial, on its device.

The test set is the data set's own. The rest is put in one stratified random order, drawn by
`data.split_seed` (and the trial's seed with `data.resample_split`); its first images are for
validation, the next ones for training. So the validation set does not depend on
`data.train_fraction`, and a smaller training set is part of every larger one.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray
from torch import Tensor

from swinablate.data.catalog import describe
from swinablate.data.store import opened
from swinablate.dataset import draws, stratified_order
from swinablate.recipe import DataConfig


@dataclass(frozen=True, kw_only=True)
class Images:
    """Some of a data set's images; splits cut from one part share its memory.

    Attributes:
        pixels: raw images of the whole part.
        rows: which of them these are.
        labels: their classes.
        scale, shift: per channel; x = pixels * scale + shift has mean 0 and variance 1 over
            the training images.
    """

    pixels: UInt8[Tensor, "all c h w"]
    rows: Int[Tensor, " n"]
    labels: Int[Tensor, " n"]
    scale: Float[Tensor, "c 1 1"]
    shift: Float[Tensor, "c 1 1"]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The images of one trial."""

    train: Images
    val: Images
    test: Images


def load(config: DataConfig, root: Path, seed: int, stream: str, device: torch.device) -> Splits:
    """Split a prepared data set.

    Args:
        config: the recipe's data.
        root: the home's folder of data sets.
        seed: the trial's; matters with `data.resample_split` only.
        stream: `train.stream`; likewise.
        device: where the images go. On a CPU they stay in the file, mapped.

    Raises:
        EnvironmentFault: the data set is not prepared, or damaged.
    """
    arrays, sizes = opened(config, root), describe(config)
    labels, test_labels = np.asarray(arrays["train_labels"]), np.asarray(arrays["test_labels"])
    trial = (seed, stream) if config.resample_split else ()
    order = stratified_order(labels, draws(len(labels), "split", config.split_seed, *trial))
    held_out = round(config.val_fraction * len(labels))
    train, val = order[held_out:][: sizes.train], order[: sizes.val]
    test = np.arange(len(test_labels))
    if sizes.test < len(test):  # the same few for every seed
        test = stratified_order(test_labels, draws(len(test), "limit"))[: sizes.test]
    scale, shift = normalisation(arrays["train_moments"][train], arrays["train_pixels"][0].size)
    pixels = torch.from_numpy(arrays["train_pixels"]).to(device)
    test_pixels = torch.from_numpy(arrays["test_pixels"]).to(device)

    def part(pixels: Tensor, labels: NDArray[np.int64], rows: NDArray[np.int64]) -> Images:
        return Images(
            pixels=pixels,
            rows=torch.from_numpy(rows).to(device),
            labels=torch.from_numpy(labels[rows]).to(device),
            scale=scale.to(device),
            shift=shift.to(device),
        )

    return Splits(
        train=part(pixels, labels, train),
        val=part(pixels, labels, val),
        test=part(test_pixels, test_labels, test),
    )


def normalisation(
    moments: NDArray[np.int64], values: int
) -> tuple[Float[Tensor, "c 1 1"], Float[Tensor, "c 1 1"]]:
    """Scale and shift that give images mean 0 and variance 1 in each channel.

    Args:
        moments: sum and sum of squares of each training image's channels (n c 2).
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
