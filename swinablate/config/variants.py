"""What study files say, without what it means: digests of their content, names of variants.

Needs no torch, so that `status` knows in an instant whether a file is what was run.
"""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from swinablate.config import schema
from swinablate.config.levels import Level, setting
from swinablate.errors import InputError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._=,+()-]{0,79}")
"""Of studies: as they stand in file names, tables and MLflow, on any system."""
VARIANT = "@"
"""Between a study and what is set otherwise; no study file may have it in its name."""
PLAIN = re.compile(r"[A-Za-z0-9._+-]+")
"""Levels that may stand in the name of a folder and of an experiment as they are."""
RESULTS = "results"
"""Says in a study file where results are that were trained elsewhere."""
TABLES = (".csv", ".tsv", ".txt")
"""Ends of names of tables, which may be large and are no studies."""
LONGEST = 80
"""Letters of settings in a name: with a study's 80 and a digest, below what file systems take."""


def variant(study: str, settings: Sequence[str]) -> str:
    """The name of a study with settings of `--set`; its own where nothing is set.

    The order of settings does not matter, of two with one key the last holds. A level that
    cannot stand in a file's name is left out, and a digest tells such variants apart.

    Raises:
        InputError: a setting is none.
    """
    changes = dict(map(setting, settings))
    if not changes:
        return study
    words = [_word(key, changes[key]) for key in sorted(changes)]
    text = ",".join(word or re.sub(r"[^A-Za-z0-9._+-]", "-", key) for key, word in words)
    if len(text) <= LONGEST and all(word for _, word in words):
        return f"{study}{VARIANT}{text}"
    content = json.dumps(changes, sort_keys=True, default=str)
    return f"{study}{VARIANT}{text[:LONGEST]}-{schema.digest(content)[:8]}"


def digests(study: Path, settings: Sequence[str] = ()) -> dict[str, str]:
    """What a study's file and the recipes that it names say: name of a file -> digest.

    Comments and blanks do not count. The study's own file stands under "". Nothing is known,
    and the answer empty, where a file cannot be read, or settings name other recipes.
    """
    keys = {setting(text)[0] for text in settings}
    if keys & {"study.baseline", "study.arms", "study.axes"}:
        return {}
    try:
        written = schema.read_toml(study)
        # Labels are how figures call things, and declare nothing.
        files = {"": {key: value for key, value in written.items() if key != "labels"}}
        for name in recipes_named(written):
            files[name] = schema.read_toml(study.parent / name)
        return {name: schema.digest(content) for name, content in files.items()}
    except (AttributeError, InputError, KeyError, TypeError, ValueError):
        return {}  # a date is no JSON, a list no file: whoever loads the study says what is wrong


def has_results(study: Path) -> bool:
    """Whether a file is a study whose numbers were trained elsewhere; its reader checks it."""
    try:
        table = study.suffix.lower() in TABLES
        return not table and study.is_file() and RESULTS in schema.read_toml(study)
    except (InputError, OSError, ValueError):
        return False


def untrained(study: Path) -> InputError:
    """The error about such a study where something is to run, or was."""
    file = shlex.quote(str(study))
    return InputError(
        "this study trains nothing: its numbers are those of [results]",
        at=str(study),
        hint=f"`swinablate report {file}` judges them",
    )


def recipes_named(written: Mapping[str, Any]) -> list[str]:
    """The recipes that a study file names, as it names them."""
    return [
        written["baseline"],
        *(arm["recipe"] for arm in written.get("arms", ()) if "recipe" in arm),
        *written.get("axes", {}).get("recipe", ()),
    ]


def _word(key: str, level: Level) -> tuple[str, str]:
    """A key, and `KEY=LEVEL` where that may stand in a name and is read back as the same."""
    text = str(level).lower() if isinstance(level, bool) else str(level)
    if not PLAIN.fullmatch(key) or not PLAIN.fullmatch(text):
        return key, ""
    found = setting(f"{key}={text}")[1]
    same = type(found) is type(level) and found == level
    return key, f"{key}={text}" if same else ""
