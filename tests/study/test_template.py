"""The study file to start from: it loads, it plans, and so does what its comments offer."""

import re

import pytest

from swinablate.errors import InputError
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from swinablate.study.starters.network import write_template


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
