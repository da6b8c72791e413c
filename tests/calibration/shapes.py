"""Noise of many shapes, without any effect: what may make a verdict wrong.

The arms' noise is unequal, skewed, heavy-tailed, discrete, or now and then a seed collapses; the
means are equal. Eighteen shapes are those of a hostile audit of this program; "as on digits" and
"one arm x3" are ours. `python -m tests.calibration.gate` prints their tables.

Shapes: s studies, k arms (the baseline first), n seeds.
"""

from collections.abc import Callable

import numpy as np

from swinablate.stats.estimate import Estimates, Method
from swinablate.stats.planned.selftest import Scenario, judge

SD = 0.3
EFFECT = -0.5  # points, of which power is told
Draw = Callable[[np.random.Generator, tuple[int, int, int]], np.ndarray]


def scaled(*pick: tuple[slice | int, float]) -> Draw:
    """Normal noise, of which some arms have a multiple."""

    def draw(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
        sd = np.full(shape[1], SD)
        for arms, factor in pick:
            sd[arms] *= factor
        return sd[:, None] * rng.standard_normal(shape)

    return draw


def varied(tau: float) -> Draw:
    """Normal noise whose log sd varies from arm to arm, anew in every study."""

    def draw(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
        sd = SD * np.exp(tau * rng.standard_normal((*shape[:2], 1)))
        return sd * rng.standard_normal(shape)

    return draw


def collapsing(share: float, points: float, *, baseline: bool = True) -> Draw:
    """A share of the seeds loses points; the means are equal all the same."""

    def draw(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
        off = points * ((rng.random(shape) < share) - share)
        if not baseline:
            off[:, 0] = 0
        return SD * rng.standard_normal(shape) + off

    return draw


def half_noisy(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    return scaled((slice(1, 1 + (shape[1] - 1) // 2), 4.0))(rng, shape)


def digits(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    sd = np.array([0.7, *np.geomspace(0.15, 3.16, shape[1] - 1)])
    return sd[:, None] * rng.standard_normal(shape)


def few_images(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    right = np.clip(0.93 + 0.003 * rng.standard_normal(shape), 0, 1)
    return rng.binomial(100, right).astype(float)


SHAPES: dict[str, Draw] = {
    "equal noise": scaled(),
    "heavy tails (t, 2.5)": lambda rng, shape: SD * rng.standard_t(2.5, shape),
    "skewed to the left (lognormal)": lambda rng, shape: (
        SD * (np.exp(0.5) - np.exp(rng.standard_normal(shape)))
    ),
    "5 % of seeds -15": collapsing(0.05, -15.0),
    "20 % of seeds -15": collapsing(0.2, -15.0),
    "20 % of seeds -1, not the baseline's": collapsing(0.2, -1.0, baseline=False),
    "one arm x5": scaled((1, 5.0)),
    "one arm x3": scaled((1, 3.0)),
    "baseline x3": scaled((0, 3.0)),
    "baseline x0.3": scaled((0, 0.3)),
    "half the arms x4": half_noisy,
    "sd varies (tau .5)": varied(0.5),
    "sd varies (tau 1)": varied(1.0),
    "as on digits": digits,
    "100 images, 93 %": few_images,
    "1,000 images, 99.5 %": lambda rng, shape: rng.binomial(1000, 0.995, shape) / 10,
    "10,000 images, .6 errors": lambda rng, shape: 100 - rng.poisson(0.6, shape) / 100,
    "two arms without noise": scaled((slice(1, 3), 0.0)),
}
IMAGES = {
    "100 images, 93 %": 100,
    "1,000 images, 99.5 %": 1000,
    "10,000 images, .6 errors": 10_000,
    "two arms without noise": 10_000,
}
"""Of the test set, where it matters: no sd is believed to be below one image / sqrt(12)."""


def floor(shape: str) -> float:
    """The smallest believable sd over seeds, in points."""
    return 100 / IMAGES[shape] / 12**0.5 if shape in IMAGES else 0.0


def study(m: int, n: int, ratio: float = 2.0) -> Scenario:
    """m arms of n seeds; the baseline has `ratio` times as many."""
    ones = [SD] * (m + 1)
    return Scenario(n=[round(ratio * n)] + [n] * m, sd=ones, correlation=[0.0] * (m + 1))


def draw(shape: str, m: int, n: int, sims: int, seed: int = 0) -> np.ndarray:
    """Results of studies without an effect, the baseline with twice the seeds: (s, k, 2n)."""
    rng = np.random.default_rng([seed, m, n, list(SHAPES).index(shape)])
    return SHAPES[shape](rng, (sims, m + 1, 2 * n))


def judged(shape: str, m: int, n: int, sims: int, method: Method = "auto") -> Estimates:
    """What the program says of such studies."""
    values = draw(shape, m, n, sims)
    return judge(study(m, n), values, method, floor=floor(shape))[0]


def error(half: np.ndarray, delta: np.ndarray) -> float:
    """How often some arm is called better or worse."""
    return float((np.abs(delta) > half).any(axis=1).mean())


def power(half: np.ndarray, delta: np.ndarray, effect: float = EFFECT) -> float:
    """How often an arm with the effect is called, on average over arms."""
    return float((np.abs(delta + effect) > half).mean())
