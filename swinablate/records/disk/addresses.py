"""Which addresses can be stores, seen before anything starts and without asking anybody."""

import re
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from swinablate.errors import InputError
from swinablate.records.disk.stores import database, sqlalchemy_url
from swinablate.records.secrets import password_as_written, redact_address

HTTP = ("http://", "https://")
MLFLOW = ("postgresql", "mysql", "sqlite", "mssql")
"""Databases that MLflow keeps runs in (its documentation: "Backend Stores")."""
DATABASE = "sqlite:////absolute/path.db or postgresql://user@host/name"
ENCODE = "inside a name or password write %40 for @, %3A for :, %2F for /, %3F for ?, %23 for #"
PORT = "the port is no number from 1 to 65535"
TWO_WAYS = "the address can be read in two ways"

Refuse = Callable[[str, str], InputError]


def check_storage(url: str, at: str) -> None:
    """Refuse what cannot be a store of Optuna's.

    Args:
        url: as given.
        at: the option or variable that gave it.

    Raises:
        InputError: it cannot be.
    """
    _check_database(url, _refusing(url, at), f"write {DATABASE}")


def check_tracking(uri: str, at: str) -> None:
    """Refuse what cannot be a store of MLflow's: a server or a database.

    Args:
        uri: as given.
        at: the option or variable that gave it.

    Raises:
        InputError: it cannot be.
    """
    refuse = _refusing(uri, at)
    if uri.startswith(HTTP):
        _check_server(uri, refuse)
        return
    _check_database(uri, refuse, f"write http://host:port, https://host, {DATABASE}")
    kind = make_url(sqlalchemy_url(uri)).get_backend_name()
    if kind not in MLFLOW:
        raise refuse(f"MLflow keeps nothing in {kind!r}", f"it takes {', '.join(MLFLOW)}")


def _refusing(url: str, at: str) -> Refuse:
    shown = f": {redact_address(url)}" if url else ""

    def refuse(problem: str, hint: str) -> InputError:
        return InputError(problem, at=f"{at}{shown}", hint=hint)

    return refuse


def _check_database(url: str, refuse: Refuse, hint: str) -> None:
    if url != url.strip():
        raise refuse("there are blanks around the address", "write it without them")
    try:
        address = make_url(sqlalchemy_url(url))
    except ArgumentError:
        raise refuse("not the address of a store", hint) from None
    except ValueError:
        raise refuse(PORT, f"{hint}; {ENCODE}") from None
    if address.port is not None and not 0 < address.port < 2**16:
        raise refuse(PORT, f"{hint}; {ENCODE}")
    _check_driver(address, refuse, hint)
    written = password_as_written(url)
    if written and unquote(written) != address.password:
        raise refuse(TWO_WAYS, ENCODE)
    try:
        database(url)
    except InputError as error:  # in memory
        raise refuse(error.problem, error.hint) from None


def _check_driver(address: URL, refuse: Refuse, hint: str) -> None:
    try:
        dialect = address.get_dialect()
        dialect.import_dbapi()
        if address.get_backend_name() == "sqlite":
            dialect().create_connect_args(address)  # which reads what is beside the path
    except NoSuchModuleError:
        raise refuse(f"{address.drivername!r} is no kind of database", hint) from None
    except ImportError as error:
        remedy = "pip install 'swinablate[postgres]'"
        if error.name != "psycopg2":
            remedy = "install it, or name a driver that is installed: DATABASE+DRIVER://"
        raise refuse(f"the driver {error.name!r} is not installed", remedy) from None
    except (ArgumentError, TypeError, ValueError):
        raise refuse("not the address of a store", hint) from None


def _check_server(uri: str, refuse: Refuse) -> None:
    hint = "write http://host:port or https://host"
    try:
        parts = urlsplit(uri)
        zero = parts.port == 0
    except ValueError:
        raise refuse(f"the host cannot be read, or {PORT}", f"{hint}; {ENCODE}") from None
    if zero:
        raise refuse(PORT, hint)
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        raise refuse(TWO_WAYS, ENCODE)
    if not parts.hostname or re.search(r"\s", parts.hostname):
        raise refuse("there is no host", hint)
    if re.search("[?#]", uri):
        raise refuse(
            "MLflow puts its paths behind the address, so it has no query",
            f"{hint}; a token goes into MLFLOW_TRACKING_TOKEN",
        )
