"""What adaptive seeds save: trials against a fixed number of seeds with the same power.

`python -m tests.calibration.savings` prints `benchmarks/results/adaptive.md`. Simulated studies
come from `studies`; real ones are drawn, with replacement, from `benchmarks/results/
digits_bank.csv`: test accuracies of the quick start's seven recipes, 32 seeds an arm and 48 of the
baseline. The bank then is the truth, and an arm drawn from the baseline's own seeds is an A/A arm.
"""

import platform
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from swinablate.stats.sequential.course import course
from swinablate.stats.sequential.states import Rule, Run
from tests.calibration.studies import LOOKS, TRUTHS, Truth, draw, judge

BANK = Path(__file__).parents[2] / "benchmarks" / "results" / "digits_bank.csv"
IMAGES = 540  # of the digits' test set
MOST = 20  # seeds of an arm that a fixed design may have
ALIKE = "again (A/A)"
CODES = {"better": 1, "worse": -1, "equivalent": 2, "undecided": 0}


@dataclass(frozen=True, kw_only=True)
class Result:
    """Of many studies.

    Attributes:
        trials: mean number, the baseline's included.
        power: of the arms with an effect, called better or worse.
        equal: of the arms whose effect does not matter, called equivalent.
        error: studies in which an arm without effect is called better or worse, or one with an
            effect the other way round.
    """

    trials: float
    power: float
    equal: float
    error: float


def bank(sims: int, seed: int = 0) -> tuple[Truth, np.ndarray]:
    """Studies of real runs: the truth, and results (sims, arms, 2 * MOST)."""
    table = pd.read_csv(BANK)
    runs = {str(arm): rows.value.to_numpy() for arm, rows in table.groupby("arm", sort=False)}
    runs[ALIKE] = runs["baseline"]
    rng = np.random.default_rng(seed)
    values = np.stack([rng.choice(each, (sims, 2 * MOST)) for each in runs.values()], axis=1)
    means = [float(each.mean()) for each in runs.values()]
    truth = Truth(
        name=", ".join(list(runs)[1:]),
        sd=[float(each.std(ddof=1)) for each in runs.values()],
        delta=[mean - means[0] for mean in means],
        rope=0.5,
    )
    return truth, values


def adaptive(truth: Truth, values: np.ndarray, floor: float) -> Result:
    """Looks until every arm is decided."""
    rule = Rule(looks=LOOKS, alpha=0.05, rope=truth.rope, floor=floor, method="auto")
    words, trials = [], []
    for study in values:
        end = course({str(j): Run(values=study[j]) for j in range(len(study))}, rule)
        words.append([CODES[state.word] for state in end.states.values()])
        trials.append(sum(end.wanted.values()))
    return _result(truth, np.array(words), float(np.mean(trials)))


def fixed(truth: Truth, values: np.ndarray, n: int, floor: float) -> Result:
    """n seeds of every arm, 2n of the baseline, judged once."""
    family, _ = judge(truth, n, len(values), values=values[..., : 2 * n], floor=floor)
    low, high = family.delta - family.half, family.delta + family.half
    near = np.abs(family.delta) + family.half_equivalence < truth.rope
    word = np.where(low > 0, 1, np.where(high < 0, -1, np.where(near, 2, 0)))
    return _result(truth, word, n * (len(truth.sd) + 1))


def as_good(truth: Truth, values: np.ndarray, wanted: Result, floor: float) -> tuple[str, Result]:
    """The fewest seeds with which a fixed design finds and equates no less; MOST if none does."""
    for n in range(3, MOST + 1):
        found = fixed(truth, values, n, floor)
        if found.power >= wanted.power - 0.005 and found.equal >= wanted.equal - 0.02:
            return str(n), found
    return f"> {MOST}", found


def _result(truth: Truth, word: np.ndarray, trials: float) -> Result:
    true = np.array(truth.delta[1:]) - truth.delta[0]
    called = np.abs(word) == 1
    wrong = called & (np.sign(word) != np.sign(true))
    small = np.abs(true) < truth.rope
    return Result(
        trials=trials,
        power=float(called[:, true != 0].mean()),
        equal=float((word == 2)[:, small].mean()),
        error=float(wrong.any(axis=1).mean()),
    )


def rows(sims: int) -> list[tuple[str, str, Result, Result, Result]]:
    """Of every scenario: its name, n, the adaptive design, the fixed one, that of all seeds."""
    names = ("typical, sd .15", "typical, sd .3", "big effects", "effects and noise as on digits")
    scenarios = [
        (f"simulated: {t.name}", t, draw(t, 2 * MOST, sims, 1), 0.0)
        for t in TRUTHS
        if t.name in names
    ]
    truth, values = bank(sims)
    scenarios.append(("real digits runs, resampled", truth, values, 100 / IMAGES / 12**0.5))
    found = []
    for name, each, results, floor in scenarios:
        saved = adaptive(each, results, floor)
        n, other = as_good(each, results, saved, floor)
        found.append((name, n, saved, other, fixed(each, results, LOOKS[-1], floor)))
    return found


def main(sims: int = 1500) -> None:
    """Print the table, in Markdown."""
    print(
        f"{sims:,} studies a row, {time.strftime('%Y-%m-%d')}, Python "
        f"{platform.python_version()}, numpy {np.__version__}, {platform.machine()}.\n"
    )
    print(
        "| studies | adaptive: trials | power | equal | error | fixed n | trials | power | equal "
        "| error | saved | against 16 seeds: trials | power | saved |"
    )
    print("|---|" + "---:|" * 13)
    for name, n, saved, other, every in rows(sims):
        cells = [
            f"{saved.trials:.0f}", *_shares(saved), n, f"{other.trials:.0f}", *_shares(other),
            f"{1 - saved.trials / other.trials:.0%}", f"{every.trials:.0f}",
            f"{every.power:.3f}", f"{1 - saved.trials / every.trials:.0%}",
        ]  # fmt: skip
        print(f"| {name} | " + " | ".join(cells) + " |")


def _shares(result: Result) -> list[str]:
    return [f"{share:.3f}" for share in (result.power, result.equal, result.error)]


if __name__ == "__main__":
    main()
