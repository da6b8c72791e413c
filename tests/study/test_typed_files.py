"""Study files that nobody means as they are written: one error, or what was meant."""

import pytest

from swinablate.cli.app import main
from swinablate.config.variants import digests
from swinablate.errors import InputError
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY

ALONE = STUDY.partition("[axes]")[0]
TUNE = STUDY + "[tune]\ntrials = 2\n"
SCALE = STUDY + '[scale]\nby = "macs"\naxis = "train.weight_decay"\n'
NESTED = STUDY.replace("baseline_seeds = 3\n", "") + '[noise]\nsources = ["training", "split"]\n'
ARM = STUDY + '[[arms]]\nname = "a"\nchanges = %s\n'


def planned(path, *settings):
    return plan(load_study(path, settings))


@pytest.mark.parametrize("axes", ["axes = [1]", 'axes = "x"', '[[axes]]\n"model.shift" = [false]'])
@pytest.mark.parametrize("command", ["run", "status", "plan"])
def test_axes_that_are_no_table_are_one_error(command, axes, write, tmp_path, capsys):
    study = write(f"{ALONE}{axes}\n")
    assert digests(study) == {}
    assert main([command, str(study), "--home", str(tmp_path / "home")]) == 2
    said = capsys.readouterr().err
    assert "hint: " in said
    assert "axes" in said or command == "status"
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (STUDY + '[compare]\nrope = "none"\n', "compare.rope"),
        (STUDY + '[budget]\nhours = "None"\n', "budget.hours"),
        (ALONE.replace("baseline_seeds = 3", 'baseline_seeds = "none"'), "baseline_seeds"),
        (ALONE + 'tune = "null"\n', "tune"),
    ],
)
def test_nothing_is_written_by_leaving_a_key_out_where_no_level_says_so(text, at, write):
    with pytest.raises(InputError) as caught:
        load_study(write(text))
    assert caught.value.at.endswith(f"study.toml: {at}")
    assert caught.value.hint == "for nothing leave the key out"


def test_where_a_level_says_so_it_is_named(write):
    with pytest.raises(InputError) as caught:
        planned(write(STUDY + '"train.steps" = ["None"]\n'))
    assert caught.value.hint == "for nothing write 'none'"


@pytest.mark.parametrize(
    ("text", "settings", "problem", "hint"),
    [
        (STUDY + '"model.window." = [4]\n', [], "no switch is called 'model.window.'", "'model.window'?"),
        (ARM % '{ "train.lr." = 0.1 }', [], "no switch is called 'train.lr.'", "'train.lr'?"),
        (STUDY, ["train.epochs.=3"], "no switch is called 'train.epochs.'", "'train.epochs'?"),
        (ARM % '{ train = { lr = 0.1 }, "train.lr" = 0.2 }', [], "'train.lr' is changed twice", "once"),
        (STUDY, ["train={lr=0.1}", "train.lr=0.2"], "'train.lr' is changed twice", "once"),
        (ALONE + '[axes]\n"model" = [3]\n', [], "'model' is a table", "model.patch"),
        (STUDY, ["train.epochs=3\ny=4"], "behind a line break stands another key", "give a number"),
        (TUNE + 'space = { "train.momentum" = [0.5, 0.8] }\n', [], "no arm reads 'train.momentum'", "leave"),
        (TUNE + 'space = { "train.step_factor" = [0.5, 0.8] }\n', [], "'train.step_factor'", "leave"),
        (SCALE + 'levels = [0.05, 1e300]\nrules = { "train.lr" = 4.0 }\n', [], "finite number, got inf", ""),
        (SCALE + 'levels = [5e-324, 0.1]\nrules = { "train.lr" = -4.0 }\n', [], "finite number, got inf", ""),
        (NESTED + "sd = { training = 1e308 }\n", [], "less than or equal to 1e+70", ""),
        (NESTED + "sd = { training = 5e-324 }\n", [], "greater than or equal to 1e-70", ""),
        (STUDY + '[compare]\nmetric = "test/loss"\nsd = 1e308\n', [], "less than or equal to 1e+70", ""),
    ],
)  # fmt: skip
def test_what_was_taken_for_something_else_is_refused(text, settings, problem, hint, write):
    with pytest.raises(InputError) as caught:
        planned(write(text), *settings)
    assert problem in caught.value.problem
    assert hint in caught.value.hint
    assert caught.value.at


def test_a_level_that_is_given_twice_refuses_a_cell_alone(write):
    axes = '[axes]\n"train" = [{ lr = 0.1 }]\n"train.lr" = [0.2]\n'
    found = planned(write(ALONE + 'design = "factorial"\n' + axes))
    assert [arm.name for arm in found.arms] == ["baseline", "lr=0.2", "lr=0.1"]
    ((name, reason),) = [(one.name, one.reason) for one in found.refusals]
    assert name == "lr=0.1, lr=0.2"
    assert reason.startswith("'train.lr' is changed twice")


def test_a_space_may_be_written_without_quotes(write):
    quoted = write(TUNE + 'space = { "train.lr" = [0.1, 0.2] }\n')
    bare = quoted.with_name("bare.toml")
    bare.write_text(TUNE + "space = { train.lr = [0.1, 0.2] }\n")
    assert load_study(bare).tune == load_study(quoted).tune


def test_what_some_recipe_of_a_space_reads_may_be_tuned(write):
    space = 'space = { "train.optimizer" = ["sgd", "adamw"], "train.momentum" = [0.5, 0.8] }\n'
    assert planned(write(TUNE + space)).study.tune


def test_a_recipe_and_a_study_in_each_others_place_are_named(write):
    with pytest.raises(InputError, match="this is a recipe, and a study is wanted"):
        load_study(write(RECIPE))
    study = write(STUDY.replace("base.toml", "other.toml"))
    study.with_name("other.toml").write_text(STUDY)
    with pytest.raises(InputError, match="this is a study, and a recipe is wanted") as caught:
        load_study(study)
    assert caught.value.at.endswith("other.toml")


def test_what_a_plan_finds_names_the_study(write):
    with pytest.raises(InputError, match="has files of its own") as caught:
        planned(write(), "data.root=x")
    assert caught.value.at.endswith("study.toml: data.root")


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ('[scale]\naxis = "model.width"\nlevels = [8, 16]\n', "shift=false at width=16"),
        ("", "shift=false on shapes"),
    ],
)
def test_a_contrast_is_not_called_like_an_arm_elsewhere(more, name, write, capsys):
    contrast = f'[[contrasts]]\nname = "{name}"\nof = {{ "shift=false" = 1, "a" = -1 }}\n'
    text = ARM % '{ "model.window" = 4 }' + contrast + more
    if not more:
        text = text.replace("baseline_seeds = 3\n", 'data = ["digits", "shapes"]\n')
    assert main(["plan", str(write(text))]) == 2
    assert "study.toml: contrasts: an arm is called 'shift=false" in capsys.readouterr().err
