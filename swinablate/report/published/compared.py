"""Whether a study reproduces what packs say: published and own effect, sign, size, settings."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from swinablate.config.metrics import ACCURACY, metric
from swinablate.config.variants import VARIANT
from swinablate.report.published.kept import read_folder
from swinablate.report.published.packs import (
    AskedBy,
    Pack,
    PublishedClaim,
    Table,
    asking,
    effect_of,
    load_packs,
)
from swinablate.stats.comparisons.published import (
    Agreement,
    Answer,
    OurEffect,
    PublishedEffect,
    Sign,
    Size,
    agreement,
)
from swinablate.text import counted, unit_of

PP = "pp"
"""The unit of differences of accuracy: published ones are in no other."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One published claim beside what a study found.

    Attributes:
        claim: in words.
        pack: the name of its file.
        source: publication, table and page.
        about: our arm or contrast.
        metric: what is compared: the study's metric, or a quantity.
        published: the difference as printed, positive where the metric is larger.
        published_unit: "pp", percentage points of accuracy; or "hours", or "BLEU".
        margin: by how much rounding, and seeds where they are known, may have moved it.
        ours: the difference; None where there is none.
        unit: of ours, of `ci_low` and of `ci_high`.
        ci_low: lower end of its simultaneous interval.
        ci_high: its upper end.
        sign: whether ours is of the published sign; where the one is good when it is high and the
            other when it is low, of the opposite one.
        size: whether it is between half and twice as large.
        answer: reproduced, sign only, contradicted or not resolved.
        setting: theirs, and ours.
        differs: what else is not as there.
        why: why nothing is known; mostly empty.
    """

    claim: str
    pack: str
    source: str
    about: str
    metric: str
    published: float
    published_unit: str
    margin: float
    ours: float | None = None
    unit: str = PP
    ci_low: float | None = None
    ci_high: float | None = None
    sign: Sign = "open"
    size: Size = "open"
    answer: Answer = "not resolved"
    setting: str = ""
    differs: str = ""
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def reproduced(
    study: str,
    verdicts: Mapping[str, Any],
    plan: Mapping[str, Any],
    packs: Mapping[str, Pack] | None = None,
) -> tuple[Row, ...]:
    """Hold a study's verdicts against what packs say of its arms and contrasts.

    Args:
        study: its name; of a variant, that before the @.
        verdicts: as in `verdicts.json`.
        plan: as in `plan.json`.
        packs: by name; None for those that ship with us.

    Returns:
        A row for every claim that the study asks; none where no pack has one.
    """
    known = dict(load_packs() if packs is None else packs)
    name = study.partition(VARIANT)[0]
    return tuple(
        _row(pack, known[pack], claim, one, verdicts, plan)
        for pack, claim, one in asking(known, name)
    )


def of_folder(folder: Path, packs: Mapping[str, Pack] | None = None) -> tuple[Row, ...]:
    """The same of the folder of a report.

    Args:
        folder: with `verdicts.json` and `plan.json`, or with `records.tar.xz`.
        packs: as `reproduced` takes them.

    Raises:
        InputError: it is no such folder.
    """
    verdicts, plan = read_folder(folder)
    return reproduced(plan["study"], verdicts, plan, packs)


def _row(  # noqa: PLR0917  what is compared, and with what
    pack: str,
    of: Pack,
    claim: PublishedClaim,
    asked: AskedBy,
    verdicts: Mapping[str, Any],
    plan: Mapping[str, Any],
) -> Row:
    table = of.table(claim.table)
    block, metric = _block(verdicts, asked)
    found, why = _found(block, plan, asked)
    same = table.unit == PP and metric == ACCURACY and unit_of(block) == PP
    theirs = effect_of(table, claim, same_unit=same)
    printed = effect_of(table, claim, same_unit=True)
    assert printed.effect is not None
    said = _agreement(_towards(theirs, table, block), found, block)
    return Row(
        claim=claim.name,
        pack=pack,
        source=f"{of.source}, {table.place}",
        about=asked.about,
        metric=metric,
        published=printed.effect,
        published_unit=table.unit,
        margin=printed.margin,
        ours=found.get("delta_pp"),
        unit=unit_of(block) if block else "",
        ci_low=found.get("ci_low"),
        ci_high=found.get("ci_high"),
        sign=said.sign,
        size=said.size,
        answer=said.answer,
        setting=f"{_theirs(table)}; here {_ours(plan)}",
        differs=asked.differs,
        why=why,
    )


def _block(verdicts: Mapping[str, Any], asked: AskedBy) -> tuple[Mapping[str, Any], str]:
    """The verdicts that are about what is asked, and in which metric they are."""
    if not asked.quantity:
        return verdicts, str(verdicts["metric"])
    among = [*verdicts.get("quantities", ()), *verdicts.get("secondary", ())]
    own = (one for one in among if one["metric"] == asked.quantity)
    return next(own, {}), asked.quantity


def _found(
    block: Mapping[str, Any], plan: Mapping[str, Any], asked: AskedBy
) -> tuple[Mapping[str, Any], str]:
    """The judged comparison with an interval; else nothing, and why."""
    rows: Iterable[Mapping[str, Any]] = block.get("arms" if asked.arm else "contrasts", ())
    metric = block.get("metric")
    for row in rows:
        # Contrasts along the curve bear the same names, and are of another metric.
        if row["name"] == asked.about and row.get("metric", metric) == metric:
            if row.get("ci_low") is not None and row.get("verdict") != "pending":
                return row, ""
            return {}, row.get("reason") or str(row.get("verdict"))
    for refusal in plan.get("refusals", ()):
        if refusal["name"] == asked.about:
            return {}, f"not run, because {refusal['reason']}"
    return {}, "the study as it was run has no such comparison"


def _towards(theirs: PublishedEffect, table: Table, block: Mapping[str, Any]) -> PublishedEffect:
    """The published effect as one of our metric: more accuracy is less of a loss."""
    if theirs.effect is not None or not block:
        return theirs
    good = "lower" if table.measure == "hours" else "higher"
    if (block.get("better") or metric(str(block["metric"])).better) == good:
        return theirs
    return replace(theirs, sign=-theirs.sign)


def _agreement(
    theirs: PublishedEffect, found: Mapping[str, Any], block: Mapping[str, Any]
) -> Agreement:
    if not found:
        return Agreement("open", "open", "not resolved")
    low, high = float(found["ci_low"]), float(found["ci_high"])
    inside = [found.get(key) for key in ("equivalence_low", "equivalence_high")]
    ours = OurEffect(
        low=low,
        high=high,
        inside_low=low if inside[0] is None else float(inside[0]),
        inside_high=high if inside[1] is None else float(inside[1]),
        rope=block.get("rope_pp"),
    )
    return agreement(theirs, ours)


def _theirs(table: Table) -> str:
    setting = table.setting
    runs = "seeds unknown" if setting.runs is None else counted(setting.runs, "seed")
    return ", ".join(filter(None, [setting.network, setting.data, setting.training, runs]))


def _ours(plan: Mapping[str, Any]) -> str:
    """Data, network and training of the baseline, and the fewest seeds of an arm."""
    baseline, *others = plan["arms"]
    recipe = baseline["recipe"]
    seeds = counted(min(len(arm["seeds"]) for arm in others or [baseline]), "seed")
    if "model" not in recipe:  # somebody's own command
        return seeds
    train, params = recipe["train"], baseline.get("params")
    length = f"{train['steps']} steps" if train.get("steps") else f"{train['epochs']} epochs"
    size = f" of {params:,} parameters" if params else ""
    return f"{recipe['model']['family']}{size}, {recipe['data']['name']}, {length}, {seeds}"
