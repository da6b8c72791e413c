"""Images turned upside down, rotated, blurred and scaled; classes that come equally often."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv

from swinablate.config.data import DataConfig
from swinablate.config.family import ImageSpec
from swinablate.data import (
    augmentation,
    epoch_order,
    image_spec,
    load_splits,
    of_step,
    prepare,
    resolved_data,
)
from swinablate.data.augment import turning
from swinablate.data.image_files import scaled

CPU = torch.device("cpu")
SIZES = pytest.mark.parametrize("size", [(12, 9, 3), (8, 8, 1), (33, 64, 3), (5, 2, 2)], ids=str)


def photos(n: int, h: int, w: int, c: int) -> Tensor:
    """Smooth, with a little noise: no two neighbours are alike."""
    chance = torch.Generator().manual_seed(n + h)
    smooth = F.interpolate(torch.rand(n, c, 3, 3, generator=chance), (h, w), mode="bicubic")
    noise = 0.2 * torch.rand(n, c, h, w, generator=chance)
    return (255 * (0.8 * smooth + noise)).clamp(0, 255).to(torch.uint8)


def close(ours: Tensor, theirs: Tensor) -> bool:
    """The nearest byte to what torchvision computes with floats; between two, either of them."""
    return bool((ours.double() - theirs.double()).abs().max() <= 0.5 + 0.01)


def changed(pixels: Tensor, step: int = 0, **words: Any) -> Tensor:
    n, c, h, w = pixels.shape
    image = ImageSpec(height=h, width=w, channels=c, classes=2)
    config = DataConfig(name="noise", image=image, **words)
    labels = torch.zeros(n, dtype=torch.int64)
    x, _ = augmentation(config, image)(
        pixels, labels, lambda some: some.float(), of_step(0, "main", 0, step)
    )
    return x


# ---- as torchvision does


@SIZES
def test_rotations_are_torchvisions(size):
    h, w, c = size
    angles = torch.tensor([-180.0, -90.0, -37.5, -1.0, 0.0, 0.3, 15.0, 45.0, 90.0, 179.0])
    pixels = photos(len(angles), h, w, c)
    found = turning.rotated(pixels, angles)
    for i, angle in enumerate(angles.tolist()):
        theirs = tv.rotate(pixels[i].double(), angle, InterpolationMode.BILINEAR)
        assert close(found[i], theirs), angle
    assert torch.equal(found[4], pixels[4])


@SIZES
@pytest.mark.parametrize("radius", [1, 3, 6])
def test_blurs_are_torchvisions(size, radius):
    h, w, c = size
    sigmas = torch.tensor([0.1, 0.4, 1.0, 2.0])
    pixels = photos(len(sigmas), h, w, c)
    found = turning.blurred(pixels, sigmas, radius)
    kernel = [2 * min(radius, side - 1) + 1 for side in (w, h)]
    for i, sigma in enumerate(sigmas.tolist()):
        assert close(found[i], tv.gaussian_blur(pixels[i].double(), kernel, [sigma, sigma])), sigma
    assert torch.equal(found[0], pixels[0])


@SIZES
@pytest.mark.parametrize("target", [(4, 4), (16, 24), (7, 50)])
def test_scaled_images_are_torchvisions_antialiased(size, target):
    h, w, c = size
    pixels = photos(1030, h, w, c) if h == 8 else photos(20, h, w, c)
    image = ImageSpec(height=h, width=w, channels=c, classes=2)
    to = image.model_copy(update={"height": target[0], "width": target[1]})
    found = torch.from_numpy(scaled(pixels.numpy(), image, to))
    assert close(found, tv.resize(pixels.double(), list(target), antialias=True))


# ---- drawn evenly, for each image


def test_a_share_of_the_images_is_upside_down():
    pixels = photos(4000, 4, 3, 1)
    found = changed(pixels, flip_vertical=0.3)
    turned = (found == pixels.flip(2)).flatten(1).all(1)
    assert torch.equal(found[~turned], pixels[~turned].float())
    assert stats.binomtest(int(turned.sum()), 4000, 0.3).pvalue > 1e-4
    assert not torch.equal(found, changed(pixels, step=1, flip_vertical=0.3))


def test_angles_are_uniform_up_to_the_largest_for_a_share_of_the_images(monkeypatch):
    asked: list[Tensor] = []
    monkeypatch.setattr(turning, "rotated", lambda pixels, angle: asked.append(angle) or pixels)
    changed(photos(4000, 4, 4, 1), rotate=20.0, rotate_share=0.6)
    changed(photos(4000, 4, 4, 1), rotate=20.0)
    some, every = asked
    assert stats.binomtest(int((some != 0).sum()), 4000, 0.6).pvalue > 1e-4
    for angles in (some[some != 0], every):
        assert stats.kstest(angles.numpy(), stats.uniform(-20, 40).cdf).pvalue > 1e-4
    assert torch.equal(every[some != 0], some[some != 0])  # the share draws apart from the angle


def test_deviations_are_uniform_from_a_tenth_for_a_share_of_the_images(monkeypatch):
    asked: list[tuple[Tensor, int]] = []

    def blurred(pixels: Tensor, sigma: Tensor, radius: int) -> Tensor:
        asked.append((sigma, radius))
        return torch.full_like(pixels, 255)

    monkeypatch.setattr(turning, "blurred", blurred)
    found = changed(photos(4000, 8, 8, 1) // 2, blur=1.5, blur_share=0.4)
    ((sigma, radius),) = asked
    assert radius == 5
    assert stats.kstest(sigma.numpy(), stats.uniform(0.1, 1.4).cdf).pvalue > 1e-4
    hit = (found == 255).flatten(1).all(1)
    assert stats.binomtest(int(hit.sum()), 4000, 0.4).pvalue > 1e-4


@pytest.mark.parametrize(
    "extra", [{"flip_vertical": 0.5}, {"rotate": 20.0}, {"blur": 1.0}], ids=str
)
def test_a_turn_leaves_the_draws_of_all_others_alone(extra):
    """Images of one colour, small enough to rotate into themselves, show all other draws."""
    flat = torch.arange(64, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 1, 1)
    words = {"policy": "trivialaugment", "brightness": 0.4, "erase": 0.5}
    assert torch.equal(changed(flat, **words), changed(flat, **words, **extra))


def test_a_blur_that_changes_nothing_is_refused():
    with pytest.raises(
        ValueError, match=r"data.blur = 0.05 of a pixel changes nothing; give at l"
    ):
        image_spec(DataConfig(name="digits", blur=0.05))


def test_shares_act_where_there_is_something_to_share():
    plain = DataConfig(name="digits")
    for name in ("rotate", "blur"):
        idle, acting = {f"{name}_share": 0.5}, {f"{name}_share": 0.5, name: 1.0}
        assert resolved_data(plain.model_copy(update=idle)) == resolved_data(plain)
        assert resolved_data(plain.model_copy(update=acting)) != resolved_data(
            plain.model_copy(update={name: 1.0})
        )


@pytest.mark.parametrize("words", [{"rotate": 30.0}, {"blur": 1.0}], ids=str)
def test_digits_are_turned_as_bytes_and_keep_their_range(words, datasets):
    """Between 0 and 16 there are more than 16 values."""
    config = DataConfig(name="digits", normalisation="none", **words)
    train = load_splits(config, datasets, 0, "main", CPU).train
    change, raw = augmentation(config, image_spec(config)), train.pixels[train.rows[:200]]
    x, _ = change(raw, train.labels[:200], train.normalised, of_step(0, "main", 0, 0))
    assert 0.8 < x.max() <= 1
    assert len(x.unique()) > 100


# ---- other sizes


def test_a_set_of_another_size_has_a_place_of_its_own_and_the_same_classes(tmp_path):
    small, large = DataConfig(name="digits"), DataConfig(name="digits", size=(16, 12))
    assert image_spec(large) == ImageSpec(height=16, width=12, channels=1, classes=10)
    assert image_spec(DataConfig(name="digits", size=16)).width == 16
    before, after = (prepare(config, tmp_path) for config in (small, large))
    assert before.path != after.path
    parts = [load_splits(config, tmp_path, 0, "main", CPU) for config in (small, large)]
    for one, other in zip(*(vars(part).values() for part in parts), strict=True):
        assert torch.equal(one.rows, other.rows)
        assert torch.equal(one.labels, other.labels)
        theirs = tv.resize(one.pixels.float() * 255 / 16, [16, 12], antialias=True)
        assert close(other.pixels, theirs)
    x = parts[1].train.normalised(parts[1].train.pixels[parts[1].train.rows]).double()
    assert abs(x.mean()) < 1e-4
    assert abs(x.std(correction=0) - 1) < 1e-4


def test_a_set_of_its_own_size_is_the_same_set(tmp_path):
    own = DataConfig(name="digits", size=8)
    assert image_spec(own) == image_spec(DataConfig(name="digits"))
    assert prepare(own, tmp_path) == prepare(DataConfig(name="digits"), tmp_path)
    assert resolved_data(own) == resolved_data(DataConfig(name="digits", size=(8, 8)))
    assert resolved_data(own) == resolved_data(DataConfig(name="digits"))
    assert resolved_data(own) != resolved_data(DataConfig(name="digits", size=9))


# ---- classes that come equally often


def unequal(*counts: int) -> Tensor:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]


@pytest.mark.parametrize("counts", [(90, 9, 1), (100, 100), (50, 0, 7, 43), (1, 1, 1, 500)])
def test_every_class_comes_equally_often_in_an_epoch_of_the_same_length(counts):
    labels = unequal(*counts)
    n, k = len(labels), sum(count > 0 for count in counts)
    more = []
    for epoch in range(30):
        order = epoch_order(n, 3, "main", epoch, labels)
        assert len(order) == n
        seen = labels[order].bincount(minlength=len(counts))
        assert {int(x) for x in seen[torch.tensor(counts) > 0]} <= {n // k, n // k + 1}
        more.append(seen.argmax().item())
        for kind, count in enumerate(counts):  # no image waits for another to come twice more
            if count:
                often = order[labels[order] == kind].bincount(minlength=n)[labels == kind]
                assert often.max() - often.min() <= 1
    assert n % k == 0 or len(set(more)) > 1


def test_a_balanced_order_is_a_function_of_seed_stream_and_epoch():
    labels = unequal(60, 30, 10)
    order = epoch_order(100, 3, "main", 2, labels)
    state = torch.get_rng_state()
    assert torch.equal(order, epoch_order(100, 3, "main", 2, labels))
    assert torch.equal(torch.get_rng_state(), state)
    for seed, stream, epoch in ((4, "main", 2), (3, "again", 2), (3, "main", 3)):
        assert not torch.equal(order, epoch_order(100, seed, stream, epoch, labels))
    classes = labels[order].tolist()
    assert sum(a != b for a, b in pairwise(classes)) > 50  # mixed up


def test_all_images_of_a_large_class_come_in_time():
    labels = unequal(60, 30, 10)
    seen = torch.cat([epoch_order(100, 0, "main", epoch, labels) for epoch in range(30)])
    assert seen.bincount(minlength=100).min() > 0


def test_a_recipe_balances_its_training_images_only(datasets: Path):
    splits = load_splits(DataConfig(name="digits", balanced=True), datasets, 0, "main", CPU)
    assert splits.train.shared is splits.train.labels
    plain = load_splits(DataConfig(name="digits"), datasets, 0, "main", CPU)
    assert plain.train.shared is None
    assert np.array_equal(plain.val.rows, splits.val.rows)
