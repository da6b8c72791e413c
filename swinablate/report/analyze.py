"""The same statistics and figures for results trained anywhere: a CSV file in, an answer out."""

import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swinablate.config.compare import DeclaredHypothesis
from swinablate.config.plugins import did_you_mean
from swinablate.errors import InputError
from swinablate.records.launch import program
from swinablate.records.plan import ArmRecord, CompareRecord, HypothesisRecord, PlanRecord
from swinablate.records.provenance import provenance
from swinablate.records.secrets import redact_address
from swinablate.records.tables import CURVES, TRIALS
from swinablate.report.families.datasets import over
from swinablate.report.foreign.columns import FEW, Columns, Results, is_folder, read_results
from swinablate.report.foreign.declared import check_arms
from swinablate.report.foreign.measure import Measure, Measured, settled
from swinablate.report.results import StudyResults
from swinablate.stats import Declaration, Hypothesis, verdicts
from swinablate.stats.declaration import SCHEMA
from swinablate.stats.estimate import Method
from swinablate.study.arms.labels import check_labels

OVER = "over-data-sets"
"""The folder of the report over all data sets, beside those of each."""
RUN = ["dataset", "arm", "seed"]
"""What tells one run from another."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a study file says besides, where one names the results.

    Attributes:
        study: the file.
        question: in words.
        hypotheses: about arms.
        labels: how figures call them.
        command: what gives the same answers again.
    """

    study: Path
    question: str
    hypotheses: Sequence[DeclaredHypothesis]
    labels: Mapping[str, str]
    command: str


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of a table.

    Attributes:
        baseline: the arm the others are compared with; "" was not said, and is asked for.
        rope: the smallest difference that matters, in the unit of differences; None calls
            nothing equivalent.
        alpha: error rate of all comparisons together, for every data set.
        columns: what the columns are called.
        measure: what the values are.
        method: as in `verdicts`.
        tracking: MLflow's tracking URI, where the results are an experiment's runs.
        asked: by a study file, where one names the results.
    """

    baseline: str
    rope: float | None = None
    alpha: float = 0.05
    columns: Columns = field(default_factory=Columns)
    measure: Measure = field(default_factory=Measure)
    method: Method = "auto"
    tracking: str = ""
    asked: Asked | None = None


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The answers of a table.

    Attributes:
        answers: one for every data set; its name is "" where there is but one.
        taken: what values of which nobody said what they are were taken for; "" if all was said.
    """

    answers: Mapping[str, StudyResults]
    taken: str = ""

    @property
    def only(self) -> StudyResults:
        """The answer about the only data set.

        Raises:
            ValueError: there are several.
        """
        (answer,) = self.answers.values()
        return answer

    def to_json(self) -> Mapping[str, Any]:
        """Return verdicts.json; of several data sets, one for each, and what holds over them."""
        if len(self.answers) == 1:
            return self.only.verdicts
        found = {name: answer.verdicts for name, answer in self.answers.items()}
        return {"schema": SCHEMA, "datasets": found, "over": over(found)}

    def folders(self, out: Path) -> dict[str, Path]:
        """Where the report of each data set goes: a folder of its own, if there are several."""
        if len(self.answers) == 1:
            return dict.fromkeys(self.answers, out)
        found: dict[str, Path] = {}
        for name in self.answers:
            plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")[:64] or "data"
            taken = {OVER, *(path.name.lower() for path in found.values())}  # no case, some disks
            number = next(
                i for i in range(1, len(found) + 2) if _nth(plain, i).lower() not in taken
            )
            found[name] = out / _nth(plain, number)
        return found


def _nth(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def analyze(file: Path, question: Question) -> Analysis:
    """Judge a table of results.

    Args:
        file: CSV with columns arm, seed, value; optional status, params, macs, dataset, metric,
            and step (the last one of each run is the result, all are its curve); or a folder of
            TensorBoard's events; or, with `question.tracking`, the name of an experiment.
        question: what is asked of it.

    Raises:
        InputError: the file cannot be read as such a table, or its values cannot be meant.
    """
    results = read_results(file, question.columns, question.baseline, question.tracking)
    if not question.baseline:
        arms = list(dict.fromkeys(results.rows.arm))
        named = ", ".join(arms[:FEW]) + (f", {len(arms) - FEW} more" if len(arms) > FEW else "")
        raise InputError(
            "which arm are the others compared with?",
            at=f"{file}: --baseline",
            hint=f"arms: {named}; for the first: --baseline {shlex.quote(arms[0])}",
        )
    found = settled(results, question.measure)
    names = found.datasets
    alone = len(names) == 1
    for name in names:
        arms = list(dict.fromkeys(found.rows.arm[found.rows.dataset == name]))
        if question.baseline not in arms:
            where = "" if alone else f" in data set {name!r}"
            hint = did_you_mean(question.baseline, sorted(arms))
            raise InputError(
                f"no arm is called {question.baseline!r}{where}",
                at=f"{file}: --baseline",
                hint=hint,
            )
        if len(arms) == 1:
            raise InputError(
                f"{question.baseline!r} is the only arm" + ("" if alone else f" of {name!r}"),
                at=str(file),
                hint="give the results of an arm to compare with it",
            )
    _lengths(results)
    _networks(results)
    origin = {
        "report": provenance(),
        "file": file.name,
        "sha256": hashlib.sha256(_bytes(file, results, question)).hexdigest(),
        "command": question.asked.command if question.asked else command(file, question),
        **({"study file": question.asked.study.name} if question.asked else {}),
    }
    answers = {name: _answer(file, question, found, name, origin) for name in names}
    return Analysis(answers={"": answers[names[0]]} if alone else answers, taken=found.taken)


def _answer(
    file: Path, question: Question, found: Measured, name: str, origin: Mapping[str, Any]
) -> StudyResults:
    """The answer about one data set; `origin` is what is known of the file and the question."""
    names = found.datasets
    table = found.rows[found.rows.dataset == name]
    last = table.sort_values("step", kind="stable").groupby(RUN, sort=False).tail(1)
    last = last.sort_index()
    several = len(names) > 1
    shows = (
        f"Data set {name}, one of {len(names)} ({', '.join(names)}): each was judged by itself, "
        "with an error rate of its own; what holds over all of them stands in a report beside "
        "this one."
    )
    taken = f"Nothing said what was measured: this took {found.taken}." * bool(found.taken)
    try:
        declaration = Declaration(
            metric=found.metric,
            alpha=question.alpha,
            rope_pp=question.rope,
            baseline=question.baseline,
            shows=" ".join(filter(None, (shows * several, taken))),
            unit="pp" if found.percent else "none",
            better=found.better,
            declared=False,
            hypotheses=tuple(
                Hypothesis(one.arm, one.expect, one.by)
                for one in (question.asked.hypotheses if question.asked else ())
            ),
        )
        judged = verdicts(_named(last), declaration, complete=True, method=question.method)
    except InputError as error:
        at = f"{file}: --{error.at}" if error.at in {"alpha", "rope"} else str(file)
        raise InputError(error.problem, at=at, hint=error.hint) from None
    arms = [
        question.baseline,
        *(arm for arm in dict.fromkeys(table.arm) if arm != question.baseline),
    ]
    plan = _plan(f"{file.name}: {name}" if several else file.name, arms, last, declaration)
    if question.asked:
        plan = _asked(plan, question.asked, name if several else "")
    return StudyResults(
        plan=plan,
        trials=_trials(last),
        curves=_curves(table),
        verdicts=judged.to_json(),
        provenance={**origin, **({"data set": name} if several else {})},
    )


def _named(last: pd.DataFrame) -> pd.DataFrame:
    """The results with seeds as the table calls them, so that warnings do.

    Not where one seed has two names, `seed0` and `seed_0`: arms are compared within equal seeds.
    """
    if last.label.isna().any() or len(last[["seed", "label"]].drop_duplicates()) > len(
        last.seed.drop_duplicates()
    ):
        return last
    return last.assign(seed=last.label)


def _bytes(file: Path, results: Results, question: Question) -> bytes:
    """What was read: a file as it is, or the rows that were found where people log."""
    if question.tracking or is_folder(file):
        return results.rows.to_csv(index=False).encode()
    return file.read_bytes()


def command(file: Path, question: Question) -> str:
    """What gives the same answers again: every option that was given."""
    columns, measure = question.columns, question.measure
    given = {
        "--rope": question.rope,
        "--unit": measure.unit,
        "--better": measure.better,
        "--metric": measure.metric,
        "--arm": columns.arm,
        "--seed": columns.seed,
        "--value": columns.value,
        "--dataset": columns.dataset,
        "--method": None if question.method == "auto" else question.method,
        "--alpha": question.alpha,
        "--tracking-uri": redact_address(question.tracking) or None,
    }
    words = [*program(), "analyze", str(file), "--baseline", question.baseline]
    for option, value in given.items():
        words += [] if value is None else [option, str(value)]
    return shlex.join(words)


def _lengths(results: Results) -> None:
    """Refuse runs of unequal length: one that was stopped early is another training.

    Raises:
        InputError: there are some.
    """
    ends = results.rows.sort_values("step", kind="stable").groupby(RUN, sort=False).tail(1)
    done = ends[(ends.status == "done") & np.isfinite(ends.value)]
    for name, runs in done.groupby("dataset", sort=False):
        if runs.step.min() < runs.step.max():
            most = runs.step.mode().iloc[-1]
            odd = runs[runs.step != most].iloc[0]
            where = f" on {name}" if name else ""
            raise InputError(
                f"runs of unequal length{where}: {odd.arm}, seed {odd.label or int(odd.seed)} "
                f"ends at step {odd.step:g}, others at {most:g}; "
                "a run that was stopped early is no replicate",
                at=f"{results.file}: line {odd.line}",
                hint="mark it in a column 'status' as failed, or run it to its end; if every "
                "run ended where it should, give only the results, without steps",
            )


def _networks(results: Results) -> None:
    """Refuse an arm of several sizes: which of them would its cost be?

    Raises:
        InputError: there is one.
    """
    for column in ("params", "macs"):
        known = results.rows[results.rows[column].notna()]
        for (_, arm), runs in known.groupby(["dataset", "arm"], sort=False):
            other = runs[runs[column] != runs[column].iloc[0]]
            if len(other):
                one, two = runs[column].iloc[0], other[column].iloc[0]
                raise InputError(
                    f"{column} of {arm} are {one:.0f} and {two:.0f}",
                    at=f"{results.file}: line {other.line.iloc[0]}",
                    hint="an arm is one network: give each an arm of its own, or leave the "
                    "column out",
                )


def _plan(study: str, arms: list[str], last: pd.DataFrame, declaration: Declaration) -> PlanRecord:
    """The little that is known of a study that ran elsewhere."""

    def arm(name: str) -> ArmRecord:
        rows = last[last.arm == name]
        sizes = {key: rows[key].dropna() for key in ("params", "macs")}
        known = {key: int(found.iloc[0]) for key, found in sizes.items() if len(found)}
        return ArmRecord(name=name, seeds=tuple(int(seed) for seed in rows.seed), **known)

    return PlanRecord(
        study=study,
        compare=CompareRecord(
            metric=declaration.metric, rope=declaration.rope_pp, alpha=declaration.alpha
        ),
        arms=tuple(arm(name) for name in arms),
    )


def _asked(plan: PlanRecord, asked: Asked, data: str) -> PlanRecord:
    """The plan with what a study file says.

    Raises:
        InputError: a hypothesis or label of an arm that has no results.
    """
    at = str(asked.study)
    check_arms(asked.hypotheses, [arm.name for arm in plan.arms[1:]], at)
    check_labels(asked.labels, plan, at)
    said = [HypothesisRecord(**one.model_dump()) for one in asked.hypotheses]
    more = {
        "study": asked.study.stem + (f": {data}" if data else ""),
        "question": asked.question,
        "hypotheses": tuple(said),
        "labels": dict(asked.labels),
    }
    return plan.model_copy(update=more)


def _trials(last: pd.DataFrame) -> pd.DataFrame:
    columns = {"arm": last.arm, "seed": last.seed, "trial": last.label, "status": last.status}
    columns["test_acc"] = last.value
    sizes = {"params": last.params, "macs": last.macs}
    return pd.DataFrame(columns | sizes, columns=list(TRIALS)).reset_index(drop=True)


def _curves(table: pd.DataFrame) -> pd.DataFrame:
    counts = table.groupby(["arm", "seed"]).step.nunique()
    if counts.max() < 2:
        return pd.DataFrame(columns=list(CURVES))
    columns = {"arm": table.arm, "seed": table.seed, "epoch": table.step, "val_acc": table.value}
    return pd.DataFrame(columns, columns=list(CURVES))
