"""Files that a crash leaves whole, and what is said when a disk refuses."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from swinablate.errors import EnvironmentFault

NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


def write_atomically(path: Path, text: str) -> None:
    """Replace a file so that a crash leaves the old or the new one, never half of it.

    Raises:
        EnvironmentFault: the disk refuses.
    """
    # Not `tempfile`: its files are their owner's alone, and a home may be a group's. As with any
    # new file, the umask says who may read it.
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}.tmp")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("x", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell what a disk refuses while `path` is written.

    Raises:
        EnvironmentFault: it is full, read-only, gone, or another's.
    """
    try:
        yield
    except OSError as error:
        raise refused(error, path) from None


def refused(error: OSError, path: Path) -> EnvironmentFault:
    """What the disk said, and what to do about it."""
    at = str(error.filename or path)
    if error.errno in NO_SPACE:
        again = "free some space and start the same command again; it goes on where it was"
        return EnvironmentFault(f"disk full: {error.strerror}", at=at, hint=again)
    return EnvironmentFault(
        f"cannot write: {error.strerror or error}",
        at=at,
        hint="is the disk there, and the folder yours? --home or SWINABLATE_HOME names another",
    )


def set_aside(path: Path) -> Path:
    """Give a file that cannot be believed another name beside its own; nothing is deleted.

    Raises:
        EnvironmentFault: the disk refuses.
    """
    count = 1
    while (kept := path.with_name(f"{path.name}.damaged-{count}")).exists():
        count += 1
    with writing(path):
        path.rename(kept)
    return kept
