"""The Ray executor by itself: what it refuses, how it counts, what it makes of Ray's words."""

import os
import signal
import subprocess
import sys

import pytest

from swinablate.errors import EnvironmentFault, InputError
from swinablate.execution.executor import Request, chosen
from swinablate.execution.executors.ray import RayCluster, link, rooms
from swinablate.execution.executors.ray.actor import Post
from swinablate.execution.executors.ray.link import Link, Node


def test_workers_fit_by_processors_and_by_whole_parts_of_gpus():
    assert rooms(Node("n", 8, 0), Request(threads=3)) == 2
    assert rooms(Node("n", 8, 2), Request(gpus_per_trial=1)) == 2
    assert rooms(Node("n", 8, 2), Request(gpus_per_trial=0.5)) == 4
    assert rooms(Node("n", 8, 2), Request(gpus_per_trial=0.4)) == 4  # two a GPU, none across
    assert rooms(Node("n", 80, 1), Request(gpus_per_trial=0.1)) == 10
    assert rooms(Node("n", 3, 2), Request(gpus_per_trial=0.5)) == 3
    assert rooms(Node("n", 8, 3), Request(gpus_per_trial=2)) == 1
    assert rooms(Node("n", 8, 0), Request(gpus_per_trial=0.5)) == 0


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"slots": 0}, "--slots: 0 slots run nothing"),
        ({"gpus_per_trial": 1.5}, "--gpus-per-trial: a trial cannot have 1.5 GPUs"),
    ],
)
def test_what_cannot_be_is_refused_before_a_cluster_is_looked_for(wish, said):
    with pytest.raises(InputError) as refusal:
        chosen("ray", Request(**wish)).slots()
    assert str(refusal.value).startswith(said)


@pytest.mark.parametrize(
    ("name", "wish", "said"),
    [
        ("local", {"address": "auto"}, "--address is for a cluster, and 'local' runs on this machine\n\nhint: add --executor ray,"),
        ("ray", {"nodes": 2}, "--nodes is for a cluster, and 'ray' has no use for it\n\nhint: add --executor slurm,"),
        ("slurm", {"gpus_per_trial": 0.5}, "--gpus-per-trial is for a cluster, and 'slurm' has no use for it"),
    ],
)  # fmt: skip
def test_an_option_of_another_cluster_is_refused_with_whose_it_is(name, wish, said):
    with pytest.raises(InputError) as refusal:
        chosen(name, Request(**wish))
    assert said in str(refusal.value)


def test_without_ray_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault) as refusal:
        RayCluster(Request()).slots()
    assert str(refusal.value) == (
        "--executor ray: Ray is not installed\n\nhint: pip install 'swinablate[ray]'"
    )


def test_a_driver_that_ends_at_once_is_told_with_its_last_words(monkeypatch):
    monkeypatch.setattr(link, "_environment", lambda: {**os.environ, "PYTHONHOME": "/nowhere"})
    made = Link(Request())
    with pytest.raises(EnvironmentFault) as refusal:
        made.nodes()
    assert "there is no Ray cluster: " in str(refusal.value)
    assert "--address local" in str(refusal.value)
    made.close()  # harmless


def test_a_driver_that_never_answers_is_not_waited_for_for_ever(monkeypatch, tmp_path):
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec sleep 600\n")
    silent.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(silent))
    monkeypatch.setattr(link, "JOIN_S", 0.1)
    monkeypatch.setattr(link, "END_S", 0.1)
    made = Link(Request())
    with pytest.raises(
        EnvironmentFault, match="there is no Ray cluster: none answered within 0 s"
    ):
        made.nodes()
    assert made._driver.returncode is not None


def test_an_executor_of_ray_imports_no_ray():
    """It takes seconds, and changes how a process handles signals: the driver is another one."""
    text = "import sys, swinablate.execution.executors.ray.actor; print('ray' in sys.modules)"
    words = [sys.executable, "-c", text]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.fixture
def post(tmp_path, monkeypatch):
    """What is in an actor, here, with a worker that repeats what it is told."""
    made = Post()
    echo = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"
    script = tmp_path / "echo"
    script.write_text(f"#!{sys.executable}\n{echo}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    text = '{"probe": ["p"], "device": "cpu", "host": "n1", "log": "%s"}'
    made.start(text % (tmp_path / "worker.log"))
    yield made
    made.tell("kill")
    for pipe in (made._process.stdin, made._process.stdout):
        pipe.close()
    made._guard.close()
    made._process.wait()


def test_a_worker_in_an_actor_is_heard_and_ends_with_its_input(post):
    post.write(b"one\n")
    assert post.read() == b"one\n"
    post.write(b"")
    assert post.read() == b""
    assert post.wait() == "0"
    post.tell("kill")  # harmless


def test_a_worker_in_an_actor_is_killed_with_its_group(post):
    post.tell("kill")
    assert post.read() == b""
    assert post.wait() == str(-signal.SIGKILL)
