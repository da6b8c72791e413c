"""Batches of several runs at once: each run's are those that it has alone, bit for bit."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from swinablate.config.data import DataConfig
from swinablate.config.family import ImageSpec
from swinablate.data import (
    Images,
    augmentation,
    batch,
    batches,
    epoch_order,
    of_step,
    raw_batches,
    train_batches,
)
from swinablate.training.fused.feed import make_feed
from tests.training.test_stack import Operators

RGB = ImageSpec(height=9, width=8, channels=3, classes=4)
N, BATCH, EPOCH = 22, 8, 3


@pytest.fixture(scope="module")
def photos():
    chance = torch.Generator().manual_seed(0)
    return Images(
        pixels=torch.randint(256, (40, 3, 9, 8), generator=chance, dtype=torch.uint8),
        rows=torch.randperm(40, generator=chance)[:N],
        labels=torch.randint(4, (N,), generator=chance),
        scale=torch.full((3, 1, 1), 1 / 255),
        shift=torch.tensor([-0.5, 0.0, 0.5])[:, None, None],
    )


def of_its_own(images, seed):
    """Another split of the same pixels, normalised otherwise."""
    chance = torch.Generator().manual_seed(seed)
    return replace(
        images,
        rows=torch.randperm(40, generator=chance)[:N],
        labels=torch.randint(4, (N,), generator=chance),
        scale=images.scale * (1 + seed / 7),
        shift=images.shift - seed,
    )


def changes(**words):
    config = DataConfig(name="noise", image=RGB, **words)
    return augmentation(config, RGB)


def alone(images, seed, augment, first=0):
    order = epoch_order(N, seed, "main", EPOCH, images.shared)
    for step, raw in enumerate(raw_batches(images, order, BATCH, first), first):
        yield batch(raw, images, augment, of_step(seed, "main", EPOCH, step))


RECIPES = {
    "plain": {},
    "shifted": {"augment": "flip_crop", "cutout": 3},
    "enlarged": {"resized_crop": 0.2, "augment": "flip"},
    "turned": {"flip_vertical": 0.5, "rotate": 40.0, "rotate_share": 0.7},
    "blurred": {"blur": 1.5, "blur_share": 0.5},
    "randaugment": {"policy": "randaugment"},
    "trivialaugment": {"policy": "trivialaugment"},
    "colour": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.2},
    "erased": {"erase": 0.6},
    "noise": {"erase": 0.6, "erase_fill": "noise"},
    "mixup": {"mixup": 0.4, "mix_share": 0.7},
    "cutmix": {"cutmix": 1.0},
    "both": {"mixup": 0.8, "cutmix": 1.0, "augment": "flip_crop"},
}


@pytest.mark.parametrize("words", RECIPES.values(), ids=RECIPES.keys())
@pytest.mark.parametrize("own", [False, True], ids=["one split", "splits of their own"])
@pytest.mark.parametrize("ahead", [False, True], ids=["in memory", "read ahead"])
def test_every_run_sees_what_it_sees_alone(photos, words, own, ahead):
    seeds, augment = (5, 0, 11), changes(**words)
    photos = replace(photos, ahead=ahead)
    images = [of_its_own(photos, seed) if own else photos for seed in seeds]
    found = list(make_feed(images, seeds, "main", BATCH, augment).batches(EPOCH, 0))
    assert len(found) == N // BATCH
    for k, seed in enumerate(seeds):
        for (x, y), (mine, classes) in zip(alone(images[k], seed, augment), found, strict=True):
            assert torch.equal(mine[k], x)
            assert torch.equal(classes[k], y)


@pytest.mark.parametrize("own", [False, True], ids=["one split", "splits of their own"])
def test_every_run_balances_its_own_classes(photos, own):
    seeds, augment = (5, 0, 11), changes()
    photos = replace(photos, balanced=True, labels=(torch.arange(N) > N - 4).long())
    images = [of_its_own(photos, seed) if own else photos for seed in seeds]
    found = list(make_feed(images, seeds, "main", BATCH, augment).batches(EPOCH, 0))
    for k, seed in enumerate(seeds):
        for (x, y), (mine, classes) in zip(alone(images[k], seed, augment), found, strict=True):
            assert torch.equal(mine[k], x)
            assert torch.equal(classes[k], y)


def test_a_resumed_epoch_goes_on_in_the_middle(photos):
    feed = make_feed([photos] * 2, (1, 2), "main", BATCH, changes(augment="flip_crop", mixup=0.4))
    whole, rest = list(feed.batches(EPOCH, 0)), list(feed.batches(EPOCH, 1))
    assert len(rest) == len(whole) - 1
    for (x, y), (later, classes) in zip(whole[1:], rest, strict=True):
        assert torch.equal(x, later)
        assert torch.equal(y, classes)


def test_a_batch_is_no_larger_than_the_training_set(photos):
    ((x, y),) = make_feed([photos] * 2, (1, 2), "main", 100, changes()).batches(EPOCH, 0)
    assert x.shape == (2, N, 3, 9, 8)
    assert y.shape == (2, N)


@pytest.mark.parametrize(
    ("words", "draws"),
    [({}, 0), ({"augment": "flip_crop"}, 2), ({"augment": "flip_crop", "cutout": 3}, 4),
     ({"augment": "flip_crop", "cutout": 3, "mixup": 0.4}, 7)],
)  # fmt: skip
def test_only_draws_are_made_for_each_run(photos, words, draws):
    """One call of each for every run, and what joins them: all the rest is made once."""
    rest = []
    for runs in (1, 4, 16):
        batches = make_feed([photos] * runs, range(runs), "main", BATCH, changes(**words)).batches(
            EPOCH, 0
        )
        next(batches)
        with Operators() as counted:
            next(batches)
        drawn = sum(n for name, n in counted.names.items() if name in {"rand", "randint"})
        assert drawn == draws * runs
        joined = draws if runs > 1 else 0
        rest.append(counted.names.total() - drawn - joined)
    assert rest[0] == rest[1] == rest[2]


@pytest.mark.parametrize("words", RECIPES.values(), ids=RECIPES.keys())
@pytest.mark.parametrize("first", [0, 1, 2])
def test_batches_that_are_changed_at_once_are_those_that_are_changed_one_by_one(
    photos, words, first, monkeypatch
):
    """Five steps, two at a time; a resumed epoch begins in the middle."""
    augment, size, seed = changes(**words), 4, 7
    order = epoch_order(N, seed, "main", EPOCH)
    draws = partial(of_step, seed, "main", EPOCH)
    single = list(train_batches(photos, augment, order, size, draws, first=first))
    assert len(single) == N // size - first
    for step, (raw, (x, y)) in enumerate(
        zip(raw_batches(photos, order, size, first), single, strict=True), first
    ):
        mine, classes = batch(raw, photos, augment, draws(step))
        assert torch.equal(mine, x)
        assert torch.equal(classes, y)
    asked = []
    monkeypatch.setattr(batches, "together", lambda images, many: asked.append(many) or 2)
    for one, other in zip(
        single, train_batches(photos, augment, order, size, draws, first=first), strict=True
    ):
        assert all(map(torch.equal, one, other))
    assert asked == [size]


def test_a_processor_and_a_file_change_one_batch_at_a_time(photos):
    assert batches.together(photos, BATCH) == 1
    small = replace(
        photos,
        pixels=torch.empty(9, 3, 32, 32, device="meta", dtype=torch.uint8),
        rows=photos.rows.to("meta"),
    )
    assert batches.together(small, 128) == batches.TOGETHER
    assert batches.together(replace(small, ahead=True), 128) == 1
    large = replace(
        small,
        pixels=torch.empty(9, 3, 224, 224, device="meta", dtype=torch.uint8),
        rows=photos.rows.to("meta"),
    )
    assert batches.together(large, 64) == 1
