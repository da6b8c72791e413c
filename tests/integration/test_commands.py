"""Somebody's own command as a trial: how it ends, and that nothing of it is left."""

import os
import signal
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest

from swinablate.execution import worker
from swinablate.execution.workers import command as command_module
from swinablate.execution.workers import keeper
from tests import ray as rays
from tests.integration.commands import attempt, recipe
from tests.integration.conftest import alive, send, until

pytestmark = pytest.mark.integration

WRITES = "pathlib.Path(out, 'result.json').write_text(json.dumps({'accuracy': 90 + seed}))\n"
PRINTS = 'metric = { pattern = "acc ([^ ]+)", name = "acc" }'


def ended(tmp_path, script, *lines, **more):
    last = attempt(tmp_path, recipe(tmp_path, script, *lines), **more)[0]
    return last.kind, last.data.get("kind"), last.data.get("message", ""), last


def test_a_result_in_a_file_is_the_trials(tmp_path):
    kind, _, _, last = ended(tmp_path, WRITES)
    assert kind == "done"
    assert last.data["metrics"]["command/accuracy"] == 90
    assert set(last.data["metrics"]) == {"command/accuracy", "time/train_s", "time/cpu_s"}
    assert last.data["predictions"] == {}


def test_of_several_lines_the_last_counts_and_all_are_the_curve(tmp_path):
    script = "for e in (70, 80, 95.5): print('epoch, acc', e)\n"
    last, *events = attempt(tmp_path, recipe(tmp_path, script, PRINTS))
    assert last.data["metrics"]["command/acc"] == 95.5
    rows = [one.data for one in events[::-1] if one.kind == "epoch"]
    assert [(row["epoch"], row["command/acc"]) for row in rows] == [(1, 70), (2, 80), (3, 95.5)]


@pytest.mark.parametrize(
    ("script", "lines", "kind", "said"),
    [
        ("print('acc 90')\nprint('acc 91')", [PRINTS.replace("}", ', twice = "fail" }')],
         "twice", "2 lines of standard output match"),
        ("print('loss 0.1')", [PRINTS], "no result",
         "exit code 0 and no result: no line of standard output matches"),
        ("pass", [], "no result", "exit code 0 and no result: there is no result.json in {out}"),
        ("print('acc fine')", [PRINTS], "no result", "'fine', and no number"),
        ("print('acc 0.93')", [PRINTS], "unit", 'write unit = "fraction"'),
        ("sys.exit('no data here')", [], "exit", "exit code 1; it said last: no data here"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", [], "exit", "signal SIGSEGV"),
        ("time.sleep(60)", ["timeout = 0.5"], "timeout", "it ran for 0.5 s, its timeout"),
        ("input('proceed? ')", [], "exit", "standard input is closed, and there is no terminal"),
        ("open('/dev/tty')", [], "exit", "/dev/tty' (standard input is closed"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_one_failure_with_its_kind(tmp_path, script, lines, kind, said):
    ending, what, message, _ = ended(tmp_path, script, *lines)
    assert (ending, what) == ("failed", kind)
    assert said in message
    assert "Traceback" not in message


def test_a_result_that_is_nan_has_diverged_and_so_may_an_exit_code(tmp_path):
    assert ended(tmp_path, "print('acc nan')", PRINTS)[0] == "diverged"
    (tmp_path / "b").mkdir()
    assert ended(tmp_path / "b", "sys.exit(3)", "diverged = [3]")[0] == "diverged"


DIGITS = 'metric = { pattern = "acc: ([0-9.]+)", name = "acc" }'


@pytest.mark.parametrize(
    ("said", "ending", "message"),
    [
        ("nan", "diverged", "is nan"),
        ("9.5e1", "failed", "the last number is '9.5e1', and 'acc: ([0-9.]+)' takes '9.5' of it"),
        ("95,5", "failed", "one behind the group"),
        ("-3", "failed", "takes nothing of it; let its group take all of one"),
    ],
)
def test_a_number_is_believed_as_a_whole_or_not_at_all(tmp_path, said, ending, message):
    found = ended(tmp_path, f"print('acc: 90')\nprint('acc: {said}')", DIGITS)
    assert found[0] == ending
    assert message in found[2]


def test_numbers_in_a_row_that_are_not_taken_as_a_whole_end_the_command(tmp_path):
    script = "print('acc: 80\\n' + 3 * 'acc: 8.5e1\\n')\ntime.sleep(60)\nprint('acc: 90')"
    began = time.monotonic()
    kind, what, message, _ = ended(tmp_path, script, DIGITS)
    assert time.monotonic() - began < 30
    assert (kind, what) == ("failed", "no result")
    assert "it was ended: the last of 3 numbers in a row is '8.5e1', and" in message
    assert "takes '8.5' of it" in message


def test_an_early_number_that_is_not_taken_as_a_whole_ends_nothing(tmp_path):
    """The last alone counts; what is taken in part is no point of the curve."""
    script = "print('acc: 1e1\\nacc: 2e1\\nacc: 30\\nacc: 4e1\\nacc: 5e1\\nacc: 60')"
    last, *events = attempt(tmp_path, recipe(tmp_path, script, DIGITS))
    assert last.kind == "done", last.data
    assert last.data["metrics"]["command/acc"] == 60
    rows = [one.data for one in events[::-1] if one.kind == "epoch"]
    assert [row["command/acc"] for row in rows] == [30, 60]


FOREVER = 'metric = { pattern = "(?:a+)+ acc ([0-9.]+)", name = "acc" }'
LONG = "print('a' * 40 + ' acc !')\n"


def test_a_line_that_takes_a_pattern_for_ever_is_passed_over(tmp_path, monkeypatch):
    last, *_ = attempt(tmp_path, recipe(tmp_path, LONG + "print('a acc 90')", FOREVER))
    assert last.kind == "done", last.data
    assert last.data["metrics"]["command/acc"] == 90


def test_a_number_before_such_a_line_may_not_be_the_last(tmp_path):
    kind, what, message, _ = ended(tmp_path, "print('a acc 90')\n" + LONG, FOREVER)
    assert (kind, what) == ("failed", "no result")
    assert "longer than a second for a line, and no number came after; begin it with ^" in message


def test_many_such_lines_end_the_command(tmp_path):
    kind, what, message, _ = ended(tmp_path, 10 * LONG + "time.sleep(600)", FOREVER)
    assert (kind, what) == ("failed", "no result")
    assert "longer than a second for 10 lines, and it was ended; begin it with ^" in message


def test_what_is_no_number_yet_or_not_judged_ends_nothing_and_is_no_point_of_a_curve(tmp_path):
    script = "print('acc: nan loss: 8.5e1\\nacc: 80 loss: 1e-5\\nacc: 90 loss: 2')"
    also = 'also = [{ pattern = "loss: ([0-9.]+)", name = "loss", unit = "nats" }]'
    last, *events = attempt(tmp_path, recipe(tmp_path, script, DIGITS, also))
    assert last.kind == "done", last.data
    rows = [one.data for one in events[::-1] if one.kind == "epoch"]
    assert [row["command/acc"] for row in rows] == [80, 90]


def test_who_asks_to_be_started_again_is_and_no_try_counts(tmp_path):
    kind, what, message, last = ended(tmp_path, "sys.exit(75)", "preempted = [75]")
    assert (kind, what, last.data["excused"]) == ("lost", "killed", True)
    assert "exit code 75" in message


def test_one_that_the_system_killed_is_lost_and_tried_again(tmp_path):
    kind, _, message, last = ended(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    assert (kind, "excused" in last.data) == ("lost", False)
    assert "SIGKILL" in message


def test_gigabytes_of_output_fill_no_disk_and_lose_no_result(tmp_path, capfd):
    """As fast as a pipe takes it; the log keeps the beginning, the end, and says what is gone."""
    script = (
        "print('the beginning')\nline = b'x' * 1023 + b'\\n'\n"
        "for _ in range(256): os.write(1, line * 1024)\n"  # 256 MiB
        "print('acc 93')\nprint('the end')\n"
    )
    kind, _, _, last = ended(tmp_path, script, PRINTS)
    log = capfd.readouterr().err
    assert kind == "done"
    assert last.data["metrics"]["command/acc"] == 93
    assert keeper.HEAD < len(log) < keeper.HEAD + 2 * keeper.TAIL
    assert "the beginning" in log
    assert "the end" in log
    assert "bytes of output are left out here" in log


def test_a_line_without_an_end_fills_no_memory(tmp_path, capfd):
    script = "for _ in range(32): os.write(1, b'y' * (1 << 20))\nprint('\\nacc 93')\n"
    assert ended(tmp_path, script, PRINTS)[0] == "done"
    capfd.readouterr()


FORKS = """
import subprocess
child = subprocess.Popen([sys.executable, '-c', 'import os, time; os.setsid(); time.sleep(99)'])
pathlib.Path(out, 'pid').write_text(str(child.pid))
time.sleep(0.3)
"""


def pid_of(tmp_path, number=1):
    return int((tmp_path / "attempts" / str(number) / "out" / "pid").read_text())


def test_a_script_that_daemonises_leaves_nothing_behind(tmp_path):
    kind, what, message, _ = ended(tmp_path, FORKS)
    assert (kind, what) == ("failed", "no result")
    assert "left processes behind, which were killed" in message
    assert not alive(pid_of(tmp_path))


def test_what_a_script_leaves_beside_its_result_is_killed_too(tmp_path):
    assert ended(tmp_path, FORKS + WRITES)[0] == "done"
    assert not alive(pid_of(tmp_path))


def test_a_killed_keeper_takes_what_the_command_started_along(tmp_path):
    script = (
        FORKS.replace("os.setsid(); ", "")
        + "os.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)\n"
    )
    kind, _, message, _ = ended(tmp_path, script)
    assert (kind, message) == ("lost", "the process that keeps the command was killed")
    until(lambda: not alive(pid_of(tmp_path)), seconds=20)


def test_a_command_that_could_not_write_on_a_full_disk_has_not_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "LEAST", 1 << 60)
    for number, script in enumerate(("sys.exit('no space')", "pass", "sys.exit(3)")):
        (tmp_path / str(number)).mkdir()
        kind, what, message, _ = ended(tmp_path / str(number), script, "diverged = [3]")
        if script == "sys.exit(3)":
            assert kind == "diverged"
            continue
        assert (kind, what) == ("failed", "disk")
        assert message.startswith("no space left in ")


IGNORES = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FORKS + "time.sleep(99)\n"


def test_one_that_ignores_sigterm_is_killed_after_its_grace(tmp_path):
    begun = tmp_path / "attempts" / "1" / "out" / "pid"
    kind, *_ = ended(tmp_path, IGNORES, "grace = 0.2", stopping=begun.exists)
    assert kind == "stopped"
    assert not alive(pid_of(tmp_path))


def test_asked_to_stop_it_has_its_grace_and_the_next_attempt_finds_the_checkpoint(tmp_path):
    script = """
checkpoint = pathlib.Path(sys.argv[3], 'epoch')
def save(*_):
    checkpoint.write_text('5')
    sys.exit(1)
signal.signal(signal.SIGTERM, save)
if checkpoint.exists():
    pathlib.Path(out, 'result.json').write_text(json.dumps({'accuracy': int(checkpoint.read_text())}))
    sys.exit()
pathlib.Path(out, 'begun').touch()
time.sleep(60)
"""
    path = recipe(tmp_path, script)
    begun = tmp_path / "attempts" / "1" / "out" / "begun"
    assert attempt(tmp_path, path, stopping=begun.exists)[0].kind == "stopped"
    last = attempt(tmp_path, path, number=2)[0]
    assert last.kind == "done"
    assert last.data["metrics"]["command/accuracy"] == 5
    assert not begun.with_name("result.json").exists()


HALF = """
def half(*_):
    pathlib.Path(out, 'result.json').write_text(json.dumps({'accuracy': 50}))
    os._exit(0)
signal.signal(signal.SIGTERM, half)
signal.signal(signal.SIGUSR1, half)
pathlib.Path(out, 'begun').write_text(str(os.getppid()))
time.sleep(60)
"""


def test_what_a_script_gives_when_it_is_asked_to_end_is_no_result(tmp_path):
    begun = tmp_path / "attempts" / "1" / "out" / "begun"
    assert ended(tmp_path, HALF, stopping=begun.exists)[0] == "stopped"
    assert (begun.parent / "result.json").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize("script", [HALF, HALF.replace("signal.signal(", "print(")])
def test_nor_when_a_cluster_signals_all_processes_of_a_job(tmp_path, number, script):
    """Before anybody has told the worker; a script that knows no signal has not failed."""
    begun = tmp_path / "attempts" / "1" / "out" / "begun"

    def preempted():
        until(lambda: begun.exists() and begun.read_text())
        keeps = int(begun.read_text())
        for pid in (*(p for p in rays.processes() if rays.parent(p) == keeps), keeps):
            os.kill(pid, number)

    thread = threading.Thread(target=preempted)
    thread.start()
    kind, *_ = ended(tmp_path, script)
    thread.join()
    assert kind == "stopped"


def test_a_keeper_that_does_not_answer_keeps_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(command_module, "KEEPER_S", 0.5)
    script = "os.kill(os.getppid(), signal.SIGSTOP)\n" + FORKS + "time.sleep(60)\n"
    kind, what, *_ = ended(tmp_path, script, "timeout = 2", "grace = 0.1")
    assert (kind, what) == ("failed", "timeout")


def test_a_signal_without_a_name_is_told_by_its_number(tmp_path):
    number = signal.SIGRTMIN + 3
    assert f"signal {number}" in ended(tmp_path, f"os.kill(os.getpid(), {number})")[2]


def test_code_that_changed_since_the_plan_is_not_run(tmp_path, monkeypatch):
    path = recipe(tmp_path, WRITES)
    from tests.integration import commands

    planned = commands.load_recipe(path)
    (tmp_path / "script.py").write_text("raise SystemExit('it ran')\n")
    monkeypatch.setattr(commands, "load_recipe", lambda _: planned)
    last = attempt(tmp_path, path)[0]
    assert (last.kind, last.data["kind"]) == ("failed", "sources")
    assert "not those that were planned" in last.data["message"]


def test_the_environment_names_folders_and_threads_and_no_store(tmp_path, monkeypatch):
    monkeypatch.setenv("SWINABLATE_STORAGE", "postgresql://me:secret@host/db")
    script = (
        """
assert os.environ['SWINABLATE_OUT'] == out
assert os.environ['SWINABLATE_SEED'] == str(seed)
assert os.environ['OMP_NUM_THREADS'] == '2'
assert os.environ['OWN'] == 'seed 0'
assert 'SWINABLATE_STORAGE' not in os.environ
assert os.getcwd() == str(pathlib.Path(__file__).parent)
"""
        + WRITES
    )
    lines = ["threads = 2", 'environment = { OWN = "seed {seed}" }']
    kind, _, message, _ = ended(tmp_path, script, *lines)
    assert kind == "done", message


def test_log_keeps_numbers_in_two_lines_of_a_script(tmp_path):
    script = "from swinablate import log\nfor e in (1, 2, 3): log(epoch=e, accuracy=90 + e)\n"
    own = 'metric = { file = "log.jsonl", key = "accuracy" }'
    last, *events = attempt(tmp_path, recipe(tmp_path, script, own))
    assert last.data["metrics"]["command/accuracy"] == 93
    assert [one.kind for one in events].count("epoch") == 3


def test_further_numbers_are_recorded_with_their_curves_and_fail_nothing(tmp_path):
    script = """
from torch.utils.tensorboard import SummaryWriter
with SummaryWriter(out + '/board') as board:
    for e in (1, 2, 3):
        print(f'epoch {e}: acc {80 + e} loss {3 - e}')
        board.add_scalar('lr', 0.5 ** e, e)
print('test: acc 99')
"""
    lines = [
        'metric = { pattern = "(?:epoch (?P<step>[0-9]+): )acc ([0-9]+)", name = "acc" }',
        'also = [{ pattern = "loss ([0-9.]+)", name = "loss", unit = "nats", better = "lower" },',
        ' { tag = "lr", unit = "rate" }, { file = "none.csv", key = "gone" }]',
    ]
    last, *events = attempt(tmp_path, recipe(tmp_path, script, *lines))
    assert last.kind == "done", last.data
    found = {k: v for k, v in last.data["metrics"].items() if k.startswith("command/")}
    assert found == {"command/acc": 83, "command/loss": 0, "command/lr": 0.125}
    keys = ("epoch", "command/acc", "command/loss", "command/lr")
    rows = [[one.data[key] for key in keys] for one in events[::-1] if one.kind == "epoch"]
    assert rows == [[1, 81, 2, 0.5], [2, 82, 1, 0.25], [3, 83, 0, 0.125]]
    (said,) = [one.data["missing"] for one in events if "missing" in one.data]
    assert said.startswith("gone: there is no none.csv in {out}; there are board/events")


@pytest.mark.parametrize("give", ["json", "toml", "yaml"])
def test_switches_in_a_file_are_read_back(tmp_path, give):
    reads = {
        "json": "import json; found = json.load(open(sys.argv[4]))",
        "toml": "import tomllib; found = tomllib.load(open(sys.argv[4], 'rb'))",
        "yaml": "import yaml; found = yaml.safe_load(open(sys.argv[4]))",
    }
    wanted = "{'seed': 0, 'on': True, 'lr': 0.5, 'n': 3, 'name': 'a \"b\" c'}"
    script = f"{reads[give]}\nassert found == {wanted}, found\n{WRITES}"
    path = recipe(tmp_path, script, f'give = "{give}"')
    text = path.read_text().replace('"{checkpoint}"', '"{checkpoint}", "{config}"')
    path.write_text(text + "[switches]\non = true\nlr = 0.5\nn = 3\nname = 'a \"b\" c'\n")
    last = attempt(tmp_path, path)[0]
    assert last.kind == "done", last.data


def test_a_killed_worker_takes_its_command_along(tmp_path):
    """The worker's group is killed; the command is in another, and so is what it started."""
    path = recipe(
        tmp_path, FORKS + "pathlib.Path(out, 'me').write_text(str(os.getpid()))\ntime.sleep(99)\n"
    )
    code = (
        "from pathlib import Path\nfrom tests.integration.commands import attempt\n"
        f"attempt(Path({str(tmp_path)!r}), Path({str(path)!r}))\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    me = tmp_path / "attempts" / "1" / "out" / "me"
    until(lambda: me.exists() and me.read_text())
    pids = [int(me.read_text()), pid_of(tmp_path)]
    assert all(map(alive, pids))
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    until(lambda: not any(map(alive, pids)), seconds=10)


STUDY = """\
question = "Do crashes change numbers?"
baseline = "base.toml"
seeds = 2
baseline_seeds = 2
[axes]
"switches.gain" = [2]
"""
SLOW = """
gain, done = int(sys.argv[4]), pathlib.Path(sys.argv[3], 'epochs')
epoch = int(done.read_text()) if done.exists() else 0
while epoch < 8:
    time.sleep(0.5)  # long enough to be killed in the middle
    epoch += 1
    done.with_suffix('.new').write_text(str(epoch))
    done.with_suffix('.new').replace(done)  # it may be killed here, too
    print('acc', 50 + gain * epoch + seed, flush=True)
print('at last, acc', 50 + gain * epoch + seed)
"""


def test_a_killed_coordinator_takes_commands_along_and_the_study_goes_on(command):
    path = recipe(command.folder, SLOW, PRINTS)
    text = path.read_text().replace('"{checkpoint}"', '"{checkpoint}", "{gain}"')
    path.write_text(text + "[switches]\ngain = 1\n")
    command.study.write_text(STUDY)
    process = command.start("--slots", "2", "--no-report")
    command.wait_for("epoch", 4)
    folders = list(command.home.glob("trials/*/attempts/1/checkpoint/epochs"))
    send(process.pid, signal.SIGKILL)
    process.communicate()
    time.sleep(1.0)  # of silence: whoever still ran would have written
    before = {path: path.read_text() for path in folders}
    time.sleep(0.5)
    assert {path: path.read_text() for path in folders} == before

    code, _, err = command.run("--slots", "2")
    assert code == 0, err
    found = command.results().values()
    assert sorted(one["metrics"]["command/acc"] for one in found) == [58, 59, 66, 67]
    assert max(one["attempt"] for one in found) == 2
    resumed = [one for one in found if one["attempt"] == 2]
    assert any(len(one["curve"]) < 9 for one in resumed), "it went on from its own checkpoint"

    report = (command.folder / "reports" / "study" / "report.md").read_text()
    assert "command/acc" not in report.partition("## Provenance")[0]
    assert "W29" not in report
    assert "| gain=2 |" in report
    drawn = pd.read_csv(command.folder / "reports" / "study" / "tables" / "curves.csv")
    assert set(drawn.metric) == {"command/acc"}
    ends = drawn[drawn["mark"] == "seed"].groupby(["arm", "seed"]).val_acc.last()
    assert sorted(ends) == [58, 59, 66, 67]
    for words in (["show", "gain=2"], ["list"], ["status", str(command.study)]):
        made = subprocess.run(
            [sys.executable, "-m", "swinablate", *words, "--home", str(command.home)],
            capture_output=True, text=True, check=False, cwd=command.folder,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
    made = subprocess.run(
        [sys.executable, "-m", "swinablate", "logs", "gain=2", "--home", str(command.home)],
        capture_output=True, text=True, check=False, cwd=command.folder,
    )  # fmt: skip
    assert made.returncode == 2
    assert "hint: it is the name of an arm: `swinablate show ARM`" in made.stderr
