"""One training run, fully specified. Values only: no torch, no files, no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny

from swinablate.config.commands.schema import HOW, CommandConfig, Switches
from swinablate.config.data import DataConfig
from swinablate.config.family import ModelConfig, Switch
from swinablate.config.schema import Frozen, digest, sparse
from swinablate.config.train import TrainConfig

SEMANTICS = 1
"""Raised when the same recipe and seed would compute something else than before."""
EACH = "{seed}"
"""In the path of weights: one file a seed. In place of their digest: every seed has its own."""


class StartConfig(Frozen):
    """What the weights start from, and which of them train.

    `sha256` is filled in from the file when a recipe is read; it, and not the path, is part
    of a trial's identity. With `{seed}` in `weights` a recipe names one file a seed, and a
    trial's recipe the one that it starts from.
    """

    weights: Annotated[
        str,
        Switch(
            "a file with a state dict, or one a seed ({seed} in its name); none: they are drawn",
            "post 003",
            ("", "pretrained.pt"),
        ),
    ] = ""
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
    """What a recipe says of itself; checked by `swinablate verify`, never trusted.

    Attributes:
        params: trainable numbers, exactly.
        accuracy: on the test images, percent: the mean over seeds.
        accuracy_sd: over seeds, of those who measured it; then their luck counts, too.
        tolerance: by how many percentage points another mean may differ and be the same.
        seeds: how many it is over, and how many are trained to check it: 0, 1, ...
        source: who says so.
    """

    params: Annotated[int, Field(ge=1)] | None = None
    accuracy: Annotated[float, Field(gt=0, le=100)] | None = None
    accuracy_sd: Annotated[float, Field(ge=0)] | None = None
    tolerance: Annotated[float, Field(gt=0, le=100)] | None = None
    seeds: Annotated[int, Field(ge=1, le=1000)] | None = None  # as many as a study's arm
    source: str = ""


class Recipe(Frozen):
    """A model, its data and its training: everything but the seed."""

    model: SerializeAsAny[ModelConfig]
    data: DataConfig
    train: TrainConfig = TrainConfig()
    start: StartConfig = StartConfig()


COMMAND = "command"
"""What stands for the family and the data of a recipe that is a command."""
AGAIN = "again"
"""Asks a command to run once more with the same seed, and begins the names of what it gave."""


class CommandRecipe(Recipe):
    """Somebody's own command and its switches: everything but the seed.

    It has no network, images or training of ours: those of its base class stand for nothing, are
    written nowhere, and ask for one device.
    """

    model: SerializeAsAny[ModelConfig] = Field(ModelConfig(family=COMMAND), exclude=True)
    data: DataConfig = Field(DataConfig(name=COMMAND), exclude=True)
    train: TrainConfig = Field(TrainConfig(), exclude=True)
    start: StartConfig = Field(StartConfig(), exclude=True)
    command: CommandConfig
    switches: Switches = Field(default_factory=dict)

    @classmethod
    def of(cls, command: CommandConfig, switches: Switches) -> CommandRecipe:
        """A recipe of a command, which asks for as many threads as that says."""
        train = TrainConfig(threads=command.threads)
        return cls(command=command, switches=switches, train=train)


def identity(recipe: Recipe, revised: Mapping[str, int] | None = None) -> dict[str, Any]:
    """What the recipe means: every field that differs from its default, and the family.

    Fields at their default are left out, so a new switch whose default is the old
    behaviour does not rename the trials of old studies.

    Args:
        recipe: the run.
        revised: field -> revision of its meaning, of those that this recipe uses and that once
            meant something else; so a mended meaning renames the trials that it changes alone.
    """
    if isinstance(recipe, CommandRecipe):
        command = {key: it for key, it in sparse(recipe.command).items() if key not in HOW}
        sources = recipe.command.sha256
        return {
            "command": command,
            "switches": dict(recipe.switches),
            "sources": sources,
            "semantics": SEMANTICS,
        }
    start = {key: value for key, value in sparse(recipe.start).items() if key != "weights"}
    return {
        "model": {**sparse(recipe.model), "family": recipe.model.family},
        "data": {**sparse(recipe.data), "name": recipe.data.name},
        "train": sparse(recipe.train),
        "semantics": SEMANTICS,
        **({"start": start} if start else {}),
        **({"revised": dict(revised)} if revised else {}),
    }


def trial_id(recipe: Recipe, seed: int, revised: Mapping[str, int] | None = None) -> str:
    """Content address of a trial: equal trials are the same trial, in any study.

    Args:
        recipe: the run.
        seed: of the trial.
        revised: as `identity` takes it.
    """
    return digest({**identity(recipe, revised), "seed": seed})


def mended(recipe: Recipe) -> dict[str, int]:
    """Field -> revision of its meaning, of those of model and training that a recipe uses.

    A field whose meaning was mended raises its number here, and with it the ids of the recipes
    that use it: their recorded trials are of the old meaning, and count for nothing else.
    """
    if isinstance(recipe, CommandRecipe):
        return {}
    model, train = recipe.model, recipe.train
    of_model = model.mended(decays=train.weight_decay > 0)
    found = {f"model.{name}": number for name, number in of_model.items()}
    if train.weight_decay > 0 and train.optimizer in ("adam", "sgd"):
        found["train.weight_decay"] = 2  # 1 was L2 regularisation
    return found


def derive(seed: int, stream: str, *names: object) -> int:
    """A seed for the generator called `names`, independent of all others (63 bits)."""
    text = "\x1f".join([str(seed), stream, *map(str, names)])
    # 63, for what keeps integers with a sign would make others of the upper half.
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
