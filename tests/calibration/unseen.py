"""Shapes of noise that the constants of `stats/seeds/variances.py` have never seen.

Those constants were chosen by simulation on `shapes.py` and `studies.py`. None of the shapes here
is among these: other tails, skews, mixtures, spread that follows the mean, and pools of real runs
whose arms differ in spread. They were written once and judged once; nothing was tuned to them.
`python -m tests.calibration.unseen` prints their tables in `benchmarks/results/calibration.md`.

Shapes: s studies, k arms (the baseline first), n seeds.
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from swinablate.stats.planned.selftest import judge
from tests.calibration.plasmode import pools
from tests.calibration.shapes import EFFECT, SD, Draw, error, power, study

Shape = tuple[int, int, int]
ARMS, SEEDS = (1, 4, 12, 16), (5, 6, 10)
SIMS, AGAIN = 4000, 20_000
LIMIT = 0.07  # of the error from 5 seeds on, plus two Monte-Carlo standard errors
SPREAD = 0.4  # sd of log odds over seeds, where noise follows the mean
NODES = 60  # of a mean over normal noise: more change no digit


def laplace(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.laplace(0, SD / 2**0.5, shape)


def contaminated(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    wide = np.where(rng.random(shape) < 0.1, 5.0, 1.0)
    return np.asarray(SD * wide * rng.standard_normal(shape))


def gamma(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return SD * (2 - rng.gamma(2.0, 1.0, shape)) / 2**0.5


def opposed(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """The baseline's seeds tail off below, the arms' above: the skews of a difference add up."""
    values = SD * (rng.exponential(1.0, shape) - 1)
    values[:, 0] *= -1
    return values


def basins(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Every second arm ends in one of two places, at even odds."""
    side = np.where(rng.random(shape) < 0.5, 1.0, -1.0)
    side[:, ::2] = 0
    return SD * (side + rng.standard_normal(shape) / 2)


def slipping(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """In every second arm three seeds in ten end three sds lower."""
    off = -3.0 * ((rng.random(shape) < 0.3) - 0.3)
    off[:, ::2] = 0
    return SD * (off + rng.standard_normal(shape))


def decade(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    sd = SD * 10 ** rng.uniform(-0.5, 0.5, (*shape[:2], 1))
    return np.asarray(sd * rng.standard_normal(shape))


def thirds(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Every third arm is two and a half times as noisy, all with tails of 4 degrees."""
    factor = np.where(np.arange(shape[1]) % 3 == 1, 2.5, 1.0)
    return SD * factor[:, None] * rng.standard_t(4, shape) / 2**0.5


def two_odd(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    sd = np.full(shape[1], SD)
    sd[0], sd[-1] = SD / 2, 4 * SD
    return sd[:, None] * rng.standard_normal(shape)


def _levels(k: int) -> np.ndarray:
    """Mean accuracies: a baseline at 97 %, arms from 80 to 99.5 %, one after the other."""
    return np.array([0.97, *np.linspace(0.8, 0.995, k - 1)])


def by_level(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Normal log odds: more noise and less skew the lower the mean, which is then taken off."""
    at = logit(_levels(shape[1]))[:, None]
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    mean = expit(at + SPREAD * nodes) @ weights / weights.sum()
    return np.asarray(100 * (expit(at + SPREAD * rng.standard_normal(shape)) - mean[:, None]))


def counted(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Binomial noise of 500 images alone, at means as above."""
    right = _levels(shape[1])[:, None]
    return np.asarray(100 * (rng.binomial(500, right, shape) / 500 - right))


def _pool(index: int) -> np.ndarray:
    """A pool of real runs, scaled to the sd of the other shapes."""
    pool = pools()[index]
    return np.asarray(pool * (SD / pool.std()))


def pooled(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """The ViT's runs, each arm's spread its own, log-normal, in every study."""
    values = rng.choice(_pool(0), shape)
    return np.asarray(values * np.exp(0.6 * rng.standard_normal((*shape[:2], 1))))


def mixed_pools(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Arms by turns of the ResNet's runs and of the ViT's, these three times as spread."""
    values = rng.choice(_pool(1), shape)
    values[:, 1::2] = 3 * rng.choice(_pool(0), values[:, 1::2].shape)
    return values


def wide_pool(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """As trained: a baseline of the ViT's runs, arms of the ResNet's, seven times as narrow."""
    values = rng.choice(_pool(1), shape)
    first, other = pools()
    values[:, 0] = rng.choice(_pool(0), values[:, 0].shape) * (first.std() / other.std())
    return values


SHAPES: dict[str, Draw] = {
    "Laplace": laplace,
    "a tenth of seeds x5": contaminated,
    "skewed to the left (gamma, 2)": gamma,
    "opposite skews (exponential)": opposed,
    "two basins, every second arm": basins,
    "30 % of seeds -3 sd, every second arm": slipping,
    "sd over a decade (log-uniform)": decade,
    "every third arm x2.5, t (4)": thirds,
    "baseline x0.5, one arm x4": two_odd,
    "log odds, means 80 to 99.5 %": by_level,
    "500 images, means 80 to 99.5 %": counted,
    "ViT's runs, sd varies (tau .6)": pooled,
    "ResNet's and ViT's runs x3 by turns": mixed_pools,
    "ViT's runs, then ResNet's as trained": wide_pool,
}
IMAGES = {"500 images, means 80 to 99.5 %": 500}
"""Of the test set, where the noise comes from it."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Rates of the rule and of Welch's t with Bonferroni's level on the same studies.

    Attributes:
        error: some arm is called although nothing differs.
        power: an arm with the effect is called: half a point, or, of shapes whose noise is not
            about .3, as many of their root mean square sds.
        welch_error, welch_power: the same of the other method.
    """

    error: float
    power: float
    welch_error: float
    welch_power: float


def rates(shape: str, m: int, n: int, sims: int = SIMS, seed: int = 7) -> Cell:
    """Judge studies of one shape and size."""
    rng = np.random.default_rng([seed, m, n, list(SHAPES).index(shape)])
    values = SHAPES[shape](rng, (sims, m + 1, 2 * n))
    effect = EFFECT / SD * float(np.sqrt((values[:, 1:] ** 2).mean()))
    floor = 100 / IMAGES[shape] / 12**0.5 if shape in IMAGES else 0.0
    found = []
    for method in ("auto", "welch-holm"):
        family, _ = judge(study(m, n), values, method, floor=floor)
        found += [error(family.half, family.delta), power(family.half, family.delta, effect)]
    return Cell(error=found[0], power=found[1], welch_error=found[2], welch_power=found[3])


def limit(sims: int) -> float:
    """What an error may come to, if it is at most `LIMIT`."""
    return float(LIMIT + 2 * (LIMIT * (1 - LIMIT) / sims) ** 0.5)


def report(sims: int, workers: int) -> Iterator[str]:
    """The tables, in Markdown, line by line."""
    sizes = [(m, n) for m in ARMS for n in SEEDS]
    with ProcessPoolExecutor(workers) as pool:
        parts = {
            (shape, m, n): pool.submit(rates, shape, m, n, sims)
            for shape in SHAPES
            for m, n in sizes
        }
        for title, fields in (
            ("Family-wise error (Welch's)", ("error", "welch_error")),
            ("Power for 1.67 sds (Welch's)", ("power", "welch_power")),
        ):
            yield f"\n{title}\n"
            yield "| shape | " + " | ".join(f"m={m} n={n}" for m, n in sizes) + " |"
            yield "|---|" + "---:|" * len(sizes)
            for shape in SHAPES:
                found = [parts[shape, m, n].result() for m, n in sizes]
                pairs = [[getattr(cell, name) for name in fields] for cell in found]
                cells = [
                    f"**{now:.3f}** ({then:.3f})"
                    if fields[0] == "error" and now > LIMIT
                    else f"{now:.3f} ({then:.3f})"
                    for now, then in pairs
                ]
                yield f"| {shape} | " + " | ".join(cells) + " |"
        above = [cell for cell, part in parts.items() if part.result().error > limit(sims)]
        again = {cell: pool.submit(rates, *cell, AGAIN, 8) for cell in above}
        yield f"\nThe cells above {limit(sims):.3f} once more, {AGAIN:,} other studies each\n"
        yield "| shape | m | n | error | Welch's |"
        yield "|---|---:|---:|---:|---:|"
        for (shape, m, n), part in again.items():
            found = part.result()
            yield f"| {shape} | {m} | {n} | {found.error:.4f} | {found.welch_error:.4f} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sims", type=int, default=SIMS)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    for line in report(options.sims, options.workers):
        print(line, flush=True)
