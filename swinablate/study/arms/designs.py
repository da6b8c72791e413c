"""Which combinations of levels a study runs, and what they can and cannot show.

Source of the fractions: Box, Hunter, Hunter, Statistics for Experimenters (2005), table 6.22;
NIST/SEMATECH e-Handbook of Statistical Methods, 5.3.3.4.7. A test computes their aliases.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from swinablate.config.levels import Level
from swinablate.errors import InputError
from swinablate.records.plan import Design

Axes = Mapping[str, Sequence[Level]]

SHOWS: Mapping[Design, str] = MappingProxyType(
    {
        "one_at_a_time": (
            "One change at a time shows what each change does to the baseline, and nothing of "
            "how changes act together."
        ),
        "factorial": (
            "A complete factorial design shows what each switch does on average over the levels "
            "of all others, and whether the effect of one depends on another; an average over "
            "settings nobody would use is no effect on the baseline."
        ),
        "fraction": (
            "A fraction of resolution V shows what each switch does on average and how every two "
            "act together, unless three or more act together: such an interaction would be "
            "mistaken for one of two."
        ),
        "path": (
            "A path shows what each change adds to the changes before it, in the declared order "
            "and in the reverse; a step that differs between the two depends on the others, and "
            "neither number is the effect of that change alone."
        ),
    }
)
"""One sentence a design, for `plan` and for the report's methods."""

GENERATORS: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {
        5: ("ABCD",),
        6: ("ABCDE",),
        7: ("ABCDEF",),
        8: ("ABCD", "ABEF"),
        9: ("ACDFG", "BCEFG"),
        10: ("ABCG", "BCDE", "ACDF"),
        11: ("ABCG", "BCDE", "ACDF", "ABCDEFG"),
    }
)
"""Switches -> the words that say when the last of them change; the smallest regular fractions
in which no main effect or two-way interaction is aliased with another."""


def cells(design: Design, axes: Axes, at: str) -> Iterator[dict[str, Level]]:
    """Yield what each cell but the baseline's changes.

    Args:
        design: how the axes are combined.
        axes: switch -> levels other than the baseline's.
        at: where the axes stand, for messages.

    Raises:
        InputError: the design cannot be made of these axes.
    """
    if design in {"fraction", "path"}:
        _check_pairs(design, axes, at)
    if design == "one_at_a_time":
        yield from ({switch: level} for switch, levels in axes.items() for level in levels)
    elif design == "factorial":
        yield from _factorial(axes)
    elif design == "fraction":
        yield from _fraction(axes, at)
    else:
        yield from _path(axes)


def directions(axes: Sequence[str]) -> dict[str, list[tuple[str, ...]]]:
    """The two ways from the baseline to all changes: name -> the switches changed at each stop."""
    orders = {"forward": list(axes), "reverse": list(axes)[::-1]}
    return {
        name: [tuple(order[:k]) for k in range(len(order) + 1)] for name, order in orders.items()
    }


def _factorial(axes: Axes) -> Iterator[dict[str, Level]]:
    choices = [[None, *((switch, level) for level in levels)] for switch, levels in axes.items()]
    # The first combination changes nothing: the baseline, which is always run.
    for cell in itertools.islice(itertools.product(*choices), 1, None):
        yield dict(change for change in cell if change is not None)


def _fraction(axes: Axes, at: str) -> Iterator[dict[str, Level]]:
    """Every combination of the first switches; the last ones follow from them.

    A switch follows its word: it changes where an odd number of the word's switches does, so
    that the cell without any change, the baseline, is part of the fraction.
    """
    count = len(axes)
    if count not in GENERATORS:
        few = count < min(GENERATORS)
        raise InputError(
            f"there is no fraction of resolution V of {count} switches",
            at=at,
            hint='write design = "factorial": so few need every cell'
            if few
            else f"vary at most {max(GENERATORS)} switches in one study",
        )
    words = GENERATORS[count]
    free = count - len(words)
    for first in itertools.islice(itertools.product((False, True), repeat=free), 1, None):
        last = [sum(first[ord(letter) - ord("A")] for letter in word) % 2 == 1 for word in words]
        changed = zip(axes.items(), (*first, *last), strict=True)
        yield {switch: levels[0] for (switch, levels), on in changed if on}


def _path(axes: Axes) -> Iterator[dict[str, Level]]:
    """The stops of both directions; the last one, with every change, is the same."""
    forward, reverse = directions(list(axes)).values()
    for stop in [*forward[1:], *reverse[1:-1]]:
        yield {switch: axes[switch][0] for switch in axes if switch in stop}


def _check_pairs(design: Design, axes: Axes, at: str) -> None:
    for switch, levels in axes.items():
        if len(levels) != 1:
            raise InputError(
                f"design = {design!r} needs one level a switch, {switch!r} has {len(levels)}",
                at=at,
                hint="keep one level; the baseline's is the other",
            )
    if len(axes) < 2:
        problem = f"design = {design!r} of {len(axes)} switches is no design"
        raise InputError(problem, at=at, hint="vary at least 2 switches in [axes]")


def plain(axes: Axes) -> dict[str, list[Any]]:
    """The axes as JSON has them."""
    return {switch: list(levels) for switch, levels in axes.items()}
