"""The tables of a report, as numbers; how they look is decided elsewhere."""

import io
import re
from collections.abc import Mapping, Sequence
from csv import writer
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from swinablate.records.plan import ArmRecord
from swinablate.records.tables import CURVES, TRIALS
from swinablate.report.drawing.numbers import DASH
from swinablate.report.families.contention import timed
from swinablate.report.families.tunings import settled
from swinablate.report.results import StudyResults
from swinablate.text import column_of, level, signed

ARMS = (
    "arm", "changes", "family", "planned", "n", "failed", "diverged", "waiting", "mean", "sd",
    "median", "collapsed",
    "delta_pp", "ci_low", "ci_high", "new_images_low", "new_images_high", "p_holm",
    "verdict", "negligible", "given_convergence", "worst_low", "worst_high", "reason",
    "detectable_pp",
    "params", "macs", "images_per_s", "peak_mib", "train_s", "device",
    "test_acc", "train_eval_acc", "gap_pp",
)  # fmt: skip


CLASSES = 20
"""Rows of a table of classes that are read; of more, the smallest and the largest are told."""
LOST = ("failed", "diverged")
FORMULA = re.compile(r"(?:^|(?<=;)|(?<=\S[\t\r\n]))(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20].)")
"""Where a spreadsheet would begin to calculate: at the start of a cell, or, where its language
separates cells otherwise, of a part of it. The last four are the wide signs of East Asia."""
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")


def csv(frame: pd.DataFrame) -> str:
    """A table as a file: what a spreadsheet would run gets an apostrophe before it.

    Every CSV is written here. Numbers stay numbers, also negative ones.
    """
    inert, known = frame.copy(), dict[str, str]()  # of thousands of rows, most cells are alike

    def made(cell: object) -> object:
        if not isinstance(cell, str):
            return cell
        if cell not in known:
            known[cell] = _inert(cell)
        return known[cell]

    for name in frame.columns:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column):
            continue
        if any(made(cell) is not cell for cell in column.unique()):
            inert[name] = column.map(made)
    # Half of the time that pandas takes to write the same: it makes text of numbers one by one.
    text = io.StringIO()
    lines = writer(text, lineterminator="\n")
    lines.writerow([made(name) for name in inert.columns])
    cells = [_cells(column) for _, column in inert.items()]
    lines.writerows(zip(*cells, strict=True))
    return text.getvalue()


def _cells(column: "pd.Series[Any]") -> list[Any]:
    """The cells of a column as Python has them; empty where nothing is known."""
    values, unknown = column.tolist(), column.isna().to_numpy()
    if not unknown.any():
        return values
    return ["" if lacks else value for value, lacks in zip(values, unknown.tolist(), strict=True)]


def _inert(cell: str) -> str:
    inert = cell if NUMBER.fullmatch(cell) else FORMULA.sub("'", cell)
    return cell if inert == cell else inert


def arms_table(answer: StudyResults) -> pd.DataFrame:
    """One row for every arm, the baseline first, then in the order of the plan.

    Throughput and training time are medians over seeds, memory is the highest. Where times do not
    compare (W28) there is neither: what each trial recorded is in the table of trials.
    """
    base = answer.verdicts["baseline"]
    sized = ("params", "macs", "images_per_s", "peak_mib", "train_s", "test_acc", "train_eval_acc")
    numbers = answer.trials.astype(dict.fromkeys(sized, float))
    by_arm = numbers[["arm", "status", "device", *sized]].groupby("arm", sort=False)
    own = {name: _columns(trials) for name, trials in by_arm}
    none, clock = _columns(numbers[:0]), timed(answer.verdicts["warnings"])
    planned = {arm.name: arm for arm in answer.plan.arms}
    rows = []
    for arm in (base, *answer.verdicts["arms"]):
        trials = own.get(arm["name"], none)
        row = {
            **_judged(arm),
            **_declared(planned[arm["name"]]),
            **_cost(trials, timed=clock),
            **_gap(trials),
        }
        row["params"] = row["params"] or _first(trials["params"])
        row["macs"] = row["macs"] or _first(trials["macs"])
        rows.append(row)
    columns = list(ARMS)
    if any(arm.get("against") for arm in answer.verdicts["arms"]):
        columns.insert(columns.index("changes") + 1, "against")
        for row, arm in zip(rows[1:], answer.verdicts["arms"], strict=True):
            row["against"] = arm.get("against")
    return pd.DataFrame(rows, columns=columns)


def every_trial(answer: StudyResults) -> pd.DataFrame:
    """One row for every trial; with tuning, at which recipe it counts.

    `basis` is fixed, tuned, or both where tuning chose the recipe that an arm had; a trial of
    tuning itself counts at neither.
    """
    own = pd.concat([answer.trials, answer.away]) if len(answer.away) else answer.trials
    if not answer.verdicts.get("tuning"):
        return own
    away = answer.tuned_away
    tuning = pd.concat([answer.tuning, away]) if len(away) else answer.tuning
    both = own.trial.isin(tuning[tuning.kind == "final"].trial)
    fixed = own.assign(basis=np.where(both, "both", "fixed"), number=None, repeat=None)
    more = tuning[~tuning.trial.isin(own.trial)]
    more = more.assign(basis=more.kind.map({"final": "tuned"}))
    rows = [*fixed.to_dict("records"), *more.to_dict("records")]
    of_tuning = ["number", "repeat"]
    found = pd.DataFrame(rows, columns=[*answer.trials.columns, "basis", *of_tuning])
    return found.astype(dict.fromkeys(of_tuning, "Int64"))


def whole(answer: StudyResults) -> StudyResults:
    """The answer with every column and arm a report asks for; what is unknown is empty.

    Results trained elsewhere have an arm, a seed and a value, and perhaps nothing else.
    """
    trials = answer.trials
    if "test_acc" not in trials:
        trials = trials.rename(columns={"value": "test_acc"})
    missing = [column for column in TRIALS if column not in trials]
    trials = trials.assign(**dict.fromkeys(missing))
    trials["status"] = trials.status.fillna("done")
    # As in the statistics: a result that is no number is a failure, never a gap in a mean.
    own = bool(answer.plan.arms) and answer.plan.baseline.commanded
    column = column_of(answer.plan.compare.metric) if own else "test_acc"
    lost = (trials.status == "done") & ~np.isfinite(trials[column].astype(float))
    trials["failure"] = trials.failure.where(~lost, "no finite result")
    trials["status"] = trials.status.where(~lost, "failed")
    trials[column] = trials[column].where(~lost, np.nan)
    if trials.seed.isna().all():
        trials["seed"] = trials.groupby("arm").cumcount()
    judged = (answer.verdicts["baseline"], *answer.verdicts["arms"])
    arms = answer.plan.arms or tuple(ArmRecord(name=arm["name"]) for arm in judged)
    return replace(
        answer,
        plan=answer.plan.model_copy(update={"arms": arms}),
        trials=trials[[*TRIALS, *(c for c in trials if c not in TRIALS)]],
        curves=answer.curves.reindex(columns=[*CURVES]),
    )


def changes(arm: ArmRecord) -> str:
    """What an arm changes, as it would be written in a study file.

    An arm that takes another recipe lacks some of the baseline's switches; they are not listed.
    """
    return ", ".join(
        f"{key} = {level(value, quote=True)}"
        for key, value in arm.changes.items()
        if value is not None
    )


def proofs(answer: StudyResults) -> list[dict[str, Any]]:
    """What each arm's network has otherwise than the baseline's, as its plan proved it.

    `logits` is the change of the logits under shared weights, in percent of the baseline's;
    None for another family, which shares nothing.
    """
    rows = []
    for arm in answer.plan.arms:
        proof = arm.proof
        if not proof:
            continue
        other = "model.family" in arm.differs
        moves = proof.output or proof.output_train
        rows.append(
            {
                "arm": arm.name,
                "modules": proof.modules.count,
                "parameters": proof.parameters.count,
                "buffers": proof.buffers.count,
                "restarted": len(proof.restarted),
                "logits": None if other or moves is None else 100 * moves,
                "where": "another family" if other else ", ".join(proof.where),
                "match": matched(arm),
            }
        )
    return rows


def images(answer: StudyResults) -> list[dict[str, Any]]:
    """The images of the study: a table each, a row a class where there are few, else one for all.

    Nothing of a study that was recorded before plans said how many there are.
    """
    found = []
    for one in answer.plan.images:
        parts = list(one.sizes)
        rows = [("all", [f"{one.sizes[part]:,}" for part in parts])]
        counts = (
            list(zip(*(one.per_class[part] for part in parts), strict=True))
            if one.per_class
            else []
        )
        if 0 < len(counts) <= CLASSES:
            names = one.classes if len(one.classes) == len(counts) else range(len(counts))
            rows += [
                (str(name), [f"{n:,}" for n in of]) for name, of in zip(names, counts, strict=True)
            ]
        elif counts:
            ends = [(min(of), max(of)) for of in (one.per_class[part] for part in parts)]
            said = [f"{low:,}" if low == high else f"{low:,} to {high:,}" for low, high in ends]
            rows.append((f"each of {len(counts):,} classes", said))
        found.append({"of": one, "parts": parts, "rows": rows})
    return found


def matched(arm: ArmRecord) -> str:
    """What was solved to make an arm as large as the baseline, and how well it fits."""
    match = arm.match
    if not match:
        return ""
    changes = ", ".join(
        f"{path} {level(before)} to {level(after)}"
        for path, (before, after) in match.solved.items()
    )
    return f"matched in {match.by} ({signed(100 * match.off, 1)} %): {changes or 'nothing'}"


def along(contrasts: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """The effects along the curve: an arm, and what it is at equal epochs, MACs, seconds.

    Where times do not compare, the last is left out.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for contrast in contrasts:
        if contrast["family"] == "curve":
            found.setdefault(contrast["name"].rpartition(" at equal ")[0], []).append(contrast)
    return list(found.items())


def statuses(answer: StudyResults) -> dict[str, int]:
    """How many trials ended how."""
    counts = every_trial(answer).status.value_counts()
    return {str(status): int(n) for status, n in counts.items()}


def interim(answer: StudyResults) -> bool:
    """Whether planned trials are missing that may still come."""
    return bool(open_parts(answer))


def open_parts(answer: StudyResults) -> list[str]:
    """What is not complete: arms at fixed recipes, tuned ones, at other scales, on other data."""
    arms = answer.verdicts.get("tuning", {}).get("arms", ())
    tuned = any(not settled(arm) or arm["n"] < arm["planned"] - _gone(answer, arm["name"])
                for arm in arms)  # fmt: skip
    coming = ["waiting", "running"]
    fixed = bool(answer.trials.status.isin(coming).any())
    away = bool(len(answer.away) and answer.away.status.isin(coming).any())
    trends = answer.verdicts.get("scale", ())
    away |= any(one["why"].startswith("pending") for one in trends if one.get("basis") == "tuned")
    several = "datasets" if answer.planned.datasets else "scale"
    open_ = {"fixed": fixed, "tuned": tuned, several: away}
    return [name for name, still in open_.items() if still]


def lost(answer: StudyResults) -> pd.DataFrame:
    """The trials that failed or diverged."""
    rows = every_trial(answer)
    return rows[rows.status.isin(LOST)]


def flat(value: object, key: str = "") -> list[tuple[str, str]]:
    """A nested value as lines: dotted key, text."""
    if isinstance(value, Mapping):
        return [
            line for k, v in value.items() for line in flat(v, f"{key}.{k}" if key else str(k))
        ]
    if isinstance(value, list | tuple):
        if any(isinstance(item, Mapping) for item in value):
            many = len(value) > 1
            return [
                line
                for i, item in enumerate(value, 1)
                for line in flat(item, f"{key} {i}".strip() if many else key)
            ]
        return [(key, ", ".join(map(str, value)))]
    if value is None or value == "":
        return []
    return [(key, {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value))]


def origins(value: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Where the numbers come from, a row for each fact: what, of the trials, of this report.

    What both have in common stands once: the last is then empty, as it is for what the report has
    no part in. Trials that differ are listed, each value once.
    """
    runs: dict[str, list[str]] = {}
    for one in value.get("trials") or ():
        for key, text in flat(one):
            runs.setdefault(key, []).append(text)
    here = dict(flat(value.get("report") or {}))
    rows = []
    for key in dict.fromkeys([*runs, *here]):
        then, now = "; ".join(dict.fromkeys(runs.get(key, ()))), here.get(key, "")
        rows.append((key, then or DASH, "" if then == now or not here else now or DASH))
    ran: dict[str, list[str]] = {}
    for one in value.get("execution") or ():
        for key, text in flat(one):
            ran.setdefault(key, []).append(text)
    known = {key for key, *_ in rows}
    rows += [
        (key, "; ".join(dict.fromkeys(texts)), "")
        for key, texts in ran.items()
        if key not in known and f"versions.{key}" not in known
    ]
    rest = {k: v for k, v in value.items() if k not in {"trials", "report", "execution"}}
    return rows + [(key, text, "") for key, text in flat(rest)]


def _judged(arm: Mapping[str, Any]) -> dict[str, Any]:
    known = ARMS[ARMS.index("planned") : ARMS.index("params")]  # what a verdict has, not the plan
    keys = [key for key in known if key in arm]
    return {"arm": arm["name"], **{key: arm[key] for key in keys}}


def _declared(arm: ArmRecord) -> dict[str, Any]:
    return {
        "changes": changes(arm),
        "family": arm.family or None,
        "params": arm.params,
        "macs": arm.macs,
    }


def _columns(trials: pd.DataFrame) -> dict[str, np.ndarray]:
    """The columns of an arm; a thousand arms ask a frame for each of them in seconds."""
    return {str(name): trials[name].to_numpy() for name in trials.columns}


def _cost(mine: Mapping[str, np.ndarray], *, timed: bool) -> dict[str, Any]:
    done = zip(mine["device"], mine["status"], strict=True)
    return {
        "images_per_s": _over(mine["images_per_s"], np.median) if timed else None,
        "peak_mib": _over(mine["peak_mib"], np.max),
        "train_s": _over(mine["train_s"], np.median) if timed else None,
        "device": "; ".join(
            sorted({device for device, status in done if status == "done" and pd.notna(device)})
        ),
    }


def _gap(mine: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Mean accuracies on training and test images, and what the one has over the other.

    Both without random changes and in evaluation mode, over the trials that have both.
    """
    test_acc, train_acc = mine["test_acc"], mine["train_eval_acc"]
    both = (mine["status"] == "done") & ~np.isnan(test_acc) & ~np.isnan(train_acc)
    test, train = (_over(values[both], np.mean) for values in (test_acc, train_acc))
    gap = None if test is None or train is None else train - test
    return {"test_acc": test, "train_eval_acc": train, "gap_pp": gap}


def _gone(answer: StudyResults, arm: str) -> int:
    """Final trials of an arm at its tuned recipe that ended without a result."""
    rows = answer.tuning[(answer.tuning.arm == arm) & (answer.tuning.kind == "final")]
    return int(rows.status.isin(LOST).sum())


def _first(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known[0]) if len(known) else None


def _over(values: np.ndarray, how: Any) -> float | None:
    known = values[~np.isnan(values)]
    return float(how(known)) if len(known) else None
