"""Files that a crash leaves whole, and what is said when a disk refuses."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from swinablate.errors import EnvironmentFault, InputError

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""A disk, a quota, or the size that a file may have (`ulimit -f`) is used up."""
AGAIN = "free some space and start the same command again; it goes on where it was"
REFUSALS = NO_SPACE | {
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),  # read-only, another's, broken
    *(errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT),  # not there
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENAMETOOLONG, errno.ELOOP),  # limits
}
"""What a machine says that is no fault of the program which asked."""


def write_atomically(path: Path, text: str) -> None:
    """Replace a file so that a crash leaves the old or the new one, never half of it.

    Raises:
        EnvironmentFault: the disk refuses.
    """
    with writing(path):
        put_whole(path, text.encode())


def put_whole(path: Path, content: bytes) -> None:
    """As `write_atomically`, for who has words of their own where the disk refuses.

    Raises:
        OSError: it does, and names the file or its folder; nothing is left.
    """
    # Not `tempfile`: its files are their owner's alone, and a home may be a group's. As with any
    # new file, the umask says who may read it.
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}.tmp")
    try:
        _make(path.parent)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(temporary):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:  # true, and no help
        code = errno.ENOTDIR
        raise NotADirectoryError(code, os.strerror(code), str(folder)) from None


def check_link(path: Path) -> None:
    """Refuse a link to nothing where somebody wants something written.

    The place that it means may be a disk that is not there; writing would put the link away.

    Raises:
        InputError: it is one.
    """
    if path.is_symlink() and not path.exists():
        hint = "mend it, remove it, or choose another name"
        raise InputError("this is a link that leads nowhere", at=str(path), hint=hint)


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
    """What the disk said, and what to do about it; a name for a moment is told to nobody."""
    named = isinstance(error.filename, str) and not half_written(Path(error.filename))
    at = error.filename if named else str(path)
    if error.errno in NO_SPACE:
        return _full(error, at)
    return EnvironmentFault(
        f"cannot write: {error.strerror or error}",
        at=at,
        hint="is the disk there, and the folder yours? --home or SWINABLATE_HOME names another",
    )


def unreadable(error: OSError, path: Path) -> EnvironmentFault:
    """What the disk said where something was to be read: that is no damage."""
    return EnvironmentFault(
        f"cannot read: {error.strerror or error}",
        at=str(path),
        hint="is the folder yours, and its disk there?",
    )


def entries(folder: Path) -> list[Path]:
    """What a folder holds, sorted; nothing where there is none.

    Not `glob`, which passes over what may not be read as if it were not there.

    Raises:
        EnvironmentFault: it may not be read.
    """
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(error, folder) from None


def there(path: Path) -> bool:
    """Whether there is a file; one at which one may not look counts, and is told when read."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True


def refusal(error: BaseException | None) -> EnvironmentFault | None:
    """What a disk said, where an error comes of it that nobody has told; None where it does not.

    Libraries raise errors of their own when the disk is full: that one is looked for beneath.
    """
    if isinstance(error, FileNotFoundError) and "No usable temporary directory" in str(error):
        hint = "free some space, or name a folder that can be written with TMPDIR"
        return EnvironmentFault("there is no room for temporary files", hint=hint)
    direct = True
    while error is not None:
        codes = REFUSALS if direct else NO_SPACE
        if isinstance(error, OSError) and error.errno in codes:
            at = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
            if error.errno in NO_SPACE:
                return _full(error, at)
            hint = "is the disk there, and may you read and write there?"
            if error.errno == errno.ENAMETOOLONG:
                hint = "no file can have so long a name: give a shorter one"
            return EnvironmentFault(str(error.strerror), at=at, hint=hint)
        direct = direct and error.__cause__ is not None
        error = error.__cause__ or error.__context__
    return None


def _full(error: OSError, at: str) -> EnvironmentFault:
    return EnvironmentFault(f"disk full: {error.strerror}", at=at, hint=AGAIN)


def free_mib(root: Path) -> int:
    """How much a disk has left.

    Raises:
        EnvironmentFault: the folder is gone.
    """
    with writing(root):
        return shutil.disk_usage(root).free >> 20


def disk_full(root: Path, why: str) -> EnvironmentFault:
    """The disk of a home is full; every checkpoint and record so far is whole."""
    problem = f"disk full: {why} ({free_mib(root)} MiB free)"
    return EnvironmentFault(problem, at=str(root), hint=AGAIN)


def move(folder: Path, to: Path) -> None:
    """Give a file or folder a new place in one step, on another disk too: a home may have two.

    Raises:
        OSError: the disk refuses.
    """
    try:
        folder.rename(to)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copied = to.with_name(f".{to.name}-{secrets.token_hex(4)}.tmp")
        try:
            if folder.is_dir():
                shutil.copytree(folder, copied, symlinks=True)
            else:
                shutil.copy2(folder, copied)
            copied.rename(to)
        except BaseException:
            shutil.rmtree(copied, ignore_errors=True)
            with suppress(OSError):
                copied.unlink(missing_ok=True)  # of a file: `rmtree` takes folders alone
            raise


def files_below(folder: Path) -> Iterator[Path]:
    """The files of ours in a folder, without what goes away meanwhile.

    Not those below an attempt: a command writes there, and calls its files what it likes.
    """
    for place, folders, names in os.walk(folder):
        here = Path(place)
        if here.parent.name == "attempts":
            folders.clear()
        yield from (here / name for name in sorted(names))


def half_written(path: Path) -> bool:
    """Whether a file, by its name, was being written when its writer was killed."""
    return path.name.startswith(".") and path.name.endswith(".tmp")


def drop_half_written(folder: Path) -> None:
    """Remove what a killed process was writing; only for who alone may write there.

    Raises:
        EnvironmentFault: the disk refuses.
    """
    with writing(folder):
        for path in filter(half_written, files_below(folder)):
            path.unlink(missing_ok=True)


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
