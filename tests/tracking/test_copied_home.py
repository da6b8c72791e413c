"""A home that was copied or moved, with its MLflow store: it writes into itself only."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from swinablate.tracking.runs import connect
from swinablate.tracking.tracker import Tracker
from tests.tracking.test_tracker import STUDY, live, replay, trial_card

pytestmark = pytest.mark.filterwarnings(  # MLflow 3.17 on SQLAlchemy 2.1
    "ignore:The ``noload`` loader strategy:DeprecationWarning"
)


def opened(home: Path, uri: str = "") -> Tracker:
    return Tracker.open(uri or f"sqlite:///{home / 'mlflow.db'}", home / "artifacts", STUDY)


def files(home: Path) -> dict[str, bytes]:
    return {str(p.relative_to(home)): p.read_bytes() for p in home.rglob("*") if p.is_file()}


def names(home: Path) -> set[str]:
    client: MlflowClient = connect(f"sqlite:///{home / 'mlflow.db'}")
    return {found.name for found in client.search_experiments()} - {"Default"}


@pytest.fixture
def old(tmp_path: Path, empty: Path) -> Path:
    """A home in which a trial ran."""
    home = tmp_path / "old home"
    home.mkdir()
    shutil.copy(empty, home / "mlflow.db")
    tracker = opened(home)
    live(tracker, trial_card())
    tracker.close()
    return home


def test_a_copied_home_writes_into_itself(old, tmp_path):
    new = tmp_path / "new"
    shutil.copytree(old, new)
    before = files(old)
    tracker = opened(new)
    assert tracker.moved
    live(tracker, trial_card(seed=1))
    tracker.close()
    assert files(old) == before
    added = files(new).keys() - before.keys()
    assert {Path(name).name for name in added} == {"recipe.json", "geometry.json", "index.html"}
    assert names(new) == {"quickstart @ digits", f"quickstart @ digits (home {old})"}
    assert not opened(new).moved  # once


def test_a_moved_home_does_not_make_its_old_place_again(old, tmp_path):
    new = old.rename(tmp_path / "new")
    tracker = opened(new)
    replay(tracker, trial_card(reused=True))
    tracker.close()
    assert not old.exists()


def test_a_home_that_comes_back_has_its_experiment_back(old, tmp_path):
    first = opened(old).experiment
    new = old.rename(tmp_path / "new")
    second = opened(new).experiment
    new.rename(old)
    assert opened(old).experiment == first
    old.rename(new)
    assert opened(new).experiment == second != first
    assert names(new) == {"quickstart @ digits", f"quickstart @ digits (home {old})"}


def test_an_experiment_in_mlflows_bin_is_no_obstacle(old, tmp_path):
    new = old.rename(tmp_path / "new")
    client = connect(f"sqlite:///{new / 'mlflow.db'}")
    client.delete_experiment(client.get_experiment_by_name("quickstart @ digits").experiment_id)
    assert opened(new).moved


def test_another_way_to_the_same_home_moves_nothing(old, tmp_path):
    (tmp_path / "link").symlink_to(old)
    shutil.rmtree(old / "artifacts")  # nor does a home without files
    tracker = opened(tmp_path / "link")
    assert not tracker.moved
    assert names(old) == {"quickstart @ digits"}


def test_a_store_outside_serves_many_homes(old, empty, tmp_path):
    """Whoever names it wants one experiment."""
    shutil.copy(empty, tmp_path / "shared.db")
    uri = f"sqlite:///{tmp_path / 'shared.db'}"
    first, second = opened(old, uri), opened(tmp_path / "other", uri)
    assert not second.moved
    assert first.experiment == second.experiment
