"""The number that a pattern takes of a line, and whether it is all that stands there.

`loss: ([0-9.]+)` takes 9.5 of `loss: 9.5e-05` and 95 of `loss: 95,5`, and of `loss: nan` nothing,
so that an earlier line would speak for a training that has left the real numbers. Every pattern is
therefore also asked with any number in its group's place.
"""

import re
from dataclasses import dataclass

STEP = "step"
"""The group that says which epoch or step a number is of (`config.commands.schema.STEP`, whose
import would take a command's keeper longer than all else)."""
NUMBER = (
    r"[-+]?(?:(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
    r"|(?i:nan|inf(?:inity)?)(?![A-Za-z0-9_]))"
)
"""What a program writes for a number; infinity and what is none are among them."""
TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?P<(?P<name>\w+)>|(?P<other>\?))?|\)", re.DOTALL
)
"""Of a pattern: what is escaped, a set of characters, or where a group begins or ends."""
META = re.compile(r"\\.|[\^$.*+?(){}\[\]|\s]")
"""What of a pattern is no character that a line has to have."""
ANYTHING = re.compile(r"\.[*+][^|]*", re.DOTALL)
"""A pattern that begins with whatever there is, and has no other way to begin."""
COMMA = re.compile(r"(?:,[0-9]+)+(?:\.[0-9]+)?")
"""Behind a whole number: its decimals, or its thousands."""


@dataclass(frozen=True)
class Taken:
    """What a pattern takes of a line.

    Attributes:
        number: the text of its group; empty where the line holds a number that it does not take.
        whole: that number, where the group takes another; else empty.
        step: what the line calls the step; None where the pattern asks for none.
    """

    number: str
    whole: str
    step: str | None


class Pattern:
    """A pattern of a recipe, whose only group is the number, beside one that may be the step."""

    def __init__(self, text: str) -> None:
        self._own = re.compile(text)
        self._any, self._placed = _with_any_number(text, self._own)
        self._begins = bool(ANYTHING.fullmatch(text))

    def of(self, line: str) -> Taken | None:
        """What it takes of a line; None where that holds nothing."""
        own = self._found(self._own, line)
        other = self._found(self._any, line) if self._any else None
        if other and self._placed and (own is None or other.start() < own.start()):
            whole = _number(other) or ""
            # Plain digits that a pattern does not take may be what it is to pass over.
            if re.search("[-+a-zA-Z]", whole):
                return Taken("", whole, _step(other))
        number = None if own is None else _number(own)
        if own is None or number is None:
            return None
        whole = _number(other) or "" if other and other.start() == own.start() else ""
        if not whole or _same(number, whole):
            whole = _with_comma(number, own)
        return Taken(number, whole, _step(own))

    def _found(self, pattern: re.Pattern[str], line: str) -> re.Match[str] | None:
        """The first place of a line where a pattern fits.

        One that begins with anything fits at the begin of a line or nowhere: a search would ask
        again at every character, which takes seconds for a long line.
        """
        return pattern.match(line) if self._begins else pattern.search(line)


def _with_any_number(text: str, own: re.Pattern[str]) -> tuple[re.Pattern[str] | None, bool]:
    """The pattern with any number in its group's place, and whether anything else places it."""
    found = None if own.flags & re.VERBOSE else _inside(text)
    if found is None:
        return None, False
    before, after = text[: found[0]], text[found[1] :]
    try:
        other = re.compile(before + NUMBER + after)
    except re.error:
        return None, False
    if other.groupindex.keys() != own.groupindex.keys():  # the step stood in the number
        return None, False
    return other, bool(META.sub("", before + after))


def _inside(text: str) -> tuple[int, int] | None:
    """Where the number's group begins and ends, without its parentheses."""
    begun: list[int | None] = []
    for token in TOKEN.finditer(text):
        if token[0].startswith("("):
            number = token["other"] is None and token["name"] != STEP
            begun.append(token.end() if number else None)
        elif token[0] == ")" and begun and (begin := begun.pop()) is not None:
            return begin, token.start()
    return None


def _number(found: re.Match[str]) -> str | None:
    """The text of the other group than the step's."""
    said: str | None = found[_group(found)]
    return said


def _group(found: re.Match[str]) -> int:
    return 2 if found.re.groupindex.get(STEP, 0) == 1 else 1


def _step(found: re.Match[str]) -> str | None:
    return (found[STEP] or "") if STEP in found.re.groupindex else None


def _same(taken: str, whole: str) -> bool:
    """Whether both are one number; who takes the first decimals wants no more of them."""
    try:
        same = float(taken) == float(whole) or taken == whole
    except ValueError:  # it is none: that is told as such
        return True
    fewer = "." in taken and whole.startswith(taken) and whole[len(taken) :].isdigit()
    return same or fewer


def _with_comma(number: str, found: re.Match[str]) -> str:
    """The number with what stands behind a comma, if that may be of it; else empty.

    Not where the pattern goes on behind its group, or where the number stands in a row of others.
    """
    begin, end = found.span(_group(found))
    before, after = found.string[:begin][-1:], found.string[end:]
    more = COMMA.match(after) if number.isdigit() and found.end() == end else None
    return number + more[0] if more and before != "," else ""
