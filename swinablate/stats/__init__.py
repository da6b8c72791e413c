"""Verdicts over seeds: effects, intervals, power, sentences. Numbers in, numbers out.

Everything is computed from a tidy table and what was declared before launch; nothing here
reads a file or draws. `effects` and `verdicts` are the doors.
"""

from swinablate.stats.comparisons.contrasts import check_weights, declared, instead
from swinablate.stats.comparisons.factorial import INTERACTIONS, MAIN, PATH, factorial, path
from swinablate.stats.declaration import (
    ARMS,
    CONTRASTS,
    TUNED,
    TUNED_CONTRASTS,
    ArmVerdict,
    Declaration,
    Estimate,
    Hypothesis,
    HypothesisAnswer,
    Step,
    Tally,
    Verdicts,
    Warn,
)
from swinablate.stats.estimate import Contrast, Method
from swinablate.stats.judge import judge_family
from swinablate.stats.planned.selftest import selftest
from swinablate.stats.power import (
    detectable,
    detectable_at,
    detectable_effects,
    last_look_needed,
    seeds_for_equivalence,
    seeds_needed,
)
from swinablate.stats.sample import diverged_shares, read_samples
from swinablate.stats.sequential.look import Decisions, beside, look
from swinablate.stats.verdict import contrasts, effects, others_of, verdicts

__all__ = [
    "ARMS",
    "CONTRASTS",
    "INTERACTIONS",
    "MAIN",
    "PATH",
    "TUNED",
    "TUNED_CONTRASTS",
    "ArmVerdict",
    "Contrast",
    "Decisions",
    "Declaration",
    "Estimate",
    "Hypothesis",
    "HypothesisAnswer",
    "Method",
    "Step",
    "Tally",
    "Verdicts",
    "Warn",
    "beside",
    "check_weights",
    "contrasts",
    "declared",
    "detectable",
    "detectable_at",
    "detectable_effects",
    "diverged_shares",
    "effects",
    "factorial",
    "instead",
    "judge_family",
    "last_look_needed",
    "look",
    "others_of",
    "path",
    "read_samples",
    "seeds_for_equivalence",
    "seeds_needed",
    "selftest",
    "verdicts",
]
