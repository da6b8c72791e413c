"""The number that a pattern takes of a line, and whether it is all that stands there.

`loss: ([0-9.]+)` takes 9.5 of `loss: 9.5e-05` and 95 of `loss: 95,5`, and of `loss: nan` nothing,
so that an earlier line would speak for a training that has left the real numbers. Every pattern is
therefore also asked with any number in its group's place.
"""

import contextlib
import re
import signal
from collections.abc import Iterator
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
PLAIN = re.compile(r"[\w \-:;,=/%<>@#&~!\"']")
"""What stands for itself in a pattern, outside of groups and sets."""
PARTS = re.compile(rf"{TOKEN.pattern}|\{{[0-9,]*\}}|.", re.DOTALL)
"""All of a pattern, part by part; a number of times is one."""
OTHERWISE = re.compile(r"\||\(\?(?!P<|:)|\\[xuUN0-9]")
"""What gives a pattern another way to fit, letters another meaning, or writes them by number."""
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
        self._needs = required(text)

    def of(self, line: str) -> Taken | None:
        """What it takes of a line; None where that holds nothing.

        Most lines of a script are not those with a number, and lack a word that these have: it is
        looked for first, since a pattern may take as long as the square of a line.
        """
        if self._needs not in line:
            return None
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


class TooLong(Exception):
    """A pattern takes longer for a line than anybody wants to wait."""


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give up after so much processor time; in the main thread alone, which signals reach.

    Python looks at signals while it searches: some patterns take for ever for a line of 30
    characters.

    Raises:
        TooLong: it did take longer.
    """

    def ended(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGVTALRM, ended)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def required(text: str) -> str:
    """The longest text that every line has in which a pattern fits; empty if none is sure."""
    if OTHERWISE.search(text):
        return ""
    found, run, depth = "", "", 0
    for token in PARTS.finditer(text):
        depth += token[0].startswith("(")
        depth -= token[0] == ")"
        plain = depth == 0 and PLAIN.fullmatch(token[0])
        run = run + token[0] if plain and text[token.end() :][:1] not in {"?", "*", "{"} else ""
        found = max(found, run, key=len)
    return found


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
