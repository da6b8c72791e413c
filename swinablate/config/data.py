"""[data] of a recipe: which images, how they are split, normalised and changed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from swinablate.config.family import ImageSpec, Switch
from swinablate.config.schema import Absent, Frozen


class DataConfig(Frozen):
    """Which images, how they are split and changed.

    Random changes are switches of their own, drawn for every image from generators of their
    own: turning one on leaves the draws of all others as they were. Those at 0, false or
    "none" do nothing.
    """

    name: Annotated[
        str,
        Field(
            description="a data set: digits, shapes, fashion_mnist, cifar10, cifar100, svhn, "
            'stl10, mnist, ...; "image_folder"; "torchvision.datasets:Food101", any set of '
            'torchvision\'s; or "mypackage.data:load", a function of your own',
            min_length=1,
        ),
        Switch("the data set; another one has other test images", "", ("digits", "shapes")),
    ]
    root: Annotated[
        str | None,
        Field(min_length=1, description="of image_folder: holds train/, test/, maybe val/"),
        Switch("the folder of image_folder: train/, test/, maybe val/", "", (None, "pictures")),
    ] = None
    test_fraction: Annotated[
        Annotated[float, Field(gt=0, lt=1)] | None,
        Absent,
        Field(description="of image_folder: share of each class's pictures that are the test set"),
        Switch("share of a folder of CLASS/ alone that tests; no seed matters", "", (None, 0.2)),
    ] = None
    train_fraction: Annotated[
        float,
        Field(gt=0, le=1),
        Switch("share of the training images used", "post 001", (1.0, 0.3)),
    ] = 1.0
    balanced: Annotated[
        bool,
        Switch(
            "every class equally often in an epoch, which stays as long as it was",
            "Buda 2018",
            (False, True),
        ),
    ] = False
    # A tenth chooses among recipes and epochs; what it costs is a tenth of the training images.
    val_fraction: Annotated[
        float,
        Field(gt=0, lt=1),
        Switch("share of the images that are no test images, to choose by", "", (0.1, 0.2)),
    ] = 0.1
    split_seed: Annotated[
        int, Field(ge=0), Switch("seed by which those are chosen", "", (0, 1))
    ] = 0
    resample_split: Annotated[
        bool, Switch("they are chosen by each trial's seed, too", "", (False, True))
    ] = False
    size: Annotated[
        Annotated[int, Field(ge=1)]
        | tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
        | None,
        Absent,
        Switch(
            "pixels a side, or [height, width], that all images are scaled to",
            "Swin tab. 8; bilinear, antialiased",
            (None, 16),
        ),
    ] = None
    channels: Annotated[
        Literal[1, 3] | None,
        Absent,
        Switch(
            "3: grey images as three equal channels; 1: coloured ones as grey",
            "networks of others that take three; Rec. 601 for grey",
            (None, 3),
        ),
    ] = None
    normalisation: Annotated[
        Literal["dataset", "half", "none"],
        Switch(
            "mean 0 and variance 1 over the training images; raw pixels to -1..1; to 0..1",
            "LeCun 1998, sec. 4.3; post 000",
            ("dataset", "half", "none"),
        ),
    ] = "dataset"
    augment: Annotated[
        Literal["none", "flip", "crop", "flip_crop"],
        Switch("random flips and padded crops", "He 2016, sec. 4.2", ("none", "flip_crop")),
    ] = "none"
    crop_margin: Annotated[
        Annotated[int, Field(ge=1)] | Literal["eighth"],
        Switch(
            "largest shift of a padded crop, pixels; eighth: of the shorter side, at most 4",
            "He 2016, sec. 4.2: 4 of 32",
            ("eighth", 2),
        ),
    ] = "eighth"
    flip_vertical: Annotated[
        float,
        Field(ge=0, le=1),
        Switch("share of images turned upside down", "post 003", (0.0, 0.5)),
    ] = 0.0
    rotate: Annotated[
        float,
        Field(ge=0, le=180),
        Switch("largest angle of random rotations, degrees", "Simard 2003, sec. 2", (0.0, 15.0)),
    ] = 0.0
    rotate_share: Annotated[
        float,
        Field(gt=0, le=1),
        Switch("share of images that are rotated", "Simard 2003, sec. 2", (1.0, 0.5)),
    ] = 1.0
    blur: Annotated[
        float,
        Field(ge=0, le=100),
        Switch("largest deviation of a Gaussian blur, pixels", "Chen 2020, app. A", (0.0, 1.0)),
    ] = 0.0
    blur_share: Annotated[
        float,
        Field(gt=0, le=1),
        Switch("share of images that are blurred", "Chen 2020, app. A", (1.0, 0.5)),
    ] = 1.0
    resized_crop: Annotated[
        float,
        Field(ge=0, lt=1),
        Switch(
            "smallest share of the area that a random crop enlarges; not with padded crops",
            "Szegedy 2015, sec. 6",
            (0.0, 0.08),
        ),
    ] = 0.0
    policy: Annotated[
        Literal["none", "randaugment", "trivialaugment"],
        Switch(
            "random operations on each image, as torchvision has them",
            "Cubuk 2020, alg. 1; Mueller 2021, alg. 1",
            ("none", "randaugment", "trivialaugment"),
        ),
    ] = "none"
    policy_ops: Annotated[
        int,
        Field(ge=1, le=14),
        Switch("operations an image; randaugment only", "Cubuk 2020, sec. 3", (2, 1)),
    ] = 2
    policy_magnitude: Annotated[
        int,
        Field(ge=0, le=30),
        Switch("strength of 30; randaugment only", "Cubuk 2020, sec. 3", (9, 14)),
    ] = 9
    brightness: Annotated[
        float,
        Field(ge=0, le=1),
        Switch("largest change of the factor", "Howard 2013, sec. 2.3", (0.0, 0.4)),
    ] = 0.0
    contrast: Annotated[
        float,
        Field(ge=0, le=1),
        Switch("largest change of the factor", "Howard 2013, sec. 2.3", (0.0, 0.4)),
    ] = 0.0
    saturation: Annotated[
        float,
        Field(ge=0, le=1),
        Switch("largest change of the factor; colour only", "Howard 2013, sec. 2.3", (0.0, 0.4)),
    ] = 0.0
    hue: Annotated[
        float,
        Field(ge=0, le=0.5),
        Switch("largest turn of the circle; colour only", "Chen 2020, app. A", (0.0, 0.1)),
    ] = 0.0
    cutout: Annotated[
        int,
        Field(ge=0),
        Switch("side of the square hole, pixels", "DeVries 2017, sec. 3", (0, 8)),
    ] = 0
    erase: Annotated[
        float,
        Field(ge=0, le=1),
        Switch("share of images that lose a rectangle", "Zhong 2020, sec. 3", (0.0, 0.25)),
    ] = 0.0
    erase_fill: Annotated[
        Literal["zero", "noise"],
        Switch(
            "what fills erased rectangles, after normalisation",
            "Zhong 2020, tab. 5; Swin config.py",
            ("zero", "noise"),
        ),
    ] = "zero"
    mixup: Annotated[
        float,
        Field(ge=0),
        Switch("alpha of the shares of two added images", "Zhang 2018, eq. 1", (0.0, 0.8)),
    ] = 0.0
    cutmix: Annotated[
        float,
        Field(ge=0),
        Switch("alpha of the area taken from another image", "Yun 2019, sec. 3.1", (0.0, 1.0)),
    ] = 0.0
    mix_share: Annotated[
        float,
        Field(gt=0, le=1),
        Switch("share of images that are mixed", "Yun 2019, sec. 4.1.1", (1.0, 0.5)),
    ] = 1.0
    # Eight: the fewest of which a smoke run makes batches.
    limit: Annotated[
        Annotated[int, Field(ge=8)] | None,
        Absent,
        Switch("images of each split, at most", "", (None, 128)),
    ] = None
    image: Annotated[
        ImageSpec | None,
        Field(
            description="format of the images, where a data set has none of its own; of "
            "image_folder found in the folder if it is left out"
        ),
        Absent,
        Switch(
            "format of the images, where a data set has none of its own; a folder's is found",
            "",
            (None,),
        ),
    ] = None
