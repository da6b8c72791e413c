"""From a tidy table to the seeds of each arm: the only place that meets pandas."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from swinablate.errors import InputError
from swinablate.stats.critical import Floats
from swinablate.stats.declaration import Declaration, Tally
from swinablate.stats.estimate import Cells
from swinablate.stats.seeds.outliers import outliers
from swinablate.stats.seeds.shares import Share, shares
from swinablate.stats.seeds.units import ended, grouped

if TYPE_CHECKING:
    import pandas as pd

STATUSES = ("done", "failed", "diverged", "waiting")
"""None for a trial that was stopped early: its value is that of another training."""
WILSON_Z = 1.959963984540054
"""The normal quantile at 97.5 %, for an interval of 95 %."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The seeds of one arm.

    Attributes:
        tally: counts, mean, sd.
        seeds: of the results, as they stand in the table.
        values: their results, percent.
        digests: of their test predictions; "" where unknown.
        lost: seed -> "diverged" or "failed".
        outlying: place among the results -> points from the mean of the others, where that is
            beyond chance.
        again: another reading of seeds that count already, and tells other arms nothing new of
            the noise.
        correct: which test images each seed got right, packed; "" where unknown.
    """

    tally: Tally
    seeds: NDArray[Any]
    values: Floats
    digests: NDArray[Any]
    lost: Mapping[Any, str]
    correct: NDArray[Any]
    outlying: Mapping[int, float] = field(default_factory=dict)
    again: bool = False


def read_samples(frame: "pd.DataFrame", declaration: Declaration) -> dict[str, Sample]:
    """Sort a table into the seeds of each arm, the baseline first.

    Args:
        frame: columns `arm`, `seed`, `value` (percent); optional `status` (done, failed,
            diverged, waiting; done if left out), `predictions` (digest of the answers on the
            test set) and `correct` (base64 of the packed bits: which images were right). A
            done trial without a finite value counts as failed.
        declaration: names the baseline and the arms; arms without a row are kept.

    Raises:
        InputError: a column or the baseline is missing, an arm was not declared, a seed
            occurs twice in an arm, or a status is unknown.
    """
    columns = _columns(frame)
    names = _names(columns["arm"], declaration)
    arms = {name: i for i, name in enumerate(names)}
    at = np.array([arms[arm] for arm in columns["arm"]], dtype=int)
    order = np.argsort(at, kind="stable")
    bounds = np.searchsorted(at[order], np.arange(len(names) + 1))
    found = {}
    for name, low, high in zip(names, bounds[:-1], bounds[1:], strict=True):
        rows = {key: column[order[low:high]] for key, column in columns.items()}
        found[name] = _sample(name, rows, declaration.planned.get(name, high - low))
    if units := declaration.units.of:
        found = {name: over_units(sample, units) for name, sample in found.items()}
    return _with_outliers(found, declaration)


def over_units(sample: Sample, units: Mapping[int, int]) -> Sample:
    """The sample with a mean for every split of the data, in place of a value for every seed.

    A split of which some seeds diverged counts with the others: how many did is counted apart.

    Args:
        sample: of an arm.
        units: seed -> split.
    """
    means, digests = grouped(sample.seeds, sample.values, sample.digests, units)
    values = np.array([*means.values()], dtype=float)
    mean, sd = _moments(values)
    tally = replace(
        sample.tally,
        planned=len(set(units.values())),
        n=len(values),
        mean=mean,
        sd=sd,
        runs=sample.tally.n,
    )
    return replace(
        sample,
        tally=tally,
        seeds=np.array([*means], dtype=object),
        values=values,
        digests=np.array([*digests.values()], dtype=object),
        correct=np.full(len(values), "", dtype=object),  # of images no split has one answer
    )


def cells(samples: Mapping[str, Sample]) -> Cells:
    """The moments of all arms, in order.

    The spread of an arm that diverged speaks for nobody else's: what survives of an unstable
    training would widen every other interval.
    """
    tallies = [sample.tally for sample in samples.values()]
    again = np.array([sample.again for sample in samples.values()])
    sds = [np.nan if t.sd is None else t.sd for t in tallies]
    return Cells(
        mean=np.array([np.nan if t.mean is None else t.mean for t in tallies]),
        var=np.square(sds),
        n=np.array([t.n for t in tallies], dtype=float),
        declared=np.array([t.planned for t in tallies], dtype=float),
        pooled=np.array([t.n >= 2 and not t.diverged for t in tallies]) & ~again,
    )


def diverged_shares(samples: Mapping[str, Sample], declaration: Declaration) -> dict[str, Share]:
    """How often the arms diverged, against the baseline; only arms whom it concerns."""
    tallies = [s.tally for s in samples.values()]
    counts = {t.name: (t.diverged, ended(t) + t.diverged) for t in tallies}
    base = counts.pop(declaration.baseline)
    return shares(counts, base, declaration.alpha)


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    share, z2 = hits / trials, WILSON_Z**2
    middle = share + z2 / (2 * trials)
    half = WILSON_Z * (share * (1 - share) / trials + z2 / (4 * trials**2)) ** 0.5
    scale = 1 + z2 / trials
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def check_table(frame: "pd.DataFrame") -> None:
    """Refuse what is no table of results.

    Raises:
        InputError: it is none, lacks a column or has one twice, or a row has no arm or no seed.
    """
    if not hasattr(frame, "columns"):
        hint = "give a pandas.DataFrame with the columns arm, seed, value"
        raise InputError(f"a {type(frame).__name__} is no table", hint=hint)
    found = list(map(str, frame.columns))
    for name in ("arm", "seed", "value"):
        if name not in found:
            raise InputError(
                f"column {name!r} is missing; found {', '.join(found)}",
                hint="the columns are arm, seed, value (percent), and optionally status",
            )
        if found.count(name) > 1:
            raise InputError(f"column {name!r} stands there twice", hint="keep one of them")
    unnamed = frame["arm"].isna() | frame["seed"].isna()
    if unnamed.any():
        row = int(unnamed.to_numpy().argmax())
        raise InputError("a row has no arm or no seed", at=f"row {row}", hint="fill it in")


def values_of(frame: "pd.DataFrame") -> Floats:
    """The results, NaN where there is none.

    Raises:
        InputError: one is no number.
    """
    column = frame["value"]
    try:
        return column.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        text = next(str(one) for one in column if not _number(one))
        raise InputError(f"value = {text!r} is no number", hint="write numbers alone") from None


def _number(one: object) -> bool:
    try:
        float(one)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return one is None
    return True


def _columns(frame: "pd.DataFrame") -> dict[str, NDArray[Any]]:
    check_table(frame)
    values = values_of(frame)
    columns = {
        "arm": frame["arm"].astype(str).to_numpy(dtype=object),
        "seed": frame["seed"].to_numpy(dtype=object),
        "value": values,
        "status": _texts(frame, "status", "done"),
        "predictions": _texts(frame, "predictions", ""),
        "correct": _texts(frame, "correct", ""),
    }
    unknown = sorted(set(columns["status"].tolist()) - set(STATUSES))
    if unknown:
        raise InputError(
            f"status {unknown[0]!r} is none of {', '.join(STATUSES)}",
            hint="write one of them; a trial that was stopped early is no replicate",
        )
    # A result that is no number is a failure, never a gap in a mean.
    lost = (columns["status"] == "done") & ~np.isfinite(values)
    columns["status"] = np.where(lost, "failed", columns["status"])
    return columns


def _texts(frame: "pd.DataFrame", name: str, default: str) -> NDArray[Any]:
    if name not in frame.columns:
        return np.full(len(frame), default, dtype=object)
    column = frame[name].astype(object)
    return np.where(column.isna().to_numpy(), default, column.astype(str).to_numpy(dtype=object))


def _names(found: NDArray[Any], declaration: Declaration) -> list[str]:
    seen = list(dict.fromkeys(found.tolist()))
    base, planned = declaration.baseline, list(declaration.planned)
    if base not in planned and base not in seen:
        raise InputError(
            f"no arm is called {base!r}; found {', '.join(seen) or 'none'}",
            hint="name the arm that the others are compared with",
        )
    stray = [name for name in seen if name not in planned] if planned else []
    if stray:
        raise InputError(
            f"arm {stray[0]!r} has results but was not declared",
            hint="what was compared has to be declared before it is seen",
        )
    return [base, *(name for name in (planned or seen) if name != base)]


def _sample(name: str, rows: Mapping[str, NDArray[Any]], planned: int) -> Sample:
    seeds = rows["seed"].tolist()
    if len(set(seeds)) < len(seeds):
        twice = next(seed for seed in seeds if seeds.count(seed) > 1)
        raise InputError(
            f"arm {name!r} has seed {twice} more than once",
            hint="a repeated seed is the same trial, not a replicate: drop it",
        )
    done = rows["status"] == "done"
    values = rows["value"][done].astype(float)
    statuses = zip(seeds, rows["status"].tolist(), strict=True)
    lost = {seed: status for seed, status in statuses if status in {"diverged", "failed"}}
    n, diverged = len(values), list(lost.values()).count("diverged")
    low, high = wilson(diverged, n + diverged) if diverged else (None, None)
    mean, sd = _moments(values)
    tally = Tally(
        name=name,
        planned=int(planned),
        n=n,
        mean=mean,
        sd=sd,
        diverged=diverged,
        failed=len(lost) - diverged,
        waiting=max(0, int(planned) - n - len(lost)),
        divergence_low=low,
        divergence_high=high,
    )
    return Sample(
        tally=tally,
        seeds=rows["seed"][done],
        values=values,
        digests=rows["predictions"][done],
        lost=lost,
        correct=rows["correct"][done],
    )


def _with_outliers(samples: Mapping[str, Sample], declaration: Declaration) -> dict[str, Sample]:
    """The samples with the seeds that lie far from the others, and what that does to the mean."""
    every = list(samples.values())
    told = outliers(
        [np.asarray(sample.values) for sample in every],
        [sample.tally.n >= 2 and not sample.tally.diverged for sample in every],
        declaration.floor_pp,
    )
    bad = -1 if declaration.better == "higher" else 1
    found = {}
    for sample, outlying in zip(every, told, strict=True):
        tally, low = sample.tally, sum(gap * bad > 0 for gap in outlying.values())
        if low:
            tally = replace(tally, collapsed=low, median=float(np.median(sample.values)))
        found[tally.name] = replace(sample, tally=tally, outlying=outlying)
    return found


def _moments(values: Floats) -> tuple[float | None, float | None]:
    """Mean and sd; exactly 0 for equal values, where rounding would leave 1e-14."""
    if not len(values):
        return None, None
    same = bool((values == values[0]).all())
    mean = float(values[0] if same else values.mean())
    if len(values) < 2:
        return mean, None
    return mean, 0.0 if same else float(values.std(ddof=1))
