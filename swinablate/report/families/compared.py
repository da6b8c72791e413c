"""Comparisons that were declared beside those with the baseline, as rows."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from swinablate.report.results import StudyResults
from swinablate.stats import CONTRASTS
from swinablate.text import formula

COLUMNS = (
    "contrast", "of", "delta_pp", "ci_low", "ci_high", "p_holm", "verdict", "negligible",
    "given_convergence", "worst_low", "worst_high", "reason", "detectable_pp", "confounded",
)  # fmt: skip


def declared(answer: StudyResults) -> list[dict[str, Any]]:
    """The contrasts that were declared one by one, with what is subtracted from what (`of`)."""
    return [
        {**found, "of": formula(found["weights"])}
        for found in answer.verdicts["contrasts"]
        if found["family"] == CONTRASTS
    ]


def contrasts_table(answer: StudyResults) -> pd.DataFrame:
    """One row for every declared contrast; arms that are compared with others come first."""
    rows = [
        {
            **{key: found.get(key) for key in COLUMNS},
            "contrast": found["name"],
            "confounded": answer.plan.confounded.get(found["name"], ""),
        }
        for found in declared(answer)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def within(judged: Mapping[str, Any]) -> bool:
    """Whether some difference is of seeds in common, and not that of the means beside it."""
    n = {one["name"]: one["n"] for one in (judged["baseline"], *judged["arms"])}
    base = judged["baseline"]["name"]
    paired = [arm for arm in judged["arms"] if arm.get("pairs") is not None]
    return any({n[arm["name"]], n[beside(arm) or base]} != {arm["pairs"]} for arm in paired)


def beside(arm: Mapping[str, Any]) -> str:
    """What an arm is compared with, where that is not the baseline; else nothing."""
    return str(arm.get("against") or "")
