"""A recipe that is a command: what it may say, and what is said of what it may not."""

import pytest

from swinablate.config.commands.changes import changed, checked, recipe_of
from swinablate.config.commands.lines import line_of
from swinablate.config.commands.schema import CommandConfig
from swinablate.config.metrics import metric
from swinablate.config.recipe import trial_id
from swinablate.config.schema import validate
from swinablate.errors import InputError
from swinablate.study.arms.recipes import load_claim, load_recipe
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan

RECIPE = """\
[command]
run = ["python", "train.py", "--seed={seed}", "--window={window}", "--out={out}"]
metric = { file = "result.json", key = "accuracy" }
[switches]
window = 7
"""
STUDY = """\
question = "Does the window matter?"
baseline = "recipe.toml"
seeds = 3
[axes]
"switches.window" = [5]
"""


@pytest.fixture
def write(tmp_path):
    """Write script, recipe and study with something replaced; returns the study's path."""

    def make(*swaps, recipe=RECIPE, study=STUDY):
        for old, new in swaps:
            assert (old in recipe) + (old in study) == 1, old
            recipe, study = recipe.replace(old, new), study.replace(old, new)
        (tmp_path / "train.py").write_text("print('never run by a plan')\nraise SystemExit(9)\n")
        (tmp_path / "recipe.toml").write_text(recipe)
        (tmp_path / "study.toml").write_text(study)
        return tmp_path / "study.toml"

    return make


def refused(path):
    with pytest.raises(InputError) as error:
        plan(load_study(path))
    found = error.value
    assert found.hint, "an error has a hint"
    return f"{found.at.removeprefix(str(path.parent) + '/')}: {found.problem}", found.hint


@pytest.mark.parametrize(
    ("old", "new", "said", "hint"),
    [
        (', "--out={out}"', "", "command.run: the placeholder {out} is missing", "--out={out}"),
        (', "--seed={seed}"', "", "the placeholder {seed} is missing", "--seed={seed}"),
        (', "--window={window}"', "", "the placeholder {window} is missing", 'give = "flags"'),
        ("{window}", "{windw}", "command.run: 4: nothing is called {windw}", "'window'"),
        ("{window}", "{window", "command.run: 4: a brace", "{{"),
        ("{seed}", "{seed:03d}", "{seed:03d} is no placeholder", "{seed}"),
        ("window = 7", "seed = 7", "'seed' is a placeholder of its own", "another name"),
        ("window = 7", "window = [7]", "switches.window", "write"),
        ('"python", "train.py"', '"pythn", "train.py"', "no program is called 'pythn'", "PATH"),
        ('"train.py", ', "", "no word of run names a file", "sources"),
        ("[switches]", 'folder = "nowhere"\n[switches]', "there is no folder", "relative"),
        ("[switches]", 'sources = ["*.rs"]\n[switches]', "'*.rs' finds no file", "globs"),
        ("[switches]", 'sha256 = "1"\n[switches]', "command.sha256", "leave it out"),
        ("[switches]", 'give = "json"\n[switches]', "no word names it", "{config}"),
        ("[switches]", 'booleans = "flag"\n[switches]', "is a way of flags", "give"),
        ("[switches]", "timeout = -1\n[switches]", "command.timeout", "write"),
        ("[switches]", "diverged = [0]\n[switches]", "0 is no exit code of a failure", "1 to 255"),
        (
            "[switches]",
            "diverged = [3]\npreempted = [3]\n[switches]",
            "exit code 3 means both",
            "leave one",
        ),
        ('file = "result.json", key = "accuracy"', 'file = "result.json"', "no key says", "key"),
        ("result.json", "../result.json", "does not lie in {out}", "{out}"),
        ("result.json", "result.txt", "none of .json, .jsonl and .csv", "write"),
        ('key = "accuracy" }', 'key = "accuracy", pattern = "(.)" }', "has one source", "write"),
        (
            'file = "result.json", key = "accuracy"',
            'pattern = "acc"',
            "has 0 groups",
            "parentheses",
        ),
        ('file = "result.json", key = "accuracy"', 'pattern = "((a)"', "no regular expr", "re"),
        ("[switches]", "[train]\nepochs = 3\n[switches]", "[train] is of a network", "leave"),
        ("[command]", "[command]\nrunn = 1", "unknown key 'runn'", "'run'"),
        ('"switches.window" = [5]', '"switches.windw" = [5]', "no switch is called", "window"),
        ("[5]", '["5"]', "expected a whole number, like the 7", "whole number"),
        ("[5]", "[5.5]", "expected a whole number, like the 7", "whole number"),
        ("[5]", "[true]", "expected a whole number, like the 7", "whole number"),
        ("[5]", "[7]", "7 is the baseline's own level", "leave it out"),
        ("[axes]", "[tune]\ntrials = 2\n[axes]", "tune", ""),
        ("[axes]", '[compare]\nmetric = "test/loss"\n[axes]', "measures 'accuracy'", "leave"),
        ("[axes]", '[compare]\nsecondary = ["loss"]\n[axes]', "records no 'loss'", "also = [{"),
        (
            "[switches]",
            'also = [{ file = "x.csv", key = "accuracy" }]\n[switches]',
            "two metrics are called 'accuracy'",
            "name =",
        ),
        (
            'file = "result.json", key = "accuracy"',
            'tag = "a", key = "b"',
            "key is of a file",
            "leave",
        ),
        (
            'file = "result.json", key = "accuracy"',
            'pattern = "(?P<step>.) (.) (.)"',
            "has 2 groups",
            "(?P<step>",
        ),
        ("[axes]", '[compare]\nscale = "logit"\n[axes]', "no share of the test images", "leave"),
        (
            "[axes]",
            '[[hypotheses]]\narm = "window=5"\nexpect = "worse"\nquantity = "params"\n[axes]',
            "nothing is known of 'params'",
            "train_s",
        ),
        (
            "[axes]",
            '[[arms]]\nname = "x"\nrecipe = "recipe.toml"\n[axes]',
            "this arm is the baseline itself",
            "change",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_error_with_a_remedy(write, old, new, said, hint):
    problem, remedy = refused(write((old, new)))
    assert said in problem
    assert hint in remedy


def test_a_claim_is_of_networks(write):
    path = write()
    with pytest.raises(InputError, match="makes no claim"):
        load_claim(path.with_name("recipe.toml"))


def test_a_plan_starts_nothing_and_knows_no_sizes(write):
    made = plan(load_study(write()))
    assert [arm.name for arm in made.arms] == ["baseline", "window=5"]
    record = plan_record(made, {}, Noise(None, "unknown"))
    arm = record.arm("window=5")
    assert (arm.params, arm.macs, arm.activation_bytes, arm.proof) == (None, None, None, None)
    assert arm.differs == {"switches.window": (7, 5)}
    assert (arm.family, arm.dataset, record.compare.metric) == (
        "command", "command", "command/accuracy"
    )  # fmt: skip
    assert set(arm.recipe) == {"command", "switches"}, "nothing of a network is recorded"


def test_the_code_is_part_of_what_a_trial_is_and_its_place_is_not(write, tmp_path):
    before = load_recipe(write().with_name("recipe.toml"))
    other = tmp_path / "moved"
    other.mkdir()
    for name in ("train.py", "recipe.toml"):
        (other / name).write_bytes((tmp_path / name).read_bytes())
    assert trial_id(load_recipe(other / "recipe.toml"), 3) == trial_id(before, 3)
    (other / "train.py").write_text("print('another')\n")
    assert trial_id(load_recipe(other / "recipe.toml"), 3) != trial_id(before, 3)


@pytest.mark.parametrize(
    ("more", "same"),
    [("timeout = 60", True), ("grace = 1", True), ("preempted = [75]", True),
     ("threads = 2", False), ('environment = { A = "1" }', False)],
)  # fmt: skip
def test_how_long_a_command_may_run_makes_no_other_trial(write, more, same):
    before = load_recipe(write().with_name("recipe.toml"))
    after = load_recipe(write(("[switches]", f"{more}\n[switches]")).with_name("recipe.toml"))
    assert (trial_id(before, 0) == trial_id(after, 0)) is same


def test_an_id_of_a_command_stays_what_it_was(tmp_path):
    """Golden: a field that comes later must not rename trials that do not use it."""
    command = CommandConfig.model_validate(
        {"run": ("x", "{seed}"), "metric": {"pattern": "(.)"}, "sources": ()}
    )
    recipe = recipe_of({"command": command.model_dump(), "switches": {"a": 1, "b": True}})
    assert trial_id(recipe, 1) == (
        "8f3b1bc3322783687c852a2a65d8a753aece3b3419850dbe06184d97212c6feb"
    )


def test_globs_find_sources_but_not_what_is_made_of_them(write, tmp_path):
    path = write(("[switches]", 'sources = ["**/*.py"]\n[switches]'))
    before = load_recipe(path.with_name("recipe.toml"))
    for name, counts in (("__pycache__/x.py", False), ("lib/x.py", True)):
        file = tmp_path / name
        file.parent.mkdir()
        file.write_text("1")
        after = load_recipe(path.with_name("recipe.toml"))
        assert (after.command.sha256 != before.command.sha256) is counts


@pytest.mark.parametrize(
    ("give", "booleans", "words", "variables"),
    [
        ("flags", None, ["--lr=0.5", "--shift", "--name=a b"], {}),
        ("flags", "no-flag", ["--lr=0.5", "--shift", "--name=a b"], {}),
        ("flags", "True", ["--lr=0.5", "--shift=True", "--name=a b"], {}),
        ("assignments", None, ["lr=0.5", "shift=true", "name=a b"], {}),
        ("environment", "1", [], {"LR": "0.5", "SHIFT": "1", "NAME": "a b"}),
    ],
)
def test_switches_become_words_or_variables(give, booleans, words, variables):
    command = CommandConfig.model_validate(
        {"run": ("x", "{seed}", "{w}"), "metric": {"pattern": "(.)"}, "give": give,
         "booleans": booleans, "environment": {"OWN": "{w}-{seed}"}}
    )  # fmt: skip
    switches = {"lr": 0.5, "w": 7, "shift": True, "name": "a b"}
    line, own = line_of(command, switches, {"seed": "3"})
    assert line == ["x", "3", "7", *words]
    assert own == {"OWN": "7-3", **variables}


def test_false_as_a_flag_is_nothing_or_its_opposite():
    base = {"run": ("x", "{seed}"), "metric": {"pattern": "(.)"}, "give": "flags"}
    said = {
        kind: line_of(
            CommandConfig.model_validate({**base, "booleans": kind}),
            {"shift": False},
            {"seed": ""},
        )[0][2:]
        for kind in ("flag", "no-flag", "true")
    }
    assert said == {"flag": [], "no-flag": ["--no-shift"], "true": ["--shift=false"]}


def test_a_whole_number_is_a_number_and_words_can_be_a_level(write, tmp_path):
    recipe = load_recipe(write().with_name("recipe.toml"))
    made = checked(recipe.command, {"window": 7.0}, str(tmp_path), "x")
    assert changed(made, {"switches.window": 8}, "x").switches == {"window": 8.0}
    (tmp_path / "other.py").write_text("")
    words = ("python", "other.py", "{seed}", "{window}", "{out}")
    other = changed(recipe, {"command.run": words}, "x")
    assert other.command.sha256 != recipe.command.sha256


def test_a_metric_says_its_unit_and_direction_in_its_name():
    def named(**said):
        command = {"run": ("x",), "metric": {"pattern": "(.)", "name": "m", **said}}
        row = metric(validate(CommandConfig, command, "x").metric.recorded)
        return row.called, row.unit, row.better, row.key

    assert named() == ("m", "pp", "higher", "command/m")
    assert named(unit="fraction") == ("m", "pp", "higher", "command/m")
    assert named(better="lower") == ("m", "pp", "lower", "command/m")
    assert named(unit="nats", better="lower") == ("m", "nats", "lower", "command/m")
    assert named(unit="dB") == ("m", "dB", "higher", "command/m")
