"""A study of several data sets: the arms on each, as one plan.

On every data set it is the same study with another baseline, so it is planned as one: what cannot
be built there is refused there, and an arm that is matched is matched to the baseline there. The
arms of one data set, home, have their plain names, and the study's verdicts are about them. It is
the one that the baseline's recipe is; where it is none of them, the first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from swinablate.config.compare import Kind, mentioned, settled_compare
from swinablate.config.metrics import ACCURACY
from swinablate.config.recipe import CommandRecipe, Recipe
from swinablate.data import class_names, describe, image_spec
from swinablate.errors import InputError
from swinablate.records.scale import DatasetRecord, DatasetsRecord, on
from swinablate.stats.comparisons.datasets import LEAST, mean_visible
from swinablate.study.arms.cells import check_taken, moved, with_changes
from swinablate.study.arms.written import Dataset, check_untouched
from swinablate.study.equality import differing
from swinablate.study.files import Study
from swinablate.study.limits import ARMS, TRIALS
from swinablate.study.noise.expected import Noise
from swinablate.study.plan import Arm, Plan

Expand = Callable[[Study, str], Plan]
"""Takes the study on a data set, and what its arms have behind their names."""
KEY = "data"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A data set and the study's plan there."""

    dataset: Dataset
    plan: Plan


def spread(study: Study, expand: Expand) -> Plan:
    """The plan of a study with every arm on every one of its data sets.

    Args:
        study: with several data sets.
        expand: plans a study of one.

    Raises:
        InputError: data sets on which the study cannot be, two that are one, or an arm that
            changes what differs between them.
    """
    _check(study)
    parts = [_part(study, one, expand) for one in study.data]
    home = next((p for p in parts if _is(study, p.dataset)), parts[0])
    arms, refusals = list(home.plan.arms), list(home.plan.refusals)
    for part in parts:
        if part is not home:
            arms += [_away(arm, part, home.plan.arms[0].recipe) for arm in part.plan.arms]
            refusals += [one.elsewhere(on(part.dataset.called)) for one in part.plan.refusals]
    names = [arm.name for arm in arms]
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise InputError(
            f"two arms are called {twice[0]!r}: a data set names its arms so",
            at=f"{study.file}: arms",
            hint="give the arm another name",
        )
    record = DatasetsRecord(
        home=home.dataset.called, sets=tuple(_recorded(part, home) for part in parts)
    )
    return Plan(
        study=study,
        arms=tuple(arms),
        refusals=tuple(refusals),
        datasets=record,
        at_home=home.plan,
    )


def _check(study: Study) -> None:
    taken = [variant.recipe for variant in study.variants]
    if any(isinstance(one, CommandRecipe) for one in (study.baseline, *taken)):
        raise InputError(
            "a command reads its own data, and nothing is known of them",
            at=f"{study.file}: data",
            hint="make the data a switch of the command, and write a study for each",
        )
    arms = len(study.data) * (1 + sum(map(len, study.axes.values())) + len(study.variants))
    trials = arms * len(study.seeds)
    if arms > ARMS or trials > TRIALS:
        raise InputError(
            f"{len(study.data)} data sets make {arms:,} arms and {trials:,} trials, and {ARMS:,} "
            f"and {TRIALS:,} can be planned",
            at=f"{study.file}: data",
            hint="give fewer data sets, arms or seeds",
        )
    check_untouched(study.data, study.axes, f"{study.file}: axes")
    paths = dict.fromkeys(path for one in study.data for path in one.level)
    for variant in study.variants:
        at = f"{study.file}: arms: {variant.name!r}"
        check_untouched(study.data, variant.changes, at)
        check_taken(study, paths, variant, "data = [...]")
    # Unknown paths and levels that do not fit are told before anything is built.
    found: dict[str, Recipe] = {}
    for one in study.data:
        recipe = with_changes(study, study.baseline, one.level, _where(one))
        if same := [label for label, other in found.items() if other == recipe]:
            raise InputError(
                f"{same[0]} and {one.called} are one: the same images and the same training",
                at=f"{study.file}: data",
                hint="leave one of them out: a data set counts once",
            )
        found[one.called] = recipe
        _check_compared(study, recipe, one)


def _check_compared(study: Study, recipe: Recipe, one: Dataset) -> None:
    """Refuse a metric that is not the same quantity on every data set: the recall of a class."""
    if mentioned(study.compare, study.hypotheses) == {ACCURACY}:
        return
    at = f"{study.file}: {_where(one)}"
    try:
        image = image_spec(recipe.data)
    except ValueError as error:
        raise InputError(str(error), at=at) from None
    kind = Kind(image.classes, class_names(recipe.data), min(image.height, image.width))
    settled_compare(study.compare, kind, at)


def _part(study: Study, one: Dataset, expand: Expand) -> Part:
    try:
        there = replace(moved(study, one.level, _where(one)), data=())
        return Part(dataset=one, plan=expand(there, on(one.called)))
    except InputError as error:
        raise InputError(
            f"on {one.called}: {error.problem}", at=error.at, hint=error.hint
        ) from None


def _where(one: Dataset) -> str:
    return f"{KEY}: {one.called}"


def _is(study: Study, one: Dataset) -> bool:
    """Whether the baseline's recipe is of the data set."""
    return with_changes(study, study.baseline, one.level, _where(one)) == study.baseline


def _away(arm: Arm, part: Part, base: Recipe) -> Arm:
    """An arm on another data set: named after it, with its changes of the study's baseline."""
    after = on(part.dataset.called)
    return arm.elsewhere(after, part.dataset.level, differing(base, arm.recipe))


def _recorded(part: Part, home: Part) -> DatasetRecord:
    after = "" if part is home else on(part.dataset.called)
    sizes = describe(part.plan.arms[0].recipe.data)
    return DatasetRecord(
        label=part.dataset.called,
        changes=part.dataset.level,
        images=sizes.train if sizes else None,
        arms={arm.name: f"{arm.name}{after}" for arm in part.plan.arms},
    )


def seen_over(plan: Plan, noise: Noise) -> dict[str, Any] | None:
    """The data sets of a plan with the mean that its seeds can see, as they are recorded.

    Args:
        plan: the plan.
        noise: of what is compared, on the data set at home.
    """
    if plan.datasets is None:
        return None
    found: dict[str, Any] = plan.datasets.to_json()
    if noise.sd is None or len(plan.datasets.sets) < LEAST:
        return found
    study, k = plan.study, len(plan.datasets.sets)
    error = noise.sd * _per_seed(plan.home.arms) ** 0.5
    between = study.compare.rope or noise.sd
    arms = max(1, len(plan.home.arms) - 1)
    for key, tau in (("detectable_pp", 0.0), ("spread_detectable_pp", between)):
        half = mean_visible(k, error, tau, alpha=study.compare.alpha, comparisons=arms)
        found[key] = round(half, 3)
    found["spread_pp"] = round(between, 3)
    return found


def _per_seed(arms: Sequence[Arm]) -> float:
    """The variance of a difference to the baseline, of one seed's as 1; of the fewest seeds."""
    base, *others = (len(arm.seeds) for arm in arms)
    return 1 / base + 1 / min(others)
