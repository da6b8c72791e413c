"""The study file to start from: it loads, it plans, and so does what its comments offer."""

import re

import pytest

from swinablate.cli.app import main
from swinablate.errors import InputError
from swinablate.study.cautions import cautions
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from swinablate.study.starters.network import write_template
from swinablate.study.starters.templates import TEMPLATES


def test_what_is_written_can_be_planned(tmp_path):
    study, recipe = write_template("mine", tmp_path)
    assert study == tmp_path / "studies/mine.toml"
    assert recipe == tmp_path / "experiments/mine.toml"
    found = plan(load_study(study))
    assert [arm.name for arm in found.arms] == ["baseline", "shift=false", "position_bias=none"]
    assert [len(arm.seeds) for arm in found.arms] == [10, 5, 5]
    assert f"swinablate run {study}" in study.read_text()


OFFERED = ("[[arms]]", "[tune]", "[budget]", "rope", "[[hypotheses]]")


@pytest.mark.parametrize("start", OFFERED)
def test_what_its_comments_offer_is_true_when_the_marks_are_taken_away(tmp_path, start):
    study, _ = write_template("mine", tmp_path)
    lines = study.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(f"# {start}"))
    while at < len(lines) and re.match(r"# (\[|\w+ = )", lines[at]):
        lines[at] = lines[at].removeprefix("# ")
        at += 1
    study.write_text("\n".join(lines))
    assert len(plan(load_study(study)).arms) == 3 + (start == "[[arms]]")


def test_more_seeds_for_what_is_undecided_instead_of_seeds(tmp_path):
    study, _ = write_template("mine", tmp_path)
    text = study.read_text().replace("# [adaptive]", "[adaptive]").replace("# looks", "looks")
    head, table, tail = text.partition("[adaptive]")
    study.write_text(re.sub(r"(?m)^seeds .*$", "", head) + table + tail)
    assert load_study(study).looks


@pytest.mark.parametrize("which", [0, 1])
def test_no_file_is_written_over(tmp_path, which):
    there = write_template("mine", tmp_path)
    there[1 - which].unlink()
    there[which].write_text("precious")
    with pytest.raises(InputError) as refusal:
        write_template("mine", tmp_path)
    assert str(refusal.value) == f"{there[which]}: the file exists\n\nhint: choose another name"
    assert there[which].read_text() == "precious"
    assert not there[1 - which].exists()


def test_a_name_that_leaves_the_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"'\.\./mine' cannot name a study"):
        write_template("../mine", tmp_path)
    assert list(tmp_path.iterdir()) == []


ARMS = {"parts": 3, "one_axis": 5, "factorial": 8, "families": 4, "adaptive": 4}


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_plans_whole(tmp_path, template):
    study, *recipes = write_template("my study", tmp_path, template)
    assert len(recipes) == 1 + len(TEMPLATES[template].others)
    found = plan(load_study(study))
    assert len(found.arms) == ARMS[template]
    assert not found.refusals
    assert not [*cautions(found)]
    assert found.study.looks or min(len(arm.seeds) for arm in found.arms) == 5
    assert study.read_text().isascii()


@pytest.mark.integration
@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_runs(tmp_path, template, capsys):
    assert main(["new", "mine", "--template", template, "--in", str(tmp_path)]) == 0
    said = capsys.readouterr().err
    study = tmp_path / "studies" / "mine.toml"
    assert said.splitlines()[0] == str(study)
    words = ["--smoke", "--executor", "serial", "--home", str(tmp_path / "home"), "--no-report"]
    assert main(["run", str(study), *words]) == 0


def test_templates_are_listed_and_a_wrong_one_is_refused(tmp_path, capsys):
    assert main(["new", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in TEMPLATES)
    assert main(["new", "mine", "--template", "factorail", "--in", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "--template: no template is called 'factorail'" in err
    assert "'factorial'" in err
    assert main(["new", "--template", "parts", "--command", "python t.py"]) == 2
    assert "a command has no template" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_no_recipe_of_a_template_is_written_over(tmp_path):
    _, _, vit, resnet = write_template("mine", tmp_path, "families")
    for path in (tmp_path / "studies").iterdir():
        path.unlink()
    vit.unlink()
    with pytest.raises(InputError, match="the file exists"):
        write_template("mine", tmp_path, "families")
    assert resnet.exists()
    assert not vit.exists()
