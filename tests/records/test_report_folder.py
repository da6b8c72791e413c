"""A report replaces what it wrote, and nothing else: other files, changed ones, links."""

import hashlib
import json
from pathlib import Path

import pytest

from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.report_folder import EARLIER, MARKER, check_folder, publish

FIRST = {"tables/arms.csv": b"1", "figures/cost.svg": b"2", "report.md": b"3", "index.html": b"4"}
SECOND = {"tables/arms.csv": b"5", "report.md": b"6", "index.html": b"7"}
ELSEWHERE = "choose another folder with --out"


def files(folder: Path) -> dict[str, bytes]:
    """What lies in a folder, the list of the report left out."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MARKER
    }


def refusal(folder: Path, report: dict[str, bytes] = SECOND, *, force: bool = False) -> InputError:
    before = files(folder)
    with pytest.raises(InputError) as caught:
        publish(report, folder, force=force)
    assert files(folder) == before
    return caught.value


def earlier(folder: Path) -> None:
    """A report as version 0.1 wrote it."""
    publish(dict.fromkeys(EARLIER, b""), folder, force=False)
    (folder / MARKER).unlink()
    judged = {"schema": 1, "baseline": {}, "arms": []}
    (folder / "verdicts.json").write_text(json.dumps(judged))


def test_a_second_report_replaces_the_first(tmp_path):
    publish(FIRST, tmp_path / "new" / "out", force=False)
    assert files(tmp_path / "new" / "out") == FIRST
    publish(SECOND, tmp_path / "new" / "out", force=False)
    assert files(tmp_path / "new" / "out") == SECOND


def test_the_list_is_one_of_digests(tmp_path):
    publish(FIRST, tmp_path, force=False)
    publish(SECOND, tmp_path, force=False)
    lines = (tmp_path / MARKER).read_text().splitlines()
    assert lines == [
        f"{hashlib.sha256(SECOND[name]).hexdigest()}  {name}" for name in sorted(SECOND)
    ]


def test_a_folder_of_other_files_is_refused_before_and_while_a_report_is_written(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError) as early:
        check_folder(tmp_path, force=False)
    error = refusal(tmp_path)
    assert str(error) == str(early.value)
    assert str(error) == (
        f"{tmp_path}: this folder holds files, and no report\n\n"
        f"hint: {ELSEWHERE}; --force writes the report among them"
    )


def test_hidden_files_are_in_nobodys_way(tmp_path):
    (tmp_path / ".gitkeep").touch()
    (tmp_path / f"{MARKER}-left").mkdir()  # of a report that was killed
    publish(FIRST, tmp_path, force=False)
    assert files(tmp_path) == {".gitkeep": b""} | FIRST


@pytest.mark.parametrize("name", ["report.md", "figures/cost.svg"])
def test_a_file_that_was_changed_is_neither_replaced_nor_deleted(tmp_path, name):
    publish(FIRST, tmp_path, force=False)
    (tmp_path / name).write_text("with notes")
    with pytest.raises(InputError, match="was changed since the report wrote it"):
        check_folder(tmp_path, force=False)
    error = refusal(tmp_path)
    assert error.at == str(tmp_path / name)
    assert error.hint == f"move it away, or {ELSEWHERE}; --force writes over it"


@pytest.mark.parametrize("name", ["figures/seeds.svg", "tables/arms.tex"])
def test_a_file_that_came_after_the_report_is_not_written_over(tmp_path, name):
    publish(FIRST, tmp_path, force=False)
    (tmp_path / name).write_text("mine")
    error = refusal(tmp_path, SECOND | {name: b"8"})
    assert (error.at, error.problem) == (
        str(tmp_path / name),
        "this file is not the report's",
    )


def test_force_writes_over_files_and_deletes_none_but_its_own(tmp_path):
    publish(FIRST | {"figures/seeds.svg": b"8"}, tmp_path, force=False)
    (tmp_path / "report.md").write_text("with notes")
    (tmp_path / "figures/cost.svg").write_text("mine by now")
    (tmp_path / "thesis.txt").write_text("mine")
    check_folder(tmp_path, force=True)
    publish(SECOND, tmp_path, force=True)
    mine = {"figures/cost.svg": b"mine by now", "thesis.txt": b"mine"}
    assert files(tmp_path) == SECOND | mine
    assert "cost.svg" not in (tmp_path / MARKER).read_text()


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("folder", ["tables", "figures"])
def test_a_link_out_of_the_folder_is_never_followed(tmp_path, folder, force):
    out, other = tmp_path / "out", tmp_path / "other"
    publish(FIRST, out, force=False)
    (out / folder).rename(other)
    (out / folder).symlink_to(other)
    error = refusal(out, force=force)
    assert error.at == str(out / folder)
    assert error.hint == f"remove the link, or {ELSEWHERE}"


def test_a_link_in_a_files_place_is_not_followed(tmp_path):
    out, other = tmp_path / "out", tmp_path / "other.md"
    publish(FIRST, out, force=False)
    other.write_bytes(FIRST["report.md"])  # even if it reads the same
    (out / "report.md").unlink()
    (out / "report.md").symlink_to(other)
    assert refusal(out).at == str(out / "report.md")
    publish(SECOND, out, force=True)
    assert other.read_bytes() == FIRST["report.md"]
    assert not (out / "report.md").is_symlink()


def test_a_folder_may_be_a_link_itself(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    publish(FIRST, tmp_path / "out", force=False)
    publish(SECOND, tmp_path / "out", force=False)
    assert files(tmp_path / "disk") == SECOND


@pytest.mark.parametrize("to", ["nowhere", "link"])
def test_a_link_to_nothing_is_told_as_one(tmp_path, to):
    """What it means may be a disk that is not there."""
    (tmp_path / "link").symlink_to(to)
    told = refusal(tmp_path / "link")
    assert (told.problem, told.at) == ("this is a link that leads nowhere", f"{tmp_path}/link")


def test_what_cannot_be_written_is_the_folder_not_a_file_of_ours(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentFault, match="Not a directory") as caught:
        check_folder(tmp_path / "file" / "report", force=False)
    assert caught.value.at == str(tmp_path / "file" / "report")


def test_a_report_of_an_earlier_version_is_written_over_and_nothing_beside_it(tmp_path):
    earlier(tmp_path)
    (tmp_path / "figures" / "cost.svg").write_text("old, or mine")
    check_folder(tmp_path, force=False)
    publish(SECOND, tmp_path, force=False)
    assert (tmp_path / "report.md").read_bytes() == SECOND["report.md"]
    assert (tmp_path / "figures" / "cost.svg").read_text() == "old, or mine"


@pytest.mark.parametrize(
    ("name", "content"),
    [("verdicts.json", '{"schema": 1}'), ("verdicts.json", "mine"), ("tables/arms.tex", None)],
)
def test_half_of_such_a_report_is_none(tmp_path, name, content):
    earlier(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    assert refusal(tmp_path).problem == "this folder holds files, and no report"


@pytest.mark.parametrize("text", ["", "mine", "../thesis.txt", "\xff"])
def test_a_list_that_is_none_makes_no_file_the_reports(tmp_path, text):
    out = tmp_path / "out"
    out.mkdir()
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("mine")
    digest = hashlib.sha256(b"mine").hexdigest()
    (out / MARKER).write_bytes(f"{digest}  {text}\n".encode("latin-1"))
    publish(FIRST, out, force=False)
    assert thesis.exists()
    (out / MARKER).write_bytes(b"\xff mine")
    assert refusal(out).at == str(out)


@pytest.mark.parametrize("kept", range(len(SECOND)))
def test_a_report_that_was_killed_on_the_way_is_finished_by_the_next(tmp_path, monkeypatch, kept):
    """After any number of files the folder is still the report's."""
    publish(FIRST, tmp_path, force=False)
    replace, moved = Path.replace, []

    def dies(path: Path, target: Path) -> Path:
        if target.name != MARKER:
            moved.append(target)
            if len(moved) > kept:
                raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        publish(SECOND, tmp_path, force=False)
    monkeypatch.undo()
    publish(SECOND, tmp_path, force=False)
    assert files(tmp_path) == SECOND


def test_a_full_disk_is_called_so(tmp_path, monkeypatch):
    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EnvironmentFault) as caught:
        publish(FIRST, tmp_path, force=False)
    assert caught.value.problem == "disk full: No space left on device"
    assert caught.value.hint == (
        f"free some space and start the same command again, or {ELSEWHERE}"
    )
    assert files(tmp_path) == {}
