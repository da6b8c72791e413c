"""The Slurm executor by itself: what it asks of Slurm, what it takes from the answers."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import closing

import pytest

from swinablate.errors import EnvironmentFault, InputError, Interrupted
from swinablate.execution.executor import Request, Slot, chosen
from swinablate.execution.executors import slurm
from swinablate.execution.executors.slurm import allocation, commands, shares, slots_on
from swinablate.execution.executors.slurm.allocation import LEFT, Sight, look, words
from swinablate.execution.executors.slurm.commands import Node, Refused, nodes, plain, state, steps
from swinablate.execution.executors.slurm.steps import ended
from swinablate.execution.workers import crew
from swinablate.execution.workers import hello as hellos
from swinablate.execution.workers.crew import Probe, keep_folders
from swinablate.execution.workers.hello import apart, check, code, hello, prepared
from swinablate.records.events import Batch
from tests.execution.fake_slurm import FakeSlurm
from tests.execution.jobs import Jobs

PATIENCE_S = 120.0


@pytest.fixture
def fake(tmp_path, monkeypatch):
    made = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", made.path)
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    return made


@pytest.fixture
def jobs(datasets, tmp_path):
    return Jobs(datasets, tmp_path)


def opened(logs, **wish):
    executor = chosen("slurm", Request(**wish))
    return executor.open(executor.slots(), logs, lambda: False)


def polled(execution, true):
    """All events until something is true of them."""
    events, deadline = [], time.monotonic() + PATIENCE_S
    while not true(events):
        assert time.monotonic() < deadline, events
        events += execution.poll(0.05)
    return events


def test_an_allocation_is_asked_for_as_the_user_wishes_who_has_the_last_word():
    request = Request(nodes=2, gpus_per_node=8, time="12:00:00", threads=4, options=("-p gpu -A lab", "--exclusive"))  # fmt: skip
    assert words(request, 8, "swinablate-x") == [
        "sbatch", "--parsable", "--no-requeue", "--no-kill", "--job-name=swinablate-x",
        "--output=/dev/null", "--nodes=2", "--ntasks-per-node=8", "--cpus-per-task=4",
        "--gres=gpu:8", "--time=12:00:00", "-p", "gpu", "-A", "lab", "--exclusive",
    ]  # fmt: skip
    assert words(Request(), 1, "x")[-3:] == [
        "--nodes=1",
        "--ntasks-per-node=1",
        "--cpus-per-task=1",
    ]


def test_what_will_be_there_is_said_before_anything_is_taken(fake):
    def promised(**wish):
        return chosen("slurm", Request(**wish)).slots()

    assert promised(nodes=2, gpus_per_node=2, slots=3) == [Slot(index=i, device="cuda:0") for i in range(3)]  # fmt: skip
    assert promised(nodes=2) == [Slot(index=i, device="cpu") for i in range(2)]
    assert len(promised(nodes=2, slots=3)) == 3
    assert all("--test-only" in asked for asked in fake.asked("sbatch"))
    assert "--ntasks-per-node=2" in fake.asked("sbatch")[-1]
    assert not list((fake.folder / "jobs").iterdir())


def test_nodes_are_read_from_what_scontrol_shows(fake):
    fake.says(
        "detail", "JobId=1\n     Nodes=n[1-2] CPU_IDs=0-3,8 Mem=8000 GRES=gpu:a100:2(IDX:0-1)\n"
    )
    assert nodes("1") == [Node("n1", 5, 2, 8000), Node("n2", 5, 2, 8000)]
    fake.says("detail", "     Nodes=n1 CPU_IDs=0 Mem=0 GRES=shard:4(IDX:0),gpu:1(IDX:0)\n")
    assert nodes("1") == [Node("n1", 1, 1, 0)]
    fake.says("detail", "JobState=COMPLETED\n")
    with pytest.raises(Refused, match="shows no nodes of job 1"):
        nodes("1")


def test_slots_take_turns_on_nodes_and_share_what_these_have():
    small, large = Node("n1", 3, 0, 3000), Node("n2", 8, 0, 0)
    found = slots_on([small, large], Request(threads=2), None)
    assert [slot.host for slot in found] == ["n1", "n2", "n2", "n2", "n2"]
    assert {slot.device for slot in found} == {"cpu"}
    assert [s.host for s in slots_on([small, large], Request(slots=3), 2)] == ["n1", "n2", "n1"]
    assert shares([small, large], found) == {"n1": (3, 3000), "n2": (2, 0)}
    assert shares([small, large], found[:1]) == {"n1": (3, 3000)}
    gpus = slots_on([Node("n1", 8, 2, 0), Node("n2", 8, 1, 0)], Request(), None)
    assert [(s.host, s.device) for s in gpus] == [("n1", "cuda:0"), ("n2", "cuda:0"), ("n1", "cuda:0")]  # fmt: skip


def test_the_variables_of_an_allocation_are_no_defaults_of_ours():
    inside = {
        "SLURM_CONF": "c",
        "SCANCEL_INTERACTIVE": "1",
        "SQUEUE_STATES": "PENDING",
        "SBATCH_WAIT": "1",
        "SLURM_JOB_ID": "7",
        "SLURM_NTASKS": "4",
        "SBATCH_ACCOUNT": "lab",
        "A": "b",
    }
    assert plain(inside) == {"SLURM_CONF": "c", "SBATCH_ACCOUNT": "lab", "A": "b"}


def test_states_and_steps_are_read_from_squeue(fake):
    assert state("9") == ("", "")
    fake.says("jobs/9", "PENDING|Resources\n")
    assert state("9") == ("PENDING", "Resources")
    fake.says("steps", "batch|9.batch\nswinablate-s-1a-3|9.0\n")
    assert steps("9") == {"batch": "9.batch", "swinablate-s-1a-3": "9.0"}


def test_a_controller_that_forgot_is_not_believed(fake):
    """It says of a job that runs that it waits, after it was killed: its workers know better."""
    fake.says("jobs/9", "PENDING|launch failed requeued held\n")
    assert look("9", Sight("waiting")) == Sight(
        "waiting", "PENDING", "launch failed requeued held"
    )
    held = Sight("held", "RUNNING", "None", (Node("n1", 2, 0, 4000),))
    assert look("9", held) is held
    fake.says("jobs/9", "RUNNING|None\n")
    assert look("9", Sight("waiting")) == held
    fake.says("jobs/9", "COMPLETING|None\n")
    assert look("9", held).phase == "ending"  # how it ends is not known yet
    fake.says("jobs/9", "TIMEOUT|TimeLimit\n")
    assert look("9", held) == Sight("gone", "TIMEOUT", "TimeLimit")
    assert look("8", held) == Sight("gone", "unknown to Slurm")


@pytest.mark.parametrize(
    ("wish", "error", "said"),
    [
        ({"time": "soon"}, InputError, "--time: 'soon' is no time limit"),
        ({"slots": 0}, InputError, "--slots: 0 slots run nothing"),
        ({"options": ("--partition=nowhere",)}, InputError, "Slurm refuses the allocation: invalid partition specified: nowhere"),
        ({"options": ("--partition=silent",)}, EnvironmentFault, "Slurm does not answer: Unable to contact slurm controller"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_refused_with_a_way_out(fake, wish, error, said):
    with pytest.raises(error) as refusal:
        chosen("slurm", Request(**wish)).slots()
    assert said in str(refusal.value)
    assert refusal.value.hint


@pytest.mark.parametrize("time", ["90", "12:00:00", "2-00", "2-00:30:00", "UNLIMITED"])
def test_time_limits_are_written_as_slurm_has_them(fake, time):
    assert chosen("slurm", Request(time=time)).slots()


def test_a_machine_without_slurm_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFault) as fault:
        chosen("slurm", Request()).slots()
    assert str(fault.value).startswith(
        "--executor slurm: there is no sbatch on the PATH\n\nhint: "
    )


def test_the_options_of_a_cluster_are_refused_by_what_runs_here():
    for wish in ({"nodes": 2}, {"gpus_per_node": 1}, {"time": "9"}, {"options": ("-p gpu",)}):
        with pytest.raises(
            InputError, match=r"is for a cluster, and 'local' runs on this machine"
        ):
            chosen("local", Request(**wish))
    assert chosen("local", Request(slots=2)).asked is None


def test_within_an_allocation_its_nodes_are_the_slots(fake, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    fake.says("detail", "     Nodes=n[1-2] CPU_IDs=0-1 Mem=0 GRES=\n")
    assert [slot.host for slot in chosen("slurm", Request()).slots()] == ["n1", "n2", "n1", "n2"]
    assert [slot.host for slot in chosen("slurm", Request(threads=2)).slots()] == ["n1", "n2"]
    with pytest.raises(InputError, match="--nodes: this runs in job 9, which has its nodes"):
        chosen("slurm", Request(nodes=1)).slots()
    fake.says("detail", "")
    with pytest.raises(EnvironmentFault, match="SLURM_JOB_ID: nothing is known of job 9"):
        chosen("slurm", Request()).slots()


def test_what_slurm_says_of_an_end_is_told_and_excuses(tmp_path):
    log = tmp_path / "log"

    def of(text):
        log.write_text("of the worker before\n" + text)
        return ended(log, 21)

    cancelled = of(
        "a warning of torch\nslurmstepd-n1: error: *** STEP 2.5 ON n1 CANCELLED AT 2026-11-26T09:16:57 ***\n"
        "srun: Job step aborted: Waiting up to 7 seconds for job step to finish.\n"
    )
    assert cancelled.why == " (Slurm: STEP 2.5 ON n1 CANCELLED AT 2026-11-26T09:16:57)"
    assert cancelled.excused
    limit = of("slurmstepd: error: *** STEP 2.5 ON n1 CANCELLED AT 2026 DUE TO TIME LIMIT ***\n")
    assert (limit.excused, "DUE TO TIME LIMIT" in limit.why) == (True, True)
    node = of("srun: error: Node failure on n2\n")
    assert (node.why, node.excused) == (" (Slurm: Node failure on n2)", True)
    oom = of("slurmstepd: error: Detected 1 oom_kill event in StepId=2.5.\n")
    assert (oom.why, oom.excused) == (" (Slurm: Detected 1 oom_kill event in StepId=2.5.)", False)
    assert of("srun: error: n1: task 0: Killed\nslurm is not spoken of here\n").excused is False
    assert of("RuntimeError: error\n") == ended(log, log.stat().st_size)


def test_another_version_of_anything_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURMD_NODENAME", "n7")
    probe = tmp_path / "probe"
    probe.write_text("told")
    said = hello(probe)
    check(said, "told", ())
    for key, name in {"torch": "torch", "python": "Python", "swinablate": "swinablate"}.items():
        with pytest.raises(EnvironmentFault) as refusal:
            check(said | {key: "0.1"}, "told", ())
        expected = f"worker on n7: {name} there is 0.1, and {said[key]} here"
        assert str(refusal.value).startswith(expected)
    with pytest.raises(EnvironmentFault, match=r"code of swinablate there is f{12}, and "):
        check(said | {"code": "f" * 64}, "told", ())
    with pytest.raises(EnvironmentFault, match="it sees another home at the same path"):
        check(said, "something else", ())
    probe.unlink()
    monkeypatch.setattr(hellos, "PROBE_S", 0.0)
    unseen = hello(probe)
    check(unseen, "told", ())
    assert (apart(said), apart(unseen)) == (False, True)


def test_other_images_than_here_are_refused_with_both_digests(tmp_path, datasets, monkeypatch):
    monkeypatch.setenv("SLURMD_NODENAME", "n7")
    folder = next(datasets.glob("digits/*/manifest.json")).parent
    keep_folders(tmp_path, "a study", [folder])
    probe = Probe(tmp_path, "a study")
    assert probe.words == [str(probe.path), str(folder)]
    said = hello(probe.path, probe.folders)
    assert list(said["data"]) == [str(folder)]
    check(said, probe.written, probe.folders)
    ours = prepared(folder)
    assert len(ours) == 64
    for theirs, shown in {"f" * 64: "f" * 12, "": "none"}.items():
        with pytest.raises(EnvironmentFault) as refusal:
            check(said | {"data": {str(folder): theirs}}, probe.written, probe.folders)
        assert str(refusal.value).startswith(
            f"worker on n7: the images in {folder} have the digest {shown} there, and "
            f"{ours[:12]} here\n\nhint: "
        )
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert prepared(copy) == ours
    with (copy / "test_labels.npy").open("ab") as file:
        file.write(b"x")
    assert prepared(copy) == ""
    probe.remove()
    assert Probe(tmp_path, "another").folders == []


def test_the_digest_of_code_sees_names_and_texts(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    first = code(tmp_path)
    (tmp_path / "notes.txt").write_text("no code")
    assert code(tmp_path) == first
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    second = code(tmp_path)
    (tmp_path / "b.py").write_text("x = 2\n")
    assert len({first, second, code(tmp_path)}) == 3


def test_a_batch_goes_to_a_worker_that_is_ready_and_all_is_given_back(fake, tmp_path, jobs):
    said = []
    execution = opened(tmp_path, slots=1, name="study", say=said.append)
    assert execution.free == 0
    with closing(execution):
        polled(execution, lambda _: execution.workers)
        assert execution.free == 0  # it imports torch
        polled(execution, lambda _: execution.free)
        execution.submit(Batch(jobs=(job := jobs.make(),)))
        assert execution.free == 0
        events = polled(execution, lambda seen: seen and seen[-1].kind == "done")
        assert {happened.trial for happened in events} == {job.trial}
        (worker,) = execution.workers
        assert worker.said["probe"] == next(tmp_path.glob("probe-*")).read_text()
    assert said == ["job 1 is asked for: workers start when it does"]
    (started,) = fake.asked("srun")
    assert started.startswith("--jobid=1 --job-name=swinablate-study-")
    assert "--nodelist=n1 --nodes=1 --ntasks=1 --cpus-per-task=2 --exact --mem=4000M --gres=none" in started  # fmt: skip
    assert fake.asked("scancel") == ["--batch --signal=USR2 1", "1"]
    assert not list(tmp_path.glob("probe-*"))
    assert (execution.free, execution.poll(0.0)) == (0, [])
    execution.close()


def test_who_leaves_ends_with_stopped_and_another_comes_later(fake, tmp_path, jobs, monkeypatch):
    monkeypatch.setattr(slurm, "LEFT_S", 3.0)
    with closing(opened(tmp_path, slots=1)) as execution:
        polled(execution, lambda _: execution.free)
        (first,) = execution.workers
        execution.submit(Batch(jobs=(jobs.make("lingers", epochs=200),)))
        polled(execution, lambda seen: any(e.kind == "epoch" for e in seen))
        os.kill(first.said["pid"], 10)  # SIGUSR1
        events = polled(execution, lambda seen: any(e.kind == "stopped" for e in seen))
        assert (events[-1].kind, execution.free) == ("stopped", 0)
        polled(execution, lambda _: not execution.workers)
        left = time.monotonic()
        polled(execution, lambda _: execution.workers)
        assert time.monotonic() > left + 2
        polled(execution, lambda _: execution.free)
        (second,) = execution.workers
        assert second is not first


def test_another_allocation_is_asked_for_and_no_third_where_nothing_was_done(
    fake, tmp_path, monkeypatch
):
    monkeypatch.setattr(allocation, "FIRST_S", 0.01)
    fake.says("first", "PENDING|Resources\n")
    said = []
    with closing(opened(tmp_path, slots=1, say=said.append)) as execution:
        polled(execution, lambda _: len(said) == 2)
        fake.says("jobs/1", "TIMEOUT|None\n")
        polled(execution, lambda _: len(said) == 3)
        assert said[1] == "job 1 waits: Resources"
        assert said[-1] == "job 1 ended: TIMEOUT; job 2 is asked for instead"
        fake.says("jobs/2", "NODE_FAIL|NodeDown\n")
        with pytest.raises(Interrupted) as end:
            polled(execution, lambda _: False)
    assert str(end.value).startswith(
        "--executor slurm: job 2 ended: NODE_FAIL (NodeDown)\n\nhint: "
    )
    assert end.value.exit_code == 75


def test_an_allocation_that_ends_where_no_other_can_be_had_ends_the_study_for_now(
    fake, tmp_path, monkeypatch
):
    monkeypatch.setattr(allocation, "FIRST_S", 0.01)
    fake.says("first", "PENDING|Resources\n")
    with closing(opened(tmp_path, slots=1)) as execution:
        (fake.folder / "bin/sbatch").write_text("#!/bin/sh\necho 'sbatch: error: no more' >&2\nexit 1\n")  # fmt: skip
        fake.says("jobs/1", "CANCELLED|None\n")
        with pytest.raises(Interrupted, match="job 1 ended: CANCELLED, and there is no other: Slurm refuses the allocation: no more"):  # fmt: skip
            polled(execution, lambda _: False)


def test_a_study_that_is_stopped_asks_for_nothing_more(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(allocation, "FIRST_S", 0.01)
    fake.says("first", "PENDING|Resources\n")
    with closing(opened(tmp_path, slots=1)) as execution:
        execution.stop()
        fake.says("jobs/1", "CANCELLED|None\n")
        until = time.monotonic() + 1.0
        polled(execution, lambda _: time.monotonic() > until)
    assert len(fake.asked("sbatch")) == 2  # one of them a rehearsal


def test_where_no_worker_gets_ready_the_study_ends_with_the_reason(fake, tmp_path, monkeypatch):
    monkeypatch.setattr(crew, "FIRST_S", 0.01)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    fake.says("told", "slurmstepd: error: execve(): /nowhere/python: No such file or directory\n")
    with closing(opened(tmp_path, slots=1)) as execution, pytest.raises(EnvironmentFault) as end:
        polled(execution, lambda _: execution.free)
    assert "no worker gets ready on n1 (Slurm: execve(): /nowhere/python" in str(end.value)
    assert len(fake.asked("srun")) == 3


@pytest.mark.parametrize(
    ("state", "words"), [("RUNNING", ["--batch --signal=USR2 1", "1"]), ("PENDING", ["1"])]
)
def test_a_script_is_told_only_where_it_runs(fake, tmp_path, state, words):
    """scancel tries for seconds to reach the script of a job that waits."""
    fake.says("first", f"{state}|None\n")
    opened(tmp_path, slots=1).close()
    assert fake.asked("scancel") == words


@pytest.mark.parametrize("inside", ["", "7"])
def test_whoever_is_killed_leaves_nothing(fake, inside):
    fake.says(
        "steps", "swinablate-a-1|7.0\nbatch|7.batch\nswinablate-b-1|7.1\nswinablate-a-22|7.2\n"
    )
    guard = subprocess.Popen(
        ["/bin/sh", "-c", LEFT, "swinablate-a", inside], stdin=subprocess.PIPE
    )
    time.sleep(0.1)
    assert not fake.asked("scancel")
    guard.stdin.close()
    assert guard.wait(20) == 0
    if inside:
        assert fake.asked("scancel") == ["--signal=KILL 7.0", "--signal=KILL 7.2"]
    else:
        assert fake.asked("scancel") == ["--name=swinablate-a"]


def test_of_an_allocation_that_is_not_ours_only_our_steps_end(fake, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    fake.says("jobs/9", "RUNNING|None\n")
    execution = opened(tmp_path, slots=1, name="a")
    name = execution.allocation.name
    fake.says("steps", f"{name}-1|9.0\nbatch|9.batch\nswinablate-b-1|9.1\n")
    execution.close()
    assert fake.asked("scancel") == ["--signal=KILL 9.0"]
    assert not fake.asked("sbatch")


def test_what_a_command_complains_of_is_told_without_its_name(fake):
    with pytest.raises(Refused, match=r"^invalid partition specified: nowhere$"):
        commands.ask("sbatch", "--partition=nowhere")
    with pytest.raises(Refused, match="No such file"):
        commands.ask("nosuchcommand")
