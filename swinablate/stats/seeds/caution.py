"""Warnings that the results themselves give rise to.

W1 few seeds; W2 unequal variances; W4 failed trials; W7 an outlying seed; W12 two arms that
answered the test set identically. The others need more than results: who calls `verdicts`
hands them over.
"""

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from swinablate.stats.declaration import Declaration, Warn
from swinablate.stats.estimate import FEW_SEEDS, TESTED
from swinablate.stats.sample import Sample, cells
from swinablate.stats.seeds.variances import UNEQUAL_P, bartlett
from swinablate.text import after_value, number, signed, two_digits


def cautions(samples: Mapping[str, Sample], declaration: Declaration) -> list[Warn]:
    """Return what a reader has to know before believing the numbers, by code."""
    return [
        *_few(samples, declaration.units.word),
        *_unequal(samples, declaration),
        *_failed(samples, declaration),
        *_outliers(samples, declaration),
        *_identical(samples, declaration.units.word),
    ]


def _few(samples: Mapping[str, Sample], unit: str) -> list[Warn]:
    few = [
        s.tally
        for s in samples.values()
        if s.tally.n < FEW_SEEDS and (not s.tally.waiting or s.tally.planned < FEW_SEEDS)
    ]
    if not few:
        return []
    who = ", ".join(f"{t.name} (n = {t.n})" for t in few)
    text = f"fewer than {FEW_SEEDS} {unit}s: {who}. The noise itself is poorly known there."
    return [Warn("W1", text)]


def _unequal(samples: Mapping[str, Sample], declaration: Declaration) -> list[Warn]:
    moments = cells(samples)
    tested = moments.pooled & (moments.n >= TESTED)
    if tested.sum() < 2:
        return []
    var = np.maximum(moments.var, declaration.floor_pp**2)[tested]
    p = float(bartlett(var, moments.n[tested]))
    if not p < UNEQUAL_P:
        return []
    names = [name for name, use in zip(samples, tested, strict=True) if use]
    low, high = int(var.argmin()), int(var.argmax())
    text = (
        f"the spread over {declaration.units.word}s differs: "
        f"sd {_sd(var[high], declaration)} in {names[high]}, "
        f"{_sd(var[low], declaration)} in {names[low]} (Bartlett p {_p(p)}, told below "
        f"{UNEQUAL_P:g})."
    )
    return [Warn("W2", text)]


def _p(p: float) -> str:
    """A p-value that may be too small for a number, and is none of 0."""
    return f"= {p:.2g}" if p > 0 else "< 1e-300"


def _sd(var: float, declaration: Declaration) -> str:
    sd = float(var) ** 0.5
    return f"{number(sd, declaration.places(sd) or two_digits(sd))}{declaration.suffix}"


def _failed(samples: Mapping[str, Sample], declaration: Declaration) -> list[Warn]:
    lost = [s.tally for s in samples.values() if s.tally.failed]
    if not lost:
        return []
    who = ", ".join(f"{t.failed} of {t.name}" for t in lost)
    before = "a retry" if declaration.declared else "they are run again"
    return [Warn("W4", f"failed trials: {who}. No verdict before {before}.")]


def _outliers(samples: Mapping[str, Sample], declaration: Declaration) -> list[Warn]:
    found = []
    for sample in samples.values():
        if not sample.outlying:
            continue
        tally, many = sample.tally, len(sample.outlying) > 1
        places, suffix = declaration.places(tally.sd), declaration.suffix
        unit = declaration.units.word
        seeds = ", ".join(
            f"{unit} {sample.seeds[at]} ({signed(gap, places)}{suffix})"
            for at, gap in sample.outlying.items()
        )
        level = after_value(declaration.unit)
        text = (
            f"{tally.name}: {len(sample.outlying)} of {tally.n} {unit}s "
            f"{'lie' if many else 'lies'} farther from the mean of its others than chance "
            f"explains: {seeds}. "
            f"{'They are' if many else 'It is'} shown and kept; mean "
            f"{tally.mean:.{places}f}{level}, median {np.median(sample.values):.{places}f}{level}."
        )
        found.append(Warn("W7", text))
    return found


def _identical(samples: Mapping[str, Sample], unit: str) -> list[Warn]:
    owners: defaultdict[tuple[object, str], list[str]] = defaultdict(list)
    for name, sample in samples.items():
        for seed, digest in zip(sample.seeds, sample.digests, strict=True):
            if digest:
                owners[seed, digest].append(name)
    shared: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for (seed, _), names in owners.items():
        if len(names) > 1:
            shared[tuple(names)].append(str(seed))
    return [
        Warn(
            "W12",
            f"{' and '.join(names)} gave identical test predictions at "
            f"{unit}{'s' * (len(seeds) > 1)} {', '.join(seeds)}: the change had no effect there.",
        )
        for names, seeds in shared.items()
    ]
