"""The group-sequential design at the door: a table in; verdicts, and what to run next, out."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from swinablate.stats.critical import t_quantile
from swinablate.stats.declaration import (
    ARMS,
    CONTRASTS,
    Declaration,
    Estimate,
    HypothesisAnswer,
    Step,
    Verdicts,
    Warn,
)
from swinablate.stats.estimate import Contrast, Method
from swinablate.stats.judge import CHOSEN, reply, unpaired, unrecorded
from swinablate.stats.planned.exaggeration import exaggerated
from swinablate.stats.power import detected
from swinablate.stats.sample import Sample, read_samples
from swinablate.stats.seeds.caution import cautions
from swinablate.stats.seeds.convergence import failed_reply
from swinablate.stats.sentence import SEQUENTIAL, methods_beside, sequential_methods
from swinablate.stats.sequential.course import at_looks, course
from swinablate.stats.sequential.spending import check_looks
from swinablate.stats.sequential.states import Course, Rule, Run, State
from swinablate.stats.verdict import against, arm_verdicts, of_arms, told
from swinablate.text import known_or_none

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """Where an adaptive study stands.

    Attributes:
        verdicts: as of a study with fixed seeds; open arms are pending.
        wanted: seeds 0 .. k - 1 that the baseline and each arm should have by now.
        reached: seeds of each at the last look that was taken.
        done: every comparison is closed; nothing is left to run.
        look: seeds an arm had at the last look; 0 before the first.
        trace: for every look and comparison, its interval and verdict there.
        going: arms of a scale's rungs that open trends are made of.
    """

    verdicts: Verdicts
    wanted: Mapping[str, int]
    reached: Mapping[str, int]
    done: bool
    look: int
    trace: tuple[Mapping[str, State], ...]
    going: frozenset[str] = frozenset()


def look(
    frame: "pd.DataFrame",
    looks: Sequence[int],
    declaration: Declaration,
    *,
    warnings: Sequence[Warn] = (),
    method: Method = "auto",
    ended: bool = False,
) -> Decisions:
    """Replay all looks that the results reach; say what is decided and what to run next.

    Pure, and independent of the order in which trials finish: seeds count from 0 without a
    gap, and a look is taken when every open arm, and the baseline, has all of its seeds.

    Args:
        frame: as for `verdicts`; seeds are 0, 1, 2, ...
        looks: seeds of an arm at each look; the baseline has twice as many. Part of what was
            declared: other looks are another study.
        declaration: what was fixed before the first result; `planned` names all arms.
        warnings: those that need more than results.
        method: "auto" lets the first look with enough evidence decide whether to judge within
            seeds; "shrunken" never does.
        ended: the study's budget is met. What was not decided at the last look stays undecided;
            error that was not spent is lost, none is spent twice.

    Raises:
        InputError: the looks do not rise from 3, or the table cannot be read.
    """
    check_looks(looks)
    rule = _rule(looks, declaration, method)
    samples = read_samples(frame, declaration)
    families = _families(list(samples), declaration)
    now = course({arm: _run(sample) for arm, sample in samples.items()}, rule, families)
    wanted = now.wanted
    if ended and now.open:
        now = replace(now, states=_closed(now))
        wanted = now.reached
    samples = _due(frame, wanted, declaration)
    return Decisions(
        verdicts=_verdicts(samples, (now, families), rule, declaration, warnings),
        wanted=wanted,
        reached=now.reached,
        done=not now.open,
        look=max((state.look for state in now.states.values()), default=0),
        trace=now.trace,
    )


def beside(frame: "pd.DataFrame", declaration: Declaration, first: Verdicts) -> Verdicts:
    """Judge another metric of a study whose own metric decided how many seeds there are.

    Every comparison is judged once, by its repeated interval of the look at which the first
    metric closed it: such intervals miss with the family's error rate over all looks together,
    so that it does not matter who chose the look. What is open there is pending here.

    Args:
        frame: as for `look`.
        declaration: what is asked of the other metric.
        first: the verdicts on the study's own.
    """
    rule = _rule(first.looks, declaration, "shrunken")
    wanted = {each.name: each.planned for each in (first.baseline, *first.arms)}
    samples = _due(frame, wanted, declaration)
    families = _families(list(samples), declaration)
    closed = {each.contrast.name: each for each in first.contrasts}
    stops = {
        one.name: 0 if closed[one.name].verdict == "pending" else closed[one.name].look or 0
        for members in families.values()
        for one in members
    }
    runs = {arm: _run(sample) for arm, sample in samples.items()}
    states = at_looks(runs, rule, stops, families)
    now = Course(
        states={
            one.name: _beside(one, states[one.name], closed[one.name], declaration)
            for members in families.values()
            for one in members
        },
        wanted=wanted,
        reached=wanted,
        trace=(),
        paired=dict.fromkeys(families, False),
    )
    found = _verdicts(samples, (now, families), rule, declaration, ())
    return replace(found, methods=methods_beside(declaration, first.declaration))


def _beside(contrast: Contrast, state: State, first: Estimate, declaration: Declaration) -> State:
    """The state with what else is known of the comparison."""
    share = first.divergence
    if share is not None and (share.fails or share.helps):  # whatever the metric
        return replace(state, word=first.verdict, reason=first.reason)
    if lacking := unrecorded(contrast, declaration):
        return State(word=lacking[0], reason=lacking[1])
    if state.word == "pending" and first.verdict != "pending":
        return replace(state, word="undecided", reason=first.reason)  # before the first look
    return state


def _rule(looks: Sequence[int], declaration: Declaration, method: Method) -> Rule:
    return Rule(
        looks=tuple(looks),
        alpha=declaration.alpha,
        rope=declaration.rope_pp,
        floor=declaration.floor_pp,
        method=unpaired(method) if declaration.apart else method,
        percent=(declaration.unit, declaration.better) == ("pp", "higher"),
        better=declaration.better,
    )


def _due(
    frame: "pd.DataFrame", wanted: Mapping[str, int], declaration: Declaration
) -> dict[str, Sample]:
    """The seeds that are due by now; others may be recorded, by an earlier study, say."""
    rows = zip(frame["arm"], frame["seed"], strict=True)
    due = np.array([int(seed) < wanted[str(arm)] for arm, seed in rows], dtype=bool)
    return read_samples(frame[due], replace(declaration, planned=wanted))


def _closed(now: Course) -> dict[str, State]:
    """The states of a study whose budget is met: what was open has no answer."""
    return {
        arm: replace(state, word="undecided", reason=_met(state)) if arm in now.open else state
        for arm, state in now.states.items()
    }


def _met(state: State) -> str:
    return (
        f"the budget was met after {state.look} seeds"
        if state.look
        else "the budget was met before the first look"
    )


def _families(names: Sequence[str], declaration: Declaration) -> dict[str, list[Contrast]]:
    """The comparisons of each family that has any: with the baseline, and declared one by one."""
    elsewhere = declaration.elsewhere
    arms = [name for name in names if name != declaration.baseline and name not in elsewhere]
    found = {
        ARMS: against(arms, declaration),
        CONTRASTS: [one for one in declaration.contrasts if one.family == CONTRASTS],
    }
    return {family: members for family, members in found.items() if members}


def _verdicts(
    samples: Mapping[str, Sample],
    course: tuple[Course, Mapping[str, Sequence[Contrast]]],
    rule: Rule,
    declaration: Declaration,
    warnings: Sequence[Warn],
) -> Verdicts:
    now, families = course
    estimates = told(
        [
            replace(
                _estimate(contrast, now.states[contrast.name], declaration, now),
                stopped_early=_early(now.states[contrast.name], rule),
            )
            for members in families.values()
            for contrast in members
        ],
        samples,
        declaration,
    )
    of_arm, how = of_arms(estimates), _name(now, ARMS)
    found = [*cautions(samples, declaration), *exaggerated(estimates, declaration), *warnings]
    return Verdicts(
        declaration=declaration,
        method=how,
        methods=sequential_methods(samples, declaration, how, rule.looks),
        baseline=samples[declaration.baseline].tally,
        arms=arm_verdicts(samples, of_arm, families, declaration),
        contrasts=tuple(estimates),
        warnings=tuple(sorted(found, key=lambda warning: int(warning.code[1:]))),
        looks=rule.looks,
        trace=tuple(_trace(now, {*of_arm, *(each.contrast.name for each in estimates)})),
    )


def _trace(now: Course, names: Collection[str]) -> Iterator[Step]:
    """Every look at every comparison that was still open before it."""
    seen: set[str] = set()
    for states in now.trace:
        for arm, state in states.items():
            if arm in seen or arm not in names:
                continue
            if state.word != "pending":
                seen.add(arm)
            yield Step(
                look=state.look,
                arm=arm,
                delta_pp=known_or_none(state.delta),
                ci_low=known_or_none(state.low),
                ci_high=known_or_none(state.high),
                p=known_or_none(state.p),
                level=known_or_none(state.level),
                verdict=state.word,
            )


def _estimate(contrast: Contrast, state: State, declaration: Declaration, now: Course) -> Estimate:
    others = [arm for arm in contrast.weights if arm != declaration.baseline]
    due = max(now.wanted[arm] for arm in others)
    inside = _inside(state, declaration.rope_pp)
    open_ = state.word == "pending"
    judged = bool(np.isfinite(state.low))  # a repeated interval holds whenever a study ends
    reach = detected(float(t_quantile(1 - state.level / 2, state.df)), state.df)
    return Estimate(
        contrast=contrast,
        delta_pp=known_or_none(state.delta),
        ci_low=known_or_none(state.low),
        ci_high=known_or_none(state.high),
        equivalence_low=known_or_none(state.near[0]),
        equivalence_high=known_or_none(state.near[1]),
        p=known_or_none(state.p),
        p_holm=None,  # what the look compares is `p`; a corrected one would ignore the looks
        se=known_or_none(state.se),
        df=known_or_none(state.df),
        verdict=state.word,
        negligible=state.word in {"better", "worse"} and inside,
        detectable_pp=known_or_none(reach * state.se),
        seeds_needed=None,
        reason=f"{due} seeds are due" if open_ else state.reason,
        method=_name(now, contrast.family),
        pairs=state.look if now.paired[contrast.family] else None,
        look=state.look,
        given_convergence=state.given,
        worst_low=state.worst[0],
        worst_high=state.worst[1],
        divergence=state.share if state.given else None,
        hypotheses=tuple(
            HypothesisAnswer(
                asked.expect,
                asked.by,
                failed_reply(asked, whole=np.isnan(state.delta))
                if state.word == "fails to train"
                else reply(
                    asked,
                    declaration.goodwards((state.low, state.high)),
                    declaration.rope_pp,
                    inside=inside,
                )
                if judged and not open_
                else "unresolved",
            )
            for asked in declaration.hypotheses
            if asked.arm == contrast.name
        ),
    )


def _early(state: State, rule: Rule) -> bool:
    """Whether a look before the last decided by the estimate, and so chose by it."""
    return state.word in {"better", "worse", "equivalent"} and state.look < rule.looks[-1]


def _run(sample: Sample) -> Run:
    """The seeds 0, 1, 2, ... of an arm, as far as they are recorded without a gap."""
    known = {int(seed): value for seed, value in zip(sample.seeds, sample.values, strict=True)}
    lost = {int(seed): status for seed, status in sample.lost.items()}
    values: list[float] = []
    while len(values) in known or len(values) in lost:
        values.append(known.get(len(values), np.nan))
    failed = (seed for seed, status in lost.items() if status == "failed" and seed < len(values))
    return Run(values=np.array(values), failed=min(failed, default=None))


def _inside(state: State, rope: float | None) -> bool:
    return rope is not None and -rope < state.near[0] and state.near[1] < rope


def _name(now: Course, family: str) -> str:
    paired = now.paired.get(family)
    kind = "paired t" if paired else "Welch t"
    chosen = f" {CHOSEN}" if paired else ""
    return f"{SEQUENTIAL} {kind}, repeated intervals{chosen}"
