"""What a check of a network is given: a family, a config, and the format of its images."""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.config import schema
from swinablate.config.family import Family, ImageSpec, ModelConfig
from swinablate.config.levels import setting
from swinablate.config.recipe import derive
from swinablate.errors import InputError
from swinablate.models.bounds import check_config
from swinablate.models.build import start
from swinablate.models.catalogue import switches
from swinablate.models.fingerprint import Fingerprint, observe
from swinablate.models.layers.norm import Fading
from swinablate.models.registry import load_family

WHERE: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("swin", "pad"): {"window": 3, "pad": "masked"},
    ("swin", "shift_covered"): {"window": 8},
    ("vgg", "hidden"): {"head": "fc"},
    ("vgg", "dropout"): {"head": "fc"},
}
"""Where a switch of a built-in family acts, if not at the defaults."""


@dataclass(frozen=True)
class Case:
    """A family at one config, on images of one format.

    Attributes:
        family: its config, build, init and geometry.
        config: what its switches are flipped from.
        image: the images' format.
    """

    family: Family[Any]
    config: ModelConfig
    image: ImageSpec

    def where(self, switch: str) -> Mapping[str, Any]:
        """What else has to change for a switch to act."""
        return WHERE.get((self.config.family, switch), {})

    def at(self, **changes: Any) -> "Case":
        """The same with other values of some switches."""
        now = {name: getattr(self.config, name) for name in self.family.config.model_fields}
        return replace(self, config=self.family.config(**now | changes))

    def start(self, seed: int = 0) -> nn.Module:
        """The network with the initial weights of a seed."""

        def generator_for(name: str) -> torch.Generator:
            return torch.Generator().manual_seed(derive(seed, "test", name))

        model = start(self.family, self.config, self.image, generator_for)
        Fading(model, 1.0).at(0.5)  # halfway, where both norms of a fading one act
        return model

    def images(self, count: int = 4) -> Float[Tensor, "{count} c h w"]:
        """The same noise every time; of fewer than four, batch statistics say little."""
        chance = torch.Generator().manual_seed(0)
        image = self.image
        x = torch.empty(count, image.channels, image.height, image.width)
        return x.normal_(generator=chance)

    def meaning(self, **changes: Any) -> str:
        """The network's signature with other values of some switches, or why there is none."""
        try:
            case = self.at(**changes)
        except ValueError as error:
            return f"{changes}: {error}"
        found = seen(case.family, case.config, case.image)
        return found if isinstance(found, str) else found.signature

    def flips(self) -> Iterator[tuple[str, "Case"]]:
        """Every switch at every level that goes with the others: (switch=level, case)."""
        for name, switch, _ in switches(self.family.config):
            base = self.at(**self.where(name))
            for level in switch.levels:
                if level != getattr(base.config, name):
                    with contextlib.suppress(ValueError):  # a level that the others rule out
                        yield f"{name}={level}", base.at(**{name: level})


@functools.cache
def seen(family: Family[Any], config: ModelConfig, image: ImageSpec) -> Fingerprint | str:
    """The network and its answers, or why it cannot be built."""
    try:
        return observe(family, config, image)
    except ValueError as error:
        return str(error)


def case_of(family: str, settings: Sequence[str], image: str, classes: int) -> Case:
    """The case that `swinablate check` is asked for.

    Args:
        family: as in a recipe.
        settings: `KEY=VALUE`, arguments of the network.
        image: `32x32x3`: height, width, channels.
        classes: number of classes.

    Raises:
        InputError: no such family, argument or value.
    """
    try:
        height, width, channels = map(int, image.split("x"))
    except ValueError:
        hint = "write height x width x channels: --image 32x32x3"
        raise InputError(f"{image!r} is no image format", at="--image", hint=hint) from None
    size = {"height": height, "width": width, "channels": channels, "classes": classes}
    made = load_family(family, "check")
    fields = {key.removeprefix("model."): level for key, level in map(setting, settings)}
    config = schema.validate(made.config, {"family": family, **fields}, "--set")
    spec = schema.validate(ImageSpec, size, "--image")
    try:
        check_config(made, config, spec)
    except ValueError as error:
        problem, _, hint = str(error).rpartition("; ")
        raise InputError(problem or hint, at=family, hint=hint) from None
    return Case(made, config, spec)
