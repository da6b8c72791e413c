"""Names of arms that somebody chose to do harm: in tables, pages, and on a terminal."""

import base64
import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from swinablate.cli.app import main
from swinablate.errors import InputError
from swinablate.report import contents, tables
from swinablate.report.analyze import Question, analyze
from swinablate.report.foreign.columns import read_results
from tests.answers import BASELINE, Sketch, study

RUNS = ["=HYPERLINK(1)", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1+1", " =1", "\uff1d1+1"]
PLAIN = ["-1.5", "+2", "1e-3", "-3e8", "baseline", "a=b", "model.shift = false", "a - b", "-", ""]
SEQUENCE = "\x1b[31mred\x07\u202egnp"
TABLE = "arm,seed,value\n" + "".join(
    f'"{arm}",{seed},{90 + seed / 10}\n' for arm in ("base", SEQUENCE, *RUNS) for seed in range(3)
)


def cells(text: str) -> list[str]:
    return [cell for row in csv.reader(io.StringIO(text)) for cell in row]


def runs(cell: str) -> bool:
    """Whether some spreadsheet would: it begins as a formula does, and is no number."""
    return bool(re.match(r"\s*[=+\-@\uff1d].", cell)) and not re.fullmatch(r"-?[\d.e+-]+", cell)


@pytest.mark.parametrize("cell", RUNS)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(cell):
    assert cells(tables.csv(pd.DataFrame({cell: [cell]}))) == [f"'{cell}", f"'{cell}"]


@pytest.mark.parametrize("cell", PLAIN)
def test_what_it_would_not_run_stays(cell):
    assert cells(tables.csv(pd.DataFrame({"x": [cell], "y": ["z"]}))) == ["x", "y", cell, "z"]


def test_numbers_stay_numbers():
    frame = pd.DataFrame({"a": [-1.5, None], "b": [-2, 3], "c": [True, False], "d": [None, -0.5]})
    assert tables.csv(frame) == "a,b,c,d\n-1.5,-2,True,\n,3,False,-0.5\n"
    assert tables.csv(frame.iloc[:0]) == "a,b,c,d\n"


@pytest.mark.parametrize("separator", [";", "\t", "\n"])
def test_other_separators_hide_no_formula(separator):
    """In some languages a spreadsheet separates cells by semicolons."""
    (cell,) = cells(tables.csv(pd.DataFrame({"x": [f"a{separator}=1+1"]})))[1:]
    assert cell == f"a{separator}'=1+1"


def test_no_table_of_a_report_runs_anything():
    arms = [BASELINE, *(Sketch(name=cell, changes={cell: cell}) for cell in RUNS)]
    files = contents(study(arms))
    page = files["index.html"].decode()
    inside = [base64.b64decode(x) for x in re.findall(r"data:text/csv;base64,([^\"]+)", page)]
    beside = [data for name, data in files.items() if name.endswith(".csv")]
    assert len(beside) > 3
    assert len(inside) > 3
    for data in (*beside, *inside):
        found = cells(data.decode())
        assert not [cell for cell in found if runs(cell)]
    assert f"'{RUNS[0]}" in cells(files["tables/arms.csv"].decode())


@pytest.mark.parametrize("name", ["None", "NA", "nan", "null", "NaN", "N/A", "<NA>"])
def test_an_arm_may_have_a_name_that_pandas_takes_for_nothing(tmp_path, name):
    path = tmp_path / "results.csv"
    rows = [f"{arm},{seed},{90 + seed}" for arm in ("base", name) for seed in range(3)]
    path.write_text("\n".join(["arm,seed,value", *rows]))
    answer = analyze(path, Question(baseline="base")).only
    assert [arm["name"] for arm in answer.verdicts["arms"]] == [name]
    assert answer.verdicts["arms"][0]["n"] == 3
    assert analyze(path, Question(baseline=name)).only.verdicts["baseline"]["name"] == name
    files = contents(answer)
    assert cells(files["tables/trials.csv"].decode()).count(name) == 3


@pytest.mark.parametrize("row", [",0,90", '" ",0,90', ",0"])
def test_an_arm_without_a_name_is_still_refused(tmp_path, row):
    path = tmp_path / "results.csv"
    path.write_text(f"arm,seed,value\nbase,0,90\n{row}\n")
    with pytest.raises(InputError, match="a row has no arm or no seed") as caught:
        read_results(path)
    assert caught.value.at == f"{path}: line 3"


def test_other_columns_may_be_empty_or_say_so(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("arm,seed,value,status,params\nbase,0,NA,failed,\nbase,1,90,,None\n")
    found = read_results(path).rows
    assert found.value.isna().tolist() == [True, False]
    assert found.status.tolist() == ["failed", "done"]
    assert found.params.isna().all()


def test_a_terminal_obeys_no_name(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("results.csv").write_text(TABLE)
    assert main(["analyze", "results.csv", "--baseline", "base"]) == 0
    said = "".join(capsys.readouterr())
    assert "\\x1b[31mred\\x07\\u202egnp" in said
    assert not set("\x1b\x07\u202e") & set(said)
    assert main(["analyze", "results.csv", "--baseline", "\x1b[2J"]) == 2
    said = "".join(capsys.readouterr())
    assert "\\x1b[2J" in said
    assert "\x1b" not in said


def test_a_file_whose_name_is_hostile_is_named_without_harm(tmp_path, capsys):
    assert main(["analyze", str(tmp_path / "\x1b[2J[/red].csv"), "--baseline", "base"]) == 2
    assert "\\x1b[2J[/red].csv: no such file" in capsys.readouterr().err
    path = tmp_path / "[red].csv"
    path.write_text(TABLE)
    out = str(tmp_path / "[" / "red]\x1b")
    assert main(["analyze", str(path), "--baseline", "base", "--out", out]) == 0
    assert "[/red]\\x1b/index.html" in capsys.readouterr().err


@pytest.mark.integration  # two processes
def test_a_terminal_that_cannot_show_a_name_gets_its_numbers(tmp_path):
    (tmp_path / "results.csv").write_text(
        TABLE.replace("=HYPERLINK(1)", "fen\u00eatre 窗口 \U0001f600")
    )
    bare = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for variables in ({"PYTHONIOENCODING": "ascii"}, bare):
        done = subprocess.run(
            [sys.executable, "-m", "swinablate", "analyze", "results.csv", "--baseline", "base",
             "--out", "out"],
            cwd=tmp_path, env={**os.environ, **variables}, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert b"fen\\xeatre \\u7a97\\u53e3 \\U0001f600" in done.stdout
        done.stdout.decode("ascii")
    judged = json.loads((tmp_path / "out" / "verdicts.json").read_text("utf-8"))
    assert "fen\u00eatre 窗口 \U0001f600" in [arm["name"] for arm in judged["arms"]]
