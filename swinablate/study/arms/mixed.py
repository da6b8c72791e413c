"""Studies of networks and commands together, or of several commands: arms that are whole recipes.

Such an arm takes nothing from the baseline. What is compared has to be one quantity, and equal
seeds of a network and a command share no random numbers.
"""

from collections.abc import Iterable, Mapping, Sequence

from swinablate.config.compare import Compare, DeclaredHypothesis
from swinablate.config.metrics import METRICS, alike, metric
from swinablate.config.recipe import CommandRecipe, Recipe
from swinablate.errors import InputError
from swinablate.study.arms.written import NamedArm, StudyFile, Variant


def whole(baseline: Recipe, other: Recipe | None) -> bool:
    """Whether an arm is all of another recipe: one of the two is a command."""
    return other is not None and any(isinstance(one, CommandRecipe) for one in (baseline, other))


def check_kinds(
    file: StudyFile,
    baseline: Recipe,
    variants: Iterable[Variant],
    recipes: Mapping[str, Recipe],
    at: str,
) -> None:
    """Refuse what arms that are commands cannot have: parts, sizes, tuning, a crossed recipe.

    Args:
        file: as written.
        baseline: its recipe.
        variants: the named arms.
        recipes: levels of the axis `recipe`.
        at: the study file.

    Raises:
        InputError: one of them is asked for.
    """
    own = isinstance(baseline, CommandRecipe)
    crossed = [name for name, recipe in recipes.items() if whole(baseline, recipe)]
    if crossed:
        raise InputError(
            f"{crossed[0]!r} is no level: one of it and the baseline is a command, and they share "
            "no parts",
            at=f"{at}: axes: 'recipe'",
            hint="make it an arm: [[arms]] name = ..., recipe = ...",
        )
    written = {arm.name: arm for arm in file.arms}
    foreign = [one for one in variants if whole(baseline, one.recipe)]
    for one in foreign:
        _check_whole(written[one.name], f"{at}: arms: {one.name!r}")
    commands = own or any(isinstance(one.recipe, CommandRecipe) for one in foreign)
    matched = [one.name for one in variants if one.match]
    if (own and matched) or (commands and file.tune):
        what, where = ("tuned", "tune") if file.tune else ("matched", "arms")
        raise InputError(
            f"a command cannot be {what}: nothing is known of what it trains",
            at=f"{at}: {where}",
            hint="leave it out; sizes and rates can be switches of the command",
        )
    first = [one.name for one in foreign if not own and _checks_first(one.recipe)]
    if first:
        raise InputError(
            'check = "first" compares with a baseline that is a command, and this one is not',
            at=f"{at}: arms: {first[0]!r}",
            hint='leave it out of [command], or write changes = { "command.check" = "none" }',
        )


def _checks_first(recipe: Recipe | None) -> bool:
    return isinstance(recipe, CommandRecipe) and recipe.command.check == "first"


def _check_whole(arm: NamedArm, at: str) -> None:
    for key, why in (("take", "take parts of another"), ("match", "be matched in size")):
        if key in arm.model_fields_set:
            raise InputError(
                f"a command cannot {why}: nothing is known of its parts",
                at=f"{at}: {key}",
                hint="leave it out: the arm is all of its recipe",
            )


def check_measured(
    compare: Compare,
    hypotheses: Iterable[DeclaredHypothesis],
    arms: Mapping[str, Recipe],
    at: str,
) -> None:
    """Refuse arms that do not measure what the study compares, and what is not known of them.

    Args:
        compare: settled.
        hypotheses: settled.
        arms: name -> recipe, of those that are all of another recipe than the baseline.
        at: the study file.

    Raises:
        InputError: one measures another quantity, in another unit or direction.
    """
    if arms and compare.scale == "logit":
        raise InputError(
            f"{next(iter(arms))!r} does not say how many test images it was right on",
            at=f"{at}: compare.scale",
            hint='leave it out, or write scale = "linear": log odds need that of every arm',
        )
    for arm, recipe in arms.items():
        known = measured(recipe)
        if not alike(compare.metric, known):
            _refuse(compare.metric, arm, known, at)
    for asked in hypotheses:
        if (
            asked.arm in arms
            and asked.quantity
            and not alike(asked.quantity, measured(arms[asked.arm]))
        ):
            raise InputError(
                f"of {asked.arm!r} nothing is known that {asked.quantity!r} of the baseline could "
                "be compared with",
                at=f"{at}: hypotheses",
                hint=f"leave quantity out for {metric(compare.metric).called}",
            )


def _refuse(name: str, arm: str, known: Sequence[str], at: str) -> None:
    """Say what an arm measures, and what is compared.

    Raises:
        InputError: always.
    """
    ours, theirs = metric(name), ", ".join(map(_described, known))
    own = f"name = {_last(name)!r}, unit = {_unit(name)!r}, better = {ours.better!r}"
    hint = f"if it is the same quantity, let its [command] say so: {own}"
    if not known[0].startswith("command/"):
        hint = "if it is one of these, call the baseline's number so, in its unit"
    raise InputError(
        f"{arm!r} does not measure what is compared, {_described(name)}; it measures {theirs}",
        at=f"{at}: arms: {arm!r}",
        hint=hint,
    )


def measured(recipe: Recipe) -> list[str]:
    """Names of what an arm's trials record, the first first."""
    if isinstance(recipe, CommandRecipe):
        return [one.recorded for one in recipe.command.metrics]
    return [one.name for one in METRICS]


def _last(name: str) -> str:
    return name.partition(":")[0].partition("/")[2]


def _unit(name: str) -> str:
    unit = metric(name).unit
    return "percent" if unit == "pp" else unit


def _described(name: str) -> str:
    which = "more" if metric(name).better == "higher" else "less"
    return f"{_last(name)} ({_unit(name)}, {which} is better)"
