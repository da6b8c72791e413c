"""From records to an answer: the tables, the verdicts, the warnings of one study."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from swinablate.records.home import Home
from swinablate.records.launch import Launch, launch_of
from swinablate.records.outcome import Outcome
from swinablate.records.plan import PlanRecord, at_home, everything
from swinablate.records.provenance import provenance
from swinablate.records.tables import (
    TUNING,
    confusions,
    curves_table,
    recalls_table,
    tabulated,
    trials_table,
    unrecorded,
)
from swinablate.report.families.contention import contention
from swinablate.report.families.datasets import each_of, over_sets
from swinablate.report.families.equal_cost import curve_effects
from swinablate.report.families.further import further
from swinablate.report.families.scales import scale_decides
from swinablate.report.families.shares import shares_of
from swinablate.report.families.sources import sources
from swinablate.report.families.trends import trends, tuned_trends
from swinablate.report.families.tuned_effects import tuned_effects
from swinablate.report.results import StudyResults, judge_trials, unhurried
from swinablate.scheduling.due import Due, State, due
from swinablate.scheduling.first import remark
from swinablate.scheduling.ledger import choices, tune_rows, tuned_rows
from swinablate.scheduling.unchanged import unchanged, unheard
from swinablate.stats import Declaration, Verdicts, Warn
from swinablate.stats.sentence import count_range
from swinablate.study.declared import declaration, effects_of, failing_cells
from swinablate.text import signed

TILED, GRAPH = "banded=1 ", "graph=1 "
"""Of an execution class, as `trials.csv` has it."""
ISO_COST = 0.05
"""Arms further than this from the baseline's parameters or MACs are not iso-cost."""


@unhurried()
def gather(home: Home, name: str) -> StudyResults:
    """Read what was recorded of a study's newest declaration and judge it.

    Args:
        home: where the study ran.
        name: the study.

    Raises:
        InputError: the study was never run in this home.
    """
    ladder = home.declared(name)
    plan = at_home(ladder)
    now, recorded = stand(home, ladder)
    every = counted(ladder, now, recorded)
    mine = _at_home(plan, now, every)
    trials, away = (every[some].reset_index(drop=True) for some in (mine, ~mine))
    curves = curves_table(plan, recorded)
    declared = declaration(plan, trials)
    judged = judge(plan, declared, now, trials)
    contended = contention(plan, trials)
    timed = not contended
    own = plan.baseline.commanded  # its curve is of what is compared already
    secondary = [] if own else curve_effects(plan, declared, trials, curves, timed=timed)
    found = [*judged.warnings, *warnings(plan, trials), *_declarations(home, ladder)]
    found += _without(plan, declared, trials)
    found += [*contended, *unchanged(plan, recorded), *unheard(plan, recorded)]
    found += [Warn("W29", text) for text in [remark(plan, recorded)] if text]
    found += scale_decides(plan, judged, trials)
    tuned = None
    if plan.tune:
        tuned = tuned_effects(plan, declared, recorded, judged, ended=now.spent)
        found += tuned.warnings
        secondary += tuned.effects
    judged = replace(
        judged,
        contrasts=(*judged.contrasts, *secondary),
        warnings=tuple(sorted(found, key=lambda w: int(w.code[1:]))),
    )
    looked = now.decisions.verdicts if now.decisions else None
    sets = each_of(ladder, every)
    beside = further(plan, trials, looked, timed=timed)
    beside |= trends(ladder, every, declared, ended=now.spent)
    if climbing := tuned_trends(ladder, recorded, declared):
        beside["scale"] = [*beside["scale"], *climbing]
    return StudyResults(
        plan=plan,
        trials=trials,
        curves=curves,
        verdicts=judged.to_json()
        | beside
        | sources(plan, declared, trials, tuned.trials if tuned else None)
        | shares_of(plan, declared, trials)
        | over_sets(ladder, sets)
        | ({"tuning": tuned.summary} if tuned else {}),
        provenance=origin(ladder, recorded, launch_of(home, plan)),
        tuning=tuned.trials if tuned else pd.DataFrame(columns=list(TUNING)),
        recalls=recalls_table(plan, recorded),
        confusions=confusions(plan, recorded),
        ladder=ladder if len(away) else None,
        away=away,
        tuned_away=_tuned_away(ladder, recorded) if plan.tune else pd.DataFrame(),
        sets=sets,
    )


def _tuned_away(plan: PlanRecord, recorded: Mapping[str, Outcome]) -> pd.DataFrame:
    """What tuning ran at the other rungs, as `tuning` lists it."""
    away = plan.scale.others if plan.scale else frozenset()
    rows = [*tune_rows(plan), *tuned_rows(plan, choices(plan, recorded))]
    return tabulated(plan, [row for row in rows if row.arm.name in away], recorded)


def _at_home(plan: PlanRecord, now: Due, every: pd.DataFrame) -> "pd.Series[bool]":
    """Which trials the verdicts are about: those at home; with looks, until the one that decided.

    Others of home were trained later for a trend that was still open.
    """
    if now.decisions is None:
        return every.arm.isin([arm.name for arm in plan.arms])
    judged = now.decisions.verdicts
    due = {each.name: each.planned for each in (judged.baseline, *judged.arms)}
    return every.seed < every.arm.map(due).fillna(0)


def stand(home: Home, plan: PlanRecord) -> tuple[Due, dict[str, Outcome]]:
    """Where a declared study stands, and the outcomes that count."""
    known = home.outcomes(everything(plan))
    now = due(State.of(plan, known))
    mine = {row.trial for row in now.rows}
    return now, {trial: outcome for trial, outcome in known.items() if trial in mine}


def counted(plan: PlanRecord, now: Due, recorded: Mapping[str, Outcome]) -> pd.DataFrame:
    """The table of the trials that count; seeds nobody asked for are no part of it."""
    table = trials_table(plan, recorded)
    mine = [row.trial for row in now.rows]
    return table[table.trial.isin(mine)].reset_index(drop=True)


def judge(plan: PlanRecord, declared: Declaration, now: Due, trials: pd.DataFrame) -> Verdicts:
    """The verdicts on what counts; with adaptive seeds, those of the looks."""
    if now.decisions is not None:
        return now.decisions.verdicts
    return judge_trials(plan, declared, trials)


def warnings(plan: PlanRecord, trials: pd.DataFrame) -> tuple[Warn, ...]:
    """The warnings that need more than the accuracies, the plan's own among them."""
    found = [Warn(w.code, w.text) for w in plan.warnings]
    arms = {arm.name: arm for arm in plan.arms}
    for arm in plan.arms[1:]:
        base = arms.get(arm.against, plan.baseline)
        sizes = {"parameters": (arm.params, base.params), "MACs": (arm.macs, base.macs)}
        # Of a network without matrix products, or trained elsewhere, a size may be 0 or unknown.
        off = {key: ours / theirs - 1 for key, (ours, theirs) in sizes.items() if ours and theirs}
        if any(abs(share) > ISO_COST for share in off.values()):
            text = ", ".join(f"{signed(100 * share, 0)} % {key}" for key, share in off.items())
            found.append(Warn("W10", f"{arm.name}: {text}: not an iso-cost comparison."))
    found += [
        Warn("W13", f"{r.name} is {r.same_as} by another name: its change does nothing.")
        for r in plan.refusals
        if r.cell and r.same_as
    ]
    _, lost = effects_of(plan)
    if lost and not any(w.code == "W14" for w in plan.warnings):  # as of 0.2 the plan says it
        text = f"not estimable from the cells that could be run: {', '.join(lost)}."
        found.append(Warn("W14", text))
    found += _unrecorded(plan, trials)
    # A command says less of how it ran than a network does: each kind is a class of its own.
    apart = trials.arm.isin(plan.apart)
    for machines in (_classes(trials[~apart]), _classes(trials[apart])):
        if len(machines) > 1:
            said = f"trials ran under {len(machines)} execution classes: {'; '.join(machines)}"
            found.append(Warn("W11", said))
    return tuple(found)


def _classes(trials: pd.DataFrame) -> list[str]:
    """The execution classes under which trials ran.

    That a band was cut to tiles (`training.fit.rounding`) is no class of its own, for an arm has a
    band and its baseline has none; but of one arm some trials may be older than the tiles. That
    a GPU repeated steps as a graph changes no number.
    """
    known = trials.dropna(subset="execution")
    known = known.assign(execution=known.execution.str.replace(GRAPH, "", regex=False))
    tiled = known.execution.str.contains(TILED, regex=False)
    mixed = tiled.groupby(known.arm).transform("nunique") > 1
    plain = known.execution.str.replace(TILED, "", regex=False)
    return sorted(known.execution.where(mixed, plain).unique())


def _unrecorded(plan: PlanRecord, trials: pd.DataFrame) -> Iterator[Warn]:
    """W23: metrics that trials of an earlier version, or whose logits overflowed, do not have."""
    found: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for name in plan.metrics:
        lacking = trials[unrecorded(trials, name)]
        seeds = lacking.groupby("arm", sort=False).seed
        who = "; ".join(f"{arm} seed {', '.join(map(str, own))}" for arm, own in seeds)
        if who:
            found[who, len(lacking)].append(name)
    for (who, number), names in found.items():
        yield Warn(
            "W23",
            f"not recorded, and not to be measured from kept weights: {', '.join(names)} of "
            f"{number} trial{'' if number == 1 else 's'} ({who}). Nothing is said of these arms "
            "there.",
        )


def _without(plan: PlanRecord, declared: Declaration, trials: pd.DataFrame) -> Iterator[Warn]:
    """W14: effects that are told without the cells that fail to train."""
    failing = failing_cells(plan, trials, declared)
    told = [c.name for c in declared.contrasts if not failing & c.weights.keys()]
    if failing and told:
        yield Warn(
            "W14",
            f"{', '.join(sorted(failing))}: left out of the design's effects, for it fails to "
            f"train; as if no three switches acted together: {', '.join(told)}.",
        )


def _declarations(home: Home, plan: PlanRecord) -> Iterator[Warn]:
    """W8: it was declared otherwise, too; W9: with fewer seeds, and what they had answered.

    Args:
        home: where the study ran.
        plan: a recorded plan, with the arms of all rungs.
    """
    digests = [d for d in home.declarations(plan.study) if d != plan.declaration]
    others = [home.declared(plan.study, digest) for digest in digests]
    shorter = [other for other in others if _extends(plan, other)]
    if len(shorter) < len(others):
        yield Warn(
            "W8",
            f"{len(others) + 1} declarations of this study were run; this is the newest. "
            "Changing arms, seeds or the rope after looking makes a new analysis.",
        )
    for other in shorter:
        now, recorded = stand(home, other)
        alone = at_home(other)
        trials = counted(alone, now, recorded)
        declared = declaration(alone, trials)
        said = judge(alone, declared, now, trials)
        words = "; ".join(f"{arm.name} {arm.verdict}" for arm in said.arms)
        block = trends(other, counted(other, now, recorded), declared, ended=now.spent)
        moves = [f"{one['arm']} {one['answer']}" for one in block.get("scale", ())]
        words += f"; over scales {'; '.join(moves)}" if moves else ""
        added = ""
        if other.declaration == plan.parent:
            times = len(shorter) + 1
            most = 100 * times * plan.compare.alpha
            added = (
                " What was undecided there got more seeds, what was decided did not: over "
                f"{times} analyses a word is wrong in up to {most:g} % of such studies."
            )
        yield Warn(
            "W9",
            f"an extension of a study declared with {_seeds(other)}: this is another analysis, "
            f"whose error rate does not count the first. The first one says: {words}.{added}",
        )


def _extends(plan: PlanRecord, other: PlanRecord) -> bool:
    """Whether the plan asks the other's question with more seeds."""

    def asked(one: PlanRecord) -> list[object]:
        arms = [(arm.name, arm.recipe_digest, arm.against) for arm in one.arms]
        return [one.design, one.compare, one.hypotheses, one.contrasts, arms]

    def most(one: PlanRecord) -> int:
        return sum(len(arm.seeds) for arm in one.arms)

    return asked(plan) == asked(other) and most(plan) > most(other) and _same_files(plan, other)


def _same_files(plan: PlanRecord, other: PlanRecord) -> bool:
    """Whether the other's seeds, where each has a file of its own, start from the same ones."""
    ours, theirs = ([arm.starts.get("final", {}) for arm in one.arms] for one in (plan, other))
    return all(b.items() <= a.items() for a, b in zip(ours, theirs, strict=True))


def _seeds(plan: PlanRecord) -> str:
    looks = [look.seeds for look in plan.looks]
    if looks:
        return f"looks at {', '.join(map(str, looks))} seeds"
    return f"{count_range([len(arm.seeds) for arm in plan.arms[1:]])} an arm"


def origin(plan: PlanRecord, recorded: Mapping[str, Outcome], launch: Launch) -> dict[str, Any]:
    """Where the numbers come from: commits, machines, data, hours, and commands if they are known.

    Args:
        plan: as declared.
        recorded: trial id -> outcome.
        launch: how it was started.
    """
    outcomes = list(recorded.values())
    seconds = [outcome.seconds for outcome in outcomes]
    lost = [s for s, o in zip(seconds, outcomes, strict=True) if o.status != "done"]
    return {
        "report": provenance(),
        "trials": _distinct([o.provenance for o in outcomes]),
        "execution": _distinct([o.execution for o in outcomes if o.execution]),
        "declaration": plan.declaration,
        "seeds": list(plan.baseline.seeds),
        "data": plan.baseline.dataset,
        "hours": round(sum(seconds) / 3600, 4),  # a third of a second
        "hours_failed": round(sum(lost) / 3600, 4),
        "attempts": sum(o.attempt for o in outcomes),
        **_commands(launch),
    }


def _commands(launch: Launch) -> dict[str, Any]:
    """What repeats the study, with the variables that it needs, and what shows it."""
    found = {
        "command": launch.whole,
        "variables": list(launch.variables),
        "ui": launch.says("ui"),
    }
    return {key: said for key, said in found.items() if said}


def _distinct(values: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for value in values:
        if dict(value) not in found:
            found.append(dict(value))
    return found
