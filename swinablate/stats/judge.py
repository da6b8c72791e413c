"""From estimates to verdicts: the interval decides, and says why where it may not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swinablate.stats.critical import Floats
from swinablate.stats.declaration import (
    Declaration,
    Estimate,
    Hypothesis,
    HypothesisAnswer,
    Reply,
    Word,
)
from swinablate.stats.estimate import TESTED, Contrast, Estimates, Method, estimate
from swinablate.stats.paired import estimate_pairs, pairs, pays
from swinablate.stats.power import detected, seeds_for_equivalence, seeds_needed, shown_margin
from swinablate.stats.sample import Sample, cells, diverged_shares
from swinablate.stats.seeds.convergence import (
    NO_NOISE,
    failed_reply,
    labelled,
    obstacle_of,
    own_shares,
    two_sides,
)
from swinablate.stats.seeds.shares import Share
from swinablate.stats.seeds.units import ended
from swinablate.text import counted, known_or_none

# How a family was judged. `sentence` looks for words in these, and recorded verdicts have them.
SHRUNKEN = "Welch t with shrunken variances, simultaneous intervals"
WELCH = "Welch t, Bonferroni intervals"
PLAIN = "Welch t"
DUNNETT = "Dunnett's test with one pooled variance, simultaneous intervals"
PAIRED = "paired t with shrunken variances, Bonferroni intervals"
PAIRED_OWN = "paired t, Bonferroni intervals"
CHOSEN = "(chosen from the covariances of the seeds)"


@dataclass(frozen=True, kw_only=True)
class _Found:
    """One contrast's numbers, nan where nothing can be said, and how they came about.

    `n` is the seeds of an arm and of what it is compared with; None for other contrasts.
    """

    delta: float
    se: float
    df: float
    c: float
    half: float
    half_equivalence: float
    p: float
    p_holm: float
    comparisons: int
    method: str
    n: tuple[int, int] | None
    pairs: int | None

    @property
    def interval(self) -> tuple[float, float]:
        """The simultaneous one, which decides."""
        return self.delta - self.half, self.delta + self.half

    @property
    def near(self) -> tuple[float, float]:
        """The interval of the two one-sided tests."""
        return self.delta - self.half_equivalence, self.delta + self.half_equivalence

    @property
    def detectable(self) -> float:
        """The difference that as many seeds find with power 0.8."""
        return detected(self.c, self.df) * self.se


def judge_family(
    contrasts: Sequence[Contrast],
    samples: Mapping[str, Sample],
    declaration: Declaration,
    *,
    complete: bool,
    method: Method = "auto",
    found: Mapping[str, Share] | None = None,
) -> list[Estimate]:
    """Estimate and judge every contrast of one family.

    Args:
        contrasts: all that were declared; those not run yet count in the correction.
        samples: the seeds of every arm.
        declaration: level, rope, hypotheses, size of the test set.
        complete: False gives intervals, but every verdict is pending.
        method: as in `estimate`.
        found: how often arms diverged, if that was judged already.
    """
    if not contrasts:
        return []
    if found is None:
        found = diverged_shares(samples, declaration)
    used = {arm for c in contrasts for arm in c.weights}
    part = {arm: samples[arm] for arm in samples if arm in used}
    place = {arm: k for k, arm in enumerate(part)}
    weights = np.zeros((len(contrasts), len(part)))
    for i, contrast in enumerate(contrasts):
        for arm, weight in contrast.weights.items():
            if arm in place:
                weights[i, place[arm]] = weight
    method = _among(contrasts, declaration, method)
    family, shared = _estimate(part, weights, declaration, method)
    method = "paired" if declaration.units.of and shared is not None else method
    how = _name(family, method, paired=shared is not None)
    own = own_shares(contrasts, samples, declaration, found)
    estimates = []
    for i, contrast in enumerate(contrasts):
        numbers = _Found(
            delta=float(family.delta[i]),
            se=float(family.se[i]),
            df=float(family.df[i]),
            c=float(family.c[i]),
            half=float(family.half[i]),
            half_equivalence=float(family.half_equivalence[i]),
            p=float(family.p[i]),
            p_holm=float(family.adjusted[i]),
            comparisons=len(contrasts),
            method=how,
            n=_pair(contrast, part) if shared is None else None,
            pairs=None if shared is None else int(shared[i]),
        )
        obstacle = unrecorded(contrast, declaration)
        obstacle = obstacle or _obstacle(contrast, part, declaration, complete=complete)
        obstacle = obstacle or obstacle_of(
            contrast, part, declaration, found, own.get(contrast.name)
        )
        if numbers.pairs is not None and numbers.pairs < TESTED and not obstacle:
            shares = counted(numbers.pairs, declaration.units.word)
            obstacle = "not tested", f"its arms share {shares}, needs {TESTED}"
        judged = _judge(contrast, numbers, obstacle, declaration)
        estimates.append(labelled(judged, part, own.get(contrast.name), declaration))
    return estimates


def _estimate(
    samples: Mapping[str, Sample], weights: Floats, declaration: Declaration, method: Method
) -> tuple[Estimates, NDArray[np.float64] | None]:
    """The family's numbers; and if it is judged within seeds, how many each contrast has."""
    alpha, floor = declaration.alpha, declaration.floor_pp
    if declaration.units.of and method == "auto":
        method = "paired"  # arms share splits, which is why they were drawn for all of them
    apart = estimate(cells(samples), weights, alpha=alpha, floor=floor, method=method)
    if method not in {"auto", "auto-paired", "paired"}:
        return apart, None
    within = pairs(samples, weights)
    together = estimate_pairs(within, alpha=alpha, floor=floor)
    if method != "paired" and not pays(within, apart, together):
        return apart, None
    return together, within.n


def _among(contrasts: Sequence[Contrast], declaration: Declaration, method: Method) -> Method:
    return unpaired(method) if any(map(declaration.crosses, contrasts)) else method


def unpaired(method: Method) -> Method:
    """The method where equal seeds share nothing: what they have in common is chance."""
    return "shrunken" if method in {"auto", "auto-paired", "paired"} else method


def _name(family: Estimates, method: Method, *, paired: bool) -> str:
    """What was done, for the report."""
    if paired:
        how = PAIRED if family.shrunken else PAIRED_OWN
        return how if method == "paired" else f"{how} {CHOSEN}"
    if method == "dunnett":
        return DUNNETT
    if method == "welch-holm":
        return WELCH
    return SHRUNKEN if family.shrunken else PLAIN


def _judge(
    contrast: Contrast,
    found: _Found,
    obstacle: tuple[Word, str] | None,
    declaration: Declaration,
) -> Estimate:
    word, reason, negligible = _word(found, declaration, obstacle)
    (low, high), near = found.interval, found.near
    inside = negligible or word == "equivalent"
    open_ = word == "undecided" and not reason
    return Estimate(
        contrast=contrast,
        delta_pp=known_or_none(found.delta),
        ci_low=known_or_none(low),
        ci_high=known_or_none(high),
        equivalence_low=known_or_none(near[0]),
        equivalence_high=known_or_none(near[1]),
        p=known_or_none(found.p),
        p_holm=None if reason else known_or_none(found.p_holm),  # no word, no p beside it
        se=known_or_none(found.se),
        df=known_or_none(found.df),
        verdict=word,
        negligible=negligible,
        detectable_pp=known_or_none(found.detectable),
        seeds_needed=_needed(found, declaration) if open_ else None,
        seeds_equivalence=_needed_within(found, declaration) if open_ else None,
        reason=reason,
        method=found.method,
        pairs=found.pairs,
        hypotheses=tuple(
            HypothesisAnswer(
                asked.expect,
                asked.by,
                "unresolved"
                if reason and word != "fails to train"
                else failed_reply(asked, whole=np.isnan(found.delta))
                if reason
                else reply(
                    asked,
                    declaration.goodwards(found.interval),
                    declaration.rope_pp,
                    inside=inside,
                ),
            )
            for asked in declaration.hypotheses
            if asked.arm == contrast.name
        ),
    )


def unrecorded(contrast: Contrast, declaration: Declaration) -> tuple[Word, str] | None:
    """Say of which arms the metric is not known, if it is not of some trial."""
    lacking = [arm for arm in contrast.weights if declaration.unrecorded.get(arm)]
    if not lacking:
        return None
    trials = sum(declaration.unrecorded[arm] for arm in lacking)
    who = " and ".join(lacking)
    return (
        "not tested",
        f"{declaration.words} is not recorded of {counted(trials, 'trial')} of {who}",
    )


def _obstacle(
    contrast: Contrast,
    samples: Mapping[str, Sample],
    declaration: Declaration,
    *,
    complete: bool,
) -> tuple[Word, str] | None:
    """Why no interval may be read as a verdict, if so."""
    tallies = [samples[arm].tally for arm in contrast.weights if contrast.weights[arm]]
    short = [t for t in tallies if t.planned < TESTED]
    if short:
        return (
            "not tested",
            f"{short[0].name} has {_seeds(short[0].planned)}, needs {TESTED}",
        )
    waiting = [t for t in tallies if t.waiting]
    if waiting:
        return "pending", f"{waiting[0].name} lacks {waiting[0].waiting} of its seeds"
    if not complete:
        return "pending", "the study is unfinished"
    failed = [t for t in tallies if t.failed]
    if failed:
        asked = ended(failed[0]) + failed[0].diverged + failed[0].failed
        lost = f"{failed[0].failed} of {_seeds(asked)}"
        return "undecided", f"{failed[0].name} failed on {lost}: {again(declaration)}"
    return None


def again(declaration: Declaration) -> str:
    """What to do about runs that failed; those of somebody else's table cannot be retried here."""
    return "retry them" if declaration.declared else "run them again where they were trained"


def _word(
    found: _Found, declaration: Declaration, obstacle: tuple[Word, str] | None
) -> tuple[Word, str | None, bool]:
    """The verdict, the reason if there is none, and whether the effect is negligible."""
    if obstacle:
        return *obstacle, False
    rope = declaration.rope_pp
    low, high = declaration.goodwards(found.interval)
    if np.isnan(low):  # `_combine` gives no interval where no seed differs from another
        return "undecided", NO_NOISE, False
    inside = rope is not None and -rope < found.near[0] and found.near[1] < rope
    if low > 0:
        return "better", None, inside
    if high < 0:
        return "worse", None, inside
    return "equivalent" if inside else "undecided", None, False


def reply(
    asked: Hypothesis, interval: tuple[float, float], rope: float | None, *, inside: bool
) -> Reply:
    """Return what an interval says of a hypothesis.

    Args:
        asked: the hypothesis.
        interval: the one that gave the verdict, positive where it is good.
        rope: the smallest difference that matters.
        inside: the effect was shown to lie within the rope.
    """
    low, high = interval
    if asked.expect == "equivalent":
        if inside:
            return "supported"
        outside = rope is not None and (low > rope or high < -rope)
        return "contradicted" if outside else "unresolved"
    if asked.expect == "worse":
        low, high = -high, -low
    if low >= asked.by:
        return "supported"
    return "contradicted" if high < asked.by else "unresolved"


def _needed(found: _Found, declaration: Declaration) -> int | None:
    """Seeds that would show the smallest effect that matters, if these cannot."""
    rope = declaration.rope_pp
    if rope is None or found.n is None or found.detectable <= rope:
        return None
    own, base = found.n
    return seeds_needed(
        rope,
        found.comparisons,
        _sd(found, found.n),
        alpha=declaration.alpha,
        baseline_ratio=base / own,
    )


def _needed_within(found: _Found, declaration: Declaration) -> int | None:
    """Seeds that would show equivalence, were there no difference, if these cannot."""
    rope = declaration.rope_pp
    if rope is None or found.n is None or np.isnan(found.se):
        return None
    (own, base), m, alpha = found.n, found.comparisons, declaration.alpha
    sd = _sd(found, found.n)
    if shown_margin(own, base, m, sd, alpha=alpha) <= rope:
        return None
    return seeds_for_equivalence(rope, m, sd, alpha=alpha, baseline_ratio=base / own)


def _sd(found: _Found, n: tuple[int, int]) -> float:
    """The sd over seeds, were it the same in both arms."""
    return float(found.se / (1 / n[0] + 1 / n[1]) ** 0.5)


def _pair(contrast: Contrast, samples: Mapping[str, Sample]) -> tuple[int, int] | None:
    """Seeds of an arm and of what it is compared with, for a difference of two arms."""
    sides = two_sides(contrast.weights)
    return None if sides is None else (samples[sides[0]].tally.n, samples[sides[1]].tally.n)


def _seeds(n: int) -> str:
    return counted(n, "seed")
