"""From an answer to files people read: a page, a README, tables, figures; recorded data only."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from swinablate.records.plan import PlanRecord
from swinablate.records.report_folder import publish
from swinablate.report.families.compared import contrasts_table, declared
from swinablate.report.families.further import blocks_of
from swinablate.report.families.further import table as further_table
from swinablate.report.families.tunings import choices, choices_table
from swinablate.report.latex import COMPACT, WIDE, arms_tex, contrasts_tex, known_of
from swinablate.report.page import context, html, markdown
from swinablate.report.plots import plots
from swinablate.report.results import StudyResults, unhurried
from swinablate.report.tables import arms_table, csv, every_trial, whole
from swinablate.text import json_lines

__all__ = ["StudyResults", "render"]


def render(
    answer: StudyResults, out: Path, *, force: bool = False, latex: Sequence[str] = ()
) -> list[Path]:
    """Write the report of a study into a folder.

    The same answer gives the same bytes. Every file is complete when it appears, and
    `index.html` appears last. Files that are not the report's are left alone.

    Args:
        answer: what was recorded, judged.
        out: the folder; made if it is missing.
        force: write over files that are not the report's.
        latex: columns of `tables/arms.tex`; empty for those that fit a column of 3.25 in.

    Returns:
        The files, in the order in which they were written.

    Raises:
        InputError: the folder holds files of others, or changed ones of the report.
        EnvironmentFault: the folder cannot be written.
    """
    files = contents(answer, latex)
    publish(files, out, force=force)
    return [out / name for name in files]


@unhurried()
def contents(answer: StudyResults, latex: Sequence[str] = ()) -> dict[str, bytes]:
    """Every file of the report, `index.html` last; `latex` as in `render`."""
    given, answer = answer, whole(answer)
    drawn = plots(answer)
    arms = arms_table(answer)
    files = {
        "tables/trials.csv": csv(every_trial(answer)),
        "tables/arms.csv": csv(arms),
        "tables/arms.tex": arms_tex(answer, arms, latex or COMPACT),
        "tables/arms_wide.tex": arms_tex(answer, arms, known_of(arms, WIDE), wide=True),
    }
    if declared(answer):
        contrasts = contrasts_table(answer)
        files["tables/contrasts.csv"] = csv(contrasts)
        files["tables/contrasts.tex"] = contrasts_tex(answer, contrasts)
    if blocks := blocks_of(answer.verdicts):
        files["tables/further.csv"] = csv(further_table(blocks))
    if chosen := choices(answer):
        files["tables/choices.csv"] = csv(choices_table(chosen))
    for plot in drawn:
        if plot.svg:
            files[f"tables/{plot.name}.csv"] = csv(plot.rows)
            files[f"figures/{plot.name}.svg"] = plot.svg
    said = context(answer, arms, drawn)
    files |= {
        "verdicts.json": _json(answer.verdicts),
        "plan.json": _json(_plan(given.planned)),
        "provenance.json": _json(answer.provenance),
        "report.md": markdown(said),
        "index.html": html(said, files),
    }
    # Of a name that is no UTF-8 the bytes are told by their numbers.
    return {name: text.encode(errors="backslashreplace") for name, text in files.items()}


def _plan(plan: PlanRecord) -> dict[str, Any]:
    """What was declared; of a tuned study also what was tried, which a home keeps by itself."""
    tried = {"ledger": plan.ledger.to_json()} if plan.ledger.arms else {}
    return plan.to_json() | tried


def _json(value: Mapping[str, object]) -> str:
    return json_lines(value) + "\n"
