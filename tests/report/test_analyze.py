"""Results trained anywhere: read strictly, judged as our own."""

import json
import re
import shlex
import time

import numpy as np
import pandas as pd
import pytest

from swinablate.cli.app import main
from swinablate.report import contents
from swinablate.report.analyze import Question, analyze
from swinablate.report.drawing import records
from swinablate.report.figures import cost, forest, seeds
from swinablate.report.foreign.columns import read_results
from swinablate.report.foreign.measure import Measure
from swinablate.stats import Declaration, effects, verdicts
from swinablate.stats.declaration import Hypothesis

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
    answer = analyze(csv("\n".join(["arm,seed,value,step", *rows])), Question(baseline="a")).only
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
    found = analyze(csv(text), Question(baseline="swin")).only.verdicts["arms"][0]
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
    analyze(path, Question(baseline="a0", rope=0.5))
    began = time.process_time()
    read_results(path)
    once = time.process_time() - began
    began = time.process_time()
    analyze(path, Question(baseline="a0", rope=0.5))
    assert time.process_time() - began < 100 * once + 1.0


LOSSES = "Model;Run;Corpus;Val_Loss;Status\n" + "".join(
    f"{arm};r{seed};{corpus};{mean + 0.01 * seed ** (1 + (arm != 'no shift')):.2f};FINISHED\n"
    for corpus, shift in (("c4", 0.0), ("wiki text", 0.2))
    for arm, mean in (("it's my swin", 2.5 + shift), ("no shift", 2.1 + shift))
    for seed in range(4)
).replace(".", ",")
COLUMNS = ["--arm", "Model", "--seed", "run", "--value", "Val_Loss", "--dataset", "Corpus"]
SAID = ["--metric", "loss", "--unit", "none", "--better", "lower", "--paired"]


def test_the_command_of_a_report_gives_it_again_with_every_option(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my results.csv").write_text(LOSSES)
    words = ["analyze", "my results.csv", "--baseline", "it's my swin", "--rope", "0.05"]
    assert main([*words, *COLUMNS, *SAID, "--alpha", "0.1", "--out", "one"]) == 0
    said = json.loads((tmp_path / "one/wiki-text/provenance.json").read_text())["command"]
    program, *words = shlex.split(said)
    assert (program, main([*words, "--out", "two"])) == ("swinablate", 0)
    for name in ("c4", "wiki-text"):
        one, two = ((tmp_path / f / name / "verdicts.json").read_text() for f in ("one", "two"))
        assert one == two
        found = json.loads(one)
        assert found["arms"][0]["verdict"] == "better"
        assert found["arms"][0]["pairs"] == 4
        assert [found[k] for k in ("alpha", "rope_pp", "unit", "better", "metric")] == [
            0.1, 0.05, "none", "lower", "loss"
        ]  # fmt: skip
    assert "on wiki text" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["datasets"]) == ["c4", "wiki text"]


def pages(csv, text, **asked):
    files = contents(analyze(csv(text), Question(baseline="swin", **asked)).only)
    return files["index.html"].decode(), files["report.md"].decode()


@pytest.mark.parametrize("rope", [None, 0.5])
def test_no_report_claims_that_anything_was_declared(csv, rope):
    for page in pages(csv, GOOD, rope=rope):
        text = page.lower().replace("known to have been declared before the runs", "")
        assert "declared" not in text
        assert "before launch" not in text
        assert "no equivalence margin was given" in text or "margin of 0.5 pp" in text


def test_a_report_of_losses_speaks_of_no_percent(csv):
    text = GOOD.replace("value", "value,step").replace("\n", ",2\n").replace("step,2", "step")
    text += "".join(f"{a},{s},70,1\n" for a in ("swin", "vit") for s in range(5))
    loss = Measure(metric="loss", unit="none", better="lower")
    files = contents(analyze(csv(text), Question(baseline="swin", measure=loss)).only)
    markdown, latex = files["report.md"].decode(), files["tables/arms.tex"].decode()
    assert "Baseline 90.20 \xb1 0.16 loss, n = 5" in markdown
    assert "vit lowers loss by 5.00 (" in markdown
    assert "| arm | n | loss | difference | 95 % CI | p (adjusted) | verdict |" in markdown
    for said in (" pp", "(pp)", "(%)", "percentage point", "accuracy (%)"):
        assert said not in markdown
    assert "arm & \\multicolumn{2}{c}{loss} & {$\\Delta$} & {95" in latex
    for name in ("forest", "seeds", "curves"):
        figure = files[f"figures/{name}.svg"].decode()
        assert "loss" in figure
        assert "percentage" not in figure
        assert "(%)" not in figure


def test_arms_stand_best_first_when_lower_is_better(csv):
    text = GOOD + "".join(f"cnn,{s},{95 + 0.1 * s}\n" for s in range(5))
    loss = Measure(metric="loss", unit="none", better="lower")
    found = analyze(csv(text), Question(baseline="swin", measure=loss)).only
    assert [row.arm for row in records(forest.FIGURE.table(found)) if row.mark == "interval"] == [
        "vit", "cnn"
    ]  # fmt: skip
    assert list(dict.fromkeys(seeds.FIGURE.table(found).arm)) == ["vit", "swin", "cnn"]
    markdown = contents(found)["report.md"].decode()
    assert markdown.index("**better**: vit") < markdown.index("**worse**: cnn")


def test_the_front_of_losses_goes_down(csv):
    text = "arm,seed,value,macs\n" + "".join(
        f"{arm},{seed},{mean + 0.1 * seed},{macs}\n"
        for arm, mean, macs in (("swin", 5.0, 100), ("worse", 6.0, 200), ("best", 3.0, 300))
        for seed in range(3)
    )
    loss = Measure(metric="loss", unit="none", better="lower")
    rows = cost.FIGURE.table(analyze(csv(text), Question(baseline="swin", measure=loss)).only)
    assert dict(zip(rows.arm, rows.front, strict=True)) == {
        "swin": True, "worse": False, "best": True
    }  # fmt: skip


def test_a_hypothesis_of_better_is_answered_in_the_metrics_direction(csv):
    asked = [Hypothesis("vit", "better", 1.0), Hypothesis("vit", "worse", 1.0)]
    declared = Declaration(baseline="swin", unit="none", better="lower", hypotheses=tuple(asked))
    (arm,) = verdicts(pd.read_csv(csv()), declared, complete=True).arms
    assert [answer.answer for answer in arm.hypotheses] == ["supported", "contradicted"]


def test_only_lost_runs_are_called_lost(csv):
    text = GOOD.replace("seed,value", "seed,value,status").replace("\n", ",done\n")
    text = text.replace("status,done", "status").replace("vit,3,85.3,done", "vit,3,,diverged")
    html, markdown = pages(csv, text)
    assert "1 of 10 trials failed or diverged." in html
    assert re.findall(r"^- (?:done|failed|diverged): .*", markdown, re.MULTILINE) == [
        "- diverged: vit, seed 3"
    ]


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
