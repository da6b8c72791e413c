"""What MLflow shows of studies and trials, in words: names, tags, parameters, notes.

Pure, and without MLflow. Keys of metrics and parameters take only letters, digits and
`_-. :/`; arms and messages therefore go into names and values, never into keys.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from swinablate.config.metrics import ACCURACY
from swinablate.text import (
    OWN,
    after_difference,
    after_value,
    counted,
    flat,
    interval,
    known,
    level,
    places_of,
    signed,
    unit_of,
)
from swinablate.tracking.cards import StudyCard, TrialCard

PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
OPEN = frozenset({"undecided", "pending", "not tested"})
"""Verdicts that say nothing of an arm."""
NONE: Mapping[str, str] = {}
"""Links of what belongs to nothing."""
HEADLINES = 3
"""Decided arms in a line of a page: as many can be read at a glance."""


def experiment(study: str, dataset: str) -> str:
    """The name of a study's experiment."""
    return f"{study} @ {dataset}"


def name(card: TrialCard) -> str:
    """The name of a trial's run."""
    how = {"tune": f" try {card.number}", "tuned": " tuned"}.get(card.kind, "")
    return f"{card.arm}{how} s{card.seed}"


def tags(card: TrialCard) -> dict[str, str]:
    """By what a trial's run is found, filtered and grouped."""
    changes = [f"{path} = {level(value)}" for path, value in card.changes.items()]
    of_tuning = {} if card.number is None else {"tuning": str(card.repeat + 1)}
    return {
        "kind": "trial",
        "purpose": card.kind,
        "arm": card.arm,
        "seed": str(card.seed),
        "trial": card.trial,
        "changes": "; ".join(changes) or "none: the baseline",
        **of_tuning,
    }


def params(card: TrialCard, paths: Sequence[str]) -> dict[str, str]:
    """The varied switches under short names; every other field of the recipe under `cfg.`."""
    found = varied(card.recipe, paths)
    for path, value in flat(card.recipe).items():
        if not any(path == p or path.startswith(f"{p}.") for p in paths):
            # As long as MLflow keeps a parameter.
            found[key(f"cfg.{path}")] = cut(level(value), 6000)
    return found


def varied(recipe: Mapping[str, Any], paths: Sequence[str]) -> dict[str, str]:
    """Levels of the varied switches; a family without the switch has none."""
    found = {}
    for path, label in short(paths).items():
        value: Any = recipe
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            found[key(label)] = cut(level(value), 6000)
    return found


def short(paths: Sequence[str]) -> dict[str, str]:
    """Path -> its last key, or the full path where two share the last key."""
    last = Counter(path.rpartition(".")[2] for path in paths)
    names = {path: path.rpartition(".")[2] for path in paths}
    return {path: end if last[end] == 1 else path for path, end in names.items()}


def ending(
    card: TrialCard, study: StudyCard, outcome: Mapping[str, Any], links: Mapping[str, str] = NONE
) -> dict[str, str]:
    """Tags and note of a trial that ended; `links` are titles and addresses of what it is of."""
    failure = outcome.get("failure") or {}
    kind, message = str(failure.get("kind", "")), str(failure.get("message", ""))
    status = str(outcome["status"])
    if status in {"failed", "diverged"}:
        kind = kind or status
    epochs = len(outcome.get("curve", ()))
    result = {
        "done": _result(outcome),
        "failed": f"failed ({kind})",
        "diverged": "diverged",
        "stopped": "stopped; the same command goes on",
    }[status]
    note = [
        f"**{plain(result)}** after {epochs} epochs" if epochs else f"**{plain(result)}**",
        linked(links),  # near the top: MLflow shows three lines of a note, and "show more"
        _block(message) if message else "",
        _next(card, study, status),
        _again(card, study, status),
        _command("The study", study.launch.again, study.launch.needs),
    ]
    shown = {"status": status, "mlflow.note.content": "\n\n".join(filter(None, note))}
    shown |= {"failure": kind, "message": message} if status != "done" or kind else {}
    attempts = outcome.get("attempts", outcome.get("attempt"))
    return shown | ({"attempts": str(attempts)} if attempts else {})


def arms(verdicts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The baseline, then the arms, each with `name`, `n`, `mean` and `sd` at least."""
    first = {**verdicts["baseline"], "delta_pp": 0.0, "verdict": "baseline"}
    found = [first, *(arm for arm in verdicts["arms"] if arm["name"] != first["name"])]
    named = {"metric": verdicts.get("metric", ACCURACY), "unit": unit_of(verdicts)}
    return [{**arm, **named, "places": places_of(verdicts)} for arm in found]


def mean_and_sd(metric: str, unit: str = "pp") -> tuple[str, str]:
    """What the mean and the standard deviation over an arm's seeds are called in a summary.

    Log odds of an accuracy are no accuracy.
    """
    kind = "acc" if metric == ACCURACY and unit == "pp" else "metric"
    return f"{kind}_mean", f"{kind}_std"


def numbers(arm: Mapping[str, Any]) -> dict[str, float]:
    """Metrics of a summary; accuracy in percent, differences in percentage points.

    Of another metric they have another name, and more digits: a loss is no percentage.
    """
    metric = str(arm.get("metric", ACCURACY))
    unit = str(arm.get("unit", "pp"))
    digits = 3 if metric == ACCURACY and unit == "pp" else 6
    shown = dict(zip(("mean", "sd"), mean_and_sd(metric, unit), strict=True))
    names = ("mean", "sd", "delta_pp", "ci_low", "ci_high", "n")
    found = {shown.get(field, field): arm.get(field) for field in names}
    # A thousandth of a point is one image of a hundred thousand: finer digits are noise.
    return {k: round(float(v), digits) for k, v in found.items() if v is not None and known(v)}


def linked(links: Mapping[str, str]) -> str:
    """Links as Markdown has them: title -> address, which is empty where there is none."""
    return " | ".join(
        f"[{plain(title)}]({address})" for title, address in links.items() if address
    )


def summary(arm: Mapping[str, Any]) -> dict[str, str]:
    """Verdict, interval and note of a summary."""
    values = numbers(arm)
    unit, places = str(arm.get("unit", "pp")), int(arm.get("places", 2))
    both = ""
    if {"ci_low", "ci_high"} <= values.keys():  # from the exact ends: rounding twice can differ
        both = interval(arm["ci_low"], arm["ci_high"], places)
    verdict = str(arm["verdict"]) + (" (negligible)" if arm.get("negligible") else "")
    metric = str(arm.get("metric", ACCURACY))
    what = "" if metric == ACCURACY else f" {metric}"
    sd = arm.get("sd")
    spread = f" {PLUS_MINUS} {sd:.{places}f}" if known(sd) else ""
    mean = "no accuracy" if not what else f"no{what}"
    if known(arm.get("mean")):
        mean = f"{arm['mean']:.{places}f}{spread}{after_value(unit)}{what}"
    effect = ""
    if verdict != "baseline" and "delta_pp" in values:
        given = f" against {arm['against']}" if arm.get("against") else ""
        given += " given convergence" if arm.get("given_convergence") else ""
        effect = (
            f"{signed(arm['delta_pp'], places)}{after_difference(unit)} {both}".strip()
            + f"{given}, "
        )
    lost = [f"{arm[key]} {key}" for key in ("diverged", "failed") if arm.get(key)]
    count = arm["n"] if arm.get("runs") is None else counted(arm["n"], "split")
    note = f"{effect}{verdict}: {mean} (n = {count}{''.join(f', {x}' for x in lost)})"
    return {
        "verdict": verdict,
        "interval": both or "-",
        "hypothesis": _hypothesis(arm.get("hypothesis")),
        "mlflow.note.content": plain(note),
    }


def verdicts(answer: Mapping[str, Any]) -> str:
    """The answers of a study, a line an arm, then a line a declared contrast."""
    rows = [f"{plain(arm['name'])}: {summary(arm)['mlflow.note.content']}" for arm in arms(answer)]
    rows += [plain(one["sentence"]) for one in answer.get("contrasts", ()) if one.get("sentence")]
    return "\n".join(f"- {row}" for row in rows)


def headline(answer: Mapping[str, Any]) -> str:
    """The answers of a study in a line: what is decided, and how much is not."""
    rows = arms(answer)[1:]
    decided = [arm for arm in rows if arm["verdict"] not in OPEN]
    said = [f"{arm['name']}: {_told(arm)}" for arm in decided[:HEADLINES]]
    said += [f"{len(decided) - HEADLINES} more decided"] if len(decided) > HEADLINES else []
    words = Counter(str(arm["verdict"]) for arm in rows if arm["verdict"] in OPEN)
    said += [f"{count} {word}" for word, count in words.items()]
    return "; ".join(said) or "nothing was compared"


def _told(arm: Mapping[str, Any]) -> str:
    found = summary(arm)
    if not known(arm.get("delta_pp")):
        return found["verdict"]
    unit = after_difference(str(arm["unit"]))
    size = signed(arm["delta_pp"], int(arm["places"]))
    return f"{found['verdict']}, {size}{unit} {found['interval'].strip('-')}".strip()


def study(card: StudyCard, said: str, links: Mapping[str, str]) -> str:
    """The note of an experiment: the question, the answers, where to look."""
    again = _command("Again", card.launch.again, card.launch.needs)
    return "\n\n".join(filter(None, [plain(card.question), said, linked(links), again]))


def report(card: StudyCard, *, there: bool) -> str:
    """The note of the run that keeps the report; `there` is whether it came."""
    if not there:
        return f"The report of {plain(card.name)} comes here when the study has ended."
    what = f"Figures, tables and index.html of {plain(card.name)}, under Artifacts."
    return "\n\n".join(
        filter(None, [what, _command("Again", card.launch.again, card.launch.needs)])
    )


def key(text: str) -> str:
    """A key MLflow takes: of these characters, and no longer than 250."""
    return re.sub(r"[^\w\-. :/]", "_", text, flags=re.ASCII).strip("/ ")[:250]


NO_TEXT = re.compile("[\\x00\\ud800-\\udfff]")
"""What no store takes: PostgreSQL no NUL, and none a byte of a name that is not UTF-8."""


def cut(text: str, limit: int = 5000) -> str:
    """A value no store cuts without saying so, or refuses.

    MLflow's documents promise 5,000 bytes of a tag in every store; this one takes 8,000.
    """
    text = NO_TEXT.sub(lambda found: ascii(found[0])[1:-1], text)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


MARKS = re.compile(
    r"[\\`*~]|(?<!\w)_|_(?!\w)|!(?=\[)|\](?=[(:\[])|<(?=[A-Za-z/!?])|&(?=#?\w+;)"
    r"|^(?:[#>]|[-+](?=\s)|[-+=](?=[-+=]*$))|(?<=^\d)[.)](?=\s|$)"
)
"""What Markdown would read as a mark, and not as itself.

No more is escaped: MLflow's lists show the text of a note as it stands, backslashes too.
"""


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return MARKS.sub(r"\\\g<0>", " ".join(text.split()))


def _result(outcome: Mapping[str, Any]) -> str:
    metrics = outcome.get("metrics", {})
    found = [
        f"{split} {metrics[f'{split}/accuracy']:.2f} %"
        for split in ("test", "val")
        if known(metrics.get(f"{split}/accuracy"))
    ]
    found += [
        f"{name.removeprefix(OWN)} {value:.5g}"
        for name, value in metrics.items()
        if name.startswith(OWN) and known(value)
    ]
    return ", ".join(found) or "done"


def _next(card: TrialCard, study: StudyCard, status: str) -> str:
    """What can be done with a trial that ended."""
    launch = study.launch
    if card.kind == "final" and status == "done" and "command" not in card.recipe:
        words = (card.arm, "weights.pt", "--seed", str(card.seed))
        return _command("Its weights", launch.says("weights", *words))
    if card.kind == "final" and status == "failed":  # what diverged does so again
        return _command("Again", launch.says("retry"), launch.needs)
    return ""


def _again(card: TrialCard, study: StudyCard, status: str) -> str:
    """How to see whether the trial gives the same once more."""
    if status not in {"done", "diverged"}:
        return ""  # there are no numbers to compare with
    return _command("Again, alone", study.launch.of_home("reproduce", card.trial[:12]))


def _command(what: str, command: str, needs: str = "") -> str:
    """A command to copy, as code that its content cannot leave; nothing where there is none."""
    if not command:
        return ""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", command)), default=0))
    space = " " if len(fence) > 1 else ""  # Markdown takes one away on each side
    return f"{what}: {fence}{space}{command}{space}{fence}{needs}"


def _hypothesis(said: Mapping[str, Any] | None) -> str:
    if not said:
        return "-"
    by = f" by {said['by']:g}" if said.get("by") else ""
    return f"{said['expect']}{by}: {said['answer']}"


def _block(text: str) -> str:
    """A code block that its content cannot leave."""
    return "```\n" + text.replace("```", "'''") + "\n```"
