"""What commands print: tables for people. No logic, no heavy imports."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.segment import Segment
from rich.text import Text

from swinablate.cli.wording.arms_text import arms_said, arms_tables
from swinablate.cli.wording.columns import laid
from swinablate.cli.wording.cost_text import COLUMNS, cost_lines, cost_rows
from swinablate.cli.wording.datasets_text import (
    OVER_COLUMNS,
    OVER_TITLE,
    SET_COLUMNS,
    each_columns,
    each_rows,
    over_rows,
    set_rows,
)
from swinablate.cli.wording.plan_text import promise
from swinablate.cli.wording.scale_text import (
    rung_columns,
    rung_rows,
    trend_columns,
    trend_rows,
)
from swinablate.records.launch import as_typed
from swinablate.records.plan import at_home
from swinablate.text import (
    after_value,
    formula,
    interval,
    places_of,
    signed,
    time_left,
    tuned_word,
    unit_of,
    visible,
)

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderableType

    from swinablate.models.conformance import Finding
    from swinablate.records.plan import PlanRecord
    from swinablate.scheduling.cost import Cost
    from swinablate.scheduling.status import Status

BARS = "".join(map(chr, range(0x2581, 0x2589)))
"""Blocks of an eighth to the whole height of a line."""
COURSE = 16
"""Blocks of a curve at most: beside five counts they fit into 80 columns."""
REASONS = 5
"""Why arms are undecided, told below the table at most; the report tells all."""
QUIET = 5.0
"""Seconds without a word after which somebody wonders whether it hangs."""
PIPED = 140
"""Columns where there is no terminal to ask; rich would take 80."""


class Terminal(Console):
    """A console that obeys no character of what it shows; names come from files of anybody's."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Text with its control characters written out, before its width is asked.

        And with commands as this one was typed: hints are pasted.
        """
        return super().render_str(visible(as_typed(text)), **options)

    def render(
        self, renderable: "RenderableType", options: "ConsoleOptions | None" = None
    ) -> Iterator[Segment]:
        """Whatever else is drawn, progress for example."""
        for part in super().render(renderable, options):
            yield part if part.control else Segment(visible(part.text), part.style)


def console(*, stderr: bool) -> Console:
    """A console as wide as the terminal; of a pipe, as COLUMNS says, or as tables need."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPED
    return Terminal(stderr=stderr, highlight=False, emoji=False, width=width)


out = console(stderr=False)
err = console(stderr=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; columns that start with `>` are aligned to the right."""
    cells = [[_text(cell) for cell in row] for row in rows]
    head, lines = laid([_text(name) for name in columns], cells, out.width, cell_len)
    if title:
        out.print(Text(_text(title), style="bold"))
    for line in head:
        out.print(Text(line, style="dim"), soft_wrap=True)
    for line in lines:
        shown = Text(line)
        shown.highlight_words(["fails to train"], "bold red")  # as in the report and the figures
        out.print(shown, soft_wrap=True)


def _text(cell: object) -> str:
    """A cell as it is shown: its width is asked before it is."""
    return visible(as_typed(str(cell)))


def patience(what: str, clock: Callable[[], float] = time.monotonic) -> Callable[[int, str], None]:
    """What to call before each of many steps: says where they are, every few seconds.

    Args:
        what: is done in a step: "planning arm".
        clock: seconds.
    """
    last = clock()

    def step(number: int, name: str) -> None:
        nonlocal last
        if clock() - last >= QUIET:
            last = clock()
            err.print(f"{what} {number}: {name}", soft_wrap=True, markup=False)

    return step


def named(number: int, name: str) -> None:
    """Name one of many steps before it is done."""
    err.print(f"arm {number + 1}: {name}", soft_wrap=True, markup=False)


def named_probe(number: int, name: str) -> None:
    """Name an arm before it is probed."""
    err.print(f"probe {number + 1}: {name}", soft_wrap=True, markup=False)


def show_plan(plan: "PlanRecord", cost: "Cost | None" = None) -> None:
    """Print a plan: arms, geometry, refusals, what the study can show."""
    out.print(f"[bold]{escape(plan.study)}[/]: {escape(plan.question)}\n")
    if plan.imports:
        out.print(f"imports: {', '.join(plan.imports)}\n", markup=False)
    home = at_home(plan)
    _arms(home)
    if plan.contrasts or any(arm.against for arm in home.arms):
        out.print()
        _contrasts(home)
    _several(plan, cost)
    for warning in plan.warnings:
        out.print(f"[yellow]{warning.code}[/] {escape(warning.text)}")
    if plan.refusals:
        out.print()
        table(
            "Not run, because",
            ["arm", "reason"],
            [[r.name, r.reason] for r in plan.refusals],
        )
    out.print()
    for line in promise(plan):
        out.print(line, markup=False)
    if cost is not None:
        _cost(cost)


def _several(plan: "PlanRecord", cost: "Cost | None") -> None:
    """The rungs or the data sets of a study that has several."""
    if plan.scale:
        out.print()
        title = f"Rungs: {plan.scale.by} of the baseline, and what is left to train"
        table(title, rung_columns(plan), rung_rows(plan, cost))
    if plan.datasets:
        out.print()
        table("Data sets, and what is left to train on each", SET_COLUMNS, set_rows(plan, cost))


def _arms(plan: "PlanRecord") -> None:
    """The tables of the arms, and what is to be said of them."""
    for i, (title, columns, rows) in enumerate(arms_tables(plan)):
        if i:
            out.print()
        table(title, columns, rows)
    for line in arms_said(plan):
        out.print(line, markup=False)


def _cost(cost: "Cost") -> None:
    """Print what is left of a study costs, arm by arm."""
    out.print()
    if any(arm.speed for arm in cost.arms):
        table("What is left of it, on this machine", COLUMNS, cost_rows(cost))
        out.print()
    for line in cost_lines(cost):
        out.print(line, markup=False)


def _contrasts(plan: "PlanRecord") -> None:
    """The comparisons that are declared one by one, and what changes at once in them."""
    pairs = {arm.name: {arm.name: 1.0, arm.against: -1.0} for arm in plan.arms if arm.against}
    of = {**pairs, **{one.name: one.of for one in plan.contrasts}}
    table(
        "Declared contrasts, a family of their own: an arm here is not in the baseline's",
        ["contrast", "of", "differs in"],
        [
            [name, formula(weights), plan.between.get(name, "") or "-"]
            for name, weights in of.items()
        ],
    )


def show_finding(one: "Finding") -> None:
    """Print one line about a check, and the remedy under it."""
    color = {"passed": "green", "failed": "red", "note": "yellow"}[one.status]
    found = f": {escape(one.found)}" if one.found else ""
    out.print(f"[{color}]{one.status}[/]  {one.check}{found}", soft_wrap=True)
    if one.hint:
        out.print(f"        hint: {escape(one.hint)}", soft_wrap=True)


def show_status(status: "Status", curves: Sequence[Mapping[str, Any]] = ()) -> None:
    """Print counts, what runs, and of every arm the mean validation accuracy by epoch."""
    who = f"running: {status.owner}" if status.owner else "nobody runs it now"
    more = f" (at most {status.most})" if status.most > status.planned else ""
    name, counts = status.study, f": {status.done} of {status.planned} trials done{more}"
    # On a line of its own where it does not fit: a date is not broken.
    gap = "; " if len(f"{name}{counts}; {who}") <= out.width else "\n"
    out.print(f"[bold]{escape(name)}[/]{counts}{gap}{escape(who)}")
    if status.eta_s is not None:
        out.print(f"about {time_left(status.eta_s)} left")
    kinds = ["done", "running", "waiting", "failed", "diverged"]
    drawn = {one["arm"]: [value for _, value in one["points"]] for one in curves}
    table(
        "",
        ["arm", *(f">{kind}" for kind in kinds), *(["val % by epoch"] if curves else [])],
        [
            [
                name,
                *(found.get(kind, 0) or "" for kind in kinds),
                *([spark(drawn.get(name, []))] if curves else []),
            ]
            for name, found in status.arms.items()
        ],
    )
    if status.variants:
        names = ", ".join(status.variants)
        out.print(f"Variants that were run: {names}", soft_wrap=True, markup=False)
    if status.current:
        verb = (
            "Running"
            if status.owner or status.running
            else "Interrupted (run goes on from the checkpoint)"
        )
        table(
            verb,
            ["trial", ">epoch", ">val %", ">attempt"],
            [
                [
                    f"{now.arm} s{now.seed}",
                    f"{now.epoch}/{now.epochs}" if now.epochs else now.epoch or "-",
                    "" if now.val_accuracy is None else f"{now.val_accuracy:.1f}",
                    now.attempt,
                ]
                for now in status.current
            ],
        )


def planning(study: Path | str) -> None:
    """Name what begins, before the first import that takes seconds: is it at work?"""
    if isinstance(study, str) or study.is_file():  # else it may be anything, a secret too
        err.print(f"planning {study}", soft_wrap=True, markup=False)


def spark(values: Sequence[float]) -> str:
    """A curve in one line of text: its course between its own ends, then its last value."""
    if not values:
        return ""
    step = max(1, -(-len(values) // COURSE))
    shown = [*values[::-1][::step]][::-1]  # the last is always among them
    low, high = min(shown), max(shown)
    marks = [BARS[round((len(BARS) - 1) * (v - low) / ((high - low) or 1))] for v in shown]
    return f"{''.join(marks)} {values[-1]:.1f}"


def show_verdicts(verdicts: Mapping[str, Any], dataset: str = "") -> None:
    """Print the verdict of every arm; of several data sets, on which one."""
    base, places = verdicts["baseline"], places_of(verdicts)
    percent = after_value(unit_of(verdicts))
    mean = "-" if base["mean"] is None else f"{base['mean']:.{places}f}{percent}"
    sets = verdicts.get("datasets", ())
    homes = [own["dataset"] for one in sets for own in one["sets"] if own["home"]]
    where = f" on {dataset or homes[0]}" if dataset or homes else ""
    level = f">{100 * (1 - verdicts['alpha']):g} % interval"
    table(
        f"Verdicts against the baseline{where} ({mean}, n = {base['n']})",
        ["arm", ">difference", level, ">n", "verdict"],
        [
            [
                arm["name"] + (f" (against {arm['against']})" if arm.get("against") else ""),
                *_judged(arm, places, arm["n"]),
            ]
            for arm in verdicts["arms"]
        ],
    )
    undecided = (arm for arm in verdicts["arms"] if arm["verdict"] == "undecided")
    reasons = dict.fromkeys(filter(None, (arm.get("reason") for arm in undecided)))
    for reason in [*reasons][:REASONS]:
        out.print(f"Undecided, because {reason}.", soft_wrap=True, markup=False)
    others = verdicts.get("contrasts", ())
    declared = [one for one in others if one.get("sentence") and one["basis"] == "fixed"]
    tuned = [
        {**one, "verdict": tuned_word(one, verdicts)} for one in others if one["basis"] == "tuned"
    ]
    for title, judged in (
        (f"Declared contrasts{where}, a family of their own", declared),
        ("At tuned recipes, families of their own", tuned),
    ):
        if judged:
            out.print()
            table(
                title,
                ["contrast", ">estimate", level, "verdict"],
                [[one["name"], *_judged(one, places)] for one in judged],
            )
    if found := verdicts.get("scale"):
        out.print()
        table(
            f"Effects over scales{where}, per doubling of {found[0]['by']}",
            trend_columns(verdicts),
            trend_rows(verdicts, places),
        )
    if sets:
        out.print()
        table("Verdicts on each data set", each_columns(sets), each_rows(sets, places))
        show_over(sets, places)


def show_over(entries: Sequence[Mapping[str, Any]], places: int) -> None:
    """Print the effect of every arm over data sets; nothing where there is but one."""
    if entries:
        out.print()
        table(OVER_TITLE, OVER_COLUMNS, over_rows(entries, places))


def _judged(found: Mapping[str, Any], places: int, *counts: int) -> list[object]:
    """Estimate, interval, what is between, and the verdict."""
    return [
        signed(found["delta_pp"], places),
        interval(found["ci_low"], found["ci_high"], places),
        *counts,
        found["verdict"] + (" (negligible)" if found["negligible"] else "") + _given(found),
    ]


def print_json(data: Any, *, line: bool = False) -> None:
    """Print data for programs on stdout, where more follows in a line of its own, at once."""
    sys.stdout.write(json.dumps(data, indent=None if line else 2, allow_nan=False) + os.linesep)
    sys.stdout.flush()


def _given(arm: Mapping[str, Any]) -> str:
    """Behind a verdict: that a look before the last gave it, or of seeds that did not diverge."""
    judged = arm.get("given_convergence") and arm["delta_pp"] is not None
    early = " (stopped early)" if arm.get("stopped_early") else ""
    return f"{early} (given convergence)" if judged else early
