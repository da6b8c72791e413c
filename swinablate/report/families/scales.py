"""Whether a word depends on the scale on which percentages were compared.

Near 100 % a change that halves the errors is worth a point where there are two errors in a
hundred, and half a point where there is one: two such changes interact in percentage points, and
not in error ratios. Which is meant is for the reader to say; that it matters, for the report.
"""

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from swinablate.config.metrics import ACCURACY, metric
from swinablate.records.plan import PlanRecord
from swinablate.report.results import judge_trials
from swinablate.stats import Declaration, Estimate, Verdicts, Warn
from swinablate.study.declared import declaration
from swinablate.text import LOG_ODDS

CEILING = 90.0
"""Percent: from here an error more or less changes the number of errors by a tenth or more for
every point, and points and ratios tell different stories."""
CALLED = {"better", "worse"}


def scale_decides(plan: PlanRecord, judged: Verdicts, trials: pd.DataFrame) -> Iterator[Warn]:
    """W24: what is called on one scale and not, or otherwise, on the other.

    On the linear scale it is asked of interactions near 100 % only: whether two changes act
    together is a question of scale, which way one of them acts is hardly one.

    Args:
        plan: a recorded plan.
        judged: its verdicts on its own scale.
        trials: a row for every trial that counts.
    """
    logit = plan.compare.scale == "logit"
    means = [tally.mean for tally in (judged.baseline, *judged.arms) if tally.mean is not None]
    near = plan.compare.metric == ACCURACY and max(means, default=0.0) >= CEILING
    if plan.looks or not means or not (logit or near) or trials.test_images.isna().all():
        return
    if not logit and not any(e.contrast.kind == "interaction" for e in judged.contrasts):
        return
    other = _other(plan, trials)
    for ours, theirs in zip(judged.contrasts, other.contrasts, strict=True):
        kinds = logit or ours.contrast.kind == "interaction"
        words = {ours.verdict, theirs.verdict}
        if kinds and words & CALLED and len(words) > 1 and not (ours.reason or theirs.reason):
            yield Warn("W24", _text(ours, theirs, judged.declaration, other.declaration))


def _other(plan: PlanRecord, trials: pd.DataFrame) -> Verdicts:
    """The same question on the other scale, where no margin was declared."""
    scale = "linear" if plan.compare.scale == "logit" else "logit"
    compare = plan.compare.model_copy(update={"scale": scale, "rope": None})
    declared = declaration(plan.model_copy(update={"compare": compare}), trials)
    return judge_trials(plan, replace(declared, hypotheses=()), trials)


def _text(ours: Estimate, theirs: Estimate, own: Declaration, other: Declaration) -> str:
    called = metric(own.metric).called
    mine, its = (_scale(declared.unit) for declared in (own, other))
    return (
        f"the scale decides about {ours.contrast.name}: {ours.verdict} in {mine}, as declared, "
        f"{theirs.verdict} in {its} of {called}."
    )


def _scale(unit: str) -> str:
    return "error ratios" if unit == LOG_ODDS else "percentage points"
