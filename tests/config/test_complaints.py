"""What is said of a wrong value: in the words of who wrote it, never in pydantic's."""

import re
from typing import Annotated, Any, Literal, get_args

import pytest
from pydantic import Field
from pydantic_core import core_schema

from swinablate.config.family import ImageSpec
from swinablate.config.plugins import names
from swinablate.config.recipe import Recipe
from swinablate.config.schema import Frozen, validate
from swinablate.errors import InputError
from swinablate.models.registry import load_family
from swinablate.study.arms.recipes import RecipeFile
from swinablate.study.arms.written import StudyFile
from swinablate.text import BOUNDS, KINDS, expected

JARGON = re.compile(
    r"constrained|instance of|tuple|after validation|valid (dictionary|string|integer|boolean)"
    r"|input|should|parse|pydantic|literal\[|union|none\b|\bstr\b|\bint\b|function-|mapping",
    re.IGNORECASE,
)
VALUES: tuple[Any, ...] = (
    -1, 0, 10**9, 1.5, -0.5, 1e300, True, "", "x", "y" * 3000, (), (1,), (-1,), (1.5,), ("x",),
    (True,), ((),), ({},), (1, 2, 3), ({"name": 1},), tuple(range(2000)), {}, {"x": 1},
    {"low": 1}, {"low": "a", "high": 2}, {"trials": 0, "space": {"train.lr": {"low": 1, "high": "b"}}},
    {"trials": 2, "space": {"train.lr": ()}}, {"looks": (2,)}, {"looks": 3}, {"rope": "x"},
)  # fmt: skip
FAMILIES = tuple(load_family(name, "test").config for name in names("swinablate.models.families"))


class Odd(Frozen):
    """What a network of somebody else's may have."""

    size: int | tuple[int, int] = 1
    ratio: Annotated[float, Field(multiple_of=0.5)] = 1.0
    word: Annotated[str, Field(pattern="^a")] | None = None
    mode: bool | Literal["auto", 3] = False
    rows: tuple[tuple[int, ...], ...] = ()
    name: dict[str, int] = Field(default_factory=dict)


def said(cls, data, inside="") -> str:
    with pytest.raises(InputError) as caught:
        validate(cls, data, "f.toml", inside)
    assert caught.value.hint
    return str(caught.value)


@pytest.mark.parametrize(
    "cls", [StudyFile, RecipeFile, Recipe, ImageSpec, Odd, *FAMILIES], ids=lambda cls: cls.__name__
)
def test_no_wrong_value_of_any_key_is_answered_in_pydantics_words(cls):
    parts = {key: one for key, one in cls.model_fields.items() if _table(one.annotation)}
    seen = 0
    for key in cls.model_fields:
        inner = _table(parts[key].annotation).model_fields if key in parts else ()
        for value in VALUES:
            for data in ({key: value}, *({key: {name: value}} for name in inner)):
                error = refusal(cls, data)
                if error is None:
                    continue
                seen += 1
                told = f"{error.problem}|{error.hint}".replace(str(error.at), "")
                for word in re.findall(r"'[^']*'", told):  # names and values
                    told = told.replace(word, "")
                assert not JARGON.search(told), told
                assert "{" not in expected_part(error.problem), error.problem
                assert not JARGON.search(error.at.replace("label_smoothing", "")), error.at
    assert seen > 20


def refusal(cls, data) -> InputError | None:
    try:
        validate(cls, data, "f.toml")
    except InputError as error:
        return error
    return None


def expected_part(problem: str) -> str:
    return problem.partition("expected ")[2].partition(", got")[0]


def _table(annotation: Any) -> Any:
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, Frozen):
            return one
    return None


def test_every_kind_of_error_that_a_schema_of_ours_can_give_has_words():
    """Kinds that end in `_type` belong to a schema; all schemas are walked for theirs."""
    found: set[str] = set()
    for cls in (StudyFile, RecipeFile, Recipe, ImageSpec, Odd, *FAMILIES):
        _walk(cls.__pydantic_core_schema__, found)
    assert {"int", "float", "bool", "str", "tuple", "dict", "model", "literal"} <= found
    assert found & {"decimal", "date", "set", "callable", "is-instance", "url", "list"} == set()
    for kind in found & {"int", "float", "bool", "tuple", "dict", "model"}:
        assert f"{kind}_type" in KINDS


def _walk(node: core_schema.CoreSchema | Any, found: set[str]) -> None:
    if isinstance(node, dict):
        if isinstance(node.get("type"), str):
            found.add(node["type"])
        for key, value in node.items():
            if key not in {"metadata", "default", "expected"}:
                _walk(value, found)
    elif isinstance(node, list | tuple):
        for one in node:
            _walk(one, found)


@pytest.mark.parametrize("kind", [*KINDS, *BOUNDS, "nobody_knows"])
def test_words_follow_expected(kind):
    context = dict.fromkeys(
        ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "expected"),
        3,
    )
    words = expected(kind, context)
    assert words
    assert not JARGON.search(words)
    assert "{" not in words


STUDY = {"question": "?", "baseline": "b.toml"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"seeds": "three"}, "seeds: expected a whole number or a list, got 'three'|write a whole number or a list"),
        ({"seeds": -1}, "seeds: expected a number greater than or equal to 1, got -1|"),
        ({"seeds": (1, -2)}, "seeds.1: expected a number greater than or equal to 0, got -2|"),
        ({"seeds": (0.5, 1)}, "seeds.0: expected a whole number, got 0.5|whole numbers have no point: write 0 or 1"),
        ({"question": ""}, "question: expected text of 1 or more characters, got ''|"),
        ({"axes": {"a": False}}, "axes.a: expected a list, got false|lists stand in square brackets: write [false]"),
        ({"axes": {"a": "2, 2"}}, "axes.a: expected a list, got '2, 2'|lists stand in square brackets: write [2, 2]"),
        ({"axes": {"a": "two, 2"}}, "axes.a: expected a list, got 'two, 2'|lists stand in square brackets: write ['two, 2']"),
        ({"axes": 3}, "axes: expected a table, got 3|tables stand in braces"),
        ({"compare": (1, {"a": 2})}, "compare: expected a table, got [1, { a = 2 }]|"),
        ({"tune": {"trials": 2, "space": {}}}, "tune.space: expected 1 or more of them, got {}|"),
        ({"tune": {"trials": 2, "space": {"lr": {"low": "a", "high": 1}}}},
         "tune.space.lr.low: expected a number, got 'a'|write a number"),
        ({"design": "latin"}, "design: expected 'one_at_a_time', 'factorial', 'fraction' or 'path', got 'latin'|write 'one"),
        ({"arms": ({"nam": 1},)}, "arms.0: unknown key 'nam'|did you mean 'name'?"),
        ({"arms": ({},)}, "arms.0: key 'name' is missing|add name"),
        ({"tune": {"trials": 2, "space": {"train.lr": {"low": 2, "high": 1}}}},
         "tune.space.train.lr: low = 2 is not below high = 1|swap them"),
    ],
)  # fmt: skip
def test_a_wrong_study_is_told_so(data, message):
    problem, _, hint = said(StudyFile, {**STUDY, **data}).partition("\n\nhint: ")
    wanted, _, remedy = message.partition("|")
    assert problem == f"f.toml: {wanted}"
    assert hint.startswith(remedy)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"epochs": 1.5}, "train.epochs: expected a whole number, got 1.5|whole numbers have no point: write 1 or 2"),
        ({"epochs": 2.0}, "train.epochs: expected a whole number, got 2.0|whole numbers have no point: write 2"),
        ({"epochs": "3"}, "train.epochs: expected a whole number, got '3'|numbers, true and false stand without quotes"),
        ({"compile": "yes"}, "train.compile: expected true or false or 'auto', got 'yes'|"),
        ({"betas": (0.9,)}, "train.betas: the list [0.9] is too short|write one more"),
        ({"steps": "None"}, "train.steps: expected a whole number, got 'None'|for nothing write 'none'"),
        ({"steps": ""}, "train.steps: expected a whole number, got ''|for nothing write 'none'"),
        ({"epochs": "None"}, "train.epochs: expected a whole number, got 'None'|write a whole number"),
        ({"betas": (0.9, 0.9, 0.9)}, "train.betas: expected 2 of them at most, got [0.9, 0.9, 0.9]|"),
    ],
)  # fmt: skip
def test_a_wrong_recipe_is_told_so(data, message):
    problem, _, hint = said(
        RecipeFile, {"model": {}, "data": {"name": "digits"}, "train": data}
    ).partition("\n\nhint: ")
    wanted, _, remedy = message.partition("|")
    assert problem == f"f.toml: {wanted}"
    assert hint.startswith(remedy)
