"""What a run says at its end: how trials ended, and what to do next."""

from typing import TYPE_CHECKING

from swinablate.cli import terminal
from swinablate.records.launch import Launch

if TYPE_CHECKING:
    from swinablate.execution.run import Summary


def farewell(summary: "Summary", launch: Launch) -> None:
    """Count, and name the commands that make sense now."""
    counts = (
        ", ".join(f"{n} {status}" for status, n in sorted(summary.counts.items()))
        or "nothing done"
    )
    left = f", {summary.missing} missing" if summary.missing else ""
    terminal.err.print(f"{counts}{left}")
    if summary.unmirrored:
        _hint(
            f"{summary.unmirrored} records did not reach MLflow",
            launch.says("sync") + launch.needs,
        )
    if summary.spent:
        terminal.err.print("the budget is met: a larger [budget] goes on", markup=False)
    elif summary.missing:
        _hint("to go on", launch.again + launch.needs)
    elif summary.exit_code == 3:
        if summary.settled:
            terminal.err.print(
                f"{summary.settled} would end the same way again: change the recipe or the network"
            )
        if summary.worth_retrying and launch.says("retry"):
            _hint("to train them again", launch.says("retry") + launch.needs)


def _hint(what: str, command: str) -> None:
    terminal.err.print(f"{what}: {command}", soft_wrap=True, markup=False)
