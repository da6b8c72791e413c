"""What is known of a data set before anybody has it."""

import importlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swinablate.config import plugins
from swinablate.config.data import DataConfig
from swinablate.config.family import BYTE, ImageSpec
from swinablate.data import user_function
from swinablate.data.augment.pipeline import augmentation, margin
from swinablate.data.dataset import Dataset
from swinablate.errors import InputError

ELSE = (
    'or name a class of torchvision ("torchvision.datasets:Food101") or a function of yours '
    '("mypackage.data:load")'
)
FORMAT = "data.image = { height = 32, width = 32, channels = 3, classes = 10 }"


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Number of images of each split."""

    train: int
    val: int
    test: int


def find_dataset(config: DataConfig) -> Dataset:
    """Import the data set a recipe names; this loads no images, and no code of others.

    Raises:
        InputError: no data set has that name, or `data.root` is missing or too much, or
            `data.test_fraction` is.
    """
    dataset = _find(config.name)
    if dataset.rooted != (config.root is not None):
        problem, hint = (
            ("has no folder", 'add data.root = "FOLDER"')
            if dataset.rooted
            else ("has files of its own", "leave data.root out")
        )
        raise InputError(f"data set {config.name!r} {problem}", at="data.root", hint=hint)
    share, cut = config.test_fraction, dataset.cut
    if share is None:
        return dataset
    if cut is None:
        raise InputError(
            f"data set {config.name!r} has test images of its own",
            at="data.test_fraction",
            hint="leave data.test_fraction out",
        )
    return replace(dataset, read=lambda raw, image: cut(raw, image, share))


def _find(name: str) -> Dataset:
    if name.startswith(user_function.TORCHVISION):
        # imported by name, as plugins are: what workers import must not lead to torchvision
        any_set = importlib.import_module("swinablate.data.torchvision_sets").any_set
        found: Dataset = any_set(name.removeprefix(user_function.TORCHVISION))
        return found
    if ":" in name:
        return user_function.function_set(name)
    known = plugins.names("swinablate.data.datasets")
    if name not in known:
        close = plugins.did_you_mean(name, known)
        raise InputError(
            f"no data set is called {name!r}",
            at="data.name",
            hint=f"{close}{' ' if close.endswith('?') else '; '}{ELSE}",
        )
    return plugins.load("swinablate.data.datasets", name, Dataset, at="data.name")


def raw_folder(config: DataConfig, root: Path) -> Path:
    """Where a data set's raw files are: in `data.root`, or with those of all others."""
    return root if config.root is None else Path(config.root).expanduser().resolve()


def image_spec(config: DataConfig) -> ImageSpec:
    """Pixels, channels and classes as networks see them; needs no data.

    Images that are scaled to another size have values between those they had: they become bytes
    of 0 to 255, whatever their range was.

    Raises:
        InputError: no data set has that name.
        ValueError: the recipe gives an image format where the data set has its own, or
            gives none where it has not; or a split is empty; or the random changes cannot be
            made with such images.
    """
    image = native_spec(config)
    describe(config)
    if config.size is not None:
        height, width = config.size if isinstance(config.size, tuple) else (config.size,) * 2
        if (height, width) != (image.height, image.width):
            image = image.model_copy(update={"height": height, "width": width, "top": BYTE})
    if config.channels is not None and config.channels != image.channels:
        if image.channels not in {1, 3}:
            raise ValueError(
                f"data set {config.name!r} has {image.channels} channels, which are neither grey "
                "nor a colour; leave data.channels out"
            )
        image = image.model_copy(update={"channels": config.channels})
    augmentation(config, image)
    return image


def native_spec(config: DataConfig) -> ImageSpec:
    """The same before images are scaled and coloured, as a data set has them.

    Raises:
        InputError: no data set has that name, or its folder does not say its format.
        ValueError: the recipe gives an image format where the data set has its own, or gives none
            where it has not.
    """
    dataset = find_dataset(config)
    image = dataset.image
    if image is not None and config.image is not None:
        raise ValueError(f"data set {config.name!r} has its own format; leave data.image out")
    image = image or config.image
    if image is None and dataset.look:
        image = dataset.look(raw_folder(config, Path()), config.size, config.test_fraction)
    if image is None:
        raise ValueError(f"data set {config.name!r} has no format of its own; add {FORMAT}")
    return image


def completed(config: DataConfig) -> DataConfig:
    """The same with the format that its folder has, where the recipe leaves it out.

    What a trial is identified by says what it saw, also when the folder has changed.

    Raises:
        InputError: no data set has that name, or its folder does not say its format.
    """
    if config.image is not None or find_dataset(config).look is None:
        return config
    return config.model_copy(update={"image": native_spec(config)})


def class_names(config: DataConfig) -> tuple[str, ...]:
    """Names of the classes by their numbers; empty where nobody knows them without the images.

    Raises:
        InputError: no data set has that name.
    """
    dataset = find_dataset(config)
    return dataset.listed(raw_folder(config, Path())) if dataset.listed else dataset.names


def describe(config: DataConfig) -> Sizes | None:
    """Number of training, validation and test images; needs no data.

    Returns:
        None where that is known only when the data set is read.

    Raises:
        InputError: no data set has that name.
        ValueError: a split would be empty.
    """
    dataset = find_dataset(config)
    if dataset.train is None or dataset.test is None:
        return None
    return sizes_of(config, dataset.train, dataset.test)


def sizes_of(config: DataConfig, rest: int, test: int, own: int = 0) -> Sizes:
    """The same, of a data set with `test` test images and `rest` others.

    Args:
        config: the recipe's data.
        rest: training and validation images.
        test: test images.
        own: validation images of the data set's own, among the rest; 0: they are cut from it.

    Raises:
        ValueError: a split would be empty, or is asked for although the data set has its own.
    """
    if own:
        for name in ("val_fraction", "resample_split"):
            if getattr(config, name) != DataConfig.model_fields[name].default:
                raise ValueError(
                    f"the data set has {own} validation images of its own; leave data.{name} out"
                )
    val = own or round(config.val_fraction * rest)
    train = round(config.train_fraction * (rest - val))
    if not val:
        raise ValueError(
            f"no validation images: {config.val_fraction} of {rest}; raise data.val_fraction"
        )
    if not train:
        raise ValueError(
            f"no training images: {config.train_fraction} of {rest - val}; "
            "raise data.train_fraction or lower data.val_fraction"
        )
    most = config.limit if config.limit is not None else rest + test
    return Sizes(train=min(train, most), val=min(val, most), test=min(test, most))


def unread_data(config: DataConfig) -> set[str]:
    """Fields of `data` that nothing reads in a recipe."""
    found = {"policy_ops", "policy_magnitude"} if config.policy != "randaugment" else set()
    goes_with = {
        "erase_fill": config.erase,
        "mix_share": config.mixup or config.cutmix,
        "rotate_share": config.rotate,
        "blur_share": config.blur,
        "crop_margin": "crop" in config.augment,
    }
    return found | {name for name, on in goes_with.items() if not on}


def resolved_data(config: DataConfig) -> dict[str, Any]:
    """A recipe's data as they act: a field that nothing reads is left out.

    Two recipes with equal answers see the same images in every step.
    """
    found = config.model_dump(mode="json")
    for name in unread_data(config):
        del found[name]
    image = image_spec(config)
    found["crop_margin"] = margin(config, image)
    found["size"], found["channels"] = [image.height, image.width], image.channels
    # Limits that no split reaches are none, and fractions that keep as many images are one.
    whole = describe(config.model_copy(update={"limit": None}))
    if whole and (config.limit is None or config.limit >= max(whole.train, whole.val, whole.test)):
        found |= {"limit": None, "train_fraction": whole.train, "val_fraction": whole.val}
    return found
