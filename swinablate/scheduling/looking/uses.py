"""Which studies of a home use a trial, and which trial somebody means by the first digits."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from swinablate.config.plugins import did_you_mean
from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.disk.files import entries, there
from swinablate.records.home import Home
from swinablate.records.plan import PlanRecord, Row
from swinablate.scheduling.ledger import tries, tune_rows, tuned_rows, tunings_of

SHORTEST = 4
"""Digits of an id that name a trial: with fewer, two of a few hundred trials begin the same way
more often than not."""
PREFIX = re.compile(f"[0-9a-f]{{{SHORTEST},64}}")
LISTED = 20
"""Trials that are listed where several are meant: more fill a screen."""


@dataclass(frozen=True, kw_only=True)
class Use:
    """A trial's place in a declared study.

    Attributes:
        newest: whether the declaration is the study's newest.
    """

    plan: PlanRecord
    row: Row
    newest: bool

    @property
    def name(self) -> str:
        """The trial as people call it: arm, seed, and of tuning which try."""
        row = self.row
        how = {"try": f" try {row.number}", "tuned": " tuned"}.get(row.basis, "")
        return f"{row.arm.name}{how} s{row.seed}"


@dataclass(frozen=True, kw_only=True)
class Uses:
    """Every trial that a study of a home names.

    Attributes:
        of: trial id -> its places, those in newest declarations first.
        unread: study -> why it could not be read.
    """

    of: dict[str, list[Use]] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)

    def arms(self, name: str, study: str = "") -> list[Use]:
        """The final trials of an arm of that name, in the newest declarations."""
        return [
            use
            for uses in self.of.values()
            for use in uses
            if use.newest
            and use.row.arm.name == name
            and use.row.basis == "fixed"
            and study in {"", use.plan.study}
        ]

    def names(self, study: str = "") -> list[str]:
        """The names of all arms, in the newest declarations."""
        found = (use for uses in self.of.values() for use in uses if use.newest)
        return list(dict.fromkeys(u.row.arm.name for u in found if study in {"", u.plan.study}))


def studies_of(home: Home) -> list[str]:
    """The names of the studies that were declared in a home."""
    return [path.name for path in entries(home.studies) if there(path / "latest")]


def uses_of(home: Home) -> Uses:
    """Read every declaration of a home; what is damaged is named, and passed over."""
    found = Uses()
    places: list[Use] = []
    for name in studies_of(home):
        try:
            latest = home.latest(name)
            for digest in home.declarations(name):
                plan = home.declared(name, digest)
                here = digest == latest
                places += [Use(plan=plan, row=row, newest=here) for row in rows_of(plan)]
        except EnvironmentFault as error:
            found.unread[name] = str(error)
    for use in sorted(places, key=lambda use: not use.newest):
        found.of.setdefault(use.row.trial, []).append(use)
    return found


def rows_of(plan: PlanRecord) -> Iterator[Row]:
    """Every trial that a plan and its ledger name, also those that tuning did not choose."""
    yield from plan.rows()
    yield from tune_rows(plan)
    for arm in plan.arms:
        for repeat in tunings_of(plan, arm.seeds):
            for one in tries(plan, arm.name, {}, repeat):
                yield from tuned_rows(plan, {(arm.name, repeat): one})


def ids_of(home: Home, uses: Uses) -> set[str]:
    """Every trial of a home: begun, or only planned."""
    return {
        path.name for path in entries(home.trials) if PREFIX.fullmatch(path.name)
    } | uses.of.keys()


def found(home: Home, uses: Uses, word: str) -> str:
    """The id of the trial that a word means.

    Args:
        home: where the trials are.
        uses: what its studies name.
        word: the id, or its first digits.

    Raises:
        InputError: it means none, or several.
    """
    every = ids_of(home, uses)
    if not PREFIX.fullmatch(word):
        short = re.fullmatch("[0-9a-f]{1,3}", word)
        hint = f"give at least {SHORTEST} digits" if short else _means(word, uses)
        raise InputError(f"{word!r} is no trial of {home.root}", hint=hint)
    matches = sorted(one for one in every if one.startswith(word))
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise InputError(f"no trial of {home.root} begins with {word!r}", hint=_means(word, uses))
    lines = [f"{one[:16]}  {named(uses, one)}" for one in matches[:LISTED]]
    more = f"\nand {len(matches) - LISTED} more" if len(matches) > LISTED else ""
    raise InputError(
        f"{len(matches)} trials begin with {word!r}:\n" + "\n".join(lines) + more,
        hint="give more digits",
    )


def named(uses: Uses, trial: str) -> str:
    """A trial as its studies call it."""
    places = [f"{use.name} of {use.plan.study}" for use in uses.of.get(trial, ())]
    return "; ".join(dict.fromkeys(places)) or "of no declared study"


def _means(word: str, uses: Uses) -> str:
    if word in uses.names():
        return "it is the name of an arm: `swinablate show ARM` lists its trials"
    near = did_you_mean(word, uses.names()) if uses.of else ""
    look = "`swinablate list` shows the studies, and `swinablate show ARM` the trials of an arm"
    return f"{near}; {look}" if near else look
