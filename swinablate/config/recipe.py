"""One training run, fully specified. Values only: no torch, no files, no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field, SerializeAsAny, model_validator

from swinablate.config.schema import Frozen, digest, sparse

if TYPE_CHECKING:
    import torch
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema
    from torch import nn

SEMANTICS = 1
"""Raised when the same recipe and seed would compute something else than before."""
EACH = "{seed}"
"""In the path of weights: one file a seed. In place of their digest: every seed has its own."""


@dataclass(frozen=True)
class Switch:
    """Marks a config field as ablatable: `Annotated[bool, Switch(...)]`.

    Attributes:
        what: one sentence; shown by `swinablate switches`.
        source: paper and section that argues for the mechanism.
        levels: values worth comparing; the conformance tests flip through them.
        acts_on: names of modules, parameters and buffers it may change, `*` for any part of
            a name. A difference elsewhere is a warning: the switch does more than it says.
            Switches of data and training change nothing of the network.
    """

    what: str
    source: str
    levels: tuple[object, ...]
    acts_on: tuple[str, ...] = ()

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(core), "description": f"{self.what} ({self.source})"}


class ModelConfig(Frozen):
    """Base of every family's config."""

    family: str


class ImageSpec(Frozen):
    """What the data demands of a model: pixels and channels in, classes out."""

    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    channels: Annotated[int, Field(ge=1)]
    classes: Annotated[int, Field(ge=2)]


C = TypeVar("C", bound=ModelConfig)


@dataclass(frozen=True)
class Family(Generic[C]):
    """A model family.

    Attributes:
        config: its switches.
        build: (config, image) -> network with arbitrary weights.
        init: (network, config, generator_for) -> None; overwrites every parameter,
            each drawn from the generator of its own name.
        geometry: (config, image) -> the effective numbers of each stage, shown and
            recorded with every trial; raises ValueError where a config cannot mean
            what it says. Imports and computes nothing heavy.
    """

    config: type[C]
    build: Callable[[C, ImageSpec], nn.Module]
    init: Callable[[nn.Module, C, Callable[[str], torch.Generator]], None]
    geometry: Callable[[C, ImageSpec], tuple[dict[str, Any], ...]]


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
    ]
    root: Annotated[
        str | None, Field(min_length=1, description="of image_folder: holds train/ and test/")
    ] = None
    train_fraction: Annotated[
        float,
        Field(gt=0, le=1),
        Switch("share of the training images used", "post 001", (1.0, 0.3)),
    ] = 1.0
    val_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    split_seed: Annotated[int, Field(ge=0)] = 0
    resample_split: bool = False
    normalisation: Annotated[
        Literal["dataset", "half", "none"],
        Switch(
            "mean 0 and variance 1 over the training images; bytes to -1..1; bytes to 0..1",
            "LeCun 1998, sec. 4.3; post 000",
            ("dataset", "half", "none"),
        ),
    ] = "dataset"
    augment: Annotated[
        Literal["none", "flip", "crop", "flip_crop"],
        Switch("random flips and padded crops", "He 2016, sec. 4.2", ("none", "flip_crop")),
    ] = "none"
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
    limit: Annotated[int, Field(ge=8)] | None = None  # images of each split, for smoke runs
    image: Annotated[
        ImageSpec | None,
        Field(description="format of the images, where a data set has none of its own"),
    ] = None


Share = Annotated[float, Field(ge=0, lt=1)]


class TrainConfig(Frozen):
    """How to train. Units are in the names."""

    epochs: Annotated[int, Field(ge=1), Switch("passes over the data", "", (15, 30))] = 15
    steps: Annotated[int, Field(ge=1)] | None = None  # instead of epochs: stop after so many
    batch: Annotated[int, Field(ge=1), Switch("images a step", "", (32, 64))] = 64
    optimizer: Annotated[
        Literal["adamw", "adam", "sgd"],
        Switch("update rule", "Swin sec. 4.1; Loshchilov 2019", ("adamw", "adam", "sgd")),
    ] = "adamw"
    lr: Annotated[float, Field(gt=0), Switch("peak learning rate", "", (3e-3, 1e-3))] = 3e-3
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9  # sgd only
    nesterov: Annotated[
        bool, Switch("momentum looked ahead; sgd only", "Sutskever 2013, sec. 2.1", (False, True))
    ] = False
    betas: tuple[Share, Share] = (0.9, 0.999)  # adam, adamw
    eps: Annotated[float, Field(gt=0)] = 1e-8  # adam, adamw
    weight_decay: Annotated[
        float,
        Field(ge=0),
        Switch(
            "decoupled decay of matrices, not of norms, biases, tables", "Swin A2.1", (0.05, 0.0)
        ),
    ] = 0.05
    schedule: Annotated[
        Literal["cosine", "constant", "step", "one_cycle"],
        Switch(
            "learning rate over the run",
            "Loshchilov 2017; Smith 2018",
            ("cosine", "constant", "step", "one_cycle"),
        ),
    ] = "cosine"
    step_at: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.5, 0.75)  # shares of the steps
    step_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1  # of schedule "step", at each of them
    warmup: Annotated[
        float,
        Field(ge=0, lt=1),
        Switch("share of the steps with rising rate", "Swin A2.1", (0.1, 0.0)),
    ] = 0.1
    clip: Annotated[
        float, Field(ge=0), Switch("largest gradient norm; 0 is off", "Swin config.py", (5.0, 0.0))
    ] = 5.0
    label_smoothing: Annotated[
        float,
        Field(ge=0, lt=1),
        Switch("smoothing of targets", "Szegedy 2016, sec. 7", (0.0, 0.1)),
    ] = 0.0
    precision: Annotated[
        Literal["fp32", "bf16", "fp16", "auto"],
        Switch("number format of forward and backward", "", ("fp32", "bf16", "fp16")),
    ] = "fp32"
    matmul: Annotated[
        Literal["highest", "high", "medium", "auto"],
        Switch("precision inside fp32 matrix products", "", ("highest", "high", "medium")),
    ] = "highest"
    channels_last: Annotated[
        bool | Literal["auto"], Switch("channels innermost in memory", "", (False, True))
    ] = False
    compile: Annotated[
        bool | Literal["auto"], Switch("training compiled by torch", "", (False, True))
    ] = False
    accumulate: Annotated[
        int, Field(ge=1), Switch("parts of a batch, one after the other", "", (1, 2))
    ] = 1
    ema: Annotated[
        float,
        Field(ge=0, lt=1),
        Switch(
            "decay a step of the averaged weights that are evaluated; 0 is off",
            "Polyak 1992; Izmailov 2018",
            (0.0, 0.99),
        ),
    ] = 0.0
    select: Literal["last", "best_val"] = "last"
    stream: Annotated[str, Field(min_length=1, max_length=40)] = "main"
    threads: Annotated[int, Field(ge=1)] = 1

    def total(self, per_epoch: int) -> int:
        """Steps of a whole run, where an epoch has so many."""
        return self.steps if self.steps is not None else self.epochs * per_epoch

    @property
    def open(self) -> frozenset[str]:
        """Fields that say `auto`: decided once for a study and a device model."""
        fields = ("precision", "matmul", "channels_last", "compile")
        return frozenset(field for field in fields if getattr(self, field) == "auto")

    @model_validator(mode="after")
    def _parts(self) -> TrainConfig:
        if self.accumulate > self.batch:
            raise ValueError(
                f"a batch of {self.batch} has no {self.accumulate} parts; "
                "lower accumulate or raise batch"
            )
        return self


class StartConfig(Frozen):
    """What the weights start from, and which of them train.

    `sha256` is filled in from the file when a recipe is read; it, and not the path, is part
    of a trial's identity. With `{seed}` in `weights` a recipe names one file a seed, and a
    trial's recipe the one that it starts from.
    """

    weights: str = ""  # a file with a state dict, or one a seed; none: drawn by the seed
    sha256: str = ""
    head: Annotated[
        Literal["keep", "new"],
        Switch("the head of the weights, or one drawn by the seed", "post 003", ("keep", "new")),
    ] = "keep"
    freeze: Annotated[
        int, Field(ge=0), Switch("first stages that do not train", "post 003", (0, 1))
    ] = 0
    head_lr: Annotated[
        float, Field(gt=0), Switch("factor on the head's rate", "post 003", (1.0, 10.0))
    ] = 1.0

    @property
    def each(self) -> bool:
        """Whether every seed has a file of its own."""
        return EACH in self.weights


class Claim(Frozen):
    """What a recipe says of itself; checked, never trusted."""

    params: Annotated[int, Field(ge=1)] | None = None
    accuracy: Annotated[float, Field(gt=0, le=100)] | None = None
    accuracy_sd: Annotated[float, Field(ge=0)] | None = None
    seeds: Annotated[int, Field(ge=1)] | None = None
    source: str = ""


class Recipe(Frozen):
    """A model, its data and its training: everything but the seed."""

    model: SerializeAsAny[ModelConfig]
    data: DataConfig
    train: TrainConfig = TrainConfig()
    start: StartConfig = StartConfig()


def identity(recipe: Recipe) -> dict[str, Any]:
    """What the recipe means: every field that differs from its default, and the family.

    Fields at their default are left out, so a new switch whose default is the old
    behaviour does not rename the trials of old studies.
    """
    start = {key: value for key, value in sparse(recipe.start).items() if key != "weights"}
    return {
        "model": {**sparse(recipe.model), "family": recipe.model.family},
        "data": {**sparse(recipe.data), "name": recipe.data.name},
        "train": sparse(recipe.train),
        "semantics": SEMANTICS,
        **({"start": start} if start else {}),
    }


def trial_id(recipe: Recipe, seed: int) -> str:
    """Content address of a trial: equal trials are the same trial, in any study."""
    return digest({**identity(recipe), "seed": seed})


def derive(seed: int, stream: str, *names: object) -> int:
    """A seed for the generator called `names`, independent of all others (63 bits)."""
    text = "\x1f".join([str(seed), stream, *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
