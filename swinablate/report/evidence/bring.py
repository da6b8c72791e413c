"""A bundle's records into a home: what is there already stays, what differs is refused."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swinablate.errors import InputError
from swinablate.records.disk.files import move, write_atomically, writing
from swinablate.records.home import Home
from swinablate.records.seal import Damaged, seal
from swinablate.report.evidence.archive import Bundle
from swinablate.report.evidence.check import unpacked
from swinablate.report.evidence.contents import public

KEPT = ("result.json", "measured.json")
"""Of a trial that both have: what it says must be the same."""
NAMED = 5
"""Of what differs, so many are named: more would hide the hint."""


@dataclass(frozen=True, kw_only=True)
class Brought:
    """What an import did.

    Attributes:
        study: its name.
        file: of the study, in the home; None where the bundle has none.
        settings: of `--set`, which the file needs to be what was run.
        added: trials.
        kept: trials that were there already.
    """

    study: str
    file: Path | None
    settings: tuple[str, ...]
    added: int
    kept: int

    def to_json(self) -> dict[str, Any]:
        """Plain data, for programs."""
        file = str(self.file) if self.file else None
        counts = {"added": self.added, "kept": self.kept}
        return {"schema": 1, "study": self.study, "file": file, **counts}


def bring(bundle: Bundle, home: Home) -> Brought:
    """Add a checked bundle's trials and declarations to a home.

    Everything is written beside its place and then moved, a trial at a time and the study's name
    last: after a crash every trial is whole or not there, and the same import goes on.

    Args:
        bundle: in which nothing is wrong.
        home: made if it is missing.

    Raises:
        InputError: the home has something else under the same name. Nothing was added.
        EnvironmentFault: the disk refuses, a record here is damaged, or the study runs here.
    """
    name = str(bundle.about["study"])
    home.create()
    with home.owned(name):
        staged = home.root / f".importing-{bundle.digest[:12]}"
        with writing(staged):
            shutil.rmtree(staged, ignore_errors=True)  # of a crash
            staged.mkdir()
        try:
            new = unpacked(bundle, staged, weights=True)
            trials = [path.name for path in sorted(new.trials.glob("*"))]
            if odd := [*_differing(new, home, name)]:
                more = f" and {len(odd) - NAMED} more" if len(odd) > NAMED else ""
                raise InputError(
                    f"the home has something else: {'; '.join(odd[:NAMED])}{more}",
                    at=str(home.root),
                    hint="import it into another home: --home FOLDER",
                )
            file = _placed(bundle, new, home, staged / "files")
            added = [one for one in trials if not (home.trials / one).exists()]
            with writing(home.root):
                for one in added:
                    move(new.trials / one, home.trials / one)
                _add_study(new.studies / name, home.studies / name)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return Brought(
        study=name,
        file=file,
        settings=tuple(bundle.about["settings"]),
        added=len(added),
        kept=len(trials) - len(added),
    )


def _differing(new: Home, home: Home, name: str) -> Iterator[str]:
    """What both have, and not the same, in words."""
    for folder in sorted(new.trials.glob("*")):
        here = home.trials / folder.name
        if not here.exists() or not (folder / "result.json").exists():
            continue  # of an unfinished trial the home's own attempts stay
        if not (here / "result.json").exists():
            yield f"trial {folder.name[:12]} has no record here, and may be running"
        elif any(_other(folder / one, here / one) for one in KEPT):
            yield f"trial {folder.name[:12]} has another record"
    theirs, ours = new.studies / name, home.studies / name
    if (ours / "latest").exists() and new.latest(name) != home.latest(name):
        yield f"the study {name!r} was declared otherwise"
    for path in sorted(theirs.glob("*/*.json")):
        here = ours / path.relative_to(theirs)
        if path.name != "launch.json" and here.exists() and _other(path, here):
            yield f"{here.relative_to(home.root)} is another"


def _other(new: Path, here: Path) -> bool:
    """Whether both are there, and say different things; ours as strangers would have it."""
    if not new.exists() or not here.exists():
        return False
    try:
        return public(here.name, here.read_bytes()) != new.read_bytes()
    except Damaged as error:
        hint = "`swinablate doctor` says what mends it; or import into another home: --home FOLDER"
        raise Damaged(error.problem, at=str(here), hint=hint) from None


def _placed(bundle: Bundle, new: Home, home: Home, files: Path) -> Path | None:
    """Put the study's files beside its plan, and say in its launch where they will be."""
    declaration, study = str(bundle.about["declaration"]), str(bundle.about["study"])
    folder = Path(study) / declaration
    if not bundle.about["file"]:
        return None
    files.rename(new.studies / folder / "files")
    file = home.studies / folder / str(bundle.about["file"])
    launch = new.studies / folder / "launch.json"
    if launch.exists():
        said = dict[str, Any](json.loads(launch.read_bytes()))
        said.pop("digest", None)
        write_atomically(launch, seal({**said, "file": str(file)}))
    return file


def _add_study(new: Path, here: Path) -> None:
    """Move declarations that the home lacks; which is the newest is said last."""
    here.mkdir(parents=True, exist_ok=True)
    for path in sorted(new.iterdir()):
        if path.name != "latest" and not (here / path.name).exists():
            move(path, here / path.name)
    if not (here / "latest").exists():
        write_atomically(here / "latest", (new / "latest").read_text("ascii"))
