"""Bundles of a small home, and forged ones: changed files with digests that fit."""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

from swinablate.config.variants import digests
from swinablate.records.launch import Launch, keep_launch
from swinablate.records.seal import seal
from swinablate.report.evidence.archive import Bundle, open_bundle, write_bundle
from swinablate.report.evidence.contents import contents_of
from tests.records.homes import Study, sealed


def study(tmp_path: Path) -> Study:
    """A home whose study knows its file."""
    made = sealed(tmp_path)
    launch = Launch(
        study="plain.toml",
        file=str(made.file),
        digests=digests(made.file),
        command="swinablate run plain.toml",
    )
    keep_launch(made.home, made.home.declared("plain"), launch)
    return made


def bundle(made: Study, path: Path, *, name: str = "plain", weights: bool = False) -> Bundle:
    found = contents_of(made.home, name, weights=weights)
    write_bundle(path, found.about, found.files)
    return open_bundle(path)


def forged(whole: Bundle, path: Path, changed: Mapping[str, bytes | None]) -> Bundle:
    """The same with other files, and digests that fit; None leaves one out."""
    files = {name: whole.read(name) for name in whole.entries} | changed
    ours = {"digest", "schema", "files", "format"}
    about = {key: value for key, value in whole.about.items() if key not in ours}
    write_bundle(path, about, {name: data for name, data in files.items() if data is not None})
    return open_bundle(path)


def resealed(data: bytes, **changed: object) -> bytes:
    """A record with other fields, sealed again."""
    said = {key: value for key, value in json.loads(data).items() if key != "digest"}
    return seal({**said, **changed}).encode()


def tar(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """An archive of anything."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for info, data in entries:
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    return out.getvalue()
