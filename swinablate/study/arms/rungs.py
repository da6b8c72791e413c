"""A study of several scales: the arms of every rung, as one plan.

A rung is the same study with a larger or smaller baseline, so it is planned as one: what cannot be
built there is refused there, and an arm that is matched is matched to the baseline of its rung.
The arms of one rung, home, have their plain names, and the study's verdicts are about them. It is
the rung that the baseline's recipe is; where it is none of them, the largest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from swinablate.config.levels import named_changes
from swinablate.config.recipe import CommandRecipe, Recipe
from swinablate.data import describe
from swinablate.errors import InputError
from swinablate.records.scale import RungRecord, ScaleRecord, suffix
from swinablate.stats.comparisons.trend import FEWEST, visible
from swinablate.stats.sequential.spending import nominal
from swinablate.study.arms.cells import check_taken, moved, with_changes
from swinablate.study.arms.scale import Rung, Scale, check_changes, predicted, ruled, rungs_of
from swinablate.study.equality import differing, fields
from swinablate.study.files import Study
from swinablate.study.limits import ARMS, TRIALS
from swinablate.study.noise.expected import Noise
from swinablate.study.plan import Arm, Plan
from swinablate.study.seeds import Extension

Expand = Callable[[Study, str], Plan]
"""Takes the study at a rung, and what its arms have behind their names."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A rung and the plan of it.

    Attributes:
        rung: its changes of the baseline.
        ruled: what its rules give.
        plan: the study there.
        value: how large it is.
    """

    rung: Rung
    ruled: Mapping[str, float]
    plan: Plan
    value: float

    @property
    def label(self) -> str:
        """As it stands in names."""
        return named_changes(self.rung)


def climb(study: Study, expand: Expand, alone: Callable[[Study], Arm]) -> Plan:
    """The plan of a study with every arm at every rung of its scale.

    Args:
        study: with a scale.
        expand: plans a study of one scale.
        alone: builds the baseline of a study, and nothing else.

    Raises:
        InputError: rungs that cannot be, or that do not differ in what is doubled; an arm that
            changes what differs between them; a prediction inside of them.
    """
    scale = study.scale
    assert scale is not None
    rungs = rungs_of(scale, study.file)
    _check(study, scale, rungs)
    steps = sorted((_step(study, scale, rung, expand) for rung in rungs), key=lambda s: s.value)
    _check_values(study, scale, steps)
    home = next((s for s in steps if _is(study, s.rung)), steps[-1])
    arms, refusals = list(home.plan.arms), list(home.plan.refusals)
    for step in steps:
        if step is not home:
            arms += [_away(arm, step, home.plan.arms[0].recipe) for arm in step.plan.arms]
            refusals += [one.elsewhere(suffix(step.label)) for one in step.plan.refusals]
    names = [arm.name for arm in arms]
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice:
        raise InputError(
            f"two arms are called {twice!r}: a rung names its arms so",
            at=f"{study.file}: arms",
            hint="give the arm another name",
        )
    record = ScaleRecord(
        axis=scale.axis,
        by=scale.by,
        home=home.label,
        rungs=tuple(_recorded(step, home) for step in steps),
        predict=_ahead(study, scale, steps, alone),
        rules=scale.rules,
    )
    made = Plan(
        study=study,
        arms=tuple(arms),
        refusals=tuple(refusals),
        scale=record,
        at_home=home.plan,
    )
    made.check_budget()
    return made


def _check(study: Study, scale: Scale, rungs: Sequence[Rung]) -> None:
    taken = [variant.recipe for variant in study.variants]
    if any(isinstance(one, CommandRecipe) for one in (study.baseline, *taken)):
        raise InputError(
            "nothing is known of how large a command is, and how long it trains",
            at=f"{study.file}: scale",
            hint="make its size a switch of [axes]",
        )
    arms = len(rungs) * (1 + sum(map(len, study.axes.values())) + len(study.variants))
    tries = study.tune.tries(len(study.seeds)) if study.tune else 0
    trials = arms * (len(study.seeds) + tries)
    if arms > ARMS or trials > TRIALS:
        raise InputError(
            f"{len(rungs)} rungs make {arms:,} arms and {trials:,} trials, and {ARMS:,} and "
            f"{TRIALS:,} can be planned",
            at=f"{study.file}: scale",
            hint=f"give fewer rungs, arms{', tries' if tries else ''} or seeds",
        )
    # Unknown paths and levels that do not fit are told before anything is built.
    for rung in rungs:
        with_changes(study, study.baseline, rung, "scale")
    check_changes(scale, study.axes, f"{study.file}: axes")
    for variant in study.variants:
        check_changes(scale, variant.changes, f"{study.file}: arms: {variant.name!r}")
        check_taken(study, scale.paths, variant, "[scale]")


def _step(study: Study, scale: Scale, rung: Rung, expand: Expand) -> Step:
    there, by_rule = at_rung(study, scale, rung)
    try:
        plan = expand(there, suffix(named_changes(rung)))
    except InputError as error:
        raise InputError(
            f"at the rung {named_changes(rung)}: {error.problem}", at=error.at, hint=error.hint
        ) from None
    return Step(
        rung=rung, ruled=by_rule, plan=plan, value=_value(study, scale, plan.arms[0], rung)
    )


def at_rung(study: Study, scale: Scale, rung: Rung) -> tuple[Study, dict[str, float]]:
    """The study at one rung, and what rules changed there.

    Arms that take another recipe move with the baseline, but for what a match solves.

    Args:
        study: as written.
        scale: its scale.
        rung: where.

    Raises:
        InputError: a level that the baseline or a recipe does not take.
    """
    now = fields(study.baseline.model_dump(mode="json"))
    by_rule = ruled(scale, rung, now, study.file)
    changes = {**rung, **by_rule}
    there = replace(moved(study, changes, "scale"), scale=None)
    there = replace(there, extension=_extended(study.extension, suffix(named_changes(rung))))
    # With looks the baseline's own seeds are those of the verdicts, at home alone.
    return (there if _is(study, rung) else replace(there, baseline_seeds=study.seeds)), by_rule


def _extended(more: Extension | None, after: str) -> Extension | None:
    """The seeds of the arms at one rung by their plain names; at home these are their names."""
    if more is None:
        return None
    own = {name.removesuffix(after): s for name, s in more.seeds.items() if name.endswith(after)}
    return replace(more, seeds={**more.seeds, **own})


def _is(study: Study, rung: Rung) -> bool:
    """Whether the baseline's recipe is the rung."""
    return with_changes(study, study.baseline, rung, "scale") == study.baseline


def _value(study: Study, scale: Scale, base: Arm, rung: Rung) -> float:
    """How large a rung is, of its baseline.

    Raises:
        InputError: nobody knows.
    """
    recipe = base.recipe
    found: float | None = {"params": base.params, "macs": base.macs}.get(scale.by)
    why = f"nothing is known of the {scale.by} at {named_changes(rung)}"
    if scale.by == "epochs":
        found = None if recipe.train.steps is not None else recipe.train.epochs
        why = "train.steps says how long it trains, and no epochs"
    if scale.by == "images":
        sizes = describe(recipe.data)
        found = sizes.train if sizes else None
        why = f"how many images {recipe.data.name} has is known only when it is read"
    if not found:
        raise InputError(
            why,
            at=f"{study.file}: scale.by",
            hint='write by = "params", "macs", "images" or "epochs"',
        )
    return float(found)


def _check_values(study: Study, scale: Scale, steps: Sequence[Step]) -> None:
    """Refuse rungs that are equally large: their slope would be of nothing."""
    for small, large in pairwise(steps):
        if small.value == large.value:
            likely = {"data": "images", "train": "epochs"}
            heads = [path.partition(".")[0] for path in small.rung]
            other = next((likely[head] for head in heads if head in likely), "macs")
            raise InputError(
                f"{small.label} and {large.label} both have {small.value:,.0f} {scale.by}: there "
                "is no slope by what does not change",
                at=f"{study.file}: scale.by",
                hint="give other rungs" if other == scale.by else f'write by = "{other}"',
            )


def _ahead(
    study: Study, scale: Scale, steps: Sequence[Step], alone: Callable[[Study], Arm]
) -> RungRecord | None:
    """The rung that is predicted, and how large it is."""
    rung = predicted(scale, study.file)
    if rung is None:
        return None
    where = f"{study.file}: scale.predict"
    try:
        there, by_rule = at_rung(study, scale, rung)
        base = alone(there)
    except (InputError, ValueError) as error:
        problem = error.problem if isinstance(error, InputError) else str(error)
        raise InputError(
            f"the baseline is impossible at {named_changes(rung)}: {problem}",
            at=where,
            hint="predict another level",
        ) from None
    value = _value(study, scale, base, rung)
    if value <= steps[-1].value:
        raise InputError(
            f"{named_changes(rung)} has {value:,.0f} {scale.by}, and the largest rung, "
            f"{steps[-1].label}, {steps[-1].value:,.0f}: nothing is to be predicted there",
            at=where,
            hint="give a level beyond the largest rung, or train it: add it to the rungs",
        )
    return RungRecord(label=named_changes(rung), changes=rung, ruled=by_rule, value=value)


def _away(arm: Arm, step: Step, base: Recipe) -> Arm:
    """An arm of another rung: named after it, with its changes of the study's baseline."""
    after = suffix(step.label)
    return arm.elsewhere(after, {**step.rung, **step.ruled}, differing(base, arm.recipe))


def _recorded(step: Step, home: Step) -> RungRecord:
    after = "" if step is home else suffix(step.label)
    return RungRecord(
        label=step.label,
        changes=step.rung,
        ruled=step.ruled,
        value=step.value,
        arms={arm.name: f"{arm.name}{after}" for arm in step.plan.arms},
    )


def seen(plan: Plan, noise: Noise) -> dict[str, Any] | None:
    """The scale of a plan with the slope that its seeds can see, as it is recorded.

    Args:
        plan: the plan.
        noise: of what is compared.
    """
    if plan.scale is None:
        return None
    rungs = [rung.value for rung in plan.scale.rungs]
    ahead = plan.scale.predict.value if plan.scale.predict and len(rungs) >= FEWEST else None
    found: dict[str, Any] = plan.scale.to_json()
    if noise.sd is None:
        return found
    study = plan.study
    # With looks the last one has all seeds, and what the others leave of the error rate.
    alpha = nominal(study.looks, study.compare.alpha)[-1] if study.looks else study.compare.alpha
    slope, far = visible(rungs, len(study.seeds), noise.sd, ahead, alpha=alpha)
    found["detectable_pp"] = round(slope, 3)
    found["predicted_pp"] = None if far is None else round(far, 3)
    return found
