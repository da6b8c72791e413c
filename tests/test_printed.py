"""What the product tells people to type can be typed."""

import re
from pathlib import Path

import pytest

from tests.printed import (
    ROOT,
    Printed,
    commands,
    in_markdown,
    in_message,
    in_page,
    in_python,
    problem,
    recipes,
    refusal,
)

MODULES = [*(ROOT / "swinablate").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
MODULES += [ROOT / "dev.py", ROOT / "tests" / "docs.py"]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]
TEMPLATES = [p for p in (ROOT / "swinablate/report/templates").iterdir() if p.is_file()]
FILES = [*ROOT.glob("studies/*.toml"), *ROOT.glob("experiments/*.toml"), ROOT / "justfile"]
FILES += [*ROOT.glob(".github/**/*.*"), ROOT / ".ci" / "run", ROOT / ".pre-commit-config.yaml"]


def printed(paths, find) -> list[Printed]:
    return [
        found
        for path in paths
        if path.exists()
        for found in find(path.read_text("utf-8"), str(path.relative_to(ROOT)))
    ]


@pytest.mark.parametrize(
    ("paths", "find", "least"),
    [
        (MODULES, in_python, 60),
        (PAGES, in_markdown, 50),
        (TEMPLATES, in_page, 0),
        (FILES, in_message, 3),
    ],
    ids=["source", "pages", "templates", "files"],
)
def test_every_command_that_is_printed_can_be_given(paths, find, least):
    found = printed(paths, find)
    assert len(found) >= least, "the commands were not found"
    wrong = [f"{one.where}: {one.command}: {why}" for one in found if (why := problem(one))]
    assert not wrong, "\n".join(wrong)
