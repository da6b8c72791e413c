"""The ablation table for a paper: booktabs, every name escaped."""

import pandas as pd

from swinablate.config.metrics import ACCURACY
from swinablate.report.drawing import records
from swinablate.report.drawing.numbers import (
    DASH,
    MINUS,
    PM,
    count,
    interval,
    mean_sd,
    p_value,
    share,
    signed,
)
from swinablate.report.drawing.scale import scale_of
from swinablate.report.prose import kind
from swinablate.report.results import StudyResults

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    MINUS: "$-$", PM: r"$\pm$", DASH: "--", "\N{GREEK CAPITAL LETTER DELTA}": r"$\Delta$",
}  # fmt: skip


def escape(text: str) -> str:
    """The text as LaTeX prints it; characters no font has become a question mark."""
    return "".join(SPECIAL.get(c, c if c.isprintable() else "?") for c in text)


def arms_tex(answer: StudyResults, arms: pd.DataFrame) -> str:
    """A `tabular` with a comment that says what it needs and what the numbers are."""
    judged = answer.verdicts
    level = f"{100 * (1 - judged['alpha']):g}"
    scale = scale_of(judged)
    own = judged.get("declared", True) and judged["metric"] == ACCURACY
    measured = r"accuracy (\%)" if own else escape(scale.axis(judged["metric"]))
    difference = r"$\Delta$" + escape(scale.of_differences)
    head = ["arm", "$n$", measured, difference, rf"{level}\,\% CI", "$p$ (adjusted)",
            "verdict", "params", "MACs"]  # fmt: skip
    lines = [
        r"% \usepackage[T1]{fontenc}, \usepackage{booktabs}; XeLaTeX for other scripts",
        f"% {_comment(answer.plan.study)}: {judged['metric']}, mean {DASH} sd over seeds;"
        f" {level} % {kind(answer)} intervals".replace(DASH, "+-"),
        r"\begin{tabular}{@{}lrlrlrlrr@{}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
    ]
    named = arms.against if "against" in arms else [None] * len(arms)
    for i, (arm, other) in enumerate(zip(records(arms), named, strict=True)):
        name = f"{arm.arm} (against {other})" if isinstance(other, str) else arm.arm
        cells = [name, share(arm.n, arm.planned), mean_sd(arm.mean, arm.sd)]
        if i:
            verdict = f"{arm.verdict} (negligible)" if arm.negligible is True else arm.verdict
            delta = signed(arm.delta_pp, scale.places)
            bounds = interval(arm.ci_low, arm.ci_high, scale.places)
            cells += [delta, bounds, p_value(arm.p_holm), verdict]
        else:
            cells += ["", "", "", ""]
        cells += [count(arm.params), count(arm.macs)]
        lines.append(" & ".join(_cell(cell) for cell in cells) + r" \\")
        if i == 0 and len(arms) > 1:
            lines.append(r"\midrule")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def contrasts_tex(answer: StudyResults, contrasts: pd.DataFrame) -> str:
    """A `tabular` of the declared contrasts; what is subtracted from what stands in each row."""
    judged, scale = answer.verdicts, scale_of(answer.verdicts)
    level = f"{100 * (1 - judged['alpha']):g}"
    difference = "estimate" + escape(scale.of_differences)
    head = ["contrast", "of", difference, rf"{level}\,\% CI", "$p$ (adjusted)", "verdict"]
    lines = [
        r"% \usepackage[T1]{fontenc}, \usepackage{booktabs}; XeLaTeX for other scripts",
        f"% {_comment(answer.plan.study)}: {judged['metric']}; {level} % {kind(answer)} intervals",
        r"\begin{tabular}{@{}llrlrl@{}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
    ]
    for one in records(contrasts):
        verdict = f"{one.verdict} (negligible)" if one.negligible is True else one.verdict
        cells = [
            one.contrast,
            one.of,
            signed(one.delta_pp, scale.places),
            interval(one.ci_low, one.ci_high, scale.places),
            p_value(one.p_holm),
            verdict,
        ]
        lines.append(" & ".join(_cell(cell) for cell in cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _cell(text: str) -> str:
    """A cell; one that begins with a bracket would be read as an option of the line before."""
    return f"{{{escape(text)}}}" if text.startswith(("[", "*")) else escape(text)


def _comment(text: str) -> str:
    return "".join(c for c in text if c.isprintable())
