"""What is known of a data set before anybody has it."""

from dataclasses import dataclass

from swinablate import plugins
from swinablate.dataset import Dataset
from swinablate.errors import InputError
from swinablate.recipe import DataConfig, ImageSpec


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Number of images of each split."""

    train: int
    val: int
    test: int


def find(config: DataConfig) -> Dataset:
    """Import the data set a recipe names; this loads no images.

    Raises:
        InputError: no data set has that name.
    """
    known = plugins.names("datasets")
    if config.name not in known:
        raise InputError(
            f"no data set is called {config.name!r}",
            at="data.name",
            hint=plugins.suggest(config.name, known),
        )
    return plugins.load("datasets", config.name, Dataset, at="data.name")


def image_spec(config: DataConfig) -> ImageSpec:
    """Pixels, channels and classes; needs no data.

    Raises:
        InputError: no data set has that name.
        ValueError: the recipe gives an image format where the data set has its own, or
            gives none where it has not; or a split is empty.
    """
    image = find(config).image
    describe(config)
    if image is None:
        if config.image is None:
            raise ValueError(
                f"data set {config.name!r} has no format of its own; add "
                "data.image = { height = 32, width = 32, channels = 3, classes = 10 }"
            )
        return config.image
    if config.image is not None:
        raise ValueError(f"data set {config.name!r} has its own format; leave data.image out")
    return image


def describe(config: DataConfig) -> Sizes:
    """Number of training, validation and test images; needs no data.

    Raises:
        InputError: no data set has that name.
        ValueError: a split would be empty.
    """
    dataset = find(config)
    val = round(config.val_fraction * dataset.train)
    train = round(config.train_fraction * (dataset.train - val))
    if not val:
        raise ValueError(
            f"no validation images: {config.val_fraction} of {dataset.train}; "
            "raise data.val_fraction"
        )
    if not train:
        rest = dataset.train - val
        raise ValueError(
            f"no training images: {config.train_fraction} of {rest}; "
            "raise data.train_fraction or lower data.val_fraction"
        )
    most = config.limit if config.limit is not None else dataset.train + dataset.test
    return Sizes(train=min(train, most), val=min(val, most), test=min(dataset.test, most))
