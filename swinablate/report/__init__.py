"""From an answer to files people read: a page, a README, tables, figures; recorded data only."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swinablate.config import plugins
from swinablate.errors import EnvironmentFault
from swinablate.records.plan import PlanRecord
from swinablate.report.latex import arms_tex
from swinablate.report.page import html, markdown
from swinablate.report.plots import plots
from swinablate.report.results import StudyResults
from swinablate.report.tables import arms_table, every_trial, whole

__all__ = ["StudyResults", "render"]


def render(answer: StudyResults, out: Path) -> list[Path]:
    """Write the report of a study into a folder.

    The same answer gives the same bytes. Every file is complete when it appears, and
    `index.html` appears last. Files that are not the report's are left alone.

    Args:
        answer: what was recorded, judged.
        out: the folder; made if it is missing.

    Returns:
        The files, in the order in which they were written.

    Raises:
        EnvironmentFault: the folder cannot be written.
    """
    files = contents(answer)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".report-", dir=out) as draft:
            for name, data in files.items():
                path = Path(draft) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            _publish(Path(draft), out, list(files))
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write the report: {error.strerror or error}",
            at=str(error.filename or out),
            hint="choose another folder with --out",
        ) from None
    return [out / name for name in files]


def contents(answer: StudyResults) -> dict[str, bytes]:
    """Every file of the report, `index.html` last."""
    given, answer = answer, whole(answer)
    drawn = plots(answer)
    arms = arms_table(answer)
    files = {
        "tables/trials.csv": every_trial(answer).to_csv(index=False, lineterminator="\n"),
        "tables/arms.csv": arms.to_csv(index=False, lineterminator="\n"),
        "tables/arms.tex": arms_tex(answer, arms),
    }
    binary: dict[str, bytes] = {}
    for plot in drawn:
        if plot.svg:
            files[f"tables/{plot.name}.csv"] = plot.rows.to_csv(index=False, lineterminator="\n")
            files[f"figures/{plot.name}.svg"] = plot.svg
            binary[f"figures/{plot.name}.png"] = plot.png
    files |= {
        "verdicts.json": _json(answer.verdicts),
        "plan.json": _json(_plan(given.plan)),
        "provenance.json": _json(answer.provenance),
        "report.md": markdown(answer, arms, drawn),
        "index.html": html(answer, arms, drawn),
    }
    return binary | {name: text.encode() for name, text in files.items()}


def _plan(plan: PlanRecord) -> dict[str, Any]:
    """What was declared; of a tuned study also what was tried, which a home keeps by itself."""
    tried = {"ledger": plan.ledger.to_json()} if plan.ledger.arms else {}
    return plan.to_json() | tried


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _publish(draft: Path, out: Path, names: list[str]) -> None:
    """Move finished files in, one atomic step each; drop figures that are no longer drawn."""
    for folder in ("tables", "figures"):
        (out / folder).mkdir(exist_ok=True)
    for name in names:
        (draft / name).replace(out / name)
    for figure in plugins.names("swinablate.report.figures"):
        for old in (f"tables/{figure}.csv", f"figures/{figure}.svg", f"figures/{figure}.png"):
            if old not in names:
                (out / old).unlink(missing_ok=True)
