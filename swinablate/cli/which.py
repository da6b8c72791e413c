"""Which recorded study a command is about: the one that its file declares, or that it names.

A file answers for what it says now. One that was edited since, or that another study of the same
name was run from, is refused with what differs: a report is never that of other questions.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from swinablate.cli import terminal
from swinablate.cli.differences import differences, told
from swinablate.cli.typed import launch
from swinablate.config.code.theirs import prints_aside
from swinablate.config.variants import VARIANT, digests, has_results, untrained, variant
from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.disk.files import entries, there
from swinablate.records.home import Home
from swinablate.records.launch import UNKNOWN, Command, Launch, launch_of
from swinablate.records.plan import PlanRecord

if TYPE_CHECKING:
    from swinablate.study.files import Study
    from swinablate.study.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a command is about.

    Attributes:
        given: all of it, for commands in hints.
        study: as it was typed: a file, or a name.
        settings: of `--set`, with the secrets that `given` leaves out.
        home: where it was run, or may have been.
        command: what wants to know, for hints.
    """

    given: Launch
    study: Path
    settings: Sequence[str]
    home: Home
    command: Command

    @property
    def name(self) -> str:
        """The study's name, that of a variant where something is set."""
        name = self.study.stem if self.by_file else str(self.study)
        return variant(name, self.settings)

    @property
    def by_file(self) -> bool:
        """Whether the study is given as a file; otherwise by the name it was recorded under.

        Raises:
            InputError: it is neither a file that exists nor a name.
        """
        if self.study.is_file():
            return True
        if self.study.name == str(self.study) and self.study.suffix != ".toml":
            return False
        name = variant(self.study.stem, self.settings)
        known = f"`{self._by_name(name)}` shows what was run under that name"
        hint = known if was_run(self.home, name) else "check the path"
        raise InputError("no such file", at=str(self.study), hint=hint)

    def recorded(self) -> str:
        """The study's name, if it was run, and its newest declaration is what its file declares.

        Raises:
            InputError: there is no such file, it was not run in this home, or it declares
                something else than what was run.
        """
        name = self.name
        if not was_run(self.home, name):
            raise self._not_run(name)
        if self.by_file:
            plan = self.home.declared(name)
            self._check(plan, launch_of(self.home, plan))
        return name

    def shown(self) -> str:
        """The study's name on a server that others may have recorded it on.

        Raises:
            InputError: as `recorded`, but that it need not have been run in this home.
        """
        return self.recorded() if was_run(self.home, self.name) else self.name

    def runnable(self) -> tuple[Path, Sequence[str], Launch | None]:
        """The study's file and settings, and where they were only named how it was started.

        Raises:
            InputError: as `recorded`; or it is named, and its file was not recorded or is gone.
        """
        name = self.recorded()
        if self.by_file:
            return self.study, self.settings, None
        ran = launch_of(self.home, self.home.declared(name))
        if not Path(ran.file or "?").is_file():
            which = f"its file is gone: {ran.file}" if ran.file else "its file was not recorded"
            raise InputError(which, at=name, hint="give the file: `swinablate retry FILE`")
        given = self.given.model_copy(update={"study": ran.file, "settings": ran.settings})
        file = Path(ran.file)
        replace(self, given=given, study=file, settings=ran.settings).recorded()
        return file, ran.settings, ran

    def planned(self) -> PlanRecord | None:
        """What the study declares, where it was never run itself and its variants were."""
        name = self.name
        if was_run(self.home, name) or not variants(self.home, name):
            return None
        if self.by_file:
            return _planned(self.study, self.settings, smoke=self.given.smoke)
        for one in variants(self.home, name):
            file = Path(launch_of(self.home, self.home.declared(one)).file)
            if file.stem == name and file.is_file():
                return _planned(file, (), smoke=self.given.smoke)
        return None

    def _check(self, plan: PlanRecord, ran: Launch) -> None:
        """Refuse a file that declares something else than the recorded plan."""
        now = digests(self.study, self.settings)
        if now and now == ran.digests:
            return
        first = lineage(self.home, plan)[-1]  # what the file declared; `--more` is not its word
        found = differences(first, _planned(self.study, self.settings, smoke=plan.smoke))
        if not found:
            return
        other = ran.file not in {"", str(self.study.absolute())}
        since = f"is not {ran.file}, which was run" if other else "was edited since it was run"
        raise InputError(
            f"{since} as {self.name!r} in {self.home.root}: {told(found)}",
            at=str(self.study),
            hint=f"`{self.given.says('run')}` declares it as it is now; "
            f"`{self._by_name(self.name)}` is about what was run",
        )

    def _not_run(self, name: str) -> InputError:
        others = variants(self.home, name)
        also = f"; of its variants, {', '.join(others)}" if others else ""
        run = f"`{self.given.says('run')}`" if self.by_file else "`swinablate run FILE`"
        hint = f"{run} runs it, or name the right folder with --home"
        if others:
            hint = f"{run} runs it; `{self._by_name(others[0])}` is about a variant"
        return InputError(f"study {name!r} has not been run in {self.home.root}{also}", hint=hint)

    def _by_name(self, name: str) -> str:
        """The command about a recorded study, whatever its file says."""
        bare = self.given.model_copy(update={"study": name, "settings": ()})
        words = ("ARM", "FILE") if self.command == "weights" else ()
        return bare.says(self.command, *words)


def asked_of(
    context: typer.Context,
    study: Path,
    settings: Sequence[str] | None,
    command: Command,
    home: Home,
) -> Asked:
    """What the words of a command line ask about.

    Raises:
        InputError: a study that trains nothing: it is never recorded.
    """
    if has_results(study):
        raise untrained(study)
    return Asked(
        given=launch(context),
        study=study,
        settings=tuple(settings or ()),
        command=command,
        home=home,
    )


def was_run(home: Home, name: str) -> bool:
    """Whether a study was ever declared in a home."""
    return (home.studies / name / "latest").exists()  # a damaged one was, too


def named(word: str, home: Home, *, edited: bool = False) -> str:
    """The name of the study that a word means: its name, or its file.

    Args:
        word: as it was typed.
        home: where it was run.
        edited: whether the file may declare something else by now than it did.

    Raises:
        InputError: there is no such file, it trains nothing, or it is not what was run.
    """
    file = Path(word)
    if file.suffix != ".toml":
        return word
    if has_results(file):
        raise untrained(file)
    hint = f"for what was run under that name, give the name: {file.stem}"
    if not was_run(home, file.stem):
        return file.stem
    if not file.is_file():
        raise InputError("no such file", at=word, hint=hint)
    ran, now = UNKNOWN, digests(file)
    with contextlib.suppress(EnvironmentFault):  # damaged: nobody can say what was run
        ran = launch_of(home, home.declared(file.stem))
    own = edited and ran.file in {"", str(file.absolute())}
    if ran.digests and now != ran.digests and not own:
        raise InputError(
            f"it is not what was run as {file.stem!r} in {home.root}", at=word, hint=hint
        )
    return file.stem


def lineage(home: Home, plan: PlanRecord) -> list[PlanRecord]:
    """A recorded plan, what it extends, what that extends, and so on."""
    found = [plan]
    while found[-1].parent:
        found.append(home.declared(plan.study, found[-1].parent))
    return found


def variants(home: Home, name: str) -> list[str]:
    """Names of the variants of a study that were run in a home."""
    found = [one for one in entries(home.studies) if there(one / "latest")]
    return [one.name for one in found if one.name.startswith(f"{name}{VARIANT}")]


def _planned(file: Path, settings: Sequence[str], *, smoke: bool) -> PlanRecord:
    """What a file declares now; imports torch, and builds every network."""
    return declared(plan_of(file, settings, smoke=smoke))


def plan_of(
    study: Path,
    settings: Sequence[str],
    *,
    smoke: bool,
    aloud: bool = False,
    first: "Callable[[Study], None] | None" = None,
) -> "Plan":
    """Read a study file and plan it.

    Args:
        study: the file.
        settings: `--set`.
        smoke: shortened.
        aloud: name the file at once and every arm as it is looked at; else only where it takes
            long.
        first: what to do with the study before its plan is proved, which takes seconds.
    """
    if aloud:  # before the first import that takes seconds
        terminal.planning(study)
    step = terminal.named if aloud else terminal.patience("planning arm")
    from swinablate.study import files
    from swinablate.study.planner import plan

    with prints_aside():
        loaded = files.load_study(study, settings, smoke=smoke)
        if first:
            first(loaded)
        return plan(files.smoke(loaded) if smoke else loaded, step)


def declared(made: "Plan") -> PlanRecord:
    """What a plan declares, without what is expected of it."""
    from swinablate.study.noise.expected import Noise
    from swinablate.study.plan_record import plan_record

    return plan_record(made, {}, Noise(None, "unknown"))
