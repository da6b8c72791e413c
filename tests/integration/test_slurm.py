"""Studies on a real Slurm of two nodes: the same numbers as here, whatever the cluster does."""

import os
import re
import shlex
import signal
import sys
from contextlib import closing
from pathlib import Path

import pytest

from swinablate.errors import EnvironmentFault, InputError
from swinablate.execution.executor import Request, chosen
from tests.integration.clusters import SLURM, TWO, Long, attempts, gone, stepds
from tests.integration.conftest import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]
PAGE = Path(__file__).parents[2] / "docs/clusters.md"


@pytest.fixture(scope="module")
def calm_long(tmp_path_factory):
    """The numbers of an undisturbed run of long trials, on this machine."""
    made = Long(tmp_path_factory.mktemp("calm-long"))
    code, _, err = made.run("--no-report")
    assert code == 0, err
    return made.numbers()


@pytest.fixture
def long(tmp_path):
    made = Long(tmp_path)
    yield made
    made.kill()


@pytest.fixture(autouse=True)
def empty(slurm):
    """Nobody holds anything before a test, and nobody after it."""
    slurm.idle()
    yield
    until(slurm.empty)


def test_workers_that_are_cancelled_are_replaced_and_their_trials_go_on(slurm, command, calm):
    process = command.start(*TWO)
    command.wait_for("checkpoint")
    for step in slurm.steps():
        slurm.ask("scancel", step)
    _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    said = re.search(r"the worker on n[12] ended with signal SIGKILL \(Slurm: (.*); going on", err)
    assert said is not None, err
    assert "CANCELLED" in said[1]
    assert command.numbers() == calm
    assert max(attempts(command).values()) == 2
    assert command.events("resumed")
    until(lambda: gone(slurm, command))


@pytest.mark.slow
def test_a_worker_that_is_asked_to_leave_writes_a_checkpoint_first(slurm, command, calm):
    """As by a time limit or a preemption: nothing is lost, and nobody is to blame."""
    process = command.start(*TWO)
    trial = command.wait_for("checkpoint")[0]["trial"]
    (pid,) = {e["data"]["pid"] for e in command.events("started") if e["trial"] == trial}
    os.kill(pid, signal.SIGTERM)
    _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert "going on" not in err
    assert [event["trial"] for event in command.events("stopped")] == [trial]
    assert not command.events("lost")
    assert command.numbers() == calm
    until(lambda: gone(slurm, command))


@pytest.mark.slow
def test_another_allocation_is_asked_for_once_where_one_is_cancelled(slurm, command, calm):
    process = command.start(*TWO)
    command.wait_for("checkpoint")
    (first,) = slurm.jobs()
    slurm.ask("scancel", first)
    command.wait_for("resumed")
    until(lambda: len(slurm.jobs()) == 1)
    (second,) = slurm.jobs()
    assert first != second
    slurm.ask("scancel", second)
    _, err = process.communicate(timeout=500)
    assert process.returncode == 75, err
    assert f"job {first} ended: CANCELLED; job {second} is asked for instead" in err
    assert f"error: --executor slurm: job {second} ended: CANCELLED" in err
    until(lambda: gone(slurm, command))
    code, _, err = command.run("--no-report")
    assert code == 0, err
    assert command.numbers() == calm


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 75), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)],
)
def test_a_study_that_is_stopped_leaves_no_allocation_and_goes_on_here(
    slurm, command, calm, number, code
):
    process = command.start(*TWO)
    command.wait_for("checkpoint")
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    until(lambda: gone(slurm, command), 20)
    assert {event["kind"] for event in command.events("stopped")} == {"stopped"}
    code, _, err = command.run("--no-report")
    assert code == 0, err
    assert command.numbers() == calm


def test_a_coordinator_that_is_killed_leaves_no_allocation(slurm, command):
    process = command.start(*TWO)
    command.wait_for("started")
    process.kill()
    process.wait()
    until(lambda: gone(slurm, command), 30)


@pytest.mark.slow
def test_an_allocation_that_waits_is_given_back_too(slurm, command):
    blocking = slurm.ask(
        "sbatch", "--parsable", "-N2", "--exclusive", "-o/dev/null", "--wrap", "sleep 600"
    ).strip()
    process = command.start(*TWO)
    until(lambda: len(slurm.jobs()) == 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    until(lambda: slurm.jobs() == [blocking], 20)
    assert not command.events("started")
    slurm.ask("scancel", blocking)


@pytest.mark.slow
def test_within_an_allocation_its_nodes_are_used_and_stay(slurm, command, calm):
    """As in a batch script of one's own; what is left of it is its owner's."""
    words = ("--parsable", "-N2", "--ntasks-per-node=1", "-o/dev/null", "--wrap", "sleep 600")
    job = slurm.ask("sbatch", *words).strip()
    until(lambda: slurm.ask("squeue", "-h", "-j", job, "-o", "%T").strip() == "RUNNING")
    env = {"SLURM_JOB_ID": job, "SLURM_NTASKS": "2", "SLURM_CPUS_PER_TASK": "2"}
    code, _, err = command.run(*SLURM, **env)
    assert code == 0, err
    assert "is asked for" not in err
    assert command.numbers() == calm
    assert slurm.jobs() == [job]
    until(lambda: not slurm.steps())
    slurm.ask("scancel", job)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"nodes": 3}, "Slurm refuses the allocation: "),
        ({"options": ("--partition=nowhere",)}, "invalid partition specified: nowhere"),
        ({"options": ("--gres=gpu:9",)}, "Slurm refuses the allocation: "),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_before_anything_starts(slurm, wish, said):
    with pytest.raises(InputError) as refusal:
        chosen("slurm", Request(**wish)).slots()
    assert said in str(refusal.value)
    assert refusal.value.hint
    assert slurm.empty()


def opened(logs, **wish):
    """An execution of one's own, without a study."""
    executor = chosen("slurm", Request(**wish))
    return executor.open(executor.slots(), logs, lambda: False)


def polled(execution, true):
    """Poll until something is true."""

    def now():
        assert execution.poll(0.1) == []
        return true()

    until(now)


def test_a_python_that_the_nodes_lack_is_one_clear_error(slurm, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with closing(opened(tmp_path, slots=1)) as execution, pytest.raises(EnvironmentFault) as fault:
        polled(execution, lambda: execution.free)
    assert re.match(
        r"--executor slurm: no worker gets ready on n[12] \(Slurm: .*execve\(\): /nowhere/python: "
        "No such file or directory",
        str(fault.value),
    )


def test_every_gpu_is_one_worker_alone(slurm, tmp_path):
    if not slurm.gpus:
        pytest.skip("only root can make devices")
    with closing(opened(tmp_path, nodes=2, gpus_per_node=2)) as execution:
        polled(execution, lambda: execution.free == 4)
        said = sorted((w.said["host"], w.said["gpu"]) for w in execution.workers)
    assert said == [("n1", "0"), ("n1", "1"), ("n2", "0"), ("n2", "1")]


@pytest.mark.slow
def test_the_commands_of_the_page_about_clusters_run(slurm, command, calm, postgres):
    lines = re.findall(r"^\$ swinablate run studies/quickstart.toml (.*)$", PAGE.read_text(), re.MULTILINE)  # fmt: skip
    found = [line for line in lines if "--executor slurm" in line]  # Ray has a test of its own
    assert len(found) == 3
    for line, home in zip(found, ("a", "b", "c"), strict=True):
        command.home = command.folder / home
        url = postgres.create("studies") if "--storage" in line else ""
        text = line.replace("postgresql://me@db/studies", url)
        words = shlex.split(text.replace("/var/tmp", str(command.folder)))
        code, _, err = command.run(*words, "--no-report")
        assert code == 0, err
        assert command.numbers() == calm


@pytest.mark.slow  # two starts, one after the other
def test_the_batch_script_of_the_page_goes_on_when_it_is_put_back(slurm, long, calm_long):
    (text,) = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    arguments = shlex.join([str(long.study), "--home", str(long.home), "--no-report"])
    script = long.folder / "study.sh"
    script.write_text(text.replace("studies/quickstart.toml", arguments))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    log = long.folder / "log"
    job = slurm.ask("sbatch", "--parsable", f"--output={log}", f"--export=ALL,PATH={path},SWINABLATE_CHECKPOINT_EVERY=0", str(script)).strip()  # fmt: skip
    long.wait_for("checkpoint", 2)
    slurm.ask("scancel", "--signal=TERM", "--batch", job)
    long.wait_for("stopped")
    # Slurm starts it two minutes later; at once, it would refuse the credential it has revoked.
    until(lambda: len(long.results()) == 4, 400)
    until(slurm.empty)
    assert long.numbers() == calm_long, log.read_text()


@pytest.mark.slow
def test_a_controller_that_dies_and_lies_afterwards_changes_nothing(slurm, long, calm_long):
    """It is gone for seconds in mid-study, and does not remember all when it comes back."""
    process = long.start(*TWO)
    long.wait_for("checkpoint", 2)
    slurm.kill("slurmctld")
    long.wait_for("done", 1)
    slurm.start_daemon("slurmctld")
    _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert long.numbers() == calm_long
    assert set(attempts(long).values()) == {1}
    until(lambda: gone(slurm, long))


@pytest.mark.slow  # a minute is the least limit that Slurm knows
def test_a_time_limit_costs_no_trial(slurm, long, calm_long):
    code, _, err = long.run(*SLURM, "--nodes", "2", "--time", "1")
    assert code == 0, err
    assert "ended: TIMEOUT" in err
    assert long.events("stopped")
    assert not long.events("lost")
    assert long.numbers() == calm_long


@pytest.mark.slow
def test_a_preemption_costs_no_trial(slurm, long, calm_long):
    process = long.start(*TWO)
    long.wait_for("checkpoint")
    words = ("-p", "urgent", "-N2", "--exclusive", "-o/dev/null", "--wrap", "sleep 5")
    slurm.ask("sbatch", *words)
    _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert re.search(r"ended: PREEMPTED; job \d+ is asked for instead", err)
    assert not long.events("lost")
    assert long.numbers() == calm_long


@pytest.mark.slow  # the controller needs half a minute to miss a node
@pytest.mark.parametrize("dies", [False, True], ids=["twin", "death"])
@pytest.mark.parametrize("node", ["n1", "n2"])  # the first holds the allocation
def test_a_node_that_is_lost_costs_no_trial_and_no_number(slurm, long, calm_long, node, dies):
    """With its daemon alone gone, the worker goes on beside its twin: attempts tell them apart."""
    process = long.start(*TWO)
    long.wait_for("checkpoint", 4)
    (step,) = slurm.steps(node)
    slurm.kill(node)
    if dies:
        for pid in stepds(step):
            os.kill(pid, signal.SIGKILL)
    _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert long.numbers() == calm_long
    assert max(attempts(long).values()) == 2
    ended = sorted(event["trial"] for event in long.events("done"))
    assert ended == sorted(long.results())  # a twin's word, however late, is nobody's result
    assert len(ended) == 4
    if dies:
        assert f"the worker on {node} ended" in err
