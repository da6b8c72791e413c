"""Networks and commands in one study: whole recipes as arms, one quantity, independent seeds."""

import json

import pytest

from swinablate.errors import InputError
from swinablate.records.home import Home
from swinablate.study.files import load_study
from swinablate.study.noise.expected import expected_noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan

NET = """\
[model]
family = "vit"
patch = 2
width = 16
depth = 1
heads = 2
[data]
name = "digits"
"""
MINE = """\
[command]
run = ["bash", "train.sh", "{seed}", "{n}", "{out}"]
metric = { file = "r.json", key = "accuracy" }
[switches]
n = 1
"""
OTHER = """
[[arms]]
name = "other"
recipe = "%s"
"""
STUDY = 'question = "q"\nbaseline = "%s"\nseeds = 3\n'


@pytest.fixture
def write(tmp_path):
    """Write a study of a baseline, an arm that is another recipe, and more; returns its path."""
    (tmp_path / "train.sh").write_text("touch started\n")

    def make(baseline, other, more="", arm="", mine=MINE):
        (tmp_path / "net.toml").write_text(NET)
        (tmp_path / "mine.toml").write_text(mine)
        (tmp_path / "mine2.toml").write_text(mine.replace('"bash", ', '"bash", "-e", '))
        path = tmp_path / "study.toml"
        path.write_text(STUDY % baseline + more + OTHER % other + arm)
        return path

    yield make
    assert not (tmp_path / "started").exists(), "a plan starts nothing"


def recorded(path):
    made = plan(load_study(path))
    return plan_record(made, {}, expected_noise(made, Home(path.parent / "home")))


def test_a_command_among_networks(write):
    found = recorded(write("net.toml", "mine.toml", '[axes]\n"train.lr" = [0.02]\n'))
    base, switched, other = found.arms
    assert found.apart == {"other"}
    assert (other.params, other.macs, other.proof, other.geometry) == (None, None, None, ())
    assert switched.proof is not None, "it is a network of ours"
    assert other.changes == {"recipe": "mine.toml"}
    assert other.measures == {"test/accuracy": "command/accuracy"}
    assert base.measures == switched.measures == {}
    (told,) = [one.text for one in found.warnings if one.code == "W31"]
    assert told.startswith("other: a command, and the baseline is a network: equal seeds share no")
    assert not [one for one in found.warnings if one.code == "W22"], (
        "one thing changes: the recipe"
    )


def test_a_network_among_commands(write):
    changed = 'changes = { "train.lr" = 0.02 }\n'
    found = recorded(write("mine.toml", "net.toml", '[axes]\n"switches.n" = [2]\n', changed))
    base, switched, other = found.arms
    assert found.apart == {"other"}
    assert other.params > 0
    assert other.proof is None, "there is no network that it could be compared with"
    assert other.recipe["train"]["lr"] == 0.02
    assert other.measures == {"command/accuracy": "test/accuracy"}
    assert (base.measures, switched.measures) == ({}, {})
    assert [one.code for one in found.warnings if one.code in {"W22", "W31"}] == ["W22", "W31"]


def test_a_command_beside_another_one_is_of_their_kind(write):
    found = recorded(write("mine.toml", "mine2.toml"))
    assert found.apart == frozenset()
    assert found.arms[1].recipe["command"]["run"][1] == "-e"
    assert found.arms[1].differs


def test_a_study_of_one_kind_says_nothing_of_kinds(write):
    path = write("net.toml", "mine.toml", '[axes]\n"train.lr" = [0.02]\n')
    path.write_text(STUDY % "net.toml" + '[axes]\n"train.lr" = [0.02]\n')
    text = json.dumps(recorded(path).model_dump(mode="json"))
    assert "measures" not in text
    assert "W31" not in text


@pytest.mark.parametrize(
    ("baseline", "other", "written", "told"),
    [
        (
            "net.toml",
            "mine.toml",
            ("", "", ('key = "accuracy"', 'key = "top1"')),
            (
                "'other' does not measure what is compared, accuracy (percent, more is better); it",
                "name = 'accuracy'",
            ),
        ),
        (
            "net.toml",
            "mine.toml",
            ("", "", ('"accuracy" }', '"accuracy", unit = "points" }')),
            ("it measures accuracy (points, more is better)", "unit = 'percent'"),
        ),
        (
            "net.toml",
            "mine.toml",
            ("", "", ('"accuracy" }', '"accuracy", better = "lower" }')),
            ("it measures accuracy (percent, less is better)", "better = 'higher'"),
        ),
        (
            "mine.toml",
            "net.toml",
            ("", "", ('key = "accuracy"', 'key = "top1"')),
            ("'other' does not measure what is compared, top1", "call the baseline's number so"),
        ),
        (
            "mine.toml",
            "mine.toml",
            ("", "", ("", "")),
            ("this arm is the baseline itself", "change"),
        ),
        (
            "net.toml",
            "mine.toml",
            ("", 'take = ["model"]', ("", "")),
            ("arms: 'other': take: a command cannot take parts of another", "all of its recipe"),
        ),
        (
            "mine.toml",
            "net.toml",
            ("", 'match = { by = "params", adjust = "model.width" }', ("", "")),
            ("match: a command cannot be matched in size", "leave it out"),
        ),
        (
            "net.toml",
            "mine.toml",
            ('[tune]\ntrials = 2\nspace = { "train.lr" = [0.1, 0.2] }\n', "", ("", "")),
            ("tune: a command cannot be tuned", "leave it out"),
        ),
        (
            "net.toml",
            "mine.toml",
            ('[compare]\nscale = "logit"\n', "", ("", "")),
            ("compare.scale: 'other' does not say how many test images", "linear"),
        ),
        (
            "net.toml",
            "mine.toml",
            ("", "", ("[switches]", 'check = "first"\n[switches]')),
            ('check = "first" compares with a baseline that is a command', "command.check"),
        ),
        (
            "net.toml",
            "mine.toml",
            ('[axes]\n"recipe" = ["mine.toml"]\n', "", ("", "")),
            ("axes: 'recipe': 'mine' is no level", "[[arms]]"),
        ),
        (
            "net.toml",
            "mine.toml",
            (
                '[[hypotheses]]\narm = "other"\nexpect = "worse"\nquantity = "train_s"\n',
                "",
                ("", ""),
            ),
            ("hypotheses: of 'other' nothing is known that 'train_s'", "leave quantity out"),
        ),
        (
            "net.toml",
            "mine.toml",
            ("", 'changes = { "switches.m" = 2 }', ("", "")),
            ("no switch is called 'switches.m'", "switches.n"),
        ),
        (
            "mine.toml",
            "net.toml",
            ("", 'changes = { "model.widht" = 8 }', ("", "")),
            ("model.widht", "width"),
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(write, baseline, other, written, told):
    (more, arm, mine), (said, hint) = written, told
    path = write(baseline, other, more, arm, MINE.replace(*mine))
    with pytest.raises(InputError) as error:
        plan(load_study(path))
    assert said in f"{error.value.at}: {error.value.problem}"
    assert hint in (error.value.hint or "")
