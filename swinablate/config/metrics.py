"""What can be compared: the metrics of a trial, and what it costs; a row each.

A metric says which way is good, the unit of its differences, and how small a spread over seeds
may be believed: seeds that agree by chance to less than the metric can tell apart are no evidence
that training repeats itself.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from swinablate.config.plugins import did_you_mean
from swinablate.errors import InputError
from swinablate.text import LOG_ODDS, column_of, counted

ACCURACY = "test/accuracy"
RECALL = re.compile(r"test/recall/(?P<which>.+)")
"""Of one class, by its number from 0 or by its name."""
TRANSLATED = re.compile(r"test/translated/(?P<pixels>[1-9]\d{0,3})")
"""Of test images moved by so many pixels; only trials of studies that name it measure it."""
COMMAND = "command/"
"""Begins the names of what a command measures; behind colons stand its unit and which way is good,
where these are not percent and higher: `command/loss:nats:lower`."""
TOP = 5
"""Classes that a top-5 accuracy looks at. With five or fewer it is always 100 %."""
BINS = 15
"""Of the expected calibration error, of equal width (Guo 2017, arXiv:1706.04599, sec. 3)."""
UNIFORM = 12**-0.5
"""The sd of what is rounded to a step, in steps."""
WHOLE = 100.0
"""Percent, and the largest difference of two percentages."""

Step = Literal["image", "class", "fixed"]
Direction = Literal["higher", "lower"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Something that every final trial records, or that the plan knows of its network.

    Attributes:
        name: in study files and in `verdicts.json`.
        called: in a sentence.
        unit: of a difference; of "pp" the values are percent.
        better: which way is good.
        key: in the metrics of a record; empty where the plan knows it.
        step: what the smallest change of it is: one image of the test set, one of a class (of
            equal size), or `least`.
        least: that change, in the unit.
        why: it is.
        exact: equal for every seed, and known before anything trains.
    """

    name: str
    called: str
    unit: str
    better: Direction
    key: str
    step: Step = "image"
    least: float = 0.0
    why: str = "one image of the test set more or less"
    exact: bool = False

    def floor(self, images: int | None, classes: int | None) -> float:
        """The smallest sd over seeds that is believed; 0 where the test set is unknown."""
        if self.step == "fixed":
            return self.least * UNIFORM
        size = 1 if self.step == "image" else classes
        return WHOLE * size / images * UNIFORM if images and size else 0.0

    @property
    def column(self) -> str:
        """In `trials.csv`."""
        return column_of(self.name)

    @property
    def most(self) -> float | None:
        """The largest difference that there can be."""
        return WHOLE if self.unit == "pp" else None


def _test(name: str, called: str, better: Direction = "higher") -> Metric:
    return Metric(
        name=f"test/{name}",
        called=called,
        unit="pp",
        better=better,
        key=f"test/{name}",
    )


LOSS_STEP = 1e-6
"""Nats: logits are float32, and kernels that round otherwise move a mean loss by about so much."""
METRICS = (
    _test("accuracy", "test accuracy"),
    Metric(
        name="test/loss",
        called="test loss",
        unit="nats",  # cross-entropy without label smoothing, mean over the test images
        better="lower",
        key="test/loss",
        step="fixed",
        least=LOSS_STEP,
        why="what rounding of float32 logits moves it by",
    ),
    _test("balanced_accuracy", "balanced test accuracy"),
    _test("f1_macro", "macro F1 on the test images"),
    _test("ece", "expected calibration error on the test images", better="lower"),
    _test("top5", "test top-5 accuracy"),
    Metric(
        name="train/eval_accuracy",
        called="training accuracy in evaluation mode",
        unit="pp",
        better="higher",
        key="train/eval_accuracy",
        why="one image more or less, of as many as the test set has",
    ),
    Metric(
        name="train/eval_loss",
        called="training loss in evaluation mode",
        unit="nats",
        better="lower",
        key="train/eval_loss",
        step="fixed",
        least=LOSS_STEP,
        why="what rounding of float32 logits moves it by",
    ),
)
QUANTITIES = (
    Metric(
        name="train_s",
        called="training time",
        unit="s",
        better="lower",
        key="time/train_s",
        step="fixed",
        least=1e-3,
        why="a millisecond: less is the operating system's",
    ),
    Metric(
        name="images_per_s",
        called="training throughput",
        unit="images/s",
        better="higher",
        key="time/images_per_s",
        step="fixed",
        least=1.0,
        why="one image a second: finer digits are the operating system's",
    ),
    Metric(
        name="peak_mib",
        called="peak memory",
        unit="MiB",
        better="lower",
        key="memory/peak_mib",
        step="fixed",
        least=2.0,
        why="torch asks a GPU for memory in blocks of 2 MiB",
    ),
    Metric(
        name="params",
        called="parameters",
        unit="parameters",
        better="lower",
        key="",
        step="fixed",
        why="known exactly",
        exact=True,
    ),
    Metric(
        name="macs",
        called="multiply-accumulates an image",
        unit="MACs",
        better="lower",
        key="",
        step="fixed",
        why="known exactly",
        exact=True,
    ),
)
"""What hypotheses may be about besides a metric."""


def metric(name: str) -> Metric:
    """The row of a name that was checked: by `checked`, or when a plan was recorded."""
    found = {row.name: row for row in (*METRICS, *QUANTITIES)}.get(name)
    if found is not None:
        return found
    if pixels := translation(name):
        moved = f"test accuracy under translation by {counted(pixels, 'pixel')}"
        return _test(f"translated/{pixels}", moved)
    if name.startswith(COMMAND):
        return _of_command(name)
    number, label = _class_of(name)
    what = f"class {number}" + (f" ({label})" if label else "")
    return replace(
        _test(f"recall/{number}", f"test recall of {what}"),
        name=name,
        step="class",
        why="one image of the class more or less, were all classes as large",
    )


def unit_on(name: str, scale: str) -> str:
    """The unit of a metric's differences on a scale; `name` as `metric` takes it."""
    return LOG_ODDS if scale == "logit" else metric(name).unit


def _of_command(name: str) -> Metric:
    """What a command measures, of which nothing is known but what its recipe says."""
    key, _, said = name.partition(":")
    unit, _, better = said.partition(":")
    return Metric(
        name=name,
        called=key.removeprefix(COMMAND),
        unit="pp" if unit in {"", "percent"} else unit,
        better="lower" if better == "lower" else "higher",
        key=key,
        step="fixed",
        why="nothing is known of how finely the command measures",
    )


def alike(wanted: str, names: Iterable[str]) -> str:
    """The one of some names that is another's quantity: so called, in its unit, as good.

    `test/accuracy` of a network is the `accuracy` of a command, if that is in percent and more of
    it is better.

    Args:
        wanted: a metric's name, as it is recorded.
        names: of those that somebody else measures.

    Returns:
        Its name; empty where none is.
    """
    ours = metric(wanted)
    for name in names:
        theirs = metric(name)
        pairs = ((_plain(name), _plain(wanted)), (theirs.unit, ours.unit))
        if theirs.better == ours.better and all(a == b for a, b in pairs):
            return name
    return ""


def _plain(name: str) -> str:
    """A metric's name without its split, direction and unit."""
    return name.partition(":")[0].partition("/")[2]


def translation(name: str) -> int:
    """By how many pixels the images of a metric are moved; 0 for all other metrics."""
    found = TRANSLATED.fullmatch(name)
    return int(found["pixels"]) if found else 0


def on_request(names: Iterable[str]) -> tuple[str, ...]:
    """Those that a trial measures only where its study names them."""
    return tuple(name for name in names if translation(name))


def checked(
    name: str,
    at: str,
    *,
    classes: int,
    names: Sequence[str] = (),
    side: int | None = None,
    quantities: bool = False,
) -> str:
    """A metric's name as it is recorded: a class has its number, and its name behind that.

    Args:
        name: as written.
        at: where.
        classes: of the data set.
        names: of these, where the data set knows them.
        side: the shorter one of its images, in pixels.
        quantities: whether what a trial costs may be named, too.

    Raises:
        InputError: nothing is called so, or these data cannot have it.
    """
    if name == "test/top5" and classes <= TOP:
        raise InputError(
            f"test/top5 is 100 % for any network: there are {classes} classes",
            at=at,
            hint='name "test/accuracy"',
        )
    if translation(name):
        return _in_sight(name, at, side)
    rows = (*METRICS, *QUANTITIES) if quantities else METRICS
    known = [row.name for row in rows]
    if name in known:
        return name
    recall = RECALL.fullmatch(name)
    if recall is None:
        close = did_you_mean(name, known)
        recalls = f"or test/recall/CLASS, from 0 to {classes - 1}" + (
            " or a name" if names else ""
        )
        recalls += ", or test/translated/PIXELS"
        raise InputError(
            f"no metric is called {name!r}",
            at=at,
            hint=f"{close}{' ' if close.endswith('?') else '; '}{recalls}",
        )
    which = recall["which"]
    number, label = _class_of(name)
    if names and label and number < classes and names[number] == label:
        return name  # as this function writes it
    if which in names:
        number = list(names).index(which)
    elif not which.isdecimal() or number >= classes:
        every = ", ".join(names) if names else f"0 to {classes - 1}"
        raise InputError(f"no class is called {which!r}", at=at, hint=f"known: {every}")
    label = names[number] if names and names[number] != str(number) else ""
    return f"test/recall/{number}" + (f":{label}" if label else "")


def _in_sight(name: str, at: str, side: int | None) -> str:
    """The name, if images that are moved so far are not empty."""
    if side is not None and translation(name) >= side:
        raise InputError(
            f"nothing would be left of images with a side of {counted(side, 'pixel')}",
            at=f"{at}: {name}",
            hint=f"name test/translated/1, or another number below {side}",
        )
    return name


def _class_of(name: str) -> tuple[int, str]:
    """The number of a class in a name like `test/recall/7:sneaker`, and the word behind it."""
    recall = RECALL.fullmatch(name)
    if recall is None:
        raise ValueError(f"no metric is called {name!r}")
    number, _, label = recall["which"].partition(":")
    return (int(number) if number.isdecimal() else -1), label
