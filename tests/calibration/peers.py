"""What others would say of the same studies, and what this program said before.

`before` is the rule that stood here until November 2026: arithmetically pooled variances with
fixed prior degrees of freedom, and Welch's t for the whole family where the largest sd was three
times the smallest or Bartlett's p lay below .001.

Shapes: s studies, m comparisons; every function gives whether a comparison is called (s, m).
"""

import numpy as np
from scipy import stats

from swinablate.stats.critical import bonferroni, many_to_one, shared_part
from swinablate.stats.planned.selftest import Scenario, judge
from swinablate.stats.seeds.variances import bartlett, prior_seeds

ALPHA = 0.05
RESAMPLED = 400  # draws of a bootstrap; more change its error by less than a point


def split(values: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The baseline's seeds (s, 2n), and the arms' (s, m, n)."""
    return values[:, 0], values[:, 1:, :n]


def before(values: np.ndarray, n: int, floor: float = 0.0) -> np.ndarray:
    """The rule that stood here before."""
    base, arms = split(values, n)
    m = arms.shape[1]
    seeds = np.array([base.shape[1]] + [n] * m, dtype=float)
    var = np.column_stack([base.var(-1, ddof=1), arms.var(-1, ddof=1)])
    var, f = np.maximum(var, floor**2), seeds - 1
    gap = arms.mean(-1) - base.mean(-1)[:, None]
    prior = prior_seeds(m)
    pool = (f * var).sum(1, keepdims=True) / f.sum()
    shrunken = _half((prior * pool + f * var) / (prior + f), prior + f, seeds)
    loadings = shared_part([n] * m, base.shape[1])
    half = many_to_one(loadings, np.minimum(shrunken[1], f.sum()), ALPHA) * shrunken[0]
    if n >= 5:
        sd = np.sqrt(np.maximum(var, np.finfo(float).tiny))
        gate = (sd.max(1) > 3 * sd.min(1)) | (bartlett(var, seeds) < 0.001)
        se, df = _half(var, np.broadcast_to(f, var.shape), seeds)
        half = np.where(gate[:, None], bonferroni(m, df, ALPHA) * se, half)
    return np.abs(gap) > half


def dunnett(values: np.ndarray, n: int) -> np.ndarray:
    """Dunnett's test with one variance; `tests/stats` shows that it is scipy.stats.dunnett."""
    m = values.shape[1] - 1
    scenario = Scenario(
        n=[values.shape[2]] + [n] * m, sd=[1.0] * (m + 1), correlation=[0.0] * (m + 1)
    )
    family, _ = judge(scenario, values, "dunnett")
    return np.abs(family.delta) > family.half


def welch_holm(values: np.ndarray, n: int) -> np.ndarray:
    """scipy's Welch tests, corrected by Holm's method."""
    p = _welch(values, n)
    order = np.argsort(p, axis=1)
    factor = p.shape[1] - np.arange(p.shape[1])
    stepped = np.maximum.accumulate(factor * np.take_along_axis(p, order, 1), axis=1)
    called = np.zeros(p.shape, dtype=bool)
    np.put_along_axis(called, order, stepped <= ALPHA, axis=1)
    return called


def welch(values: np.ndarray, n: int) -> np.ndarray:
    """scipy's Welch tests, not corrected: the usual paper."""
    return _welch(values, n) <= ALPHA


def bootstrap(values: np.ndarray, n: int) -> np.ndarray:
    """Percentile intervals of resampled differences, corrected by Bonferroni's method."""
    base, arms = split(values, n)
    m = arms.shape[1]
    rng = np.random.default_rng(0)
    level = [ALPHA / 2 / m, 1 - ALPHA / 2 / m]
    called = np.zeros(arms.shape[:2], dtype=bool)
    for i, (one, many) in enumerate(zip(base, arms, strict=True)):
        mean = one[rng.integers(0, len(one), (RESAMPLED, len(one)))].mean(1)
        pick = rng.integers(0, n, (RESAMPLED, m, n))
        gap = np.take_along_axis(many[None], pick, 2).mean(2) - mean[:, None]
        low, high = np.quantile(gap, level, axis=0)
        called[i] = (low > 0) | (high < 0)
    return called


PEERS = {
    "scipy.stats.dunnett": dunnett,
    "scipy Welch + Holm": welch_holm,
    "scipy Welch, uncorrected": welch,
    "percentile bootstrap, Bonferroni": bootstrap,
}


def _welch(values: np.ndarray, n: int) -> np.ndarray:
    base, arms = split(values, n)
    with np.errstate(divide="ignore", invalid="ignore"):  # arms without noise
        found = stats.ttest_ind(arms, base[:, None], axis=2, equal_var=False).pvalue
    return np.asarray(np.nan_to_num(found, nan=1.0))


def _half(v: np.ndarray, f: np.ndarray, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard errors of arms minus baseline and Satterthwaite's degrees of freedom."""
    part = v / seeds
    square = part[:, 1:] + part[:, :1]
    bend = part[:, 1:] ** 2 / f[..., 1:] + part[:, :1] ** 2 / f[..., :1]
    df = np.where(bend > 0, square**2 / np.where(bend > 0, bend, 1), 1.0)
    return np.where(square > 0, np.sqrt(square), np.inf), df
