"""A study of a metric of which less is better, end to end; and what stands beside it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from swinablate.api import Silent
from swinablate.cli.app import main
from swinablate.execution.run import Options, execute
from swinablate.records.home import Home
from swinablate.records.outcome import MEASURED
from swinablate.records.seal import seal
from swinablate.report.answer import gather
from swinablate.report.families import contention
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from tests.conftest import RECIPE

STUDY = """\
question = "What does the loss say?"
baseline = "base.toml"
seeds = 3
baseline_seeds = 3

[axes]
"train.lr" = [1e-6]
"model.mlp_ratio" = [2.0]

[compare]
metric = "test/loss"
rope = 0.01
secondary = ["test/accuracy", "test/ece", "test/recall/3"]

[[hypotheses]]
arm = "lr=1e-06"
expect = "worse"
by = 0.01

[[hypotheses]]
arm = "mlp_ratio=2.0"
expect = "better"
by = 500
quantity = "params"

[[hypotheses]]
arm = "mlp_ratio=2.0"
expect = "equivalent"
quantity = "macs"

[[hypotheses]]
arm = "lr=1e-06"
expect = "equivalent"
by = 1000
quantity = "train_s"
"""
OLD = ("test/accuracy", "val/accuracy", "train/loss", "epochs", "time/train_s")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study, its home, and its report."""
    folder = tmp_path_factory.mktemp("loss")
    (folder / "base.toml").write_text(RECIPE.replace("epochs = 2", "epochs = 4\nlr = 0.01"))
    (folder / "loss.toml").write_text(STUDY)
    made = plan(load_study(folder / "loss.toml"))
    home = Home(folder / "home")
    summary = execute(made, home, Options(executor="serial"), Silent(None))
    assert (summary.exit_code, summary.missing) == (0, 0)
    words = ["report", "loss", "--home", str(home.root), "--out", str(folder / "report")]
    with pytest.MonkeyPatch.context() as calm:  # whatever else runs on this machine
        calm.setattr(contention, "SHARE", 0.0)
        calm.setattr(contention, "SPREAD", float("inf"))
        assert main(words) == 0
    return folder


@pytest.fixture
def judged(ran: Path):
    return json.loads((ran / "report/verdicts.json").read_text())


@pytest.fixture
def copy(ran: Path, tmp_path: Path) -> Home:
    """The home as an earlier version would have left it: accuracies, and weights."""
    home = Home(shutil.copytree(ran / "home", tmp_path / "home"))
    for path in home.trials.glob("*/result.json"):
        data = json.loads(path.read_text())
        data["metrics"] = {key: data["metrics"][key] for key in OLD}
        path.write_text(seal({k: v for k, v in data.items() if k not in {"digest", "schema"}}))
    return home


def values(ran: Path, name: str) -> dict[str, list[float]]:
    home = Home(ran / "home")
    record = home.declared("loss")
    found = home.outcomes(row.trial for row in record.rows())
    each: dict[str, list[float]] = {}
    for row in record.rows():
        each.setdefault(row.arm.name, []).append(found[row.trial].metrics[name])
    return each


def test_a_higher_loss_is_worse_and_its_difference_is_positive(ran, judged):
    losses = {arm: np.mean(found) for arm, found in values(ran, "test/loss").items()}
    assert (judged["metric"], judged["unit"], judged["better"]) == ("test/loss", "nats", "lower")
    slow = next(arm for arm in judged["arms"] if arm["name"] == "lr=1e-06")
    assert slow["delta_pp"] == pytest.approx(losses["lr=1e-06"] - losses["baseline"])
    assert (slow["verdict"], slow["delta_pp"] > 0) == ("worse", True)
    assert slow["hypothesis"] == {"expect": "worse", "by": 0.01, "answer": "supported"}
    assert slow["sentence"].startswith("lr=1e-06 raises test loss by ")
    assert " nats (95 % simultaneous CI +" in slow["sentence"]
    assert slow["new_images_low"] is None  # which images are right says nothing of a loss


def test_other_metrics_are_families_of_their_own(ran, judged):
    accuracy, ece, recall = judged["secondary"]
    names = [block["metric"] for block in judged["secondary"]]
    assert names == ["test/accuracy", "test/ece", "test/recall/3"]
    assert {block["alpha"] for block in judged["secondary"]} == {0.05}
    assert "unit" not in accuracy  # percentage points, more is better: as in any study
    assert (ece["unit"], ece["better"]) == ("pp", "lower")
    for block in (accuracy, ece, recall):
        own = {arm: np.mean(found) for arm, found in values(ran, block["metric"]).items()}
        for arm in block["arms"]:
            assert arm["delta_pp"] == pytest.approx(own[arm["name"]] - own["baseline"])
            assert arm["verdict"] != "equivalent"  # no margin was declared for it
    assert accuracy["arms"][0]["new_images_low"] is not None
    assert recall["arms"][0]["new_images_low"] is None


def test_what_a_change_costs_is_judged_in_its_unit(judged):
    found = {block["metric"]: block for block in judged["quantities"]}
    assert list(found) == ["params", "macs", "train_s"]
    small = next(arm for arm in found["params"]["arms"] if arm["name"] == "mlp_ratio=2.0")
    assert small["delta_pp"] == small["ci_low"] == small["ci_high"] < -500
    assert (small["verdict"], small["p"]) == ("better", None)
    assert [h["answer"] for h in small["hypotheses"]] == ["supported"]
    fewer = next(arm for arm in found["macs"]["arms"] if arm["name"] == "mlp_ratio=2.0")
    assert [h["answer"] for h in fewer["hypotheses"]] == ["contradicted"]
    slow = next(arm for arm in found["train_s"]["arms"] if arm["name"] == "lr=1e-06")
    assert (found["train_s"]["unit"], slow["verdict"] in {"undecided", "worse", "better"}) == (
        "s", True,
    )  # fmt: skip
    assert [h["answer"] for h in slow["hypotheses"]] == ["supported"]  # within 1000 s


def test_the_unit_stands_wherever_a_number_does(ran):
    report = ran / "report"
    page, text = (report / "index.html").read_text(), (report / "report.md").read_text()
    assert "difference, 95 % CI (nats)" in page
    assert "| test loss (nats) | difference (nats) | 95 % CI (nats) |" in text
    assert "| equivalent in train_s within 1000 s |  | supported |" in text
    assert "| better in params by at least 500 parameters |  | supported |" in text
    tex = (report / "tables/arms.tex").read_text()
    assert r"{test loss (nats)} & {$\Delta$ (nats)}" in tex
    assert "difference in test loss, nats" in (report / "figures/forest.svg").read_text()
    further = pd.read_csv(report / "tables/further.csv")
    assert further.groupby("metric").size().to_dict() == dict.fromkeys(
        ["test/accuracy", "test/ece", "test/recall/3", "params", "macs", "train_s"], 3
    )
    arms = pd.read_csv(report / "tables/arms.csv").set_index("arm")
    train, test = (values(ran, f"{n}accuracy") for n in ("train/eval_", "test/"))
    for arm in arms.index:
        gap = np.mean(train[arm]) - np.mean(test[arm])
        assert arms.gap_pp[arm] == pytest.approx(gap)


def test_terminal_and_plan_say_the_unit(ran, capsys):
    words = [str(ran / "loss.toml"), "--home", str(ran / "home")]
    assert main(["plan", *words]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Compared: test loss (test/loss); lower is better." in said
    assert " nats (sd 0." in said
    assert main(["report", *words, "--out", str(ran / "again")]) == 0
    assert " nats, n = 3)" in capsys.readouterr().out


def test_what_was_not_recorded_is_measured_from_the_weights(ran, copy, judged, tmp_path, capsys):
    before = {path: path.read_bytes() for path in copy.trials.glob("*/result.json")}
    words = ["report", "loss", "--home", str(copy.root), "--out", str(tmp_path / "r"), "--json"]
    assert main(words) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert "not recorded" not in said.err
    assert {path: path.read_bytes() for path in before} == before
    for ours, theirs in zip(found["arms"], judged["arms"], strict=True):
        assert ours["delta_pp"] == pytest.approx(theirs["delta_pp"], abs=1e-9)
        assert ours["verdict"] == theirs["verdict"]


def test_what_cannot_be_measured_has_no_verdict_and_is_named(copy, tmp_path, capsys):
    record = copy.declared("loss")
    lost = dict(zip(record.arms[1].seeds, record.arms[1].trials, strict=True))
    for path in copy.attempt(lost[1], 1).glob("*.pt"):
        path.unlink()
    other = copy.attempt(lost[0], 1)
    for path in other.glob("*.pt"):  # weights of another training
        path.unlink()
    for path in copy.attempt(record.arms[0].trials[0], 1).glob("*.pt"):
        shutil.copy(path, other)
    words = ["report", "loss", "--home", str(copy.root), "--out", str(tmp_path / "r"), "--json"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "not recorded, lr=1e-06 s1: its weights are gone" in said.err
    assert "not recorded, lr=1e-06 s0: its weights answer otherwise here" in said.err
    found = json.loads(said.out)
    first, second = found["arms"]
    assert (first["verdict"], first["reason"]) == (
        "not tested", "test loss is not recorded of 2 trials of lr=1e-06",
    )  # fmt: skip
    assert second["verdict"] != "not tested"
    (warning,) = [w["text"] for w in found["warnings"] if w["code"] == "W23"]
    assert "test/loss, test/ece, test/recall/3 of 2 trials (lr=1e-06 seed 0, 1)" in warning


def test_a_side_record_of_another_or_a_damaged_one_is_not_believed(copy):
    trial = copy.declared("loss").arms[0].trials[0]
    path = copy.trials / trial / MEASURED
    mine = copy.outcomes([trial])[trial]
    good = {
        "trial": trial, "attempt": 1, "predictions": mine.predictions["sha256"],
        "metrics": {"test/loss": 1.5, "test/accuracy": 99.0},
    }  # fmt: skip
    path.write_text(seal(good))
    found = copy.outcomes([trial])[trial].metrics
    assert found["test/loss"] == 1.5
    assert found["test/accuracy"] == mine.metrics["test/accuracy"]  # never replaced
    for wrong in ({"predictions": "0" * 64}, {"attempt": 2}, {"trial": "0" * 64}):
        path.write_text(seal({**good, **wrong}))
        assert "test/loss" not in copy.outcomes([trial])[trial].metrics
    path.write_text(seal(good).replace("1.5", "0.5"))
    assert "test/loss" not in copy.outcomes([trial])[trial].metrics


def test_gathering_alone_says_what_is_not_recorded(copy):
    found = gather(copy, "loss").verdicts
    assert {arm["verdict"] for arm in found["arms"]} == {"not tested"}
    assert found["arms"][0]["n"] == 0
