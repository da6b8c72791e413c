"""A study file as it is written, and its named arms before they are applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from swinablate.config import schema
from swinablate.config.compare import Compare, DeclaredHypothesis
from swinablate.config.levels import Level
from swinablate.config.recipe import Recipe
from swinablate.records.plan import Design
from swinablate.study.arms.axes import DOTTED
from swinablate.study.arms.contrasts import DeclaredContrast
from swinablate.study.arms.datasets import Datasets
from swinablate.study.arms.scale import Scale
from swinablate.study.noise.sources import NoiseSources
from swinablate.study.search_space import Tune
from swinablate.study.seeds import Adaptive, Budget, Seeds


class Match(schema.Frozen):
    """One field to solve, so that the arm is as large as the baseline."""

    by: Literal["params", "macs"]
    # Relative; well inside the 5 % from which a report says that costs differ (`ISO_COST`).
    tolerance: Annotated[float, Field(gt=0, le=0.5)] = 0.02
    adjust: Annotated[str, Field(min_length=1)]  # a recipe path: model.width


class NamedArm(schema.Frozen):
    """Several changes under one name, to the baseline or to it with parts of another recipe."""

    name: str
    changes: dict[str, Any] = Field(default_factory=dict)
    recipe: str | None = None
    take: tuple[Literal["model", "train", "data", "start"], ...] = ("model",)
    match: Match | None = None
    against: str = ""  # the arm that it is compared with instead of the baseline


class StudyFile(schema.Frozen):
    """A study as written; `Study` is the same with its recipes read."""

    question: Annotated[str, Field(min_length=1, max_length=2000)]  # shown above every plan
    baseline: Annotated[str, Field(min_length=1)]
    seeds: Seeds | None = None
    baseline_seeds: Annotated[int, Field(ge=1, le=2000)] | None = None
    adaptive: Adaptive | None = None
    tune: Tune | None = None
    noise: NoiseSources | None = None
    budget: Budget = Budget()
    design: Design = "one_at_a_time"
    axes: Annotated[dict[str, tuple[Any, ...]], DOTTED] = Field(default_factory=dict)
    arms: tuple[NamedArm, ...] = ()
    contrasts: tuple[DeclaredContrast, ...] = ()
    compare: Compare = Compare()
    hypotheses: tuple[DeclaredHypothesis, ...] = ()
    scale: Scale | None = None
    data: Datasets | None = None  # every arm on each of them; names, or tables with changes
    labels: dict[str, str] = Field(default_factory=dict)  # how figures call arms and switches


@dataclass(frozen=True)
class Variant:
    """A named arm before it is applied: changes to the baseline, or another recipe.

    Attributes:
        source: the file of the recipe, as written.
        against: the arm that it is compared with; empty for the baseline.
    """

    name: str
    changes: Mapping[str, Level]
    recipe: Recipe | None
    take: tuple[str, ...]
    match: Match | None
    source: str = ""
    against: str = ""
