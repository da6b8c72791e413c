"""Whether a trial that was trained again is the same: bit by bit, or within what may differ."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Any

from swinablate.cli.commands.verbs.again import Again
from swinablate.records.outcome import Outcome
from swinablate.text import known

SCHEMA = 1
"""Of `reproduce --json`: a script that reads it can refuse what it does not know."""
MEASURED = ("time/", "memory/", "again/")
"""Begin the names of what depends on the machine's load and not on the numbers."""
STANDARD = 3.0
"""Of how many standard deviations a difference may be: more comes by chance once in 370 times."""
FEW = 126
"""Validation images of digits, the smallest data set that comes with us: no record tells how many
there were, and more would allow less than chance does there."""
ACCURACIES = ("test/accuracy", "val/accuracy")


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A number of the record, the one of now, and whether that is the same."""

    name: str
    recorded: Any
    again: Any
    same: bool

    def to_json(self) -> dict[str, Any]:
        """What `reproduce --json` says of it."""
        return dict(vars(self))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What came of training a trial again.

    Attributes:
        same: all that had to be the same is.
        bits: the class of execution is the same, so that every bit has to be.
        differs: what of the class of execution differs -> (recorded, now).
        numbers: what was compared.
        allowed: accuracies may differ by so many percentage points; None where bits decide.
        rule: how it was judged, in a sentence.
        said: what a reader must know of the code.
    """

    same: bool
    bits: bool
    differs: Mapping[str, tuple[Any, Any]]
    numbers: tuple[Compared, ...]
    allowed: float | None
    rule: str
    said: tuple[str, ...]

    def to_json(self, trial: str) -> dict[str, Any]:
        """`reproduce --json`."""
        return {
            "schema": SCHEMA,
            "trial": trial,
            "same": self.same,
            "bit_by_bit": self.bits,
            "execution": {key: list(pair) for key, pair in self.differs.items()},
            "compared": [one.to_json() for one in self.numbers],
            "allowed_pp": self.allowed,
            "rule": self.rule,
            "notes": list(self.said),
        }


def compare(found: Again, siblings: Sequence[Outcome] = ()) -> Comparison:
    """Judge a trial that was trained again.

    With the class of execution that was recorded every number must be the same, bit for bit. In
    another class sums are rounded otherwise, and training makes small differences large: what
    comes is another draw of what seeds differ by.

    Args:
        found: what came of it.
        siblings: other recorded trials of its arm, which say how much seeds differ.
    """
    before = found.before
    if "diverged" in {before.status, found.last.kind}:
        return _diverged(found)
    differs = _classes(before.execution, found.execution)
    metrics = found.last.data["metrics"]
    if differs:
        return _within(found, metrics, differs, siblings)
    numbers = [_number(name, value, metrics.get(name)) for name, value in _told(before.metrics)]
    numbers += _curves(before.curve, found.curve)
    digests = (before.predictions, found.last.data.get("predictions", {}))
    pair = tuple(one.get("sha256") for one in digests)
    numbers += [_number("answers to the test images (sha256)", *pair)] if pair[0] else []
    if None not in found.weights:
        numbers.append(_number("final weights (sha256)", *found.weights))
    same = all(one.same for one in numbers)
    return Comparison(
        same=same,
        bits=True,
        differs={},
        numbers=tuple(numbers),
        allowed=None,
        rule="the class of execution is the recorded one: every number must be the same, bit for "
        "bit (times and memory depend on the machine's load, and are not compared)",
        said=found.said,
    )


def _within(
    found: Again,
    metrics: Mapping[str, Any],
    differs: Mapping[str, tuple[Any, Any]],
    siblings: Sequence[Outcome],
) -> Comparison:
    before = found.before
    numbers, largest = [], 0.0
    for name in (name for name in ACCURACIES if name in before.metrics):
        allowed = _allowed(name, before, siblings)
        off = abs(metrics[name] - before.metrics[name])
        largest = max(largest, allowed)
        numbers.append(
            Compared(
                name=name, recorded=before.metrics[name], again=metrics[name], same=off <= allowed
            )
        )
    what = ", ".join(f"{key} {a} -> {b}" for key, (a, b) in differs.items())
    return Comparison(
        same=all(one.same for one in numbers),
        bits=False,
        differs=differs,
        numbers=tuple(numbers),
        allowed=largest,
        rule=f"another class of execution ({what}): sums are rounded otherwise, and training "
        "makes small differences large, so that another draw of what seeds differ by is expected; "
        f"accuracies may differ by {largest:.2f} points, {STANDARD:g} standard deviations of the "
        "difference of two such trainings",
        said=found.said,
    )


def _diverged(found: Again) -> Comparison:
    """A trial that diverges does so at the same step every time, on one machine."""
    before = found.before
    was = str((before.failure or {}).get("message", before.status))
    now = str(found.last.data.get("message", "")) if found.last.kind == "diverged" else "done"
    both = before.status == found.last.kind == "diverged"
    one = Compared(name="how it ended", recorded=was, again=now, same=both)
    return Comparison(
        same=both,
        bits=False,
        differs={},
        numbers=(one,),
        allowed=None,
        rule="a training that diverged must diverge again, and one that did not must not; at "
        "which step may depend on the machine",
        said=found.said,
    )


def _classes(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    keys = {**before, **now}
    return {k: (before.get(k), now.get(k)) for k in keys if before.get(k) != now.get(k)}


def _told(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in values.items() if not name.startswith(MEASURED)]


def _number(name: str, before: Any, now: Any) -> Compared:
    return Compared(name=name, recorded=before, again=now, same=before == now)


def _curves(
    before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]
) -> list[Compared]:
    """The curves, a line a metric: the last values where all are the same, else the first not."""
    names = [name for name, _ in _told(before[0])] if before else []
    found = [_number("epochs of the curve", len(before), len(now))]
    for name in (name for name in names if name not in {"epoch", "at"}):
        pairs = [(a.get(name), b.get(name)) for a, b in zip(before, now, strict=False)]
        wrong = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
        epoch = len(pairs) - 1 if wrong is None else wrong
        if pairs:
            found.append(_number(f"curve of {name}, epoch {epoch + 1}", *pairs[epoch]))
    return found


def _allowed(name: str, before: Outcome, siblings: Sequence[Outcome]) -> float:
    """By how many points two trainings of one seed may differ that round otherwise.

    Of the seeds of the arm where there are three or more, at least what a test set of that size
    leaves to chance.
    """
    images = int(before.predictions.get("images", 0) or 0) if name == "test/accuracy" else 0
    share = min(max(before.metrics[name] / 100, 0.01), 0.99)
    chance = 100 * math.sqrt(share * (1 - share) / (images or FEW))
    values = [one.metrics[name] for one in siblings if known(one.metrics.get(name))]
    seeds = stdev(values) if len(values) >= 3 else 0.0
    return STANDARD * math.sqrt(2) * max(chance, seeds)
