"""A pack: numbers of one publication, where they stand, and who of ours asks the same.

A number is here only if somebody read it where `read` says.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from swinablate.config.plugins import did_you_mean
from swinablate.config.schema import Frozen, read_toml, validate
from swinablate.errors import InputError
from swinablate.models.catalogue import examples
from swinablate.stats.comparisons.published import PublishedEffect, rounding, spread

Text = Annotated[str, Field(min_length=1, max_length=500)]  # a sentence or two of a table's cell
Measure = Literal["accuracy", "error", "hours", "bleu"]
"""What the numbers are: percent of the test images right, or wrong, the time of a training, or how
good translations are (BLEU); of the last two only the sign can be found elsewhere."""


class Setting(Frozen):
    """What the numbers were measured on.

    Attributes:
        data: the data set.
        network: or several, in words.
        training: its length, and what else matters.
        runs: seeds behind every number; None where nobody says.
    """

    data: Text
    network: Text
    training: str = ""
    runs: Annotated[int, Field(ge=1, le=10_000)] | None = None  # nobody trains more


class Table(Frozen):
    """Numbers that may be compared with each other.

    Attributes:
        name: as the publication calls it: "Table 4".
        page: of the publication; None where what was read has none.
        section: that the table stands in.
        measure: accuracy, error (percent), hours or bleu.
        decimals: with which the numbers are printed.
        rows: what the publication calls it -> the number.
        sd: of a row, over its seeds, in the unit of the numbers; where the publication says it.
        setting: what they were measured on.
    """

    name: Text
    page: Annotated[int, Field(ge=1)] | None = None
    section: str = ""
    measure: Measure = "accuracy"
    decimals: Annotated[int, Field(ge=0, le=6)]
    rows: Annotated[dict[str, float], Field(min_length=2)]
    sd: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    setting: Setting

    @property
    def place(self) -> str:
        """Where it stands in the publication."""
        page = f"p. {self.page}" if self.page else ""
        return ", ".join(filter(None, [self.name, self.section, page]))

    @property
    def unit(self) -> str:
        """Of differences."""
        return {"hours": "hours", "bleu": "BLEU"}.get(self.measure, "pp")

    @model_validator(mode="after")
    def _found(self) -> Self:
        if not self.page and not self.section:
            raise ValueError('a table without its page or section; write section = "sec. 4.4"')
        if unknown := [row for row in self.sd if row not in self.rows]:
            raise ValueError(f"sd of {unknown[0]!r}, which is no row; name a row")
        if self.sd and self.setting.runs is None:
            raise ValueError("sd over how many seeds?; write runs = 5 in setting")
        return self


class AskedBy(Frozen):
    """A comparison of ours that asks the same.

    Attributes:
        study: its name.
        arm: that is compared, or
        contrast: a declared comparison of arms.
        quantity: that is compared; empty for what the study compares.
        differs: what else is not as there, beside data, network, training and seeds.
    """

    study: Text
    arm: str = ""
    contrast: str = ""
    quantity: str = ""
    differs: str = ""

    @property
    def about(self) -> str:
        """The arm or the contrast."""
        return self.arm or self.contrast

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.arm) == bool(self.contrast):
            raise ValueError("name an arm or a contrast; one of them, and not both")
        return self


class PublishedClaim(Frozen):
    """A difference of two numbers of one table.

    Attributes:
        name: what is claimed, in a few words.
        table: where the numbers stand.
        row: the changed one.
        against: what it is compared with.
        asked: by comparisons of ours.
    """

    name: Text
    table: Text
    row: Text
    against: Text
    asked: tuple[AskedBy, ...] = ()


class Pack(Frozen):
    """What was read of one publication.

    Attributes:
        title: of the publication.
        source: how it is cited: "arXiv:2103.14030".
        url: where it is; empty where nobody can fetch it.
        read: where and how the numbers were read.
        tables: the numbers.
        claims: what is compared with ours.
    """

    title: Text
    source: Text
    url: str = ""
    read: Text
    tables: Annotated[tuple[Table, ...], Field(min_length=1)]
    claims: tuple[PublishedClaim, ...] = ()

    def table(self, name: str) -> Table:
        """The table of a name."""
        return next(one for one in self.tables if one.name == name)


def load_pack(path: Path) -> Pack:
    """Read one pack.

    Args:
        path: its file.

    Raises:
        InputError: anything in the file that is not as it must be.
    """
    pack = validate(Pack, read_toml(path), str(path))
    _check_names([table.name for table in pack.tables], f"{path}: tables")
    _check_names([claim.name for claim in pack.claims], f"{path}: claims")
    tables = {table.name: table for table in pack.tables}
    for claim in pack.claims:
        at = f"{path}: claims: {claim.name!r}"
        if claim.table not in tables:
            hint = did_you_mean(claim.table, list(tables))
            raise InputError(f"no table is called {claim.table!r}", at=f"{at}.table", hint=hint)
        rows = tables[claim.table].rows
        for key, row in (("row", claim.row), ("against", claim.against)):
            if row not in rows:
                hint = did_you_mean(row, list(rows))
                raise InputError(f"{claim.table} has no row {row!r}", at=f"{at}.{key}", hint=hint)
        if claim.row == claim.against:
            raise InputError(
                f"{claim.row!r} is compared with itself",
                at=f"{at}.against",
                hint="name another row",
            )
        _check_names([f"{one.study}: {one.about}: {one.quantity}" for one in claim.asked], at)
    return pack


def load_packs(folder: Path | None = None) -> dict[str, Pack]:
    """Every pack of a folder, by the name of its file.

    Args:
        folder: None for those that ship with us.

    Raises:
        InputError: there is none, or one is not as it must be.
    """
    where = folder or examples() / "packs"
    found = {path.stem: load_pack(path) for path in sorted(where.glob("*.toml"))}
    if not found:
        raise InputError(
            "there is no pack", at=str(where), hint="packs are TOML files; see packs/"
        )
    return found


def asking(packs: dict[str, Pack], study: str) -> Iterator[tuple[str, PublishedClaim, AskedBy]]:
    """Name of the pack, claim and comparison, of every claim that a study asks.

    Args:
        packs: by name.
        study: its name.
    """
    for name, pack in packs.items():
        for claim in pack.claims:
            for one in claim.asked:
                if one.study == study:
                    yield name, claim, one


def effect_of(table: Table, claim: PublishedClaim, *, same_unit: bool) -> PublishedEffect:
    """The published difference, as one of the accuracy or of the quantity.

    Args:
        table: where the numbers stand.
        claim: which two they are.
        same_unit: whether ours are in the unit of theirs: percentage points of accuracy.
    """
    printed = round(table.rows[claim.row] - table.rows[claim.against], table.decimals)
    found = -printed if table.measure == "error" else printed
    sign = (found > 0) - (found < 0)
    if not same_unit:
        return PublishedEffect(effect=None, sign=sign)
    margin = rounding(table.decimals)
    if table.setting.runs is not None:  # of a row without one, its seeds are not told
        sds = [table.sd.get(row, 0.0) for row in (claim.row, claim.against)]
        margin += spread(sds, table.setting.runs)
    return PublishedEffect(effect=found, sign=sign, margin=margin)


def _check_names(names: list[str], at: str) -> None:
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise InputError(f"{twice[0]!r} is there twice", at=at, hint="call one otherwise")
