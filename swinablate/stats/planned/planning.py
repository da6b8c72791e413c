"""How many seeds a study needs that nobody has declared yet, and the best study of a budget."""

from dataclasses import dataclass

from swinablate.errors import LEAST_ALPHA, InputError
from swinablate.stats.estimate import BASELINE_RATIO, TESTED
from swinablate.stats.power import (
    POWER,
    detectable,
    detectable_at,
    fewest_to,
    shown_margin,
    within_seeds,
)

COUNTS = (3, 5, 8, 12, 16)
"""Seeds that a table of what can be shown has: those of the looks that the documents suggest."""
NEAR = 0.15
"""Share of the seeds around a rough optimum that is searched; what is shown is flat there."""
TRIED = 6  # numbers of seeds of that search, each a twentieth of a second
LOOKS = 5  # more hardly end a study sooner
COST_OF_LOOKS = 1.1
"""The last look alone may find differences this many times larger than one look at its seeds does:
what looks save on arms that are decided early is more than the fifth more seeds that makes up."""
SIZES = 1e-50, 1e50
"""Of an sd or a difference: nobody measures beyond, and squares of their ratios are numbers."""
TRIALS = 10**9  # more than anybody runs
MANY = 1000  # arms; the study files' own limit on seeds of an arm is as large


@dataclass(frozen=True, kw_only=True)
class Question:
    """A study in numbers.

    Attributes:
        arms: comparisons with the baseline.
        sd: over seeds, of every arm.
        alpha: error rate of all comparisons together.
        power: probability to show what is asked for, for one arm.
        correlation: between arms, of one seed; a family is judged within seeds where that pays.
    """

    arms: int
    sd: float
    alpha: float = 0.05
    power: float = POWER
    correlation: float = 0.0

    def __post_init__(self) -> None:
        _refuse(not 1 <= self.arms <= MANY, "--arms", f"{self.arms} arms", f"1 to {MANY}")
        _refuse(
            not SIZES[0] <= self.sd <= SIZES[1],
            "--sd",
            f"an sd of {self.sd:g}",
            "a positive number: `swinablate plan STUDY` says that of recorded trials",
        )
        _refuse(
            not LEAST_ALPHA <= self.alpha < 0.5, "--alpha", f"alpha = {self.alpha:g}", "0.05, say"
        )
        _refuse(
            not 0.5 <= self.power < 1,
            "--power",
            f"a power of {self.power:g}",
            "0.8, or another from 0.5 to below 1",
        )
        _refuse(
            not -1 < self.correlation < 1,
            "--paired-correlation",
            f"a correlation of {self.correlation:g}",
            "one between -1 and 1: how the same seeds of two arms go together",
        )

    def difference(self, n: int, n_baseline: int) -> float:
        """The smallest difference that so many seeds find."""
        apart = detectable(n, n_baseline, self.arms, self.sd, alpha=self.alpha, power=self.power)
        within = self._within(n)
        return min(apart, within[0] * self.sd) if within else apart

    def margin(self, n: int, n_baseline: int) -> float:
        """The smallest rope within which so many seeds show an arm that makes no difference."""
        apart = shown_margin(n, n_baseline, self.arms, self.sd, alpha=self.alpha, power=self.power)
        within = self._within(n)
        return min(apart, within[1] * self.sd) if within else apart

    def seeds_for(self, size: float, what: str) -> int | None:
        """The fewest seeds that show it, the baseline having twice as many.

        Args:
            size: of the difference, or the rope.
            what: "difference" or "equivalence".
        """
        reach = self.difference if what == "difference" else self.margin
        return fewest_to(size, reach)

    def trials(self, n: int, n_baseline: int) -> int:
        """Trials of so many seeds."""
        return self.arms * n + n_baseline

    def _within(self, n: int) -> tuple[float, float] | None:
        return within_seeds(n, self.arms, self.correlation, alpha=self.alpha, power=self.power)


@dataclass(frozen=True, kw_only=True)
class Budgeted:
    """The study that shows the smallest difference with so many trials.

    Attributes:
        trials: there may be.
        seeds: of an arm.
        baseline_seeds: of the baseline.
        difference: the smallest that it finds.
        margin: the smallest rope within which it shows an arm that makes no difference.
        looks: seeds of an arm at each look of a study that never takes more trials; empty where
            it could not look twice.
        last_look: the smallest difference that the last of them finds by itself.
    """

    trials: int
    seeds: int
    baseline_seeds: int
    difference: float
    margin: float
    looks: tuple[int, ...]
    last_look: float | None


def best_of(question: Question, trials: int) -> Budgeted:
    """Return the best study of a budget: how many seeds, and how many of them the baseline's.

    Args:
        question: what is compared, and how noisy it is.
        trials: there may be.

    Raises:
        InputError: fewer than can be judged.
    """
    m = question.arms
    _refuse(trials > TRIALS, "budget", f"{trials:.3g} trials", f"at most {TRIALS:,}")
    least = question.trials(TESTED, TESTED)
    if trials < least:
        raise InputError(
            f"{trials} trials are less than {TESTED} seeds of {m} arms and the baseline: {least}",
            at="budget",
            hint="give it more, or compare fewer arms",
        )
    # Equal noise is spent best with sqrt(m) seeds of the baseline for each of an arm (Dunnett
    # 1955); few seeds, whole numbers and a shared variance move it, so its surroundings are tried.
    rough = trials / (m + m**0.5)
    most = (trials - TESTED) // m
    low = max(TESTED, min(most, int(rough * (1 - NEAR)) - 2))
    high = min(most, int(rough * (1 + NEAR)) + 2)
    step = max(1, (high - low) // TRIED)
    found = [
        (question.difference(n, trials - m * n), n)
        for n in range(low, high + 1, step)
        if trials - m * n >= n  # study files give the baseline no fewer seeds than an arm
    ]
    if not found:
        n = trials // (m + 1)
        found = [(question.difference(n, trials - m * n), n)]
    reach, n = min(found)
    looks, last = _looks(question, trials)
    return Budgeted(
        trials=trials,
        seeds=n,
        baseline_seeds=trials - m * n,
        difference=reach,
        margin=question.margin(n, trials - m * n),
        looks=looks,
        last_look=last,
    )


def _looks(question: Question, trials: int) -> tuple[tuple[int, ...], float | None]:
    """The looks that end soonest among those that cost hardly any power; they grow evenly."""
    last = trials // (question.arms + BASELINE_RATIO)
    if last <= TESTED:
        return (), None
    m, sd, asked = question.arms, question.sd, {"alpha": question.alpha, "power": question.power}
    once = detectable(last, BASELINE_RATIO * last, m, sd, **asked)
    for count in range(LOOKS, 1, -1):
        factor = (last / TESTED) ** (1 / (count - 1))
        looks = tuple(round(TESTED * factor**i) for i in range(count))
        if len(set(looks)) < count:
            continue
        found = detectable_at(looks, m, sd, **asked)[-1]
        if found <= COST_OF_LOOKS * once or count == 2:
            return looks, found
    return (), None


def _refuse(wrong: bool, at: str, what: str, hint: str) -> None:  # noqa: FBT001  its condition
    if wrong:
        raise InputError(f"{what} cannot be planned", at=at, hint=f"give {hint}")
