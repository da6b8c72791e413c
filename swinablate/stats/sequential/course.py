"""Seeds until the answer is known: a group-sequential design for arms against a baseline.

Every arm runs its seeds up to the next look, the baseline twice as many. At a look the arms
whose p-value falls below the level spent for it are better or worse, those whose interval lies
within the rope are equivalent, and the others go on. The error rate of the family holds over
all arms and all looks (Holm over arms, spending alpha * t^2 over looks). The interval of an arm
is the repeated one at the level of the look that decided: it excludes 0 exactly if the verdict
is better or worse.

An arm of which a seed failed is closed. Seeds that diverged are counted: an arm that diverges more
often than the baseline fails to train, and is closed; others go on with the seeds that are left.

Source: Jennison, Turnbull, Group Sequential Methods (1999), chapters 7 and 9; Holm (1979).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from swinablate.stats.critical import Floats, t_quantile, two_sided_p
from swinablate.stats.declaration import Word
from swinablate.stats.estimate import (
    BASELINE_RATIO,
    FEW_SEEDS,
    TESTED,
    Cells,
    Estimates,
    Method,
    assemble,
    errors,
)
from swinablate.stats.paired import EVIDENCE, Pairs, estimate_pairs, pays
from swinablate.stats.seeds.convergence import NO_NOISE, helped, left, worst_case
from swinablate.stats.seeds.shares import Count, Share, shares
from swinablate.stats.sequential.spending import nominal


@dataclass(frozen=True, kw_only=True)
class Run:
    """The seeds of one arm in their declared order.

    Attributes:
        values: percent; nan where a seed diverged or failed. As many as are recorded without a
            gap.
        failed: the first seed that was lost to anything but divergence; None if none was.
    """

    values: Floats
    failed: int | None = None

    def upto(self, count: int) -> Floats:
        """Those of its first seeds that did not diverge."""
        values = self.values[:count]
        return values[~np.isnan(values)]

    def shares(self, count: int) -> Count:
        """How many of its first seeds diverged."""
        values = self.values[:count]
        return int(np.isnan(values).sum()), len(values)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What was fixed before the first look.

    Attributes:
        looks: seeds of an arm at each look, rising; the baseline has twice as many.
        alpha: error rate of the family over all looks.
        rope: half-width of what counts as equal; None calls nothing equivalent.
        floor: smallest believable sd over seeds, in points.
        method: "auto" lets the first look with enough evidence decide whether the family is
            judged within seeds; "shrunken" never does.
    """

    looks: tuple[int, ...]
    alpha: float
    rope: float | None
    floor: float
    method: Method


@dataclass(frozen=True, kw_only=True)
class State:
    """One arm at its last look.

    Attributes:
        word: the verdict; "pending" while the arm is open.
        look: seeds at that look; 0 before the first.
        delta: percentage points.
        low: lower end of the repeated interval.
        high: upper end.
        near: the interval of the equivalence test at that look.
        p: two-sided, of that look alone.
        level: what `p` was compared with.
        se: standard error of `delta`.
        df: degrees of freedom.
        reason: why a closed arm has no verdict.
        given: seeds of the arm or the baseline had diverged by then.
        worst: where `delta` lies if those count as anything from 0 % to the mean of the rest.
        share: how often either had diverged.
    """

    word: Word = "pending"
    look: int = 0
    delta: float = np.nan
    low: float = np.nan
    high: float = np.nan
    near: tuple[float, float] = (np.nan, np.nan)
    p: float = np.nan
    level: float = np.nan
    se: float = np.nan
    df: float = np.nan
    reason: str | None = None
    given: bool = False
    worst: tuple[float | None, float | None] = (None, None)
    share: Share | None = None


@dataclass(frozen=True, kw_only=True)
class Course:
    """How the study went so far.

    Attributes:
        states: every arm but the baseline.
        wanted: seeds that the baseline and each arm should have now; nothing is left to run
            when all of them have theirs.
        reached: seeds of each at the last look that was taken.
        trace: the states after each look that was reached.
        paired: judged within seeds; None until decided.
    """

    states: Mapping[str, State]
    wanted: Mapping[str, int]
    reached: Mapping[str, int]
    trace: tuple[Mapping[str, State], ...]
    paired: bool | None

    @property
    def open(self) -> tuple[str, ...]:
        """Arms that go on."""
        return tuple(arm for arm, state in self.states.items() if state.word == "pending")


def course(runs: Mapping[str, Run], rule: Rule) -> Course:
    """Replay every look that the recorded seeds reach, from the first.

    Pure: the same seeds give the same course, however often and whenever it is asked for.

    Args:
        runs: the baseline first.
        rule: what was fixed before.
    """
    base, *arms = runs
    states: dict[str, State] = {arm: State() for arm in arms}
    counts = dict.fromkeys(runs, 0)
    reached = dict(counts)
    trace: list[Mapping[str, State]] = []
    paired = None
    for i, look in enumerate(rule.looks):
        going = [arm for arm in arms if states[arm].word == "pending"]
        if not going:
            break
        counts |= dict.fromkeys(going, look) | {base: BASELINE_RATIO * look}
        if any(len(runs[arm].values) < counts[arm] for arm in (base, *going)):
            break
        reached = dict(counts)
        _drop_failed(runs, counts, states, base)
        found = _drop_failing(runs, counts, states, _spent(rule, i))
        going = [arm for arm in going if states[arm].word == "pending"]
        if not going:
            trace.append(dict(states))
            break
        family, paired = _estimate(runs, counts, going, rule, paired=paired)
        _decide(family, states, (i, look), rule)
        for arm in going:
            states[arm] = _told(runs, counts, replace(states[arm], share=found.get(arm)), arm)
        trace.append(dict(states))
    return Course(
        states=states,
        wanted=counts,
        reached=reached,
        trace=tuple(trace),
        paired=paired,
    )


def _drop_failed(
    runs: Mapping[str, Run], counts: Mapping[str, int], states: dict[str, State], base: str
) -> None:
    """Close arms of which a seed failed: what is left is no random sample.

    The difference of what survived is kept, without an interval.
    """
    gone = {
        arm: run.failed
        for arm, run in runs.items()
        if run.failed is not None and run.failed < counts[arm]
    }
    for arm, state in states.items():
        who = arm if arm in gone else base
        if state.word == "pending" and who in gone:
            states[arm] = State(
                word="undecided",
                look=counts[arm],
                delta=_mean(runs[arm].upto(counts[arm])) - _mean(runs[base].upto(counts[base])),
                reason=f"{who} failed on seed {gone[who]}",
            )


def _drop_failing(
    runs: Mapping[str, Run], counts: Mapping[str, int], states: dict[str, State], alpha: float
) -> dict[str, Share]:
    """Close arms that diverge more often than the baseline, or the baseline than they."""
    base = next(iter(runs))
    going = [arm for arm, state in states.items() if state.word == "pending"]
    own = {arm: runs[arm].shares(counts[arm]) for arm in going}
    found = shares(own, runs[base].shares(counts[base]), alpha)
    for arm, share in found.items():
        if not share.fails and not share.helps:
            continue
        closed = State(
            word="fails to train" if share.fails else "undecided",
            look=counts[arm],
            delta=_mean(runs[arm].upto(counts[arm])) - _mean(runs[base].upto(counts[base])),
            reason=share.text if share.fails else helped(share),
            share=share,
        )
        states[arm] = _told(runs, counts, closed, arm)
    return found


def _spent(rule: Rule, i: int) -> float:
    """The error rate of the shares at one look: what the square of the seeds adds to before.

    Their sum over all looks is alpha, so that it holds however the looks depend on each other.
    """
    before = rule.looks[i - 1] if i else 0
    return rule.alpha * (rule.looks[i] ** 2 - before**2) / rule.looks[-1] ** 2


def _told(runs: Mapping[str, Run], counts: Mapping[str, int], state: State, arm: str) -> State:
    """The state with what a reader has to know where there is no interval, or seeds diverged."""
    base = next(iter(runs))
    lost = {name: runs[name].shares(counts[name])[0] for name in (arm, base)}
    known = {name: runs[name].upto(counts[name]) for name in lost}
    if state.word == "undecided" and state.reason is None and np.isnan(state.low):
        few = [name for name in lost if len(known[name]) < TESTED]
        why = left(few[0], lost[few[0]], len(known[few[0]])) if few else NO_NOISE
        state = replace(state, reason=why)
    if not any(lost.values()):
        return state
    worst = worst_case(
        {arm: 1.0, base: -1.0},
        {name: (_mean(known[name]), len(known[name]), lost[name]) for name in lost},
    )
    return replace(state, given=True, worst=worst)


def _mean(values: Floats) -> float:
    """The mean; nan of nothing."""
    return float(values.mean()) if len(values) else float("nan")


def _var(values: Floats) -> float:
    """The variance over seeds; nan below two."""
    return float(values.var(ddof=1)) if len(values) > 1 else float("nan")


def _estimate(
    runs: Mapping[str, Run],
    counts: Mapping[str, int],
    going: Sequence[str],
    rule: Rule,
    *,
    paired: bool | None,
) -> tuple[Estimates, bool | None]:
    """The numbers of all arms at this look, and whether they are within seeds."""
    samples = [runs[arm].upto(counts[arm]) for arm in runs]
    n = np.array([len(values) for values in samples], dtype=float)
    cells = Cells(
        mean=np.array([_mean(values) for values in samples]),
        var=np.array([_var(values) for values in samples]),
        n=n,
        declared=n,
        pooled=np.array([not runs[arm].shares(counts[arm])[0] for arm in runs]),
    )
    m = len(runs) - 1
    weights = np.hstack([-np.ones((m, 1)), np.eye(m)])
    delta, se, df = errors(cells, weights, floor=rule.floor)
    # Bonferroni's half-widths, as within seeds: only their ratio counts, the look has levels.
    apart = assemble(delta, se, df, alpha=rule.alpha)
    if rule.method not in {"auto", "auto-paired"} or paired is False:
        return apart, paired
    within = _within(runs, counts, going)
    together = estimate_pairs(within, alpha=rule.alpha, floor=rule.floor)
    most = max(counts[arm] for arm in going) if going else 0
    if paired is None and most >= FEW_SEEDS and len(going) * (most - 1) >= EVIDENCE:
        open_ = np.array([arm in going for arm in list(runs)[1:]])
        still = replace(apart, half=np.where(open_, apart.half, np.nan))
        paired = bool(pays(within, still, together))
    return (together if paired else apart), paired


def _within(runs: Mapping[str, Run], counts: Mapping[str, int], going: Sequence[str]) -> Pairs:
    """Open arms minus baseline within seeds; closed arms count no seed."""
    base, *arms = runs
    columns = []
    for arm in arms:
        if arm not in going:
            columns.append((np.nan, np.nan, np.nan, 0))
            continue
        one, other = (runs[name].values[: counts[arm]] for name in (arm, base))
        both = ~np.isnan(one - other)
        one, other = one[both], other[both]
        gap, spread = one - other, _var(one) + _var(other)
        columns.append((_mean(gap), _var(gap), spread, len(gap)))
    mean, var, unpaired, n = (
        np.array(column, dtype=float) for column in zip(*columns, strict=True)
    )
    return Pairs(mean=mean, var=var, unpaired=unpaired, n=n)


def _decide(family: Estimates, states: dict[str, State], at: tuple[int, int], rule: Rule) -> None:
    """Close what this look decides, largest evidence first."""
    i, look = at
    arms, m = list(states), len(states)
    levels = [nominal(rule.looks, rule.alpha / k)[i] for k in range(m, 0, -1)]
    near_level = nominal(rule.looks, 2 * rule.alpha / m)[i]  # two one-sided tests at alpha / m
    rejected = sum(state.word in {"better", "worse"} for state in states.values())
    going = [j for j in range(m) if states[arms[j]].word == "pending"]
    found = True
    # Holm: what is found raises the level for the rest, which may then be found as well.
    while found:
        hits = [j for j in going if family.p[j] <= levels[min(rejected, m - 1)]]
        found = bool(hits)
        for j in hits:
            state = _state(family, j, look, (levels[min(rejected, m - 1)], near_level))
            states[arms[j]] = replace(state, word="better" if state.delta > 0 else "worse")
        going = [j for j in going if j not in hits]
        rejected += len(hits)
    for j in going:
        state = _state(family, j, look, (levels[min(rejected, m - 1)], near_level))
        if rule.rope is not None and -rule.rope < state.near[0] and state.near[1] < rule.rope:
            state = replace(state, word="equivalent")
        elif i == len(rule.looks) - 1:
            state = replace(state, word="undecided")
        states[arms[j]] = state


def _state(family: Estimates, j: int, look: int, levels: tuple[float, float]) -> State:
    """One arm's numbers at a look."""
    delta, se, df = (float(each[j]) for each in (family.delta, family.se, family.df))
    half, half_near = (float(t_quantile(1 - level / 2, df)) * se for level in levels)
    return State(
        look=look,
        delta=delta,
        low=delta - half,
        high=delta + half,
        near=(delta - half_near, delta + half_near),
        p=float(two_sided_p(delta / se, df)),
        level=levels[0],
        se=se,
        df=df,
    )
