"""The file: canonical, and refused where it is anything else."""

import gzip
import io
import json
import lzma
import tarfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swinablate.cli.app import main
from swinablate.errors import InputError
from swinablate.records.seal import seal
from swinablate.report.evidence.archive import FORMAT, open_bundle, write_bundle
from swinablate.report.evidence.check import check
from tests.report.evidence.bundles import bundle, study, tar

ABOUT = {"study": "s", "declaration": "d", "file": "", "settings": [], "masked": []}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A bundle, and its bytes."""
    folder = tmp_path_factory.mktemp("bundle")
    whole = bundle(study(folder), folder / "b.tar")
    return whole, whole.path.read_bytes()


def test_the_same_content_gives_the_same_bytes_in_any_order(tmp_path):
    files = {"environment.json": b"{}", "README.txt": b"hello", "study/latest": b"00"}
    one = write_bundle(tmp_path / "a.tar", ABOUT, files)
    other = write_bundle(tmp_path / "b.tar", ABOUT, dict(reversed(files.items())))
    assert one == other
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as found:  # by any tar
        assert found.getnames() == [
            "manifest.json",
            "README.txt",
            "environment.json",
            "study/latest",
        ]
        assert found.extractfile("README.txt").read() == b"hello"


def test_a_file_on_disk_is_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("swinablate.report.evidence.archive.PIECE", 7)
    name = f"trials/{'0' * 64}/attempts/1/checkpoint-1.pt"
    (tmp_path / "w").write_bytes(bytes(range(100)))
    write_bundle(tmp_path / "a.tar", ABOUT, {name: tmp_path / "w"})
    found = open_bundle(tmp_path / "a.tar")
    assert found.read(name) == bytes(range(100))
    assert not [*found.damaged()]


def test_it_is_whole(made):
    found = check(made[0])
    assert (found.faults, found.unchecked, found.trials) == ([], [], 12)


@pytest.mark.parametrize(("end", "pack"), [("xz", lzma.compress), ("gz", gzip.compress)])
def test_what_was_compressed_is_the_same_bundle(made, tmp_path, end, pack):
    whole, plain = made
    path = tmp_path / f"b.tar.{end}"
    path.write_bytes(pack(plain))
    found = open_bundle(path)
    assert (found.path, found.digest, found.entries) == (path, whole.digest, whole.entries)
    assert not [*found.damaged()]
    name = next(iter(found.entries))
    found.copy(name, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == found.read(name) == whole.read(name)
    assert main(["verify", str(path)]) == 0
    path.write_bytes(pack(plain[:-600]))  # cut off before
    with pytest.raises(InputError, match=r"cut off|does not end"):
        open_bundle(path)
    path.write_bytes(pack(plain)[:-100])  # or after
    with pytest.raises(InputError, match="cannot be unpacked"):
        open_bundle(path)


@pytest.mark.parametrize("pack", [lzma.compress, gzip.compress])
def test_a_file_that_was_made_to_fill_memory_is_refused(tmp_path, pack, monkeypatch):
    monkeypatch.setattr("swinablate.report.evidence.archive.UNPACKED", 1 << 20)
    path = tmp_path / "bomb"
    path.write_bytes(pack(bytes(1 << 24)))
    assert path.stat().st_size < 1 << 16
    with pytest.raises(InputError, match="unpacks to more than 1 MiB"):
        open_bundle(path)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_byte_can_be_changed_unseen(made, tmp_path, data):
    _, whole = made
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    assert _found_or_refused(tmp_path / "c.tar", changed)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_nothing_can_be_cut_out_or_put_in_unseen(made, tmp_path, data):
    _, whole = made
    at = data.draw(st.integers(0, len(whole)))
    size = data.draw(st.sampled_from([1, 512, 1024, 10240, len(whole)]))
    kept = whole[at : at + size] if data.draw(st.booleans()) else b""
    twice = whole[:at] + kept + kept + whole[at + size :]
    if twice != whole:
        assert _found_or_refused(tmp_path / "c.tar", twice)


def _found_or_refused(path, data):
    path.write_bytes(data)
    try:
        return not check(open_bundle(path)).whole
    except InputError as error:
        return bool(error.hint)


def _manifest(files, **more):
    return seal({**ABOUT, "format": FORMAT, "files": files, **more}).encode()


def _link(name):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return info


def _zip():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("manifest.json", "{}")
    return out.getvalue()


EMPTY = {"bytes": 0, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}
HUGE = {**EMPTY, "bytes": 1 << 32}
MANIFEST = tarfile.TarInfo("manifest.json")
HOSTILE = {
    "nothing": b"",
    "a text": b"hello " * 1000,
    "a zip": _zip(),
    "another tar": tar((tarfile.TarInfo("../x"), b"y")),
    "only a header": tar((MANIFEST, b"{}"))[:512],
    "a manifest that is none": tar((MANIFEST, b"[" * 100_000)),
    "an absolute path": tar(
        (MANIFEST, _manifest({"/etc/x": EMPTY})), (tarfile.TarInfo("/etc/x"), b"")
    ),
    "a path that leads out": tar(
        (MANIFEST, _manifest({"files/../../x.toml": EMPTY})),
        (tarfile.TarInfo("files/../../x.toml"), b""),
    ),
    "a file in a file": tar(
        (MANIFEST, _manifest({"files/a.toml": EMPTY, "files/a.toml/b.toml": EMPTY})),
        (tarfile.TarInfo("files/a.toml"), b""),
        (tarfile.TarInfo("files/a.toml/b.toml"), b""),
    ),
    "a link": tar((MANIFEST, _manifest({"study/latest": EMPTY})), (_link("study/latest"), b"")),
    "a name twice": tar(
        (MANIFEST, _manifest({"study/latest": EMPTY})),
        (tarfile.TarInfo("study/latest"), b""),
        (tarfile.TarInfo("study/latest"), b""),
    ),
    "a huge size": tar((MANIFEST, _manifest({"study/latest": HUGE})))[:-9000],
    "a size that is none": tar((MANIFEST, _manifest({"study/latest": {**EMPTY, "bytes": -1}}))),
    "another format": tar((MANIFEST, _manifest({}, format="swinablate-evidence-2"))),
    "no list of files": tar((MANIFEST, _manifest([]))),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_bundle_is_refused_and_nothing_is_written(name, tmp_path, capsys):
    file, home = tmp_path / "b.tar", tmp_path / "home"
    file.write_bytes(HOSTILE[name])
    assert main(["verify", str(file)]) == 2
    assert "hint: " in capsys.readouterr().err
    assert main(["import", str(file), "--home", str(home)]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["b.tar"]


def test_a_manifest_without_a_study_is_refused(tmp_path):
    for about in ({}, {**ABOUT, "study": "../x"}, {**ABOUT, "settings": [1]}):
        write_bundle(tmp_path / "b.tar", about, {})
        with pytest.raises(InputError, match="its manifest names no study"):
            check(open_bundle(tmp_path / "b.tar"))


def test_a_cut_file_says_where(made, tmp_path):
    (tmp_path / "c.tar").write_bytes(made[1][:-2048])
    with pytest.raises(InputError, match="it was cut off at trials/"):
        open_bundle(tmp_path / "c.tar")


def test_the_manifest_lists_every_file(made):
    about = json.loads(made[0].read("README.txt") and made[1][512:].partition(b"\0")[0])
    assert about["files"].keys() == made[0].entries.keys()
