"""A commented study of somebody's own command, made from the command as it is typed."""

import json
import math
import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from swinablate.config.commands.schema import NAME as SWITCH
from swinablate.config.commands.words import RESERVED
from swinablate.config.levels import NUMBER
from swinablate.config.written import plain_text
from swinablate.errors import InputError
from swinablate.records.disk.files import write_atomically
from swinablate.records.launch import program
from swinablate.study.starters.templates import check_new

RECIPE = """\
# A recipe that is a command: what is run for every arm and seed. No shell reads the words.
#   {{seed}} is the seed, {{out}} a folder for results (it exists), {{checkpoint}}
#   a folder that the next attempt finds again after a crash, {{NAME}} a switch from below
[command]
run = {run}
folder = {folder}  # where it runs, relative to this file{truths}
{metric}
# give = "flags"                  # switches without a placeholder: --width=32; or "assignments"
                                  # (width=32), "environment", or a file for {{config}}: "json",
                                  # "toml", "yaml"
# booleans = "True"               # how true and false are written: "true", "True", "1"; of flags
                                  # "flag" (--shift or nothing) or "no-flag" (--shift, --no-shift)
# sources = ["**/*.py"]           # files that make a trial another one where they change;
                                  # without it those that run names
# timeout = 3600                  # seconds until a trial has failed
# threads = 1                     # of a processor; a slot is counted for so many
# preempted = [75]                # exit codes that ask to be started again
# check = "first"                 # stop after one seed of every arm where a switch, or the seed,
                                  # changes no number
# diverged = [3]                  # exit codes that mean NaN; a result that is NaN always does

[switches]                        # name = what the baseline has; axes are "switches.NAME"
{switches}"""
STUDY = """\
# A study: one question, a baseline, and what to vary.
#   {program} plan {path}     shows what would be started; starts nothing
#   {program} run {path}      trains and reports; start it again after any interruption
question = "What matters?"
baseline = "{recipe}"   # relative to this file
seeds = 5                        # seeds 0..4 of every arm; the baseline runs twice as many

[axes]                           # one arm for every level; the baseline is always run
{axes}
[compare]                        # declared before launch: changing it later is a new analysis
# rope = 0.5                     # differences nobody should care about, in percentage points;
                                 # without it nothing is ever called equivalent
alpha = 0.05                     # error rate of all comparisons together
"""
PRINTED = """metric = { pattern = 'accuracy[:=]? *([0-9.eE+-]+)', name = "accuracy" }
# metric = { file = "result.json", key = "accuracy" }   # or a .csv, below {out}
                                  # a fraction of 1: unit = "fraction"; a loss: unit = "nats",
                                  # better = "lower"; nothing said: percent, more is better"""
WRITTEN = """metric = { file = "result.json", key = "accuracy" }   # below {out}; or a .csv
# metric = { pattern = 'accuracy[:=]? *([0-9.eE+-]+)', name = "accuracy" }
                                  # a fraction of 1: unit = "fraction"; a loss: unit = "nats",
                                  # better = "lower"; nothing said: percent, more is better"""
FLAG = re.compile(r"--?([A-Za-z][A-Za-z0-9_-]*)(?:=(.*))?", re.DOTALL)
WHOLE = re.compile(r"[-+]?\d{1,18}")
"""A whole number, of no more digits than TOML takes."""
CODE = ("m", "c")
"""Flags of interpreters that name what runs: `python -m`, `bash -c`."""

Level = bool | int | float | str


@dataclass
class Read:
    """A command as it was typed.

    Attributes:
        words: with placeholders in the place of levels.
        switches: name -> level, as they were found.
        truths: a word for true or false, as it was found; "" without one.
    """

    words: list[str] = field(default_factory=list)
    switches: dict[str, Level] = field(default_factory=dict)
    truths: str = ""


def write_command(name: str, typed: str, folder: Path) -> tuple[Path, Path]:
    """Write `studies/<name>.toml` and its recipe below a folder; never over a file.

    Args:
        name: of the study; empty takes that of the script.
        typed: the command as it is typed, for this folder; its flags become switches.
        folder: where studies/ and experiments/ are.

    Returns:
        The study and the recipe.

    Raises:
        InputError: no command, a name that cannot be a study's, or a file is there.
        EnvironmentFault: the disk refuses.
    """
    try:
        words = shlex.split(plain_text(typed))
    except ValueError as error:
        raise InputError(
            f"{typed!r} cannot be split into words: {error}",
            at="--command",
            hint="close the quotes",
        ) from None
    if not words:
        raise InputError("there is no command", at="--command", hint='"python train.py --lr=0.1"')
    name = name or _named(words)
    check_new(name)
    study, recipe = folder / "studies" / f"{name}.toml", folder / "experiments" / f"{name}.toml"
    for path in (study, recipe):
        if path.exists():
            raise InputError("the file exists", at=str(path), hint="choose another name")
    found = read(words)
    here = os.path.relpath(Path.cwd(), recipe.parent)
    texts = {
        recipe: RECIPE.format(
            run=_array(found.words),
            folder=json.dumps(here),
            truths='\nbooleans = "True"' if found.truths in {"True", "False"} else "",
            metric=WRITTEN if any("{out}" in word for word in found.words) else PRINTED,
            switches=_switches(found),
        ),
        study: STUDY.format(
            program=shlex.join(program()),
            path=shlex.quote(str(study)),
            recipe=f"../experiments/{name}.toml",
            axes=_axes(found.switches),
        ),
    }
    for path, text in texts.items():
        write_atomically(path, text)
    return study, recipe


def read(words: list[str]) -> Read:
    """Take the levels of flags for switches: `--width 32` and `--width=32` become `{width}`."""
    found = Read()
    rest = iter(range(len(words)))
    for i in rest:
        word = words[i]
        flag = FLAG.fullmatch(word) if i else None  # the first is the program
        after = words[i + 1] if i + 1 < len(words) else None
        if flag is None:
            found.words.append(_plain(word))
        elif flag[2] is not None:
            before = word.removesuffix(flag[2])
            found.words.append(before + _taken(found, flag[1], flag[2]))
        elif after is not None and (not after.startswith("-") or _is_number(after)):
            found.words += [word, _taken(found, flag[1], after)]
            next(rest)
        else:
            found.words.append(word)
    if not any("{seed}" in word for word in found.words):
        found.words.append("--seed={seed}")
    return found


def _taken(found: Read, flag: str, text: str) -> str:
    """What stands in the place of a flag's level."""
    name = flag.replace("-", "_")
    if name in RESERVED:
        return f"{{{name}}}"
    twice = name in found.switches
    if "{" in text or "}" in text or twice or name in CODE or not SWITCH.fullmatch(name):
        return _plain(text)
    found.switches[name] = level = _level(text)
    found.truths = text if isinstance(level, bool) else found.truths
    return f"{{{name}}}"


def _plain(word: str) -> str:
    """A word without placeholders, unless it has one that is known."""
    if any(f"{{{name}}}" in word for name in RESERVED):
        return word
    return word.replace("{", "{{").replace("}", "}}")


def _level(text: str) -> Level:
    if text in {"true", "false", "True", "False"}:
        return text.lower() == "true"
    if WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _is_number(text) else text


def _is_number(text: str) -> bool:
    scientific = re.fullmatch(r"[-+]?\d+[eE][-+]?\d+", text)
    number = WHOLE.fullmatch(text) or NUMBER.fullmatch(text) or scientific
    return bool(number) and math.isfinite(float(text))


def _named(words: list[str]) -> str:
    """The name of the script: the first word that names a file, else the program."""
    script = next((word for word in words if Path(word).suffix), words[0])
    return Path(script).stem


def _array(words: list[str]) -> str:
    """Words as TOML, a line each where they are many."""
    told = [_toml(word) for word in words]
    line = f"[{', '.join(told)}]"
    if len(line) <= 88:  # beside "run = ", within a line of 99
        return line
    return "[\n" + "".join(f"    {word},\n" for word in told) + "]"


def _switches(found: Read) -> str:
    lines = [f"{name} = {_toml(level)}\n" for name, level in found.switches.items()]
    return "".join(lines) or "# width = 32\n"


def _axes(switches: dict[str, Level]) -> str:
    """The first switch with another level, and the others as remarks."""
    lines = []
    for i, (name, level) in enumerate(switches.items()):
        mark = "# " if i else ""
        lines.append(f'{mark}"switches.{name}" = [{_toml(_other(level))}]   # yours to choose\n')
    return "".join(lines) or '# "switches.width" = [16, 64]\n'


def _other(level: Level) -> Level:
    """Another level, for somebody to replace."""
    if isinstance(level, bool):
        return not level
    if isinstance(level, int | float):
        return (2 * level if math.isfinite(2 * level) else level / 2) or 1
    return f"other {level}"


def _toml(level: Level) -> str:
    return json.dumps(level, ensure_ascii=False).replace("\x7f", "\\u007f")  # as TOML wants it
