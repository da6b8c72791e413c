"""Results trained anywhere: read strictly, judged as our own."""

import json
import shlex
import time

import numpy as np
import pandas as pd
import pytest

from swinablate.cli.app import main
from swinablate.report.analyze import analyze, read_results
from swinablate.stats import effects

GOOD = "arm,seed,value\n" + "".join(
    f"{arm},{seed},{mean + 0.1 * seed}\n"
    for arm, mean in (("swin", 90), ("vit", 85))
    for seed in range(5)
)


@pytest.fixture
def csv(tmp_path):
    def write(text=GOOD):
        path = tmp_path / "results.csv"
        path.write_text(text)
        return path

    return write


def test_verdicts_are_those_of_effects(csv, capsys):
    assert main(["analyze", str(csv()), "--baseline", "swin", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (arm,) = found["arms"]
    (own,) = effects(pd.read_csv(csv()), baseline="swin")
    assert (arm["name"], arm["verdict"]) == ("vit", "worse")
    assert arm["ci_low"] == pytest.approx(own.ci_low)
    assert arm["delta_pp"] == pytest.approx(-5.0)


def test_report_is_written_where_asked(csv, tmp_path, capsys):
    out = tmp_path / "report"
    assert (
        main(["analyze", str(csv()), "--baseline", "swin", "--rope", "0.5", "--out", str(out)])
        == 0
    )
    assert "worse" in capsys.readouterr().out
    assert json.loads((out / "verdicts.json").read_text())["rope_pp"] == 0.5
    assert (out / "index.html").exists()


def test_last_step_is_the_result_and_all_steps_are_the_curve(csv):
    rows = [
        f"{arm},{seed},{80 + step + seed},{step}"
        for arm in "ab"
        for seed in range(3)
        for step in (3, 1, 2)
    ]
    answer = analyze(csv("\n".join(["arm,seed,value,step", *rows])), "a", rope=None, alpha=0.05)
    assert answer.verdicts["baseline"]["mean"] == pytest.approx(84.0)
    assert len(answer.curves) == 18


def test_failed_seeds_are_counted_not_averaged(csv):
    text = (
        GOOD.replace("seed,value", "seed,value,status")
        .replace("\n", ",done\n")
        .replace("status,done", "status")
    )
    text = text.replace("vit,0,85.0,done", "vit,0,,failed").replace(
        "vit,1,85.1,done", "vit,1,,diverged"
    )
    found = analyze(csv(text), "swin", rope=None, alpha=0.05).verdicts["arms"][0]
    assert (found["n"], found["failed"], found["diverged"]) == (3, 1, 1)
    assert found["verdict"] == "undecided"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("arm,seed\na,1\n", ["results.csv", "column 'value' is missing", "columns: arm, seed, value"]),
        ("arm,seed,value\na,0,ninety\n", ["results.csv: line 2", "value = 'ninety' is no number"]),
        ("arm,seed,value\na,0,90\n,1,90\n", ["results.csv: line 3", "no arm or no seed"]),
        (GOOD.replace("swin", "swim"), ["--baseline", "'swin'", "did you mean 'swim'?"]),
        (GOOD + "vit,4,1.0\n", ["results.csv: line 12", "twice", "'step'"]),
        ("arm,seed,value\na,0.5,90\n", ["results.csv: line 2", "no whole number below 2**53"]),
        (f"arm,seed,value\na,0,90\na,{2**53},90\n", ["results.csv: line 3", "no whole number below 2**53"]),
        ("arm,seed,value\na,-inf,90\n", ["results.csv: line 2", "no whole number below 2**53"]),
        ("arm,seed,value,params\na,0,90,inf\n", ["results.csv: line 2", "params has no end"]),
        ("arm,seed,value,step\na,0,90,1\na,0,90,inf\n", ["results.csv: line 3", "step has no end"]),
        ("", ["results.csv", "not a CSV table"]),
    ],
)  # fmt: skip
def test_wrong_tables_are_refused(csv, capsys, text, says):
    assert main(["analyze", str(csv(text)), "--baseline", "swin", "--json"]) == 2
    err = capsys.readouterr().err
    assert "\n\nhint: " in err
    for part in says:
        assert part in err


def test_missing_file_is_an_input_error(tmp_path, capsys):
    assert main(["analyze", str(tmp_path / "no.csv"), "--baseline", "swin"]) == 2
    assert "no.csv: no such file" in capsys.readouterr().err


def test_ten_thousand_rows_take_no_longer_than_reading_them_a_few_times(csv):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        [(f"a{i}", s, v) for i in range(50) for s, v in enumerate(rng.normal(90, 1, 200))],
        columns=["arm", "seed", "value"],
    )
    path = csv(frame.to_csv(index=False))
    analyze(path, "a0", rope=0.5, alpha=0.05)
    began = time.process_time()
    read_results(path)
    once = time.process_time() - began
    began = time.process_time()
    analyze(path, "a0", rope=0.5, alpha=0.05)
    assert time.process_time() - began < 100 * once + 1.0


def test_the_command_in_the_provenance_can_be_pasted_and_gives_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arms = {"it's my swin": (90, 91, 92), "no shift": (80, 81, 82)}
    rows = [f"{arm},{seed},{v}" for arm, values in arms.items() for seed, v in enumerate(values)]
    (tmp_path / "my results.csv").write_text("\n".join(["arm,seed,value", *rows]))
    words = ["analyze", "my results.csv", "--baseline", "it's my swin", "--rope", "0.5"]
    assert main([*words, "--alpha", "0.1", "--out", "one"]) == 0
    said = json.loads((tmp_path / "one/provenance.json").read_text())["command"]
    program, *words = shlex.split(said)
    assert (program, main([*words, "--out", "two"])) == ("swinablate", 0)
    one, two = ((tmp_path / folder / "verdicts.json").read_text() for folder in ("one", "two"))
    assert one == two
    assert {json.loads(one)[key] for key in ("alpha", "rope_pp")} == {0.1, 0.5}
