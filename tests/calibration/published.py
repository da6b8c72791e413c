"""How often a study calls a published effect reproduced, and how often it errs.

`python -m tests.calibration.published` prints the table of docs/published.md.
"""

import numpy as np
from scipy import stats

from swinablate.stats.comparisons.published import OurEffect, PublishedEffect, agreement

FAMILY = 6
"""Arms of a study, as most of the shipped ones have; their intervals hold at once (Bonferroni)."""
DRAWS = 20_000
"""Studies a row: the Monte-Carlo error of a rate is .0035 at most, .0007 near .01."""
ROWS = [(n, sd, truth) for n, sd in [(5, 0.2), (8, 0.5)] for truth in (-1, 0, 0.25, 0.5, 1, 2, 4)]
"""Seeds of an arm (the baseline has twice as many), their sd and the true effect; the published
effect is 1."""
NAIVE = "published in interval"


def rates(
    truth: float, seeds: int, sd: float, *, noise: float = 0.0, draws: int = DRAWS
) -> dict[str, float]:
    """How often each answer is given.

    Args:
        truth: the effect, in units of the published one.
        seeds: of the arm; the baseline has twice as many.
        sd: over seeds, in the same unit.
        noise: sd of the published effect, of which nobody knows.
        draws: studies.

    Returns:
        A rate for every answer; for `NAIVE` that of "the interval excludes 0 and holds the
        published number".
    """
    chance = np.random.default_rng(17)
    arm, base = (chance.normal(m, sd, (draws, n)) for m, n in ((truth, seeds), (0, 2 * seeds)))
    parts = [x.var(axis=1, ddof=1) / x.shape[1] for x in (arm, base)]
    spread = sum(parts)
    terms = (p**2 / (x.shape[1] - 1) for p, x in zip(parts, (arm, base), strict=True))
    df = spread**2 / sum(terms)
    delta = arm.mean(axis=1) - base.mean(axis=1)
    half, inside = (stats.t.ppf(1 - a / FAMILY, df) * spread**0.5 for a in (0.025, 0.05))
    theirs = 1 + noise * chance.normal(size=draws)
    said = [
        agreement(
            PublishedEffect(effect=one, sign=1),
            OurEffect(low=d - h, high=d + h, inside_low=d - i, inside_high=d + i),
        ).answer
        for one, d, h, i in zip(theirs, delta, half, inside, strict=True)
    ]
    answers = ("reproduced", "sign only", "contradicted", "not resolved")
    held = (delta > half) & (np.abs(delta - theirs) <= half)
    return {answer: said.count(answer) / draws for answer in answers} | {NAIVE: float(held.mean())}


if __name__ == "__main__":
    for row in ROWS:
        n, sd, truth = row
        found = rates(truth, n, sd)
        print(f"| {n} | {sd:g} | {truth:g} | {' | '.join(f'{x:.3f}' for x in found.values())} |")
    for truth in (0.5, 1, 2):
        found = rates(truth, 8, 0.2, noise=0.14)
        print("noise .14", truth, {key: round(x, 3) for key, x in found.items()})
