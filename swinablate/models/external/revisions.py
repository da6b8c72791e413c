"""Meanings of other people's networks that were mended, and which recipes they concern."""

import functools
import json
from collections.abc import Mapping

import torch
from torch import nn

from swinablate.config import schema
from swinablate.config.family import ImageSpec
from swinablate.config.recipe import Recipe
from swinablate.models.build import norms, tokens
from swinablate.models.registry import load_family

SPARED = {"train.weight_decay": 3, "train.l2": 2, "train.optimizer": 2}
"""Before, norms over several axes decayed as matrices do (and L2 with them), and muon turned those
over two. The first was 2 already where it once was L2 (`config.recipe.mended`)."""
KNOWN = 500
"""Networks that a process remembers: every trial of a study asks, and has one of a few."""


def revised_norms(recipe: Recipe, image: ImageSpec) -> Mapping[str, int]:
    """Field -> revision of its meaning, if the network has norms over several axes.

    Those of our own families have one axis. A network that cannot be built has nothing revised:
    a plan refuses it.
    """
    train = recipe.train
    acts = {
        "train.weight_decay": train.weight_decay > 0,
        "train.l2": train.l2 > 0,
        "train.optimizer": train.optimizer == "muon",
    }
    if ":" not in recipe.model.family or not any(acts.values()):
        return {}
    axes = _axes(recipe.model.model_dump_json(), image)
    acts["train.optimizer"] &= 2 in axes  # of more axes it takes none
    return {name: SPARED[name] for name, act in acts.items() if act and axes}


@functools.lru_cache(KNOWN)
def _axes(config: str, image: ImageSpec) -> frozenset[int]:
    """How many axes the scales and shifts have that nothing else would spare."""
    values = json.loads(config)
    family = load_family(values["family"], "plan")
    chosen = schema.validate(family.config, values, "plan: model")

    def build(device: str) -> nn.Module:
        with torch.random.fork_rng(devices=[]), torch.device(device):
            return family.build(chosen, image)

    try:
        model = build("meta")
    except ValueError:  # it asks for values
        try:
            model = build("cpu")
        except ValueError:
            return frozenset()
    other = tokens(model)
    return frozenset(p.ndim for name, p in norms(model).items() if name not in other)
