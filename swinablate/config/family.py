"""What a family of networks declares: its switches, its config, and how it is built."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from pydantic import Field

from swinablate.config.schema import Frozen

BYTE = 255
"""Largest value of a byte, which is what a pixel is."""

if TYPE_CHECKING:
    import torch
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema
    from torch import nn


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

    def mended(self, *, decays: bool) -> dict[str, int]:
        """Fields that mean something else than they once did, and which meaning they have.

        Of what this config uses alone: the ids of all others stay, and so do their numbers.

        Args:
            decays: whether weights decay in training.
        """
        del decays
        return {}


class ImageSpec(Frozen):
    """What the data demands of a model: pixels and channels in, classes out.

    Attributes:
        top: largest value that a raw pixel can have; the smallest is 0.
    """

    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    channels: Annotated[int, Field(ge=1)]
    classes: Annotated[int, Field(ge=2)]
    top: Annotated[
        int, Field(ge=1, le=BYTE, description="largest value that a pixel can have")
    ] = BYTE


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
