"""From a table of results to the answers of a study: `verdicts`, and `effects` for one table."""

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from swinablate.stats.declaration import (
    ARMS,
    ArmVerdict,
    Declaration,
    Estimate,
    Judged,
    Verdicts,
    Warn,
)
from swinablate.stats.estimate import Contrast, Method
from swinablate.stats.images import covers, new_images, unpack
from swinablate.stats.judge import SHRUNKEN, judge_family
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
    families: dict[str, list[Contrast]] = {ARMS: against(arms, declaration)}
    for contrast in declaration.contrasts:
        families.setdefault(contrast.family, []).append(contrast)
    judged = [
        estimate
        for family in families.values()
        for estimate in judge_family(
            family, samples, declaration, complete=complete, method=method
        )
    ]
    found = [*cautions(samples, declaration), *warnings]
    how = judged[0].method if arms else SHRUNKEN
    return Verdicts(
        declaration=declaration,
        method=how,
        methods=methods(samples, declaration, how, len(arms)),
        baseline=base.tally,
        arms=tuple(
            arm_verdict(samples[name], estimate, base, declaration, arms=len(arms))
            for name, estimate in zip(arms, judged, strict=False)
        ),
        contrasts=tuple(judged),
        warnings=tuple(sorted(found, key=lambda warning: int(warning.code[1:]))),
    )


def effects(
    frame: "pd.DataFrame",
    baseline: str = "baseline",
    alpha: float = 0.05,
    rope: float | None = None,
    method: Method = "auto",
) -> list[ArmVerdict]:
    """Compare every arm of a table with its baseline.

    Args:
        frame: columns `arm`, `seed`, `value` (percent); optional `status` and `predictions`.
        baseline: the arm the others are compared with.
        alpha: error rate of all comparisons together.
        rope: the smallest difference that matters, percentage points; without it nothing is
            called equivalent.
        method: as in `estimate`; "auto" lets the covariances of the seeds decide, for each
            family, whether it is judged within seeds.

    Returns:
        The `arms` of verdicts.json, in the order of the table.

    Raises:
        InputError: the table cannot be read, or has no arm called `baseline`.
    """
    declaration = Declaration(alpha=alpha, rope_pp=rope, baseline=baseline)
    return list(verdicts(frame, declaration, complete=True, method=method).arms)


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


def arm_verdict(
    sample: Sample, found: Estimate, baseline: Sample, declaration: Declaration, *, arms: int
) -> ArmVerdict:
    """Return an arm's seeds and its estimate under one name, with its sentence.

    Args:
        sample: the arm's seeds.
        found: its difference from the baseline.
        baseline: the baseline's seeds.
        declaration: what was fixed before the first result.
        arms: how many comparisons share the error rate.
    """
    numbers = {f.name: getattr(found, f.name) for f in fields(Judged)}
    text = sentence(sample.tally, found, baseline.tally, declaration)
    low, high = _new_images(sample, found, baseline, declaration, arms)
    return ArmVerdict(
        **vars(sample.tally), **numbers, sentence=text, new_images_low=low, new_images_high=high
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
