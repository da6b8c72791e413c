"""How arms, switches and metrics are called in figures: as the study's `[labels]` say."""

import re
from collections.abc import Mapping

import pandas as pd

from swinablate.config.metrics import COMMAND, METRICS, QUANTITIES

TEXTS = (
    "arm", "against", "effect", "change", "before", "after", "first", "second", "line",
    "component", "setting_label", "level_word", "direction", "family_name", "cells",
)  # fmt: skip
"""Columns of figures' tables that hold names of arms, effects, switches or levels."""
PARTS = re.compile(r"( x |, | \+ )")
"""Between the parts of a name that is made of others: of an interaction, of a cell."""
BEFORE = (
    "in ",
    "of ",
    "and ",
    "vs ",
    "against ",
    "than ",
    ", ",
    "; ",
    ": ",
    "(",
    "- ",
    "+ ",
    "x ",
)
AFTER = (
    r"$|[,;:.)]| \(| and | [-+] | (?:seed|lowers|raises|fails|were|was|do|does|has|have|gave)\b"
)
"""Round a name that is a plain word, `deep`: elsewhere in a sentence it is no name."""
SPLITS = {"test": "test", "val": "validation", "train": "training"}


def worded(rows: pd.DataFrame, labels: Mapping[str, str]) -> pd.DataFrame:
    """The rows with names as they are to be read; the table that is saved keeps its own."""
    found = rows.assign(metric=rows.metric.map(metric)) if "metric" in rows else rows
    if not labels:
        return found
    texts = [column for column in TEXTS if column in found]
    return found.assign(**{c: found[c].map(lambda name: called(name, labels)) for c in texts})


def called(name: object, labels: Mapping[str, str]) -> object:
    """A name, or each part of a compound one, as it is to be read."""
    if not isinstance(name, str):
        return name
    if name in labels:
        return labels[name]
    parts = PARTS.split(name)
    return "".join(labels.get(part, part) for part in parts) if len(parts) > 1 else name


def told(text: object, labels: Mapping[str, str]) -> str:
    """A sentence with arms, switches and levels as they are to be read; code stays as it is.

    A name with signs or capitals is one wherever it stands whole; a plain word only where names
    stand, or "the baseline" would be renamed, too.
    """
    said = str(text)
    if not labels:
        return said
    start = "|".join(f"(?<={re.escape(word)})" for word in BEFORE)
    names = "|".join(
        rf"(?:^|{start}){re.escape(name)}(?={AFTER})"
        if re.fullmatch("[a-z]+", name)
        else rf"(?<![\w=.]){re.escape(name)}(?![\w=]|\.\w)"
        for name in sorted(labels, key=len, reverse=True)
    )
    parts = said.split("`")
    parts[::2] = [re.sub(names, lambda found: labels[found[0]], part) for part in parts[::2]]
    return "`".join(parts)


def metric(name: object) -> object:
    """A metric in words: `test/accuracy` is "test accuracy"."""
    known = {one.name: one.called for one in (*METRICS, *QUANTITIES)}
    if not isinstance(name, str) or name in known:
        return known.get(name, name) if isinstance(name, str) else name
    if name.startswith(COMMAND):
        return name.removeprefix(COMMAND).partition(":")[0]
    split, slash, rest = name.partition("/")
    return f"{SPLITS[split]} {rest.replace('/', ' ')}" if slash and split in SPLITS else name
