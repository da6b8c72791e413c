"""How many splits and trainings a study needs: what `plan` says of one that draws splits."""

from collections.abc import Iterator, Sequence
from typing import Any

from swinablate.stats import detectable_effects
from swinablate.stats.estimate import TESTED, Contrast
from swinablate.stats.planned.nested import Spread, seeds_needed, smallest, splits_needed
from swinablate.study.noise.expected import Difference, Noise
from swinablate.study.plan import Plan


def noise_json(plan: Plan, noise: Noise) -> dict[str, Any]:
    """What a recorded plan says of noise: the sd over seeds, and over which sources it draws.

    Args:
        plan: the plan.
        noise: what is known of it.
    """
    found: dict[str, Any] = {"sd": noise.sd, "source": noise.source}
    asked = plan.study.noise
    if asked is None:
        return found
    found["sources"] = list(asked.sources)
    if asked.tuned and noise.difference is not None:
        found["difference"] = {
            "training": noise.difference.training,
            "split": noise.difference.split,
            "tuning": noise.difference.tuning,
        }
        found["known"] = noise.difference.known
        found["tunings"] = list(_tunings(plan, noise.difference))
    if not asked.nested:
        return found
    found["splits"] = asked.count
    if noise.difference is not None:
        training, split = noise.difference.training, noise.difference.split
        found["difference"] = found.get("difference", {"training": training, "split": split})
        found["known"] = noise.difference.known
        found["replicates"] = list(_replicates(plan, _spread(plan, noise)))
    return found


def found_by(plan: Plan, noise: Noise) -> float | None:
    """The smallest difference that a study of several splits finds with power 0.8."""
    asked = plan.study.noise
    if asked is None or noise.difference is None or len(plan.arms) < 2:
        return None
    return round(smallest(asked.count, _each(plan), _spread(plan, noise)), 3)


def effects_by(
    plan: Plan, noise: Noise, effects: Sequence[Contrast], arms: Sequence[str]
) -> dict[str, float]:
    """Family -> the size from which a design finds all effects of it, with splits as its units.

    Args:
        plan: of a study that draws splits.
        noise: what is known of it.
        effects: of the design, and the declared contrasts.
        arms: names of all.
    """
    asked = plan.study.noise
    if asked is None or noise.difference is None:
        return {}
    # A difference has the noise of two arms: what each adds to it of one split's mean.
    each = _spread(plan, noise).error(1, _each(plan)) / 2**0.5
    units = dict.fromkeys(arms, asked.count)
    return detectable_effects(effects, units, each, alpha=plan.study.compare.alpha)


def _spread(plan: Plan, noise: Noise) -> Spread:
    assert noise.difference is not None
    return Spread(
        training=noise.difference.training,
        split=noise.difference.split,
        comparisons=max(1, sum(not arm.against for arm in plan.arms[1:])),
        alpha=plan.study.compare.alpha,
    )


def _each(plan: Plan) -> int:
    """Training seeds on a split."""
    assert plan.study.noise is not None
    return len(plan.study.seeds) // plan.study.noise.count


def _replicates(plan: Plan, spread: Spread) -> Iterator[dict[str, Any]]:
    """What was declared; the fewest splits that find the rope; the best of the budget."""
    assert plan.study.noise is not None
    arms, each = len(plan.arms), _each(plan)
    yield _row("declared", plan.study.noise.count, each, arms, spread)
    if plan.study.compare.rope is not None:
        for count in dict.fromkeys((1, each)):
            splits = splits_needed(plan.study.compare.rope, count, spread)
            yield _row("rope", splits, count, arms, spread)
    budget = plan.study.budget.trials
    if budget is not None and budget // arms >= TESTED:
        yield _row("budget", budget // arms, 1, arms, spread)


def _row(why: str, splits: int | None, each: int, arms: int, spread: Spread) -> dict[str, Any]:
    return {
        "why": why,
        "splits": splits,
        "each": each,
        "trials": None if splits is None else splits * each * arms,
        "detectable_pp": None if splits is None else round(smallest(splits, each, spread), 3),
    }


def _tunings(plan: Plan, noise: Difference) -> Iterator[dict[str, Any]]:
    """What the declared tunings find of tuned arms; what more seeds, and more tunings, would."""
    study, tune = plan.study, plan.study.tune
    assert study.noise is not None
    assert tune is not None
    finals, arms = len(study.seeds), len(plan.arms)
    declared = tune.of(finals)
    # A split a seed: what seeds of one tuning differ by is both.
    own = (noise.training**2 + (noise.split**2 if study.noise.nested else 0.0)) ** 0.5
    spread = Spread(
        training=own,
        split=noise.tuning,
        comparisons=max(1, sum(not arm.against for arm in plan.arms[1:])),
        alpha=study.compare.alpha,
    )

    def row(why: str, tunings: int | None, each: int | None) -> dict[str, Any]:
        known = tunings is not None and each is not None
        seeds = tunings * each if tunings is not None and each is not None else 0
        # Final trials at the fixed recipe and, where tuning found another, at that one.
        trials = arms * (2 * seeds + (tunings or 0) * tune.trials * tune.seeds)
        return {
            "why": why,
            "tunings": tunings,
            "splits": (seeds if study.noise and study.noise.nested else 1) if known else None,
            "each": each,
            "trials": trials if known else None,
            "detectable_pp": round(smallest(tunings, each, spread), 3)
            if tunings is not None and each is not None
            else None,
        }

    yield row("declared", declared, finals // declared)
    rope = study.compare.rope
    if rope is None:
        return
    if tune.repeats != "seed":
        yield row("seeds", declared, seeds_needed(rope, declared, spread))
    for each in dict.fromkeys((1, finals // declared)):
        yield row("tunings", splits_needed(rope, each, spread), each)
