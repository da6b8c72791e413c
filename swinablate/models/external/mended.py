"""Meanings that were mended and whose use only the network itself shows.

Those of norms over several axes, which somebody else's network may have, and of a head that is the
last layer of a sequence.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from swinablate.config.family import ImageSpec, ModelConfig
from swinablate.config.recipe import Recipe
from swinablate.models.build import norms, tokens
from swinablate.models.registry import load_family
from swinablate.models.transfer import head, last_part

SPARED = 2
"""1 took scales and shifts of norms over several axes for matrices."""
SPARED_AFTER_L2 = 3
"""The same of a decay that was 2 already where it once was L2 (`config.recipe.mended`)."""
LAST_LAYER = 2
"""1 took a whole sequence for the head, all layers of VGG's and AlexNet's classifiers."""
KNOWN = 500
"""Networks that a process remembers: every trial of a study asks, and has one of a few."""


@dataclass(frozen=True)
class _Seen:
    """What a network has of it.

    Attributes:
        axes: numbers of axes of norms' scales and shifts that nothing else spares.
        sequence: the last part has layers before the head.
    """

    axes: frozenset[int] = frozenset()
    sequence: bool = False


@dataclass(frozen=True)
class _Network:
    """A config that is known by its text, since not all that somebody writes can be hashed."""

    text: str
    config: ModelConfig = field(compare=False)


def revised_network(recipe: Recipe, image: ImageSpec) -> Mapping[str, int]:
    """Field -> revision of its meaning, of those that the recipe's network uses."""
    train, start = recipe.train, recipe.start
    theirs = ":" in recipe.model.family  # norms of our own families have one axis
    new, faster = bool(start.weights) and start.head == "new", start.head_lr != 1
    muon, decays = train.optimizer == "muon", train.weight_decay > 0 or train.l2 > 0
    if not (new or faster or muon or (theirs and decays)):
        return {}
    seen = _seen(_Network(recipe.model.model_dump_json(), recipe.model), image)
    uses = {
        "train.weight_decay": (SPARED_AFTER_L2, train.weight_decay > 0 and bool(seen.axes)),
        "train.l2": (SPARED, train.l2 > 0 and bool(seen.axes)),
        "train.optimizer": (SPARED, muon and (2 in seen.axes or seen.sequence)),
        "start.head": (LAST_LAYER, new and seen.sequence),
        "start.head_lr": (LAST_LAYER, faster and seen.sequence),
    }
    return {name: revision for name, (revision, used) in uses.items() if used}


@functools.lru_cache(KNOWN)
def _seen(network: _Network, image: ImageSpec) -> _Seen:
    """Look at a network; one that cannot be built has nothing, and a plan refuses it.

    Not by `cost.measured`, which stops at what this machine's memory holds: what a trial is called
    must not depend on that.
    """
    family = load_family(network.config.family, "plan")

    def build(device: str) -> nn.Module:
        with torch.random.fork_rng(devices=[]), torch.device(device):
            return family.build(network.config, image)

    try:
        model = build("meta")
    except ValueError:  # it asks for values
        try:
            model = build("cpu")
        except ValueError:
            return _Seen()
    other = tokens(model)
    last, own = f"{last_part(model)}.", f"{head(model)}."
    return _Seen(
        frozenset(p.ndim for name, p in norms(model).items() if name not in other),
        any(n.startswith(last) and not n.startswith(own) for n, _ in model.named_parameters()),
    )
