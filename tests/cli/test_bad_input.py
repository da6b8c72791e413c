"""Wrong study files: exit 2, one message that names file, key and value, and a hint.

Nothing may have been started: no home is created, no worker, no store.
"""

import re
from pathlib import Path

import pytest

from swinablate.cli.app import main
from tests.conftest import RECIPE, STUDY

LOOKS = STUDY.replace("seeds = 3\nbaseline_seeds = 3\n", "[adaptive]\nlooks = [3, 5]\n")
BAD = {
    # name: (study, recipe, what the message must say)
    "no equals sign": (STUDY + "\nseeds 3", RECIPE, ["study.toml", "not valid TOML", "line 9"]),
    "a key twice": (STUDY.replace("seeds = 3", "seeds = 3\nseeds = 4", 1), RECIPE, ["study.toml", "overwrite"]),
    "misspelled table": (STUDY.replace("[axes]", "[axis]"), RECIPE, ["study.toml", "'axis'", "did you mean 'axes'?"]),
    "misspelled switch": (
        STUDY.replace("model.shift", "model.shfit"), RECIPE,
        ["study.toml: axes", "'model.shfit'", "did you mean 'model.shift'?"],
    ),
    "true is not a window": (
        STUDY.replace('"model.shift" = [false]', '"model.window" = [true]'), RECIPE,
        ["study.toml: axes", "model.window", "got true"],
    ),
    "no such level": (
        STUDY.replace('"model.shift" = [false]', '"model.norm" = ["bach"]'), RECIPE,
        ["study.toml: axes", "model.norm", "'bach'", "'batch'"],
    ),
    "negative rate": (
        STUDY.replace('"model.shift" = [false]', '"train.lr" = [-1.0]'), RECIPE,
        ["study.toml: axes", "train.lr", "greater than 0", "-1.0"],
    ),
    "negative alpha": (
        STUDY.replace('"model.shift" = [false]', '"data.mixup" = [-0.2]'), RECIPE,
        ["study.toml: axes", "data.mixup", "greater than or equal to 0", "-0.2"],
    ),
    "no such policy": (
        STUDY.replace('"model.shift" = [false]', '"data.policy" = ["autoaugment"]'), RECIPE,
        ["study.toml: axes", "data.policy", "'autoaugment'", "'randaugment' or 'trivialaugment'"],
    ),
    "a hole larger than the images": (
        STUDY, RECIPE.replace('"digits"', '"digits"\ncutout = 9'),
        ["study.toml", "the baseline is impossible", "data.cutout = 9", "give at most 8"],
    ),
    "pictures without a folder": (
        STUDY, RECIPE.replace('"digits"', '"image_folder"'), ["data.root", "has no folder", 'add data.root = "FOLDER"'],
    ),
    "the baseline's own level": (
        STUDY.replace("[false]", "[true]"), RECIPE,
        ["study.toml: axes: 'model.shift'", "true", "the baseline's own level"],
    ),
    "a level twice": (
        STUDY.replace("[false]", "[false, false]"), RECIPE, ["study.toml: axes", "'model.shift'", "false twice"],
    ),
    "levels that are one number": (
        STUDY.replace('"model.shift" = [false]', '"train.lr" = [0.1, 0.1000000000000000001]'), RECIPE,
        ["study.toml: axes", "'train.lr' has the level 0.1 twice", "16 digits"],
    ),
    "no levels": (STUDY.replace("[false]", "[]"), RECIPE, ["study.toml: axes", "'model.shift'", "no levels"]),
    "a level that is no list": (
        STUDY.replace("[false]", "false"), RECIPE, ["study.toml: axes.model.shift", "got false", "square brackets"],
    ),
    "nothing to compare": (
        STUDY.replace('"model.shift" = [false]', ""), RECIPE, ["study.toml", "nothing is left to compare"],
    ),
    "one seed": (STUDY.replace("seeds = 3", "seeds = 1", 1), RECIPE, ["study.toml: seeds = 1", "no verdict", "--smoke"]),
    "no seeds": (STUDY.replace("seeds = 3", "seeds = 0", 1), RECIPE, ["study.toml: seeds", "0"]),
    "seeds as text": (STUDY.replace("seeds = 3", 'seeds = "three"', 1), RECIPE, ["study.toml: seeds", "'three'"]),
    "a seed twice": (
        STUDY.replace("seeds = 3", "seeds = [0, 1, 1]", 1).replace("baseline_seeds = 3\n", ""), RECIPE,
        ["study.toml: seeds", "[0, 1, 1] repeats [1]"],
    ),
    "fewer baseline seeds": (
        STUDY.replace("baseline_seeds = 3", "baseline_seeds = 2"), RECIPE,
        ["study.toml", "baseline_seeds = 2", "less than the 3 seeds"],
    ),
    "no baseline file": (
        STUDY.replace("base.toml", "bass.toml"), RECIPE, ["bass.toml", "no such file", "did you mean 'base.toml'?"],
    ),
    "no question": (STUDY.replace('question = "Does the shift matter?"', ""), RECIPE, ["study.toml", "'question' is missing"]),
    "no such design": (
        STUDY.replace("seeds = 3", 'design = "latin"\nseeds = 3', 1), RECIPE, ["study.toml: design", "'latin'", "factorial"],
    ),
    "tuning of nothing": (
        STUDY + "\n[tune]\ntrials = 3\n", RECIPE, ["study.toml: tune", "'space' is missing"],
    ),
    "looks that do not rise": (
        LOOKS.replace("[3, 5]", "[5, 3]"), RECIPE, ["study.toml: adaptive.looks", "looks = [5, 3] do not rise"],
    ),
    "a look at two seeds": (LOOKS.replace("[3, 5]", "[2, 5]"), RECIPE, ["study.toml: adaptive.looks.0", "greater than or equal to 3"]),
    "looks and seeds": (
        LOOKS.replace("[adaptive]", "seeds = 3\n[adaptive]"), RECIPE,
        ["study.toml", "'seeds' is given, and [adaptive] adds seeds itself"],
    ),
    "neither looks nor seeds": (
        LOOKS.replace("[adaptive]\nlooks = [3, 5]\n", ""), RECIPE, ["study.toml", "'seeds' is missing", "[adaptive]"],
    ),
    "looks at a factorial design": (
        LOOKS.replace("[adaptive]", 'design = "factorial"\n[adaptive]'), RECIPE,
        ["study.toml: adaptive", "arm by arm", "'factorial'", "seeds = 5"],
    ),
    "a budget of nothing": (STUDY + "\n[budget]\nhours = 0.0\n", RECIPE, ["study.toml: budget.hours", "greater than 0"]),
    "a budget below the first look": (
        LOOKS + "\n[budget]\ntrials = 8\n", RECIPE, ["study.toml: budget.trials", "the first look needs 9 trials"],
    ),
    "a budget in money": (STUDY + "\n[budget]\ndollars = 3\n", RECIPE, ["study.toml: budget", "'dollars'"]),
    "a fraction of one switch": (
        STUDY.replace("seeds = 3", 'design = "fraction"\nseeds = 3', 1), RECIPE,
        ["study.toml: axes", "1 switches is no design", "at least 2"],
    ),
    "no such family": (STUDY, RECIPE.replace('"swin"', '"swim"'), ["base.toml: model", "'swim'", "did you mean 'swin'?"]),
    "no family": (STUDY, RECIPE.replace('family = "swin"\n', ""), ["base.toml: model", "'family' is missing"]),
    "no such data": (STUDY, RECIPE.replace('"digits"', '"digit"'), ["'digit'", "did you mean 'digits'?"]),
    "unknown recipe key": (
        STUDY, RECIPE.replace("epochs = 2", "ephocs = 2"), ["base.toml: train", "'ephocs'", "did you mean 'epochs'?"],
    ),
    "a float for a count": (STUDY, RECIPE.replace("epochs = 2", "epochs = 2.5"), ["base.toml: train.epochs", "2.5"]),
    "not a number": (STUDY, RECIPE.replace("epochs = 2", "lr = nan"), ["base.toml: train.lr", "nan"]),
    "an impossible baseline": (
        STUDY, RECIPE.replace("window = 2", "window = 3"), ["study.toml", "the baseline is impossible", "window 3"],
    ),
    "heads without a stage": (STUDY, RECIPE.replace("heads = [2]", "heads = [2, 4]"), ["base.toml: model", "heads"]),
    "an arm called baseline": (
        STUDY + '\n[[arms]]\nname = "baseline"\nchanges = {"model.window" = 4}\n', RECIPE,
        ["study.toml: arms", "'baseline' cannot name an arm"],
    ),
    "an arm with a path as name": (
        STUDY + '\n[[arms]]\nname = "../x"\nchanges = {"model.window" = 4}\n', RECIPE,
        ["study.toml: arms", "'../x' cannot name an arm"],
    ),
    "two arms of one name": (
        STUDY + '\n[[arms]]\nname = "shift=false"\nchanges = {"model.window" = 4}\n', RECIPE,
        ["study.toml: arms", "two arms are called 'shift=false'"],
    ),
    "an arm that changes nothing": (
        STUDY + '\n[[arms]]\nname = "same"\nchanges = {"model.window" = 2}\n', RECIPE,
        ["study.toml: arms: 'same'", "the baseline itself"],
    ),
    "an arm with nothing": (STUDY + '\n[[arms]]\nname = "x"\n', RECIPE, ["study.toml: arms: 'x'", "neither"]),
    "a family as axis": (
        STUDY.replace('"model.shift" = [false]', '"model.family" = ["vit"]'), RECIPE,
        ["study.toml: axes: 'model.family'", "[[arms]]"],
    ),
    "a rope below zero": (STUDY + "\n[compare]\nrope = -0.5\n", RECIPE, ["study.toml: compare.rope", "-0.5"]),
    "a metric nobody measures": (
        STUDY + '\n[compare]\nmetric = "test/f1"\n', RECIPE, ["study.toml: compare.metric", "'test/f1'"],
    ),
    "a hypothesis about no arm": (
        STUDY + '\n[[hypotheses]]\narm = "shift=off"\nexpect = "worse"\n', RECIPE,
        ["study.toml: hypotheses", "'shift=off'", "did you mean 'shift=false'?"],
    ),
    "a hypothesis without direction": (
        STUDY + '\n[[hypotheses]]\narm = "shift=false"\nexpect = "bad"\n', RECIPE,
        ["study.toml: hypotheses.0.expect", "'bad'"],
    ),
    "a date": (STUDY.replace("seeds = 3", "seeds = 2026-01-01", 1), RECIPE, ["study.toml: seeds", "2026"]),
}  # fmt: skip


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize("case", BAD)
def test_wrong_file_is_refused_before_anything_starts(case, command, write, tmp_path, capsys):
    study, recipe, says = BAD[case]
    path = write(study, recipe)
    home = tmp_path / "home"

    code = main([command, str(path), "--home", str(home)])

    out, err = capsys.readouterr()
    assert code == 2, err
    assert out == ""
    before, _, said = err.partition("error: ")
    assert said
    assert all(re.match(r"planning |arm \d+: ", line) for line in before.splitlines())
    assert "\n\nhint: " in said
    assert "Traceback" not in err
    for part in says:
        assert part in said
    assert not home.exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [("../escape.toml", "no such file"), ("<b>.toml", "cannot name a study"), ("x" * 90 + ".toml", "cannot name")],
)  # fmt: skip
def test_study_names_are_file_names_and_nothing_else(name, says, tmp_path, capsys):
    path = tmp_path / name
    if ".." not in name:
        path.write_text(STUDY)
    assert main(["plan", str(path)]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--set", "train.epohcs=3"], ["--set train.epohcs", "did you mean 'train.epochs'?"]),
        (["--set", "train.epochs"], ["--set", "KEY=VALUE", "'train.epochs'"]),
        (["--set", "study.seed=3"], ["'seed'", "did you mean 'seeds'?"]),
        (["--set", "train.epochs=many"], ["train.epochs", "'many'"]),
        (["--set", "compare.alpha=0.1"], ["is the study's", "--set study.compare.alpha=..."]),
        (["--home", ""], ["--home: no folder is named", ". is this folder"]),
        (["--home", "/dev/null"], ["--home: /dev/null is no folder"]),
        (["--slots", "0"], ["--slots", "0 slots run nothing"]),
        (
            ["--slots", "100000"],
            ["--slots", "100000 slots, and ", "cores: every slot is a process"],
        ),
        (["--devices", "cuda:7"], ["--devices", "no device 'cuda:7'"]),
        (["--executor", "locl"], ["--executor", "'locl'", "did you mean 'local'?"]),
        (["--nodes", "2"], ["--nodes is for a cluster, and 'local'", "add --executor slurm"]),
        (["--only", "shift=true"], ["--only", "did you mean 'shift=false'?"]),
        (["--slot", "1"], ["--slot"]),
    ],
)
def test_wrong_options_are_refused(words, says, write, tmp_path: Path, capsys):
    home = tmp_path / "home"
    code = main(["run", str(write()), "--home", str(home), *words])
    err = capsys.readouterr().err
    assert code == 2
    assert "hint: " in err
    for part in says:
        assert part in err
    assert not list(home.glob("trials/*"))


def test_the_pages_may_take_any_port_that_is_free(tmp_path, capsys):
    """Port 0, as the hint at a port in use says; there are no records, so nothing is served."""
    home = ["--home", str(tmp_path / "home")]
    assert main(["ui", "--port", "0", *home]) == 4
    assert "there are no records yet" in capsys.readouterr().err
    assert main(["ui", "--port", "65536", *home]) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data-dir", "nowhere"], "--data-dir: 'nowhere' is no folder"),
        (["--per-gpu", "0"], "--per-gpu: expected auto or a number, got '0'"),
        (
            ["--per-gpu", "2", "--executor", "slurm"],
            "--per-gpu: this machine's GPUs are shared by",
        ),
    ],
)
def test_options_of_memory_and_images_are_checked_before_anything_is_made(
    words, said, write, tmp_path, capsys
):
    home = tmp_path / "new"
    assert main(["run", str(write()), "--home", str(home), *words]) == 2
    told = capsys.readouterr().err
    assert f"error: {said}" in told
    assert "hint: " in told
    assert not home.exists()
