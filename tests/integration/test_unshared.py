"""Studies on a real Slurm and Ray whose nodes do not see the home: the same numbers as here."""

import os
import re
import signal

import pytest

from tests import ray as rays
from tests.integration.clusters import SLURM, TWO, Long, attempts, gone, stepds
from tests.integration.conftest import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def calm_long(tmp_path_factory):
    """The numbers of an undisturbed run of long trials, on this machine."""
    made = Long(tmp_path_factory.mktemp("calm-long"))
    code, _, err = made.run("--no-report")
    assert code == 0, err
    return made.numbers()


def apart(cluster, folder):
    """A study of long trials in a home that the cluster's nodes do not see."""
    if not cluster.apart:
        pytest.skip("only root can hide a folder from processes")
    made = Long(folder)
    made.home = cluster.hidden / folder.name
    return made


@pytest.fixture
def unseen(slurm, tmp_path):
    """A study whose home no node sees."""
    made = apart(slurm, tmp_path)
    slurm.idle()
    yield made
    made.kill()
    until(slurm.empty)


def test_images_that_the_nodes_do_not_see_are_refused_before_anything_trains(slurm, unseen):
    code, _, err = unseen.run(*SLURM)
    assert code == 4
    assert re.search(r"error: worker on n[12]: the images in .* have the digest none there", err)
    assert "hint: copy the folder to that machine anew, or give --data-dir one" in err
    assert not unseen.events("started")


@pytest.mark.slow  # the controller needs half a minute to miss a node
def test_without_a_shared_home_a_trial_goes_on_from_what_came_back(slurm, unseen, calm_long):
    """Its node dies with all that the worker had written there."""
    (unseen.folder / "data").mkdir()
    process = unseen.start(*TWO, "--data-dir", str(unseen.folder / "data"))
    unseen.wait_for("checkpoint", 8)
    (step,) = slurm.steps("n2")
    slurm.kill("n2")
    for pid in stepds(step):
        os.kill(pid, signal.SIGKILL)
    _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert re.search(r"worker on n[12]: it does not see the home; checkpoints up to", err)
    assert unseen.numbers() == calm_long
    assert max(attempts(unseen).values()) == 2
    assert all(event["data"]["epoch"] > 0 for event in unseen.events("resumed"))
    assert unseen.events("resumed")
    until(lambda: gone(slurm, unseen))


@pytest.mark.slow
def test_without_a_shared_home_a_stopped_study_goes_on_here(slurm, unseen, calm_long):
    (unseen.folder / "data").mkdir()
    words = ("--data-dir", str(unseen.folder / "data"))
    process = unseen.start(*TWO, *words)
    unseen.wait_for("checkpoint", 4)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert unseen.events("stopped")
    until(lambda: gone(slurm, unseen))
    code, _, err = unseen.run("--no-report", *words)
    assert code == 0, err
    assert unseen.numbers() == calm_long
    stopped = {event["trial"] for event in unseen.events("stopped")}
    assert stopped == {event["trial"] for event in unseen.events("resumed")}


@pytest.fixture
def unseen_by_ray(ray, tmp_path):
    """The same of a cluster of Ray."""
    made = apart(ray, tmp_path)
    ray.whole()
    (made.folder / "data").mkdir()
    yield made
    made.kill()
    until(lambda: not rays.actors() and not rays.drivers())


@pytest.mark.slow
def test_without_a_shared_home_a_trial_of_ray_goes_on_from_what_came_back(
    ray, unseen_by_ray, calm_long
):
    """Its node dies with all that the worker had written there."""
    study = unseen_by_ray
    words = ("--executor", "ray", "--no-report", "--slots", "4")
    process = study.start(*words, "--data-dir", str(study.folder / "data"))
    study.wait_for("checkpoint", 12)
    ray.lose()
    _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert re.search(r"worker on n[12]: it does not see the home; checkpoints up to", err)
    assert study.numbers() == calm_long
    assert max(attempts(study).values()) == 2
    assert study.events("resumed")
    assert all(event["data"]["epoch"] > 0 for event in study.events("resumed"))


@pytest.mark.slow
def test_without_a_shared_home_a_study_of_ray_that_is_stopped_goes_on_here(
    unseen_by_ray, calm_long
):
    study = unseen_by_ray
    words = ("--no-report", "--data-dir", str(study.folder / "data"))
    process = study.start("--executor", "ray", *words)
    study.wait_for("checkpoint", 4)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert study.events("stopped")
    code, _, err = study.run(*words)
    assert code == 0, err
    assert study.numbers() == calm_long
    stopped = {event["trial"] for event in study.events("stopped")}
    assert stopped == {event["trial"] for event in study.events("resumed")}
