"""What can be ablated, read from the configs themselves, and the studies that ship with us."""

import inspect
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from swinablate.config import plugins
from swinablate.config.complaints import NONE
from swinablate.config.data import DataConfig
from swinablate.config.family import Switch
from swinablate.config.recipe import StartConfig
from swinablate.config.train import TrainConfig
from swinablate.models.registry import load_family


def catalogue(family: str | None = None) -> list[dict[str, Any]]:
    """Every switch of a family, or of all, then those of data and training.

    Raises:
        InputError: no such family.
    """
    names = [family] if family else list(plugins.names("swinablate.models.families"))
    rows = [
        row for name in names for row in _switches(name, "model", load_family(name, "").config)
    ]
    parts: dict[str, type[BaseModel]] = {
        "data": DataConfig,
        "train": TrainConfig,
        "start": StartConfig,
    }
    return [*rows, *(row for part in parts for row in _switches("any", part, parts[part]))]


def switches(config: type[BaseModel]) -> Iterator[tuple[str, Switch, Any]]:
    """Field name, switch and default of every switch of a config."""
    for name, field in config.model_fields.items():
        for mark in field.metadata:
            if isinstance(mark, Switch):
                yield name, mark, field.default


def examples() -> Path:
    """The folder that holds `studies/` and `experiments/`: the checkout's, or the package's."""
    checkout = Path(__file__).parent.parent.parent
    return (
        checkout if (checkout / "studies").is_dir() else Path(__file__).parent.parent / "examples"
    )


def _switches(family: str, part: str, config: type[BaseModel]) -> Iterator[dict[str, Any]]:
    hints = typing.get_type_hints(config)
    for name, switch, default in switches(config):
        yield {
            "family": family,
            "switch": f"{part}.{name}",
            "default": _plain(default),
            "levels": _levels(hints[name], switch),
            "what": switch.what,
            "source": switch.source,
        }


def _levels(hint: Any, switch: Switch) -> str:
    """All values of a choice; of what may be a number too, those worth comparing first."""
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    options = typing.get_args(hint) if union else (hint,)
    choices = [
        str(_plain(value))
        for option in options
        if typing.get_origin(option) is typing.Literal
        for value in typing.get_args(option)
    ]
    others = [
        o for o in options if typing.get_origin(o) is not typing.Literal and o is not type(None)
    ]
    levels = [str(_plain(level)) for level in switch.levels]
    texts = list(dict.fromkeys([*levels, *choices])) if others else choices
    return ", ".join(texts) if len(texts) > 1 else inspect.formatannotation(hint)


def _plain(value: Any) -> Any:
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return NONE
    return [_plain(one) for one in value] if isinstance(value, tuple) else value
