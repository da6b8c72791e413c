"""What was declared before launch, and what is answered afterwards: plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from swinablate.errors import LEAST_ALPHA, MOST, InputError
from swinablate.stats.estimate import WHOLE, Contrast
from swinablate.stats.seeds.shares import Share
from swinablate.stats.seeds.units import Units
from swinablate.text import after_difference, places_in

SCHEMA = 1
"""Of verdicts.json: a program that reads it can refuse what it does not know."""
ARMS = "arms"  # the family of all arms against the baseline
CONTRASTS = "contrasts"  # the family of all comparisons that were declared one by one
TUNED = "tuned"  # the first of these, with every arm at its tuned recipe
TUNED_CONTRASTS = "tuned contrasts"  # the second

LATER = (
    "given_convergence", "worst_low", "worst_high", "divergence", "median", "collapsed",
    "against", "seeds_equivalence", "stopped_early", "runs",
)  # fmt: skip
"""Written only where there is something to say: all other answers stay as they were."""

Word = Literal[
    "better", "worse", "equivalent", "fails to train", "undecided", "pending", "not tested"
]
Reply = Literal["supported", "contradicted", "unresolved"]
Unit = str
"""Of differences: "pp", percentage points; "none"; or what a number of a metric is: "nats"."""
Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class Warn:
    """Something a reader has to know before believing the numbers.

    Attributes:
        code: "W1" to "W32", as in the report's list of warnings.
        text: one or two sentences.
    """

    code: str
    text: str


@dataclass(frozen=True)
class Hypothesis:
    """What somebody says an arm (or a named contrast) does.

    Attributes:
        arm: name of the arm or contrast.
        expect: the direction, or that there is none.
        by: at least, percentage points; of no meaning for "equivalent".
    """

    arm: str
    expect: Literal["better", "worse", "equivalent"]
    by: float = 0.0


@dataclass(frozen=True)
class HypothesisAnswer:
    """A hypothesis and what the interval says of it."""

    expect: Literal["better", "worse", "equivalent"]
    by: float
    answer: Reply


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What the study file fixed before the first result.

    Attributes:
        metric: what `value` is.
        alpha: error rate of every family.
        rope_pp: differences smaller than this do not matter; None calls nothing equivalent.
        baseline: the arm all others are compared with.
        planned: arm -> declared seeds; empty takes the arms and seeds found.
        contrasts: further families, besides that of all arms against the baseline.
        hypotheses: answered from the intervals.
        test_images: size of the test set; no sd is believed below one image's worth.
        shows: what the design can and cannot show, for the methods paragraph.
        withheld: family -> why its contrasts are shown without a verdict.
        unit: of differences: percentage points, none, or the metric's own.
        better: which way is good; the sign of a difference is the data's either way.
        called: the metric in a sentence; empty takes its name.
        floor: no smaller sd over seeds is believed; None takes one test image's worth.
        unrecorded: arm -> trials that ended without a record of the metric.
        declared: False where the question was put to results that were there already.
        apart: arms whose seeds share no random numbers with those of the other arms: between
            them and others nothing is judged within seeds.
        units: what counts as one observation: a seed, or the seeds on a split of the data.
    """

    metric: str = "test/accuracy"
    alpha: float = 0.05
    rope_pp: float | None = None
    baseline: str = "baseline"
    planned: Mapping[str, int] = field(default_factory=dict)
    contrasts: tuple[Contrast, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    test_images: int | None = None
    shows: str = ""
    withheld: Mapping[str, str] = field(default_factory=dict)
    unit: Unit = "pp"
    better: Direction = "higher"
    called: str = ""
    floor: float | None = None
    unrecorded: Mapping[str, int] = field(default_factory=dict)
    declared: bool = True
    apart: frozenset[str] = frozenset()
    units: Units = field(default_factory=Units)

    def __post_init__(self) -> None:
        if not LEAST_ALPHA <= self.alpha < 0.5:
            hint = f"give 0.05, or another from {LEAST_ALPHA:g} to below 0.5"
            raise InputError(f"{self.alpha:g} is no error rate", at="alpha", hint=hint)
        most = WHOLE if self.unit == "pp" else MOST
        if self.rope_pp is not None and not 0 < self.rope_pp <= most:
            what = "more than any difference" if self.rope_pp > most else "no difference"
            points = ", in percentage points" if self.unit == "pp" else ""
            hint = f"give the smallest difference that matters{points}"
            raise InputError(f"{self.rope_pp:g} is {what}", at="rope", hint=hint)

    @property
    def elsewhere(self) -> dict[str, Contrast]:
        """The arms that are compared with another arm and not with the baseline, by name.

        They belong to the family of declared contrasts alone: a comparison with the baseline that
        nobody asked for would widen the intervals of those that somebody did.
        """
        return {c.name: c for c in self.contrasts if (c.family, c.kind) == (CONTRASTS, "arm")}

    def crosses(self, contrast: Contrast) -> bool:
        """Whether a contrast is of arms that share random numbers, and of others."""
        return 0 < len(self.apart & contrast.weights.keys()) < len(contrast.weights)

    @property
    def suffix(self) -> str:
        """What stands after a difference."""
        return after_difference(self.unit)

    def places(self, spread: float | None) -> int:
        """Decimals of a difference: two of percentage points, else as its error needs them."""
        return places_in(self.unit, spread)

    def goodwards(self, interval: tuple[float, float]) -> tuple[float, float]:
        """An interval of a difference as it would be, were higher better."""
        low, high = interval
        return (low, high) if self.better == "higher" else (-high, -low)

    @property
    def words(self) -> str:
        """The metric, in a sentence."""
        return self.called or self.metric.replace("/", " ")

    @property
    def floor_pp(self) -> float:
        """The sd of rounding, as far as it is known: to whole test images, one / sqrt(12)."""
        if self.floor is not None:
            return self.floor
        return 100 / self.test_images / 12**0.5 if self.test_images else 0.0


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A difference, estimated and judged. Numbers are None where nothing can be said.

    Attributes:
        delta_pp: the estimate, percentage points.
        ci_low: lower end of the simultaneous interval of the family.
        ci_high: upper end.
        equivalence_low: lower end of the interval of the two one-sided tests.
        equivalence_high: upper end.
        p: two-sided, uncorrected.
        p_holm: single-step adjusted p-value of the statistic whose interval decides, below alpha
            exactly if that excludes 0; None where the interval gives no verdict. Its name is
            that of an earlier correction.
        se: standard error of `delta_pp`.
        df: degrees of freedom.
        verdict: what the interval says; or that an arm fails to train, which no interval does.
        negligible: better or worse, but by less than matters.
        detectable_pp: the difference these seeds find with power 0.8.
        seeds_needed: for an undecided arm, seeds that would find the smallest difference that
            matters with power 0.8, if the declared ones cannot.
        seeds_equivalence: for an undecided arm, seeds that would show with power 0.8 that it lies
            within the rope, were there no difference, if the declared ones cannot.
        reason: why there is no verdict, or no interval.
        method: how the family was judged.
        pairs: seeds the arms share, if they were compared within seeds.
        look: seeds of the arm at the look that judged it; None in a design without looks.
        hypotheses: those about it, answered.
        given_convergence: some seed diverged, and all numbers above are of the others.
        worst_low: lower end of where `delta_pp` lies if every diverged seed counts as anything
            from 0 % to the mean of its arm's others; vetoes nothing. None if none diverged.
        worst_high: upper end.
        divergence: of an arm against the baseline, how often either diverged.
        stopped_early: a look before the last decided it, which chooses by the estimate.
    """

    delta_pp: float | None
    ci_low: float | None
    ci_high: float | None
    equivalence_low: float | None
    equivalence_high: float | None
    p: float | None
    p_holm: float | None
    se: float | None
    df: float | None
    verdict: Word
    negligible: bool
    detectable_pp: float | None
    seeds_needed: int | None
    reason: str | None
    method: str
    pairs: int | None
    look: int | None = None
    hypotheses: tuple[HypothesisAnswer, ...] = ()
    given_convergence: bool = False
    worst_low: float | None = None
    worst_high: float | None = None
    divergence: Share | None = None
    seeds_equivalence: int | None = None
    stopped_early: bool = False


@dataclass(frozen=True, kw_only=True)
class Estimate(Judged):
    """A contrast and what came of it.

    Attributes:
        sentence: the verdict in words, of a contrast that was declared one by one.
    """

    contrast: Contrast
    sentence: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `contrasts` in verdicts.json."""
        said = {} if self.sentence is None else {"sentence": self.sentence}
        numbers = _plain(self, leave=("contrast", "sentence"))
        return {**_plain(self.contrast), **numbers, **said}


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The seeds of one arm.

    Attributes:
        name: of the arm.
        planned: seeds declared.
        n: seeds with a result, or splits with one; `runs` then counts the seeds.
        mean: percent, given convergence; None without a seed.
        sd: over seeds; None below two.
        diverged: seeds whose loss left the real numbers.
        failed: seeds lost to anything else.
        waiting: seeds declared that have no result yet.
        divergence_low, divergence_high: Wilson's 95 % of the share that diverges; None if none.
        collapsed: seeds with a result far below the others', beyond chance (W7); None if none is.
        median: percent, beside a mean that such seeds draw down; None if none is.
    """

    name: str
    planned: int
    n: int
    mean: float | None
    sd: float | None
    diverged: int
    failed: int
    waiting: int
    divergence_low: float | None
    divergence_high: float | None
    collapsed: int | None = None
    median: float | None = None
    runs: int | None = None


@dataclass(frozen=True, kw_only=True)
class ArmVerdict(Judged, Tally):
    """An arm against the baseline, or against the arm that was declared instead.

    Attributes:
        sentence: the verdict in words.
        against: the arm that it is compared with, where that is not the baseline.
        new_images_low: lower end of the interval for other test images of the same kind; the
            verdict is about this test set. None where the answers were not recorded.
        new_images_high: its upper end.
    """

    sentence: str
    new_images_low: float | None = None
    new_images_high: float | None = None
    against: str | None = None

    @property
    def hypothesis(self) -> HypothesisAnswer | None:
        """The first hypothesis about this arm, answered."""
        return self.hypotheses[0] if self.hypotheses else None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `arms` in verdicts.json."""
        entry = _plain(self)
        first = entry["hypotheses"][0] if self.hypotheses else None
        return {**entry, "hypothesis": first, "exploratory": not self.hypotheses}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One arm at one look of an adaptive study.

    Attributes:
        look: seeds of the arm.
        arm: its name.
        delta_pp: percentage points; None if a seed was lost.
        ci_low: lower end of the repeated interval.
        ci_high: upper end.
        p: two-sided, of this look alone.
        level: what `p` was compared with.
        verdict: after this look; "pending" goes on.
    """

    look: int
    arm: str
    delta_pp: float | None
    ci_low: float | None
    ci_high: float | None
    p: float | None
    level: float | None
    verdict: Word


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """All answers of a study; `to_json` is the stable form.

    Attributes:
        declaration: what was asked.
        method: how the arms were judged.
        methods: a paragraph for a paper that says what was done.
        baseline: its seeds.
        arms: every declared arm but the baseline, in the declared order.
        contrasts: everything estimated, the arms' differences first.
        warnings: what has to be known before believing the numbers.
        looks: seeds of an arm at each look; empty in a design without looks.
        trace: the looks that were taken, arm by arm.
    """

    declaration: Declaration
    method: str
    methods: str
    baseline: Tally
    arms: tuple[ArmVerdict, ...]
    contrasts: tuple[Estimate, ...]
    warnings: tuple[Warn, ...]
    looks: tuple[int, ...] = ()
    trace: tuple[Step, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return verdicts.json: plain values, None for what is not known."""
        return {
            "schema": SCHEMA,
            "metric": self.declaration.metric,
            "alpha": self.declaration.alpha,
            "rope_pp": self.declaration.rope_pp,
            **self._asked(),
            "method": self.method,
            "methods": self.methods,
            "baseline": _plain(self.baseline),
            "arms": [arm.to_json() for arm in self.arms],
            "contrasts": [contrast.to_json() for contrast in self.contrasts],
            "warnings": [asdict(warning) for warning in self.warnings],
            "looks": list(self.looks),
            "trace": [asdict(step) for step in self.trace],
        }

    def _asked(self) -> dict[str, Any]:
        """What the values are; nothing where they are a study's accuracies in percent."""
        asked = self.declaration
        usual = asked.declared and (asked.unit, asked.better) == ("pp", "higher")
        found = {} if usual else {"unit": asked.unit, "better": asked.better}
        return found if asked.declared else {**found, "declared": False}


def _plain(value: Contrast | Judged | Tally, leave: Sequence[str] = ()) -> dict[str, Any]:
    """The fields as JSON has them."""
    found = {f.name: getattr(value, f.name) for f in fields(value) if f.name not in leave}
    found = {
        key: v for key, v in found.items() if key not in LATER or not (v is None or v is False)
    }
    if "divergence" in found:
        found["divergence"] = found["divergence"].to_json()
    if "weights" in found:
        found["weights"] = dict(found["weights"])
    if "hypotheses" in found:
        found["hypotheses"] = [asdict(answer) for answer in found["hypotheses"]]
    return found
