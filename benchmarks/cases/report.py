"""A report from records, after imports: many seeds, and many arms.

There is no peer. A report of 20 arms with ten times as many seeds should take less than ten times
as long: what grows with seeds is numbers, not pictures. What each takes stands in the notes, for
the bars of `TARGETS`.
"""

import tempfile
from pathlib import Path

from benchmarks.harness import (
    Benchmark,
    Pair,
    Result,
    Round,
    Settings,
    Side,
    answer,
    interleave,
    repeated,
)
from benchmarks.peers.recorded import STUDY, record, table
from swinablate.records.home import Home
from swinablate.report import contents
from swinablate.report.analyze import Question, analyze
from swinablate.report.answer import gather

SEEDS = 500
SIZES = {
    "20 arms x 50 seeds": (20, 50),
    "20 arms x 500 seeds": (20, SEEDS),
    "1,000 arms x 3 seeds": (1000, 3),
}
TABLE = "20 arms x 500 seeds, analyze"
TINY = {
    "20 arms x 50 seeds": (2, 2),
    "20 arms x 500 seeds": (2, 3),
    "1,000 arms x 3 seeds": (3, 2),
}
TARGETS = {"20 arms x 500 seeds": 10.0, "1,000 arms x 3 seeds": 20.0, TABLE: 4.8}
"""Seconds of processor time."""


def run(settings: Settings) -> Result:
    """Time whole reports, in turn."""
    sizes = TINY if settings.tiny else SIZES
    with tempfile.TemporaryDirectory() as name:
        sides = [
            _recorded(Path(name) / str(k), label, *size)
            for k, (label, size) in enumerate(sizes.items())
        ]
        sides.append(_analyzed(Path(name) / "results.csv", *sizes["20 arms x 500 seeds"]))
        times = interleave("a report", "trial", sides, settings.rounds, attempts=1)
    few, many, *_ = sizes
    findings = answer(times, [Pair(a=many, b=few, least=1.0)])
    notes = []
    for label, seconds in TARGETS.items():
        spent = sorted(one.cpu_s for one in times.rounds[label])
        middle = spent[len(spent) // 2]
        notes.append(
            f"{label}: {middle:.1f} s [{spent[0]:.1f}, {spent[-1]:.1f}], target {seconds:g}"
        )
    return Result(findings=findings, notes=notes)


def _recorded(folder: Path, label: str, arms: int, seeds: int) -> Side:
    home = Home(folder)

    def ready() -> Round:
        record(home, arms, seeds)
        return repeated(lambda: contents(gather(home, STUDY)), arms * seeds, 0.0)

    return Side(label, ready)


def _analyzed(file: Path, arms: int, seeds: int) -> Side:
    def ready() -> Round:
        table(file, arms, seeds)
        question = Question(baseline="baseline", rope=0.5)
        return repeated(lambda: contents(analyze(file, question).only), arms * seeds, 0.0)

    return Side(TABLE, ready)


BENCHMARK = Benchmark("a report of many seeds, and of many arms", run)
