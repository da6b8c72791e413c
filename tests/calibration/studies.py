"""Known truths of many shapes, for fixed numbers of seeds and for adaptive ones.

`python -m tests.calibration.studies` simulates all of them and prints the tables of
`benchmarks/results/calibration.md`.
"""

import argparse
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy

from swinablate.stats.estimate import Estimates, Method
from swinablate.stats.planned.selftest import Scenario
from swinablate.stats.planned.selftest import judge as judged
from swinablate.stats.sequential.course import course
from swinablate.stats.sequential.states import Rule, Run

LOOKS = (3, 5, 8, 12, 16)
DIGITS = (0.7, 0.15, 0.3, 0.5, 0.8, 1.2, 3.16)
TYPICAL = (0.0, 0.0, 0.0, 0.1, -0.2, -0.4, -0.6, -1.0, -2.0)
BIG = (0.0, 0.0, -0.3, -0.6, -0.8, -1.0, -1.5, -2.0, -3.0)


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A study of which everything is known; the baseline first.

    Attributes:
        name: in words.
        sd: over seeds, points.
        delta: true means, points.
        rope: smallest difference that matters.
        tau: sd of log sd: how the arms' noise varies from study to study.
        rho: each arm's correlation with what all arms share at a seed.
        shape: of the noise.
    """

    name: str
    sd: Sequence[float]
    delta: Sequence[float]
    rope: float = 0.4
    tau: float = 0.0
    rho: Sequence[float] = field(default_factory=tuple)
    shape: str = "normal"


def null(name: str, sd: Sequence[float], **more: object) -> Truth:
    """A study in which nothing matters."""
    return Truth(name=name, sd=sd, delta=[0.0] * len(sd), **more)


EVEN = (0.3,) * 9
TRUTHS = (
    null("nothing matters, equal noise", EVEN),
    null("nothing matters, noise varies (tau .25)", EVEN, tau=0.25),
    null("nothing matters, noise varies a lot (tau .5)", EVEN, tau=0.5),
    null("nothing matters, one arm 3 times as noisy", (*EVEN[:-1], 0.9)),
    null("nothing matters, baseline 3 times as noisy", (0.9, *EVEN[:-1])),
    null("nothing matters, noise as on digits", DIGITS),
    null("nothing matters, skewed to the left (-1)", EVEN, shape="skew"),
    null("nothing matters, 5 % bad seeds, 4 sd low", EVEN, shape="bad seeds"),
    null("nothing matters, heavy tails (t3)", EVEN, shape="t3"),
    null("nothing matters, seeds correlate .3", EVEN, rho=[0.3] * 9),
    null("nothing matters, seeds correlate .6", EVEN, rho=[0.6] * 9),
    null("nothing matters, half correlate .7", EVEN, rho=[0.7] * 5 + [0.0] * 4),
    null("one arm, nothing matters", EVEN[:2]),
    null("one arm, 3 times as noisy", (0.3, 0.9)),
    null("three arms, nothing matters", EVEN[:4]),
    null("three arms, one 3 times as noisy", (0.3, 0.3, 0.3, 0.9)),
    null("three arms, seeds correlate .6", EVEN[:4], rho=[0.6] * 4),
    Truth(name="typical, sd .15", sd=[0.15] * 9, delta=TYPICAL, rope=0.2, tau=0.25),
    Truth(name="typical, sd .3", sd=EVEN, delta=TYPICAL, tau=0.25),
    Truth(name="typical, seeds correlate .6", sd=EVEN, delta=TYPICAL, tau=0.25, rho=[0.6] * 9),
    Truth(name="big effects", sd=EVEN, delta=BIG, tau=0.25),
    Truth(
        name="effects and noise as on digits",
        sd=DIGITS,
        delta=(0.0, 0.3, -0.5, 0.0, -2.0, 0.0, -8.0),
        rope=0.5,
    ),
)


def draw(truth: Truth, most: int, sims: int, seed: int) -> np.ndarray:
    """Results of `sims` studies: (sims, arms, most)."""
    rng = np.random.default_rng(seed)
    k = len(truth.sd)
    shape = (sims, k, most)
    noise = {
        "normal": lambda: rng.standard_normal(shape),
        "skew": lambda: 2 - rng.gamma(4, 0.5, shape),
        "bad seeds": lambda: rng.standard_normal(shape) - 4 * (rng.random(shape) < 0.05),
        "t3": lambda: rng.standard_t(3, shape) / 3**0.5,
    }[truth.shape]()
    rho = np.array(truth.rho or [0.0] * k)[:, None]
    noise = np.sqrt(rho) * rng.standard_normal((sims, 1, most)) + np.sqrt(1 - rho) * noise
    sd = np.array(truth.sd) * np.exp(truth.tau * rng.standard_normal((sims, k)))
    # A shared shift (5 % bad seeds lower every mean alike) cancels in differences.
    return np.array(truth.delta)[:, None] + sd[:, :, None] * noise


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Shares of simulated studies, or of arms.

    Attributes:
        error: an arm without an effect is called better or worse.
        missed: an interval misses the truth.
        power: of the arms with an effect, called better or worse.
        false_equal: an arm whose effect matters is called equivalent.
        equal: of the arms whose effect does not matter, called equivalent.
        trials: mean number, the baseline's included.
        paired: the family was judged within seeds.
    """

    error: float
    missed: float
    power: float
    false_equal: float
    equal: float
    trials: float
    paired: float


def judge(
    truth: Truth,
    n: int,
    sims: int,
    *,
    method: Method = "auto",
    seed: int = 0,
    values: np.ndarray | None = None,
    floor: float = 0.0,
) -> tuple[Estimates, np.ndarray]:
    """Arms of n seeds, the baseline of 2n, judged once; `values` are drawn if not given.

    The second is which studies were judged within seeds.
    """
    if values is None:
        values = draw(truth, 2 * n, sims, seed)
    k = len(truth.sd)
    scenario = Scenario(n=[2 * n] + [n] * (k - 1), sd=truth.sd, correlation=[0.0] * k)
    return judged(scenario, values, method, floor=floor)


def fixed(truth: Truth, n: int, sims: int, *, method: Method = "auto", seed: int = 0) -> Rates:
    """Arms of n seeds, the baseline of 2n, judged once."""
    family, paired = judge(truth, n, sims, method=method, seed=seed)
    low, high = family.delta - family.half, family.delta + family.half
    near = np.abs(family.delta) + family.half_equivalence < truth.rope
    word = np.where(low > 0, 1, np.where(high < 0, -1, np.where(near, 2, 0)))
    trials = np.full(sims, n * (len(truth.sd) + 1))
    return _rates(truth, word, (low, high), trials, paired)


def adaptive(truth: Truth, sims: int, *, method: Method = "auto", seed: int = 0) -> Rates:
    """Looks until every arm is decided, gate and pairing included."""
    values = draw(truth, 2 * LOOKS[-1], sims, seed)
    rule = Rule(looks=LOOKS, alpha=0.05, rope=truth.rope, floor=0.0, method=method)
    codes = {"better": 1, "worse": -1, "equivalent": 2, "undecided": 0}
    words, lows, highs, trials, pairs = [], [], [], [], []
    for study in values:
        runs = {str(j): Run(values=study[j]) for j in range(len(study))}
        end = course(runs, rule)
        words.append([codes[state.word] for state in end.states.values()])
        lows.append([state.low for state in end.states.values()])
        highs.append([state.high for state in end.states.values()])
        trials.append(sum(end.wanted.values()))
        pairs.append(bool(end.paired["arms"]))
    interval = (np.array(lows), np.array(highs))
    return _rates(truth, np.array(words), interval, np.array(trials), np.array(pairs))


def _rates(
    truth: Truth,
    word: np.ndarray,
    interval: tuple[np.ndarray, np.ndarray],
    trials: np.ndarray,
    paired: np.ndarray,
) -> Rates:
    true = np.array(truth.delta[1:]) - truth.delta[0]
    called = np.abs(word) == 1
    matters, small = np.abs(true) >= truth.rope, np.abs(true) < truth.rope
    low, high = interval
    return Rates(
        error=float(called[:, true == 0].any(axis=1).mean()),
        missed=float(((low > true) | (high < true)).any(axis=1).mean()),
        power=float(called[:, true != 0].mean()) if (true != 0).any() else 0.0,
        false_equal=float((word == 2)[:, matters].any(axis=1).mean()),
        equal=float((word == 2)[:, small].mean()),
        trials=float(trials.mean()),
        paired=float(paired.mean()),
    )


def report(sims: int) -> Iterator[str]:
    """The tables, in Markdown, line by line."""
    cpu = platform.processor() or platform.machine()
    yield (
        f"{sims:,} simulated studies a row, {time.strftime('%Y-%m-%d')}, Python "
        f"{platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, {cpu}."
    )
    head = "error | missed | power | false equal | equal | trials | paired |"
    for title, judge in (
        ("3 seeds an arm, 6 of the baseline", lambda truth: fixed(truth, 3, sims)),
        ("5 seeds an arm, 10 of the baseline", lambda truth: fixed(truth, 5, sims)),
        ("8 seeds an arm, 16 of the baseline", lambda truth: fixed(truth, 8, sims)),
        ("Adaptive, looks at 3, 5, 8, 12, 16 seeds", lambda truth: adaptive(truth, sims)),
        (
            "Adaptive, never within seeds",
            lambda truth: adaptive(truth, sims, method="shrunken"),
        ),
    ):
        yield f"\n### {title}\n"
        yield f"| truth | {head}"
        yield "|---|" + "---:|" * 7
        for truth in TRUTHS:
            rates = judge(truth)
            shares = [rates.error, rates.missed, rates.power, rates.false_equal, rates.equal]
            cells = [f"{share:.3f}" for share in shares]
            cells += [f"{rates.trials:.0f}", f"{rates.paired:.2f}"]
            yield f"| {truth.name} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sims", type=int, default=4000)
    for line in report(parser.parse_args().sims):
        print(line, flush=True)
