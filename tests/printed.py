"""Commands that the product prints: where they stand, and whether the command line takes them.

A sentence may name a command (`swinablate sync`); what a message, or a block of code, tells people
to type has all its arguments. Upper-case words (STUDY, ARM) stand for values.
"""

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from benchmarks.__main__ import app as benchmarks
from swinablate.cli.app import app

ROOT = Path(__file__).parent.parent
PROGRAM = r"(?:swinablate|python3 dev\.py|just)"
SPAN = re.compile(rf"`({PROGRAM}\s[^`]+)`")
"""A command in backticks."""
LINE = re.compile(rf"(?:^|Example:)[\s#$>]*({PROGRAM} [a-z{{[-].*)$", re.MULTILINE)
"""A command with which a line begins."""
BARE = re.compile(r"(?<![\w./`-])(swinablate [a-z{-].*)$", re.MULTILINE)
"""Our name with a word behind it, anywhere in a message."""
NO_COMMAND = ("from", "itself", "needs", "process")
"""Words behind our name in sentences."""
COMMENT = re.compile(r"\s{2,}|\s#|\s[|>&]")
"""Where a command in a block of code ends: blanks, a comment, a pipe."""
CLAUSE = re.compile(COMMENT.pattern + r"|[,;:.)](?=\s|$)|\\n")
"""Where a command in a sentence ends."""
VALUES = {"STUDY": "studies/quickstart.toml", "N": "1", "TARGET": "check"}
"""What an upper-case word stands for, where any word will not do."""
MADE = ("studies/window.toml", "studies/train.toml")
"""What a command before it on the same page writes: tests/integration/test_site.py follows it."""
PLACEHOLDERS = {
    "__version__": "0.1.0",
    "arm": "'no shift'",
    "baseline": "'no shift'",
    "card.seed": "3",
    "file": "studies/quickstart.toml",
    "file.name": "results.csv",
    "more": "10",
    "name": "quickstart",
    "path": "studies/quickstart.toml",
    "plan.study": "quickstart",
    "program": "swinablate",
    "start.weights": "start-{seed}.pt",
    "study": "studies/quickstart.toml",
}
"""What placeholders of f-strings and templates become, where they stand in a command."""


@dataclass(frozen=True, kw_only=True)
class Printed:
    """A command as it stands somewhere.

    Attributes:
        whole: with all its arguments; otherwise it may be a mere name.
    """

    where: str
    command: str
    whole: bool


def in_python(source: str, where: str) -> Iterator[Printed]:
    """Commands in the strings of a module. Docstrings are documentation, the rest is printed."""
    tree = ast.parse(source)
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in _strings(tree):
        found = in_markdown if id(node) in documentation else in_message
        text = re.sub(rf"\n {{{node.col_offset}}}", "\n", _text(node))  # as if not indented
        yield from found(text, f"{where}:{node.lineno}")


def unrouted(source: str) -> Iterator[int]:
    """Lines of a module that name the program themselves, where nobody puts it as it was typed.

    What stands in backticks is mended where it is shown (`launch.as_typed`), and so are the
    examples of `--help`; all else has to ask `launch.program`.
    """
    tree = ast.parse(source)
    mended = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    mended |= {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "epilog"
    }
    for node in _strings(tree):
        text = str(node.value) if isinstance(node, ast.Constant) else _text(node)
        rest = SPAN.sub("", "" if id(node) in mended else text)
        if any(x.split()[1] not in NO_COMMAND for x in [*LINE.findall(rest), *BARE.findall(rest)]):
            yield node.lineno
    for node in ast.walk(tree):
        first = node.elts[0] if isinstance(node, ast.List) and node.elts else None
        if isinstance(first, ast.Constant) and first.value == "swinablate":
            yield node.lineno


def in_message(text: str, where: str) -> Iterator[Printed]:
    """Commands in what is printed: in backticks, at the start of a line, or behind our name."""
    for span in SPAN.findall(text):
        yield Printed(where=where, command=_joined(span), whole=True)
    rest = SPAN.sub("", text)
    for found in {*LINE.findall(rest), *BARE.findall(rest)}:
        if found.split()[1] not in NO_COMMAND:
            yield Printed(where=where, command=CLAUSE.split(found)[0], whole=True)


def in_markdown(text: str, where: str) -> Iterator[Printed]:
    """Commands in documentation: in blocks of code, and in backticks."""
    parts = re.split(r"^```.*$", text, flags=re.MULTILINE)
    for number, part in enumerate(parts):
        fenced = number % 2 == 1
        lines = part if fenced else "\n".join(re.findall(r"^ {4}.*$", part, re.MULTILINE))
        for found in LINE.findall(lines):
            yield Printed(where=where, command=COMMENT.split(found)[0], whole=True)
        for span in [] if fenced else SPAN.findall(part):
            yield Printed(where=where, command=_joined(span), whole=False)


def in_page(text: str, where: str) -> Iterator[Printed]:
    """Commands in a template of the report."""
    return in_message(re.sub(r"<[^>]*>", "\n", text), where)


def problem(printed: Printed) -> str:
    """Why the command cannot be given as it stands; empty if it can."""
    try:
        words = [VALUES.get(w, w) for w in _words(printed.command)]
    except ValueError as error:
        return str(error)
    if any("{" in w and w not in PLACEHOLDERS.values() for w in words if "{seed}" not in w):
        return "a placeholder that tests/printed.py has no value for"
    lost = [w for w in words if w.startswith(("studies/", "experiments/"))]
    lost = [w for w in lost if w not in MADE and not (ROOT / w).exists()]
    if lost:
        return f"no such file: {lost[0]}"
    return refusal(words, whole=printed.whole)


def refusal(words: list[str], *, whole: bool = True) -> str:
    """What the program says against these words; empty if it takes them. Nothing is run."""
    if words[:2] == ["python3", "dev.py"]:
        return _of_checkout(words[2:], whole=whole)
    if words[0] == "just":
        return _of_recipes(words[1:])
    return _of_typer(app, words[1:], whole=whole)


def recipes() -> dict[str, bool]:
    """The recipes of the justfile, and whether they take words."""
    text = (ROOT / "justfile").read_text("utf-8")
    found = re.findall(r"^([a-z][\w-]*)( \*?[A-Z]+)?[^=\n]*:(?!=)", text, re.MULTILINE)
    return {name: bool(takes) for name, takes in found}


def commands() -> dict[tuple[str, ...], Any]:
    """Every command by its words, groups left out."""
    return dict(_below((), typer.main.get_command(app)))


def _below(path: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, one in inner.items():
        yield from _below((*path, name), one)


def _of_checkout(words: list[str], *, whole: bool) -> str:
    if words in (["setup"], ["test"]):
        return ""
    if words[:1] == ["just"]:
        return _of_recipes(words[1:])
    return _of_typer(app, words, whole=whole)


def _of_recipes(words: list[str]) -> str:
    known = recipes()
    if words and words[0] not in known:
        return f"no recipe {words[0]!r}"
    if words[:1] == ["bench"]:
        return _of_typer(benchmarks, words[1:], whole=True)
    return f"{words[0]} takes no words" if words[1:] and not known[words[0]] else ""


def _of_typer(program: typer.Typer, words: list[str], *, whole: bool) -> str:
    """What the real command line says; it parses, and calls nothing."""
    command: Any = typer.main.get_command(program)
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        name, *words = words
        if name not in command.commands:
            return f"no command {name!r}"
        command = command.commands[name]
    if not words and not whole:
        return ""
    try:
        command.make_context(command.name, words)
    except typer.Exit:  # --help and --version
        return ""
    except typer.TyperException as error:
        return error.format_message() or "no command"
    return ""


def _strings(node: ast.AST) -> Iterator[ast.Constant | ast.JoinedStr]:
    """Outermost strings: the parts of an f-string belong to it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr) or (
            isinstance(child, ast.Constant) and isinstance(child.value, str)
        ):
            yield child
        else:
            yield from _strings(child)


def _text(node: ast.Constant | ast.JoinedStr) -> str:
    if isinstance(node, ast.Constant):
        return re.sub(r"\{([\w.]+)\}", lambda m: PLACEHOLDERS.get(m[1], m[0]), str(node.value))
    parts = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            name = ast.unparse(part.value)
            parts.append(PLACEHOLDERS.get(name, f"{{{name}}}"))
        elif isinstance(part, ast.Constant):
            parts.append(str(part.value))
    return "".join(parts)


def _words(command: str) -> list[str]:
    """Words of a command; what is optional (`[STUDY]`, `[...]`) is there."""
    plain = re.sub(r"\[([\w.]*)\]", r"\1", command)
    return [word for word in shlex.split(plain.replace("...", "")) if word]


def _joined(span: str) -> str:
    return " ".join(span.split())
