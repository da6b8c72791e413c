"""What people write: files read whole but never without end, and TOML as plain values."""

import codecs
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LARGEST = 1 << 20
"""Bytes of a study or a recipe: a thousand named arms take a tenth of it, and the slowest text
of this size is parsed in a few seconds."""
WHOLE = 1 << 63
"""TOML's integers have 64 bits with a sign; Python's have no end, and take as long to print."""
DEEP = re.compile(
    r"""(?<![\w"'-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}""", re.ASCII
)
"""A key of so many parts: `tomllib` takes quadratic time for it, and nobody writes one."""


def check_file(path: Path) -> os.stat_result:
    """See that a path names a file that ends: no folder, no device, no pipe.

    Raises:
        OSError: it does not, or there is none.
    """
    try:
        found = path.stat()
    except ValueError as error:  # a NUL in it, or what no file system can hold
        raise OSError(f"no file can be called so: {error}") from None
    if not stat.S_ISREG(found.st_mode):
        kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISCHR, "a device"))
        kind = next((word for test, word in kinds if test(found.st_mode)), "no ordinary file")
        raise OSError(f"it is {kind}, not a file" if kind[0] == "a" else f"it is {kind}")
    return found


def read_text(path: Path, largest: int = LARGEST) -> str:
    """The text of a file; a byte order mark is skipped.

    Raises:
        OSError: it cannot be read, is no ordinary file, or is larger than `largest` bytes.
        UnicodeDecodeError: it is not UTF-8; `encoding_hint` says what it may be.
    """
    return read_bytes(path, largest).removeprefix(codecs.BOM_UTF8).decode("utf-8")


def read_bytes(path: Path, largest: int = LARGEST) -> bytes:
    """What is in a file.

    Raises:
        OSError: it cannot be read, is no ordinary file, or is larger than `largest` bytes.
    """
    size = check_file(path).st_size
    if size <= largest:
        with path.open("rb") as file:  # of a file that grows meanwhile, no more than that
            data = file.read(largest + 1)
        size = len(data)
    if size > largest:
        raise OSError(f"it has more than {largest >> 20} MiB")
    return data


def encoding_hint(error: UnicodeDecodeError) -> str:
    """What to do about a text in another encoding."""
    utf16 = error.object.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "it is UTF-16: save it as UTF-8" if utf16 else "save it as UTF-8"


def parse(text: str) -> dict[str, Any]:
    """Read TOML; arrays come back as tuples.

    Raises:
        ValueError: it is not TOML, or holds what no study can mean.
    """
    if DEEP.search(text):
        raise ValueError("a key has 64 parts or more")
    try:
        return {plain_text(key): _plain(value) for key, value in tomllib.loads(text).items()}
    except RecursionError:
        raise ValueError("tables or arrays are nested too deep") from None
    except ValueError as error:
        if "set_int_max_str_digits" in str(error):  # Python's own advice is for programmers
            raise ValueError("a whole number has thousands of digits") from None
        raise


def plain_text(value: str) -> str:
    """Text that files, databases and terminals can hold.

    Raises:
        ValueError: it has a NUL, or bytes of a command line that are not UTF-8.
    """
    if "\0" in value:
        raise ValueError(f"the text {value[:40]!r} holds a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the text {value[:40]!r} is not UTF-8") from None
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {plain_text(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(map(_plain, value))
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, int) and not -WHOLE <= value < WHOLE:
        raise ValueError("a whole number needs more than 64 bits")
    return value
