"""What may go wrong while a study runs, done to real processes.

After each crash `run` again must end with exit code 0 and the numbers of an undisturbed run,
bit for bit; what was done is not done again.
"""

import json
import shutil
import signal
import time

import pytest

from tests.integration.conftest import alive, send, until

pytestmark = pytest.mark.integration


def test_killed_worker_costs_an_attempt_and_no_number(command, calm):
    process = command.start("--slots", "1")
    command.wait_for("epoch", 2)
    send(command.events("started")[0]["data"]["pid"], signal.SIGKILL)
    _, err = process.communicate(timeout=240)

    assert process.returncode == 0, err
    assert "the worker ended with signal SIGKILL; going on" in err
    assert command.numbers() == calm
    assert sorted(found["attempt"] for found in command.results().values()) == [1, 1, 1, 2]
    assert command.events("resumed")[0]["data"]["epoch"] >= 1  # from the checkpoint


def test_killed_coordinator_takes_its_workers_along_and_loses_nothing(command, calm):
    process = command.start()
    until(command.results, seconds=60)
    workers = {e["data"]["pid"] for e in command.events("started")}
    send(process.pid, signal.SIGKILL)
    process.communicate()
    done = set(
        command.results()
    )  # read when nobody writes any more: an event comes before its record
    until(lambda: not any(map(alive, workers)), seconds=2)

    code, out, _ = command.run("--json", command="status")
    status = json.loads(out)
    assert code == 0
    assert (status["planned"], status["running"]) == (4, 0)
    assert status["done"] == len(done)

    written = {t: (command.home / "trials" / t / "result.json").stat().st_mtime_ns for t in done}
    code, _, err = command.run("--no-report")
    assert code == 0, err
    assert command.numbers() == calm
    for trial, when in written.items():
        assert (command.home / "trials" / trial / "result.json").stat().st_mtime_ns == when


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 75), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)],
)
def test_asked_to_stop_it_writes_checkpoints_and_goes_on_later(command, calm, number, code):
    process = command.start()
    command.wait_for("epoch", 2)
    send(process.pid, number)
    _, err = process.communicate(timeout=60)

    assert process.returncode == code, err
    assert "write their checkpoints" in err
    assert "to go on: swinablate run" in err
    stopped = command.events("stopped")
    assert stopped
    assert command.run("--no-report")[0] == 0
    assert command.numbers() == calm
    assert len(command.events("resumed")) >= len(stopped)


@pytest.mark.slow
def test_second_interrupt_kills_at_once(command, calm):
    process = command.start()
    command.wait_for("epoch")
    workers = {e["data"]["pid"] for e in command.events("started")}
    for pid in workers:
        send(pid, signal.SIGSTOP)  # so that the first Ctrl-C has to wait for ever
    send(process.pid, signal.SIGINT)
    time.sleep(0.5)
    began = time.monotonic()
    send(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == 130
    assert not any(map(alive, workers))
    assert command.run("--no-report")[0] == 0
    assert command.numbers() == calm


def test_second_coordinator_is_refused_and_changes_nothing(command, calm):
    first = command.start()
    command.wait_for("epoch")
    send(first.pid, signal.SIGSTOP)  # so that it does not end first, however slow the machine
    code, _, err = command.run()
    send(first.pid, signal.SIGCONT)
    assert code == 4
    assert f"study 'study' is already running: pid {first.pid} on " in err
    first.communicate(timeout=240)
    assert first.returncode == 0
    assert command.numbers() == calm
    assert {found["attempt"] for found in command.results().values()} == {1}


def test_damaged_checkpoint_costs_an_epoch_and_no_number(command, calm):
    process = command.start("--slots", "1")
    command.wait_for("epoch", 3)
    send(process.pid, signal.SIGKILL)
    process.communicate()
    newest = max(command.home.glob("trials/*/attempts/1/checkpoint-*.pt"), key=lambda p: p.name)
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(bytes(data))

    assert command.run("--no-report", "--slots", "1")[0] == 0
    assert command.numbers() == calm
    assert f"damaged checkpoint {newest}" in (command.home / "logs" / "worker-0.log").read_text()


@pytest.mark.slow
def test_lost_stores_are_no_loss(command, calm):
    assert command.run("--no-report", "--only", "baseline")[0] == 0
    for store in ("optuna.db", "mlflow.db"):
        (command.home / store).unlink()
    assert command.run("--no-report")[0] == 0
    assert command.numbers() == calm
    assert {found["attempt"] for found in command.results().values()} == {1}


@pytest.mark.slow
def test_divergence_is_a_result_and_retry_trains_it_again(command):
    (command.folder / "base.toml").write_text(
        (command.folder / "base.toml").read_text() + 'optimizer = "sgd"\nlr = 0.05\nclip = 0.0\n'
    )
    command.study.write_text(
        command.study.read_text().replace('"model.shift" = [false]', '"train.lr" = [1e30]')
    )
    code, out, err = command.run("--json")
    assert code == 3, err
    status = sorted(found["status"] for found in command.results().values())
    assert status == ["diverged", "diverged", "done", "done"]
    (arm,) = json.loads(out)["arms"]
    assert (arm["n"], arm["diverged"]) == (0, 2)
    assert "2 would end the same way again: change the recipe or the network" in err
    assert "to train them again" not in err

    assert command.run("--no-report")[0] == 3  # a divergence is a result: run does not repeat it
    assert {found["attempt"] for found in command.results().values()} == {1}
    assert command.run(command="retry")[0] == 3
    again = [found for found in command.results().values() if found["status"] == "diverged"]
    assert [found["attempt"] for found in again] == [2, 2]
    assert len(list(command.home.glob("trials/*/attempts/1/result.json"))) == 4


@pytest.mark.slow
def test_serial_gives_the_same_numbers_as_workers(command, calm):
    assert command.run("--no-report", "--executor", "serial")[0] == 0
    assert command.numbers() == calm


@pytest.mark.slow
def test_removed_record_is_trained_again(command, calm):
    assert command.run("--no-report")[0] == 0
    trial = min(command.results())
    shutil.rmtree(command.home / "trials" / trial)
    assert command.run("--no-report")[0] == 0
    assert command.numbers() == calm
