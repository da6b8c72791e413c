"""One owner of a queue, whichever home it is run from: a second one is refused, by name.

Two coordinators on one queue would fail each other's tickets and train everything twice. The lock
of a home does not see other homes, so the store itself says who owns what: in a table of ours,
beside Optuna's. In PostgreSQL the owner also holds an advisory lock of a connection of its own,
which the server lets go when the owner is no more, and the row only says whose it is. Elsewhere
the row is all there is: its owner counts up in it as long as it lives.
"""

import hashlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    Double,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    delete,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from swinablate.errors import EnvironmentFault
from swinablate.records.disk import stores
from swinablate.records.secrets import redact, redact_address, secrets_here

BEAT_S = 10.0
"""Between two signs of life: one short write, beside those of every trial that ends."""
DEAD_S = 2 * stores.PATIENCE_S
"""How old the last sign of life of a dead owner is at least.

Another program may keep the store locked for as long as we wait for it, and the next sign may meet
the same again. It is then watched, too: clocks of two machines may differ by more.
"""
WATCH_S = 2.5 * BEAT_S
"""How long an owner that looks dead is watched: whoever lives gives two signs in that time."""
LOOK_S = 0.5
"""Between two looks at a row that is watched: a wish to stop is seen as soon as in a run."""
NAMING_S = 1.0
"""How long the holder of an advisory lock may take to write its name over that of the last one."""
SHORT_S = 5.0
"""How long a sign of life, or its end, waits for a locked store: the next one comes soon, and an
end that waits longer would use up the time that a batch system leaves."""
KEEPALIVE = {"tcp_keepalives_idle": 30, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}
"""A server asks whether an owner's machine is there after 30 s, and lets go 30 s later; by itself
it would ask after two hours."""

_ROWS = Table(
    "swinablate_owners",
    MetaData(),
    Column("queue", String(512), primary_key=True),  # as long as Optuna's names may be
    Column("token", String(32), nullable=False),
    Column("machine", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", Text, nullable=False),
    Column("home", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("at", Double, nullable=False),
    Column("beats", Integer, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who wants to own a queue.

    Attributes:
        home: where it records.
        take_over: leave an owner behind that gives no sign of life, however young its last one.
        say: takes a line for the user.
        stopping: whether to give up waiting.
        lost: told once, from another thread, if somebody else took the queue over.
    """

    home: Path
    take_over: bool = False
    say: Callable[[str], None] = lambda _: None
    stopping: Callable[[], bool] = lambda: False
    lost: Callable[[EnvironmentFault], None] = lambda _: None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An owner's row.

    Attributes:
        token: tells two owners apart that are the same process.
        machine: within which a process number means one process; empty if that is unknown.
        started: when that process did, as its kernel counts.
        since: Unix seconds of the owner's clock.
        at: of its last sign of life.
        beats: how many signs there were.
    """

    token: str
    machine: str
    host: str
    pid: int
    started: str
    home: str
    since: float
    at: float
    beats: int = 0

    @classmethod
    def mine(cls, home: Path) -> "Entry":
        """That of this process, from now on."""
        now, pid = time.time(), os.getpid()
        return cls(
            token=secrets.token_hex(16),
            machine=machine(),
            host=socket.gethostname(),
            pid=pid,
            started=started(pid),
            home=str(home),
            since=now,
            at=now,
        )

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.since))
        return f"pid {self.pid} on {self.host} since {since}, with home {self.home}"


@contextmanager
def owning(url: str, queue: str, owner: Owner) -> Iterator[None]:
    """Be the only owner of a queue; its store has been made.

    Args:
        url: address of the store.
        queue: name of the queue.
        owner: who wants it.

    Raises:
        EnvironmentFault: somebody else owns it, or the store is out of reach.
    """
    url = stores.sqlalchemy_url(url)
    row = Row(url, queue, Entry.mine(owner.home))
    lock = _Lock(url, queue) if url.startswith("postgresql") else None
    with ExitStack() as held:
        try:
            row.make()
            if lock is not None:
                held.callback(lock.close)
                _lock(lock, row)
            else:
                _take(row, owner)
        except (SQLAlchemyError, ImportError) as error:
            raise stores.fault(error, url, "the queue cannot be owned") from error
        held.callback(row.leave)
        held.enter_context(_beating(row, lock, owner))
        yield


def machine() -> str:
    """What two processes share in which a process number means the same; empty if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def started(pid: int) -> str:
    """When a process of this machine started, as its kernel counts; empty if it does not run."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")  # names may be anything
        state, *rest = text.rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in {"Z", "X"} else rest[18]  # field 22; what was killed may wait to be read


def hidden(pid: int) -> bool:
    """Whether a process runs of which nothing can be seen: another user's, on many clusters."""
    if started(pid):
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return False  # it is ours, and has ended


class Row:
    """The owner's row of one queue."""

    def __init__(self, url: str, queue: str, mine: Entry) -> None:
        self.url, self.queue, self.mine = url, queue, mine
        self._patient = _engine(url, stores.PATIENCE_S)
        self._quick = _engine(url, SHORT_S)
        self._here = _ROWS.c.queue == queue

    def make(self) -> None:
        """Make the table where there is none."""
        with stores.creation(self.url):
            _ROWS.metadata.create_all(self._patient)

    def read(self) -> Entry | None:
        """Who owns the queue."""
        columns = [column for column in _ROWS.c if column is not _ROWS.c.queue]
        with self._patient.connect() as connection:
            found = connection.execute(select(*columns).where(self._here)).mappings().first()
        return None if found is None else Entry(**found)

    def take(self, of: Entry | None) -> bool:
        """Own what nobody does, or what `of` did; False where it is not so any more."""
        values = asdict(self.mine)
        try:
            with self._patient.begin() as connection:
                if of is None:
                    connection.execute(insert(_ROWS).values(queue=self.queue, **values))
                    return True
                same = (_ROWS.c.token == of.token) & (_ROWS.c.beats == of.beats)
                asked = update(_ROWS).where(self._here & same).values(**values)
                return connection.execute(asked).rowcount == 1
        except IntegrityError:
            return False

    def put(self) -> None:
        """Own it, whatever the row says."""
        with self._patient.begin() as connection:
            connection.execute(delete(_ROWS).where(self._here))
            values = asdict(self.mine)
            connection.execute(insert(_ROWS).values(queue=self.queue, **values))

    def beat(self) -> bool:
        """Give a sign of life; False if the row is another's."""
        own = self._here & (_ROWS.c.token == self.mine.token)
        asked = update(_ROWS).where(own).values(at=time.time(), beats=_ROWS.c.beats + 1)
        with self._quick.begin() as connection:
            return connection.execute(asked).rowcount == 1

    def leave(self) -> None:
        """Own it no more; if the store is out of reach, the row shows that its owner is dead."""
        own = self._here & (_ROWS.c.token == self.mine.token)
        with suppress(SQLAlchemyError), self._quick.begin() as connection:
            connection.execute(delete(_ROWS).where(own))

    def refusal(self, found: Entry | None, problem: str, hint: str) -> EnvironmentFault:
        """What is said of another owner."""
        who = redact(str(found or "another process"), secrets_here(self.url))
        return EnvironmentFault(
            f"{problem} {self.queue!r}: {who}", at=redact_address(self.url), hint=hint
        )


class _Lock:
    """An advisory lock of PostgreSQL, which goes with its connection."""

    def __init__(self, url: str, queue: str) -> None:
        # 64 bits of the name, as such a lock has for a key.
        digest = hashlib.sha256(f"queue owner: {queue}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        self._engine = _engine(url, SHORT_S).execution_options(isolation_level="AUTOCOMMIT")
        self._connection: Connection | None = None

    def hold(self) -> bool:
        """Have the lock, still or again; False where another connection has it."""
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
                for name, value in KEEPALIVE.items():
                    self._connection.execute(text(f"SET {name} = {value}"))
            # Whoever has it may take it once more: so this also asks whether the server is there.
            asked = text("SELECT pg_try_advisory_lock(:key)")
            return bool(self._connection.scalar(asked, {"key": self._key}))
        except SQLAlchemyError:
            self.close()
            raise

    def close(self) -> None:
        """Let it go."""
        if self._connection is not None:
            with suppress(SQLAlchemyError):
                self._connection.close()
        self._connection = None


def _engine(url: str, patience_s: float) -> Engine:
    """No pool: a connection a question, so that a server may restart between two."""
    options: dict[str, float] = {}
    if stores.database(url):
        options = {"timeout": patience_s}  # for a lock
    elif url.startswith("postgresql"):
        # For a server that answers nothing.
        options = {**stores.kept_alive(url), "connect_timeout": int(patience_s)}
    return create_engine(url, poolclass=NullPool, connect_args=options)


_WAIT = "wait for it or stop it, or give this home a store of its own with --storage; "


def _lock(lock: _Lock, row: Row) -> None:
    deadline = time.monotonic() + NAMING_S
    while not lock.hold():
        if time.monotonic() > deadline:
            hint = f"{_WAIT}the server lets it go at most a minute after its end"
            raise row.refusal(row.read(), "another home runs", hint)
        time.sleep(NAMING_S / 10)
    row.put()


def _take(row: Row, owner: Owner) -> None:
    while True:
        found = row.read()
        if found is not None and not _dead(found, row, owner):
            hint = (
                f"{_WAIT}if it is no more, `swinablate run STUDY --take-over` goes on without it"
            )
            raise row.refusal(found, "another home runs", hint)
        if row.take(found):
            return


def _dead(found: Entry, row: Row, owner: Owner) -> bool:
    """Whether an owner is no more."""
    if found.machine and found.machine == machine() and not hidden(found.pid):
        return started(found.pid) != found.started
    age = time.time() - found.at
    if age < DEAD_S and not owner.take_over:
        return False
    owner.say(f"{row.queue}: {found} gave no sign of life for {age:.0f} s; watching it")
    deadline = time.monotonic() + WATCH_S
    while time.monotonic() < deadline:
        if owner.stopping() or row.read() != found:
            return False
        time.sleep(LOOK_S)
    return True


@contextmanager
def _beating(row: Row, lock: _Lock | None, owner: Owner) -> Iterator[None]:
    """Give signs of life meanwhile."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT_S):
            # Out of reach, it is so for others, too: nobody takes it over, and Optuna complains.
            with suppress(SQLAlchemyError):
                if lock is not None:
                    lock.hold()  # again, if the server was started anew; the row decides
                if not row.beat():
                    hint = "all that was trained is kept; start again when the other has ended"
                    owner.lost(row.refusal(row.read(), "another home took over", hint))
                    return

    thread = threading.Thread(target=beat, name="owner", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(SHORT_S + 1)  # a second more than a sign waits for a locked store
