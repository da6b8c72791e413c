"""Pages that are written by hand and list what the code has: nothing is left out or made up."""

import re
from pathlib import Path

import pytest

from swinablate.errors import SwinablateError
from tests.answers import adaptive, designed, study, tuned

ROOT = Path(__file__).parent.parent
CODE = re.compile(r"\bW\d+\b")
ROW = re.compile(r"^\| (W\d+) \|", re.MULTILINE)
TROUBLE = ROOT / "docs" / "troubleshooting.md"
JSON = ROOT / "docs" / "json.md"


def kinds(error: type[SwinablateError]) -> set[int]:
    return {error.exit_code}.union(*map(kinds, error.__subclasses__()))


def test_every_warning_has_a_row_and_every_row_a_warning():
    given = {
        code
        for path in (ROOT / "swinablate").rglob("*.py")
        for literal in re.findall(r'"(W\d+)"', path.read_text("utf-8"))
        for code in CODE.findall(literal)
    }
    rows = ROW.findall(TROUBLE.read_text("utf-8"))
    assert len(rows) == len(set(rows))
    assert set(rows) == given


def test_every_exit_code_of_an_error_has_a_row():
    rows = set(map(int, re.findall(r"^\| (\d+) \|", TROUBLE.read_text("utf-8"), re.MULTILINE)))
    assert rows == kinds(SwinablateError) | {0, 130}


@pytest.mark.parametrize(
    "made",
    [study, adaptive, lambda: designed("factorial"), lambda: tuned(study())],
    ids=["arms", "looks", "designed", "tuned"],
)
def test_every_key_of_a_verdict_is_told(made):
    verdicts = made().verdicts
    keys = set(verdicts) | set(verdicts["baseline"])
    keys |= {key for row in (*verdicts["arms"], *verdicts["contrasts"]) for key in row}
    told = re.findall(r"`(\w+)`", JSON.read_text("utf-8").split("## plan.json")[0])
    assert keys - set(told) == set()
