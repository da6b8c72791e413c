"""[command] of a recipe: what is run, what of it varies, and where its numbers come from."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from swinablate.config.commands.logged import FILE
from swinablate.config.commands.words import RESERVED, known, used
from swinablate.config.schema import Frozen
from swinablate.text import OWN, own_name

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Of switches: as placeholders, variables and the keys of any file have it."""
METRIC = re.compile(r"[A-Za-z0-9_.-]{1,60}")
"""Of metrics: as MLflow, columns and the names of `[compare]` have it."""
UNIT = re.compile(r"[A-Za-z%][A-Za-z0-9%/^ .-]{0,19}")
"""Of metrics: as it stands behind a number; a colon would end the metric's name."""
FILES = (".json", ".jsonl", ".csv")
"""What numbers are read from."""
WRITTEN = ("json", "toml", "yaml")
"""Files that hold the switches of a trial."""

STEP = "step"
"""The group of a pattern that says which epoch or step a number is of."""

Given = Literal["placeholders", "flags", "assignments", "environment", "json", "toml", "yaml"]
Booleans = Literal["true", "True", "1", "flag", "no-flag"]


def _code(value: int) -> int:
    if not 1 <= value <= 255:
        raise ValueError(f"{value} is no exit code of a failure; give a number from 1 to 255")
    return value


ExitCode = Annotated[int, AfterValidator(_code)]


class MetricConfig(Frozen):
    """The number that a command is compared by, and where it is found.

    Attributes:
        file: JSON, lines of JSON, or CSV below `{out}`; of a `tag`, the folder of its events.
        key: of the JSON, dotted (`eval.accuracy`), or a column of the CSV; the last line counts.
        pattern: of a line of standard output; its only group is the number, beside one that may
            be called `step`, and the last line that matches counts.
        tag: of scalars in TensorBoard's event files below `{out}`; the last one counts.
        name: in tables; empty is the last part of `key` or `tag`, or "metric".
        unit: percent; fractions of 1, which are recorded in percent; or a word of one's own.
            Left out it is percent, and what looks like a fraction is an error.
        better: which way is good.
        twice: what several lines or rows mean: the last one counts, or the trial fails.
    """

    file: str = ""
    key: str = ""
    pattern: str = ""
    tag: str = ""
    name: str = ""
    unit: Annotated[str, Field(min_length=1)] | None = None
    better: Literal["higher", "lower"] = "higher"
    twice: Literal["last", "fail"] = "last"

    @property
    def called(self) -> str:
        """Its name in tables."""
        return self.recorded_as.removeprefix(OWN)

    @property
    def percent(self) -> bool:
        """Whether values are recorded in percent."""
        return self.unit in {None, "percent", "fraction"}

    @property
    def recorded(self) -> str:
        """As `[compare]` names it: its direction and unit are part of the name."""
        return own_name(self.model_dump())

    @property
    def recorded_as(self) -> str:
        """The key of its values in a record: direction and unit are the recipe's."""
        return self.recorded.partition(":")[0]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.file or self.tag) == bool(self.pattern):
            raise ValueError(
                "a metric has one source: a file in {out}, a pattern of standard output, or a "
                'tag of TensorBoard; write { file = "result.json", key = "accuracy" }, '
                '{ pattern = "accuracy: ([0-9.]+)" } or { tag = "val/accuracy" }'
            )
        self._check_source()
        if not METRIC.fullmatch(self.called):
            raise ValueError(
                f"{self.called!r} cannot name a metric; give it another name of letters, digits "
                'and _.-: name = "accuracy"'
            )
        if self.unit is not None and not UNIT.fullmatch(self.unit):
            raise ValueError(f"{self.unit!r} cannot be a unit; write a word, like nats or s")
        return self

    def _check_source(self) -> None:
        if self.tag and self.key:
            raise ValueError("key is of a file of numbers, and events have tags; leave out one")
        if self.tag:
            _check_below(self.file)
        elif self.file:
            _check_file(self.file)
            if not self.key:
                raise ValueError(
                    f"{self.file} holds many numbers, and no key says which; "
                    'write key = "accuracy"'
                )
        elif self.key:
            raise ValueError("key is of a file, and a pattern has none; write name = ...")
        if self.pattern:
            _check_pattern(self.pattern)


def _check_below(name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(
            f"{name!r} does not lie in {{out}}, where every trial has files of its own; "
            "let the script write below {out}"
        )


def _check_file(name: str) -> None:
    _check_below(name)
    if PurePosixPath(name).suffix not in FILES:
        raise ValueError(f"{name!r} is none of .json, .jsonl and .csv; write one of these")


def _check_pattern(pattern: str) -> None:
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"{pattern!r} is no regular expression: {error}; see the documentation of Python's re"
        ) from None
    groups = found.groups - (STEP in found.groupindex)
    if groups != 1:
        raise ValueError(
            f"{pattern!r} has {groups} groups, and one is the number; put it in parentheses, "
            f"and others in (?:...); an epoch's number may stand in (?P<{STEP}>...)"
        )


class CommandConfig(Frozen):
    """What is run for a trial.

    Attributes:
        run: the program and its words, each with `{placeholders}`; no shell reads them.
        metric: what is compared.
        also: further numbers to record, each with its curve; of none of them a trial fails.
        give: how switches that have no placeholder reach the command: `--window=7`, `window=7`,
            `WINDOW=7` in its environment, or a file of all switches and the seed, which
            `{config}` names.
        booleans: what true and false are written as; "flag" is `--shift` or nothing, "no-flag"
            `--shift` or `--no-shift`, both with give = "flags" alone. Left out: "flag" there,
            and "true" elsewhere.
        environment: variables besides those of the process; placeholders work here, too.
        folder: where it runs, relative to the recipe.
        sources: globs, relative to `folder`: files whose content is part of what a trial is.
            Left out: the files that `run` names.
        timeout: seconds until it is stopped, and the trial has failed.
        grace: seconds between SIGTERM and SIGKILL.
        threads: of a processor, for which a slot is counted; numerical libraries are told.
        diverged: exit codes that say that training left the real numbers.
        preempted: exit codes that ask to be started again.
        check: "first" runs one seed of every arm, two of the baseline, and one of these twice,
            and no more where they show that a switch or the seed does not reach the script.
        base: the recipe's folder, filled in.
        sha256: of the sources, filled in.
    """

    run: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    metric: MetricConfig
    also: tuple[MetricConfig, ...] = ()
    give: Given = "placeholders"
    booleans: Booleans | None = None
    environment: dict[str, str] = Field(default_factory=dict)
    folder: Annotated[str, Field(min_length=1)] = "."
    sources: tuple[Annotated[str, Field(min_length=1)], ...] | None = None
    timeout: Annotated[float, Field(gt=0)] | None = None
    # Below the ten seconds that workers have after SIGTERM (`execution.stop`).
    grace: Annotated[float, Field(ge=0, le=600)] = 8.0
    threads: Annotated[int, Field(ge=1)] = 1
    diverged: tuple[ExitCode, ...] = ()
    preempted: tuple[ExitCode, ...] = ()
    check: Literal["none", "first"] = "none"
    base: str = ""
    sha256: str = ""

    @property
    def metrics(self) -> tuple[MetricConfig, ...]:
        """All that is recorded, the one that is compared first."""
        return (self.metric, *self.also)

    @property
    def words(self) -> str:
        """How true and false are written."""
        return self.booleans or ("flag" if self.give == "flags" else "true")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.words in {"flag", "no-flag"} and self.give != "flags":
            raise ValueError(
                f"booleans = {self.words!r} is a way of flags; "
                'write give = "flags", or booleans = "true"'
            )
        names = [one.called for one in self.metrics]
        if twice := [name for i, name in enumerate(names) if name in names[:i]]:
            raise ValueError(
                f"two metrics are called {twice[0]!r}; give one of them a name of its own: "
                'name = "..."'
            )
        if both := sorted(set(self.diverged) & set(self.preempted)):
            raise ValueError(
                f"exit code {both[0]} means both diverged and preempted; leave one of them out"
            )
        return self


Switches = dict[str, bool | int | float | str]
HOW = frozenset({"base", "check", "sha256", "sources", "timeout", "grace", "preempted"})
"""Fields of a command that are no part of what a trial is: where and for how long it runs, and
names of sources, whose content counts."""


def misfit(command: CommandConfig, switches: Switches) -> tuple[str, str, str]:
    """What of a command and its switches does not fit: the key, the problem, the remedy.

    Returns:
        Three empty texts where everything fits.
    """
    for name in switches:
        if not NAME.fullmatch(name):
            return "switches", f"{name!r} cannot name a switch", "letters, digits and _"
        if name in RESERVED:
            return "switches", f"{name!r} is a placeholder of its own", "give it another name"
    texts = {f"command.run: {i + 1}": word for i, word in enumerate(command.run)}
    texts |= {f"command.environment: {name}": text for name, text in command.environment.items()}
    found: set[str] = set()
    for at, text in texts.items():
        try:
            found |= used(text)
        except ValueError as error:
            problem, _, hint = str(error).partition("; ")
            return at, problem, hint
        for name in sorted(used(text)):
            if name not in RESERVED and name not in switches:
                hint = known(name, (*RESERVED, *switches))
                return at, f"nothing is called {{{name}}}", hint
    wrong = _variables(command, switches, found)
    return wrong if wrong[1] else _missing(command, switches, found)


def _variables(
    command: CommandConfig, switches: Switches, found: set[str]
) -> tuple[str, str, str]:
    """The variable that cannot be, or that two would set."""
    for name in command.environment:
        if not name or "=" in name:
            why = f"{name!r} cannot name a variable"
            return "command.environment", why, "write a name without ="
    owners = dict.fromkeys(command.environment, "[command] sets it")
    given = [name for name in switches if name not in found]
    for name in given if command.give == "environment" else ():
        variable = name.upper()
        if variable in owners:
            why = f"{name!r} is the variable {variable}, and {owners[variable]}, too"
            return "switches", why, "give the switch another name"
        owners[variable] = f"so is {name!r}"
    return "", "", ""


def _missing(command: CommandConfig, switches: Switches, found: set[str]) -> tuple[str, str, str]:
    """The placeholder that is not there."""
    at, written = "command.run", command.give in WRITTEN
    if written and "config" not in found:
        why = f"give = {command.give!r} writes a file, and no word names it"
        return at, why, 'add "--config={config}", or what your script calls it'
    if "config" in found and not written:
        return (
            at,
            f"{{config}} is a file, and give = {command.give!r} writes none",
            'give = "json"',
        )
    if "seed" not in found and not written:
        why = "the placeholder {seed} is missing: every seed would run the same command"
        return at, why, 'add "--seed={seed}", or what your script calls it'
    below = [one for one in command.metrics if one.tag or one.file not in {"", FILE}]
    if below and "out" not in found:  # `log` knows where
        what = below[0].file or f"the tag {below[0].tag}"
        why = f"the placeholder {{out}} is missing: {what} is looked for there"
        return at, why, 'add "--out={out}", or what your script calls it'
    lost = [name for name in switches if name not in found]
    if command.give == "placeholders" and lost:
        why = f"the placeholder {{{lost[0]}}} is missing: the switch would not reach the command"
        hint = f'add "--{lost[0]}={{{lost[0]}}}", or give = "flags"'
        return at, why, hint
    return "", "", ""
