"""Studies on a real Ray of two nodes: the same numbers as here, whatever the cluster does."""

import os
import re
import shlex
import shutil
import signal
from pathlib import Path

import pytest

from tests import ray as rays
from tests.integration.conftest import alive, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]
PAGE = Path(__file__).parents[2] / "docs/clusters.md"
RAY = ("--executor", "ray", "--no-report")


@pytest.fixture(autouse=True)
def whole(ray):
    """Both nodes are there before a test, and nothing of ours after it."""
    ray.whole()
    yield
    until(lambda: not rays.actors() and not rays.drivers())


def gone(command):
    """Whether no actor, no driver and no worker is left."""
    pids = [event["data"]["pid"] for event in command.events("started")]
    return not (rays.actors() or rays.drivers() or rays.workers(command.home)) and not any(
        map(alive, pids)
    )


def attempts(command):
    return max(found["attempt"] for found in command.results().values())


@pytest.mark.slow
def test_a_node_that_dies_costs_no_number_and_is_named(ray, command, calm):
    process = command.start(*RAY)
    command.wait_for("checkpoint", 2)
    ray.lose()
    _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert "the worker on n2 ended with its actor (Ray: " in err
    assert command.numbers() == calm
    assert attempts(command) == 2
    until(lambda: gone(command))
    assert ray.alive()


def test_an_actor_that_is_killed_takes_its_worker_along_and_its_trial_goes_on(ray, command, calm):
    process = command.start(*RAY)
    (first, *_) = command.wait_for("checkpoint")
    (pid,) = {e["data"]["pid"] for e in command.events("started") if e["trial"] == first["trial"]}
    os.kill(rays.parent(pid), signal.SIGKILL)
    until(lambda: not alive(pid))
    _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert "ended with its actor (Ray: " in err
    assert command.numbers() == calm
    assert attempts(command) == 2
    assert first["trial"] in {event["trial"] for event in command.events("resumed")}
    until(lambda: gone(command))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 75, marks=pytest.mark.slow)],
)
def test_a_study_that_is_stopped_leaves_the_cluster_alone_and_goes_on_here(
    ray, command, calm, number, code
):
    process = command.start(*RAY)
    command.wait_for("checkpoint")
    os.killpg(process.pid, number)  # as a terminal does: to every process of the group
    _, err = process.communicate(timeout=240)
    assert process.returncode == code, err
    assert "Traceback" not in err
    until(lambda: gone(command), 30)
    assert ray.alive()
    assert command.events("stopped")
    assert not command.events("lost")
    code, _, err = command.run("--no-report")
    assert code == 0, err
    assert command.numbers() == calm


def test_a_coordinator_that_is_killed_leaves_nothing(ray, command):
    process = command.start(*RAY)
    command.wait_for("started")
    process.kill()
    process.wait()
    until(lambda: gone(command), 60)
    assert ray.alive()


@pytest.mark.slow
def test_a_driver_that_is_killed_ends_the_study_in_good_order(ray, command, calm):
    process = command.start(*RAY)
    command.wait_for("checkpoint")
    for pid in rays.drivers():
        os.kill(pid, signal.SIGKILL)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 75, err
    assert "error: --executor ray: the cluster is lost" in err
    until(lambda: gone(command), 60)
    code, _, err = command.run("--no-report")
    assert code == 0, err
    assert command.numbers() == calm


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True], ids=["done", "killed"])
def test_a_cluster_that_was_started_here_ends_with_the_study(ray, command, calm, killed):
    before = rays.daemons()
    process = command.start(*RAY, "--address", "local", "--slots", "2")
    command.wait_for("started")
    assert rays.daemons() > before
    if killed:
        process.kill()
    _, err = process.communicate(timeout=500)
    until(lambda: gone(command) and rays.daemons() == before, 60)
    if not killed:
        assert process.returncode == 0, err
        assert err.splitlines()[-1] == "4 done"
        assert command.numbers() == calm


@pytest.mark.slow
def test_a_study_runs_through_a_client_of_ray(ray, command, calm):
    """As from outside of a Kubernetes cluster, where only the head's port 10001 is reached."""
    code, _, err = command.run(*RAY, "--address", f"ray://127.0.0.1:{ray.client_port}")
    assert code == 0, err
    assert command.numbers() == calm
    until(lambda: gone(command))


def test_what_cannot_be_had_is_refused_before_any_work(ray, command):
    code, _, err = command.run(*RAY, "--gpus-per-trial", "0.5")
    assert code == 4
    assert "no node of this cluster has 1 processors and 0.5 GPUs, which a trial needs" in err
    assert "hint: --slots N asks for N workers" in err
    assert not list(command.home.glob("trials/*"))


@pytest.mark.slow
def test_the_commands_of_the_page_run(ray, command, calm):
    """With this cluster's addresses and a smaller study; one after the other, in one home."""
    section = PAGE.read_text().split("## Ray\n")[1].split("\n## ")[0]
    lines = re.findall(r"^\$ (.*)$", section, re.MULTILINE)
    assert len(lines) == 4
    here = {"10.0.0.1:6379": ray.address, "10001": str(ray.client_port), "--slots 16": "--slots 2"}
    for line in lines:
        text = line
        for theirs, ours in here.items():
            text = text.replace(theirs, ours)
        program, run, study, *words = shlex.split(text)
        assert (program, run, study) == ("swinablate", "run", "studies/quickstart.toml")
        shutil.rmtree(command.home, ignore_errors=True)
        code, _, err = command.run(*words, "--no-report")
        assert code == 0, err
        assert command.numbers() == calm


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_named(ray, command):
    code, _, err = command.run(*RAY, "--address", "127.0.0.1:1")
    assert code == 4
    assert "error: --executor ray: there is no Ray cluster: " in err
    assert "Traceback" not in err
