"""Names of variants, and digests of what study files say."""

import re

import pytest

from swinablate.config.variants import digests, variant
from swinablate.errors import InputError
from tests.conftest import RECIPE, STUDY

FOLDER = re.compile(r"[A-Za-z0-9 ._=,+()@-]+")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ([], "a"),
        (["train.epochs=3"], "a@train.epochs=3"),
        (["train.lr=1e-3"], "a@train.lr=0.001"),
        (["model.shift=false"], "a@model.shift=false"),
        (["model.norm=batch"], "a@model.norm=batch"),
        (['model.norm="batch"'], "a@model.norm=batch"),
        (["train.epochs=3", "data.limit=64"], "a@data.limit=64,train.epochs=3"),
        (["data.limit=64", "train.epochs=3"], "a@data.limit=64,train.epochs=3"),
        (["train.epochs=2", "train.epochs=3"], "a@train.epochs=3"),
        ([" train.epochs = 3 "], "a@train.epochs=3"),
    ],
)
def test_a_variant_is_named_after_what_is_set(settings, name):
    assert variant("a", settings) == name


def test_levels_that_cannot_stand_in_a_name_are_left_out_and_told_apart():
    texts = [
        "study.question=Why?", "study.question=Why!", 'study.question="3"', "study.question=3",
        "study.question='true'", "study.seeds=[0, 1]", "study.seeds=[0, 2]", "data.root=../x",
        "data.root=postgres://bob:hunter2@db", "data.root=" + "x" * 300, "study.question=a,b=1",
        "study.question=1979-05-27", "train.lr=nan", 'study.question=""',
    ]  # fmt: skip
    names = [variant("a", [text]) for text in texts]
    assert len(set(names)) == len(texts)
    assert all(FOLDER.fullmatch(name) and len(name) < 120 for name in names)
    assert not any("hunter2" in name for name in names)
    assert re.fullmatch(r"a@study.question-[0-9a-f]{8}", names[0])
    assert names[3] == "a@study.question=3"
    many = [f"train.key{number}={number}" for number in range(20)]
    assert len({variant("a", many), variant("a", many[:-1])}) == 2


def test_what_is_no_setting_names_nothing():
    with pytest.raises(InputError, match="expected KEY=VALUE"):
        variant("a", ["train.epochs"])


def test_digests_are_of_what_is_said_in_the_study_and_its_recipes(write, tmp_path):
    arm = '\n[[arms]]\nname = "x"\nrecipe = "other.toml"\n'
    (tmp_path / "other.toml").write_text(RECIPE)
    study = write(STUDY + arm)
    first = digests(study)
    assert first.keys() == {"", "base.toml", "other.toml"}
    assert first["base.toml"] == first["other.toml"] != first[""]
    study.write_text("# a comment\n" + STUDY + arm)
    assert digests(study) == digests(study, ["train.epochs=3"]) == first
    (tmp_path / "other.toml").write_text(RECIPE.replace("width = 8", "width = 16"))
    assert {name for name, one in digests(study).items() if one != first[name]} == {"other.toml"}


def test_nothing_is_said_of_files_that_cannot_be_read_or_are_not_those_that_are_used(write):
    study = write()
    assert digests(study, ["study.baseline=other.toml"]) == {}
    assert digests(study, ["study.arms=[]"]) == {}
    for text in (
        STUDY.replace("base.toml", "gone.toml"), STUDY.replace('"base.toml"', "3"),
        STUDY.replace('baseline = "base.toml"', ""), STUDY + "day = 1979-05-27\n", "a = ",
        "arms = [1]\n" + STUDY, "arms = 3\n" + STUDY,
    ):  # fmt: skip
        study.write_text(text)
        assert digests(study) == {}
    study.unlink()
    assert digests(study) == {}
