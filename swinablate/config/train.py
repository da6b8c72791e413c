"""[train] of a recipe: how long, how fast, in which number format."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from swinablate.config.family import Switch
from swinablate.config.schema import Absent, Frozen

Share = Annotated[float, Field(ge=0, lt=1)]
POWERS = {"none": 0.0, "linear": 1.0, "sqrt": 0.5}
"""Of the ratio of two batches, that their rates have: a sum of gradients grows as the batch, its
noise as the root (Krizhevsky 2014, arXiv:1404.5997, sec. 5)."""


class TrainConfig(Frozen):
    """How to train. Units are in the names."""

    # Length, batch and rate are those of the examples on digits; no paper argues for a default.
    epochs: Annotated[int, Field(ge=1), Switch("passes over the data", "", (15, 30))] = 15
    steps: Annotated[
        Annotated[int, Field(ge=1)] | None,
        Absent,
        Switch("steps of the whole training, in place of epochs", "", (None, 300)),
    ] = None
    batch: Annotated[int, Field(ge=1), Switch("images a step", "", (32, 64))] = 64
    optimizer: Annotated[
        Literal["adamw", "adam", "sgd", "muon", "rmsprop", "adagrad"],
        Switch(
            "update rule; decay is decoupled in all, so that adam is adamw (Kingma's is l2); muon "
            "moves the hidden layers' matrices at AdamW's rate, and leaves the rest to AdamW",
            "Swin sec. 4.1; Loshchilov 2019; Jordan 2024; Liu 2025, sec. 2.2; Tieleman 2012; "
            "Duchi 2011",
            ("adamw", "sgd", "muon", "rmsprop", "adagrad"),
        ),
    ] = "adamw"
    lr: Annotated[float, Field(gt=0), Switch("peak learning rate", "", (3e-3, 1e-3))] = 3e-3
    # None: a batch that is varied is varied alone, unless the study says otherwise.
    lr_scale: Annotated[
        Literal["none", "linear", "sqrt"],
        Switch(
            "what the rate is multiplied by: nothing, batch / lr_batch, or the root of that",
            "Goyal 2017, sec. 2.1; Krizhevsky 2014, sec. 5",
            ("none", "linear", "sqrt"),
        ),
    ] = "none"
    # The batch of the examples, so that a recipe which says neither keeps its rate.
    lr_batch: Annotated[
        int,
        Field(ge=1),
        Switch("the batch that lr is meant for; lr_scale linear and sqrt only", "", (64, 32)),
    ] = 64
    momentum: Annotated[
        float,
        Field(ge=0, lt=1),
        Switch("share of the last step that goes on; sgd only", "He 2016, sec. 4.2", (0.9, 0.0)),
    ] = 0.9
    nesterov: Annotated[
        bool, Switch("momentum looked ahead; sgd only", "Sutskever 2013, sec. 2.1", (False, True))
    ] = False
    betas: Annotated[
        tuple[Share, Share],
        Switch(
            "decays of the averages of gradients and of their squares; adam, adamw, and "
            "AdamW's part of muon",
            "Kingma 2015, alg. 1",
            ((0.9, 0.999), (0.9, 0.95)),
        ),
    ] = (0.9, 0.999)
    eps: Annotated[
        float,
        Field(gt=0),
        Switch(
            "added to what divides a step; all but sgd, and AdamW's part of muon",
            "Kingma 2015, alg. 1",
            (1e-8, 1e-4),
        ),
    ] = 1e-8
    weight_decay: Annotated[
        float,
        Field(ge=0),
        Switch(
            "share of matrices taken a step, times the rate, whichever the optimizer (decoupled); "
            "not of norms, biases, tables, nor the network of log_cpb and linear_cpb",
            "Swin A2.1; Loshchilov 2019, alg. 1 and 2",
            (0.05, 0.0),
        ),
    ] = 0.05
    l2: Annotated[
        float,
        Field(ge=0),
        Switch(
            "times the same matrices, added to their gradients: L2 regularisation, which Adam's "
            "steps divide by its averages (coupled)",
            "Loshchilov 2019, alg. 1 and 2",
            (0.0, 1e-4),
        ),
    ] = 0.0
    schedule: Annotated[
        Literal["cosine", "constant", "step", "one_cycle"],
        Switch(
            "learning rate over the run",
            "Loshchilov 2017; Smith 2018",
            ("cosine", "constant", "step", "one_cycle"),
        ),
    ] = "cosine"
    # The rate falls tenfold after 32 and 48 thousand of 64 thousand steps: He 2016, sec. 4.2.
    step_at: Annotated[
        tuple[Share, ...],
        Field(min_length=1),
        Switch(
            "shares of the steps after which the rate falls; schedule step only",
            "He 2016, sec. 4.2",
            ((0.5, 0.75), (0.3, 0.6, 0.9)),
        ),
    ] = (0.5, 0.75)
    step_factor: Annotated[
        float,
        Field(gt=0, lt=1),
        Switch("by which it falls; schedule step only", "He 2016, sec. 4.2", (0.1, 0.2)),
    ] = 0.1
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
    # The authors': 300,000 of the 375,300 steps of 300 epochs on ImageNet at batch 1,024.
    norm_fade: Annotated[
        float,
        Field(gt=0, le=1),
        Switch(
            "share of the steps over which norm = prepbn fades from layer to batch norm",
            "Guo 2024, eq. 5; SLAB code",
            (0.8, 0.4),
        ),
    ] = 0.8
    # Last: an epoch that is chosen for its accuracy is better than the training by some luck.
    select: Annotated[
        Literal["last", "best_val"],
        Switch("the epoch whose weights are tested", "Prechelt 1998", ("last", "best_val")),
    ] = "last"
    stream: Annotated[
        str,
        Field(min_length=1, max_length=40),
        Switch(
            "names the random draws: another name, the same seeds drawn anew",
            "",
            ("main", "again"),
        ),
    ] = "main"
    # One: a GPU trains one trial, and trials are what a study has enough of.
    world: Annotated[
        int,
        Field(ge=1),
        Switch(
            "devices that train one network, each a part of every batch and one process; batch "
            "norm takes its statistics of a part",
            "Li 2020",
            (1, 2),
        ),
    ] = 1
    # One: two trials side by side are faster than one with two threads, and numbers depend on it.
    threads: Annotated[
        int, Field(ge=1), Switch("processor threads of a trial; they round otherwise", "", (1, 2))
    ] = 1

    def total(self, per_epoch: int) -> int:
        """Steps of a whole run, where an epoch has so many."""
        return self.steps if self.steps is not None else self.epochs * per_epoch

    def of_images(self, count: int) -> TrainConfig:
        """As it trains on so many images: a batch has no more, and its rate is that batch's."""
        return self if self.batch <= count else self.model_copy(update={"batch": count})

    def check_rate(self, count: int) -> None:
        """Refuse a rate that follows a batch of more images than there are to train on.

        Raises:
            ValueError: it would.
        """
        if self.lr_scale != "none" and self.batch > count:
            raise ValueError(
                f"train.batch = {self.batch} is larger than the {count} training images, and "
                f'train.lr_scale = "{self.lr_scale}" would scale the rate by a batch that no step '
                f"has; write train.batch = {count}"
            )

    @property
    def peak_lr(self) -> float:
        """The peak learning rate at this batch, as `lr_scale` has it."""
        ratio: float = (self.batch / self.lr_batch) ** POWERS[self.lr_scale]
        return self.lr * ratio

    @property
    def open(self) -> frozenset[str]:
        """Fields that say `auto`: decided once for a study and a device model."""
        fields = ("precision", "matmul", "channels_last", "compile")
        return frozenset(field for field in fields if getattr(self, field) == "auto")

    @model_validator(mode="after")
    def _consistent(self) -> TrainConfig:
        if self.optimizer == "muon" and self.l2:
            raise ValueError(
                "l2 would turn muon's steps and not lengthen them; "
                "choose l2 = 0.0, and weight_decay in its place"
            )
        if self.accumulate > self.batch:
            raise ValueError(
                f"a batch of {self.batch} has no {self.accumulate} parts; "
                "lower accumulate or raise batch"
            )
        if self.world > self.batch:
            raise ValueError(
                f"a batch of {self.batch} has no {self.world} parts; lower world or raise batch"
            )
        if self.world > 1 and self.compile is True:
            raise ValueError(
                "a network that is compiled trains on one device; "
                "choose compile = false, or world = 1"
            )
        return self


def warmup_steps(train: TrainConfig, total: int) -> int:
    """Steps of rising rate; where a share of `total` is less than half of one, none."""
    return round(train.warmup * total)


def falls(train: TrainConfig, total: int) -> tuple[int, ...]:
    """The steps from which the rate of schedule "step" has fallen once more."""
    return tuple(sorted(round(share * total) for share in train.step_at))
