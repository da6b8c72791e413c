"""Results where people log them: folders that torch's TensorBoard wrote, runs of a real MLflow."""

import json
import random
from pathlib import Path

import pytest
from mlflow import MlflowClient
from torch.utils.tensorboard import SummaryWriter

from swinablate.cli.app import main
from swinablate.errors import InputError
from swinablate.report.analyze import Question, analyze
from swinablate.report.foreign.columns import Columns
from swinablate.report.foreign.measure import Measure

ARMS = {"swin": 90.0, "no shift": 80.0}
"""The difference is 10 points, and seeds differ by less than one."""


def values(arm, seed):
    """The curve of a run: three epochs."""
    return [ARMS[arm] + random.Random(f"{arm} {seed}").random() - 10 * left for left in (2, 1, 0)]


def boards(root, name="{arm}/seed{seed}"):
    for arm in ARMS:
        for seed in range(4):
            with SummaryWriter(str(root / name.format(arm=arm, seed=seed))) as board:
                for step, value in enumerate(values(arm, seed), 1):
                    board.add_scalar("val/acc", value, step)
                    board.add_scalar("loss", 1 / step, step)
    return root


def judged(file, metric=None, **more):
    asked = Question(
        baseline="swin",
        columns=Columns(metric=metric, **{k: more.pop(k) for k in ("arm", "seed") if k in more}),
        measure=Measure(metric=metric, unit="percent", better="higher"),
        **more,
    )
    return analyze(file, asked).only


@pytest.mark.parametrize(
    "name", ["{arm}/seed{seed}", "{arm}-seed{seed}", "{arm}-s{seed}/version_0", "{arm}/{seed}"]
)
def test_a_folder_of_tensorboard_is_judged_with_its_curves(tmp_path, name):
    answer = judged(boards(tmp_path, name), "val/acc")
    (arm,) = answer.verdicts["arms"]
    true = sum(values("no shift", s)[-1] - values("swin", s)[-1] for s in range(4)) / 4
    assert (arm["name"], arm["n"], arm["verdict"]) == ("no shift", 4, "worse")
    assert arm["delta_pp"] == pytest.approx(true, abs=1e-4)  # events have 32 bits
    assert sorted(set(answer.curves.epoch)) == [1, 2, 3]
    assert "analyze" in answer.provenance["command"]


@pytest.mark.parametrize(
    ("name", "metric", "said", "hint"),
    [
        ("{arm}/seed{seed}", None, "2 metrics in column 'metric': ", "--metric"),
        ("{arm}/seed{seed}", "val/accuracy", "no event has the tag 'val/accuracy'", "val/acc"),
        ("{arm}{seed}", "val/acc", "does not say which seed of which arm", "ARM/seed0"),
    ],
)
def test_what_a_folder_does_not_say_is_one_error(tmp_path, name, metric, said, hint):
    with pytest.raises(InputError) as error:
        judged(boards(tmp_path, name), metric)
    assert said in error.value.problem
    assert hint in error.value.hint


def test_a_folder_without_events_is_one_error(tmp_path):
    with pytest.raises(InputError, match="no events of TensorBoard are in this folder"):
        judged(tmp_path)


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    """An MLflow in which somebody logged runs: arms by parameter, seeds by tag."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'runs.db'}"
    client = MlflowClient(uri)
    place = client.create_experiment("theirs")
    client.create_experiment("empty")
    for arm in ARMS:
        for seed in range(4):
            run = client.create_run(place, tags={"seed": str(seed)}).info.run_id
            client.log_param(run, "variant", arm)
            for step, value in enumerate(values(arm, seed), 1):
                client.log_metric(run, "acc", value, step=step)
                client.log_metric(run, "loss", 1 / step, step=step)
            client.set_terminated(run)
    return uri


@pytest.mark.integration
def test_an_experiment_of_mlflow_is_judged_by_parameters_and_tags(mlflow):
    answer = judged(Path("theirs"), "acc", tracking=mlflow, arm="variant", seed="seed")
    (arm,) = answer.verdicts["arms"]
    true = sum(values("no shift", s)[-1] - values("swin", s)[-1] for s in range(4)) / 4
    assert (arm["name"], arm["n"], arm["verdict"]) == ("no shift", 4, "worse")
    assert arm["delta_pp"] == pytest.approx(true)
    assert f"--tracking-uri {mlflow}" in answer.provenance["command"]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("experiment", "uri", "said"),
    [
        ("thiers", None, "no experiment is called 'thiers'"),
        ("empty", None, "the experiment 'empty' has no runs"),
        ("theirs", "sqlite:////nowhere/mlflow.db", "there is no such database"),
        ("theirs", "nowhere", "there is no such folder"),
    ],
)
def test_what_is_not_in_mlflow_is_one_error_and_nothing_is_made(mlflow, experiment, uri, said):
    with pytest.raises(InputError) as error:
        judged(Path(experiment), "acc", tracking=uri or mlflow, arm="variant")
    assert said in error.value.problem
    assert error.value.hint
    assert not Path("/nowhere").exists()


@pytest.mark.integration
def test_a_folder_of_an_older_mlflow_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "mlruns").as_uri()
    client = MlflowClient(uri)
    place = client.create_experiment("theirs")
    for arm in ARMS:
        for seed in range(3):
            run = client.create_run(place).info.run_id
            client.log_param(run, "arm", arm)
            client.log_param(run, "seed", seed)
            client.log_metric(run, "acc", values(arm, seed)[-1])
            client.set_terminated(run)
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE")
    answer = judged(Path("theirs"), "acc", tracking=uri)
    assert [(arm["name"], arm["n"]) for arm in answer.verdicts["arms"]] == [("no shift", 3)]


@pytest.mark.integration
def test_the_command_takes_both(mlflow, tmp_path, capsys):
    words = ["analyze", "--baseline", "swin", "--unit", "percent", "--better", "higher", "--json"]
    more = ["theirs", "--tracking-uri", mlflow, "--arm", "variant", "--metric", "acc"]
    assert main([*words, *more]) == 0
    one = json.loads(capsys.readouterr().out)
    assert main([*words, str(boards(tmp_path)), "--metric", "val/acc"]) == 0
    other = json.loads(capsys.readouterr().out)
    assert one["arms"][0]["verdict"] == other["arms"][0]["verdict"] == "worse"
    assert one["arms"][0]["delta_pp"] == pytest.approx(other["arms"][0]["delta_pp"], abs=1e-4)
