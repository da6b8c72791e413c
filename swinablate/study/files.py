"""A study: one question, a baseline, the axes to vary. Read from TOML, strictly."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from swinablate.config import schema
from swinablate.config.commands.compared import compared
from swinablate.config.compare import (
    Compare,
    DeclaredHypothesis,
    Kind,
    mentioned,
    settled_compare,
    settled_hypotheses,
)
from swinablate.config.data import DataConfig
from swinablate.config.levels import Level, put, setting
from swinablate.config.metrics import ACCURACY
from swinablate.config.recipe import CommandRecipe, Recipe
from swinablate.config.variants import NAME, RESULTS, untrained, variant
from swinablate.config.weights import evolved
from swinablate.data import class_names, image_spec
from swinablate.errors import InputError
from swinablate.records.plan import Design
from swinablate.study.arms.axes import RECIPE, axes_of, recipes_of
from swinablate.study.arms.contrasts import DeclaredContrast, check_declared
from swinablate.study.arms.mixed import check_kinds, check_measured, whole
from swinablate.study.arms.recipes import load_recipe
from swinablate.study.arms.scale import Scale, check_beside
from swinablate.study.arms.written import (
    Datasets,
    NamedArm,
    StudyFile,
    Variant,
    check_beside_data,
    check_datasets,
)
from swinablate.study.limits import check_size
from swinablate.study.noise.sources import NoiseSources, check_noise, nested_seeds
from swinablate.study.search_space import Tune
from swinablate.study.seeds import Budget, Extension, every_seed

SHOWN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._=,+()%-]{0,79}")
"""Of arms and contrasts, which name no file."""
BASELINE = "baseline"
ALONE = ("adaptive", "tune", "scale")
"""Tables that cannot stand beside several data sets."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is asked, of what, varying what, how often.

    Attributes:
        recipes: levels of the axis `recipe`, by their names.
        labels: how figures call arms, levels and switches; no part of what is declared.
        extension: the seeds of each arm, where those of the file were not enough (`run --more`).
    """

    name: str
    file: str
    question: str
    baseline: Recipe
    axes: Mapping[str, tuple[Level, ...]]
    variants: tuple[Variant, ...]
    design: Design
    seeds: tuple[int, ...]
    baseline_seeds: tuple[int, ...]
    looks: tuple[int, ...]
    budget: Budget
    compare: Compare
    hypotheses: tuple[DeclaredHypothesis, ...]
    tune: Tune | None = None
    smoke: bool = False
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    contrasts: tuple[DeclaredContrast, ...] = ()
    extension: Extension | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    scale: Scale | None = None
    noise: NoiseSources | None = None
    data: Datasets = ()


def load_study(path: Path, settings: Sequence[str] = (), *, smoke: bool = False) -> Study:
    """Read a study file and the experiments it names.

    Args:
        path: the study file; its stem is the study's name, or the beginning of a variant's.
        settings: `KEY=VALUE` from the command line. `study.seeds=3` changes the study,
            any recipe path (`train.epochs=3`) the baseline.
        smoke: allow one seed.

    Raises:
        InputError: anything in the files or settings that cannot be done as written.
    """
    if not NAME.fullmatch(path.stem):
        hint = "letters, digits, and ._=,+()- or blanks; at most 80, the first a letter or digit"
        raise InputError(f"{path.stem!r} cannot name a study", at=str(path), hint=hint)
    written = schema.read_toml(path)
    if RESULTS in written:
        raise untrained(path)
    if "question" not in written and {"model", "command"} & written.keys():
        raise InputError(
            "this is a recipe, and a study is wanted",
            at=str(path),
            hint='name it in a study: baseline = "..."; `swinablate new NAME` writes one',
        )
    changes = [setting(text) for text in settings]
    for key, level in changes:
        if key.startswith("study."):
            put(written, key.removeprefix("study."), level)
    file = schema.validate(StudyFile, written, str(path))
    seeds, more = _seeds(file, str(path))
    tries = file.tune.tries if file.tune else lambda _: 0
    runs = {
        "arm": len(seeds) + tries(len(seeds)),
        "baseline": len(more) + tries(len(more)),
    }
    check_size(file.design, file.axes, len(file.arms), runs, str(path))
    baseline = load_recipe(path.parent / file.baseline, [path.parent])
    baseline = _changed(baseline, {k: level for k, level in changes if not k.startswith("study.")})
    check_noise(file.noise, _given(file), baseline, str(path))
    _check_effort(file, seeds, str(path), smoke=smoke)
    check_declared(file.contrasts, {BASELINE, *(arm.name for arm in file.arms)}, str(path))
    axes = axes_of(file.axes, str(path))
    recipes = recipes_of(
        axes.get(RECIPE, ()),
        path.parent,
        lambda each: load_recipe(each, [path.parent], baseline.data),
        str(path),
    )
    if recipes:
        axes[RECIPE] = tuple(recipes)
    data = None if isinstance(baseline, CommandRecipe) else baseline.data
    variants = tuple(_variant(arm, path, data) for arm in file.arms)
    for contrast in file.contrasts:
        _check_name(contrast.name, "a contrast", f"{path}: contrasts")
    check_kinds(file, baseline, variants, recipes, str(path))
    compare, hypotheses = _compared(file, baseline, str(path))
    taken = {one.name: one.recipe for one in variants if one.recipe}
    others = {name: one for name, one in taken.items() if whole(baseline, one)}
    check_measured(compare, hypotheses, others, str(path))
    return Study(
        name=variant(path.stem, settings),
        file=str(path),
        question=file.question,
        baseline=baseline,
        axes=axes,
        variants=variants,
        design=file.design,
        seeds=seeds,
        baseline_seeds=more,
        looks=file.adaptive.looks if file.adaptive else (),
        budget=file.budget,
        compare=compare,
        hypotheses=hypotheses,
        tune=file.tune,
        smoke=smoke,
        recipes=recipes,
        contrasts=file.contrasts,
        labels=file.labels,
        scale=file.scale,
        noise=file.noise,
        data=file.data or (),
    )


def _seeds(file: StudyFile, at: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The seeds of an arm, and those of the baseline."""
    if file.scale is not None:
        check_beside(file.design, at)
    if file.data is not None:
        check_datasets(file.data, at)
        given = _given(file)
        check_beside_data(file.design, {key: given[key] for key in ALONE}, at)
    seeds, more = every_seed(file.seeds, file.baseline_seeds, file.adaptive, at)
    if file.scale is not None and file.baseline_seeds is None and file.adaptive is None:
        more = seeds  # effects are taken within seeds at every rung: others would have no partner
    return nested_seeds(file.noise, seeds, more)


def _given(file: StudyFile) -> dict[str, bool]:
    """What of a file decides about seeds beside [noise]."""
    return {
        "seeds": isinstance(file.seeds, tuple),
        "baseline_seeds": file.baseline_seeds is not None,
        "adaptive": file.adaptive is not None,
        "tune": file.tune is not None,
        "once": file.tune is not None and file.tune.repeats == 1,
        "several": file.seeds != 1,
        "scale": file.scale is not None,
        "data": file.data is not None,
    }


def _changed(baseline: Recipe, levels: Mapping[str, Level]) -> Recipe:
    """The baseline with what the command line sets of it."""
    if not levels:
        return baseline
    _check_owner(levels)
    at = f"--set {next(iter(levels))}" if len(levels) == 1 else "--set"
    return evolved(baseline, levels, Path(), at)


def _check_owner(levels: Iterable[str]) -> None:
    """Refuse a key of the study where a switch of the baseline is set."""
    for key in levels:
        head = key.partition(".")[0]
        if head in StudyFile.model_fields and head not in Recipe.model_fields:
            raise InputError(
                f"{key!r} is the study's, and not a switch of the baseline",
                at=f"--set {key}",
                hint=f"write --set study.{key}=...",
            )


def smoke(study: Study) -> Study:
    """The same study for a quick check: one seed, two steps, a few images, nothing tuned.

    Of several scales and data sets it takes the baseline's own.

    Data that would have to be downloaded are replaced by noise of the same shape.
    """
    first = study.seeds[:1]
    once = replace(study, smoke=True, seeds=first, baseline_seeds=first, scale=None, data=())
    return replace(once, looks=(), tune=None, noise=None, budget=Budget())


def _variant(arm: NamedArm, path: Path, data: DataConfig | None) -> Variant:
    at = f"{path}: arms: {arm.name!r}"
    _check_name(arm.name, "an arm", f"{path}: arms")
    if not arm.changes and not arm.recipe:
        raise InputError(
            "an arm has 'changes', a 'recipe', or both; this one has neither",
            at=at,
            hint='write changes = { "model.shift" = false } or recipe = "other.toml"',
        )
    if not arm.take or len(set(arm.take)) < len(arm.take):
        raise InputError(
            f"take = {list(arm.take)} names nothing, or one twice",
            at=at,
            hint='write take = ["model"] or ["model", "train", "data"]',
        )
    spare = None if "data" in arm.take else data
    other = load_recipe(path.parent / arm.recipe, [path.parent], spare) if arm.recipe else None
    return Variant(
        name=arm.name,
        changes=arm.changes,
        recipe=other,
        take=arm.take,
        match=arm.match,
        source=arm.recipe or "",
        against=arm.against,
    )


def _check_name(name: str, what: str, at: str) -> None:
    if not SHOWN.fullmatch(name) or name == BASELINE:
        hint = "letters, digits, and ._=,+()%- or blanks; at most 80; not 'baseline'"
        raise InputError(f"{name!r} cannot name {what}", at=at, hint=hint)


def _compared(
    file: StudyFile, baseline: Recipe, at: str
) -> tuple[Compare, tuple[DeclaredHypothesis, ...]]:
    """What is compared and supposed, with metrics as they are recorded.

    Raises:
        InputError: a metric that these data do not have, or a number out of its range.
    """
    if isinstance(baseline, CommandRecipe):
        return compared(file.compare, file.hypotheses, baseline.command, at)
    kind = None
    if mentioned(file.compare, file.hypotheses) != {ACCURACY}:
        try:
            image = image_spec(baseline.data)
            side = min(image.height, image.width)
            kind = Kind(image.classes, class_names(baseline.data), side)
        except ValueError as error:
            raise InputError(str(error), at=f"{at}: baseline") from None
    compare = settled_compare(file.compare, kind, at)
    return compare, settled_hypotheses(file.hypotheses, compare, kind, at)


def _check_effort(file: StudyFile, seeds: tuple[int, ...], at: str, *, smoke: bool) -> None:
    """Refuse one seed, and looks at a design for which they were never shown to be right."""
    if len(seeds) < 2 and not smoke:
        raise InputError(
            f"{len(seeds)} seed gives no verdict",
            at=f"{at}: seeds = {json.dumps(file.seeds)}",
            hint="give at least 3 seeds, or add --smoke to try the study out",
        )
    if file.adaptive is not None and file.design != "one_at_a_time":
        raise InputError(
            f"[adaptive] adds seeds arm by arm, which design = {file.design!r} cannot use",
            at=f"{at}: adaptive",
            hint="give a fixed number: seeds = 5",
        )
    if file.tune is not None and file.tune.of(len(seeds)) > len(seeds) and not smoke:
        raise InputError(
            f"{file.tune.repeats} tunings of an arm need as many final seeds, and it has "
            f"{len(seeds)}",
            at=f"{at}: tune.repeats",
            hint='write repeats = "seed": one tuning for every final seed',
        )
    if file.tune is not None and (file.adaptive is not None or file.design != "one_at_a_time"):
        other = "[adaptive]" if file.adaptive is not None else f"design = {file.design!r}"
        raise InputError(
            f"[tune] and {other} are not possible together in this version",
            at=f"{at}: tune",
            hint='give a fixed number of seeds and design = "one_at_a_time"',
        )
