"""The folder of a report: what the report wrote there is replaced, and nothing else is touched.

A file beside the report lists what was written, with digests, as `sha256sum -c` reads it. What is
not in that list, or no longer as it was written, is somebody else's.
"""

import hashlib
import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.disk.files import NO_SPACE, check_link

MARKER = ".swinablate-report"
FOLDERS = ("tables", "figures")
RECORDS = "records.tar.xz"
"""An evidence bundle, compressed: what a committed report has in place of tables."""
LINE = re.compile(r"([0-9a-f]{64})  (\S+)")
NAMED = 3
"""Files that are named of those that changed: a line has no room for all figures."""
EARLIER = ("index.html", "report.md", "verdicts.json", "plan.json", "provenance.json",
           "tables/trials.csv", "tables/arms.csv", "tables/arms.tex")  # fmt: skip
"""What is in every report of version 0.1, which wrote no list."""
Owned = Mapping[str, set[str]]
"""File of a report -> digests that it may have: two in the moment when it is replaced."""


def committed(out: Path) -> bool:
    """Whether a folder holds an answer that came with a checkout, and no report written here."""
    return (out / RECORDS).is_file() and not (out / MARKER).exists()


def check_folder(out: Path, *, force: bool) -> None:
    """Refuse a folder that a report may not be written into, before anything is trained for it.

    Args:
        out: the folder; it need not be there.
        force: files that are not the report's may be written over.

    Raises:
        InputError: the folder is another's, a file of the report was changed, or a link leads
            out of the folder.
        EnvironmentFault: the folder cannot be read.
    """
    with _telling(out):
        check_link(out)
        if out.exists() and not out.is_dir():
            problem = "this is a file, and a report is a folder"
            raise InputError(problem, at=str(out), hint="choose another name with --out")
        for folder in FOLDERS:
            if (out / folder).is_symlink():
                raise InputError(
                    "this is a link, and a report is written into its own folder only",
                    at=str(out / folder),
                    hint="remove the link, or choose another folder with --out",
                )
        if force:
            return
        owned = listed(out)
        if not owned and not _earlier(out) and any(_visible(out)):
            raise InputError(
                "this folder holds files, and no report",
                at=str(out),
                hint="choose another folder with --out; --force writes the report among them",
            )
        for name in owned:
            _check_file(out, name, owned)


def publish(files: Mapping[str, bytes], out: Path, *, force: bool) -> None:
    """Write a report into its folder, every file in one step; drop what it no longer has.

    Args:
        files: name -> content, in the order in which they are to appear.
        out: the folder; made if it is missing.
        force: write over files that are not the report's.

    Raises:
        InputError: as `check_folder`, or one of the files would be written over another's.
        EnvironmentFault: the folder cannot be written.
    """
    check_folder(out, force=force)
    with _telling(out):
        owned = listed(out)
        if not force and not _earlier(out):
            for name in files:
                _check_file(out, name, owned)
        out.mkdir(parents=True, exist_ok=True)
        # Hidden: what a kill leaves of it is nobody's file.
        with tempfile.TemporaryDirectory(prefix=f"{MARKER}-", dir=out) as draft:
            for name, data in files.items():
                path = Path(draft) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            new = {name: {_digest(data)} for name, data in files.items()}
            # Before and after: a kill in between leaves files of either report, all listed.
            both = {n: owned.get(n, set()) | new.get(n, set()) for n in {*owned, *new}}
            _list(Path(draft), out, both)
            for folder in FOLDERS:
                (out / folder).mkdir(exist_ok=True)
            for name in files:
                (Path(draft) / name).replace(out / name)
            for name in owned.keys() - new.keys():
                if _ours(out / name, owned[name]):
                    (out / name).unlink()
            _list(Path(draft), out, new)


def written(out: Path) -> list[str]:
    """The files of a report that its folder lists; what else lies there is not of the report."""
    return [name for name, digests in sorted(listed(out).items()) if _ours(out / name, digests)]


def told_changes(before: Owned, after: Owned) -> str:
    """What became of a report that was written again, in words; empty where there was none."""
    if not before:
        return ""
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if not changed:
        return " (as it was)"
    more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
    return f" (changed: {', '.join(sorted(changed)[:NAMED])}{more})"


def _check_file(out: Path, name: str, owned: Owned) -> None:
    path = out / name
    if not path.is_symlink() and not path.exists():
        return
    if not _ours(path, owned.get(name, set())):
        was = "was changed since the report wrote it" if name in owned else "is not the report's"
        raise InputError(
            f"this file {was}",
            at=str(path),
            hint="move it away, or choose another folder with --out; --force writes over it",
        )


def _ours(path: Path, digests: set[str]) -> bool:
    return path.is_file() and not path.is_symlink() and _digest(path.read_bytes()) in digests


def listed(out: Path) -> Owned:
    """What the list of a folder says; empty where there is none, or it is no list."""
    found = defaultdict[str, set[str]](set)
    try:
        lines = (out / MARKER).read_text("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    for line in lines:
        match = LINE.fullmatch(line)
        if match and not Path(match[2]).is_absolute() and ".." not in Path(match[2]).parts:
            found[match[2]].add(match[1])
    return found


def _list(draft: Path, out: Path, owned: Owned) -> None:
    lines = (f"{digest}  {name}\n" for name in sorted(owned) for digest in sorted(owned[name]))
    (draft / MARKER).write_bytes("".join(lines).encode())
    (draft / MARKER).replace(out / MARKER)


def _earlier(out: Path) -> bool:
    """Whether a folder without a list holds a whole report, written before there were lists."""
    if (out / MARKER).exists() or not all((out / name).is_file() for name in EARLIER):
        return False
    try:
        verdicts = json.loads((out / "verdicts.json").read_text("utf-8"))
    except ValueError:
        return False
    return isinstance(verdicts, dict) and {"schema", "baseline", "arms"} <= verdicts.keys()


def _visible(out: Path) -> Iterator[Path]:
    """Files that somebody put into a folder; hidden ones are programs' own, as `.DS_Store`."""
    return (p for p in (out.iterdir() if out.is_dir() else ()) if not p.name.startswith("."))


@contextmanager
def _telling(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in NO_SPACE
        named = Path(error.filename or out)
        raise EnvironmentFault(
            f"{'disk full' if full else 'cannot write the report'}: {error.strerror or error}",
            at=str(out if named.name.startswith(".") else named),  # our own list, or a draft
            hint=("free some space and start the same command again, or " if full else "")
            + "choose another folder with --out",
        ) from None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
