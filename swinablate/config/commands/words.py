"""Words with placeholders, and what becomes of them: pure text, read by no shell."""

import json
import re
from collections.abc import Mapping
from string import Formatter

from swinablate.config.plugins import did_you_mean

RESERVED = ("seed", "out", "checkpoint", "config", "threads")
"""Placeholders that every command has: the trial's seed, its folders, the file of its switches,
and how many threads of a processor it may use."""
Value = bool | int | float | str
ODD = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What not every reader of files takes as it is."""


def used(text: str) -> set[str]:
    """The placeholders of a text; `{{` is a brace.

    Raises:
        ValueError: a brace is open, or a placeholder says more than a name.
    """
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        raise ValueError(
            f"a brace in {text!r} is open or closes nothing; write {{{{ for a brace"
        ) from None
    found = set()
    for _, name, spec, conversion in parts:
        if name is None:
            continue
        if not name.isidentifier() or spec or conversion:
            shown = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            raise ValueError(f"{{{shown}}} is no placeholder; write {{seed}}, or {{{{ for a brace")
        found.add(name)
    return found


def known(name: str, names: tuple[str, ...]) -> str:
    """The placeholder that was meant, or all of them."""
    return did_you_mean(name, names)


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders replaced."""
    made = []
    for literal, name, _, _ in Formatter().parse(text):
        made += [literal, values[name] if name is not None else ""]
    return "".join(made)


def written(value: Value, booleans: str) -> str:
    """A level as a word; true and false as "true", "True" or "1" stand for them."""
    if isinstance(value, bool):
        pair = {"True": ("True", "False"), "1": ("1", "0")}.get(booleans, ("true", "false"))
        return pair[0] if value else pair[1]
    return value if isinstance(value, str) else repr(value)


def flags(switches: Mapping[str, Value], booleans: str) -> list[str]:
    """`--window=7` for every switch; true and false as flags, unless they are words."""
    made = []
    for name, value in switches.items():
        if isinstance(value, bool) and booleans in {"flag", "no-flag"}:
            off = [f"--no-{name}"] if booleans == "no-flag" else []
            made += [f"--{name}"] if value else off
        else:
            made.append(f"--{name}={written(value, booleans)}")
    return made


def file_of(kind: str, values: Mapping[str, Value]) -> str:
    """Switches as a file. YAML reads JSON; TOML's texts are JSON's, line by line."""
    if kind == "toml":
        return "".join(f"{key} = {_told(value)}\n" for key, value in values.items())
    lines = ",\n".join(f"  {json.dumps(key)}: {_told(value)}" for key, value in values.items())
    return f"{{\n{lines}\n}}\n"


def _told(value: Value) -> str:
    """A value that JSON, TOML and YAML read alike.

    YAML 1.1 takes 1e-05 for text, where 1.0e-05 is a number; and of a character beyond the first
    65,536 JSON writes two halves, which the others take for two characters or for none.
    """
    text = ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
    whole, e, power = text.partition("e") if isinstance(value, float) else (text, "", "")
    return f"{whole}.0{e}{power}" if e and "." not in whole else text
