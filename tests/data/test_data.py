"""Splits and batches: values, statistics, purity."""

import itertools
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import Tensor

from swinablate import data
from swinablate.config.data import DataConfig
from swinablate.config.family import ImageSpec
from swinablate.data import (
    Images,
    Splits,
    augmentation,
    describe,
    epoch_order,
    eval_batches,
    image_spec,
    load_splits,
    prepare,
)
from swinablate.errors import InputError

CPU = torch.device("cpu")
DIGITS = DataConfig(name="digits")
SMALL = ImageSpec(height=7, width=6, channels=2, classes=3)
NOISE = DataConfig(name="noise", image=SMALL)
OTHERS = (
    'or name a class of torchvision ("torchvision.datasets:Food101") or a function of yours '
    '("mypackage.data:load")'
)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("datasets")
    prepare(DIGITS, root)
    prepare(NOISE, root)
    prepare(DataConfig(name="shapes"), root)
    return root


def get(root: Path, config: DataConfig = DIGITS, seed: int = 0, stream: str = "main") -> Splits:
    return load_splits(config, root, seed, stream, CPU)


def rows(images: Images) -> set[int]:
    return set(images.rows.tolist())


def shares(images: Images) -> Tensor:
    return images.labels.bincount(minlength=10) / len(images)


# ---- what is known without data


@pytest.mark.parametrize(
    ("name", "image", "sizes"),
    [
        ("digits", (8, 8, 1, 10), (1131, 126, 540)),
        ("fashion_mnist", (28, 28, 1, 10), (54_000, 6_000, 10_000)),
        ("cifar10", (32, 32, 3, 10), (45_000, 5_000, 10_000)),
        ("cifar100", (32, 32, 3, 100), (45_000, 5_000, 10_000)),
        ("mnist", (28, 28, 1, 10), (54_000, 6_000, 10_000)),
        ("kmnist", (28, 28, 1, 10), (54_000, 6_000, 10_000)),
        ("emnist", (28, 28, 1, 47), (101_520, 11_280, 18_800)),
        ("usps", (16, 16, 1, 10), (6_562, 729, 2_007)),
        ("svhn", (32, 32, 3, 10), (65_931, 7_326, 26_032)),
        ("stl10", (96, 96, 3, 10), (4_500, 500, 8_000)),
    ],
)
def test_formats_and_sizes_are_known_without_data(name, image, sizes):
    config = DataConfig(name=name)
    spec, counts = image_spec(config), describe(config)
    assert (spec.height, spec.width, spec.channels, spec.classes) == image
    assert (counts.train, counts.val, counts.test) == sizes


def test_every_data_set_is_described_without_its_library():
    code = (
        "import sys; from swinablate.data import describe, image_spec; "
        "from swinablate.config.data import DataConfig; from swinablate.config.family import ImageSpec; from swinablate.config import plugins\n"
        "image = ImageSpec(height=8, width=8, channels=1, classes=2)\n"
        "for name in plugins.names('swinablate.data.datasets'):\n"
        "    own = name not in ('noise', 'image_folder')\n"
        "    config = DataConfig(\n"
        "        name=name, image=None if own else image,\n"
        "        root='/nowhere' if name == 'image_folder' else None)\n"
        "    image_spec(config), describe(config)\n"
        "for name in ('torchvision.datasets:Food101', 'nosuchpackage.data:load'):\n"
        "    image_spec(DataConfig(name=name, image=image))\n"
        "print(sorted({'torchvision', 'sklearn', 'pandas', 'scipy', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_loading_imports_torch_only(root):
    code = (
        "import sys, torch; from pathlib import Path; from swinablate.data import *\n"
        "from swinablate.config.data import DataConfig\n"
        "config = DataConfig(name='digits', augment='flip_crop')\n"
        "splits = load_splits(config, Path(sys.argv[1]), 0, 'main', torch.device('cpu'))\n"
        "raws = raw_batches(splits.train, epoch_order(len(splits.train), 0, 'main', 0), 8)\n"
        "change = augmentation(config, image_spec(config))\n"
        "x, _ = batch(next(raws), splits.train, change, of_step(0, 'main', 0, 0))\n"
        "print(x.sum().item(), len(list(eval_batches(splits.test))))\n"
        "print(sorted({'torchvision', 'sklearn', 'pandas', 'scipy', 'PIL'} & set(sys.modules)))"
    )
    run = [sys.executable, "-c", code, str(root)]
    first, second = (
        subprocess.run(run, capture_output=True, text=True, check=True).stdout for _ in range(2)
    )
    assert first.splitlines()[1] == "[]"
    assert first == second  # two processes, the same bits


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "digit",
            f"data.name: no data set is called 'digit'\n\nhint: did you mean 'digits'? {OTHERS}",
        ),
        (
            "places365",
            (
                "data.name: no data set is called 'places365'\n\nhint: known: cifar10, cifar100, "
                "digits, emnist, fashion_mnist, image_folder, kmnist, mnist, noise, shapes, "
                f"stl10, svhn, usps; {OTHERS}"
            ),
        ),
    ],
)
def test_an_unknown_name_is_refused(name, message, tmp_path):
    config = DataConfig(name=name)
    for ask in (image_spec, describe, lambda c: prepare(c, tmp_path), lambda c: get(tmp_path, c)):
        with pytest.raises(InputError) as error:
            ask(config)
        assert str(error.value) == message


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            DataConfig(name="noise"),
            (
                "data set 'noise' has no format of its own; "
                "add data.image = { height = 32, width = 32, channels = 3, classes = 10 }"
            ),
        ),
        (
            DataConfig(name="digits", image=SMALL),
            "data set 'digits' has its own format; leave data.image out",
        ),
        (
            DataConfig(name="digits", val_fraction=1e-4),
            "no validation images: 0.0001 of 1257; raise data.val_fraction",
        ),
        (
            DataConfig(name="digits", train_fraction=1e-4),
            (
                "no training images: 0.0001 of 1131; "
                "raise data.train_fraction or lower data.val_fraction"
            ),
        ),
        (
            DataConfig(name="digits", val_fraction=0.9999),
            "no training images: 1.0 of 0; raise data.train_fraction or lower data.val_fraction",
        ),
    ],
)
def test_impossible_data_is_refused_with_the_reason(config, message):
    with pytest.raises(ValueError, match="; ") as error:
        image_spec(config)
    assert str(error.value) == message


# ---- splits


@pytest.mark.parametrize("name", ["digits", "noise", "shapes"])
def test_sizes_hold_the_promise_of_describe(name, root):
    image = SMALL if name == "noise" else None
    for fraction, limit in ((1.0, None), (0.3, None), (0.07, 8), (1.0, 100), (1.0, 100_000)):
        config = DataConfig(name=name, image=image, train_fraction=fraction, limit=limit)
        splits, sizes = get(root, config), describe(config)
        assert len(splits.train) == len(splits.train.labels) == sizes.train
        assert len(splits.val) == len(splits.val.labels) == sizes.val
        assert len(splits.test) == len(splits.test.labels) == sizes.test


def test_train_and_val_share_no_image_and_lose_none(root):
    splits = get(root)
    assert rows(splits.train) & rows(splits.val) == set()
    assert rows(splits.train) | rows(splits.val) == set(range(1257))
    assert len(rows(splits.train)) == len(splits.train)
    assert rows(splits.test) == set(range(540))


def test_no_test_image_is_among_the_others(root):
    splits = get(root)
    others = {bytes(x.numpy()) for x in splits.train.pixels}
    tests = [bytes(x.numpy()) for x in splits.test.pixels]
    assert len(others) == 1257
    assert not others & set(tests)


def test_labels_belong_to_the_images(root):
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    known = {bytes(p.astype("uint8")): y for p, y in zip(pixels, labels, strict=True)}
    splits = get(root)
    for images in (splits.train, splits.val, splits.test):
        found = [known[bytes(images.pixels[row].numpy())] for row in images.rows]
        assert found == images.labels.tolist()


@pytest.mark.parametrize("fraction", [1.0, 0.3, 0.1])
def test_every_split_is_stratified(root, fraction):
    whole = torch.cat([get(root).train.labels, get(root).val.labels]).bincount() / 1257
    splits = get(root, DataConfig(name="digits", train_fraction=fraction))
    for images in (splits.train, splits.val, splits.test):
        assert (shares(images) - whole).abs().max() * len(images) <= 1.5  # images of a class


def test_small_training_sets_are_nested_and_leave_val_alone(root):
    parts = [get(root, DataConfig(name="digits", train_fraction=f)) for f in (0.05, 0.1, 0.3, 1.0)]
    for small, large in itertools.pairwise(parts):
        assert rows(small.train) < rows(large.train)
        assert small.val.rows.tolist() == large.val.rows.tolist()
    assert [len(p.train) for p in parts] == [57, 113, 339, 1131]


def test_a_limit_takes_the_first_images_of_each_split(root):
    full, few = get(root), get(root, DataConfig(name="digits", limit=40))
    assert few.train.rows.tolist() == full.train.rows[:40].tolist()
    assert few.val.rows.tolist() == full.val.rows[:40].tolist()
    assert few.test.labels.bincount().tolist() == [4] * 10


def test_the_split_seed_redraws_train_and_val_never_the_test_set(root):
    a, b = get(root), get(root, DataConfig(name="digits", split_seed=1))
    overlap = len(rows(a.val) & rows(b.val)) / len(a.val)
    assert 0 < overlap < 0.3  # 0.1 by chance
    assert a.test.rows.tolist() == b.test.rows.tolist()
    assert torch.equal(a.test.pixels, b.test.pixels)


def test_the_trial_seed_redraws_the_split_only_where_the_recipe_says_so(root):
    assert get(root, seed=0).val.rows.tolist() == get(root, seed=1, stream="x").val.rows.tolist()
    config = DataConfig(name="digits", resample_split=True)
    drawn = [
        get(root, config, seed, stream) for seed, stream in ((0, "main"), (1, "main"), (0, "x"))
    ]
    assert len({tuple(s.val.rows.tolist()) for s in drawn}) == 3
    assert len({tuple(s.test.rows.tolist()) for s in drawn}) == 1
    again = get(root, config, 1)
    assert again.val.rows.tolist() == drawn[1].val.rows.tolist()


@pytest.mark.parametrize("config", [DIGITS, NOISE, DataConfig(name="digits", train_fraction=0.1)])
def test_training_images_have_mean_0_and_variance_1(root, config):
    train = get(root, config).train
    x = torch.cat(list(eval_batches(train))).double()
    torch.testing.assert_close(
        x.mean((0, 2, 3)), torch.zeros(x.shape[1]).double(), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(
        x.var((0, 2, 3), unbiased=False), torch.ones(x.shape[1]).double(), atol=1e-5, rtol=0
    )


def test_val_and_test_are_normalised_with_the_training_constants(root):
    splits = get(root)
    raw = splits.train.pixels[splits.train.rows].double()
    for images in (splits.val, splits.test):
        expected = (images.pixels[images.rows].double() - raw.mean()) / raw.std(correction=0)
        x = torch.cat(list(eval_batches(images, size=50)))
        torch.testing.assert_close(x.double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("level", "low", "high"), [("half", -1.0, 1.0), ("none", 0.0, 1.0)])
def test_other_normalisations_do_not_look_at_the_images(level, low, high, root):
    config = DataConfig(name="noise", image=SMALL, normalisation=level)
    splits = get(root, config)
    for images in (splits.train, splits.val, splits.test):
        x = torch.cat(list(eval_batches(images))).double()
        raw = images.pixels[images.rows].double()
        torch.testing.assert_close(x, low + (high - low) * raw / 255, atol=1e-6, rtol=0)
        assert (raw.min(), raw.max()) == (0, 255)
        assert abs(x.min().item() - low) < 1e-6
        assert abs(x.max().item() - high) < 1e-6


def test_a_constant_channel_stays_finite():
    import numpy as np

    from swinablate.data.splits import normalisation

    scale, shift = normalisation(np.array([[[7 * 6, 49 * 6], [0, 0]]]), values=12)
    assert scale.flatten().tolist() == [1.0, 1.0]
    assert shift.flatten().tolist() == [-7.0, 0.0]


def test_splits_of_one_part_share_their_memory(root):
    splits = get(root)
    assert splits.train.pixels.data_ptr() == splits.val.pixels.data_ptr()
    assert {f.name for f in fields(Images)} == {
        "pixels",
        "rows",
        "labels",
        "scale",
        "shift",
        "ahead",
        "balanced",
    }


# ---- order


def test_the_order_is_a_permutation_and_depends_on_seed_stream_and_epoch_alone():
    order = epoch_order(1131, 3, "main", 2)
    assert sorted(order.tolist()) == list(range(1131))
    assert order.tolist() == epoch_order(1131, 3, "main", 2).tolist()
    for seed, stream, epoch in ((4, "main", 2), (3, "again", 2), (3, "main", 3)):
        other = epoch_order(1131, seed, stream, epoch)
        assert (other == order).sum() < 20


def test_the_order_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    epoch_order(100, 0, "main", 0)
    assert torch.equal(torch.get_rng_state(), before)


# ---- augmentation


def counting(n: int, c: int = 2, h: int = 7, w: int = 6) -> Images:
    """Images whose pixels are all different and never 0."""
    pixels = (torch.arange(c * h * w).reshape(1, c, h, w) + 1).to(torch.uint8).repeat(n, 1, 1, 1)
    one = torch.ones(c, 1, 1)
    return Images(
        pixels=pixels,
        rows=torch.arange(n),
        labels=torch.arange(n) % 3,
        scale=one,
        shift=0 * one,
    )


def naive(image: Tensor, down: int, right: int, *, flip: bool) -> Tensor:
    """Mirror, then move the image into a black frame, pixel by pixel."""
    out = torch.zeros_like(image)
    _, h, w = image.shape
    for i in range(h):
        for j in range(w):
            column = w - 1 - j if flip else j
            if 0 <= i + down < h and 0 <= j + right < w:
                out[:, i + down, j + right] = image[:, i, column]
    return out


def changes(original: Tensor) -> dict[bytes, tuple[bool, int, int]]:
    """Every possible result -> its flip and shift."""
    shifts = range(-4, 5)
    found = {
        bytes(naive(original, down, right, flip=flip).to(torch.uint8).numpy()): (flip, down, right)
        for flip, down, right in itertools.product((False, True), shifts, shifts)
    }
    assert len(found) == 2 * 81
    return found


def decode(x: Tensor, original: Tensor) -> list[tuple[bool, int, int]]:
    """Which flip and shift made each image of a batch."""
    known = changes(original)
    return [known[bytes(image.to(torch.uint8).numpy())] for image in x]


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(
    images: Images, index: Tensor, augment: str, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A batch under one of the four levels of `data.augment`."""
    config = DataConfig(name="digits", augment=augment, crop_margin=4)
    change = augmentation(config, image_spec(DIGITS))
    raw = next(data.raw_batches(images, index, len(index)))
    return data.batch(raw, images, change, lambda kind: generator)


def test_without_augmentation_a_batch_is_an_index(root):
    train = get(root).train
    index = torch.tensor([5, 3, 5])
    x, y = batch(train, index, "none", chance())
    raw = train.pixels[train.rows[index]].float()
    torch.testing.assert_close(x, raw * train.scale + train.shift)
    assert y.tolist() == train.labels[index].tolist()
    assert x.dtype == torch.float32
    assert y.dtype == torch.int64


@pytest.mark.parametrize("augment", ["flip", "crop", "flip_crop"])
def test_every_image_is_a_flip_and_shift_of_itself(augment):
    images = counting(60)
    x, _ = batch(images, images.rows, augment, chance())
    drawn = decode(x, images.pixels[0])
    flips = {flip for flip, _, _ in drawn}
    shifts = {(down, right) for _, down, right in drawn}
    assert flips == ({False} if augment == "crop" else {False, True})
    if augment == "flip":
        assert shifts == {(0, 0)}
    else:
        assert len(shifts) > 30  # each image has its own


def test_half_of_the_images_are_mirrored_and_all_81_shifts_equally_often():
    n = 40_500
    images = counting(n, c=1, h=9, w=9)
    images.pixels.zero_()[:, 0, 4, 4] = 1  # the middle ...
    images.pixels[:, 0, 4, 3] = 2  # ... and its left neighbour, to see the flip
    x, _ = batch(images, images.rows, "flip_crop", chance())
    place = (x == 1).flatten(1).float().argmax(1)
    counts = place.bincount(minlength=81).double()
    assert ((counts - n / 81) ** 2 / (n / 81)).sum() < 124.8  # chi-squared, 80 df, p = 0.001
    seen = place % 9  # columns 1..7 show both neighbours
    inner = (seen > 0) & (seen < 8)
    rows_ = torch.arange(n)
    left = x[:, 0].flatten(1)[rows_, (place - 1).clamp(min=0)] == 2
    share = left[inner].double().mean().item()
    assert abs(share - 0.5) < 3.3 * 0.5 / inner.sum().item() ** 0.5
    unlike = left[inner][1:] != left[inner][:-1]  # neighbours draw independently
    assert abs(unlike.double().mean().item() - 0.5) < 0.01


def test_flips_are_the_same_with_and_without_crop():
    images = counting(64)
    flip, _ = batch(images, images.rows, "flip", chance(1))
    both, _ = batch(images, images.rows, "flip_crop", chance(1))
    original = images.pixels[0]
    assert [d[0] for d in decode(flip, original)] == [d[0] for d in decode(both, original)]


def test_what_is_moved_in_is_black_before_normalisation():
    images = counting(32)
    shifted = Images(**{**vars(images), "shift": torch.full((2, 1, 1), -3.0)})
    x, _ = batch(images, images.rows, "crop", chance())
    y, _ = batch(shifted, images.rows, "crop", chance())
    assert (x == 0).any()
    assert torch.equal(y, x - 3.0)


def test_a_batch_depends_on_the_generator_alone():
    images = counting(32)
    before = torch.get_rng_state()
    a, _ = batch(images, images.rows, "flip_crop", chance(5))
    b, _ = batch(images, images.rows, "flip_crop", chance(5))
    c, _ = batch(images, images.rows, "flip_crop", chance(6))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)


def test_images_in_the_file_are_never_written(root):
    splits = get(root, DataConfig(name="digits", augment="flip_crop"))
    before = splits.train.pixels.clone()
    x, _ = batch(splits.train, torch.arange(100), "flip_crop", chance())
    x.zero_()
    for x in eval_batches(splits.train):
        x.zero_()
    assert torch.equal(splits.train.pixels, before)


def test_evaluation_visits_every_image_once_in_order(root):
    test = get(root).test
    parts = list(eval_batches(test, size=100))
    assert [len(p) for p in parts] == [100] * 5 + [40]
    assert torch.equal(torch.cat(parts), next(iter(eval_batches(test, size=540))))


def test_noise_takes_the_format_of_the_recipe(root):
    splits = get(root, NOISE)
    assert splits.train.pixels.shape == (1024, 2, 7, 6)
    assert torch.cat([splits.train.labels, splits.val.labels]).bincount().tolist() == [
        342,
        341,
        341,
    ]
    counts = splits.train.pixels.flatten().long().bincount(minlength=256).double()
    expected = splits.train.pixels.numel() / 256
    assert ((counts - expected) ** 2 / expected).sum() < 330.5  # chi-squared, 255 df, p = 0.001
