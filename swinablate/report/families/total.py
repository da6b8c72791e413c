"""How likely a study is to say something wrong at all: over every family that it reports."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from swinablate.report.families.further import blocks_of
from swinablate.stats import ARMS, CONTRASTS, INTERACTIONS, MAIN, PATH, TUNED, TUNED_CONTRASTS
from swinablate.text import EXACT

CALLED: Mapping[str, str] = MappingProxyType(
    {
        ARMS: "the arms against the baseline",
        CONTRASTS: "the declared contrasts",
        MAIN: "the main effects",
        INTERACTIONS: "the interactions",
        PATH: "the steps of the path",
        "curve": "validation accuracy along the curve",
        TUNED: "the tuned arms",
        TUNED_CONTRASTS: "the declared contrasts of tuned arms",
    }
)


def families(judged: Mapping[str, Any]) -> list[str]:
    """The families of comparisons of a report, each with an error rate of its own, in words.

    Args:
        judged: as verdicts.json has it.
    """
    names = dict.fromkeys(one["family"] for one in judged["contrasts"])
    found = [CALLED.get(name, name) for name in names]
    if any(arm["diverged"] for arm in (judged["baseline"], *judged["arms"])):
        found.append("how often arms diverge")
    if trends := judged.get("scale"):
        found += ["the slopes over scales", "the signs at the smallest and the largest scale"]
        if any(one.get("basis") == "tuned" for one in trends) and "repeats" in judged["tuning"]:
            found += ["the slopes of tuned arms", "the signs of tuned arms at either end"]
    found += _over_sets(judged.get("datasets") or ())
    for block in blocks_of(judged):
        if block["method"] != EXACT:
            found.append(block["metric"])
            if any(one["family"] == CONTRASTS for one in block["contrasts"]):
                found.append(f"{block['metric']} of {CALLED[CONTRASTS]}")
    return found


def _over_sets(over: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of a study of several data sets: its arms on each but home, and what is said over them."""
    away = [one["dataset"] for arm in over for one in arm["sets"] if not one["home"]]
    found = [f"the arms on {name}" for name in dict.fromkeys(away)]
    return [*found, "the means over data sets"] if any(one["verdict"] for one in over) else found


def total_error(judged: Mapping[str, Any]) -> str:
    """One sentence about all families together, by Bonferroni's bound."""
    found, alpha = families(judged), judged["alpha"]
    most = 100 * min(1.0, len(found) * alpha)
    many = f"{len(found)} families, each" if len(found) > 1 else "1 family"
    return (
        f"{many} at alpha = {alpha:g} ({'; '.join(found)}): by chance some word of the report "
        f"would be wrong in at most {most:.3g} % of such studies"
    )
