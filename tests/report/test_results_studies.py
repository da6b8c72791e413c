"""Studies with `[results]`: a question in a file, its numbers from where people log them."""

import json

import pytest
from mlflow import MlflowClient

from swinablate.cli.app import main
from tests.report.test_logged import ARMS, boards, values

STUDY = """\
question = "What did the shift do in the runs that we have?"
baseline = "swin"
[results]
{results}
unit = "percent"
better = "higher"
[compare]
rope = 0.5
alpha = 0.1
{compare}
[[hypotheses]]
arm = "no shift"
expect = "worse"
by = 2.0
source = "a paper"
[labels]
"no shift" = "without shift"
"""
TABLE = "arm,seed,value\n" + "".join(
    f"{arm},{seed},{values(arm, seed)[-1]}\n" for arm in ARMS for seed in range(4)
)
TRUE = sum(values("no shift", s)[-1] - values("swin", s)[-1] for s in range(4)) / 4


@pytest.fixture
def judge(tmp_path, capsys, monkeypatch):
    """Write a study and run verbs on it, from another folder than its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(results, compare="", verb="report", more=(), swap=("", "")):
        text = STUDY.format(results=results, compare=compare).replace(*swap)
        (tmp_path / "old.toml").write_text(text)
        code = main([verb, "../old.toml", *more])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def charted(folder):
    """A chart as W&B exports it: a column a run."""
    runs = [(arm, seed) for arm in ARMS for seed in range(4)]
    header = ['"Step"', *(f'"{arm}-seed{seed} - val/acc"' for arm, seed in runs)]
    rows = [
        ",".join([str(step), *(repr(values(arm, seed)[step]) for arm, seed in runs)])
        for step in range(3)
    ]
    (folder / "wandb.csv").write_text("\n".join([",".join(header), *rows]) + "\n")


@pytest.mark.parametrize(
    ("results", "compare"),
    [
        ('file = "runs.csv"', ""),
        ('file = "wandb.csv"', 'metric = "val/acc"'),
        ('file = "boards"', 'metric = "val/acc"'),
    ],
)
def test_a_study_is_judged_from_a_table_a_chart_or_a_folder(judge, tmp_path, results, compare):
    (tmp_path / "runs.csv").write_text(TABLE)
    charted(tmp_path)
    boards(tmp_path / "boards")
    code, out, err = judge(results, compare, more=["--json"])
    assert code == 0, err
    told = json.loads(out)
    (arm,) = told["arms"]
    assert (arm["name"], arm["n"], arm["verdict"]) == ("no shift", 4, "worse")
    assert arm["delta_pp"] == pytest.approx(TRUE, abs=1e-4)
    assert (told["alpha"], told["rope_pp"], told["declared"]) == (0.1, 0.5, False)
    assert arm["hypothesis"]["answer"] == "supported"
    assert not (tmp_path / "here" / "reports").exists()


@pytest.mark.integration
def test_a_study_is_judged_from_mlflow_and_a_report_is_written(judge, tmp_path):
    client = MlflowClient(f"sqlite:///{tmp_path / 'runs.db'}")
    place = client.create_experiment("theirs")
    for arm in ARMS:
        for seed in range(4):
            run = client.create_run(place, tags={"seed": str(seed), "arm": arm}).info.run_id
            client.log_metric(run, "acc", values(arm, seed)[-1])
            client.set_terminated(run)
    source = 'tracking_uri = "sqlite:///runs.db"\nexperiment = "theirs"\narm = "tags.arm"'
    code, _, err = judge(source, 'metric = "acc"')
    assert code == 0, err
    folder = tmp_path / "here" / "reports" / "old"
    page = (folder / "report.md").read_text()
    # Nobody knows what was declared before these runs, and the page claims nothing else.
    assert "Declared before launch" not in (folder / "index.html").read_text()
    assert (
        "nothing here shows that they were declared before" in (folder / "index.html").read_text()
    )
    assert "> What did the shift do in the runs that we have?" in page
    assert "**worse**: without shift lowers" in page
    assert "| without shift | worse by at least 2 pp | a paper | supported |" in page
    origin = json.loads((folder / "provenance.json").read_text())
    assert origin["command"].endswith("report ../old.toml")
    assert (folder / "figures" / "forest.svg").exists()


def test_analyze_takes_such_a_study_too_and_no_options_beside_it(judge, tmp_path):
    (tmp_path / "runs.csv").write_text(TABLE)
    code, out, _ = judge('file = "runs.csv"', verb="analyze", more=["--json"])
    assert (code, json.loads(out)["alpha"]) == (0, 0.1)
    for more in (["--alpha", "0.05"], ["--baseline", "swin"], ["--paired"]):
        code, _, err = judge('file = "runs.csv"', verb="analyze", more=more)
        assert code == 2
        assert f"error: {more[0]}: a study with [results] says all of it" in err


@pytest.mark.parametrize("verb", ["run", "plan", "status", "retry", "sync", "export"])
def test_what_would_train_or_trained_says_what_to_do(judge, verb):
    more = ["x.zip"] if verb == "export" else []
    code, _, err = judge('file = "runs.csv"', verb=verb, more=more)
    assert code == 2
    assert "../old.toml: this study trains nothing: its numbers are those of [results]" in err
    assert "hint: `swinablate report ../old.toml` judges them" in err


@pytest.mark.parametrize(
    ("results", "swap", "said"),
    [
        ("", ("", ""), ("results: results are in one place", 'file = "runs.csv"')),
        ('file = "runs.csv"\nexperiment = "e"\ntracking_uri = "u"', ("", ""),
         ("results: results are in one place", "tracking_uri")),
        ('experiment = "e"', ("", ""), ("an experiment has an address", "tracking_uri")),
        ('file = "runs.csv"\nseeds = 3', ("", ""), ("unknown key 'seeds'", "seed")),
        ('file = "runs.csv"', ("[results]", "seeds = 3\n[results]"),
         ("old.toml: seeds: a study with [results] trains nothing", "leave it out")),
        ('file = "none.csv"', ("", ""), ("none.csv", "")),
        ('file = "runs.csv"', ('"swin"', '"siwn"'),
         ("no arm is called 'siwn'", "did you mean 'swin'?")),
        ('file = "runs.csv"', ('arm = "no shift"', 'arm = "no shfit"'),
         ("hypotheses: no arm is called 'no shfit'", "did you mean 'no shift'?")),
        ('file = "runs.csv"', ('"no shift" = "w', '"noshift" = "w'),
         ("labels: 'noshift'", "did you mean 'no shift'?")),
        ('file = "runs.csv"', ('expect = "worse"', 'expect = "worse"\nquantity = "train_s"'),
         ("hypotheses: 1: quantity", "arm")),
        ('file = "runs.csv"\narm = "arms"', ("", ""),
         ("results.arm: no column is called 'arms'", "arm")),
        ('file = "boards"', ("", ""), ("2 metrics in column", 'compare.metric = "val/acc"')),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_one_error(judge, tmp_path, results, swap, said):
    (tmp_path / "runs.csv").write_text(TABLE)
    if "boards" in results:
        boards(tmp_path / "boards")
    code, _, err = judge(results, swap=swap)
    assert code == 2
    problem, hint = said
    assert problem in err
    assert hint in err.partition("hint: ")[2]
    assert "Traceback" not in err
