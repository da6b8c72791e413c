"""The queue, on real SQLite files."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.disk import stores
from swinablate.scheduling.queue import Queue, Ticket, _patiently

ARMS = ("baseline", "shift=false", "norm=batch")


def ticket(arm="baseline", seed=0, attempt=1):
    return Ticket(
        trial=f"{ARMS.index(arm)}{seed}".ljust(64, "0"), arm=arm, seed=seed, attempt=attempt
    )


def grid(seeds=2):
    return [ticket(arm, seed) for seed in range(seeds) for arm in ARMS]


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'home' / 'optuna.db'}"


@pytest.fixture
def queue(url):
    queue = Queue.open(url, "study@0123456789ab", ARMS)
    yield queue
    queue.close()


def drain(queue):
    taken = []
    while (now := queue.pop()) is not None:
        taken.append(now)
        queue.done(now, 50.0 + now.seed, "done")
    return taken


def test_every_ticket_comes_out_once_in_order_and_nothing_else(queue):
    plan = grid(4)
    assert [queue.put(plan[i : i + 3]) for i in range(0, 12, 3)] == [3, 3, 3, 3]
    assert drain(queue) == plan
    assert queue.pop() is None
    assert queue.counts() == {"done": 12}  # no trial that nobody planned


def test_a_ticket_is_put_once_while_it_waits_or_runs(queue):
    first, second = ticket(seed=0), ticket(seed=1)
    assert queue.put([first, first, second]) == 2
    assert queue.put([first]) == 0
    assert queue.pop() == first
    assert queue.put([first, second]) == 0
    queue.done(first, 60.0, "done")
    again = replace(first, attempt=2)  # whoever asks has lost its record: the queue is a copy
    assert queue.put([again, again]) == 1
    assert queue.counts() == {"done": 1, "waiting": 2}


@pytest.mark.parametrize("state", ["failed", "diverged"])
def test_a_failed_ticket_can_be_put_again(queue, state):
    queue.put([ticket()])
    queue.done(queue.pop(), None, state)
    assert queue.counts() == {state: 1}
    again = ticket(attempt=2)
    assert queue.put([again]) == 1
    assert queue.pop() == again


def test_done_twice_is_done_once(queue):
    queue.put([ticket(), ticket(seed=1)])
    first, second = queue.pop(), queue.pop()
    for _ in range(2):
        queue.done(first, 61.5, "done")
        queue.done(second, None, "diverged")
    assert queue.counts() == {"done": 1, "diverged": 1}


def test_what_was_never_popped_is_recorded_for_sync(queue):
    for _ in range(2):
        queue.done(ticket(), 61.5, "done")
        queue.done(ticket(seed=1), None, "failed")
        queue.done(ticket(seed=1, attempt=2), None, "failed")
    assert queue.counts() == {"done": 1, "failed": 2}


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_done_trial_has_a_finite_value(queue, value):
    queue.put([ticket()])
    with pytest.raises(ValueError, match=f"^a done trial has a finite value, got {value}$"):
        queue.done(queue.pop(), value, "done")


def test_a_ticket_of_another_study_is_refused(queue):
    stranger = replace(ticket(), arm="window=4")
    with pytest.raises(ValueError, match=r"^not a ticket of this study: Ticket"):
        queue.put([stranger])
    with pytest.raises(ValueError, match=r"^not a ticket of this study: Ticket"):
        queue.put([ticket(seed=2**53)])
    assert queue.counts() == {}


def test_large_seeds_survive_the_store(queue):
    large = ticket(seed=2**53 - 1)
    queue.put([large])
    assert queue.pop() == large


def test_the_dashboard_sees_arm_seed_and_validation_accuracy(queue, url):
    queue.put([ticket("norm=batch", 1)])
    queue.done(queue.pop(), 71.25, "done")
    seen = optuna.load_study(study_name="study@0123456789ab", storage=url)
    (trial,) = seen.trials
    assert trial.params == {"arm": "norm=batch", "seed": 1}
    assert trial.value == 71.25
    assert trial.user_attrs["id"] == ticket("norm=batch", 1).trial
    assert seen.direction is optuna.study.StudyDirection.MAXIMIZE


def test_what_a_stranger_enqueued_never_runs_and_ends_at_the_next_start(queue, url):
    seen = optuna.load_study(study_name="study@0123456789ab", storage=url)
    seen.enqueue_trial({"arm": "baseline", "seed": 7})
    queue.put([ticket()])
    assert drain(queue) == [ticket()]
    assert queue.counts() == {"done": 1, "waiting": 1}
    assert queue.reap() == 1
    assert queue.counts() == {"done": 1, "failed": 1}


def test_reopened_it_has_what_was_lost_as_failed_and_waits_for_tickets(url):
    first = Queue.open(url, "s@1", ARMS)
    first.put(grid(1))
    first.pop()
    first.close()
    second = Queue.open(url, "s@1", tuple(reversed(ARMS)))
    assert second.reap() == 1
    assert second.pop() is None  # what waited is asked of the records again
    assert second.put(grid(1)) == 3
    assert drain(second) == grid(1)
    assert second.counts() == {"done": 3, "failed": 1}
    second.close()


def test_a_store_of_an_earlier_version_in_which_tickets_waited_is_gone_on_with(queue, url):
    seen = optuna.load_study(study_name="study@0123456789ab", storage=url)
    for seed in (0, 1):
        attributes = {"id": ticket(seed=seed).trial, "arm": "baseline", "seed": seed, "attempt": 1}
        seen.enqueue_trial({"arm": "baseline", "seed": seed}, user_attrs=attributes)
    ran = seen.ask()
    ran.suggest_categorical("arm", ARMS)
    ran.suggest_int("seed", 0, 2**53)
    assert queue.reap() == 2
    assert queue.put([ticket(), ticket(seed=1)]) == 2
    assert drain(queue) == [ticket(), ticket(seed=1)]
    assert queue.counts() == {"failed": 2, "done": 2}


@contextlib.contextmanager
def statements():
    """What is asked of any database meanwhile."""
    seen = []

    def hear(_connection, _cursor, statement, *_):
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", hear)
    yield seen
    event.remove(Engine, "before_cursor_execute", hear)


def test_an_attempt_costs_as_many_statements_however_many_ended_or_wait(queue):
    counts = []
    queue.put([ticket("norm=batch", 100 + seed) for seed in range(40)])
    for _ in range(40):
        with statements() as seen:
            queue.done(queue.pop(), 50.0, "done")
        counts.append(len(seen))
    assert len(set(counts)) == 1
    assert counts[0] <= 18  # of Optuna 5: 14 for the start of a trial, 4 for its end


def test_writing_all_trials_of_a_study_reads_the_store_once(queue):
    for seed in range(100, 103):
        queue.done(ticket(seed=seed), 50.0, "done")
    with statements() as few:
        queue.done(ticket(seed=103), 50.0, "done")
    for seed in range(104, 130):
        queue.done(ticket(seed=seed), 50.0, "done")
    with statements() as many:
        queue.done(ticket(seed=130), 50.0, "done")
        queue.done(ticket(seed=107), 50.0, "done")  # it is there
    assert len(many) == len(few)
    assert queue.counts() == {"done": 31}


def test_studies_in_one_store_do_not_see_each_other(url):
    one, two = Queue.open(url, "a@1", ARMS), Queue.open(url, "b@1", ARMS)
    one.put(grid(1))
    assert two.pop() is None
    assert two.put(grid(1)) == 3
    one.close()
    two.close()


def test_other_arms_under_the_same_name_are_refused(url):
    Queue.open(url, "s@1", ARMS).close()
    with pytest.raises(EnvironmentFault) as caught:
        Queue.open(url, "s@1", ("baseline",))
    assert str(caught.value) == (
        f"{url}: queue 's@1' was made for other arms: baseline, shift=false, norm=batch"
        "\n\nhint: move the store away and run `swinablate sync STUDY`"
    )


HOLDER = """
import sys, time
from swinablate.scheduling.queue import Queue, Ticket, _patiently
queue = Queue.open(sys.argv[1], "s@1", ("baseline",))
queue.put([Ticket("0" * 64, "baseline", 0, 1), Ticket("1" * 64, "baseline", 1, 1)])
print(queue.pop().seed, flush=True)
time.sleep(60)
"""


def test_a_killed_coordinator_leaves_nothing_running(url):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"0\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    queue = Queue.open(url, "s@1", ("baseline",))
    assert queue.counts() == {"running": 1}
    assert queue.reap() == 1
    assert queue.reap() == 0
    again = [Ticket("0" * 64, "baseline", 0, 2), Ticket("1" * 64, "baseline", 1, 1)]
    assert queue.put(again) == 2
    assert [t.seed for t in drain(queue)] == [0, 1]
    assert queue.counts() == {"done": 2, "failed": 1}
    queue.close()


def hold(url, seconds):
    """Lock the database as another program would; the thread to join."""
    ready = threading.Event()

    def lock():
        other = sqlite3.connect(stores.database(url), isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        ready.set()
        time.sleep(seconds)
        other.execute("ROLLBACK")
        other.close()

    thread = threading.Thread(target=lock)
    thread.start()
    ready.wait()
    return thread


def test_a_database_locked_for_seconds_is_waited_for(queue, url):
    queue.put([ticket(), ticket(seed=1)])
    first = queue.pop()
    start = time.monotonic()
    other = hold(url, 2.0)
    queue.done(first, 50.0, "done")
    assert time.monotonic() - start >= 1.9
    other.join()
    assert queue.pop() == ticket(seed=1)
    assert queue.counts() == {"done": 1, "running": 1}


def test_a_database_locked_for_ever_is_named(url, monkeypatch):
    monkeypatch.setattr(stores, "PATIENCE_S", 0.5)
    queue = Queue.open(url, "s@1", ARMS)
    queue.put([ticket()])
    first = queue.pop()
    other = hold(url, 3.0)
    with pytest.raises(EnvironmentFault) as caught:
        queue.done(first, 50.0, "done")
    assert str(caught.value) == (
        f"{url}: the queue cannot be used: database is locked"
        "\n\nhint: another program holds it: close what has it open and start again"
    )
    other.join()
    queue.done(first, 50.0, "done")
    assert queue.counts() == {"done": 1}
    queue.close()


def test_a_ticket_that_the_store_refused_comes_out_of_it_later(queue, monkeypatch):
    def refuse(*_):
        raise StorageInternalError("the disk is full")

    queue.put([ticket(), ticket(seed=1)])
    with monkeypatch.context() as patch:
        patch.setattr(RDBStorage, "create_new_trial", refuse)
        with pytest.raises(EnvironmentFault):
            queue.pop()
    assert queue.put([ticket()]) == 0
    assert drain(queue) == [ticket(), ticket(seed=1)]
    assert queue.counts() == {"done": 2}


BROKEN = OperationalError("COMMIT", {}, sqlite3.OperationalError("server closed the connection"))
BROKEN.__cause__ = BROKEN.orig


@pytest.fixture
def server(monkeypatch):
    """The file as a server: it does what it is asked, and breaks the connection before it says so.

    Yields:
        For the name of a method of the store: have that happen the next time.
    """
    monkeypatch.setattr(
        stores, "away", lambda error, _: "server closed" in stores.cause(error, "")
    )

    def breaks(name):
        real = getattr(RDBStorage, name)

        def act(*args, **options):
            monkeypatch.setattr(RDBStorage, name, real)
            real(*args, **options)
            raise BROKEN

        monkeypatch.setattr(RDBStorage, name, act)

    return breaks


def test_what_was_written_before_the_connection_broke_is_not_written_again(queue, server):
    queue.put([ticket(), ticket(seed=1)])
    server("create_new_trial")
    first = queue.pop()
    assert queue.counts() == {"running": 1, "waiting": 1}
    server("set_trial_state_values")
    queue.done(first, 50.0, "done")
    server("create_new_trial")
    queue.done(ticket(seed=2), 50.0, "done")  # never popped here, as `sync` tells it
    assert queue.counts() == {"done": 2, "waiting": 1}
    server("set_trial_user_attr")
    queue.done(queue.pop(), None, "diverged")
    assert queue.counts() == {"done": 2, "diverged": 1}


def test_a_trial_of_another_attempt_is_not_taken_for_what_was_written(queue, server, monkeypatch):
    queue.put([ticket()])
    queue.pop()
    queue._running.clear()  # as if another had started it
    queue.put([ticket(attempt=2)])

    def breaks(*_):
        monkeypatch.undo()
        monkeypatch.setattr(stores, "away", lambda *_: True)
        raise BROKEN

    monkeypatch.setattr(RDBStorage, "create_new_trial", breaks)  # before anything is written
    assert queue.pop() == ticket(attempt=2)
    assert queue.counts() == {"running": 2}


def test_a_broken_connection_is_said_once_without_the_password(url, monkeypatch, caplog):
    refusals = iter([BROKEN, BROKEN, BROKEN])

    def act():
        for error in refusals:
            raise error
        return "done"

    monkeypatch.setattr(stores, "away", lambda *_: True)
    broke = []
    asked = "postgresql://me:s3cret@host/name"
    assert _patiently(asked, act, lambda: broke.append(1)) == "done"
    assert broke == [1, 1, 1]
    (said,) = caplog.messages
    assert said == (
        "postgresql://me:***@host/name does not answer (server closed the connection); waiting "
        "for it for up to 60 s, while trials train on"
    )


def test_a_server_that_was_never_there_is_not_waited_for(monkeypatch):
    def act():
        raise BROKEN

    monkeypatch.setattr(stores, "away", lambda *_: True)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    with pytest.raises(EnvironmentFault):
        _patiently("postgresql://me@host/name", act)


def test_a_corrupt_store_is_named(url):
    path = stores.database(url)
    path.parent.mkdir()
    path.write_bytes(b"not a database, but long enough to be read as one" * 40)
    with pytest.raises(EnvironmentFault) as caught:
        Queue.open(url, "s@1", ARMS)
    assert str(caught.value) == (
        f"{url}: the queue cannot be used: file is not a database\n\n"
        "hint: move the file away and run `swinablate sync STUDY`: it is rebuilt from the records"
    )


def test_a_store_of_another_version_of_optuna_is_named(url):
    Queue.open(url, "s@1", ARMS).close()
    with contextlib.closing(sqlite3.connect(stores.database(url))) as store:
        store.execute("UPDATE alembic_version SET version_num = 'v9.9.9.a'")
        store.commit()
    with pytest.raises(EnvironmentFault) as caught:
        Queue.open(url, "s@1", ARMS)
    text = str(caught.value)
    assert text.startswith(f"{url}: the queue cannot be used: The runtime optuna version")
    assert "hint: another version of that library made it: move the file away" in text


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "nonsense: not the address of a store"),
        ("sqlite://", "sqlite://: a store in memory forgets everything"),
        ("sqlite:///:memory:", "sqlite:///:memory:: a store in memory forgets everything"),
    ],
)
def test_an_address_that_is_none_is_refused(url, message):
    with pytest.raises(InputError) as caught:
        Queue.open(url, "s@1", ARMS)
    assert str(caught.value).startswith(message)


def test_a_server_out_of_reach_is_named_without_its_password():
    with pytest.raises(EnvironmentFault) as caught:
        Queue.open("postgresql+psycopg2://me:s3cret@127.0.0.1:1/db", "s@1", ARMS)
    text = str(caught.value)
    assert text.startswith(
        "postgresql+psycopg2://me:***@127.0.0.1:1/db: the store cannot be opened"
    )
    assert text.endswith("hint: is the server running, and the address right?")
    assert "s3cret" not in text


def test_optuna_is_quiet_and_other_loggers_are_left_alone(url, capfd):
    queue = Queue.open(url, "s@1", ARMS)
    queue.put([ticket()])
    drain(queue)
    queue.close()
    assert capfd.readouterr() == ("", "")
