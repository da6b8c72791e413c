"""The file itself: a tar of ordinary files whose every byte follows from what is in it.

`manifest.json` comes first and lists all others with size and SHA-256, in the order in which they
follow. A reader knows from it every byte of the archive that is no content, so that links, paths
that lead out, names given twice, other kinds of entries and whatever else a tar can hold are not
looked for one by one: they are not what is expected. Nothing in it is compressed: nothing can
grow. A whole one that somebody compressed (xz, gzip) is read up to a limit.
"""

import gzip
import hashlib
import io
import json
import lzma
import os
import re
import secrets
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from swinablate.config.written import check_file
from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.disk.files import writing
from swinablate.records.seal import digest, seal

MANIFEST = "manifest.json"
FORMAT = "swinablate-evidence-1"
"""Of the archive; another number where a reader of this one would go wrong."""
BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)
"""With which a tar ends."""
PIECE = 1 << 20
"""Bytes that are read at a time: weights may be as large as memory."""
MOST = 1 << 26
"""Bytes of a manifest: of 200,000 files, far more than any study has."""
UNPACKED = 1 << 28
"""Bytes of an archive that was compressed, 256 MiB: a thousand times what a committed report has;
more is a file that was made to fill a machine."""
PACKED: dict[bytes, Callable[[Path], io.BufferedIOBase]] = {
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x1f\x8b": gzip.GzipFile,
}
"""How compressed files begin, and what reads them."""
LARGEST = 1 << 33
"""Bytes from which a size has more digits than the header has room for."""
LAYOUT = re.compile(
    r"study/(latest|choices\.json|[0-9a-f]{1,64}/(plan|tuning|launch)\.json)"
    r"|trials/[0-9a-f]{64}/(result\.json|measured\.json"
    r"|attempts/[0-9]{1,9}/(events\.jsonl|result\.json|reopened|checkpoint-[0-9]{1,20}\.pt))"
    r"|files/[^\x00-\x1f\x7f\\:]+\.toml"
    r"|report/(verdicts\.json|trials\.csv|arms\.csv)|environment\.json|README\.txt"
)
"""Names that a bundle may have: no other is written or read."""
AGAIN = "ask for the file again; `swinablate export STUDY FILE` writes it"

Source = bytes | Path
"""What becomes a file of an archive: its bytes, or a file that holds them."""


@dataclass(frozen=True)
class Entry:
    """One file of an archive: where its bytes are, and what they must be."""

    at: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Bundle:
    """An archive whose form is right; whether its bytes are is `damaged`'s to say.

    Attributes:
        path: its file.
        about: what its manifest says.
        entries: its files by name.
        content: all of it, where the file is compressed.
    """

    path: Path
    about: Mapping[str, Any]
    entries: Mapping[str, Entry]
    content: bytes = b""

    @property
    def digest(self) -> str:
        """Over all that it holds: the manifest's own, which has a digest of every file."""
        return str(self.about["digest"])

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        with _opened(self.path, self.content) as file:
            return b"".join(_pieces(file, self.entries[name].at, self.entries[name].size))

    def copy(self, name: str, to: Path) -> None:
        """Write a file of it to a place of its own, as safely as a record."""
        with writing(to):
            to.parent.mkdir(parents=True, exist_ok=True)
            with _opened(self.path, self.content) as file, to.open("xb") as out:
                for piece in _pieces(file, self.entries[name].at, self.entries[name].size):
                    out.write(piece)
                out.flush()
                os.fsync(out.fileno())

    def damaged(self) -> Iterator[str]:
        """Names of files whose bytes are others than the manifest says."""
        with _opened(self.path, self.content) as file:
            for name, entry in self.entries.items():
                found = hashlib.sha256()
                for piece in _pieces(file, entry.at, entry.size):
                    found.update(piece)
                if found.hexdigest() != entry.sha256:
                    yield name


def can_hold(name: str) -> bool:
    """Whether a file of that name can be read back from a bundle."""
    try:
        _header(name, 0)
    except ValueError:  # too long, or no UTF-8
        return False
    return LAYOUT.fullmatch(name) is not None


def write_bundle(path: Path, about: Mapping[str, Any], files: Mapping[str, Source]) -> str:
    """Write an archive in one step; the same content gives the same bytes.

    Args:
        path: the file; one that is there is replaced.
        about: what the manifest says besides the files.
        files: name -> content.

    Returns:
        The digest over all.

    Raises:
        EnvironmentFault: the disk refuses, or a file changed while it was read.
    """
    listed = {name: _measured(files[name]) for name in sorted(files)}
    rows = {name: {"bytes": size, "sha256": sha} for name, (size, sha) in listed.items()}
    text = seal({**about, "format": FORMAT, "files": rows})
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}.tmp")
    try:
        with writing(path), temporary.open("xb") as out:
            _put(out, MANIFEST, text.encode("ascii"))
            for name, (size, sha) in listed.items():
                _put_same(out, name, files[name], size, sha)
            out.write(END)
            out.flush()
            os.fsync(out.fileno())
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return str(json.loads(text)["digest"])


def open_bundle(path: Path) -> Bundle:
    """Look at the form of an archive, and at nothing that it says; writes nothing.

    Raises:
        InputError: it is no such archive, was cut off, or holds what none does.
    """
    try:
        size = check_file(path).st_size
        content = _unpacked(path)
        size = len(content) or size
        with _opened(path, content) as file:
            about, at = _manifest(file, size, path)
            return Bundle(path, about, _entries(file, about["files"], at, size, path), content)
    except FileNotFoundError:
        raise InputError("no such file", at=str(path), hint="check the path") from None
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise InputError(problem, at=str(path), hint="give an evidence bundle") from None


def _opened(path: Path, content: bytes) -> IO[bytes]:
    return io.BytesIO(content) if content else path.open("rb")


def _unpacked(path: Path) -> bytes:
    """What a compressed file holds; nothing where it is not compressed.

    Raises:
        InputError: it is damaged, or holds more than records are.
    """
    with path.open("rb") as file:
        head = file.read(max(map(len, PACKED)))
    reader = next((read for start, read in PACKED.items() if head.startswith(start)), None)
    if reader is None:
        return b""
    try:
        with reader(path) as packed:
            content = packed.read(UNPACKED + 1)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise InputError(f"cannot be unpacked: {error}", at=str(path), hint=AGAIN) from None
    if len(content) > UNPACKED:
        problem = f"unpacks to more than {UNPACKED >> 20} MiB"
        raise InputError(problem, at=str(path), hint="unpack it yourself, if you trust it")
    return content


def _manifest(file: IO[bytes], size: int, path: Path) -> tuple[dict[str, Any], int]:
    """What the manifest says, and where the next header begins."""
    head = file.read(BLOCK)
    try:
        length = tarfile.TarInfo.frombuf(head, "utf-8", "strict").size
        ours = 0 <= length <= MOST and head == _header(MANIFEST, length)
    except (tarfile.HeaderError, UnicodeError):
        ours = False
    if not ours:
        hint = "`swinablate export STUDY FILE` writes one; a recipe's name ends with .toml"
        raise InputError("this is no evidence bundle", at=str(path), hint=hint)
    if BLOCK + length > size:
        raise InputError("it was cut off in its manifest", at=str(path), hint=AGAIN)
    text = file.read(length)
    _check_padding(file, length, MANIFEST, path)
    try:
        data = json.loads(text)
        known = data["digest"]
        rest = {key: value for key, value in data.items() if key not in {"digest", "schema"}}
        whole = known == digest(data) and seal(rest).encode("ascii") == text
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        problem = "the manifest is not what was exported: its digest is another's"
        raise InputError(problem, at=str(path), hint=AGAIN)
    if data.get("format") != FORMAT:
        hint = "upgrade swinablate"
        raise InputError(f"its format is {data.get('format')!r}", at=str(path), hint=hint)
    if not isinstance(data.get("files"), dict):
        raise InputError("its manifest lists no files", at=str(path), hint=AGAIN)
    return data, BLOCK + _padded(length)


def _entries(
    file: IO[bytes], listed: Mapping[str, Any], at: int, size: int, path: Path
) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    _check_names(listed, path)
    for name, row in listed.items():
        length, sha = _row(name, row, path)
        if at + BLOCK + _padded(length) > size:
            raise InputError(f"it was cut off at {name}", at=str(path), hint=AGAIN)
        file.seek(at)
        _check_header(file.read(BLOCK), name, length, path)
        found[name] = Entry(at + BLOCK, length, sha)
        file.seek(at + BLOCK + length)
        _check_padding(file, length, name, path)
        at += BLOCK + _padded(length)
    file.seek(at)
    if file.read(len(END) + 1) != END:
        problem = "it does not end where its manifest does"
        raise InputError(problem, at=str(path), hint=AGAIN)
    return found


def _check_names(listed: Mapping[str, Any], path: Path) -> None:
    """Refuse names that no bundle has: above all those that lead out of a folder."""
    folders = {str(above) for name in listed for above in PurePosixPath(name).parents}
    for name in listed:
        parts = name.split("/")
        if not LAYOUT.fullmatch(name) or {"", ".", ".."} & {*parts} or name in folders:
            problem = f"no file of a bundle is called {name!r}"
            raise InputError(problem, at=str(path), hint="do not trust where it comes from")
    if [*listed] != sorted(listed):
        raise InputError("its files are in no order", at=str(path), hint=AGAIN)


def _row(name: str, row: Any, path: Path) -> tuple[int, str]:
    size, sha = (row.get("bytes"), row.get("sha256")) if isinstance(row, dict) else (None, None)
    if type(size) is not int or not 0 <= size < LARGEST or type(sha) is not str:
        raise InputError(f"no size and digest of {name}", at=str(path), hint=AGAIN)
    return size, sha


def _check_header(head: bytes, name: str, size: int, path: Path) -> None:
    """Refuse an entry that is not the next file of the manifest, and say what it is instead."""
    try:
        expected = _header(name, size)
    except ValueError:  # a name that no header has room for
        expected = b""
    if head == expected:
        return
    try:
        other = tarfile.TarInfo.frombuf(head, "utf-8", "strict")
        kind = "a file" if other.isreg() else "a link" if other.issym() else "no ordinary file"
        kind = "a link" if other.islnk() else kind
        said = f"{kind} called {other.name!r}"
    except (tarfile.HeaderError, UnicodeError):
        said = "no entry of a tar"
    problem = f"where {name} should begin is {said}, or its header was changed"
    raise InputError(problem, at=str(path), hint="do not trust where it comes from")


def _check_padding(file: IO[bytes], size: int, name: str, path: Path) -> None:
    if any(file.read(_padded(size) - size)):
        raise InputError(f"bytes are hidden behind {name}", at=str(path), hint=AGAIN)


def _header(name: str, size: int) -> bytes:
    """The one header that a file of a name and a size has.

    Raises:
        ValueError: the name is too long.
    """
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")


def _put(out: IO[bytes], name: str, source: Source, size: int | None = None) -> str:
    """Append a file; returns the digest of what was written."""
    size = len(source) if size is None and isinstance(source, bytes) else size or 0
    out.write(_header(name, size))
    found, written = hashlib.sha256(), 0
    for piece in _of(source):
        out.write(piece)
        found.update(piece)
        written += len(piece)
    out.write(bytes(_padded(written) - written))
    return found.hexdigest()


def _put_same(out: IO[bytes], name: str, source: Source, size: int, sha: str) -> None:
    """Append a file of which the manifest has told.

    Raises:
        EnvironmentFault: it is another by now.
    """
    if _put(out, name, source, size) != sha:
        hint = "wait until nothing of the study runs"
        raise EnvironmentFault("it changed while it was read", at=name, hint=hint)


def _measured(source: Source) -> tuple[int, str]:
    found, size = hashlib.sha256(), 0
    for piece in _of(source):
        found.update(piece)
        size += len(piece)
    return size, found.hexdigest()


def _of(source: Source) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _pieces(file: IO[bytes], at: int, size: int) -> Iterator[bytes]:
    file.seek(at)
    while size > 0 and (piece := file.read(min(size, PIECE))):
        yield piece
        size -= len(piece)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
