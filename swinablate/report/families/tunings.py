"""What a report shows of tuning: what was chosen, by each tuning of an arm, and in words how."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from swinablate.report.families.tuned_verdicts import SUFFIX
from swinablate.report.results import StudyResults
from swinablate.stats import CONTRASTS, TUNED_CONTRASTS
from swinablate.text import counted, formula, level


def tuning(answer: StudyResults) -> list[dict[str, Any]]:
    """What tuning chose for every arm, beside its difference at both recipes."""
    found = answer.verdicts.get("tuning")
    if not found:
        return []
    contrasts = {c["name"]: c for c in answer.verdicts["contrasts"]}
    fixed = {arm["name"]: arm for arm in answer.verdicts["arms"]}
    return [
        {
            **arm,
            "asked": found["trials"] * arm.get("tunings", 1),
            "recipe": _several(arm) if "choices" in arm else _recipe(arm["params"]),
            "chosen": None if not settled(arm) else arm["chosen"],
            "settled": settled(arm),
            "fixed": fixed.get(arm["name"]),
            "tuned": contrasts.get(f"{arm['name']}{SUFFIX}"),
        }
        for arm in found["arms"]
    ]


def compared(answer: StudyResults) -> list[dict[str, Any]]:
    """The declared contrasts at tuned recipes, beside themselves at the fixed ones."""
    found = answer.verdicts["contrasts"]
    fixed = {one["name"]: one for one in found if one["family"] == CONTRASTS}
    return [
        {**one, "of": formula(one["weights"]), "fixed": fixed[name]}
        for one in found
        if (one["family"], one["kind"]) == (TUNED_CONTRASTS, "contrast")
        and (name := one["name"].removesuffix(SUFFIX)) in fixed
    ]


def at_rungs(judged: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The trends of a report; of tuned ones each rung with what tuning chose there, in words."""
    return [
        {**one, "rungs": [{**at, "recipes": _sides(at.get("chosen", {}))} for at in one["rungs"]]}
        for one in judged.get("scale", ())
    ]


def _sides(chosen: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    return "; ".join(f"{arm}: {_spans(found)}" for arm, found in chosen.items() if found)


def settled(arm: Mapping[str, Any]) -> bool:
    """Whether every tuning of an arm has chosen."""
    return all(one["chosen"] is not None for one in arm.get("choices", (arm,)))


def choices(answer: StudyResults) -> list[dict[str, Any]]:
    """What each tuning of each arm chose, where arms were tuned more than once."""
    return [
        {"arm": arm["name"], **one, "recipe": _recipe(one["params"])}
        for arm in answer.verdicts.get("tuning", {}).get("arms", ())
        for one in arm.get("choices", ())
    ]


def choices_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The same as a table, a column for every tuned key."""
    plain = ("arm", "repeat", "seeds", "chosen", "val_fixed", "val_acc", "mean")
    found = [
        {
            **{key: row[key] for key in plain},
            "seeds": " ".join(map(str, row["seeds"])),
            **(row["params"] or {}),
        }
        for row in rows
    ]
    return pd.DataFrame(found)


def how_tuned(answer: StudyResults) -> str:
    """How the arms were tuned, and what may be said after it."""
    how = answer.verdicts.get("tuning")
    if not how:
        return ""
    spaces = []
    for key, part in how["space"].items():
        if isinstance(part, list):
            text = "one of " + ", ".join(map(str, part))
        else:
            scale = ", logarithmic" if part["log"] else ""
            text = f"{part['low']:g} to {part['high']:g}{scale}"
        spaces.append(f"{key} ({text})")
    seeds = counted(how["seeds"], "seed")
    return (
        f"Every arm, the baseline too, tried {how['trials']} recipes, its own first, over "
        f"{'; '.join(spaces)}. Each was trained with {seeds} from a random stream that no final "
        "trial shares, and judged on validation accuracy; Optuna's TPE suggested them, nothing "
        "was pruned, and tuning never saw the test set. " + _repeated(how.get("repeats", 1))
    )


def _repeated(repeats: str | int) -> str:
    if repeats == 1:
        return (
            "The best was then trained with the arm's final seeds. Each arm was tuned once, so "
            "tuned differences are between the recipes found, with intervals given these: how "
            "lucky each tuning was is in none, and no verdict is given about the arms."
        )
    if repeats == "seed":
        return (
            "This was done anew for every final seed, with first recipes and tuning seeds of its "
            "own, and the seed was then trained at the best recipe that its tuning had found: the "
            "intervals hold over seeds and tunings alike."
        )
    return (
        f"This was done {repeats} times for every arm, with first recipes and tuning seeds of "
        "their own; the final seeds were dealt to the tunings one after another, and each was "
        "trained at the best recipe of its tuning. The mean over the seeds of a tuning is one "
        "result: means, standard deviations and intervals are over tunings."
    )


def _recipe(params: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{_last(key)} = {_tried(value)}" for key, value in (params or {}).items())


def _several(arm: Mapping[str, Any]) -> str:
    """Between what the choices of an arm's tunings lie."""
    found = [one["params"] for one in arm["choices"] if one["params"]]
    who = counted(arm["tunings"], "tuning")
    ended = f"{len(found)} of {who}" if len(found) < arm["tunings"] else who
    return f"{ended}: {_spans(found)}" if found else f"{ended} ended"


def _spans(found: Sequence[Mapping[str, Any]]) -> str:
    """Every tuned key with the value it got, or those between which it lies."""
    spans = []
    for key in found[0] if found else ():
        values = list(dict.fromkeys(params[key] for params in found))
        numbers = all(isinstance(v, float | int) and not isinstance(v, bool) for v in values)
        text = ", ".join(map(_tried, values))
        if numbers and len(values) > 1:
            text = f"{_tried(min(values))} to {_tried(max(values))}"
        spans.append(f"{_last(key)} = {text}")
    return ", ".join(spans)


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _tried(value: object) -> str:
    """A level that tuning tried: a number it drew has more digits than anybody reads."""
    return f"{value:g}" if isinstance(value, float) else level(value, quote=True)
