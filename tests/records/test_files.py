"""What a disk refused, found beneath whatever error came of it."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from swinablate.errors import EnvironmentFault
from swinablate.records.disk.files import AGAIN, entries, move, put_whole, refusal, there


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


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_second_disk_has_no_room_for_leaves_nothing_there(tmp_path, monkeypatch, kind):
    source, to = tmp_path / "one", tmp_path / "other"
    source.mkdir()
    to.mkdir()
    if kind == "folder":
        (source / "x").mkdir()
        (source / "x" / "y").write_text("much")
    else:
        (source / "x").write_text("much")

    def elsewhere(*_):
        raise OSError(errno.EXDEV, "another disk")

    def half(_, copied):
        with open(copied, "w") as file:  # noqa: PTH123  as `shutil` has it
            file.write("mu")
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("pathlib.Path.rename", elsewhere)
    monkeypatch.setattr(shutil, "copy2", half)
    monkeypatch.setattr(
        shutil, "copytree", lambda at, copied, **_: (copied.mkdir(), half(at, copied / "y"))
    )
    with pytest.raises(OSError, match="full"):
        move(source / "x", to / "x")
    assert list(to.iterdir()) == []


def test_what_may_not_be_looked_at_is_not_taken_for_nothing(tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert there(loop)
    assert not there(tmp_path / "none")
    assert not there(Path(__file__) / "x")
    with pytest.raises(EnvironmentFault, match="cannot read"):
        entries(loop)
    assert entries(tmp_path / "none") == []


def test_what_stands_in_a_files_place_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError) as caught:  # not "File exists"
        put_whole(tmp_path / "file" / "a" / "x", b"")
    assert caught.value.filename == str(tmp_path / "file" / "a")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        put_whole(tmp_path / "folder", b"")
    assert caught.value.filename == str(tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_no_room_for_temporary_files_is_no_bug():
    """As `tempfile` has it where every folder that it tries is full, or another's."""
    said = FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")
    found = refusal(said)
    assert found is not None
    assert (found.exit_code, "TMPDIR" in found.hint) == (4, True)
