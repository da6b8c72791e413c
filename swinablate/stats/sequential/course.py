"""Seeds until the answer is known: a group-sequential design for comparisons of arms.

Every arm runs its seeds up to the next look, the baseline twice as many. At a look the arms
whose p-value falls below the level spent for it are better or worse, those whose interval lies
within the rope are equivalent, and the others go on. The error rate of the family holds over
all arms and all looks (Holm over arms, spending alpha * t^2 over looks). The interval of an arm
is the repeated one at the level of the look that decided: it excludes 0 exactly if the verdict
is better or worse.

Comparisons that were declared one by one are a family of their own, with looks and error rate of
their own: an open one asks for the seeds of its arms, also of arms that are decided already. At a
look it sees the first seeds of each, as many as the look has, whatever else has been decided, so
that nothing it is judged by was chosen by results.

An arm of which a seed failed is closed. Seeds that diverged are counted: an arm that diverges more
often than the baseline fails to train, and is closed; others go on with the seeds that are left.

Source: Jennison, Turnbull, Group Sequential Methods (1999), chapters 7 and 9; Holm (1979).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from swinablate.stats.critical import Floats, t_quantile, two_sided_p
from swinablate.stats.declaration import ARMS
from swinablate.stats.estimate import (
    BASELINE_RATIO,
    FEW_SEEDS,
    TESTED,
    Cells,
    Contrast,
    Estimates,
    assemble,
    errors,
)
from swinablate.stats.paired import EVIDENCE, Pairs, estimate_pairs, pays
from swinablate.stats.seeds.convergence import NO_NOISE, helped, left, two_sides, worst_case
from swinablate.stats.seeds.shares import BASELINE, Pair, Share, pair_shares
from swinablate.stats.sequential.spending import nominal
from swinablate.stats.sequential.states import Course, Rule, Run, State, pending


def course(
    runs: Mapping[str, Run], rule: Rule, families: Mapping[str, Sequence[Contrast]] | None = None
) -> Course:
    """Replay every look that the recorded seeds reach, from the first.

    Pure: the same seeds give the same course, however often and whenever it is asked for.

    Args:
        runs: the baseline first.
        rule: what was fixed before.
        families: comparisons, each family with the whole error rate; None compares every arm
            with the baseline.
    """
    base = next(iter(runs))
    families = families or {ARMS: [_with(arm, base) for arm in runs if arm != base]}
    every = {one.name: one.weights for family in families.values() for one in family}
    states = {name: State() for name in every}
    counts = dict.fromkeys(runs, 0)
    reached = dict(counts)
    trace: list[Mapping[str, State]] = []
    paired: dict[str, bool | None] = dict.fromkeys(families)
    for i, look in enumerate(rule.looks):
        going = pending(states)
        if not going:
            break
        # The first look is one of all arms; later ones of those that an open comparison needs.
        used = {arm for name in going for arm in every[name]} | (set() if i else {base})
        counts |= {arm: BASELINE_RATIO * look if arm == base else look for arm in used}
        if any(len(runs[arm].values) < counts[arm] for arm in used):
            break
        reached = dict(counts)
        _drop_failed(runs, counts, states, (every, look))
        for family, members in families.items():
            mine = {one.name: states[one.name] for one in members}
            found = _drop_failing(runs, counts, mine, (members, look), (rule, i))
            open_ = pending(mine)
            if open_:
                numbers, paired[family] = _estimate(
                    runs, counts, (members, open_, look), rule, paired=paired[family]
                )
                _decide(numbers, mine, (i, look), rule)
            for name in open_:
                now = replace(mine[name], share=found.get(name))
                mine[name] = _told(runs, counts, now, every[name], rule)
            states |= mine
        trace.append(dict(states))
    return Course(
        states=states,
        wanted=counts,
        reached=reached,
        trace=tuple(trace),
        paired=paired,
    )


def at_looks(
    runs: Mapping[str, Run],
    rule: Rule,
    stops: Mapping[str, int],
    families: Mapping[str, Sequence[Contrast]] | None = None,
) -> dict[str, State]:
    """Judge comparisons at looks that something else chose: repeated intervals, no stopping.

    A repeated interval holds at whatever look one stops, and for whatever reason: over all looks
    and all comparisons of a family together they miss with the error rate of the family. So
    another metric may have decided when. Holm's step is left out, for it would need the course.

    Args:
        runs: the baseline first.
        rule: what was fixed before; its looks, error rate and rope.
        stops: comparison -> seeds at the look that closed it; 0 if none did.
        families: as for `course`.
    """
    base = next(iter(runs))
    families = families or {ARMS: [_with(arm, base) for arm in runs if arm != base]}
    found: dict[str, State] = {}
    for members in families.values():
        names = [one.name for one in members]
        level = rule.alpha / len(names)
        for i, look in enumerate(rule.looks):
            mine = [name for name in names if stops[name] == look]
            if not mine:
                continue
            counts = _counts(runs, look)
            every = {one.name: one.weights for one in members}
            states = {name: State() if name in mine else State(word="undecided") for name in names}
            _drop_failed(runs, counts, states, (every, look))
            going = pending(states)
            if going:
                numbers, _ = _estimate(
                    runs,
                    counts,
                    (members, going, look),
                    replace(rule, method="shrunken"),
                    paired=None,
                )
            levels = nominal(rule.looks, level)[i], nominal(rule.looks, 2 * level)[i]
            for name in going:
                state = _state(numbers, names.index(name), look, levels)
                states[name] = _told(runs, counts, _worded(state, rule), every[name], rule)
            found |= {name: states[name] for name in mine}
    return {
        name: found.get(name, State())
        for family in families.values()
        for name in (one.name for one in family)
    }


def _counts(runs: Mapping[str, Run], look: int) -> dict[str, int]:
    """Seeds of each arm at a look, as far as they are recorded: who stopped before has fewer."""
    base = next(iter(runs))
    return {
        arm: min(len(run.values), BASELINE_RATIO * look if arm == base else look)
        for arm, run in runs.items()
    }


def _worded(state: State, rule: Rule) -> State:
    """The state with what its intervals say."""
    if state.p <= state.level:
        sign = 1 if rule.better == "higher" else -1
        return replace(state, word="better" if state.delta * sign > 0 else "worse")
    inside = rule.rope is not None and -rule.rope < state.near[0] and state.near[1] < rule.rope
    return replace(state, word="equivalent" if inside else "undecided")


def _with(arm: str, base: str) -> Contrast:
    return Contrast(name=arm, kind="arm", family=ARMS, weights={arm: 1.0, base: -1.0})


def _closed(
    runs: Mapping[str, Run], counts: Mapping[str, int], weights: Mapping[str, float], look: int
) -> State:
    """A comparison without an interval: the difference of what is left of its arms."""
    delta = sum(w * _mean(runs[arm].upto(counts[arm])) for arm, w in weights.items())
    return State(word="undecided", look=look, delta=delta)


def _drop_failed(
    runs: Mapping[str, Run],
    counts: Mapping[str, int],
    states: dict[str, State],
    at: tuple[Mapping[str, Mapping[str, float]], int],
) -> None:
    """Close comparisons of arms of which a seed failed: what is left is no random sample.

    The difference of what survived is kept, without an interval.
    """
    every, look = at
    gone = {
        arm: run.failed
        for arm, run in runs.items()
        if run.failed is not None and run.failed < counts[arm]
    }
    for name in pending(states):
        who = next((arm for arm in every[name] if arm in gone), None)
        if who is not None:
            state = _closed(runs, counts, every[name], look)
            states[name] = replace(state, reason=f"{who} failed on seed {gone[who]}")


def _drop_failing(
    runs: Mapping[str, Run],
    counts: Mapping[str, int],
    states: dict[str, State],
    at: tuple[Sequence[Contrast], int],
    spending: tuple[Rule, int],
) -> dict[str, Share]:
    """Close differences of two arms of which one diverges more often than the other."""
    (members, look), (rule, i) = at, spending
    base = next(iter(runs))
    going = pending(states)
    pairs = {}
    for one in members:
        sides = two_sides(one.weights) if one.name in going else None
        if sides:
            mine, theirs = (runs[arm].shares(counts[arm]) for arm in sides)
            other = BASELINE if (one.family, sides[1]) == (ARMS, base) else sides[1]
            pairs[one.name] = Pair(sides[0], mine, other, theirs)
    found = pair_shares(pairs, _spent(rule, i))
    weights = {one.name: one.weights for one in members}
    for name, share in found.items():
        if not share.fails and not share.helps:
            continue
        closed = replace(
            _closed(runs, counts, weights[name], look),
            word="fails to train" if share.fails else "undecided",
            reason=share.text if share.fails else helped(share),
            share=share,
        )
        states[name] = _told(runs, counts, closed, weights[name], rule)
    return found


def _spent(rule: Rule, i: int) -> float:
    """The error rate of the shares at one look: what the square of the seeds adds to before.

    Their sum over all looks is alpha, so that it holds however the looks depend on each other.
    """
    before = rule.looks[i - 1] if i else 0
    return rule.alpha * (rule.looks[i] ** 2 - before**2) / rule.looks[-1] ** 2


def _told(
    runs: Mapping[str, Run],
    counts: Mapping[str, int],
    state: State,
    weights: Mapping[str, float],
    rule: Rule,
) -> State:
    """The state with what a reader has to know where there is no interval, or seeds diverged."""
    lost = {name: runs[name].shares(counts[name])[0] for name in weights}
    known = {name: runs[name].upto(counts[name]) for name in lost}
    if state.word == "undecided" and state.reason is None and np.isnan(state.low):
        few = [name for name in lost if len(known[name]) < TESTED]
        why = left(few[0], lost[few[0]], len(known[few[0]])) if few else NO_NOISE
        state = replace(state, reason=why)
    if not any(lost.values()):
        return state
    if not rule.percent:
        return replace(state, given=True)
    worst = worst_case(
        weights, {name: (_mean(known[name]), len(known[name]), lost[name]) for name in lost}
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
    at: tuple[Sequence[Contrast], Sequence[str], int],
    rule: Rule,
    *,
    paired: bool | None,
) -> tuple[Estimates, bool | None]:
    """The numbers of a family at this look, and whether they are within seeds."""
    members, going, look = at
    samples = [runs[arm].upto(counts[arm]) for arm in runs]
    n = np.array([len(values) for values in samples], dtype=float)
    cells = Cells(
        mean=np.array([_mean(values) for values in samples]),
        var=np.array([_var(values) for values in samples]),
        n=n,
        declared=n,
        pooled=np.array([not runs[arm].shares(counts[arm])[0] for arm in runs]),
    )
    weights = np.array([[one.weights.get(arm, 0.0) for arm in runs] for one in members])
    delta, se, df = errors(cells, weights, floor=rule.floor)
    # Bonferroni's half-widths, as within seeds: only their ratio counts, the look has levels.
    apart = assemble(delta, se, df, alpha=rule.alpha)
    if rule.method not in {"auto", "auto-paired"} or paired is False:
        return apart, paired
    within = _within(runs, members, going, look)
    together = estimate_pairs(within, alpha=rule.alpha, floor=rule.floor)
    if paired is None and look >= FEW_SEEDS and len(going) * (look - 1) >= EVIDENCE:
        open_ = np.array([one.name in going for one in members])
        still = replace(apart, half=np.where(open_, apart.half, np.nan))
        paired = bool(pays(within, still, together))
    return (together if paired else apart), paired


def _within(
    runs: Mapping[str, Run], members: Sequence[Contrast], going: Sequence[str], look: int
) -> Pairs:
    """Open comparisons within the seeds of a look; closed ones count no seed."""
    columns = []
    for one in members:
        if one.name not in going:
            columns.append((np.nan, np.nan, np.nan, 0))
            continue
        weights = np.array([*one.weights.values()])
        table = np.array([runs[arm].values[:look] for arm in one.weights])
        table = table[:, ~np.isnan(table).any(axis=0)]
        gap = weights @ table
        spread = sum(w**2 * _var(row) for w, row in zip(weights, table, strict=True))
        columns.append((_mean(gap), _var(gap), float(spread), len(gap)))
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
    sign = 1 if rule.better == "higher" else -1
    found = True
    # Holm: what is found raises the level for the rest, which may then be found as well.
    while found:
        hits = [j for j in going if family.p[j] <= levels[min(rejected, m - 1)]]
        found = bool(hits)
        for j in hits:
            state = _state(family, j, look, (levels[min(rejected, m - 1)], near_level))
            states[arms[j]] = replace(state, word="better" if state.delta * sign > 0 else "worse")
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
