"""What is told beside the comparison: other metrics, and what a hypothesis says a change costs.

Each is a family of its own at the study's error rate and decides nothing about the comparison.
Parameters and MACs are known exactly; all else is judged as accuracies are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from swinablate.config.metrics import Metric, metric
from swinablate.records.plan import ArmRecord, PlanRecord
from swinablate.records.tables import valued
from swinablate.report.families.contention import TIMES, UNTOLD
from swinablate.report.results import judge_trials
from swinablate.stats import (
    ArmVerdict,
    Declaration,
    Hypothesis,
    HypothesisAnswer,
    Tally,
    Verdicts,
    beside,
)
from swinablate.stats.declaration import Judged, Reply, Word
from swinablate.stats.judge import reply
from swinablate.study.declared import about, comparisons_of, said_of
from swinablate.text import EXACT, after_difference, signed

COMPARED = (
    *("delta_pp", "ci_low", "ci_high", "equivalence_low", "equivalence_high", "p", "p_holm"),
    *("se", "df", "detectable_pp", "seeds_needed"),
)
"""What a comparison says in numbers."""


def further(
    plan: PlanRecord,
    trials: pd.DataFrame,
    looked: Verdicts | None = None,
    *,
    timed: bool = True,
) -> dict[str, list[dict[str, Any]]]:
    """The blocks `secondary` and `quantities` of verdicts.json; none where none was asked for.

    Each entry has the form of verdicts.json itself.

    Args:
        plan: a recorded plan.
        trials: a row for every trial that counts.
        looked: the verdicts of the study's looks, which chose how many seeds there are.
        timed: False withholds what is measured in time, for it does not compare.
    """
    others = plan.compare.secondary
    asked = [name for name in plan.metrics if name not in {plan.compare.metric, *others}]
    named = {"secondary": others, "quantities": asked}
    return {
        key: [
            (
                _block(plan, trials, row, looked)
                if timed or row.name not in TIMES
                else _withheld(plan, _block(plan, trials, row, looked), row)
            ).to_json()
            for row in map(metric, names)
        ]
        for key, names in named.items()
        if names
    }


def _block(
    plan: PlanRecord, trials: pd.DataFrame, row: Metric, looked: Verdicts | None
) -> Verdicts:
    """What the study compares, in one metric or quantity."""
    declared = Declaration(
        **said_of(row, plan, trials),
        alpha=plan.compare.alpha,
        planned={str(arm): len(rows) for arm, rows in trials.groupby("arm", sort=False)},
        contrasts=tuple(replace(each, metric=row.name) for each in comparisons_of(plan)[0]),
    )
    asked = about(plan, row.name)
    if row.exact:
        return _exact(plan, row, declared, asked)
    if looked is None:
        found = judge_trials(plan, declared, trials)
    else:
        frame = valued(trials, declared.metric, declared.unit)
        found = beside(frame[frame.status != "waiting"], declared, looked)
    arms = (replace(a, hypotheses=tuple(_replies(a, a.name, asked, row))) for a in found.arms)
    among = (
        replace(e, hypotheses=tuple(_replies(e, e.contrast.name, asked, row)))
        for e in found.contrasts
    )
    return replace(found, arms=tuple(arms), contrasts=tuple(among))


def _withheld(plan: PlanRecord, found: Verdicts, row: Metric) -> Verdicts:
    """The block without its comparisons; every arm keeps what was measured."""
    asked = about(plan, row.name)

    def untold(one: Judged, name: str) -> dict[str, Any]:
        shut: dict[str, Any] = dict.fromkeys(COMPARED)
        bare = replace(one, **shut, verdict="not tested", negligible=False, reason=UNTOLD)
        return {**shut, "verdict": "not tested", "negligible": False, "reason": UNTOLD,
                "hypotheses": tuple(_replies(bare, name, asked, row))}  # fmt: skip

    return replace(
        found,
        arms=tuple(
            replace(a, **untold(a, a.name), sentence=f"{a.name}: not tested ({UNTOLD}).")
            for a in found.arms
        ),
        contrasts=tuple(replace(e, **untold(e, e.contrast.name)) for e in found.contrasts),
    )


def _replies(
    found: Judged, name: str, asked: tuple[Hypothesis, ...], row: Metric
) -> Iterator[HypothesisAnswer]:
    """What the intervals say of the hypotheses about it; `by` is the margin of equivalence."""
    for one in asked:
        if one.arm == name:
            yield HypothesisAnswer(one.expect, one.by, _reply(found, one, row))


def _reply(arm: Judged, asked: Hypothesis, row: Metric) -> Reply:
    ends = (arm.ci_low, arm.ci_high, arm.equivalence_low, arm.equivalence_high)
    if arm.reason or any(end is None for end in ends):
        return "unresolved"
    low, high, near_low, near_high = (float(end or 0.0) for end in ends)
    margin = asked.by if asked.expect == "equivalent" else None
    inside = margin is not None and -margin < near_low and near_high < margin
    if row.exact and margin is not None:
        return "supported" if abs(low) <= margin else "contradicted"
    good = (low, high) if row.better == "higher" else (-high, -low)
    return reply(asked, good, margin, inside=inside)


def _exact(
    plan: PlanRecord, row: Metric, declared: Declaration, asked: tuple[Hypothesis, ...]
) -> Verdicts:
    """Whole numbers that the plan knows: their difference has no interval, or one of no width."""
    base, *arms = plan.arms
    known = {arm.name: arm for arm in plan.arms}
    known |= {r.name: known[r.same_as] for r in plan.refusals if r.same_as}
    found = [_known(arm, known.get(arm.against, base), row) for arm in arms]
    return Verdicts(
        declaration=declared,
        method=EXACT,
        methods=f"The plan knows the {row.called} of every arm; no seed changes it.",
        baseline=_tally(base, row),
        arms=tuple(
            replace(arm, hypotheses=tuple(_replies(arm, arm.name, asked, row))) for arm in found
        ),
        contrasts=(),
        warnings=(),
    )  # fmt: skip


def _known(arm: ArmRecord, base: ArmRecord, row: Metric) -> ArmVerdict:
    own, theirs = (getattr(one, row.column) for one in (arm, base))
    delta = None if own is None or theirs is None else float(own - theirs)
    word: Word = "not tested"
    if delta is not None:
        good = delta * (1 if row.better == "higher" else -1)
        word = "equivalent" if not good else "better" if good > 0 else "worse"
    shown = f"{signed(delta, 0)}{after_difference(row.unit)}"
    return ArmVerdict(
        **vars(_tally(arm, row)),
        sentence=f"{arm.name}: {shown}, {EXACT}: {word}.",
        delta_pp=delta,
        ci_low=delta,
        ci_high=delta,
        equivalence_low=delta,
        equivalence_high=delta,
        p=None,
        p_holm=None,
        se=None,
        df=None,
        verdict=word,
        negligible=False,
        detectable_pp=None,
        seeds_needed=None,
        reason=None if delta is not None else f"the plan does not know its {row.called}",
        method=EXACT,
        pairs=None,
    )


def _tally(arm: ArmRecord, row: Metric) -> Tally:
    value = getattr(arm, row.column)
    return Tally(
        name=arm.name,
        planned=len(arm.seeds),
        n=len(arm.seeds),
        mean=None if value is None else float(value),
        sd=None,
        diverged=0,
        failed=0,
        waiting=0,
        divergence_low=None,
        divergence_high=None,
    )


def blocks_of(judged: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The blocks of verdicts.json, those of metrics first."""
    return [*judged.get("secondary", ()), *judged.get("quantities", ())]


def among(block: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The contrasts of a block that are no arm's."""
    arms = {arm["name"] for arm in block["arms"]}
    return [one for one in block["contrasts"] if one["name"] not in arms]


def table(blocks: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A row for every metric and arm, the baseline first: `tables/further.csv`."""
    keys = ("n", "mean", "sd", "delta_pp", "ci_low", "ci_high", "p_holm", "verdict")
    rows = [
        {
            "metric": block["metric"],
            "unit": block.get("unit", "pp"),
            "better": block.get("better", "higher"),
            "arm": arm["name"],
            **{key: arm.get(key) for key in keys},
        }
        for block in blocks
        for arm in (block["baseline"], *block["arms"], *among(block))
    ]
    return pd.DataFrame(rows, columns=["metric", "unit", "better", "arm", *keys])
