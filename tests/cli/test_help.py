"""What `--help` says of every command: whole sentences, and an example."""

import re
from collections.abc import Iterator

import pytest
import typer

from swinablate.cli.app import app, main


def commands(group: typer.Typer) -> Iterator[list[str]]:
    """The words of every command."""
    for one in group.registered_commands:
        assert one.callback is not None
        yield [one.name or one.callback.__name__.replace("_", "-")]
    for sub in group.registered_groups:
        assert sub.typer_instance is not None
        name = str(sub.typer_instance.info.name or sub.name or "")
        yield from ([*([name] if name else []), *words] for words in commands(sub.typer_instance))


EVERY = [words for words in commands(app) if words != ["stats"]]


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_help_is_whole_and_has_an_example(words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    if main([*words, "--help"]) == 2:
        words = ["stats", *words]
        assert main([*words, "--help"]) == 0
    text = capsys.readouterr().out
    assert not re.search(r" \.(\s|$)|``", text, re.MULTILINE), "brackets were taken for markup"
    assert f"Example: swinablate {' '.join(words)}" in text


def test_defaults_that_are_no_values_are_said_in_words(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    main(["run", "--help"])
    text = capsys.readouterr().out
    for words in ("one a GPU, or one a core", "reports/STUDY", "SQLite in the home", "900, or 20"):
        assert f"[default: ({words}" in text
