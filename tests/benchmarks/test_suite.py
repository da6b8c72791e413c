"""The harness with times made up, and every benchmark once, at its smallest."""

import json
import re

import pytest

from benchmarks import suite
from benchmarks.__main__ import main
from benchmarks.harness import (
    Benchmark,
    Pair,
    Ratio,
    Result,
    Settings,
    Side,
    Spent,
    answer,
    control,
    interleave,
    repeated,
)
from swinablate.config import plugins

SLOW = {"scheduler", "queue", "fleet", "makespan", "quickstart", "fusion", "malloc"}
"""They start processes, or import what takes seconds."""


def side(name, log, *cpu, units=8):
    """A program whose rounds take what is written; wall time is twice that."""
    left = list(cpu)

    def once():
        log.append(name)
        now = left.pop(0)
        return Spent(units=units, wall_s=2 * now, cpu_s=now)

    return Side(name, lambda: once)


def test_the_reference_runs_first_and_last_and_every_other_round_backwards():
    log = []
    interleave("s", "image", [side("a", log, *[1] * 6), side("b", log, *[3] * 3)], 3)
    assert log == ["a", "b", "a", "a", "b", "a", "a", "b", "a"]


def test_a_ratio_is_the_median_of_the_rounds_own_ratios_with_its_range():
    """By round: a takes 1, 2, 4 s; b 2, 6, 8; the machine slowed down, the ratio did not."""
    log = []
    sides = [side("a", log, 1, 1, 2, 2, 4, 4), side("b", log, 2, 6, 8)]
    (found,) = answer(interleave("s", "image", sides, 3), [Pair(a="a", b="b", least=2.5)])
    assert found.ratio == Ratio(median=2.0, low=2.0, high=3.0)
    assert found.beside == found.ratio
    assert found.status == "missed"
    assert found.seconds["a"] == {
        "cpu": 0.25,
        "wall": 0.5,
        "first": found.seconds["a"]["first"],
        "memory_mib": 0.0,
    }


def test_units_count():
    log = []
    sides = [side("a", log, 1, 1, units=8), side("b", log, 1, units=4)]
    (found,) = answer(interleave("s", "image", sides, 1), [Pair(a="a", b="b", least=2.0)])
    assert (found.ratio.median, found.status) == (2.0, "reached")


@pytest.mark.parametrize(
    ("again", "clean"), [(0.94, False), (0.96, True), (1.04, True), (1.06, False)]
)
def test_no_ratio_is_a_result_where_the_reference_is_not_itself(again, clean):
    """Forward rounds run `a` before, backward rounds after: both give the same ratio here."""
    log = []
    sides = [side("a", log, 1, again), side("b", log, 3)]
    (found,) = answer(
        interleave("s", "image", sides, 1, attempts=1), [Pair(a="a", b="b", least=2.0)]
    )
    data = found.to_json()
    assert found.control.median == pytest.approx(again)
    assert found.status == ("reached" if clean else "control failed")
    assert (data["ratio"] is None, data["refused"] is None) == (not clean, clean)
    said = suite.sentence(found)
    if clean:
        assert (
            said
            == f"s: a against b: 3.00 [3.00, 3.00] (cpu), control {again:.3f} [{again:.2f}, {again:.2f}], target 2: reached"
        )
    else:
        assert (
            said
            == f"s: a against b: control failed: control {again:.3f} [{again:.2f}, {again:.2f}], wanted 0.95 to 1.05"
        )


def test_a_comparison_is_made_again_once_where_its_control_failed():
    log = []
    times = interleave("s", "image", [side("a", log, 1, 2, 1, 1), side("b", log, 3, 4)], 1)
    assert times.attempt == 2
    assert [spent.cpu_s for spent in times.rounds["b"]] == [4]
    assert control(times, "cpu") == Ratio(median=1.0, low=1.0, high=1.0)


def test_rounds_that_were_kept_count_and_the_others_are_run(tmp_path):
    file, log = tmp_path / "rounds.jsonl", []
    two = [side("a", log, 1, 1, 2, 2), side("b", log, 3, 6)]
    interleave("s", "image", two, 2, attempts=1, kept=file)
    interleave("other", "image", [side("a", [], 7, 7), side("b", [], 7)], 1, attempts=1, kept=file)
    interleave("s", "image", [side("a", [], 8, 8), side("c", [], 8)], 1, attempts=1, kept=file)
    log.clear()
    sides = [side("a", log, 4, 4), side("b", log, 4)]
    times = interleave("s", "image", sides, 3, attempts=1, kept=file)
    assert [spent.cpu_s for spent in times.rounds["a"]] == [1, 2, 4]
    assert [spent.cpu_s for spent in times.rounds["b"]] == [3, 6, 4]
    assert log == ["a", "b", "a"]  # only the third, forwards
    assert len(file.read_text("utf-8").splitlines()) == 5
    fewer = interleave("s", "image", [side("a", log), side("b", log)], 2, attempts=1, kept=file)
    assert [spent.cpu_s for spent in fewer.rounds["b"]] == [3, 6]
    alone = interleave("s", "image", [side("a", log)], 4, attempts=1, kept=file)  # no b is needed
    assert [spent.cpu_s for spent in alone.rounds["a"]] == [1, 2, 8, 4]


def test_a_side_that_is_missing_answers_nothing():
    log = []
    times = interleave("s", "image", [side("a", log, 1, 1)], 1)
    assert answer(times, [Pair(a="a", b="timm")]) == []


def test_a_quick_program_is_repeated_until_its_time_is_up():
    count = []
    spent = repeated(lambda: count.append(sum(range(1000))), 4, 0.2)()
    assert spent.units == 4 * len(count)
    assert len(count) > 1
    assert spent.wall_s >= 0.2


def test_results_are_written_and_a_second_run_keeps_what_it_did_not_measure(tmp_path):
    log = []
    good = interleave("good", "image", [side("a", log, 1, 1), side("b", log, 3)], 1)
    bad = interleave("bad", "image", [side("a", log, 1, 2), side("b", log, 3)], 1, attempts=1)
    pairs = [Pair(a="a", b="b", least=2.0)]
    first = report(
        "step", Result(findings=answer(good, pairs) + answer(bad, pairs), gaps=["timm: not there"])
    )
    path = suite.write(first, tmp_path)
    suite.write(report("data", Result(findings=[], notes=["seen"])), tmp_path)
    assert path.name == "2026-01-02-2-core-some-cpu.md"
    data = json.loads(path.with_suffix(".json").read_text())
    assert data["schema"] == 1
    assert list(data["benchmarks"]) == ["step", "data"]
    assert data["benchmarks"]["step"]["findings"][0]["ratio"] == {
        "median": 3.0,
        "low": 3.0,
        "high": 3.0,
    }
    assert data["benchmarks"]["step"]["findings"][1]["ratio"] is None
    text = path.read_text()
    assert (
        "| good (image) | a | b | 3.00 [3.00, 3.00] | 3.00 [3.00, 3.00] | 1.000 [1.000, 1.000] | >= 2: reached | 125, 375 |"
        in text
    )
    assert (
        "| bad (image) | a | b | control failed |  | 2.000 [2.000, 2.000] | no result | 125, 375 |"
        in text
    )
    assert "- Not measured: timm: not there." in text
    assert "- seen" in text


def report(name, result):
    found = {
        "what": "x", "load": [[1, 1, 1], [2, 2, 2]], "seconds": 3.0, "rounds": 1,
        "findings": [f.to_json() for f in result.findings],
        "gaps": list(result.gaps), "notes": list(result.notes),
    }  # fmt: skip
    machine = suite.machine(Settings()) | {"processor": "Some (CPU)", "cores": 2, "gpu": ""}
    return suite.Report(machine=machine, date="2026-01-02", benchmarks={name: found})


def test_every_benchmark_has_a_place():
    assert set(suite.known()) == set(suite.ORDER) == set(plugins.names(suite.CASES))


def test_an_unknown_benchmark_is_refused(capsys):
    assert main(["stp"]) == 2
    assert capsys.readouterr().err == (
        "error: NAMES: no benchmark is called 'stp'\n\nhint: did you mean 'step'?\n"
    )


def test_a_device_that_is_not_there_is_refused(capsys):
    assert main(["step", "--device", "cuda:9"]) == 2
    assert "this machine has no device 'cuda:9'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in plugins.names(suite.CASES)],
)
def test_every_benchmark_runs_its_smallest_round(name):
    benchmark = plugins.load(suite.CASES, name, Benchmark)
    result = benchmark.run(Settings(rounds=1, seconds=0.0, trials=2, tiny=True))
    assert result.findings
    for finding in result.findings:
        data = json.loads(json.dumps(finding.to_json(), allow_nan=False))
        assert finding.ratio.median > 0
        assert data["seconds"].keys() == {finding.a, finding.b}
        assert re.fullmatch("cpu|wall", finding.clock)
