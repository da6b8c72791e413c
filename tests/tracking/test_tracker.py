"""MLflow as users find it, on real SQLite files."""

import base64
import hashlib
import json
import os
import re
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import zlib
from dataclasses import replace
from urllib.parse import parse_qs

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from swinablate.errors import EnvironmentFault
from swinablate.records.launch import Launch
from swinablate.records.report_folder import publish
from swinablate.tracking import text
from swinablate.tracking import views as track_views
from swinablate.tracking.cards import ArmCard
from swinablate.tracking.runs import connect
from swinablate.tracking.tracker import StudyCard, Tracker, TrialCard

pytestmark = pytest.mark.filterwarnings(  # MLflow 3.17 on SQLAlchemy 2.1
    "ignore:The ``noload`` loader strategy:DeprecationWarning"
)
STUDY = StudyCard(
    name="quickstart",
    dataset="digits",
    declaration=hashlib.sha256(b"declared").hexdigest(),
    question="Which parts of *Swin* matter?",
    commit="2778360c0ffee",
    varied=("model.shift", "model.norm"),
    launch=Launch(
        study="studies/quickstart.toml", command="swinablate run studies/quickstart.toml"
    ),
)
RECIPE = {
    "model": {"family": "swin", "shift": True, "norm": "layer", "depths": [2, 2]},
    "data": {"name": "digits"},
    "train": {"lr": 0.003, "weights": None},
}
ARM_CARDS = {
    "baseline": ArmCard(planned=10, recipe=RECIPE, params=34710, macs=1_200_000),
    "shift=false": ArmCard(
        planned=6, recipe={**RECIPE, "model": {**RECIPE["model"], "shift": False}}, params=34710,
        macs=1_200_000,
    ),
    "norm=batch": ArmCard(planned=6, recipe={"model": {"family": "vit"}}, params=30000, macs=None),
}  # fmt: skip
STUDY = replace(STUDY, arms=ARM_CARDS)
START = 1_700_000_000_000
ARMS = ("baseline", "shift=false", "norm=batch")


def trial_card(arm="baseline", seed=0, **changes):
    recipe = json.loads(json.dumps(RECIPE))
    if arm == "shift=false":
        recipe["model"]["shift"] = False
    card = TrialCard(
        trial=hashlib.sha256(f"{arm} {seed}".encode()).hexdigest(),
        arm=arm,
        seed=seed,
        kind="final",
        changes={"model.shift": False} if arm == "shift=false" else {},
        recipe=recipe,
        geometry=[{"grid": 8, "window": 2, "shift": 1}],
        params=34710,
        macs=1_200_000,
        reused=False,
    )
    return replace(card, **changes)


def curve(epochs=3, at=START, accuracy=50.0):
    return tuple(
        {
            "epoch": epoch,
            "at": at + 1000 * epoch,
            "train/loss": 2.0 / epoch,
            "val/accuracy": accuracy + epoch,
            "time/epoch_s": 0.9,
            "time/images_per_s": 812.5,
            "memory/peak_mib": 210.25,
        }
        for epoch in range(1, epochs + 1)
    )


def outcome(card, rows=None, **changes):
    rows = curve() if rows is None else rows
    return {
        "trial": card.trial,
        "status": "done",
        "attempt": 1,
        "metrics": {"test/accuracy": 91.25, "val/accuracy": 53.0, "time/train_s": 2.7},
        "curve": rows,
        "failure": None,
        "provenance": {"data": "ab" * 32},
        "started_at": START,
        "finished_at": START + 4000,
    } | changes


def live(tracker, card, end=None):
    tracker.begin(card)
    for row in curve():
        tracker.epochs(card.trial, (row,))
    tracker.end(card.trial, end or outcome(card))


def replay(tracker, card, end=None):
    tracker.begin(replace(card, reused=True))
    tracker.epochs(card.trial, (end or outcome(card)).get("curve", ()))
    tracker.end(card.trial, end or outcome(card))


@pytest.fixture
def home(tmp_path, empty):
    shutil.copy(empty, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def uri(home):
    return f"sqlite:///{home / 'mlflow.db'}"


@pytest.fixture
def reopen(uri, home):
    def reopen(study=STUDY):
        return Tracker.open(uri, home / "artifacts", study)

    return reopen


@pytest.fixture
def tracker(reopen):
    return reopen()


@pytest.fixture
def client(uri):
    return MlflowClient(uri)


def runs(client, tracker, kind="trial"):
    found = client.search_runs([tracker.experiment], f"tags.kind = '{kind}'")
    return {run.info.run_name: run for run in found}


def history(client, run, key):
    rows = client.get_metric_history(run.info.run_id, key)
    return [(row.step, row.value, row.timestamp) for row in rows]


def rows(home):
    """Every table that a study writes, counted."""
    tables = ("runs", "metrics", "params", "tags", "inputs", "datasets", "experiment_tags")
    with sqlite3.connect(home / "mlflow.db") as database:
        found = {t: database.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables}
    database.close()
    return found


def verdicts(n=5, delta=-1.234567):
    arm = {
        "name": "shift=false",
        "n": n,
        "mean": 90.123456,
        "sd": 0.41,
        "diverged": 0,
        "failed": 1,
        "delta_pp": delta,
        "ci_low": delta - 0.5,
        "ci_high": delta + 0.5,
        "p_holm": 0.01,
        "verdict": "worse",
        "negligible": False,
        "detectable_pp": 0.9,
        "hypothesis": {"expect": "worse", "by": 1.0, "answer": "supported"},
    }
    blank = dict.fromkeys(("delta_pp", "ci_low", "ci_high", "p_holm", "detectable_pp"))
    other = {**arm, **blank, "name": "norm=batch", "n": 1, "sd": None, "verdict": "not tested"}
    return {
        "schema": 1,
        "baseline": {"name": "baseline", "n": 2 * n, "mean": 91.4, "sd": 0.3},
        "arms": [arm, {**other, "failed": 0, "hypothesis": None}],
    }


def test_an_experiment_is_labelled_and_opened_again(tracker, reopen, client):
    experiment = client.get_experiment(tracker.experiment)
    assert experiment.name == "quickstart @ digits"
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert experiment.tags["mlflow.note.content"] == (
        r"Which parts of \*Swin\* matter?" + "\n\n"
        "[1 Ablation table](#/experiments/2/runs?viewStateShareKey=table"
        "&workflowType=machine_learning) | "
        "[2 Curves](#/experiments/2/runs?viewStateShareKey=curves"
        "&workflowType=machine_learning&compareRunsMode=CHART) | "
        "[3 Failed](#/experiments/2/runs?viewStateShareKey=failed"
        "&workflowType=machine_learning)\n\n"
        "Again: `swinablate run studies/quickstart.toml`"
    ).replace("/2/", f"/{tracker.experiment}/")
    assert reopen().experiment == tracker.experiment
    assert client.get_experiment(tracker.experiment).tags == experiment.tags


def test_a_running_trial(tracker, client):
    tracker.begin(trial_card("shift=false", 3))
    tracker.epochs(trial_card("shift=false", 3).trial, curve(2))
    (run,) = runs(client, tracker).values()
    assert run.info.run_name == "shift=false s3"
    assert run.info.status == "RUNNING"
    shown = {
        k: v
        for k, v in run.data.tags.items()
        if k not in {"mlflow.user", "mlflow.runName", "mlflow.runColor"}
    }
    assert shown == {
        "kind": "trial",
        "purpose": "final",
        "arm": "shift=false",
        "seed": "3",
        "trial": trial_card("shift=false", 3).trial,
        "changes": "model.shift = false",
        "study": "quickstart",
        "declaration": STUDY.declaration,
        "mlflow.source.name": "swinablate",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": "2778360c0ffee",
    }
    assert run.data.tags["mlflow.user"]
    assert run.data.params == {
        "shift": "false",
        "norm": "layer",
        "cfg.model.family": "swin",
        "cfg.model.depths": "[2, 2]",
        "cfg.data.name": "digits",
        "cfg.train.lr": "0.003",
        "cfg.train.weights": "null",
    }
    assert history(client, run, "val/accuracy") == [
        (1, 51.0, START + 1000),
        (2, 52.0, START + 2000),
    ]
    assert run.data.metrics["model/params"] == 34710


def test_a_finished_trial(tracker, client, home):
    card = trial_card()
    live(tracker, card)
    (run,) = runs(client, tracker).values()
    assert run.info.status == "FINISHED"
    assert history(client, run, "test/accuracy") == [(3, 91.25, START + 4000)]
    assert [step for step, _, _ in history(client, run, "val/accuracy")] == [1, 2, 3]
    assert run.data.tags["status"] == "done"
    assert run.data.tags["attempts"] == "1"
    said, links, commands = run.data.tags["mlflow.note.content"].split("\n\n", 2)
    assert said == "**test 91.25 %, val 53.00 %** after 3 epochs"
    assert commands == (
        "Its weights: `swinablate weights studies/quickstart.toml baseline weights.pt --seed 0`\n\n"
        f"Again, alone: `swinablate reproduce {card.trial[:12]}`\n\n"
        "The study: `swinablate run studies/quickstart.toml`"
    )
    (report,) = runs(client, tracker, "report").values()
    assert report.info.status == "SCHEDULED"
    of_report, of_arm = re.findall(r"\[([^]]+)\]\(#/experiments/(\d+)/runs([^)]*)\)", links)
    assert of_report[2] == (
        f"/{report.info.run_id}/artifacts/index.html?workflowType=machine_learning"
    )
    assert [one.path for one in client.list_artifacts(report.info.run_id)] == ["index.html"]
    assert of_arm[0] == "Arm baseline"
    search = parse_qs(of_arm[2].partition("?")[2])["searchFilter"]
    assert not client.search_runs([tracker.experiment], *search)
    tracker.interim(card.trial)
    (found,) = client.search_runs([tracker.experiment], *search)
    assert found.info.run_name == "baseline"
    (used,) = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("digits", "abababababab")
    assert json.loads(used.dataset.source) == {"name": "digits", "sha256": "ab" * 32}
    folder = home / "artifacts" / run.info.run_id / "artifacts"
    assert json.loads((folder / "recipe.json").read_text()) == RECIPE
    assert json.loads((folder / "geometry.json").read_text())[0]["window"] == 2


def test_an_arm_with_blanks_is_one_argument_of_the_command():
    card = trial_card(arm="no shift, no bias", seed=3)
    note = text.ending(card, STUDY, outcome(card))["mlflow.note.content"]
    assert "toml 'no shift, no bias' weights.pt --seed 3`" in note


def test_a_try_of_tuning_has_no_weights_that_a_command_can_write():
    card = trial_card(kind="tune", number=2)
    note = text.ending(card, STUDY, outcome(card))["mlflow.note.content"]
    assert "swinablate weights" not in note


def test_a_server_out_of_reach_is_told_of_without_the_secret_that_mlflow_repeats(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = "http://bob:s3%40cret@127.0.0.1:1"  # nobody listens there
    with pytest.raises(MlflowException, match="s3%40cret"):
        connect(uri)
    with pytest.raises(EnvironmentFault) as fault:
        Tracker.open(uri, None, STUDY)
    assert str(fault.value).startswith(
        "http://bob:***@127.0.0.1:1: MLflow cannot be written: "
        "API request to http://bob:***@127.0.0.1:1/api"
    )
    assert "cret" not in str(fault.value)


def test_a_note_says_which_variables_its_command_needs():
    needed = {"variables": ("SWINABLATE_STORAGE", "SWINABLATE_TRACKING_URI")}
    card = replace(STUDY, launch=STUDY.launch.model_copy(update=needed))
    needs = f"`{STUDY.launch.command}`, with SWINABLATE_STORAGE and SWINABLATE_TRACKING_URI set"
    ended = text.ending(trial_card(), card, outcome(trial_card()))["mlflow.note.content"]
    assert ended.endswith(f"The study: {needs}")
    assert text.study(card, "", {}).endswith(f"Again: {needs}")
    assert text.report(card, there=True).endswith(f"Again: {needs}")


def test_a_study_of_which_nobody_knows_how_it_was_started_names_no_command():
    study = replace(STUDY, launch=Launch())
    for status in ("done", "failed"):
        note = text.ending(trial_card(), study, outcome(trial_card(), status=status))
        assert "swinablate" not in note["mlflow.note.content"]
    assert "Again" not in text.study(study, "", {})
    assert text.report(study, there=True).endswith("under Artifacts.")


def test_commands_of_a_note_name_the_file_the_settings_and_the_home_and_can_be_pasted():
    launch = Launch(
        study="my studies/it's `a`.toml",
        settings=("model.norm=batch", "study.question=Why not?"),
        home="a home",
        command=shlex.join(["swinablate", "run", "my studies/it's `a`.toml", "--only", "no b"]),
    )
    study = replace(STUDY, launch=launch)
    for status, command, words in (
        ("done", "weights", ["no b", "weights.pt", "--seed", "0"]),
        ("failed", "retry", []),
    ):
        card = trial_card(arm="no b")
        note = text.ending(card, study, outcome(card, status=status))["mlflow.note.content"]
        found, last = re.findall(r": `` (.*?) ``", note)
        assert shlex.split(found) == [
            *("swinablate", command, launch.study, *words),
            *("--set", "model.norm=batch", "--set", "study.question=Why not?", "--home", "a home"),
        ]
        assert shlex.split(last) == ["swinablate", "run", launch.study, "--only", "no b"]


def test_a_failed_trial_says_why(tracker, client):
    card = trial_card()
    failure = {"kind": "oom", "message": "out of memory ```\n<script>", "traceback": "..."}
    live(tracker, card, outcome(card, status="failed", metrics={}, failure=failure))
    (run,) = runs(client, tracker).values()
    assert run.info.status == "FAILED"
    assert run.data.tags["failure"] == "oom"
    assert run.data.tags["message"] == "out of memory ```\n<script>"
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith("**failed (oom)** after 3 epochs\n\n[Report](")
    assert note.endswith(
        "\n\n```\nout of memory '''\n<script>\n```\n\n"
        "Again: `swinablate retry studies/quickstart.toml`\n\n"
        "The study: `swinablate run studies/quickstart.toml`"
    )
    assert "test/accuracy" not in run.data.metrics


def test_a_diverged_trial_is_a_failed_one_without_infinities(tracker, client):
    card = trial_card()
    bad = ({**curve(1)[0], "train/loss": float("inf"), "val/accuracy": float("nan")},)
    tracker.begin(card)
    tracker.epochs(card.trial, bad)
    end = outcome(card, bad, status="diverged", metrics={"test/accuracy": float("-inf")})
    tracker.end(card.trial, end)
    (run,) = runs(client, tracker).values()
    assert run.info.status == "FAILED"
    assert run.data.tags["failure"] == "diverged"
    assert run.data.metrics == {
        "time/epoch_s": 0.9,
        "time/images_per_s": 812.5,
        "memory/peak_mib": 210.25,
        "model/params": 34710,
        "model/macs": 1_200_000,
    }


def test_a_stopped_trial_goes_on_in_the_same_run(tracker, reopen, client):
    card = trial_card()
    tracker.begin(card)
    tracker.epochs(card.trial, curve(2))
    tracker.end(card.trial, {"status": "stopped", "finished_at": START + 2500})
    (run,) = runs(client, tracker).values()
    assert run.info.status == "KILLED"
    again = reopen()
    again.begin(card)
    assert client.get_run(run.info.run_id).info.status == "RUNNING"
    again.epochs(card.trial, curve(2))  # what the checkpoint holds
    again.epochs(card.trial, curve(3)[2:])
    again.end(card.trial, outcome(card))
    (same,) = runs(client, tracker).values()
    assert same.info.run_id == run.info.run_id
    assert same.info.status == "FINISHED"
    assert [step for step, _, _ in history(client, same, "val/accuracy")] == [1, 2, 3]


def test_rows_of_an_attempt_that_did_not_count_go(tracker, reopen, client):
    card = trial_card()
    tracker.begin(card)
    tracker.epochs(card.trial, curve(2, at=START - 9000, accuracy=40.0))
    again = reopen()
    again.begin(card)
    again.epochs(card.trial, curve())
    again.end(card.trial, outcome(card))
    (run,) = runs(client, tracker).values()
    assert history(client, run, "val/accuracy") == [
        (step, 50.0 + step, START + 1000 * step) for step in (1, 2, 3)
    ]
    assert (run.info.start_time, run.info.end_time) == (START, START + 4000)


def test_a_replay_adds_no_run_and_no_row(tracker, reopen, home, client):
    cards = [trial_card(arm, seed) for seed in range(2) for arm in ARMS]
    for card in cards:
        live(tracker, card)
    tracker.summaries(verdicts())
    tracker.close()
    before, ids = rows(home), {r.info.run_id for r in runs(client, tracker).values()}
    assert before["metrics"] == 6 * (3 * 5 + 2 + 2) + (6 + 2) + (4 + 2) + (2 + 1)
    for tell in (replay, live, replay):
        again = reopen()
        for card in cards:
            tell(again, card)
        again.summaries(verdicts())
        again.close()
        assert rows(home) == before
        assert {r.info.run_id for r in runs(client, tracker).values()} == ids
        assert {r.info.status for r in runs(client, tracker).values()} == {"FINISHED"}


def test_a_lost_store_is_rebuilt_the_same(tracker, uri, home, empty, client):
    def shown(run):
        keys = sorted(run.data.metrics)
        data = run.data.tags.keys() - {"reused_from"}, run.data.params
        return data, {k: history(client, run, k) for k in keys if "model" not in k}

    card = trial_card()
    live(tracker, card)
    before = shown(*runs(client, tracker).values())
    with sqlite3.connect(home / "mlflow.db") as database:
        for table in ("metrics", "latest_metrics", "params", "tags", "runs"):
            database.execute(f"DELETE FROM {table}")
    database.close()
    again = Tracker.open(uri, home / "artifacts", STUDY)
    replay(again, card)
    (run,) = runs(client, again).values()
    assert shown(run) == before
    assert (run.info.start_time, run.info.end_time) == (START, START + 4000)
    assert run.data.tags["reused_from"] == f"trials/{card.trial[:12]}"


def test_runs_a_crash_left_running_are_closed_unless_they_go_on(tracker, reopen, client):
    for seed in range(3):
        tracker.begin(trial_card(seed=seed))
    again = reopen()
    again.sweep({trial_card(seed=1).trial})

    def status():
        return [run.info.status for _, run in sorted(runs(client, tracker).items())]

    assert status() == ["KILLED", "RUNNING", "KILLED"]
    again.close()
    assert status() == ["KILLED"] * 3


def test_a_trial_nobody_began_is_told(tracker, uri):
    with pytest.raises(EnvironmentFault) as caught:
        tracker.epochs("f" * 64, curve())
    assert str(caught.value) == (
        f"{uri}: trial ffffffffffff was not begun in MLflow\n\nhint: run `swinablate sync STUDY`"
    )


def test_summaries_hold_the_verdicts(tracker, client):
    live(tracker, trial_card("shift=false"))
    tracker.summaries(verdicts())
    found = runs(client, tracker, "summary")
    assert list(found) == ["baseline", "shift=false", "norm=batch"]  # newest first
    run = found["shift=false"]
    assert run.data.metrics == {
        "acc_mean": 90.123,
        "acc_std": 0.41,
        "delta_pp": -1.235,
        "ci_low": -1.735,
        "ci_high": -0.735,
        "n": 5,
        "model/params": 34710,
        "model/macs": 1_200_000,
    }
    assert history(client, run, "delta_pp")[0][0] == 5
    assert run.data.params == {"family": "swin", "shift": "false", "norm": "layer"}
    assert run.data.tags["done"] == "5 of 6"
    assert run.info.status == "FINISHED"
    assert "arm" not in run.data.tags  # else grouping by arm counts it as a seed
    plus_minus = "\N{PLUS-MINUS SIGN}"
    assert run.data.tags["verdict"] == "worse"
    assert run.data.tags["interval"] == "[-1.73, -0.73]"
    assert run.data.tags["hypothesis"] == "worse by 1: supported"
    (report,) = runs(client, tracker, "report").values()
    address = track_views.run_link(tracker.experiment, report.info.run_id, "index.html")
    assert run.data.tags["mlflow.note.content"] == (
        f"-1.23 pp [-1.73, -0.73], worse: 90.12 {plus_minus} 0.41 % (n = 5, 1 failed)\n\n"
        f"[Report]({address})"
    )
    bare = found["norm=batch"]
    assert bare.data.metrics == {"acc_mean": 90.123, "n": 1, "model/params": 30000}
    assert bare.data.tags["interval"] == "-"
    assert bare.data.tags["mlflow.note.content"].startswith("not tested: 90.12 % (n = 1)\n")
    assert found["baseline"].data.metrics["delta_pp"] == 0
    assert (
        found["baseline"]
        .data.tags["mlflow.note.content"]
        .startswith(f"baseline: 91.40 {plus_minus} 0.30 % (n = 10)\n")
    )
    note = client.get_experiment(tracker.experiment).tags["mlflow.note.content"]
    said = run.data.tags["mlflow.note.content"].partition("\n")[0]
    assert f"- shift=false: {said}" in note


def test_an_arm_has_a_row_from_its_first_finished_trial_without_an_effect(tracker, client):
    live(tracker, trial_card("shift=false", 0))
    tracker.interim(trial_card("shift=false", 0).trial)
    live(tracker, trial_card("shift=false", 1))
    tracker.interim(trial_card("shift=false", 1).trial)
    (run,) = runs(client, tracker, "summary").values()
    assert run.info.status == "SCHEDULED"
    assert run.data.tags["done"] == "2 of 6"
    assert (run.data.tags["verdict"], run.data.tags["interval"]) == ("pending", "-")
    assert run.data.metrics == {
        "acc_mean": 91.25, "acc_std": 0.0, "n": 2, "model/params": 34710, "model/macs": 1_200_000
    }  # fmt: skip
    tracker.summaries(verdicts())
    assert runs(client, tracker, "summary")["shift=false"].info.status == "FINISHED"


def test_trials_that_are_told_again_leave_a_verdict_as_it_is(tracker, reopen, client):
    live(tracker, trial_card("shift=false"))
    tracker.summaries(verdicts(n=1))
    before = runs(client, tracker, "summary")["shift=false"].data.tags
    again = reopen()
    replay(again, trial_card("shift=false"))
    again.interim(trial_card("shift=false").trial)
    assert runs(client, again, "summary")["shift=false"].data.tags == before
    live(again, trial_card("shift=false", 1))
    again.interim(trial_card("shift=false", 1).trial)  # one seed more than were judged
    assert runs(client, again, "summary")["shift=false"].data.tags["verdict"] == "pending"


def test_an_arm_without_a_result_is_not_green(tracker, client):
    failed = {"status": "failed", "failure": {"kind": "oom", "message": "x"}, "metrics": {}}
    live(tracker, trial_card("shift=false"), outcome(trial_card("shift=false"), **failed))
    tracker.interim(trial_card("shift=false").trial)
    (run,) = runs(client, tracker, "summary").values()
    assert run.info.status == "FAILED"
    judged = verdicts()
    judged["arms"][0] |= {"verdict": "fails to train"}
    tracker.summaries(judged)
    assert runs(client, tracker, "summary")["shift=false"].info.status == "FAILED"


def test_a_summary_follows_n_and_stays_above_the_trials(tracker, reopen, client):
    live(tracker, trial_card("shift=false"))
    tracker.summaries(verdicts(n=3, delta=-2.0))
    again = reopen()
    again.begin(trial_card("shift=false", 7))
    again.summaries(verdicts(n=5))
    run = runs(client, again, "summary")["shift=false"]
    assert [(step, v) for step, v, _ in history(client, run, "delta_pp")] == [
        (3, -2.0),
        (5, -1.235),
    ]
    assert run.data.metrics["delta_pp"] == -1.235
    newest = max(r.info.start_time for r in runs(client, again).values())
    assert run.info.start_time >= newest
    again.summaries(verdicts(n=3, delta=-2.0))  # two seeds were withdrawn
    run = runs(client, again, "summary")["shift=false"]
    assert run.data.metrics["delta_pp"] == -2.0
    assert len(runs(client, again, "summary")) == 3


def test_another_declaration_has_its_own_summaries_and_the_same_trials(tracker, reopen, client):
    live(tracker, trial_card())
    tracker.summaries(verdicts())
    other = reopen(replace(STUDY, declaration="f" * 64))
    replay(other, trial_card(arm="the baseline, renamed", trial=trial_card().trial))
    (run,) = runs(client, other).values()
    assert run.info.run_name == "the baseline, renamed s0"
    assert run.data.tags["declaration"] == "f" * 64
    other.summaries(verdicts())
    found = client.search_runs([other.experiment], "tags.kind = 'summary'")
    assert sorted(r.data.tags["declaration"][:1] for r in found) == sorted(
        3 * ["f"] + 3 * [STUDY.declaration[0]]
    )


def test_a_report_is_kept_once_and_linked(reopen, tmp_path, client, home):
    report = tmp_path / "report"
    files = {"figures/forest.svg": b"<svg/>", "index.html": b"<h1>Answer</h1>"}
    publish(files, report, force=False)
    (report / "thesis.txt").write_text("mine")
    for _ in range(2):
        tracker = reopen()
        tracker.attach(report)
    (run,) = runs(client, tracker, "report").values()
    assert run.info.status == "FINISHED"
    folder = home / "artifacts" / run.info.run_id / "artifacts"
    kept = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.*")}
    assert kept == files
    link = f"#/experiments/{tracker.experiment}/runs/{run.info.run_id}/artifacts/index.html?workflowType=machine_learning"
    assert tracker.links()["Report"] == link
    assert link in client.get_experiment(tracker.experiment).tags["mlflow.note.content"]


HOSTILE = ["../x", "a/b", "<script>alert(1)</script>", "it's `so`", "\N{PILE OF POO}", "a" * 300]


@pytest.mark.parametrize("arm", HOSTILE)
def test_hostile_names_are_only_names(tracker, reopen, client, home, arm):
    card = trial_card(arm=arm, changes={f"model.{arm}": arm}, recipe={"model": {arm: arm}})
    live(tracker, card)
    again = reopen()
    replay(again, card)
    (run,) = runs(client, tracker).values()
    assert run.data.tags["arm"] == arm
    assert run.info.run_name == f"{arm} s0"
    assert {p.name for p in home.iterdir()} <= {"mlflow.db", "artifacts", ".mlflow.db.lock"}


def test_a_hostile_study_keeps_its_own_experiment(reopen, client):
    names = [name[:80] for name in HOSTILE]
    found = {reopen(replace(STUDY, name=name)).experiment for name in names}
    assert len(found) == len(names)


def test_variables_of_another_run_are_not_obeyed(reopen, client, monkeypatch, tmp_path):
    """As a job script leaves them that trains something else with MLflow."""
    other = client.create_experiment("somebody else's")
    run = client.create_run(other).info.run_id
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", other)
    monkeypatch.setenv("MLFLOW_RUN_ID", run)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    tracker = reopen()
    live(tracker, trial_card())
    assert tracker.experiment != other
    assert list(runs(client, tracker)) == ["baseline s0"]
    assert not client.get_run(run).data.metrics
    assert not (tmp_path / "other.db").exists()


def test_a_deleted_experiment_comes_back(tracker, reopen, client):
    live(tracker, trial_card())
    client.delete_experiment(tracker.experiment)
    assert reopen().experiment == tracker.experiment
    assert list(runs(client, tracker)) == ["baseline s0"]


def test_a_view_is_small_and_says_what_to_show():
    arms = [f"arm {i} of a factorial study with a long name" for i in range(300)]
    columns = track_views.Columns(
        metric="test/accuracy",
        summary=("acc_mean", "acc_std"),
        varied=[f"switch_{i}" for i in range(40)],
    )
    views = track_views.tags("ab" * 32, columns, arms, START)
    assert sorted(views) == [f"mlflow.sharedViewState.{k}" for k in ("curves", "failed", "table")]
    assert max(map(len, views.values())) <= 8000
    assert json.loads(views["mlflow.sharedViewState.table"])["name"] == "1 Ablation table"


def view(client, tracker, key):
    """The state of a saved view, as MLflow's pages read it."""
    kept = client.get_experiment(tracker.experiment).tags[f"mlflow.sharedViewState.{key}"]
    packed = json.loads(kept)["state"].removeprefix("deflate;")
    return json.loads(zlib.decompress(base64.b64decode(packed)))


@pytest.mark.parametrize(
    ("metric", "mean", "sd"),
    [
        ("test/accuracy", "acc_mean", "acc_std"),
        ("test/loss", "metric_mean", "metric_std"),
        ("test/ece", "metric_mean", "metric_std"),
    ],
)
def test_the_table_shows_the_mean_and_the_sd_that_the_summaries_have(
    reopen, client, metric, mean, sd
):
    tracker = reopen(replace(STUDY, metric=metric))
    live(tracker, trial_card("shift=false"))
    tracker.summaries(verdicts() | {"metric": metric})
    table = view(client, tracker, "table")
    shown = [name for name in table["selectedColumns"] if name.startswith("metrics.")]
    names = ("delta_pp", mean, sd, "n", "model/params", "model/macs")
    assert shown == [f"metrics.`{name}`" for name in names]
    assert [chart["metricKey"] for chart in table["compareRunCharts"]] == ["delta_pp", mean]
    has = runs(client, tracker, "summary")["shift=false"].data.metrics
    assert (round(has[mean], 2), has[sd]) == (90.12, 0.41)
    first, *_ = view(client, tracker, "curves")["selectedColumns"]
    assert first == f"metrics.`{metric}`"


def test_short_names_are_unique():
    assert text.short(["model.norm", "train.lr", "model.stem.norm"]) == {
        "model.norm": "model.norm",
        "train.lr": "lr",
        "model.stem.norm": "model.stem.norm",
    }


@pytest.mark.parametrize("content", [b"", b"no database" * 500])
def test_a_store_that_is_none(tmp_path, content):
    (tmp_path / "mlflow.db").write_bytes(content)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    if not content:  # a fresh file of SQLite
        Tracker.open(uri, None, STUDY).close()
        return
    with pytest.raises(EnvironmentFault) as caught:
        Tracker.open(uri, None, STUDY)
    assert str(caught.value) == (
        f"{uri}: MLflow cannot be written: file is not a database\n\n"
        "hint: move the file away and run `swinablate sync STUDY`: it is rebuilt from the records"
    )


def test_a_store_that_breaks_while_we_write(tracker, home):
    with sqlite3.connect(home / "mlflow.db") as database:
        database.execute("DROP TABLE metrics")
    database.close()
    with pytest.raises(EnvironmentFault, match="MLflow cannot be written: no such table: metrics"):
        tracker.begin(trial_card())


def test_nothing_is_sent_anywhere(reopen, monkeypatch):
    def refuse(*words):
        raise AssertionError(words)

    monkeypatch.setattr(socket.socket, "connect", refuse)
    tracker = reopen()
    live(tracker, trial_card())
    tracker.close()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


RACER = """
import sys
import zlib
from pathlib import Path
from swinablate.tracking.tracker import StudyCard, Tracker
card = StudyCard(name=sys.argv[2], dataset="digits", declaration="0" * 64, question="?",
                 commit=None, varied=())
Tracker.open(sys.argv[1], Path(sys.argv[1][10:]).parent / "artifacts", card).close()
"""


@pytest.mark.integration
def test_two_processes_may_meet_a_fresh_store(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, uri, name], stderr=subprocess.PIPE)
        for name in ("one", "two", "one")
    ]
    for racer in racers:
        _, said = racer.communicate()
        assert (racer.returncode, said) == (0, b"")
    found = {e.name for e in MlflowClient(uri).search_experiments()}
    assert found == {"one @ digits", "two @ digits", "Default"}
