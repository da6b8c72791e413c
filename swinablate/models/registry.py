"""Families by name: a built-in one, an import path, or a model of timm or torchvision."""

from collections.abc import Sequence
from pathlib import Path

from swinablate.config import plugins
from swinablate.config.family import Family, ModelConfig
from swinablate.errors import InputError

FAMILIES = "swinablate.models.families"
ZOOS = ("timm", "torchvision")
"""Libraries of networks by name: `timm:NAME`."""


def is_import(name: str) -> bool:
    """Whether the name of a family is a path to code that is neither ours nor a library's."""
    return ":" in name and name.partition(":")[0] not in ZOOS


def load_family(name: object, at: str, folders: Sequence[Path] = ()) -> Family[ModelConfig]:
    """Import the family called `name`: one of ours, an import path, timm's or torchvision's.

    Args:
        name: as written in a recipe.
        at: where it was written, for the error message.
        folders: where the module of an import path may be, besides the current folder.

    Raises:
        InputError: there is none.
    """
    if isinstance(name, str) and ":" in name:
        from swinablate.models.external import lookup  # imports torch

        return lookup.find_family(name, folders, at)
    if not isinstance(name, str):
        raise InputError(
            f"expected the name of a family, got {name!r}" if name else "key 'family' is missing",
            at=at,
            hint=f'write family = "swin"; known: {", ".join(plugins.names(FAMILIES))}',
        )
    family: Family[ModelConfig] = plugins.load(FAMILIES, name, Family, at=at)
    return family
