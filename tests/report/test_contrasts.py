"""Declared contrasts in everything that is read: page, Markdown, tables, forest, MLflow, terminal."""

import io
import json
from dataclasses import replace

import pandas as pd
import pytest

from swinablate.cli import terminal
from swinablate.records.plan import ContrastRecord, HypothesisRecord
from swinablate.report import contents
from swinablate.report.families.compared import contrasts_table
from swinablate.report.families.further import among, further
from swinablate.report.figures import forest
from swinablate.tracking import text
from tests.answers import QUICKSTART, study
from tests.report.test_report import Page

GAP = ContrastRecord(name="ResNet less ViT", of={"ResNet": 1, "ViT, same parameters": -1})
BOTH = ContrastRecord(
    name="bias, with <shift> less without",
    of={"no shift, no bias": 1, "shift=false": -1, 'position_bias="none"': -1, "baseline": 1},
)
CLAIM = HypothesisRecord(contrast="ResNet less ViT", expect="better", by=0.5, source="post 001")
SAID = "2 changes at once, model.depth, train.lr"


@pytest.fixture(scope="module")
def answer():
    *others, resnet = QUICKSTART
    sketches = (*others, replace(resnet, against="ViT, same parameters"))
    return study(
        sketches,
        contrasts=(GAP, BOTH),
        hypotheses=(CLAIM,),
        confounded={"ResNet less ViT": SAID, "shift=false": SAID},
    )


@pytest.fixture(scope="module")
def files(answer):
    return contents(answer)


def test_the_page_has_every_contrast_with_what_it_is_of(files):
    page = Page(files["index.html"].decode())
    said = page.text
    assert "6 arms compared with it; 3 declared contrasts of arms" in said
    assert "ResNet less ViT: above 0 (+" in said
    assert "ResNet - 'ViT, same parameters'" in said
    assert "'no shift, no bias' + baseline" in said.replace("<wbr>", "")
    assert "bias, with <shift> less without" in said  # escaped in the file, whole for a reader
    assert "against ViT, same parameters" in said
    assert (
        said.count(f"Caution: {SAID}.") == 4
    )  # two comparisons, each as a finding and in its table
    assert "<shift>" not in files["index.html"].decode()


def test_markdown_has_them_too(files):
    said = files["report.md"].decode()
    assert "## Declared contrasts" in said
    assert "| ResNet less ViT | ResNet - 'ViT, same parameters' | +" in said
    assert "(against ViT, same parameters)" in said
    assert f"Caution: {SAID}." in said


def test_hypotheses_about_a_contrast_are_answered_under_its_name(files, answer):
    found = json.loads(files["verdicts.json"])
    (one,) = [c for c in found["contrasts"] if c["name"] == "ResNet less ViT"]
    assert one["hypotheses"][0]["answer"] == "supported"
    page = Page(files["index.html"].decode()).text
    assert "ResNet less ViT better by at least 0.5 pp post 001" in page
    assert answer.plan.to_json()["hypotheses"][0]["contrast"] == "ResNet less ViT"


def test_tables_have_a_row_for_each(files, answer):
    rows = pd.read_csv(io.BytesIO(files["tables/contrasts.csv"]))
    assert rows.contrast.tolist() == [
        "ResNet",
        "ResNet less ViT",
        "bias, with <shift> less without",
    ]
    assert rows.of[0] == "ResNet - 'ViT, same parameters'"
    assert rows.confounded[1] == SAID
    assert rows.delta_pp[0] == pytest.approx(rows.delta_pp[1])
    tex = files["tables/contrasts.tex"].decode()
    assert tex.count(r"\\") == 4
    assert r"ResNet less ViT & ResNet - 'ViT, same parameters' & +" in tex
    assert r"bias, with \textless{}shift\textgreater{} less without" in tex
    arms = pd.read_csv(io.BytesIO(files["tables/arms.csv"])).set_index("arm")
    assert arms.against["ResNet"] == "ViT, same parameters"
    assert arms.against.isna().sum() == 7
    assert "ResNet (against ViT, same parameters)" in files["tables/arms.tex"].decode()
    assert len(contrasts_table(answer)) == 3


def test_a_study_without_contrasts_has_none_of_it():
    files = contents(study())
    assert "tables/contrasts.csv" not in files
    assert b"against" not in files["tables/arms.csv"]
    assert b"Declared contrasts" not in files["index.html"]
    assert "against" not in pd.read_csv(io.BytesIO(files["tables/forest.csv"])).columns


def test_the_forest_draws_contrasts_below_the_arms(files, answer):
    rows = forest.table(answer)
    shown = rows[rows.mark != "seed"]
    assert shown.mark.tolist() == ["interval"] * 7 + ["contrast"] * 2
    assert shown.arm.tolist()[6:] == ["ResNet", GAP.name, BOTH.name]
    # A tick is a seed less the mean of what its arm is compared with.
    ticks = rows[(rows.mark == "seed") & (rows.arm == "ResNet")].delta_pp
    assert ticks.mean() == pytest.approx(shown.delta_pp.iloc[6])
    drawn = files["figures/forest.svg"].decode()
    assert "below the line: declared contrasts" in drawn
    assert "against ViT" in drawn


def test_mlflow_and_the_terminal_show_them(answer, capsys, monkeypatch):
    note = text.verdicts(answer.verdicts)
    assert "- ResNet less ViT: better, above 0" in note
    assert "against ViT, same parameters, better" in note
    terminal.show_verdicts(answer.verdicts)
    said = capsys.readouterr().out
    assert "ResNet (against ViT, same parameters)" in said
    assert "Declared contrasts, a family of their own" in said
    assert "bias, with <shift> less without" in said


def test_another_metric_is_compared_between_the_same_arms(answer):
    trials = answer.trials.assign(test_loss=2 - answer.trials.test_acc.astype(float) / 100)
    asked = (
        CLAIM.model_copy(update={"quantity": "test/loss"}),
        HypothesisRecord(arm="ResNet", expect="better", by=1, quantity="params"),
    )
    compare = answer.plan.compare.model_copy(update={"secondary": ("test/loss",)})
    declared = answer.plan.model_copy(update={"compare": compare, "hypotheses": asked})
    found = further(declared, trials)
    (loss,) = found["secondary"]
    means = trials.groupby("arm").test_loss.mean()
    resnet = next(arm for arm in loss["arms"] if arm["name"] == "ResNet")
    against = means["ResNet"] - means["ViT, same parameters"]
    assert (resnet["against"], resnet["delta_pp"]) == (
        "ViT, same parameters", pytest.approx(against),
    )  # fmt: skip
    (gap,) = [one for one in among(loss) if one["name"] == GAP.name]
    assert gap["delta_pp"] == pytest.approx(against)
    assert [h["answer"] for h in gap["hypotheses"]] == [
        "contradicted"
    ]  # .5 nats, in words of loss
    (params,) = found["quantities"]
    resnet = next(arm for arm in params["arms"] if arm["name"] == "ResNet")
    own, theirs = (answer.plan.arm(name).params for name in ("ResNet", "ViT, same parameters"))
    assert resnet["delta_pp"] == own - theirs


def test_contrasts_of_arms_are_drawn_though_all_seeds_of_the_baseline_diverged():
    lost = replace(QUICKSTART[0], statuses=("diverged",) * 10)
    of = {QUICKSTART[1].name: 1.0, QUICKSTART[2].name: -1.0}
    gap = ContrastRecord(name="gap", of=of)
    files = contents(study([lost, *QUICKSTART[1:3]], contrasts=[gap]))
    assert b"(baseline - %, n = 0)" in files["figures/forest.svg"]
    (one,) = [
        one for one in json.loads(files["verdicts.json"])["contrasts"] if one["name"] == "gap"
    ]
    assert one["verdict"] == "better"
