"""What a disk refused, found beneath whatever error came of it."""

import errno
import os

import pytest

from swinablate.records.disk.files import AGAIN, refusal


def raised(error: OSError, *, cause: bool) -> Exception:
    """Another error, raised because of one, or while it was handled."""
    try:
        try:
            raise error
        except OSError as first:
            if cause:
                raise RuntimeError("unexpected pos 64 vs 0") from first
            raise RuntimeError("unexpected pos 64 vs 0")  # noqa: B904  as torch does
    except RuntimeError as last:
        return last


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_says_so_and_what_to_do(code):
    found = refusal(OSError(code, os.strerror(code), "a/b"))
    assert str(found) == f"a/b: disk full: {os.strerror(code)}\n\nhint: {AGAIN}"
    assert found.exit_code == 4


@pytest.mark.parametrize(
    "code", [errno.EROFS, errno.EACCES, errno.EIO, errno.ESTALE, errno.EMFILE]
)
def test_other_refusals_are_told_in_the_machines_words(code):
    found = refusal(OSError(code, os.strerror(code), b"a/b"))
    assert str(found) == (
        f"a/b: {os.strerror(code)}\n\nhint: is the disk there, and may you read and write there?"
    )


def test_a_library_may_have_made_another_error_of_it():
    full, foreign = (
        OSError(code, os.strerror(code), "x") for code in (errno.ENOSPC, errno.EACCES)
    )
    assert refusal(raised(full, cause=True)).at == "x"
    assert refusal(raised(full, cause=False)).at == "x"
    assert refusal(raised(foreign, cause=True)).at == "x"
    # What was handled, and no disk that is full, may have nothing to do with it.
    assert refusal(raised(foreign, cause=False)) is None


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOENT, "No such file"), OSError("read 3 of 4"), ValueError("x")]
)
def test_bugs_stay_bugs(error):
    assert refusal(error) is None
