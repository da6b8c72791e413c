"""What packs say of a study's comparisons, held against what it found."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swinablate.cli import terminal
from swinablate.errors import InputError
from swinablate.records.home import Home
from swinablate.text import after_difference, interval, signed

if TYPE_CHECKING:
    from swinablate.report.published import Pack, Row

DIGITS = 2
"""Decimals of differences: a hundredth of a point is less than any test set here can tell."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Every published claim that a study asks, beside what it found."""

    study: str
    rows: Sequence["Row"]

    @property
    def exit_code(self) -> int:
        """0 where every claim is reproduced."""
        return 0 if all(row.answer == "reproduced" for row in self.rows) else 3

    def to_json(self) -> dict[str, Any]:
        """Plain data, for programs."""
        claims = [row.to_json() for row in self.rows]
        return {"schema": 1, "study": self.study, "claims": claims}


def compare_study(name: str, home: Home, pack: Path | None) -> Compared:
    """Hold a recorded study against packs.

    Args:
        name: the study.
        home: where it was run.
        pack: a file, or a folder of packs; None for those that ship with us.

    Raises:
        InputError: no pack says anything of it, or one is not as it must be.
    """
    packs = _packs(pack)
    from swinablate.report.answer import gather

    found = gather(home, name)
    return _compared(name, found.verdicts, found.plan.model_dump(mode="json"), packs)


def compare_report(folder: Path, pack: Path | None) -> Compared:
    """Hold the folder of a report against packs.

    Args:
        folder: as `read_folder` takes it.
        pack: as `compare_study` takes it.

    Raises:
        InputError: as `compare_study`, or it is no such folder.
    """
    from swinablate.report.published.kept import read_folder

    verdicts, plan = read_folder(folder)
    return _compared(plan["study"], verdicts, plan, _packs(pack))


def _compared(
    name: str,
    verdicts: Mapping[str, Any],
    plan: Mapping[str, Any],
    packs: Mapping[str, "Pack"],
) -> Compared:
    from swinablate.report.published import reproduced

    rows = reproduced(name, verdicts, plan, packs)
    if not rows:
        asked = {
            one.study for pack in packs.values() for claim in pack.claims for one in claim.asked
        }
        raise InputError(
            f"no pack says anything of {name!r}",
            at="verify",
            hint=f"they are about {', '.join(sorted(asked))}; --pack FILE gives one of your own"
            if asked
            else "a claim needs asked = [{ study = ..., arm = ... }]",
        )
    return Compared(study=name, rows=rows)


def _packs(pack: Path | None) -> "dict[str, Pack]":
    from swinablate.report.published import load_pack, load_packs

    if pack is not None and pack.suffix == ".toml":
        return {pack.stem: load_pack(pack)}
    return load_packs(pack)


def show(found: Compared) -> None:
    """Print the claims as a table, and below it settings and what is not known."""
    terminal.table(
        f"{found.study}: published, and found here",
        ["claim", "here", ">published", "found", "sign", "size", "answer"],
        [_cells(row) for row in found.rows],
    )
    for line in _notes(found.rows):
        terminal.err.print(line, markup=False, soft_wrap=True)


def _notes(rows: Sequence["Row"]) -> Iterator[str]:
    """Where each number stands with both settings, once; then what else is not as there."""
    yield from dict.fromkeys(f"{row.source}: {row.setting}" for row in rows)
    for row in rows:
        said = [row.differs, f"not told here, {row.why}" if row.why else ""]
        if text := "; ".join(filter(None, said)):
            yield f"{row.about}: {text}"


def _cells(row: "Row") -> list[str]:
    # Of exact numbers only trailing zeros are lost: 7 hours are no measured 7.00.
    theirs = f"{row.published:+g}{after_difference(row.published_unit)}"
    ours = "-"
    if row.ours is not None and row.ci_low is not None and row.ci_high is not None:
        both = interval(row.ci_low, row.ci_high, DIGITS)
        ours = f"{signed(row.ours, DIGITS)}{after_difference(row.unit)} {both}"
    about = row.about if row.metric == "test/accuracy" else f"{row.about}, {row.metric}"
    return [row.claim, about, theirs, ours, row.sign, row.size, row.answer]


def is_study(path: Path) -> bool:
    """Whether a TOML file is a study's, and not a recipe's: a study asks a question."""
    from swinablate.config.schema import read_toml

    return "question" in read_toml(path)
