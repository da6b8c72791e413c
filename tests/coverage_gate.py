"""Bars for what the unit tests must run of single modules: `python -m tests.coverage_gate`.

The package's own bar is `fail_under` in pyproject.toml. A module has a bar here where a mistake
costs somebody a night of training, or where the suite was once blind: a package as large as this
one can lose such a module and still stand at its own bar.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import coverage

BARS = {
    "cli/progress.py": 93,
    "cli/terminal.py": 95,
    "execution/attempts.py": 95,
    "execution/coordinator.py": 95,
    "execution/executors/local.py": 93,
    "execution/executors/serial.py": 95,
    "execution/feeder.py": 93,
    "execution/forkserver.py": 85,  # what it forks is measured from the worker's first call on
    "execution/processes.py": 93,
    "execution/run.py": 95,
    "execution/stop.py": 90,
    "execution/sync.py": 95,
    "execution/worker.py": 95,
    "records/disk/stores.py": 93,
    "tracking/mirror.py": 95,
    "tracking/server.py": 85,  # its watchdog kills its own group, and its data with it
}
"""Module -> percent of its statements and branches."""


def short(found: Mapping[str, float], bars: Mapping[str, float]) -> list[str]:
    """A line for every module that is below its bar, or that is not measured at all.

    Args:
        found: module -> percent.
        bars: module -> least percent.
    """
    lines = []
    for module, bar in bars.items():
        if module not in found:
            lines.append(f"{module}: not measured")
        elif found[module] < bar:
            lines.append(f"{module}: {found[module]:.2f} %, wanted {bar:.0f} %")
    return lines


def measured() -> dict[str, float]:
    """Module -> percent, as the combined data of the current folder has it."""
    data = coverage.Coverage()
    data.load()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "coverage.json"
        data.json_report(outfile=str(path))
        files = json.loads(path.read_text())["files"]
    return {
        name.rpartition("swinablate/")[2]: entry["summary"]["percent_covered"]
        for name, entry in files.items()
    }


if __name__ == "__main__":
    problems = short(measured(), BARS)
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    sys.exit(bool(problems))
