"""How numbers, levels and times read, wherever they are shown: terminal, MLflow, pages, figures.

And what was expected in the place of a wrong one.

Plain ASCII unless asked otherwise; a page asks for a true minus sign.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape
from types import MappingProxyType
from typing import Any, TypeGuard

HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""What a terminal obeys instead of showing it: control characters but for tab and line feed, what
turns the direction of text, and halves of characters, which stand for bytes that are not UTF-8."""


def visible(text: str) -> str:
    """The text as a terminal may have it: what it would obey is written out by its number."""
    return HIDDEN.sub(lambda found: ascii(found[0])[1:-1], text)


def html_table(rows: Sequence[Mapping[str, object]], title: str = "", *lines: str) -> str:
    """A table for a notebook, where nothing that is told can become markup.

    Args:
        rows: column -> cell; all have the columns of the first. Numbers stand to the right.
        title: stands above, bold.
        lines: stand between the title and the table.
    """

    def cell(tag: str, value: object, *, right: bool) -> str:
        side = "right" if right else "left"
        return f'<{tag} style="text-align:{side}">{escape(visible(_cell(value)))}</{tag}>'

    numeric = {
        name: all(row[name] is None or isinstance(row[name], int | float) for row in rows)
        for name in (rows[0] if rows else ())
    }
    head = "".join(cell("th", name, right=numeric[name]) for name in numeric)
    body = "".join(
        f"<tr>{''.join(cell('td', row[name], right=numeric[name]) for name in numeric)}</tr>"
        for row in rows
    )
    above = f"<p><b>{escape(visible(title))}</b></p>" if title else ""
    above += "".join(f"<p>{escape(visible(line))}</p>" for line in lines)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if rows else ""
    return f"<div>{above}{table}</div>"


def _cell(value: object) -> str:
    """A number as tables show it, and everything else as it is said."""
    if value is None or isinstance(value, float):
        return number(value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def known(value: object) -> TypeGuard[float]:
    """Whether the value is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def known_or_none(value: float) -> float | None:
    """The number, or None for what could not be computed."""
    return value if math.isfinite(value) else None


HUGE = 1e15
"""From here on a float has no digits behind its point, and dozens before it say nothing."""


def number(value: float | None, places: int = 2, *, minus: str = "-", unknown: str = "-") -> str:
    """A number; what is rounded to zero has no sign. Below 0 places tens and more are rounded."""
    if not known(value):
        return unknown
    value, places = (round(value, places), 0) if places < 0 else (value, places)
    shown = f"{value:z.{places}f}" if abs(value) < HUGE else f"{value:.6g}"
    return shown.replace("-", minus)


HIDDEN_BELOW = 0.005  # what two decimals show as 0.00
SMALLEST = 12
"""Decimals at most of an end that is shown as far as its first digit."""
LOG_ODDS = "log odds"
"""The unit of differences of proportions that were compared by their odds (`scale = "logit"`)."""
EXACT = "known exactly"
"""How a difference was judged that has no noise: of whole numbers, known before any training."""


def places(spread: float | None) -> int:
    """Decimals that show two digits of a spread; 2 where nothing is known, none of hundreds."""
    if not known(spread) or spread <= 0:
        return 2
    found = two_digits(spread)
    return min(max(found, 2), SMALLEST) if found >= 0 else 0


def two_digits(size: float) -> int:
    """Decimals that show two digits of a positive number, 0.0999 as 0.10; -1 rounds ones off."""
    return 1 - int(f"{size:.1e}".partition("e")[2])


def unit_of(verdicts: Mapping[str, Any]) -> str:
    """The unit of the differences in verdicts.json; a study's are percentage points."""
    return str(verdicts.get("unit", "pp"))


def after_value(unit: str) -> str:
    """What stands after a value, where differences have this unit."""
    return " %" if unit == "pp" else after_difference(unit)


def after_difference(unit: str) -> str:
    """What stands after a difference of this unit."""
    return {"none": "", "%": " pp"}.get(unit, f" {unit}")  # 2 % more of 10 % would be 10.2 %


def places_in(unit: str, spread: float | None) -> int:
    """Decimals of a difference: two of percentage points, more where its error would be 0.00."""
    fine = known(spread) and 0 < spread < HIDDEN_BELOW
    return 2 if unit == "pp" and not fine else places(spread)


def tuned_word(found: Mapping[str, Any], verdicts: Mapping[str, Any]) -> str:
    """What is said of a comparison at tuned recipes: its verdict, or why it has none.

    Of one tuning an arm there is none: how lucky that was is in no interval.
    """
    given = "repeats" in verdicts["tuning"] or found["verdict"] in {"pending", "not tested"}
    return str(found["verdict"]) if given else "none: given the recipes found"


def counted(n: int, word: str) -> str:
    """How many of something: `1 seed`, `3 seeds`."""
    return f"{n} {word}{'' if n == 1 else 's'}"


def places_of(verdicts: Mapping[str, Any]) -> int:
    """Decimals of all differences of one answer, so that they stand in one column."""
    if verdicts.get("method") == EXACT:
        return 0
    unit = unit_of(verdicts)
    errors = sorted(arm["se"] for arm in verdicts["arms"] if known(arm.get("se")))
    if not errors:
        return 2 if unit == "pp" else places(verdicts["baseline"]["sd"])
    usual, called = places_in(unit, errors[len(errors) // 2]), {"better", "worse"}
    found = [abs(arm["delta_pp"]) for arm in verdicts["arms"] if arm.get("verdict") in called]
    least = min(found, default=1.0)  # is not shown as 0.00 because other arms are noisier
    return usual if float(f"{least:.{usual}f}") > 0 else max(usual, places(least))


def signed(value: float | None, places: int = 2, *, minus: str = "-", unknown: str = "-") -> str:
    """A difference with its sign; what is rounded to zero has none."""
    shown = number(value, places, minus=minus, unknown=unknown)
    return f"+{shown}" if known(value) and float(f"{value:.{places}f}") > 0 else shown


def ends(
    low: float | None, high: float | None, places: int = 2, *, minus: str = "-", unknown: str = "-"
) -> tuple[str, str]:
    """Both ends of an interval of a difference, signed.

    One that leaves 0 out is not shown as if it reached it: an end that would be rounded to 0 has
    as many decimals as its first digit needs.
    """
    beyond = known(low) and known(high) and (min(low, high) > 0 or max(low, high) < 0)

    def shown(end: float | None) -> str:
        more = places
        while beyond and known(end) and more < SMALLEST and float(f"{end:.{more}f}") == 0:
            more += 1
        return signed(end, more, minus=minus, unknown=unknown)

    return shown(low), shown(high)


def interval(
    low: float | None, high: float | None, places: int = 2, *, minus: str = "-", unknown: str = "-"
) -> str:
    """An interval of a difference, `[-0.50, +0.25]`; `unknown` where an end is not known."""
    if not known(low) or not known(high):
        return unknown
    return f"[{', '.join(ends(low, high, places, minus=minus))}]"


OWN = "command/"
"""Begins the names of what a command measures."""


def own_name(said: Mapping[str, Any]) -> str:
    """As `[compare]` names what a command measures: direction and unit are part of the name.

    Args:
        said: a metric of `[command]`, as written or recorded.
    """
    by_place = said.get("key", "").rpartition(".")[2] or said.get("tag", "").rpartition("/")[2]
    called = said.get("name") or by_place or "metric"
    unit, better = said.get("unit"), said.get("better", "higher")
    percent = unit in {None, "percent", "fraction"}
    if percent and better == "higher":
        return f"{OWN}{called}"
    return f"{OWN}{called}:{'percent' if percent else unit}:{better}"


def last_of(row: Mapping[str, float]) -> str:
    """What a row of a learning curve says while a study runs: its validation accuracy, if any.

    What a command measures decides, and is shown when it may decide.
    """
    found = row.get("val/accuracy")
    return "" if found is None else f"val {found:.1f} %"


def column_of(metric: str) -> str:
    """The column of a metric or quantity in `trials.csv`; of a class by its number alone.

    `test/accuracy` has `test_acc`, `test/recall/7:sneaker` has `test_recall_7`.
    """
    return metric.partition(":")[0].replace("/", "_").replace("accuracy", "acc")


def percent_of(odds: float) -> str:
    """The share that log odds stand for, in percent: 0 is 50.0 %."""
    return f"{100 / (1 + math.exp(-odds)):.1f} %"


def error_ratio(delta: float | None, low: float | None = None, high: float | None = None) -> str:
    """By what a difference of log odds multiplies the odds of an error: `errors x 0.52`.

    Near 100 % odds are as good as the rate itself: 2 errors of 100 have odds of 2 to 98.
    """
    if not known(delta):
        return ""
    beyond = known(low) and known(high) and (min(low, high) > 0 or max(low, high) < 0)

    def shown(end: float) -> str:
        """The ratio; where the interval leaves 1 out, not as if it reached it. None is 0."""
        ratio, more = math.exp(-end), 2
        while beyond and more < SMALLEST and float(f"{ratio:.{more}f}") == 1:
            more += 1
        return f"{ratio:.{more}f}" if ratio >= 0.1 else f"{ratio:.2g}"

    found = f"errors x {shown(delta)}"
    return f"{found} [{shown(high)}, {shown(low)}]" if known(low) and known(high) else found


def level(value: object, *, quote: bool = False) -> str:
    """A level of a switch as data: `true`, `0.1`, `[2, 2]`; text bare, or in quotes."""
    if isinstance(value, str) and not quote:
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def named_level(value: object) -> str:
    """A level as the name of an arm has it: `true`, `0.1`, `(2,2)`.

    Arms of recorded studies have these names: they may not change.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return f"({','.join(map(named_level, value))})"
    return "none" if value is None else str(value)  # as a level is written: TOML has no null


def formula(weights: Mapping[str, float]) -> str:
    """What is subtracted from what: `A + D - B - C`, `0.5 x A + 0.5 x B - C`.

    A name in which there are blanks or signs stands in quotes.
    """
    parts = []
    for arm, weight in sorted(weights.items(), key=lambda item: item[1] <= 0):
        sign = "-" if weight < 0 else "+"
        size = "" if abs(weight) == 1 else f"{abs(weight):g} x "
        name = arm if re.fullmatch(r"[\w.=()]+", arm) else f"'{arm}'"
        parts.append(f"{sign} {size}{name}")
    return " ".join(parts).removeprefix("+ ")


def first_line(text: str, most: int) -> str:
    """The first line with something in it, cut, without characters that move a terminal."""
    line = next((line for line in map(str.strip, text.splitlines()) if line), "")
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    return line if len(line) <= most else line[: most - 3] + "..."


def flat(value: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Nested data by dotted path; an empty table stays one."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        here = f"{path}.{key}" if path else str(key)
        found |= flat(item, here) if isinstance(item, Mapping) and item else {here: item}
    return found


def duration(seconds: float | None, *, unknown: str = "-") -> str:
    """A time that was measured, to three digits, in the unit that suits it."""
    if not known(seconds):
        return unknown
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def time_left(seconds: float) -> str:
    """A time to wait, in whole units, two at most."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


KINDS: Mapping[str, str] = MappingProxyType({
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "mapping_type": "a table",
    "model_type": "a table",
    "none_required": "nothing",
    "literal_error": "{expected}",
    "enum": "{expected}",
})  # fmt: skip
"""Kind of pydantic's error -> what is wanted, where a value is of a wrong kind altogether."""
BOUNDS: Mapping[str, str] = MappingProxyType({
    "greater_than": "a number greater than {gt}",
    "greater_than_equal": "a number greater than or equal to {ge}",
    "less_than": "a number less than {lt}",
    "less_than_equal": "a number less than or equal to {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "too_short": "{min_length} or more of them",
    "too_long": "{max_length} of them at most",
    "string_too_short": "text of {min_length} or more characters",
    "string_too_long": "text of {max_length} characters at most",
    "string_pattern_mismatch": "text of the pattern {pattern}",
})  # fmt: skip
"""Kind of pydantic's error -> what is wanted, where a value is out of range."""


def expected(kind: str, context: Mapping[str, Any]) -> str:
    """What is wanted in the place of a value, in words that follow "expected".

    Args:
        kind: pydantic's name of what is wrong.
        context: what it adds: bounds, names.
    """
    words = KINDS.get(kind) or BOUNDS.get(kind)
    return words.format_map(context) if words else "another kind of value"


def json_lines(value: object, depth: int = 0) -> str:
    """JSON on lines of its own, as `json.dumps(..., indent=1)` writes it, several times as fast.

    With an indent Python's encoder leaves C for a generator a value: seconds for the verdicts of a
    thousand arms. Here C writes what holds no other lists and objects, which is most of it.

    Args:
        value: of what JSON has.
        depth: of the value itself.

    Raises:
        ValueError: a number that is none.
    """
    if not isinstance(value, dict | list | tuple) or not value:
        return _encoder(0).encode(value)
    pad, end = "\n" + " " * (depth + 1), "\n" + " " * depth
    inner: Sequence[object] = [*value.values()] if isinstance(value, dict) else value
    if not any(isinstance(one, dict | list | tuple) for one in inner):
        flat = _encoder(depth + 1).encode(value)
        return f"{flat[0]}{pad}{flat[1:-1]}{end}{flat[-1]}"
    parts = [json_lines(one, depth + 1) for one in inner]
    if isinstance(value, dict):
        parts = [f"{_key(key)}: {part}" for key, part in zip(value, parts, strict=True)]
        return f"{{{pad}{f',{pad}'.join(parts)}{end}}}"
    return f"[{pad}{f',{pad}'.join(parts)}{end}]"


def _key(key: object) -> str:
    """A name; what is none is written as Python writes it."""
    held: Mapping[object, int] = {key: 0}
    return _encoder(0).encode(key if isinstance(key, str) else json.dumps(held)[2:-5])


@lru_cache
def _encoder(depth: int) -> json.JSONEncoder:
    between = ",\n" + " " * depth
    return json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(between, ": "))
