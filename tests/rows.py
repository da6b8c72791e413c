"""Tables of what was asked for, each row with what holds it: a test, or words of a file."""

import re
from collections.abc import Iterable
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent


def lacking(holders: Iterable[str]) -> list[str]:
    """Those of a row's holders that are not there any more.

    Args:
        holders: `FILE::TEST` with a file below `tests`; or `FILE::WORDS` with a file of the
            repository that is no Python and has these words, on one line.
    """
    return [holder for holder in holders if not _there(*holder.partition("::")[::2])]


def _there(file: str, said: str) -> bool:
    path = (TESTS if file.endswith(".py") else ROOT) / file
    if not path.is_file() or not said:
        return False
    text = path.read_text("utf-8")
    if file.endswith(".py"):
        return bool(re.search(rf"^def {re.escape(said)}\(", text, re.MULTILINE))
    return any(said in line for line in text.splitlines())
