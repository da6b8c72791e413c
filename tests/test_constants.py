"""Every number with a name in the package says why it is that number."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "swinablate"
CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*")
ORDERS = re.compile(r"#\s*(fmt:|noqa|type:)")
"""Comments for tools; what follows a `noqa` is the reason of that, not of a number."""
HOLDERS = {"frozenset", "MappingProxyType"}
"""Calls that only freeze what they are given."""


def unexplained(source):
    """Constants of a module that hold a number, without a text below, above or beside them."""
    body = ast.parse(source).body
    told, alone = comments(source)
    for statement, after in zip(body, [*body[1:], None], strict=True):
        names = named(statement)
        lines = range(statement.lineno, statement.end_lineno + 1)
        reason = text(after) or told & {*lines} or statement.lineno - 1 in alone
        if names and numeric(statement.value) and not reason:
            yield ", ".join(names)


def named(statement):
    """The names in capitals that a statement binds."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return []
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    found = [node.id for t in targets for node in ast.walk(t) if isinstance(node, ast.Name)]
    return [name for name in found if CONSTANT.fullmatch(name)]


def numeric(value):
    """Whether a value is a number, made of numbers, or holds some."""
    if isinstance(value, ast.Constant):
        return isinstance(value.value, int | float) and not isinstance(value.value, bool)
    if isinstance(value, ast.Call):
        frozen = isinstance(value.func, ast.Name) and value.func.id in HOLDERS
        return frozen and any(map(numeric, value.args))
    parts = ast.UnaryOp | ast.BinOp | ast.Tuple | ast.List | ast.Set | ast.Dict
    return isinstance(value, parts) and any(map(numeric, ast.iter_child_nodes(value)))


def text(statement):
    """Whether a statement is a string that explains the one before it."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def comments(source):
    """Lines with a comment for readers, and those of them that hold nothing else."""
    found = [
        token
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and not ORDERS.match(token.string)
    ]
    alone = {t.start[0] for t in found if t.line.lstrip().startswith("#")}
    return {t.start[0] for t in found}, alone


def test_every_named_number_has_its_reason_beside_it():
    modules = sorted(PACKAGE.rglob("*.py"))
    found = {
        path.relative_to(PACKAGE).as_posix(): names
        for path in modules
        if (names := list(unexplained(path.read_text("utf-8"))))
    }
    assert found == {}
    assert len(modules) > 100


@pytest.mark.parametrize(
    "source",
    [
        "A = 1",
        "A: float = -1.5",
        "A, B = 2**10, 'x'",
        "A = {'x': 3}",
        "_A = frozenset((1, 2))",
        "A = MappingProxyType({1: 'x'})",
        "A = 1  # noqa: S104",
        "A = (\n    1,\n    2,\n)  # fmt: skip",
        "# Of something else.\n\nA = 1",
        "B = 'x'  # of another line\nA = 1",
        "A = 1\nB = 'x'\n'''Of B.'''",
        "A = 1\n\n\ndef f():\n    '''Of f.'''",
    ],
)
def test_a_number_without_a_reason_is_found(source):
    (found,) = unexplained(source)
    assert "A" in found


@pytest.mark.parametrize(
    "source",
    [
        "A = 1\n'''Why.'''",
        "# Why.\nA = 1",
        "A = 1  # why",
        "A = {\n    'x': 3,  # why\n}",
        "A = 'x'",
        "A = True",
        "A = ('x', 'y')",
        "A = Family(3)",
        "width = 1",
        "T = TypeVar('T')",
        "def f():\n    A = 1",
    ],
)
def test_a_reason_below_above_or_beside_is_enough_and_other_values_need_none(source):
    assert list(unexplained(source)) == []
