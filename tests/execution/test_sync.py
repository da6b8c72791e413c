"""`sync` makes both stores again, from the records alone: here those of a home of version 0.1."""

import shutil
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient

from swinablate.errors import EnvironmentFault, InputError
from swinablate.execution.sync import sync
from swinablate.records.home import Home
from swinablate.records.plan import everything
from swinablate.scheduling.owner import Owner, owning
from swinablate.scheduling.queue import Queue, queue_name

GOLDEN = Path(__file__).parent.parent / "golden/home-0.1/home"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A copy without its stores."""
    home = Home(shutil.copytree(GOLDEN, tmp_path / "home"))
    for store in home.root.glob("*.db"):
        store.unlink()
    return home


@pytest.mark.parametrize("name", ["tuned", "plain"])
def test_stores_that_were_lost_hold_every_record_again(home: Home, name: str) -> None:
    found = home.outcomes(everything(home.declared(name)))
    wanted = set(found)
    spoilt = min(wanted)
    (home.trials / spoilt / "result.json").write_bytes(b"")
    for said in ([f"trial {spoilt[:12]}: record restored from attempt 1"], []):
        lines: list[str] = []  # once more changes nothing
        assert sync(home, name, None, None, say=lines.append) == len(wanted)
        assert lines == said
        assert home.outcomes(wanted) == found
        (queue,) = optuna.get_all_study_names(home.optuna_url)
        trials = optuna.load_study(study_name=queue, storage=home.optuna_url).trials
        assert {t.user_attrs["id"] for t in trials} == wanted
        assert len(trials) == len(wanted)
        for one in trials:
            outcome = found[one.user_attrs["id"]]
            assert one.state == optuna.trial.TrialState.COMPLETE
            assert one.value == outcome.metrics["val/accuracy"]
        client = MlflowClient(home.mlflow_uri)
        (experiment,) = [e for e in client.search_experiments() if e.name != "Default"]
        runs = client.search_runs([experiment.experiment_id], "tags.kind = 'trial'")
        assert {run.data.tags["trial"] for run in runs} == wanted
        assert {run.info.status for run in runs} == {"FINISHED"}
        for run in runs:
            outcome = found[run.data.tags["trial"]]
            for metric in ("val/accuracy", "test/accuracy"):  # tuning never sees the latter
                assert run.data.metrics.get(metric) == outcome.metrics.get(metric)


def test_a_queue_that_another_home_runs_is_not_synchronised(home: Home, tmp_path: Path) -> None:
    url, plan = f"sqlite:///{tmp_path}/queue.db", home.declared("plain")
    queue = queue_name("plain", plan.declaration)
    Queue.open(url, queue, [arm.name for arm in plan.arms]).close()
    with (
        owning(url, queue, Owner(home=Path("/other"))),
        pytest.raises(EnvironmentFault, match=r"another home runs 'plain@.*, with home /other"),
    ):
        sync(home, "plain", url, None)
    assert optuna.load_study(study_name=queue, storage=url).trials == []
    assert not (home.root / "mlflow.db").exists()


def test_a_study_that_runs_or_never_ran_is_not_synchronised(home: Home) -> None:
    with home.owned("plain"), pytest.raises(EnvironmentFault, match="already running"):
        sync(home, "plain", None, None)
    with pytest.raises(InputError, match="has not been run"):
        sync(home, "nothing", None, None)
    assert not list(home.root.glob("*.db"))
