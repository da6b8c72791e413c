"""What `list`, `show` and `logs` print for people; `--json` has the same data."""

import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from swinablate.cli import terminal
from swinablate.records.launch import program
from swinablate.scheduling.looking.attempts import Attempt, Printed
from swinablate.scheduling.looking.trial import where_it_failed
from swinablate.text import OWN, counted, duration, first_line, flat, known, level

BLOCKS = "".join(map(chr, range(0x2581, 0x2589)))
"""Of Unicode, from one eighth to the full height."""
PLAIN = ".:-=+*#%"
"""The same eight heights where a stream has no blocks."""
WIDE = 60
"""Epochs that a curve shows at most, each a column: with its ends beside it that fills a line."""
TEXT = 200
"""Characters of a message on one line of a table."""
DIGITS = 12
"""Of an id in tables: enough for every home, and `show` takes them."""


def list_studies(rows: Sequence[Mapping[str, Any]], root: Path) -> None:
    """Print the studies of a home, a line each, and what was found below."""
    if not rows:
        terminal.err.print(f"no study was run in {root}", markup=False, soft_wrap=True)
        return
    terminal.table(
        f"Studies of {root}",
        ["study", "state", ">trials", ">age", ">size", "data", "question", "strongest verdict"],
        [
            [
                one["name"],
                one["state"] + (" INTERIM" if one["interim"] and one["done"] else ""),
                _progress(one),
                ago(one["age_s"]),
                size(one["disk_bytes"]),
                one["dataset"],
                one["question"],
                _verdict(one),
            ]
            for one in rows
        ],
    )
    for one in rows:
        if one["problem"]:
            terminal.err.print(f"{one['name']}: {one['problem']}", markup=False, soft_wrap=True)


def show_trial(one: Mapping[str, Any], again: str, logs: str) -> None:
    """Print a trial: what differs first, then how it went.

    Args:
        one: what `trial_shown` says.
        again: the command that trains it again, alone; empty where there is nothing to compare.
        logs: the command that shows its log.
    """
    say = terminal.out.print
    say(f"trial {one['trial']}", markup=False, soft_wrap=True)
    for use in one["uses"]:
        old = (
            "" if use["newest"] else f" (declaration {use['declaration'][:DIGITS]}, an older one)"
        )
        say(f"  {use['study']}: {use['name']}{old}", markup=False, soft_wrap=True)
    if not one["uses"]:
        say("  of no declared study of this home", markup=False)
    say(f"\n{_how(one)}", markup=False, soft_wrap=True)
    _failure(one)
    pairs = [[path, level_of(a), level_of(b)] for path, (a, b) in one["differs"].items()]
    if pairs:
        say()
        terminal.table("What differs from the baseline", ["switch", "baseline", "here"], pairs)
    elif one["uses"]:
        say("\nNothing differs from the baseline: this is it.")
    _curves(one["curve"])
    _values("Metrics", one["metrics"])
    say()
    terminal.table(
        "Attempts",
        [">", "ended", ">epochs", "device", ">took", "why"],
        [_attempt(attempt) for attempt in one["attempts"]],
    )
    same = {k: v for k, v in flat(one["recipe"]).items() if k not in one["differs"]}
    _values("Recipe: all the rest", same)
    _values("Execution", one["execution"])
    say(f"\nfolder: {one['folder']}", markup=False, soft_wrap=True)
    say(f"its log: {logs}", markup=False, soft_wrap=True)
    if again:
        say(f"again, alone: {again}", markup=False, soft_wrap=True)


def show_arm(one: Mapping[str, Any]) -> None:
    """Print the trials of an arm, a line each."""
    for study, pairs in one["differs"].items():
        said = ", ".join(f"{p} {level_of(a)} -> {level_of(b)}" for p, (a, b) in pairs.items())
        terminal.out.print(f"{study}: {one['arm']}: {said or 'the baseline'}", markup=False)
    own = sorted({key for row in one["trials"] for key in row if key.startswith(OWN)})
    keys = own or ["test/accuracy", "val/accuracy"]
    titles = [f">{key.removeprefix(OWN)}" for key in own] or [">test %", ">val %"]
    terminal.out.print()
    terminal.table(
        counted(len(one["trials"]), "trial"),
        ["study", ">seed", "trial", "status", *titles, ">epochs", ">took", "why"],
        [
            [
                row["study"],
                row["seed"],
                row["trial"][:DIGITS],
                row["status"],
                *(_percent(row.get(key)) for key in keys),
                row["epochs"] or "",
                duration(row["seconds"], unknown=""),
                first_line(row["message"] or "", TEXT),
            ]
            for row in one["trials"]
        ],
    )


def show_logs(attempts: Iterable[tuple[Attempt, Sequence[Printed]]]) -> None:
    """Print what happened in attempts and what their workers printed, the newest last."""
    say = terminal.out.print
    for attempt, texts in attempts:
        say(f"attempt {attempt.number}: {attempt.log}", markup=False, soft_wrap=True)
        for one in attempt.events:
            when = clock(one.at)
            data = {k: v for k, v in one.data.items() if k not in UNTOLD}
            said = "  ".join(f"{key} {_shown(value)}" for key, value in data.items())
            say(f"  {when}  {one.kind:<10}  {said}".rstrip(), markup=False, soft_wrap=True)
            if trace := str(one.data.get("traceback", "")).rstrip():
                say("\n".join(f"      {line}" for line in trace.splitlines()), markup=False,
                    soft_wrap=True)  # fmt: skip
        for text in texts:
            say(f"  printed, {text.file}:", markup=False, soft_wrap=True)
            for line in text.lines:
                say(f"      {line}", markup=False, soft_wrap=True)
        say()


UNTOLD = {"metrics", "predictions", "execution", "curve", "traceback", "at"}
"""Data of events that are no words for a line; `show` has them."""


def command(name: str, *words: str, home: str = "") -> str:
    """A command about this home, to be pasted."""
    return shlex.join([*program(), name, *words, *(["--home", home] if home else [])])


def ago(seconds: float | None) -> str:
    """How long ago, in the largest unit that fits."""
    if not known(seconds):
        return "-"
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def size(count: int) -> str:
    """Bytes in a unit that suits them."""
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def clock(at: int) -> str:
    """A moment in Unix ms as this machine's clock has it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at / 1000))


def sparkline(values: Sequence[float], *, blocks: bool) -> str:
    """A curve as a line of text, from its least to its largest value.

    Args:
        values: of the epochs; of more than `WIDE` evenly many are shown, the last among them.
        blocks: whether the stream has block characters.
    """
    signs = BLOCKS if blocks else PLAIN
    if len(values) > WIDE:
        values = [values[round(i * (len(values) - 1) / (WIDE - 1))] for i in range(WIDE)]
    low, high = min(values), max(values)
    step = (high - low) / (len(signs) - 1) or 1.0
    return "".join(signs[round((value - low) / step)] for value in values)


def level_of(value: object) -> str:
    """A level of a switch; a dash where a recipe has no such field."""
    return "-" if value is None else level(value)


def _progress(one: Mapping[str, Any]) -> str:
    failed = f", {one['failed']} failed" if one["failed"] else ""
    most = f" (at most {one['most']})" if one["most"] > one["planned"] else ""
    return f"{one['done']} of {one['planned']}{most}{failed}"


def _verdict(one: Mapping[str, Any]) -> str:
    if one["headline"]:
        return str(one["headline"]["text"])
    return "nothing decided" if one["state"] == "done" and not one["smoke"] else ""


def _how(one: Mapping[str, Any]) -> str:
    accuracies = [
        f"{split} {one['metrics'][f'{split}/accuracy']:.2f} %"
        for split in ("test", "val")
        if f"{split}/accuracy" in one["metrics"]
    ]
    accuracies += [
        f"{name.removeprefix(OWN)} {value:.5g}"
        for name, value in one["metrics"].items()
        if name.startswith(OWN)
    ]
    took = [f"in {duration(one['seconds'])}"] if one["seconds"] else []
    ended = [f"on {clock(one['finished_at'])}"] if one["finished_at"] else []
    return ", ".join([one["status"], *accuracies, *took, *ended])


def _failure(one: Mapping[str, Any]) -> None:
    failure = one["failure"]
    if failure:
        said = f"{failure.get('kind', '')}: {first_line(failure.get('message', ''), TEXT)}"
        terminal.out.print(said, markup=False, soft_wrap=True)
        if where := where_it_failed(failure.get("traceback", "")):
            terminal.out.print(f"at {where}; `swinablate logs TRIAL` has all of it", markup=False)
    if one["damage"]:
        terminal.out.print(one["damage"], markup=False, soft_wrap=True)


def _curves(curve: Sequence[Mapping[str, float]]) -> None:
    """A line a metric: its course, where it began and where it ended."""
    if not curve:
        return
    blocks = "utf" in (terminal.out.encoding or "").lower()
    epochs = counted(len(curve), "epoch")
    rows = []
    own = dict.fromkeys(name for row in curve for name in row if name.startswith(OWN))
    for name in (*own, "val/accuracy", "train/loss"):
        values = [row[name] for row in curve if known(row.get(name))]
        if values:
            line = sparkline(values, blocks=blocks)
            rows.append([name, f"{values[0]:.4g}", line, f"{values[-1]:.4g}"])
    terminal.out.print()
    terminal.table(f"Curve: {epochs}", ["", ">first", "", ">last"], rows)


def _values(title: str, values: Mapping[str, Any]) -> None:
    if values:
        terminal.out.print()
        terminal.table(title, ["", ""], [[key, _shown(value)] for key, value in values.items()])


def _attempt(one: Mapping[str, Any]) -> list[object]:
    ended = one["state"] + (", tried again" if one["reopened"] else "")
    both = one["started_at"] and one["ended_at"]
    took = duration((one["ended_at"] - one["started_at"]) / 1000) if both else ""
    why = first_line(one["message"], TEXT)
    return [one["number"], ended, one["epochs"] or "", one["device"], took, why]


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else level(value)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
