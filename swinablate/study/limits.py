"""How large a study may be, in closed form: nothing is expanded to be counted."""

import math
from collections.abc import Mapping, Sequence

from swinablate.config.recipe import Recipe
from swinablate.data import describe
from swinablate.errors import InputError
from swinablate.records.plan import Design
from swinablate.study.arms.designs import GENERATORS

ARMS = 1000
"""A plan builds every arm's network, in a tenth of a second where it is small; and of a thousand
differences to one baseline hardly one is found."""
TRIALS = 100_000
"""Ids, records and a line each: plan.json has 10 MB then."""


def check_size(
    design: Design,
    axes: Mapping[str, Sequence[object]],
    named: int,
    runs: Mapping[str, int],
    at: str,
) -> None:
    """Refuse a study of more arms or trials than can be planned.

    Args:
        design: how the axes are combined.
        axes: switch -> levels.
        named: how many arms are named one by one.
        runs: trials of an arm, and of the baseline, those of tuning among them.
        at: the file, for messages.

    Raises:
        InputError: it is larger.
    """
    arms = cells_of(design, [len(levels) for levels in axes.values()]) + named
    if arms > ARMS:
        cut = "level by level in several studies"
        if design == "factorial" and len(axes) in GENERATORS:
            cut = 'with design = "fraction" and one level a switch'
        raise InputError(
            f"the study has {arms:,} arms, and {ARMS:,} can be planned",
            at=f"{at}: axes",
            hint=f"ask {cut}, or leave some out",
        )
    trials = arms * runs["arm"] + runs["baseline"]
    if trials > TRIALS:
        raise InputError(
            f"the study has {trials:,} trials, and {TRIALS:,} can be planned",
            at=at,
            hint="give it fewer seeds, tries or arms",
        )


def check_parts(recipe: Recipe, norms: Sequence[str]) -> None:
    """Refuse parts of a batch without an image, and batch norm of single images.

    Of one value it has no variance, of one image no batch.

    Args:
        recipe: how the network trains.
        norms: paths of the network's batch norms.

    Raises:
        ValueError: a device would have no image of a batch; or a part of one is one image, and
            the network has a batch norm.
    """
    sizes = describe(recipe.data)
    batch = min(recipe.train.batch, sizes.train) if sizes else recipe.train.batch
    if batch < recipe.train.world:
        raise ValueError(
            f"train.world = {recipe.train.world} devices share a batch of the {batch} training "
            "images, and some would have none; lower train.world, or take more images"
        )
    parts = recipe.train.accumulate * recipe.train.world
    if norms and batch // parts < 2:  # the smallest part, if they differ; no image makes none
        raise ValueError(
            f"train.batch = {batch}{f' in {parts} parts' if parts > 1 else ''} leaves batch norm "
            f"({norms[0]}) one image to take its statistics of; "
            "raise train.batch, lower train.accumulate or train.world, or take another norm"
        )


def cells_of(design: Design, levels: Sequence[int]) -> int:
    """How many cells but the baseline's a design of these numbers of levels has."""
    if design == "one_at_a_time":
        return sum(levels)
    if design == "path":
        return 2 * len(levels) - 1
    if design == "fraction":
        return int(2 ** (len(levels) - len(GENERATORS.get(len(levels), ()))) - 1)
    return math.prod(1 + count for count in levels) - 1
