"""The tables for a paper: as wide as the column they stand in, every name escaped.

`arms.tex` holds what a column of 3.25 in has room for, `arms_wide.tex` what a page of 6.75 in has.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import lookup

import pandas as pd

from swinablate.config.metrics import ACCURACY
from swinablate.config.plugins import did_you_mean
from swinablate.errors import InputError
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
)
from swinablate.report.drawing.scale import Scale, scale_of
from swinablate.report.drawing.words import called, metric, told
from swinablate.report.families.shares import labels_of
from swinablate.report.prose import kind
from swinablate.report.results import StudyResults
from swinablate.text import number, signed

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    MINUS: "$-$", PM: r"$\pm$", DASH: "--", "\N{MICRO SIGN}": r"$\mu$",
    "\N{MULTIPLICATION SIGN}": r"$\times$", "\N{LESS-THAN OR EQUAL TO}": r"$\leq$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$", "\N{NOT EQUAL TO}": r"$\neq$",
    "\N{ALMOST EQUAL TO}": r"$\approx$", "\N{RIGHTWARDS ARROW}": r"$\rightarrow$",
    "\N{LEFTWARDS ARROW}": r"$\leftarrow$", "\N{INFINITY}": r"$\infty$",
    "\N{EMPTY SET}": r"$\emptyset$", "\N{SQUARE ROOT}": r"$\surd$",
    "\N{SUPERSCRIPT TWO}": "$^2$", "\N{SUPERSCRIPT THREE}": "$^3$",
}  # fmt: skip
SPECIAL |= {
    lookup(f"GREEK {size} LETTER {name.upper().replace('LAMBDA', 'LAMDA')}"): rf"$\{name}$"
    for size, names in {
        "SMALL": "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho "
        "sigma tau upsilon phi chi psi omega",
        "CAPITAL": "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega",
    }.items()
    for name in names.split()
}
"""What rates and sizes are called by; pdfLaTeX has no letter for any of it."""
JOINED = "-,'"
"""Two of one of these are another character in T1: `--no-shift` would be printed with a dash."""
COMPACT = ("mean", "delta", "ci", "mark")
"""Fits 3.25 in, a column of a page of two, beside the arms' names."""
WIDE = ("n", "mean", "delta", "ci", "p", "verdict", "params", "macs")
"""Fits 6.75 in, both columns."""
COSTS = ("params", "macs", "train_s", "images_per_s", "peak_mib")
"""What an arm costs, as the table of arms calls it; of results from elsewhere mostly unknown."""
MARKS: Mapping[str, str] = {
    "better": r"$\uparrow$", "worse": r"$\downarrow$", "equivalent": r"$\approx$",
    "undecided": "?", "fails to train": r"$\times$", "pending": r"$\cdot$",
    "not tested": "--",
}  # fmt: skip
"""A verdict where there is no room for its word; the line under the table says them."""
BREAK = re.compile(r"(?<=[_=,/.])(?=[^\W\d])")
"""Where a long name may go on in the next line: as on the page."""
LONG = 12
"""Letters of a word that the column of names holds beside the widest numbers; a longer one may
break in its middle."""


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        spec: how it is set, for `tabularx`.
        head: its title.
        cell: of an arm; `first` is the baseline, which is compared with nothing.
    """

    spec: str
    head: str
    cell: Callable[[Any], str]
    compares: bool = False


def escape(text: str) -> str:
    """The text as LaTeX prints it; characters no font has become a question mark."""
    return "".join(
        SPECIAL.get(c, c if c.isprintable() else "?")
        + ("{}" if c in JOINED and text[i + 1 : i + 2] == c else "")
        for i, c in enumerate(text)
    )


def arms_tex(
    answer: StudyResults,
    arms: pd.DataFrame,
    columns: Sequence[str] = COMPACT,
    *,
    wide: bool = False,
) -> str:
    r"""A `tabularx` as wide as `\linewidth`, with a comment that says what it needs.

    Args:
        answer: what was recorded, judged.
        arms: as `tables.arms_table` gives them.
        columns: which, behind the arm's name, in order.
        wide: for a `table*`.
    """
    judged, scale = answer.verdicts, scale_of(answer.verdicts)
    known = _columns(answer, scale, arms)
    asked = [known[name] for name in columns]
    rows, best = records(arms), _best(arms, scale)
    named = arms.against if "against" in arms else [None] * len(arms)
    body = []
    labels = labels_of(answer.plan)
    for i, (arm, other) in enumerate(zip(rows, named, strict=True)):
        against = f" (against {called(other, labels)})" if isinstance(other, str) else ""
        name = _name(f"{called(arm.arm, labels)}{against}")
        bold = i == best
        cells = [rf"\textbf{{{name}}}" if bold else name]
        for column in asked:
            if column.compares and not i:
                cells.append(" & ".join(["{}"] * (1 + column.head.count("&"))))
            else:
                text = column.cell(arm)
                first = column is known["mean"] and bold
                cells.append(rf"\bfseries {text}" if first and not text.startswith("{") else text)
        body.append(" & ".join(cells) + r" \\")
        if i == 0 and len(arms) > 1:
            body.append(r"\midrule")
    said = sorted({str(arm.verdict) for arm in rows[1:]} & MARKS.keys(), key=list(MARKS).index)
    key = [f"{MARKS[word]} {word}" for word in said] if "mark" in columns else []
    level = f"{100 * (1 - judged['alpha']):g}"
    over = "splits, of their means" if answer.plan.units else "seeds"
    about = (
        f"% {_comment(answer.plan.study)}: {_comment(judged['metric'])}, mean +- sd over {over};"
        f" {level} % {kind(answer)} intervals; the best mean is bold where verdicts say that it is"
    )
    heads = [column.head for column in asked]
    spec = "".join(column.spec for column in asked)
    return _table(about, ["arm", *heads], spec, body, key, wide=wide)


def known_of(arms: pd.DataFrame, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns without those of costs that are known of no arm: dashes alone say nothing."""
    return tuple(c for c in columns if c not in COSTS or arms[c].notna().any())


def check_columns(text: str) -> tuple[str, ...]:
    """The columns of `--latex-columns`.

    Raises:
        InputError: there is no such column, or none is named.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    every = list(_NAMES)
    for name in names or ("",):
        if name not in every:
            raise InputError(
                f"no column is called {name!r}",
                at="--latex-columns",
                hint=did_you_mean(name, every),
            )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        hint = "name every column once"
        raise InputError(f"{twice} stands there twice", at="--latex-columns", hint=hint)
    return names


def contrasts_tex(answer: StudyResults, contrasts: pd.DataFrame) -> str:
    """A table of the declared contrasts; what is subtracted from what stands in each row."""
    judged, scale = answer.verdicts, scale_of(answer.verdicts)
    labels = labels_of(answer.plan)
    level = f"{100 * (1 - judged['alpha']):g}"
    head = ["contrast", r"\multicolumn{1}{l}{of}", _title("estimate", scale.of_differences)]
    head += [rf"{{{level}\,\% CI}}", "{$p$ (adjusted)}", "verdict"]
    rows = []
    for one in records(contrasts):
        verdict = f"{one.verdict} (negligible)" if one.negligible is True else one.verdict
        cells = [
            _name(str(called(one.contrast, labels))),
            _name(told(one.of, labels)),
            _number(one.delta_pp, scale.places, sign=True),
            _cell(interval(one.ci_low, one.ci_high, scale.places)),
            _cell(p_value(one.p_holm, judged["alpha"])),
            escape(verdict),
        ]
        rows.append(" & ".join(cells) + r" \\")
    about = (
        f"% {_comment(answer.plan.study)}: {_comment(judged['metric'])}; {level} % "
        f"{kind(answer)} intervals"
    )
    delta = _signed(contrasts.delta_pp, scale.places)
    return _table(about, head, f"L{delta}rrl", rows, [], wide=True)


def _columns(answer: StudyResults, scale: Scale, arms: pd.DataFrame) -> dict[str, Column]:
    judged, places = answer.verdicts, scale.places
    level = f"{100 * (1 - judged['alpha']):g}"
    own = judged.get("declared", True) and judged["metric"] == ACCURACY
    measured = r"acc.\ (\%)" if own else escape(scale.axis(str(metric(judged["metric"]))))
    shown = [_parts(arm) for arm in records(arms)]
    joined = rf"{_format(m for m, _ in shown)}@{{\,$\pm$\,}}{_format(sd for _, sd in shown)}"

    def mean(arm: Any) -> str:
        return " & ".join(text or "{--}" for text in _parts(arm))

    def verdict(arm: Any) -> str:
        return escape(f"{arm.verdict} (negligible)" if arm.negligible is True else arm.verdict)

    found = {
        "n": Column("r", "{$n$}", lambda arm: escape(share(arm.n, arm.planned))),
        "mean": Column(joined, rf"\multicolumn{{2}}{{c}}{{{measured}}}", mean),
        "delta": Column(
            _signed(arms.delta_pp, places),
            _title(r"$\Delta$", scale.of_differences),
            lambda arm: _number(arm.delta_pp, places, sign=True),
            compares=True,
        ),
        "ci": Column(
            "r",
            rf"{{{level}\,\% CI}}",
            lambda arm: _cell(interval(arm.ci_low, arm.ci_high, places)),
            compares=True,
        ),
        "p": Column(
            "r",
            "{$p$ (adj.)}",
            lambda arm: _cell(p_value(arm.p_holm, judged["alpha"])),
            compares=True,
        ),
        "verdict": Column("l", "verdict", verdict, compares=True),
        "mark": Column("c", "", lambda arm: MARKS.get(arm.verdict, "?"), compares=True),
        "params": Column("r", "{params}", lambda arm: escape(count(arm.params))),
        "macs": Column("r", "{MACs}", lambda arm: escape(count(arm.macs))),
        "train_s": Column("r", "{train (s)}", lambda arm: _number(arm.train_s, 1)),
        "images_per_s": Column("r", "{img/s}", lambda arm: _number(arm.images_per_s, 0)),
        "peak_mib": Column("r", "{MiB}", lambda arm: _number(arm.peak_mib, 0)),
    }
    assert tuple(found) == _NAMES
    return found


_NAMES = (
    *("n", "mean", "delta", "ci", "p", "verdict", "mark", "params", "macs", "train_s"),
    *("images_per_s", "peak_mib"),
)


def _table(
    about: str, heads: list[str], spec: str, body: list[str], key: list[str], *, wide: bool
) -> str:
    """The lines of a file; `L` is a column of names, which are broken where they must be."""
    flexible = r">{\raggedright\arraybackslash}X"
    width = 1 + sum(2 if head.startswith(r"\multicolumn{2}") else 1 for head in heads[1:])
    spec = spec.replace("L", flexible)
    needs = r"\usepackage[T1]{fontenc}, \usepackage{textcomp, booktabs, tabularx, siunitx}"
    lines = [
        f"% {needs}; XeLaTeX for other scripts",
        about,
        f"% fits {'6.75 in, both columns (table*)' if wide else '3.25 in, one column (table)'}",
        r"\begingroup\footnotesize\setlength{\tabcolsep}{3pt}\sisetup{detect-weight=true}%",
        rf"\begin{{tabularx}}{{\linewidth}}{{@{{}}{flexible}{spec}@{{}}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
    ]
    if key:
        lines.append(rf"\multicolumn{{{width}}}{{@{{}}l@{{}}}}{{\scriptsize {', '.join(key)}}} \\")
    return "\n".join([*lines, r"\end{tabularx}\endgroup", ""])


def _best(arms: pd.DataFrame, scale: Scale) -> int | None:
    """The place of the best mean; no arm's where two share it as they are printed.

    Nor is it an arm's that fails to train: its mean is that of the seeds that did not. An arm's
    stands out only where it is better than the baseline, the baseline's where all are worse.
    """
    values = (arms["mean"].astype(float) * scale.sign).round(scale.places)
    values = values.mask(arms.verdict.isin(["fails to train", "pending"]))  # of what is left of it
    found = [i for i, value in enumerate(values) if value == values.max()]
    if len(found) > 1 or len(arms) < 2:
        return None
    others = [*arms.verdict[1:]] if found == [0] else [arms.verdict[i] for i in found]
    sure = {"worse", "fails to train"} if found == [0] else {"better"}
    return found[0] if found and {*others} <= sure else None


def _number(value: float | None, places: int, *, sign: bool = False) -> str:
    """A number as `siunitx` reads it; where there is none, a dash that it leaves alone."""
    if value is None or not math.isfinite(value):
        return "{--}"
    return signed(value, places) if sign else number(value, places)


def _signed(values: pd.Series, places: int) -> str:
    return f"S[table-format=+{_digits(values)}.{places},retain-explicit-plus]"


def _parts(arm: Any) -> tuple[str, str]:
    """Mean and sd with as many digits as everywhere else; empty where there is none."""
    mean, _, sd = mean_sd(arm.mean, arm.sd).replace(MINUS, "-").partition(f" {PM} ")
    return mean.replace(DASH, ""), sd.replace(DASH, "")


def _format(numbers: Iterable[str]) -> str:
    """A column of `siunitx` that holds them."""
    parts = [text.partition(".") for text in numbers if text]
    before = max((len(whole.lstrip("-")) for whole, _, _ in parts), default=1)
    after = max((len(rest) for _, _, rest in parts), default=0)
    sign = "-" if any(whole.startswith("-") for whole, _, _ in parts) else ""
    return f"S[table-format={sign}{before}.{after}]"


def _digits(values: pd.Series) -> int:
    """Digits before the point of the largest."""
    known = values.dropna().astype(float).abs()
    return len(str(int(known.max()))) if len(known) else 1


def _title(text: str, of: str) -> str:
    return f"{{{text}{escape(of)}}}"


def _name(text: str) -> str:
    """A name that may go on in the next line."""
    parts = [
        "".join(
            _hard(word) if len(word) > LONG else escape(word) for word in re.split("( )", part)
        )
        for part in BREAK.split(text)
    ]
    joined = r"\allowbreak{}".join(parts)
    return f"{{{joined}}}" if text.startswith(("[", "*")) else joined


def _hard(word: str) -> str:
    """A long word that may break anywhere, though nowhere gladly."""
    pieces = (word[i : i + LONG // 2] for i in range(0, len(word), LONG // 2))
    return r"\penalty5000{}".join(map(escape, pieces))


def _cell(text: str) -> str:
    """A cell; one that begins with a bracket would be read as an option of the line before."""
    return f"{{{escape(text)}}}" if text.startswith(("[", "*")) else escape(text)


def _comment(text: str) -> str:
    return "".join(c for c in text if c.isprintable())
