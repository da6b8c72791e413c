"""Why the constants of `swinablate.stats.seeds.variances` are what they are.

`python -m tests.calibration.choices` simulates the alternatives and prints the table of
`benchmarks/results/calibration_choices.md`.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from unittest.mock import patch

import numpy as np

from swinablate.stats.critical import Floats
from swinablate.stats.seeds import variances
from tests.calibration.shapes import SHAPES, error, judged, power

SIMS = 4000


def pooled(var: Floats, free: Floats) -> Floats:
    """The target that stood here before: the mean variance by degrees of freedom."""
    return np.asarray((free * var).sum(-1) / free.sum())


def everything(var: Floats, free: Floats) -> Floats:
    """No estimate: as much evidence as the limits allow."""
    return np.full(var.shape[:-1], np.inf)


CHOICES: dict[str, Mapping[str, object]] = {
    "used": {},
    "target: mean variance": {"_target": pooled},
    "evidence not estimated": {"prior_evidence": everything},
    "mean variance, not estimated": {"_target": pooled, "prior_evidence": everything},
    "raised by at most 4": {"RAISED": 4.0},
    "raised by at most 16": {"RAISED": 16.0},
    "lowered by at most 2": {"LOWERED": 2.0},
    "lowered by at most 8": {"LOWERED": 8.0},
    "half of the evidence raises": {"RAISED_SHARE": 0.5},
    "all of the evidence raises": {"RAISED_SHARE": 1.0},
    "all of the evidence lowers": {"LOWERED_SHARE": 1.0},
    "no least variance": {"LEAST": 0.0},
    "least variance a third": {"LEAST": 1 / 3},
}
SIZES = ((2, 3), (2, 5), (2, 8), (4, 5), (8, 3), (8, 5), (8, 8), (8, 12))
NOISY = ("equal noise", "sd varies (tau .5)", "one arm x5", "half the arms x4")


def row(change: Mapping[str, object]) -> str:
    """The worst error at 3 seeds and from 5 on, with its shape, and power at m = 8, n = 5."""
    with ExitStack() as stack:
        for name, value in change.items():
            stack.enter_context(patch.object(variances, name, value))
        wrong = {}
        for shape in SHAPES:
            for m, n in SIZES:
                family = judged(shape, m, n, SIMS, "shrunken")
                wrong[n >= 5, error(family.half, family.delta), f"{shape}, m={m} n={n}"] = None
        found = [judged(shape, 8, 5, SIMS, "shrunken") for shape in NOISY]
    three, more = (max(key[1:] for key in wrong if key[0] == many) for many in (False, True))
    cells = [f"{worst:.3f} ({where})" for worst, where in (three, more)]
    return " | ".join([*cells, *(f"{power(f.half, f.delta):.3f}" for f in found)])


def report() -> Iterator[str]:
    """The table, in Markdown, line by line."""
    yield "# Why these constants\n"
    yield (
        "`python -m tests.calibration.choices`. Moderated variances with one constant changed at a "
        "time; the shapes and sizes of `calibration.md`, unpaired; power for half a point with "
        f"eight arms of five seeds. {SIMS:,} studies a cell (worst errors are maxima over "
        f"{len(SHAPES)} shapes, so that luck adds about .004), {time.strftime('%Y-%m-%d')}.\n"
    )
    yield (
        "| choice | worst error, n = 3 | worst error, n >= 5 | power: " + " | ".join(NOISY) + " |"
    )
    yield "|---|---|---|" + "---:|" * len(NOISY)
    for name, change in CHOICES.items():
        yield f"| {name} | {row(change)} |"


if __name__ == "__main__":
    for line in report():
        print(line, flush=True)
