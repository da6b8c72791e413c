"""Studies whose seeds go up and down together: what deciding to pair does to error and power.

The noise of every arm is shared in part; whether a family is judged within seeds is decided from
the same data that are judged, so that both are simulated together.
"""

from dataclasses import dataclass

import numpy as np

from swinablate.stats.planned.selftest import Scenario, judge
from tests.calibration.shapes import EFFECT, SD, error, power

RHOS = ("0", "0.3", "0.6", "half 0.7")
"""Correlation of two arms at one seed; "half 0.7": the baseline and half the arms, the rest 0."""
NOISES = ("equal", "sd varies (tau .5)", "one arm x5", "baseline x3", "baseline x0.3")


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Shares of simulated studies.

    Attributes:
        error: some arm is called better or worse.
        power: an arm with an effect of half a point is called.
        apart_error: as `error`, never within seeds.
        apart_power: as `power`, never within seeds.
        paired: judged within seeds.
    """

    error: float
    power: float
    apart_error: float
    apart_power: float
    paired: float


def draw(rho: str, noise: str, m: int, n: int, sims: int) -> np.ndarray:
    """Results of studies without an effect, the baseline with twice the seeds: (s, k, 2n)."""
    rng = np.random.default_rng([0, m, n, RHOS.index(rho), NOISES.index(noise)])
    k = m + 1
    half = np.arange(k) <= m // 2
    shared = (np.where(half, 0.7, 0.0) if rho.startswith("half") else np.full(k, float(rho)))[
        :, None
    ]
    values = np.sqrt(shared) * rng.standard_normal((sims, 1, 2 * n))
    values = values + np.sqrt(1 - shared) * rng.standard_normal((sims, k, 2 * n))
    sd = np.full((sims, k), SD)
    if noise.startswith("sd varies"):
        sd = sd * np.exp(0.5 * rng.standard_normal((sims, k)))
    elif noise != "equal":
        arm, factor = noise.split(" x")
        sd[:, 0 if arm == "baseline" else -1] *= float(factor)
    return np.asarray(sd[:, :, None] * values)


def rates(rho: str, noise: str, m: int, n: int, sims: int) -> Paired:
    """How such studies fare, judged as they are by default and never within seeds."""
    values = draw(rho, noise, m, n, sims)
    scenario = Scenario(n=[2 * n] + [n] * m, sd=[SD] * (m + 1), correlation=[0.0] * (m + 1))
    auto, paired = judge(scenario, values, "auto")
    apart, _ = judge(scenario, values, "shrunken")
    return Paired(
        error=error(auto.half, auto.delta),
        power=power(auto.half, auto.delta, EFFECT),
        apart_error=error(apart.half, apart.delta),
        apart_power=power(apart.half, apart.delta, EFFECT),
        paired=float(paired.mean()),
    )
