"""What a run says at its end: how trials ended, and what to do next."""

from pathlib import Path
from typing import TYPE_CHECKING

from swinablate.cli import terminal

if TYPE_CHECKING:
    from swinablate.execution.run import Summary


def farewell(summary: "Summary", study: Path) -> None:
    """Count, and name the commands that make sense now."""
    counts = (
        ", ".join(f"{n} {status}" for status, n in sorted(summary.counts.items()))
        or "nothing done"
    )
    left = f", {summary.missing} missing" if summary.missing else ""
    terminal.err.print(f"{counts}{left}")
    if summary.unmirrored:
        terminal.err.print(
            f"{summary.unmirrored} records did not reach MLflow: swinablate sync {study}",
            soft_wrap=True,
        )
    if summary.spent:
        terminal.err.print("the budget is met: a larger [budget] goes on", markup=False)
    elif summary.missing:
        terminal.err.print(f"to go on: swinablate run {study}", soft_wrap=True)
    elif summary.exit_code == 3:
        if summary.settled:
            terminal.err.print(
                f"{summary.settled} would end the same way again: change the recipe or the network"
            )
        if summary.worth_retrying:
            terminal.err.print(f"to train them again: swinablate retry {study}", soft_wrap=True)
