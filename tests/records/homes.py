"""A home to break: that of version 0.1, and the same with sealed records."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swinablate.records.home import Home
from swinablate.records.plan import everything
from swinablate.records.seal import SCHEMA

GOLDEN = Path(__file__).parent.parent / "golden/home-0.1"


@dataclass(frozen=True)
class Study:
    """The study `plain` of a home, most of whose trials are done."""

    home: Home
    file: Path

    @property
    def folder(self) -> Path:
        return self.home.studies / "plain"

    @property
    def plan(self) -> Path:
        return self.folder / (self.folder / "latest").read_text() / "plan.json"

    @property
    def done(self) -> list[str]:
        """Trials that have a record, in the plan's order."""
        ids = everything(self.home.declared("plain"))
        return [one for one in ids if (self.home.trials / one / "result.json").exists()]

    @property
    def torn(self) -> str:
        """The trial that was interrupted."""
        ids = everything(self.home.declared("plain"))
        (found,) = (t for t in ids if t not in self.done and self.home.attempts(t))
        return found

    def record(self, number: int = 0) -> Path:
        return self.home.trials / self.done[number] / "result.json"

    def words(self, command: str, *more: str) -> list[str]:
        return [command, "plain", "--home", str(self.home.root), *more]


def first(tmp_path: Path) -> Study:
    """A copy of the home of version 0.1: schema 1, without digests."""
    folder = shutil.copytree(GOLDEN, tmp_path / "frozen")
    return Study(Home(folder / "home"), folder / "plain.toml")


def sealed(tmp_path: Path) -> Study:
    """The same, as this version would have recorded it."""
    study = first(tmp_path)
    home, plan = study.home, study.home.declared("plain")
    for outcome in home.outcomes(everything(plan)).values():
        home.commit(replace(outcome, schema=SCHEMA))
    home.declare(plan)
    return study


def edited(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the data of a JSON file as an editor would: the digest stays."""
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
