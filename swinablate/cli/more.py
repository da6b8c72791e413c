"""`run --more`: seeds for what a finished study left undecided, and going on with them.

The file of the study stays as it is. An extension is a declaration of its own, whose record names
the one that it extends; from then on `run`, `retry`, `status` and `report` are about it, until the
file declares something else.
"""

import dataclasses
import shlex
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from swinablate.cli import terminal
from swinablate.cli.which import lineage, was_run
from swinablate.errors import InputError
from swinablate.records.home import Home
from swinablate.records.launch import Launch, launch_of, program
from swinablate.records.plan import PlanRecord, at_home
from swinablate.text import counted

if TYPE_CHECKING:
    from swinablate.execution.run import Options
    from swinablate.study.plan import Plan


def extended(made: "Plan", home: Home, options: "Options") -> "tuple[Plan, Options]":
    """What is to run: the plan, the extension of it that was begun, or a new one.

    Args:
        made: what the file declares.
        home: where it was run.
        options: with the seeds that `--more` adds, if it was given.

    Raises:
        InputError: there is nothing that could be given more seeds.
    """
    if options.more is not None:
        _check(made)
    newest = _newest(made, home)
    if newest is None:
        if options.more is None:
            return made, options
        raise _not_run(made, home, options.launch)
    added = launch_of(home, newest).more
    if options.more is not None and _finished(home, newest, options.launch):
        seeds = _more(made, newest, _open(home, newest), options.more)
        seeds = _climbed(made, newest, seeds, _trends(home, newest, options.more))
        if seeds:
            _say(seeds, newest)
            kept = _with(options, (*added, options.more))
            return _planned(made, newest.declaration, seeds), kept
        terminal.err.print("nothing that more seeds could decide is undecided", markup=False)
    if not newest.parent:
        return made, options
    seeds = {arm.name: arm.seeds for arm in newest.arms}
    return _planned(made, newest.parent, seeds), _with(options, added)


def _check(made: "Plan") -> None:
    """Refuse studies for which more seeds after a look were never shown to be right."""
    study = made.study
    at = f"{study.file}: --more"
    if study.smoke:
        raise InputError("a smoke run decides nothing", at=at, hint="leave out --smoke")
    if study.looks:
        raise InputError(
            "a study with looks adds seeds itself, and its error rate counts those looks alone",
            at=at,
            hint="a later look in the file makes another study, whose report names this one: "
            f"[adaptive] looks = {[*study.looks, study.looks[-1] + 5]}",
        )
    if study.data:
        raise InputError(
            "a study of several data sets has the same seeds on each, and --more gives them to "
            "single arms",
            at=at,
            hint=f"give all arms more in the file: seeds = {len(study.seeds) + 5}",
        )
    if study.noise is not None and study.noise.nested:
        raise InputError(
            "a study of several splits would need more splits, and not more seeds on each",
            at=at,
            hint=f"give all arms more in the file: noise.splits = {study.noise.count + 5}",
        )
    if study.tune is not None:
        raise InputError(
            "a tuned study has two answers for each arm, and more seeds are chosen by one",
            at=at,
            hint=f"give all arms more in the file: seeds = {len(study.seeds) + 5}",
        )


def _not_run(made: "Plan", home: Home, launch: Launch) -> InputError:
    return InputError(
        f"study {made.study.name!r}, as its file is now, is not what was run last in {home.root}",
        at="--more",
        hint=f"`{_run(launch)}` runs it; what it leaves undecided can then be given more seeds",
    )


def _run(launch: Launch) -> str:
    """The command that runs the study."""
    return launch.says("run") or shlex.join([*program(), "run", "STUDY"])


def _newest(made: "Plan", home: Home) -> PlanRecord | None:
    """The newest declaration, if it is what the file declares, or extends that."""
    name = made.study.name
    if not was_run(home, name):
        return None
    newest = home.declared(name)
    first = lineage(home, newest)[-1]
    return newest if first.declaration == made.declaration else None


def _finished(home: Home, plan: PlanRecord, launch: Launch) -> bool:
    """Whether a plan has all of its trials; one that was begun by `--more` goes on first.

    Raises:
        InputError: the study itself is unfinished.
    """
    known = home.outcomes(row.trial for row in plan.rows())
    missing = sum(row.trial not in known for row in plan.rows())
    if missing and not plan.parent:
        are = "is" if missing == 1 else "are"
        raise InputError(
            f"of the study, {counted(missing, 'trial')} {are} missing: nothing is decided yet",
            at="--more",
            hint=f"`{_run(launch)}` runs them",
        )
    if missing:
        said = (
            f"going on with the seeds that were added before: {counted(missing, 'trial')} missing"
        )
        terminal.err.print(said, markup=False)
    return not missing


def _open(home: Home, plan: PlanRecord) -> set[str]:
    """The arms of comparisons that are undecided for want of seeds, and for nothing else."""
    from swinablate.report.answer import counted, judge, stand
    from swinablate.stats.seeds.convergence import NO_NOISE
    from swinablate.study.declared import declaration

    now, recorded = stand(home, plan)
    plan = at_home(plan)
    trials = counted(plan, now, recorded)
    judged = judge(plan, declaration(plan, trials), now, trials)
    return {
        arm
        for one in judged.contrasts
        if one.verdict == "undecided" and one.reason in {None, NO_NOISE}
        for arm in one.contrast.weights
    }


def _more(
    made: "Plan", newest: PlanRecord, open_: Collection[str], more: int
) -> dict[str, tuple[int, ...]]:
    """Arm -> all of its seeds, with `more` for open ones; nothing if none is.

    They get the seeds that the baseline has already, so that these may be paired, and then the
    next. A baseline that takes part keeps its ratio to the arm with the most seeds.
    """
    from swinablate.stats.power import baseline_of

    arms = [arm for arm in at_home(newest).arms[1:] if arm.name in open_]
    if not arms:
        return {}
    base = newest.baseline
    ratio = len(made.study.baseline_seeds) / len(made.study.seeds)
    longest = max(len(arm.seeds) for arm in arms) + more
    wanted = max(len(base.seeds), baseline_of(longest, ratio))
    upcoming = list(_upcoming(base.seeds, max(wanted, longest)))
    found = {arm.name: arm.seeds for arm in newest.arms}
    for arm in arms:
        new = [seed for seed in upcoming if seed not in arm.seeds]
        found[arm.name] = (*arm.seeds, *new[:more])
    if base.name in open_:
        found[base.name] = tuple(upcoming[:wanted])
    return found


def _trends(home: Home, plan: PlanRecord, more: int) -> dict[str, int]:
    """Arm at a rung -> how many seeds it needs, so that open trends have `more` than they had.

    A trend is of the seeds that ended at every rung, so its rungs get them together.
    """
    from swinablate.records.tables import valued
    from swinablate.report.answer import counted, stand
    from swinablate.study.arms.trends import ladder
    from swinablate.study.declared import declaration

    if plan.scale is None:
        return {}
    now, recorded = stand(home, plan)
    alone = at_home(plan)
    declared = declaration(alone, counted(alone, now, recorded))
    known = valued(counted(plan, now, recorded), declared.metric, declared.unit)
    found = ladder(plan, known, declared)
    seeds = {arm.name: len(arm.seeds) for arm in plan.arms}
    wanted: dict[str, int] = {}
    for one in found.pairs:
        if len(one.rungs) > 1 and not found.trends[one.arm].settled:
            every = more + min(seeds[name] for name in one.names)
            wanted |= {name: max(every, wanted.get(name, 0)) for name in one.names}
    return wanted


def _climbed(
    made: "Plan",
    newest: PlanRecord,
    seeds: dict[str, tuple[int, ...]],
    wanted: Mapping[str, int],
) -> dict[str, tuple[int, ...]]:
    """Arm -> all of its seeds, with those that open trends need."""
    if not wanted:
        return seeds
    found = seeds or {arm.name: arm.seeds for arm in newest.arms}
    first = made.study.baseline_seeds
    upcoming = tuple(_upcoming(first, max(len(first), *wanted.values())))
    for name, count in wanted.items():
        new = [seed for seed in upcoming[:count] if seed not in found[name]]
        found[name] = (*found[name], *new)
    return found


def _upcoming(seeds: tuple[int, ...], count: int) -> Iterator[int]:
    """The baseline's seeds, and those that follow, as the file's own follow."""
    yield from seeds
    yield from range(max(seeds) + 1, max(seeds) + 1 + count - len(seeds))


def _planned(made: "Plan", parent: str, seeds: dict[str, tuple[int, ...]]) -> "Plan":
    from swinablate.study.planner import plan
    from swinablate.study.seeds import Extension

    extension = Extension(parent=parent, seeds=seeds)
    return plan(
        dataclasses.replace(made.study, extension=extension), terminal.patience("planning arm")
    )


def _with(options: "Options", added: tuple[int, ...]) -> "Options":
    """The options with what was added, for the commands that a report prints."""
    launch = options.launch.model_copy(update={"more": added})
    return dataclasses.replace(options, launch=launch)


def _say(seeds: dict[str, tuple[int, ...]], newest: PlanRecord) -> None:
    grown = [
        f"{arm.name} {len(arm.seeds)} -> {len(seeds[arm.name])}"
        for arm in newest.arms
        if len(seeds[arm.name]) > len(arm.seeds)
    ]
    terminal.err.print(f"more seeds: {', '.join(grown)}", soft_wrap=True, markup=False)
