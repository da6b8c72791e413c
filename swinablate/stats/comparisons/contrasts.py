"""Comparisons that a study declares beside those with the baseline: their weights, in words.

A declared contrast is a weighted sum of arm means whose weights sum to 0: one arm minus another,
or a difference of differences. Its scale is what its weights say. All of a study are one family.
"""

from collections.abc import Mapping
from numbers import Real

from swinablate.errors import InputError
from swinablate.stats.declaration import CONTRASTS, Declaration, Estimate
from swinablate.stats.estimate import Contrast
from swinablate.stats.sample import Sample
from swinablate.stats.sentence import (
    count_range,
    early,
    interval,
    margin,
    reach,
    shorter,
    shown,
    so_far,
)
from swinablate.text import counted, formula

ROUNDING = 1e-9
"""Of the largest weight: what thirds and sevenths written with ten digits leave of a sum of 0."""
LARGEST = 1000.0
"""Nobody writes a weight of an arm that is larger; sums of squares stay far from overflow."""


def declared(name: str, of: Mapping[str, float], metric: str = "test/accuracy") -> Contrast:
    """A contrast of the declared family.

    Args:
        name: how it is called.
        of: arm -> weight.
        metric: what is averaged.
    """
    weights = {arm: float(weight) for arm, weight in of.items()}
    return Contrast(name=name, kind="contrast", family=CONTRASTS, weights=weights, metric=metric)


def instead(arm: str, other: str, metric: str = "test/accuracy") -> Contrast:
    """An arm minus another one, in the place of its comparison with the baseline.

    It bears the arm's name, as every comparison of an arm does.
    """
    weights = {arm: 1.0, other: -1.0}
    return Contrast(name=arm, kind="arm", family=CONTRASTS, weights=weights, metric=metric)


def check_weights(of: Mapping[str, float], at: str = "") -> None:
    """Refuse weights that make no difference of arms.

    Args:
        of: arm -> weight.
        at: where they were written.

    Raises:
        InputError: they do not sum to 0, one is 0 or too large, or there are fewer than two.
    """
    for arm, weight in of.items():
        if not isinstance(weight, Real):
            hint = "write a number, like 1 or -1"
            raise InputError(f"{arm!r} has the weight {weight!r}", at=at, hint=hint)
        if not 0 < abs(weight) <= LARGEST:
            hint = "leave the arm out" if weight == 0 else f"write a number up to {LARGEST:g}"
            raise InputError(f"{arm!r} has the weight {weight:g}", at=at, hint=hint)
    total = sum(of.values())
    if len(of) < 2:
        raise InputError(
            f"{counted(len(of), 'arm')} cannot be compared with anything",
            at=at,
            hint='write { "ARM" = 1, "OTHER" = -1 }',
        )
    if abs(total) > ROUNDING * max(map(abs, of.values())):
        raise InputError(
            f"the weights {', '.join(f'{w:g}' for w in of.values())} sum to {total:g}",
            at=at,
            hint="weights of a difference sum to 0: 1 and -1, or 1, -1, -1 and 1; whole numbers "
            "do exactly",
        )


def contrast_sentence(
    found: Estimate, samples: Mapping[str, Sample], declaration: Declaration
) -> str:
    """Return one sentence that says what was found of a declared contrast, and how surely.

    Args:
        found: the contrast, judged.
        samples: the seeds of every arm.
        declaration: level and rope.
    """
    name, weights = found.contrast.name, found.contrast.weights
    mine = [samples[arm].tally for arm in weights]
    what = formula(weights)
    if found.verdict in {"not tested", "pending"} or found.reason:
        word = found.verdict
        known = so_far(mine[0], found, declaration)
        share = found.divergence if word == "fails to train" else None
        who = f"{share.arm} " if share else ""
        return f"{name} ({what}): {word}, because {who}{found.reason}{known}."
    given = " given convergence" if found.given_convergence else ""
    counts = [tally.n for tally in mine] if found.look is None else [found.look]
    seeds = f"{count_range(counts)} an arm"
    if found.pairs is not None:
        seeds = f"{counted(found.pairs, declaration.units.word)} in common"
    evidence = f"{shown(found, declaration)}, {interval(found, declaration)}; {what}, {seeds}"
    if found.verdict == "equivalent":
        near = f"{name}: equivalent to 0 within {margin(declaration)}{given}"
        return f"{near} ({evidence}{shorter(found, declaration)}).{early(found)}"
    if found.verdict == "undecided":
        return (
            f"{name}: undecided{given} ({evidence}); these seeds detect "
            f"{reach(found, declaration)}."
        )
    small = f", but by less than {margin(declaration)} (negligible)" if found.negligible else ""
    side = "above" if (found.delta_pp or 0.0) > 0 else "below"
    return f"{name}: {found.verdict}, {side} 0{given} ({evidence}){small}.{early(found)}"
