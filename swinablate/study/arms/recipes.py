"""Recipes as they are written: a network of a family, or somebody's own command."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from swinablate.config import plugins, schema
from swinablate.config.commands.changes import checked
from swinablate.config.commands.schema import CommandConfig, Switches
from swinablate.config.data import DataConfig
from swinablate.config.recipe import COMMAND, Claim, Recipe, StartConfig
from swinablate.config.train import TrainConfig
from swinablate.config.weights import settled
from swinablate.data import user_function
from swinablate.errors import InputError
from swinablate.models.registry import load_family

FAMILY_SCHEMA: dict[str, Any] = {
    "required": ["family"],
    "properties": {
        "family": {
            "description": "a built-in family, an import path, or a model of timm or torchvision",
            "anyOf": [
                {"enum": list(plugins.names("swinablate.models.families"))},
                {"type": "string", "pattern": "^[^:]+:[^:]+$"},
            ],
        }
    },
}
"""What the JSON Schema of a recipe says of `[model]`."""


class RecipeFile(schema.Frozen):
    """A recipe as written; the family of `model` decides which keys it may hold."""

    model: Annotated[dict[str, Any], Field(json_schema_extra=FAMILY_SCHEMA)]
    data: DataConfig
    train: TrainConfig = TrainConfig()
    start: StartConfig = StartConfig()
    claim: Claim | None = None


class CommandFile(schema.Frozen):
    """A recipe as written, of a command: its switches decide which axes there are."""

    command: CommandConfig
    switches: Switches = Field(default_factory=dict)


def load_recipe(
    path: Path, folders: Sequence[Path] = (), data: DataConfig | None = None
) -> Recipe:
    """Read an experiment file.

    Args:
        path: the file.
        folders: where the module of an import path may be, besides the file's own folder
            and the current one.
        data: of a file that has none, where nobody asks for its data.

    Raises:
        InputError: the file is missing, malformed, or a value is refused.
    """
    written = schema.read_toml(path)
    if COMMAND in written:
        return _command(written, path)
    if "question" in written:
        raise InputError(
            "this is a study, and a recipe is wanted",
            at=str(path),
            hint="name a file with a [model] or a [command]: its baseline, perhaps",
        )
    written = ({"data": data} if data else {}) | written
    return _recipe(schema.validate(RecipeFile, written, str(path)), path, folders)


def load_claim(path: Path) -> Claim:
    """Read what an experiment file claims of itself."""
    written = schema.read_toml(path)
    if COMMAND in written:
        raise InputError(
            "a command makes no claim that could be checked",
            at=f"{path}: command",
            hint="give a recipe with a [model]; `swinablate run STUDY` runs a command",
        )
    return schema.validate(RecipeFile, written, str(path)).claim or Claim()


def _recipe(file: RecipeFile, path: Path, folders: Sequence[Path]) -> Recipe:
    model = dict(file.model)
    family = load_family(model.get("family"), f"{path}: model", [path.parent, *folders])
    config = schema.validate(family.config, model, at=f"{path}: model")
    if user_function.is_path(file.data.name):
        user_function.function(file.data.name, [path.parent, *folders], f"{path}: data.name")
    recipe = Recipe(model=config, data=file.data, train=file.train, start=file.start)
    read = settled(recipe, path.parent, str(path))
    if file.start.sha256 and read.start.each:
        raise InputError(
            f"{file.start.weights!r} names one file a seed, and sha256 is the digest of one",
            at=f"{path}: start.sha256",
            hint="leave it out: the digest of every file is part of its trial's identity",
        )
    if file.start.sha256 not in {"", read.start.sha256}:
        raise InputError(
            f"the weights are others than those the recipe names: {read.start.sha256}",
            at=f"{path}: start.sha256",
            hint="get the right file, or leave sha256 out to take this one",
        )
    return read


def _command(written: Mapping[str, Any], path: Path) -> Recipe:
    """A recipe that is a command.

    Raises:
        InputError: it is none, has parts of a network's recipe, or a placeholder that is nothing.
    """
    for part in RecipeFile.model_fields:
        if part in written:
            raise InputError(
                f"[{part}] is of a network, and this recipe is a command",
                at=f"{path}: {part}",
                hint="leave out one of the two; what the command is to vary stands in [switches]",
            )
    file = schema.validate(CommandFile, written, str(path))
    for key in ("base", "sha256"):
        if getattr(file.command, key):
            raise InputError(
                "it follows from the recipe's place and sources, and cannot be chosen",
                at=f"{path}: command.{key}",
                hint="leave it out",
            )
    base = str(path.absolute().parent)
    return checked(file.command, file.switches, base, str(path))
