"""[noise] of a study: over which sources of noise its trials are drawn, and so its intervals hold.

With `sources = ["training", "split"]` every arm is trained `seeds` times on each of `splits` cuts
of the training and validation images. Seeds are numbered through: the first ones are on the
recipe's own split, where a study without this table has them, too. Arms share splits and seeds,
so that what is compared is compared on the same images.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, NoReturn

from pydantic import Field, field_validator

from swinablate.config import schema
from swinablate.config.compare import LEAST
from swinablate.config.recipe import CommandRecipe, Recipe
from swinablate.errors import MOST, InputError
from swinablate.stats.estimate import TESTED

Source = Literal["training", "split", "tuning"]
SPLITS = 5
"""Splits where none are asked for: four degrees of freedom, at no more trials than two training
seeds a split would cost with ten."""
CUTS = 200
"""Splits: nobody draws more, and each is a cut of the same images."""
KEYS = ("data.split_seed", "data.resample_split")
"""Recipe paths that draw splits themselves."""


class AssumedNoise(schema.Frozen):
    """Standard deviations of a difference between two arms, in the unit of the metric."""

    training: Annotated[float, Field(ge=LEAST, le=MOST)]  # between trainings on one split
    split: Annotated[float, Field(ge=0, le=MOST)] = 0.0  # between splits
    tuning: Annotated[float, Field(ge=0, le=MOST)] = 0.0  # between tunings


class NoiseSources(schema.Frozen):
    """Over which sources of noise a study draws its trials."""

    sources: tuple[Source, ...]
    splits: Annotated[int, Field(ge=TESTED, le=CUTS)] | None = None
    sd: AssumedNoise | None = None  # expected; `plan` chooses replicates by it

    @field_validator("sources")
    @classmethod
    def _known(cls, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        if len(set(sources)) < len(sources):
            raise ValueError(f"sources = {list(sources)} names one twice; name each once")
        if "training" not in sources:
            raise ValueError(
                f'sources = {list(sources)} leaves out "training", of which every trial draws '
                'anew; write sources = ["training", "split"]'
            )
        return sources

    @property
    def nested(self) -> bool:
        """Whether every arm is trained on several splits."""
        return "split" in self.sources

    @property
    def tuned(self) -> bool:
        """Whether arms are judged over several tunings of each."""
        return "tuning" in self.sources

    @property
    def declared(self) -> dict[str, object]:
        """What of it is part of what a study declares: not what is expected."""
        return {"sources": list(self.sources), "splits": self.count}

    @property
    def count(self) -> int:
        """Splits of the data."""
        return (self.splits or SPLITS) if self.nested else 1


def check_noise(
    noise: NoiseSources | None, given: Mapping[str, bool], baseline: Recipe, at: str
) -> None:
    """Refuse what cannot be drawn over, or not together with the rest of a study.

    Args:
        noise: as written.
        given: what else decides about seeds -> whether the study has it; "seeds" is a list,
            "several" are more than one, "once" is a single tuning of an arm.
        baseline: its recipe.
        at: the file.

    Raises:
        InputError: it is such a study.
    """
    if noise is None:
        return
    where = f"{at}: noise.sources"
    if noise.tuned:
        _check_tuned(noise, given, at)
    if not noise.nested:
        if noise.splits is not None:
            raise InputError(
                f'splits = {noise.splits}, and "split" is none of sources = {list(noise.sources)}',
                at=f"{at}: noise.splits",
                hint='write sources = ["training", "split"], or leave splits out',
            )
        return
    reasons = {
        "seeds": (
            "seeds is a list, and a nested study numbers its seeds through",
            "give how many there are on each split: seeds = 4",
        ),
        "baseline_seeds": (
            "baseline_seeds is given, and all arms are trained on the same splits and seeds",
            "leave it out",
        ),
        "adaptive": (
            "[adaptive] adds seeds, which a nested study cannot use in this version",
            "give seeds, on each split: seeds = 4",
        ),
        "scale": (
            "[scale] and several splits are not possible together in this version",
            "leave one of them out: a study of several scales draws training seeds alone",
        ),
        "data": (
            "several data sets and several splits are not possible together in this version",
            "leave one of them out: a study of several data sets draws training seeds alone",
        ),
        "tune": (
            'the study is tuned, and sources leaves out "tuning"',
            'write sources = ["training", "split", "tuning"], repeats = 3 and seeds = 1',
        ),
    }
    for key, (problem, hint) in reasons.items():
        if given[key] and not (key == "tune" and noise.tuned):
            raise InputError(problem, at=f"{at}: {key}", hint=hint)
    if isinstance(baseline, CommandRecipe):
        _no_command(where)


def _check_tuned(noise: NoiseSources, given: Mapping[str, bool], at: str) -> None:
    """Refuse tunings as a source of noise where none are drawn, or more is crossed with them."""
    if not given["tune"]:
        raise InputError(
            'sources has "tuning", and the study tunes nothing',
            at=f"{at}: noise.sources",
            hint='write [tune] trials = 12, repeats = 3, space = { "train.lr" = ... }; or leave '
            '"tuning" out',
        )
    if given["once"]:
        raise InputError(
            'sources has "tuning", and every arm is tuned once: of one nobody knows how lucky it '
            "was",
            at=f"{at}: tune.repeats",
            hint="write repeats = 3 or more: so many tunings of an arm",
        )
    if noise.nested and given["several"]:
        raise InputError(
            "several seeds on a split, and several tunings: their noise cannot be told apart in "
            "this version",
            at=f"{at}: seeds",
            hint="draw one split a seed, seeds = 1, and as many splits as there are to be final "
            "seeds: splits = 12",
        )


def _no_command(at: str, who: str = "") -> NoReturn:
    raise InputError(
        f"{who}a command cuts its images itself, if it has any",
        at=at,
        hint='write sources = ["training"], or make the cut a switch of the command',
    )


def nested_seeds(
    noise: NoiseSources | None, seeds: tuple[int, ...], more: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The seeds of an arm and of the baseline on all splits, those of the first one first.

    Args:
        noise: of the study.
        seeds: of an arm, on one split.
        more: of the baseline, where no splits are drawn.
    """
    if noise is None or not noise.nested:
        return seeds, more
    every = tuple(range(len(seeds) * noise.count))
    return every, every


def splits_of(noise: NoiseSources | None, recipe: Recipe, seeds: Sequence[int]) -> dict[int, int]:
    """Seed -> the `data.split_seed` that it is trained on; empty where the recipe says it.

    The first split is the recipe's own, whose trials any study of the recipe shares.
    """
    if noise is None or not noise.nested or isinstance(recipe, CommandRecipe):
        return {}
    each = len(seeds) // noise.count
    if each == 0:  # a smoke run has one seed, which is on the recipe's own split
        return {}
    return {seed: recipe.data.split_seed + i // each for i, seed in enumerate(seeds)}


def check_splits(
    noise: NoiseSources | None, arms: Iterable[tuple[str, Recipe, Mapping[str, object]]], at: str
) -> None:
    """Refuse arms that draw splits of their own beside those of the study.

    Args:
        noise: of the study.
        arms: name, recipe, and recipe path -> what differs from the baseline.
        at: the file.

    Raises:
        InputError: one does.
    """
    if noise is None or not noise.nested:
        return
    for name, recipe, differs in arms:
        key = next((key for key in KEYS if key in differs), "")
        if isinstance(recipe, CommandRecipe):
            _no_command(f"{at}: noise.sources", f"{name}: ")
        if recipe.data.resample_split:
            key = key or "data.resample_split"
        if key:
            raise InputError(
                f"{name} has {key} of its own, and the study draws the splits of all arms",
                at=f"{at}: noise.sources",
                hint=f'leave {key} as it is by default, or take "split" out of sources',
            )
