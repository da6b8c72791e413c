"""The benchmark suite: run it, and write what was found with the machine it was found on.

`<date>-<machine kind>.json` has every number, the `.md` beside it the table; a later run on the
same day replaces the benchmarks that it ran and keeps the others.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import CONTROL, Benchmark, Comparison, Result, Settings
from swinablate.config import plugins
from swinablate.errors import EnvironmentFault
from swinablate.execution.devices import find_devices
from swinablate.records.provenance import installed_version, provenance
from swinablate.training.machine import device_name

SCHEMA = 1
CASES = "benchmarks.cases"
ORDER = (
    "step",
    "formats",
    "data",
    "scheduler",
    "queue",
    "fleet",
    "makespan",
    "quickstart",
    "report",
    "fusion",
    "malloc",
)
"""By importance; a benchmark that is not named here comes last."""

HEAD = (
    "Made by `just bench`. A ratio says how many times as fast as B A is: the median of "
    "the rounds [smallest, largest], by processor time unless it says wall. Control: the "
    f"reference against itself; outside {CONTROL[0]} to {CONTROL[1]} there is no result. First: "
    "building and warming up, before the rounds."
)
COLUMNS = (
    "setting (unit)",
    "A",
    "B",
    "A / B",
    "the other clock",
    "control",
    "target",
    "A, B: ms a unit",
    "A, B: first, s",
)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a run of the suite found.

    Attributes:
        benchmarks: name -> plain data.
    """

    machine: Mapping[str, Any]
    date: str
    benchmarks: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "schema": SCHEMA,
            "date": self.date,
            "machine": self.machine,
            "benchmarks": self.benchmarks,
        }

    @property
    def stem(self) -> str:
        """Date and kind of machine, for the file's name."""
        kind = self.machine["gpu"] or f"{self.machine['cores']}-core {self.machine['processor']}"
        return f"{self.date}-{re.sub(r'[^a-z0-9]+', '-', kind.lower()).strip('-')}"


def known() -> list[str]:
    """The benchmarks, by importance."""
    return by_importance(plugins.names(CASES))


def by_importance(names: Iterable[str]) -> list[str]:
    """Names in `ORDER`."""
    return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def run(
    names: Sequence[str], settings: Settings, say: Callable[[str], None] = lambda _: None
) -> Report:
    """Run benchmarks, one after the other.

    Args:
        names: which; none are all.
        settings: how much, and where.
        say: takes a line a benchmark.

    Raises:
        InputError: a benchmark, or a device, that does not exist.
    """
    find_devices(settings.device)
    chosen = {name: plugins.load(CASES, name, Benchmark, at="NAMES") for name in names or known()}
    found: dict[str, Mapping[str, Any]] = {}
    for name, benchmark in chosen.items():
        say(f"{name}: {benchmark.what}")
        before, began = load(), time.perf_counter()
        result = benchmark.run(settings)
        found[name] = {
            "what": benchmark.what,
            "load": [before, load()],
            "seconds": time.perf_counter() - began,
            "rounds": settings.rounds,
            "findings": [finding.to_json() for finding in result.findings],
            "gaps": list(result.gaps),
            "notes": list(result.notes),
        }
        for line in lines(result):
            say(line)
    return Report(machine=machine(settings), date=time.strftime("%Y-%m-%d"), benchmarks=found)


def lines(result: Result) -> Iterable[str]:
    """What a benchmark found, for people."""
    yield from (f"  {sentence(finding)}" for finding in result.findings)
    yield from (f"  gap: {gap}" for gap in result.gaps)
    yield from (f"  {note}" for note in result.notes)


def sentence(finding: Comparison) -> str:
    """A finding in one line; without its ratio where the control failed."""
    what = f"{finding.setting}: {finding.a} against {finding.b}"
    control = finding.control
    seen = f"control {control.median:.3f} [{control.low:.2f}, {control.high:.2f}]"
    if not control.clean:
        return f"{what}: control failed: {seen}, wanted {CONTROL[0]} to {CONTROL[1]}"
    goal = "" if finding.least is None else f", target {finding.least:g}: {finding.status}"
    return f"{what}: {_range(vars(finding.ratio))} ({finding.clock}), {seen}{goal}"


def machine(settings: Settings) -> dict[str, Any]:
    """Hardware, versions and commit; no names of hosts or people."""
    cuda = settings.device != "cpu"
    found = provenance()
    return {
        "processor": device_name(torch.device("cpu")),
        "gpu": device_name(torch.device(settings.device)) if cuda else "",
        "device": settings.device,
        "threads": 1,
        "cores": found["cores"],
        "memory_gib": _memory_gib(),
        "system": found["system"],
        "python": found["python"],
        "versions": {**found["versions"], "timm": installed_version("timm")},
        "swinablate": found["swinablate"],
        "git": found["git"],
    }


def _memory_gib() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def load() -> list[float]:
    """Processes that want a core, averages of 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def write(report: Report, folder: Path) -> Path:
    """Write JSON and table; benchmarks of the same day that were not run again stay.

    Returns:
        The table's path.

    Raises:
        EnvironmentFault: the folder cannot be written to.
    """
    path = folder / f"{report.stem}.md"
    data = report.to_json()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        before = path.with_suffix(".json")
        if before.exists():
            kept = json.loads(before.read_text("utf-8"))["benchmarks"]
            data["benchmarks"] = {**kept, **report.benchmarks}
        before.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", "utf-8")
        path.write_text(page(data), "utf-8")
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write: {error.strerror or error}", at=str(folder), hint="choose another --out"
        ) from None
    return path


def page(data: Mapping[str, Any]) -> str:
    """The table, in Markdown."""
    where = data["machine"]
    versions = ", ".join(f"{name} {v}" for name, v in where["versions"].items() if v)
    parts = [
        f"# Benchmarks, {data['date']}, {where['gpu'] or where['processor']}",
        (
            f"{where['cores']} cores, {where['memory_gib']} GiB, {where['system']}, Python "
            f"{where['python']}, {versions}; {where['threads']} thread a process; device "
            f"{where['device']}."
        ),
        HEAD,
        *(_section(name, data["benchmarks"][name]) for name in by_importance(data["benchmarks"])),
    ]
    return "\n\n".join(parts) + "\n"


def _section(name: str, found: Mapping[str, Any]) -> str:
    loads = ", ".join(f"{load[0]:g}" for load in found["load"])
    head = (
        f"## {name}: {found['what']}\n\n{found['rounds']} rounds, {found['seconds']:.0f} s, "
        f"load average before and after: {loads}.\n"
    )
    table = [
        f"| {' | '.join(COLUMNS)} |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
        *(_row(finding) for finding in found["findings"]),
    ]
    rest = [
        *(f"- Not measured: {gap}." for gap in found["gaps"]),
        *(f"- {n}" for n in found["notes"]),
    ]
    return "\n".join([head, *table, *([""] if rest else []), *rest])


def _row(finding: Mapping[str, Any]) -> str:
    wall = " (wall)" if finding["clock"] == "wall" else ""
    ratio, other = finding["ratio"], finding["ratio_other_clock"]
    goal = "" if finding["least"] is None else f">= {finding['least']:g}: {finding['status']}"
    sides = [finding["seconds"][side] for side in (finding["a"], finding["b"])]
    cells = [
        f"{finding['setting']} ({finding['unit']})",
        finding["a"],
        finding["b"],
        "control failed" if ratio is None else f"{_range(ratio)}{wall}",
        "" if other is None else _range(other),
        _range(finding["control"], 3),
        goal if ratio is not None else "no result",
        ", ".join(f"{1000 * side[finding['clock']]:.3g}" for side in sides),
        ", ".join(f"{side['first']:.1f}" for side in sides),
    ]
    return f"| {' | '.join(cells)} |"


def _range(ratio: Mapping[str, float], digits: int = 2) -> str:
    middle, low, high = (f"{ratio[key]:.{digits}f}" for key in ("median", "low", "high"))
    return f"{middle} [{low}, {high}]"
