"""Levels of a command's switches: how they are written, named, and handed to a script."""

import json
import tomllib

import pytest

from swinablate.config.commands.words import file_of
from swinablate.errors import InputError
from swinablate.study.files import load_study
from swinablate.study.planner import plan

RECIPE = """\
[command]
run = ["python", "train.py", "--seed={seed}"]
metric = { pattern = "accuracy: (.+)" }
give = "flags"
[switches]
lr = 0.1
name = "a"
"""
STUDY = 'question = "q"\nbaseline = "recipe.toml"\nseeds = 3\n'


@pytest.fixture
def made(tmp_path):
    """Plan a study with more in it, of a recipe with something replaced."""

    def make(more, swap=("", "")):
        (tmp_path / "train.py").touch()
        text = RECIPE.replace(*swap) if swap[0] else RECIPE
        (tmp_path / "recipe.toml").write_text(text)
        (tmp_path / "study.toml").write_text(STUDY + more, "utf-8")
        return plan(load_study(tmp_path / "study.toml"))

    return make


@pytest.mark.parametrize("level", ["inf", "-inf", "nan"])
@pytest.mark.parametrize(
    "where",
    ['[axes]\n"switches.lr" = [%s]\n', '[[arms]]\nname = "a"\nchanges = { "switches.lr" = %s }\n'],
)
def test_a_level_without_an_end_is_refused(level, where, made):
    with pytest.raises(InputError, match="expected a finite number, got") as caught:
        made(where % level)
    assert caught.value.at.endswith("switches.lr")
    assert caught.value.hint


def test_levels_whose_names_would_be_one_are_told_apart(made):
    axes = '[axes]\n"switches.name" = ["x/y", "x:y", "z", "\u732b", "\u72ac"]\n'
    names = [arm.name for arm in made(axes).arms[1:]]
    assert len(set(names)) == 5
    assert names[2] == "name=z"
    assert all(name.startswith(("name=x-y-", "name=z", "name=--")) for name in names)


def test_levels_may_be_written_without_quotes_and_not_twice(made):
    arm = '[[arms]]\nname = "a"\nchanges = { %s }\n'
    quoted, bare = (
        made(arm % text).arms[1].recipe.switches
        for text in (
            '"switches.lr" = 0.2, "switches.name" = "b"',
            'switches.lr = 0.2, switches.name = "b"',
        )
    )
    assert quoted == bare == {"lr": 0.2, "name": "b"}
    with pytest.raises(InputError, match=r"'switches.lr' is changed twice"):
        made(arm % 'switches.lr = 0.2, "switches.lr" = 0.3')


@pytest.mark.parametrize(
    ("swap", "said"),
    [
        (("[switches]", 'environment = { "A=B" = "x" }\n[switches]'), "'A=B' cannot name a variable"),
        (("[switches]", 'environment = { "" = "x" }\n[switches]'), "'' cannot name a variable"),
        (("[switches]\n", "[switches]\nLR = 3\n"), "'lr' is the variable LR, and so is 'LR', too"),
        (("[switches]", 'environment = { LR = "3" }\n[switches]'), "'lr' is the variable LR, and [command] sets it, too"),
    ],
)  # fmt: skip
def test_variables_that_cannot_be_or_are_another_ones_are_refused(swap, said, made):
    flags = 'give = "flags"'
    text = RECIPE.replace(flags, 'give = "environment"').replace(*swap)
    with pytest.raises(InputError) as caught:
        made('[axes]\n"switches.lr" = [0.2]\n', (RECIPE, text))
    assert said in caught.value.problem


LEVELS = {
    "seed": 1,
    "lr": 1e-05,
    "big": 1e16,
    "half": 0.5,
    "on": True,
    "name": "a\U0001f600\x7f\x85\u2028b",
    "plain": "x",
}


@pytest.mark.parametrize("kind", ["json", "toml", "yaml"])
def test_every_reader_of_a_file_finds_the_levels(kind):
    text = file_of(kind, LEVELS)
    if kind == "yaml":
        found = pytest.importorskip("yaml").safe_load(text)
    else:
        found = tomllib.loads(text) if kind == "toml" else json.loads(text)
    assert found == LEVELS
    assert [type(value) for value in found.values()] == [type(value) for value in LEVELS.values()]
