"""From a table of results to the answers of a study: `verdicts`, and `effects` for one table."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from numbers import Real
from typing import TYPE_CHECKING, get_args

from swinablate.errors import InputError
from swinablate.stats.comparisons.contrasts import check_weights, contrast_sentence, declared
from swinablate.stats.comparisons.judgements import Judgements
from swinablate.stats.comparisons.measures import Scale, meaning
from swinablate.stats.declaration import (
    ARMS,
    CONTRASTS,
    ArmVerdict,
    Declaration,
    Direction,
    Estimate,
    Judged,
    Verdicts,
    Warn,
)
from swinablate.stats.estimate import Contrast, Method
from swinablate.stats.images import covers, new_images, unpack
from swinablate.stats.judge import SHRUNKEN, judge_family
from swinablate.stats.planned.exaggeration import exaggerated
from swinablate.stats.sample import Sample, read_samples
from swinablate.stats.seeds.caution import cautions
from swinablate.stats.sentence import methods, sentence

if TYPE_CHECKING:
    import pandas as pd


def verdicts(
    frame: "pd.DataFrame",
    declaration: Declaration,
    *,
    complete: bool,
    warnings: Sequence[Warn] = (),
    method: Method = "auto",
) -> Verdicts:
    """Judge every declared comparison from what is recorded.

    Args:
        frame: a row for every trial: `arm`, `seed`, `value` (percent); optional `status`
            (done, failed, diverged, waiting) and `predictions` (digest of the answers on the
            test set, to find arms that answer alike).
        declaration: what was fixed before the first result.
        complete: False: intervals, but every verdict is pending.
        warnings: those that need more than results.
        method: as in `estimate`; "auto" lets the covariances of the seeds decide, for each
            family, whether it is judged within seeds.

    Raises:
        InputError: the table cannot be read as results of what was declared.
    """
    samples = read_samples(frame, declaration)
    base = samples[declaration.baseline]
    arms = [name for name in samples if name != declaration.baseline]
    elsewhere = declaration.elsewhere
    direct = [name for name in arms if name not in elsewhere]
    families: dict[str, list[Contrast]] = {ARMS: against(direct, declaration)}
    for contrast in declaration.contrasts:
        families.setdefault(contrast.family, []).append(contrast)
    judged = [
        estimate
        for family in families.values()
        for estimate in judge_family(
            family, samples, declaration, complete=complete, method=method
        )
    ]
    judged = told(judged, samples, declaration)
    of_arm = of_arms(judged)
    found = [*cautions(samples, declaration), *exaggerated(judged, declaration), *warnings]
    how = judged[0].method if judged else SHRUNKEN
    beside = [one.method for one in judged if one.contrast.family == CONTRASTS]
    also = _otherwise(how, beside, declaration.units.word)
    return Verdicts(
        declaration=declaration,
        method=how,
        methods=methods(samples, declaration, how, len(direct), also),
        baseline=base.tally,
        arms=arm_verdicts(samples, of_arm, families, declaration),
        contrasts=tuple(judged),
        warnings=tuple(sorted(found, key=lambda warning: int(warning.code[1:]))),
    )


def _otherwise(how: str, contrasts: Sequence[str], unit: str) -> str:
    """How the contrasts of arms were judged, where that is not as the arms were."""
    if not contrasts or contrasts[0] == how:
        return ""
    test = f"paired t (differences within {unit}s)" if "paired" in contrasts[0] else "Welch's t"
    same = "in the same way" if "shrunken" in how else "by empirical Bayes (Smyth 2004)"
    moderated = f", variances moderated {same}" if "shrunken" in contrasts[0] else ""
    one = "contrast of arms was" if len(contrasts) == 1 else "contrasts of arms were"
    return f"The {one} judged by {test}{moderated}."


def effects(  # noqa: PLR0913  named words, each with a default
    frame: "pd.DataFrame",
    baseline: str = "baseline",
    alpha: float = 0.05,
    rope: float | None = None,
    method: Method = "auto",
    *,
    metric: str = "",
    unit: Scale | None = None,
    better: Direction | None = None,
) -> Judgements[ArmVerdict]:
    """Compare every arm of a table with its baseline.

    Values of which nothing is said are test accuracies in percent. It is asked what they are if
    they lie in 0 to 1, or some of them do; if some are negative or above 100, they are numbers
    without a unit, with a warning where that is so of a few above 100 alone.

    Args:
        frame: columns `arm`, `seed`, `value`; optional `status` and `predictions`.
        baseline: the arm the others are compared with.
        alpha: error rate of all comparisons together.
        rope: the smallest difference that matters, in percentage points, or as the values where
            these have no unit; without it nothing is called equivalent.
        method: as in `estimate`; "auto" lets the covariances of the seeds decide, for each
            family, whether it is judged within seeds.
        metric: what the values are called. A name that does not say what its numbers are, or
            which way is good, is taken for numbers without a unit and higher for better, with a
            warning; `unit` and `better` say it.
        unit: "percent"; "fraction", where 1 is all right, which is shown in percent; or "none".
        better: "higher", or "lower" of a loss or an error.

    Returns:
        The `arms` of verdicts.json, in the order of the table: a list, with `.frame()`.

    Raises:
        InputError: the table cannot be read, has no arm called `baseline`, or values of which it
            has to be said what they are.
    """
    meant = meaning(frame, metric, unit, better)
    _check(alpha, rope, method)
    declaration = Declaration(alpha=alpha, rope_pp=rope, baseline=str(baseline), **meant.declared)
    judged = verdicts(meant.frame, declaration, complete=True, method=method)
    return Judgements(judged.arms, unit=declaration.unit)


def contrasts(  # noqa: PLR0913  as `effects`, and which
    frame: "pd.DataFrame",
    of: Mapping[str, Mapping[str, float]],
    alpha: float = 0.05,
    rope: float | None = None,
    method: Method = "auto",
    *,
    metric: str = "",
    unit: Scale | None = None,
    better: Direction | None = None,
) -> Judgements[Estimate]:
    """Judge comparisons between any arms of a table, as one family.

    Args:
        frame: columns `arm`, `seed`, `value`; optional `status` and `predictions`.
        of: name -> arm -> weight; the weights of each sum to 0:
            `{"gap": {"ResNet": 1, "Swin": -1}}`.
        alpha: error rate of all of them together.
        rope: as for `effects`.
        method: as for `effects`.
        metric: as for `effects`.
        unit: as for `effects`.
        better: as for `effects`.

    Returns:
        Entries of `contrasts` of verdicts.json, in the order of `of`: a list, with `.frame()`.

    Raises:
        InputError: the table cannot be read, has no arm of a name, weights do not sum to 0, or
            it has to be said what the values are.
    """
    meant = meaning(frame, metric, unit, better)
    _check(alpha, rope, method)
    arms = list(dict.fromkeys(frame["arm"].astype(str)))
    for name, weights in of.items():
        check_weights(weights, name)
        if stray := [arm for arm in weights if arm not in arms]:
            hint = f"arms of the table: {', '.join(arms) or 'none'}"
            raise InputError(f"no arm is called {stray[0]!r}", at=name, hint=hint)
    wanted = tuple(declared(name, weights) for name, weights in of.items())
    if not wanted:
        return Judgements()
    # No arm of the table is a baseline here: the first stands where one has to be named.
    asked = Declaration(
        alpha=alpha, rope_pp=rope, baseline=arms[0], contrasts=wanted, **meant.declared
    )
    samples = read_samples(meant.frame, asked)
    family = judge_family(wanted, samples, asked, complete=True, method=method, found={})
    return Judgements(told(family, samples, asked), unit=asked.unit)


def _check(alpha: object, rope: object, method: str) -> None:
    """Refuse words that a script got wrong, of which a command would say so.

    Raises:
        InputError: a size is no number, or no method is called so.
    """
    for name, value in (("alpha", alpha), ("rope", rope)):
        if value is not None and not isinstance(value, Real):
            raise InputError(f"{value!r} is no number", at=name, hint="give one like 0.05")
    if method not in get_args(Method):
        hint = f"known: {', '.join(get_args(Method))}"
        raise InputError(f"no method is called {method!r}", at="method", hint=hint)


def told(
    family: Sequence[Estimate], samples: Mapping[str, Sample], declaration: Declaration
) -> list[Estimate]:
    """The estimates, with a sentence where the contrast was declared one by one."""
    return [
        replace(each, sentence=contrast_sentence(each, samples, declaration))
        if (each.contrast.family, each.contrast.kind) == (CONTRASTS, "contrast")
        else each
        for each in family
    ]


def of_arms(family: Sequence[Estimate]) -> dict[str, Estimate]:
    """Arm -> the estimate that is its verdict: against the baseline, or another arm instead."""
    return {
        each.contrast.name: each
        for each in family
        if each.contrast.kind == "arm" and each.contrast.family in {ARMS, CONTRASTS}
    }


def others_of(declaration: Declaration) -> dict[str, str]:
    """Every declared arm but the baseline, and what it is compared with."""
    base, elsewhere = declaration.baseline, declaration.elsewhere
    arms = [arm for arm in declaration.planned if arm != base]
    return {arm: subtracted(elsewhere[arm]) if arm in elsewhere else base for arm in arms}


def subtracted(contrast: Contrast) -> str:
    """The arm with the lowest weight: of a difference of two arms, the second."""
    return min(contrast.weights, key=contrast.weights.__getitem__)


def against(arms: Sequence[str], declaration: Declaration) -> list[Contrast]:
    """Return the family of `arms`, each minus the baseline."""
    return [
        Contrast(
            name=arm,
            kind="arm",
            family=ARMS,
            weights={arm: 1.0, declaration.baseline: -1.0},
            metric=declaration.metric,
        )
        for arm in arms
    ]


def arm_verdicts(
    samples: Mapping[str, Sample],
    of_arm: Mapping[str, Estimate],
    families: Mapping[str, Sequence[Contrast]],
    declaration: Declaration,
) -> tuple[ArmVerdict, ...]:
    """Every arm but the baseline with its verdict.

    Args:
        samples: of every arm.
        of_arm: arm -> the estimate that is its verdict.
        families: family -> its contrasts.
        declaration: what was declared.
    """
    return tuple(
        arm_verdict(
            samples[name],
            found,
            samples[subtracted(found.contrast)],
            declaration,
            arms=len(families[found.contrast.family]),
        )
        for name, found in ((arm, of_arm[arm]) for arm in samples if arm in of_arm)
    )


def arm_verdict(
    sample: Sample, found: Estimate, baseline: Sample, declaration: Declaration, *, arms: int
) -> ArmVerdict:
    """Return an arm's seeds and its estimate under one name, with its sentence.

    Args:
        sample: the arm's seeds.
        found: its difference from the baseline.
        baseline: the seeds of what it was compared with.
        declaration: what was fixed before the first result.
        arms: how many comparisons share the error rate.
    """
    numbers = {f.name: getattr(found, f.name) for f in fields(Judged)}
    text = sentence(sample.tally, found, baseline.tally, declaration)
    low, high = _new_images(sample, found, baseline, declaration, arms)
    other = baseline.tally.name
    return ArmVerdict(
        **vars(sample.tally),
        **numbers,
        sentence=text,
        new_images_low=low,
        new_images_high=high,
        against=None if other == declaration.baseline else other,
    )


def _new_images(
    sample: Sample, found: Estimate, baseline: Sample, declaration: Declaration, arms: int
) -> tuple[float | None, float | None]:
    """The interval for other images, never narrower than the one for these."""
    images = declaration.test_images or 0
    answered = images > 0 and all(
        covers(each.correct.tolist(), images) for each in (sample, baseline)
    )
    if not answered or found.se is None or found.df is None or found.delta_pp is None:
        return None, None
    half = new_images(
        unpack(sample.correct.tolist(), images),
        unpack(baseline.correct.tolist(), images),
        found.se,
        found.df,
        comparisons=arms,
        alpha=declaration.alpha,
    )
    half = max(half, found.delta_pp - (found.ci_low or 0.0))
    return found.delta_pp - half, found.delta_pp + half
