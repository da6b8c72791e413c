"""The answer as one page, and as Markdown for a forge: what stands where is in the templates."""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote

import jinja2
import pandas as pd
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from swinablate.report import prose, tables
from swinablate.report.drawing import numbers
from swinablate.report.drawing.ink import LOOKS
from swinablate.report.drawing.scale import scale_of
from swinablate.report.drawing.stack import stacked
from swinablate.report.drawing.words import called, metric, told
from swinablate.report.families import sources, tunings
from swinablate.report.families.compared import beside, declared, within
from swinablate.report.families.contention import clocked, timed
from swinablate.report.families.further import among, blocks_of
from swinablate.report.families.shares import labels_of
from swinablate.report.plots import Plot
from swinablate.report.results import StudyResults
from swinablate.stats import ARMS, CONTRASTS, TUNED, TUNED_CONTRASTS
from swinablate.text import HUGE, counted, error_ratio, known, percent_of, tuned_word, visible

SCALE = 1.2
"""Figures are drawn for paper; on a screen their letters become as large as the page's small."""
HELD = 1_000_000
"""Bytes of a table that the page holds; larger ones stand beside it. A thousand trials of ten
epochs fit, and a page of many thousands stays one that opens at once and can be sent."""
FIRST = 1_000
"""Trials that the page lists: more are no table for reading, and the CSV has all."""
DIGEST = re.compile("[0-9a-f]{64}")
NONE: Mapping[str, str] = {}
"""Labels of whoever has none."""
LONG = 90
"""Characters of a list that are shown: about a line of the page."""
LEFTWARDS = re.compile("({0}+(?: +{0}+)*)".format(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]"))
"""Words of Hebrew, Arabic and their kin."""
ICONS = {
    "^": '<path d="M8 2 15 14H1Z"/>',
    "v": '<path d="M8 14 1 2H15Z"/>',
    "s": '<path d="M2 2H14V14H2Z"/>',
    "o": '<circle cx="8" cy="8" r="6.5"/>',
    "X": '<path d="M4 1 8 5 12 1 15 4 11 8 15 12 12 15 8 11 4 15 1 12 5 8 1 4Z"/>',
    "D": '<path class="hollow" d="M8 1.5 14.5 8 8 14.5 1.5 8Z"/>',
}


def html(said: Mapping[str, Any], files: Mapping[str, str]) -> str:
    """The report as one file: no request, readable on paper and on a telephone.

    Its one script sorts tables; by its digest the page allows it and no other.

    Args:
        said: what the report says, as `context` has it.
        files: name -> content of the tables beside the page.
    """
    env = _environment(autoescape=True)
    env.filters |= {"icon": icon, "breakable": breakable, "coded": coded}
    env.filters |= {"shortened": shortened, "run": run}
    env.filters |= _names(said)
    env.globals["figure"] = {plot.name: Markup(_titled(plot)) for plot in said["plots"]}  # noqa: S704  our own drawing, names escaped by matplotlib
    env.globals["table"] = partial(linked, files)
    script = env.loader.get_source(env, "sort.js")[0] if env.loader else ""
    digest = hashlib.sha256(script.encode()).digest()
    env.globals["script"] = Markup(script)  # noqa: S704  ours
    env.globals["script_digest"] = base64.b64encode(digest).decode()
    return env.get_template("page.html").render(said)


def markdown(said: Mapping[str, Any]) -> str:
    """The report as Markdown with links to the figures beside it.

    Args:
        said: what the report says, as `context` has it.
    """
    env = _environment(autoescape=False)
    env.filters |= {"md": md, "minus": minus, "shortened": shortened, **_names(said)}
    env.filters["md_code"] = md_code
    return env.get_template("report.md").render(said)


def _names(said: Mapping[str, Any]) -> dict[str, Callable[..., object]]:
    """Filters that call arms and metrics as the study's `[labels]` and the field do."""
    labels: Mapping[str, str] = labels_of(said["plan"])
    return {
        "named": partial(called, labels=labels),
        "told": partial(told, labels=labels),
        "metric": metric,
        "p_value": partial(numbers.p_value, alpha=said["judged"]["alpha"]),
        "evidence": partial(evidence, labels=labels),
    }


def md(value: object) -> str:
    """Text that Markdown shows as it is, also inside a table."""
    text = str(value)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    for c in "\\`*_[]|#~$":
        text = text.replace(c, "\\" + c)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def md_code(text: object) -> str:
    """As `md`, and what stands between backquotes is code, also inside a table."""
    parts = str(text).split("`")
    code = (part.replace("|", "\\|") if k % 2 else md(part) for k, part in enumerate(parts))
    return "`".join(code) if len(parts) % 2 else md(text)


def icon(verdict: str) -> Markup:
    """A verdict's shape and word; the word alone is enough."""
    look = LOOKS[verdict]
    kind = verdict.replace(" ", "-")
    return Markup(
        '<span class="verdict {kind}"><svg class="icon" viewBox="0 0 16 16" aria-hidden="true">'
        "{shape}</svg>{word}</span>"
    ).format(kind=kind, shape=Markup(ICONS[look.marker]), word=verdict)  # noqa: S704  a constant


def evidence(found: Mapping[str, Any], labels: Mapping[str, str] = NONE) -> str:
    """The sentence of an arm or a contrast for a place that its verdict stands beside already.

    Only the word that is said twice is left out, never a number or a reason.

    Args:
        found: its sentence, name and verdict.
        labels: what the study calls its arms and switches.
    """
    name, word, said = found["name"], re.escape(found["verdict"]), str(found["sentence"])
    if word == "equivalent":
        return said  # "to the baseline within 1 pp" needs it
    head, rest = (name, said.removeprefix(name)) if said.startswith(name) else ("", said)
    rest = re.sub(rf"\): {word}(?=[.,])", ")", rest, count=1)
    if found["verdict"] in {"not tested", "pending"}:
        rest = re.sub(rf": {word} \((.*?)\)(?=[.,;])", r": \1", rest, count=1)
    # "x: undecided given convergence (+0.4 pp, CI ...)" -> "x: given convergence +0.4 pp (CI ...)"
    rest = re.sub(
        rf": {word}((?: given| against)[^(]*)? \(([^,()]+), ", r":\1 \2 (", rest, count=1
    )
    rest = re.sub(rf": {word}(?:, because |, | )(?=\w)", ": ", rest, count=1)
    rest = re.sub(rf"^ {word}: ", ": ", rest, count=1)
    return f"{called(head, labels)}{told(rest, labels)}"


def breakable(text: object) -> Markup:
    """The text with places where a narrow screen may break a long name, never in a number.

    Signs that turn the direction of text are written out; words of a script that runs to the left
    stand by themselves, or they would move the sign of a number behind them to its other side.
    """
    parts = re.split(r"(?<=[._=/,])(?=[^\W\d])", minus(visible(str(text))))
    return Markup("<wbr>").join(map(_apart, parts))


def _apart(text: str) -> Markup:
    found = LEFTWARDS.split(text)
    own = Markup("<bdi>{}</bdi>")
    return Markup("").join(own.format(p) if k % 2 else escape(p) for k, p in enumerate(found))


def coded(text: object) -> Markup:
    """As `breakable`, and what stands between backquotes is code, as Markdown shows it."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:
        return breakable(text)
    code = Markup("<code>{}</code>")
    shown = (code.format(breakable(p)) if k % 2 else breakable(p) for k, p in enumerate(parts))
    return Markup("").join(shown)


def run(words: object, of: str) -> Markup:
    """Words that lead to a run of MLflow's where `ui` serves the page: it gives them an address.

    Args:
        words: a name or an id, shown.
        of: "trial/ID" or "arm/NAME"; nothing where there is no run.
    """
    if not of:
        return escape(words)
    kind, _, name = of.partition("/")
    return Markup('<a data-run="{}/{}">{}</a>').format(kind, quote(name, safe=""), words)


def minus(text: str) -> str:
    """The text with true minus signs before numbers."""
    return re.sub(r"(?<![\w-])-(?=\d)", numbers.MINUS, text)


def shortened(text: str) -> str:
    """The text, or its beginning; the whole is in the CSV."""
    return text if len(text) <= LONG else f"{text[:LONG].rpartition(',')[0]}, ..."


def linked(files: Mapping[str, str], name: str, words: str) -> Markup:
    """A link to a table: a small one is inside the link, a large one beside the page."""
    path, data = f"tables/{name}.csv", files[f"tables/{name}.csv"].encode()
    if len(data) <= HELD:
        where, href = "CSV", f"data:text/csv;base64,{base64.b64encode(data).decode()}"
    else:
        where, href = f"{path} beside this page, {len(data) / 1e6:.1f} MB", path
    return Markup('<a class="screen" download="{}.csv" href="{}">{} ({})</a>').format(
        name, href, words, where
    )


class _Kept(jinja2.BytecodeCache):
    """Templates as Python compiled them, for all reports of this process."""

    held: ClassVar[dict[tuple[str, object], bytes]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """What was kept of a template, if its text is the same."""
        if kept := self.held.get((bucket.key, bucket.environment.autoescape)):
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it."""
        self.held[bucket.key, bucket.environment.autoescape] = bucket.bytecode_to_string()


def _environment(*, autoescape: bool) -> jinja2.Environment:
    env = jinja2.Environment(
        loader=jinja2.PackageLoader("swinablate.report"),
        autoescape=autoescape,  # noqa: S701  off for Markdown only, where every name goes through md
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        bytecode_cache=_Kept(),
    )
    env.filters |= {"listed": prose.listed} | {
        name: vars(numbers)[name]
        for name in ("plain", "signed", "mean_sd", "p_value", "count", "duration", "share")
    }
    env.globals |= {
        "interval": numbers.interval,
        "error_ratio": error_ratio,
        "percent_of": percent_of,
        "known": known,
        "mean_sd": numbers.mean_sd,
        "tuned_word": tuned_word,
    }
    return env


def context(answer: StudyResults, arms: pd.DataFrame, drawn: list[Plot]) -> dict[str, Any]:
    """Everything that the templates show."""
    judged, every = answer.verdicts, tables.every_trial(answer)
    finals = every[every.kind != "tune"]  # what tuning lost is told with what it found
    scale = scale_of(judged)
    ranked = sorted(judged["arms"], key=lambda arm: _rank(arm["delta_pp"], scale.sign))
    rows = _filled(arms)
    compared = declared(answer)
    said = [one for one in compared if one["kind"] != "arm"]  # arms have their own lines
    words = Counter(one["verdict"] for one in (*judged["arms"], *said))
    return {
        "answer": answer,
        "plan": answer.plan,
        "judged": judged,
        "scale": scale,
        "level": f"{100 * (1 - judged['alpha']):g} %",
        "kind": prose.kind(answer),
        "looks": judged.get("looks") or [],
        "exploratory": prose.exploratory(answer),
        "units": counted(judged["baseline"]["n"], "split") if answer.plan.units else "",
        "within": within(judged),
        "new_images": any(row.get("new_images_low") is not None for row in rows),
        "worst": any(row["worst_low"] is not None for row in rows),
        "early": [arm["name"] for arm in judged["arms"] if arm.get("stopped_early")],
        "ranked": ranked,
        "stacked": stacked(judged, ranked),
        "compared": compared,
        "said": said,
        "beside": beside,
        "direct": sum(not beside(arm) for arm in judged["arms"]),
        "words": [(word, words[word]) for word in LOOKS if words[word]],
        "rows": rows,
        "devices": sorted({row["device"] for row in rows if row["device"]}),
        "costs": any(row["params"] is not None for row in rows),
        "gaps": any(row["gap_pp"] is not None for row in rows),
        "speeds": any(row["images_per_s"] is not None for row in rows),
        "memory": any(row["peak_mib"] is not None for row in rows),
        "timed": timed(judged["warnings"]),
        "clocked": clocked(answer.trials),
        "proofs": tables.proofs(answer),
        "plots": drawn,
        "interim": tables.interim(answer),
        "smoke": answer.plan.smoke,
        "statuses": tables.statuses(answer),
        "lost": _filled(finals[finals.status.isin(tables.LOST)]),
        "finals": len(finals),
        "others": [
            c
            for c in judged["contrasts"]
            if c["family"] not in (ARMS, "curve", CONTRASTS, TUNED, TUNED_CONTRASTS)
        ],
        "along": tables.along(judged["contrasts"]),
        "further": [
            ({**block, "rows": [*block["arms"], *among(block)]}, scale_of(block))
            for block in blocks_of(judged)
        ],
        "trends": tunings.at_rungs(judged),
        "parts": judged.get("shares"),
        "over_sets": judged.get("datasets") or [],
        "hypotheses": prose.hypotheses(answer),
        "quantities": any(asked.quantity for asked in answer.plan.hypotheses),
        "spread": prose.spread(answer),
        "noise": sources.words(judged),
        "over": "seeds" if not answer.plan.units else "splits, of their means",
        "checklist": prose.checklist(answer),
        "provenance": tables.origins(answer.provenance),
        "tuning": tunings.tuning(answer),
        "choices": tunings.choices(answer),
        "tuned_contrasts": tunings.compared(answer),
        "tuned_how": tunings.how_tuned(answer),
        "flips": prose.flips(answer),
        "unfinished": prose.unfinished(answer),
        "open_parts": tables.open_parts(answer),
        "images": tables.images(answer),
        "ours": judged.get("declared", True),
        "trials": _trials(every),
    }


def _filled(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows, with None where nothing is known."""
    found: list[dict[Any, Any]] = rows.astype(object).where(rows.notna(), None).to_dict("records")
    return found


def _rank(delta: float | None, sign: int) -> float:
    return -sign * delta if delta is not None else float("inf")


def _trials(trials: pd.DataFrame) -> dict[str, Any]:
    """The raw table or its beginning, without columns that hold nothing; digests shortened."""
    kept = [
        c
        for c in trials.columns
        if trials[c].notna().any()
        and c != "predictions"
        and (c != "kind" or (trials.kind == "tune").any())
    ]
    first = trials[kept].head(FIRST)
    some = first.astype(object).where(first.notna(), None)
    return {
        "of": len(trials),
        "columns": kept,
        "rows": [[_raw(v) for v in row] for row in some.itertuples(index=False)],
        "runs": _runs(first),
    }


def _runs(trials: pd.DataFrame) -> list[str]:
    """What each trial's number of a run is found by; nothing for one that has not begun.

    Results from elsewhere have neither ids nor runs.
    """
    if "trial" not in trials:
        return [""] * len(trials)
    ids = trials.trial.where(trials.status != "waiting").to_list()
    return [f"trial/{one}" if isinstance(one, str) else "" for one in ids]


def _raw(value: object) -> str:
    if value is None:
        return numbers.DASH
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < HUGE else f"{value:.6g}"
    text = str(value)
    return text[:10] if DIGEST.fullmatch(text) else text


def _titled(plot: Plot) -> str:
    """The drawing with its title and caption for those who do not see it."""
    if not plot.svg:
        return ""
    head, tail = plot.svg.split(">", 1)
    width = SCALE * float(re.findall(r'\swidth="([\d.]+)pt"', head)[0])
    # Without a height the browser keeps the proportions on a narrow screen.
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    # A small drawing is shown as large as it is: its letters are then those of the others.
    head = head.replace('style="', f'style="--natural: {width:g}pt; ', 1)
    ids = f"{plot.name}-title {plot.name}-desc"
    return (
        f'{head} width="{width:g}pt" role="img" aria-labelledby="{ids}">'
        f'<title id="{plot.name}-title">{escape(plot.title)}</title>'
        f'<desc id="{plot.name}-desc">{escape(plot.caption)}</desc>{tail}'
    )
