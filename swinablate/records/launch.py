"""How a study was started, kept beside its plan, so that commands are repeated, not invented.

    studies/<name>/<declaration>/launch.json

Paths stand here as they were typed: a report that repeats them tells no more than its author
wrote. Homes of earlier versions have no such file, and nothing is made up for them.
"""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from swinablate.errors import InputError
from swinablate.records.disk.files import write_atomically
from swinablate.records.home import Home
from swinablate.records.plan import PlanRecord
from swinablate.records.seal import read_record, seal
from swinablate.records.tuning import SCHEMA, Record

DEFAULT_HOME = ".swinablate"
"""The home of whoever names none."""
STORES: Mapping[str, tuple[str, ...]] = {
    "run": ("--storage", "--tracking-uri"),
    "retry": ("--storage", "--tracking-uri"),
    "sync": ("--storage", "--tracking-uri"),
    "ui": ("--tracking-uri",),
}
"""Commands that open stores -> the options that name them."""
TRAIN = ("run", "retry")
"""Commands with `--data-dir`."""
SMOKE = ("plan", "run", "status", "report", "figure")
"""Commands with `--smoke`; others are given a smoke run's home."""

TYPED = "SWINABLATE_TYPED"
"""What stood before the command where another program handed it over, as `dev.py` does."""
NAME = "swinablate"

Command = Literal[
    "plan",
    "run",
    "status",
    "report",
    "retry",
    "sync",
    "weights",
    "figure",
    "ui",
    "export",
    "verify",
]


def program() -> list[str]:
    """The words with which this command was called: what comes before `run`."""
    return shlex.split(os.environ.get(TYPED, "")) or [NAME]


def as_typed(text: str) -> str:
    """A message whose commands, in backticks, begin as this one was typed."""
    typed = shlex.join(program())
    return text if typed == NAME else text.replace(f"`{NAME} ", f"`{typed} ")


def at_home(said: str | Path) -> Path:
    """A path of which a leading ~ is the user's own folder: shells leave it in `--home=~/x`."""
    if not str(said).startswith("~"):  # a folder here may be called so: ./~/x
        return Path(said)
    try:
        return Path(said).expanduser()
    except RuntimeError:  # nobody knows where that is
        return Path(said)


def home_folder(said: str | Path, at: str = "--home") -> Path:
    """The folder that is named as a home; what has no name, or is no folder, is nobody's.

    Args:
        said: as given.
        at: the option or argument that gave it.

    Raises:
        InputError: it is the empty text of an unset variable, or a file.
    """
    if not str(said).strip():
        raise InputError("no folder is named", at=at, hint="give a path; . is this folder")
    path = at_home(said)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is no folder", at=at, hint="give another path")
    return path


class Launch(Record):
    """The command that ran a study, in its parts; empty where nothing is known.

    Attributes:
        study: its file as it was typed, or the name of one that comes with the package.
        file: its absolute path.
        digests: of what the file and its recipes say, by the name a recipe has there.
        settings: of `--set`.
        only: arms of `--only`.
        home: as it was typed, or as SWINABLATE_HOME had it; empty for the default.
        stores: option -> address, of those that were typed and hold no secret.
        command: as it was typed, without secrets; empty where no command started it.
        variables: of the environment that must be set for it.
        data: folder of prepared data sets, as it was typed; empty for the home's own.
        more: seeds that `--more` added, one time after another.
    """

    version: Annotated[int, Field(alias="schema")] = SCHEMA
    study: str = ""
    file: str = ""
    digests: Mapping[str, str] = Field(default_factory=dict)
    settings: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    home: str = ""
    smoke: bool = False
    stores: Mapping[str, str] = Field(default_factory=dict)
    command: str = ""
    variables: tuple[str, ...] = ()
    data: str = ""
    more: tuple[int, ...] = ()

    @property
    def program(self) -> list[str]:
        """The words before its command: `swinablate`, or `python3 dev.py`."""
        words = shlex.split(self.command)
        return [NAME] if words[:1] in ([], [NAME]) else words[:2]

    @property
    def again(self) -> str:
        """The command that trains what is missing; `retry` and `--more` would train more."""
        words, first = shlex.split(self.command), len(self.program)
        kept = ["run" if at == first and w == "retry" else w for at, w in enumerate(words)]
        kept = [word for word in kept if not word.startswith("--more=")]
        if "--more" in kept:
            at = kept.index("--more")
            del kept[at : at + 2]
        return shlex.join(kept)

    @property
    def whole(self) -> str:
        """The command that repeats the study elsewhere, with all that was added to it."""
        added = [f"{self.again} --more {count}" for count in self.more if self.again]
        return " && ".join([self.again, *added])

    @property
    def needs(self) -> str:
        """What a command needs besides its words, to be put behind it."""
        return f", with {' and '.join(self.variables)} set" if self.variables else ""

    def says(self, command: Command, *words: str) -> str:
        """A command about the same study in the same home, to be pasted.

        Args:
            command: what is to be done with the study.
            words: behind the study.

        Returns:
            It; empty where no file is known, and for what no command does with a smoke run.
        """
        if not self.study or (self.smoke and command == "retry"):
            return ""
        home = self.home
        if self.smoke and command not in SMOKE:
            home = str(Path(home or DEFAULT_HOME) / "smoke")
        options = [word for text in self.settings for word in ("--set", text)]
        options += ["--home", home] if home else []
        options += ["--smoke"] if self.smoke and command in SMOKE else []
        options += ["--data-dir", self.data] if self.data and command in TRAIN else []
        for option in STORES.get(command, ()):
            options += [option, self.stores[option]] if option in self.stores else []
        return shlex.join([*self.program, command, self.study, *words, *options])

    def of_home(self, command: str, *words: str) -> str:
        """A command about something else in the same home, empty where it is unknown.

        Args:
            command: what is to be done.
            words: with what.
        """
        if not self.study:
            return ""
        home = str(Path(self.home or DEFAULT_HOME) / "smoke") if self.smoke else self.home
        at = ["--home", home] if home else []
        return shlex.join([*self.program, command, *words, *at])


UNKNOWN = Launch()
"""Of a study run from Python values, or by an earlier version."""


def keep_launch(home: Home, plan: PlanRecord, launch: Launch) -> None:
    """Record how a declared study was started; where nothing is known, nothing is changed."""
    if launch.study:
        write_atomically(_path(home, plan), seal({**launch.to_json(), **_owner(plan)}))


def launch_of(home: Home, plan: PlanRecord) -> Launch:
    """How a declared study was last started; empty where that was not recorded.

    Raises:
        Damaged: it is not what was written, or another study's.
        EnvironmentFault: it cannot be read, or a newer swinablate wrote it.
    """
    again = "move this file away; `swinablate run STUDY` writes it again"
    try:
        return read_record(Launch, _path(home, plan), _owner(plan), again)
    except FileNotFoundError:
        return UNKNOWN


def _owner(plan: PlanRecord) -> dict[str, str]:
    """Whose the file is; `study` is what was typed."""
    return {"of": plan.study, "declaration": plan.declaration}


def _path(home: Home, plan: PlanRecord) -> Path:
    return home.studies / plan.study / plan.declaration / "launch.json"
