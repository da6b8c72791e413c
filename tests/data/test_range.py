"""Pixels of any range, margins of any size, and which trials a mended meaning renames."""

import hashlib

import numpy as np
import pytest
import torch

from swinablate.config.data import DataConfig
from swinablate.config.family import ImageSpec
from swinablate.config.recipe import Recipe, trial_id
from swinablate.data import (
    augmentation,
    batch,
    eval_batches,
    image_spec,
    load_splits,
    of_step,
    prepare,
    resolved_data,
    revisions,
)
from swinablate.errors import EnvironmentFault, InputError
from swinablate.models.registry import load_family
from swinablate.study.plan import Trial

CPU = torch.device("cpu")
EIGHT = ImageSpec(height=8, width=8, channels=1, classes=10, top=16)


def side(pixels: int, **words: object) -> DataConfig:
    image = ImageSpec(height=pixels, width=pixels + 3, channels=3, classes=4)
    return DataConfig.model_validate({"name": "noise", "image": image, **words})


def digits(**words: object) -> DataConfig:
    return DataConfig.model_validate({"name": "digits", **words})


def shifts(config: DataConfig) -> int:
    """The largest shift that 400 images see."""
    image = image_spec(config)
    h, w = image.height, image.width
    places = torch.arange(400) % image.classes
    pixels = torch.zeros(400, image.channels, h, w, dtype=torch.uint8)
    pixels[:, :, h // 2, w // 2] = 1
    x, _ = augmentation(config, image)(pixels, places, lambda x: x.float(), of_step(0, "", 0, 0))
    row = x[:, 0].amax(2).argmax(1)[x[:, 0].amax((1, 2)) > 0]
    return int((row - h // 2).abs().max())


# ---- pixels of 0 to 16


@pytest.mark.parametrize(("level", "low"), [("half", -1.0), ("none", 0.0)])
def test_digits_fill_the_range_that_a_normalisation_promises(level, low, datasets):
    config = digits(normalisation=level)
    splits = load_splits(config, datasets, 0, "main", CPU)
    for images in (splits.train, splits.val, splits.test):
        x = torch.cat(list(eval_batches(images)))
        assert (x.min().item(), x.max().item()) == (low, 1.0)
        raw = images.pixels[images.rows].double()
        torch.testing.assert_close(x.double(), low + (1 - low) * raw / 16, atol=1e-6, rtol=0)


def test_the_standardised_digits_have_not_moved(datasets):
    train = load_splits(digits(), datasets, 0, "main", CPU).train
    x = torch.cat(list(eval_batches(train)))
    found = hashlib.sha256(x.numpy().tobytes()).hexdigest()
    assert found == "4b93490a19472178b6969026361daf219d35c8e3dc75fc0d9f4488ee8c7bb1ae"


POLICIES = [
    {"policy": "randaugment", "policy_magnitude": 9},
    {"policy": "trivialaugment"},
    {"brightness": 0.4},
    {"contrast": 0.8},
]


@pytest.mark.parametrize("words", POLICIES, ids=lambda words: next(iter(words.values())))
def test_changes_of_bytes_see_digits_as_bytes_and_give_back_their_range(words, datasets):
    config = digits(normalisation="none", augment="flip_crop", **words)
    train = load_splits(config, datasets, 0, "main", CPU).train
    raw = train.pixels[train.rows[:256]], train.labels[:256]
    x, _ = batch(raw, train, augmentation(config, image_spec(config)), of_step(4, "main", 0, 0))
    bytes_ = (raw[0].double() * 255 / 16).round().to(torch.uint8)
    full = image_spec(config).model_copy(update={"top": 255})
    y, _ = augmentation(config, full)(
        bytes_, raw[1], lambda some: some.float() / 255, of_step(4, "main", 0, 0)
    )
    torch.testing.assert_close(x, y, atol=1e-6, rtol=0)
    assert 0 <= x.min() < 0.01
    assert 0.9 < x.max() <= 1.0


def test_moves_alone_leave_raw_pixels_as_they_are(datasets):
    config = digits(normalisation="none", augment="flip_crop", cutout=2)
    change = augmentation(config, image_spec(config))
    train = load_splits(config, datasets, 0, "main", CPU).train
    raw = train.pixels[train.rows[:64]], train.labels[:64]
    x, _ = batch(raw, train, change, of_step(0, "main", 0, 0))
    assert torch.equal(16 * x, (16 * x).round())


def test_noise_of_a_range_keeps_to_it_and_has_a_place_of_its_own(tmp_path):
    small = DataConfig(name="noise", image=EIGHT)
    full = DataConfig(name="noise", image=EIGHT.model_copy(update={"top": 255}))
    one, other = prepare(small, tmp_path), prepare(full, tmp_path)
    assert np.unique(np.load(one.path / "train_pixels.npy")).tolist() == list(range(17))
    assert np.load(other.path / "train_pixels.npy").max() == 255
    assert one.path != other.path


def test_pixels_beyond_the_range_are_no_data_set(tmp_path, monkeypatch):
    from swinablate.data.datasets import digits as module

    wrong = module.DATASET.__class__(
        **{**vars(module.DATASET), "image": EIGHT.model_copy(update={"top": 15})}
    )
    monkeypatch.setattr(module, "DATASET", wrong)
    with pytest.raises(EnvironmentFault, match="expected pixels from 0 to 15, found 16"):
        prepare(digits(), tmp_path)


def test_a_function_of_ones_own_says_its_range(tmp_path, monkeypatch):
    (tmp_path / "dim.py").write_text(
        "import numpy as np\n"
        "def load():\n"
        "    x = np.arange(640, dtype=np.uint8).reshape(10, 1, 8, 8) % 33\n"
        "    y = np.arange(10) % 2\n"
        "    return x, y, x, y\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    image = {"height": 8, "width": 8, "channels": 1, "classes": 2}
    words = {"name": "dim:load", "normalisation": "half"}
    config = DataConfig.model_validate(words | {"image": ImageSpec(**image, top=32)})
    prepare(config, tmp_path / "home")
    x = torch.cat(list(eval_batches(load_splits(config, tmp_path / "home", 0, "main", CPU).test)))
    assert (x.min().item(), x.max().item()) == (-1.0, 1.0)
    low = DataConfig.model_validate(words | {"image": ImageSpec(**image, top=31)})
    with pytest.raises(InputError, match=r"training pixels reach 32, data.image.top is 31"):
        prepare(low, tmp_path / "home")


# ---- the margin of padded crops


@pytest.mark.parametrize(
    ("pixels", "margin"), [(8, 1), (15, 1), (16, 2), (28, 3), (31, 3), (32, 4), (96, 4)]
)
def test_a_crop_shifts_by_an_eighth_of_the_shorter_side_and_at_most_4(pixels, margin):
    assert shifts(side(pixels, augment="crop")) == margin


@pytest.mark.parametrize("margin", [1, 3, 7])
def test_a_margin_that_is_written_is_the_one_that_acts(margin):
    assert shifts(side(16, augment="flip_crop", crop_margin=margin)) == margin


def test_an_eighth_of_digits_keeps_their_ink(datasets):
    """Of four pixels only three fifths stay."""
    config = digits(augment="crop", normalisation="none")
    train = load_splits(config, datasets, 0, "main", CPU).train
    raw = train.pixels[train.rows], train.labels

    def ink(config: DataConfig) -> float:
        x, _ = batch(
            raw, train, augmentation(config, image_spec(config)), of_step(0, "main", 0, 0)
        )
        return float(x.sum() / train.normalised(raw[0]).sum())

    assert ink(config) > 0.91
    assert ink(config.model_copy(update={"crop_margin": 4})) < 0.65


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            side(7, augment="crop"),
            (
                'data.augment = "crop": an eighth of 7x10 images is less than a pixel; write '
                "crop_margin = 1, or another augment"
            ),
        ),
        (
            side(8, augment="flip_crop", crop_margin=8),
            (
                "data.crop_margin = 8 would shift 8x11 images out of sight; give at most 7, or "
                "leave it out"
            ),
        ),
    ],
)
def test_a_margin_that_cannot_be_is_refused(config, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011  the whole message is asserted
        image_spec(config)
    assert str(error.value) == message


def test_a_margin_acts_where_images_are_cropped_and_an_eighth_may_be_four_pixels():
    assert resolved_data(side(32, augment="crop")) == resolved_data(
        side(32, augment="crop", crop_margin=4)
    )
    assert resolved_data(side(32)) == resolved_data(side(32, crop_margin=2))
    assert resolved_data(side(28, augment="crop")) != resolved_data(
        side(28, augment="crop", crop_margin=4)
    )


# ---- which trials are renamed

KEPT = [
    digits(),
    digits(augment="flip", resized_crop=0.5, cutout=2, mixup=0.8),
    digits(augment="crop", crop_margin=4),
    side(28, normalisation="half", policy="randaugment", brightness=0.3, augment="flip"),
    side(32, augment="flip_crop", normalisation="none"),
    side(224, augment="crop"),
    side(28, erase=0.25),
    side(28, erase_fill="noise"),
]
RENAMED = [
    (digits(normalisation="half"), {"data.normalisation": 2}),
    (digits(normalisation="none", contrast=0.2), {"data.normalisation": 2, "data.contrast": 2}),
    (digits(policy="trivialaugment"), {"data.policy": 2}),
    (digits(augment="flip_crop"), {"data.augment": 2}),
    (side(28, augment="crop"), {"data.augment": 2}),
    (side(28, erase=0.25, erase_fill="noise"), {"data.erase_fill": 2}),
]


def trial(config: DataConfig) -> Trial:
    model = load_family("resnet", "").config()
    return Trial(arm="a", recipe=Recipe(model=model, data=config), seed=3)


@pytest.mark.parametrize("config", KEPT)
def test_recipes_that_use_nothing_mended_keep_their_ids(config):
    found = trial(config)
    assert revisions(config) == {}
    assert found.id == found.first_id == trial_id(found.recipe, 3)


@pytest.mark.parametrize(("config", "revised"), RENAMED)
def test_recipes_that_use_what_was_mended_have_new_ids(config, revised):
    found = trial(config)
    assert revisions(config) == revised
    assert found.first_id == trial_id(found.recipe, 3)
    assert found.id == trial_id(found.recipe, 3, revised) != found.first_id
