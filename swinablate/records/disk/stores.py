"""What the stores of Optuna and MLflow have in common: addresses, secrets, locks, causes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)

from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.disk import locks
from swinablate.records.disk.files import AGAIN, writing
from swinablate.records.secrets import redact, redact_address, secrets_here

PATIENCE_S = 60.0
"""How long a locked database is waited for.

Long enough for a transaction of another program, which may take half a minute; who holds it for
longer hangs, and a study had better say so.
"""


_KEY = 0x5357494E
"""Of PostgreSQL's locks, ours: "SWIN" in ASCII, so that no other program takes it by chance."""


def sqlalchemy_url(url: str) -> str:
    """The address with the PostgreSQL driver we install where it names none.

    SQLAlchemy's own choice depends on its version.
    """
    for scheme in ("postgres://", "postgresql://"):
        if url.startswith(scheme):
            return f"postgresql+psycopg2://{url.removeprefix(scheme)}"
    return url


def database(url: str) -> Path | None:
    """The file of an SQLite URL; None for a server.

    Raises:
        InputError: not an address, or a database in memory.
    """
    if url.startswith(("http://", "https://")):
        return None
    try:
        address = make_url(url)
    except ArgumentError:
        raise InputError(
            "not the address of a store",
            at=redact_address(url),
            hint="write sqlite:////absolute/path.db or postgresql://user@host/name",
        ) from None
    if address.get_backend_name() != "sqlite":
        return None
    if address.database in {None, "", ":memory:"}:
        raise InputError(
            "a store in memory forgets everything",
            at=url,
            hint="write sqlite:////absolute/path.db",
        )
    return Path(str(address.database)).absolute()


def cause(error: BaseException, url: str) -> str:
    """The first cause of an error, as one line without a secret."""
    while error.__cause__ is not None:
        error = error.__cause__
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return redact(line, secrets_here(url))


def locked(error: BaseException) -> bool:
    """Whether waiting may help: somebody else holds the database for the moment."""
    text = cause(error, "").lower()
    return "locked" in text or "deadlock" in text or "database is busy" in text


def away(error: BaseException, url: str) -> bool:
    """Whether a server that was there may be back soon: it restarts, or a connection broke.

    Such an error has no code of the server's, which said nothing any more, or one of these.
    """
    if database(url) is not None or any(word in cause(error, url).lower() for word in REFUSED):
        return False
    while error.__cause__ is not None and not isinstance(error, DBAPIError):
        error = error.__cause__
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    # psycopg2 and psycopg call it differently; other drivers have none.
    code = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None) or "08"
    return str(code).startswith(BACK_SOON)


BACK_SOON = ("08", "57P01", "57P02", "57P03", "53300")
"""Codes of PostgreSQL (its appendix A): connection lost, shut down, crashed, starting up, and no
connection left, which others give back."""


def kept_alive(url: str) -> dict[str, int]:
    """What a connection to PostgreSQL is asked for, unless the address says it.

    By itself a client waits two minutes for a machine that is off, and two hours for the answer of
    one that went off meanwhile; with these, a minute.
    """
    if not url.startswith("postgresql+psycopg"):  # what libpq understands
        return {}
    return {name: value for name, value in KEPT_ALIVE.items() if name not in make_url(url).query}


KEPT_ALIVE = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""Seconds, and milliseconds for the last, which holds while an answer is owed."""

REFUSED = ("permission denied", "must be owner", "authentication failed", "no password supplied",
           "read-only transaction")  # fmt: skip
"""What PostgreSQL says to a role that may not do what is asked."""
_MADE = "run `swinablate sync STUDY`: it is made from the records"
_AWAY = "move the file away and "
REMEDIES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("current state is deleted",), f"somebody removed it from MLflow meanwhile: {_MADE}"),
    (("locked",), "another program holds it: close what has it open and start again"),
    (
        ("malformed", "not a database"),
        f"{_AWAY}run `swinablate sync STUDY`: it is rebuilt from the records",
    ),
    # An earlier version was killed while it made the tables.
    (("already exists",), f"it was left half made: {_AWAY}{_MADE}"),
    # Optuna and MLflow, of a store that a newer or older version of theirs has made.
    (
        ("table schema", "locate revision", "out-of-date database schema"),
        "another version of that library made it: move the file away, or name another store, and "
        + _MADE,
    ),
    (("no module named",), "pip install 'swinablate[postgres]'"),
    (("is full", "no space"), AGAIN),
    (
        ("readonly",),
        "is the file another user's (`chmod g+w` lets a group write), or its disk read-only?",
    ),
    (("disk", "full", "unable to open"), "is the disk full, or the folder not yours?"),
    (REFUSED, "may this user write there, and is the password right?"),
)
"""What is in an error of a store, and what to do about it; the first that fits."""


def fault(error: BaseException, url: str, what: str) -> EnvironmentFault:
    """The error of a store, told to the user."""
    why = cause(error, url)
    found = (hint for words, hint in REMEDIES if any(word in why.lower() for word in words))
    hint = next(found, "is the server running, and the address right?")
    return EnvironmentFault(f"{what}: {why}", at=redact_address(url), hint=hint)


def reach(url: str) -> None:
    """Fail at once where a database cannot be opened or is none.

    Raises:
        SQLAlchemyError: what the database said.
        ImportError: its driver is not installed.
    """
    if url.startswith(("http://", "https://")):
        return
    ask = "SELECT 1" if database(url) is None else "PRAGMA schema_version"  # reads the file
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            connection.execute(text(ask))
    finally:
        engine.dispose()


@contextmanager
def creation(url: str) -> Iterator[None]:
    """Be the only one that creates or migrates the tables of the store at `url`.

    Two processes that do so in one SQLite file at once destroy it; in PostgreSQL one of
    them fails. The lock is a file beside the file, or PostgreSQL's own.

    Raises:
        EnvironmentFault: the store is out of reach, or another process holds the lock.
    """
    path = database(url)
    if path is not None:
        with _file_lock(path):
            _touch(path)
            yield
    elif url.startswith("postgresql"):
        with _advisory_lock(url):
            yield
    else:
        yield


@contextmanager
def made_whole(url: str) -> Iterator[str | None]:
    """Make a new SQLite store in a file beside its own, which gets the name when it is whole.

    Tables are made in many steps: who is killed or locked out between two of them leaves a file
    that its library never opens again. Within `creation` only.

    Yields:
        The address of the file to make the tables in; None where there is a store, or a server.
    """
    path = database(url)
    if path is None or (path.exists() and path.stat().st_size):
        yield None
        return
    draft = path.with_name(f".{path.name}.tmp")  # one name, so that a kill leaves one at most
    for left in (draft, draft.with_name(f"{draft.name}-journal")):
        left.unlink(missing_ok=True)
    _touch(draft)
    address = make_url(url).set(database=str(draft))
    yield address.render_as_string(hide_password=False)
    draft.replace(path)


def _touch(path: Path) -> None:
    """Make a file that is not there, as any new one: the umask says who may write it.

    SQLite makes files that their owner alone may write, and a home may be a group's.
    """
    if not path.exists():
        with writing(path):
            path.touch()


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    try:
        with locks.lock(path.with_name(f".{path.name}.lock"), PATIENCE_S):
            yield
    except locks.Taken as error:
        raise EnvironmentFault(
            f"another process has been creating the store for {PATIENCE_S:.0f} s: {error}",
            at=str(path),
            hint="look for a hung swinablate process",
        ) from None


@contextmanager
def _advisory_lock(url: str) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            engine = create_engine(url)
            stack.callback(engine.dispose)
            connection = stack.enter_context(engine.connect())
            connection.execute(text(f"SET lock_timeout = {int(1000 * PATIENCE_S)}"))
            connection.execute(text(f"SELECT pg_advisory_lock({_KEY})"))
        except (SQLAlchemyError, ImportError) as error:
            raise fault(error, url, "the store cannot be opened") from error
        yield  # the lock goes with the connection
