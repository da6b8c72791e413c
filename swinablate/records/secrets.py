"""Passwords and tokens: found in addresses and in the environment, taken out of what is shown.

An address may hold a secret as `user:SECRET@host` or as `?password=SECRET`. What is given to a
library is the address itself; what is printed, logged or recorded is redacted first. Reading is
generous: where an address can be read in two ways, what may be a secret is one.
"""

import base64
import os
import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from urllib.parse import unquote, unquote_plus

MASK = "***"
STORAGE, TRACKING = "SWINABLATE_STORAGE", "SWINABLATE_TRACKING_URI"
STORES = (
    STORAGE,
    TRACKING,
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "PGPASSWORD",
)
"""Variables that open the stores. Workers write to none, so they get none of these."""
SHORT = 4
"""A secret of fewer characters is replaced only where it stands alone.

Anywhere else three letters are part of ordinary words. Variables this short are `1` or `yes`.
"""

_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*):(?P<slashes>//+)(?P<rest>.*)", re.DOTALL)
_IN_TEXT = re.compile(r"[A-Za-z][\w+.-]{0,40}:/+\S+")
"""The longest scheme, dialect and driver, has half as many letters. Without an end, a long word
that is no address takes quadratic time: a message of 240,000 letters took minutes."""
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:/?#]*):(?P<port>[^/?#]*)")
_PAIR = re.compile(r"(?<=[?&;#])(?P<key>[^=&?#]+)=(?P<value>[^&]*)")
_SECRET_KEY = re.compile(
    r"passw|pwd|passphrase|secret|token|apikey|accesskey|credential|signature"
    r"|^(?:key|pass|pw|sig|auth|jwt|dsn|odbcconnect)$"
)
"""Of a query, in small letters without - and _. The last two hold whole other addresses."""
_ASSIGNED = re.compile(r"(?i)\b(password|passwd|pwd)=('[^']*'|\"[^\"]*\"|[^\s&;,]+)")
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:PASS|PASSWD|PASSPHRASE|PWD|SECRETS?|TOKEN|API_?KEY|ACCESS_KEY|PRIVATE_KEY)(?:_|$)"
    r"|PASSWORD"
)
_WITH_USERS = ("postgres", "mysql", "mariadb", "mssql", "oracle")
_PLACES = {"PWD", "OLDPWD"}  # the working folder, in every shell


def redact(text: str, known: Iterable[str] = ()) -> str:
    """The text without the secrets of addresses in it, and without those that are known.

    Args:
        text: a message, a traceback, a command.
        known: secrets to be taken out in whatever encoding they appear.
    """
    secrets = sorted({secret for secret in known if secret}, key=len, reverse=True)
    if secrets:
        text = re.sub("|".join(map(_anyhow, secrets)), MASK, text)
    text = _IN_TEXT.sub(lambda found: _masked(found[0]), text)
    return _ASSIGNED.sub(rf"\1={MASK}", text)


def redact_address(url: str) -> str:
    """The address as it may be shown.

    A port that is no number is hidden as well: it may be a password whose host was forgotten.
    """
    scheme, rest = _parts(url)
    userinfo, at, host = _masked(url)[len(scheme) :].rpartition("@")
    port = _AUTHORITY.match(rest if not at else rest.rpartition("@")[2])
    if scheme and port and not _is_path(scheme) and not _is_port(port["port"]):
        host = f"{port['host']}:{MASK}{host[port.end() :]}"
    return f"{scheme}{userinfo}{at}{host}"


def secrets_of(url: str) -> set[str]:
    """Every secret of an address: as written, and decoded."""
    scheme, rest = _parts(url)
    found: set[str] = set()
    if not _is_path(scheme):
        user, password, host = _userinfo(scheme, rest)
        found |= _readings(password) | _basic(user, password)
        port = _AUTHORITY.match(host)
        if scheme and port and not _is_port(port["port"]):
            found |= _readings(port["port"])
    for pair in _PAIR.finditer(rest):
        if _is_secret(pair["key"]):
            found |= _readings(pair["value"])
            inner = _ASSIGNED.findall(unquote_plus(pair["value"]))
            found |= {value.strip("'\"") for _, value in inner} - {""}
    return found


def secrets_of_environment(environ: Mapping[str, str]) -> set[str]:
    """Secrets in variables: those whose names say so, and those of addresses."""
    found: set[str] = set()
    for name, value in environ.items():
        if _SECRET_NAME.search(name.upper()) and name not in _PLACES:
            found |= _readings(value)
        if "://" in value:
            found |= secrets_of(value)
    return {secret for secret in found if len(secret) >= SHORT}


def secrets_here(url: str = "") -> set[str]:
    """Those of an address and of this process's environment: a library's message may hold any."""
    return secrets_of(url) | secrets_of_environment(os.environ)


def without_stores(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment for processes that have no business with the stores."""
    return {name: value for name, value in environ.items() if name not in STORES}


def password_as_written(url: str) -> str:
    """What stands between the user's name and the last `@`; empty where there is nothing."""
    return _userinfo(*_parts(url))[1]


def _parts(url: str) -> tuple[str, str]:
    """The scheme with its colon and slashes, which may be missing, and the rest."""
    found = _ADDRESS.match(url)
    return (f"{found['scheme']}:{found['slashes']}", found["rest"]) if found else ("", url)


def _is_path(scheme: str) -> bool:
    """Whether a file is named: there is no host, so an @ is part of a path."""
    return scheme.startswith(("sqlite", "file")) and scheme.endswith("///")


def _is_port(text: str) -> bool:
    return not text or (text.isascii() and text.isdigit())


def _userinfo(scheme: str, rest: str) -> tuple[str, str, str]:
    """User, secret and what follows; a name alone is a token, but for databases."""
    before, at, host = rest.rpartition("@")
    if _is_path(scheme) or not at:
        return "", "", rest
    user, colon, password = before.partition(":")
    alone = scheme and not password and not re.search("[/?#]", user)
    if alone and not scheme.lower().startswith(_WITH_USERS):
        return "", user, host
    return user, password if colon else "", host


def _basic(user: str, password: str) -> set[str]:
    """What HTTP's basic authentication makes of them; a name alone has an empty password."""
    pairs = {
        f"{name}:{word}" if name else f"{word}:"
        for name in _readings(user) or {""}
        for word in _readings(password)
    }
    return {base64.b64encode(pair.encode(errors="replace")).decode() for pair in pairs}


def _masked(url: str) -> str:
    scheme, rest = _parts(url)
    user, password, host = _userinfo(scheme, rest)
    if password:
        name = f"{user}:" if user or rest.startswith(":") else ""
        rest = f"{name}{MASK}@{host}"
    return scheme + _PAIR.sub(
        lambda pair: f"{pair['key']}={MASK}" if _is_secret(pair["key"]) else pair[0], rest
    )


def _is_secret(key: str) -> bool:
    """Whether a parameter of a query may hold a secret."""
    return bool(_SECRET_KEY.search(re.sub("[-_]", "", unquote_plus(key).lower())))


def _readings(text: str) -> set[str]:
    """What a piece of an address may stand for."""
    return {text, unquote(text), unquote_plus(text)} - {""}


def _anyhow(secret: str) -> str:
    """A pattern of the secret in any encoding that a message may have given it.

    Percent signs (of percent signs, too), backslashes of Python and JSON, HTML.
    """
    pattern = "".join(_run(char, len(list(run))) for char, run in groupby(secret))
    return pattern if len(secret) >= SHORT else rf"(?<!\w){pattern}(?!\w)"


_ESCAPED = {"\n": "n", "\r": "r", "\t": "t", "\f": "f", "\b": "b"}
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;|&#34;", "'": "&#x27;|&#39;"}
_BACKSLASHES = r"\\{1,8}"
"""Before an escape: each `repr` doubles them. Without a bound, many in a row take for ever."""


def _run(char: str, count: int) -> str:
    """A pattern of one character, so many times."""
    octets = char.encode("utf-8", "surrogatepass")
    codes = [f"u{unit:04x}" for unit in _utf16(char)], [f"x{octet:02x}" for octet in octets]
    spelt = ["".join(_BACKSLASHES + code for code in row) for row in codes]
    spelt += [_BACKSLASHES + f"U{ord(char):08x}", _BACKSLASHES + f"x{ord(char):02x}"]
    spelt += ["".join(rf"%(?:25)*{octet:02x}" for octet in octets)]
    other = [re.escape(char), _HTML.get(char, "")]
    other += [_BACKSLASHES + _ESCAPED[char]] if char in _ESCAPED else []
    other += [r"\+"] if char == " " else []
    other += [_BACKSLASHES + char] if char in "'\"" else []
    if char == "\\":
        return rf"(?:\\{{{count},{8 * count}}}|(?i:{'|'.join(spelt)}){{{count}}})"
    return rf"(?:{'|'.join(filter(None, other))}|(?i:{'|'.join(spelt)})){{{count}}}"


def _utf16(char: str) -> list[int]:
    data = char.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(data[i : i + 2]) for i in range(0, len(data), 2)]
