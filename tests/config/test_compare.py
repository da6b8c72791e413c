"""What a study may compare: names, classes, units, floors."""

from pathlib import Path

import pytest

from swinablate.cli.app import main
from swinablate.config.compare import Compare, DeclaredHypothesis, Kind, settled_compare
from swinablate.config.compare import settled_hypotheses as settled
from swinablate.config.metrics import METRICS, QUANTITIES, checked, metric, on_request
from swinablate.errors import InputError
from swinablate.records.tables import TRIALS
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from swinablate.text import column_of
from tests.conftest import RECIPE, STUDY

NAMES = ("ant", "bee", "cow", "dog", "eel", "fox")


def refused(*args: object, **more: object) -> str:
    with pytest.raises(InputError) as caught:
        checked(*args, **more)  # type: ignore[arg-type]
    return str(caught.value)


def test_floors_by_hand():
    assert metric("test/accuracy").floor(1000, 10) == pytest.approx(0.1 / 12**0.5)
    assert metric("test/ece").floor(1000, 10) == pytest.approx(0.1 / 12**0.5)
    # Of 1000 images in 10 classes 100 are one class's, and one of them is a whole point.
    assert metric("test/recall/3").floor(1000, 10) == pytest.approx(1 / 12**0.5)
    assert metric("test/loss").floor(1000, 10) == pytest.approx(1e-6 / 12**0.5)
    assert metric("peak_mib").floor(None, None) == pytest.approx(2 / 12**0.5)
    assert metric("test/accuracy").floor(None, 10) == 0
    assert metric("test/recall/3").floor(1000, None) == 0


def test_every_row_says_why_its_step_is_the_smallest_and_has_a_column():
    for row in (*METRICS, *QUANTITIES):
        assert row.why
        assert column_of(row.name) == row.column
        assert metric(row.name) is row
    assert {row.column for row in (*METRICS, *QUANTITIES)} <= set(TRIALS)
    assert {row.name for row in (*METRICS, *QUANTITIES) if row.better == "lower"} == {
        "test/loss", "test/ece", "train/eval_loss", "train_s", "peak_mib", "params", "macs",
    }  # fmt: skip


def test_a_class_is_named_by_its_number_or_its_name_and_means_the_same():
    for written in ("test/recall/2", "test/recall/cow", "test/recall/2:cow"):
        assert checked(written, "", classes=6, names=NAMES) == "test/recall/2:cow"
    assert checked("test/recall/2", "", classes=6) == "test/recall/2"
    row = metric("test/recall/2:cow")
    assert (row.key, row.column) == ("test/recall/2", "test_recall_2")
    assert row.called == "test recall of class 2 (cow)"
    assert column_of("test/recall/2:cow") == "test_recall_2"


def test_what_there_is_not_is_refused_with_what_there_is():
    assert refused("test/recall/owl", "compare.metric", classes=6, names=NAMES) == (
        "compare.metric: no class is called 'owl'\n\nhint: known: ant, bee, cow, dog, eel, fox"
    )
    assert refused("test/recall/6", "", classes=6).endswith("hint: known: 0 to 5")
    assert refused("test/recall/2:owl", "", classes=6, names=NAMES).startswith("no class is call")
    assert refused("test/los", "", classes=6).endswith(
        "hint: did you mean 'test/loss'? or test/recall/CLASS, from 0 to 5, or test/translated/PIXELS"
    )
    assert "no metric is called 'train_s'" in refused("train_s", "", classes=6)
    assert checked("train_s", "", classes=6, quantities=True) == "train_s"


def test_images_are_moved_by_whole_pixels_that_leave_something_in_sight():
    row = metric(checked("test/translated/2", "", classes=6, side=8))
    assert (row.key, row.column) == ("test/translated/2", "test_translated_2")
    assert row.called == "test accuracy under translation by 2 pixels"
    assert metric("test/translated/1").called.endswith("by 1 pixel")
    assert refused("test/translated/8", "compare.secondary", classes=6, side=8) == (
        "compare.secondary: test/translated/8: nothing would be left of images with a side of 8 "
        "pixels\n\nhint: name test/translated/1, or another number below 8"
    )
    for written in ("test/translated/0", "test/translated/1.5", "test/translated/x"):
        assert f"no metric is called {written!r}" in refused(written, "", classes=6, side=8)
    assert on_request(["test/loss", "test/translated/3"]) == ("test/translated/3",)


def test_top_5_needs_six_classes():
    assert checked("test/top5", "", classes=6) == "test/top5"
    assert refused("test/top5", "compare.metric", classes=5) == (
        "compare.metric: test/top5 is 100 % for any network: there are 5 classes\n\n"
        'hint: name "test/accuracy"'
    )


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"rope": 100.5}, "compare.rope: 100.5 is more than any difference in test/accuracy"),
        ({"sd": 51.0}, "compare.sd: 51 is more than any difference in test/accuracy"),
        ({"secondary": ("test/accuracy",)}, "'test/accuracy' is compared already"),
        ({"secondary": ("test/ece", "test/ece")}, "'test/ece' is compared already"),
    ],
)
def test_numbers_have_the_range_of_their_unit(values, problem):
    with pytest.raises(InputError, match=problem):
        settled_compare(Compare(**values), Kind(10), "s")
    if "secondary" not in values:  # a loss has no largest difference
        found = settled_compare(Compare(metric="test/loss", **values), Kind(10), "s")
        assert found.metric == "test/loss"


def test_hypotheses_are_about_the_metric_or_a_quantity_in_its_own_unit():
    asked = DeclaredHypothesis(arm="a", expect="worse", by=300.0, quantity="train_s")
    assert settled([asked], Compare(), Kind(10), "s") == (asked,)
    same = DeclaredHypothesis(arm="a", expect="worse", quantity="test/loss")
    (found,) = settled([same], Compare(metric="test/loss"), Kind(10), "s")
    assert found.quantity == ""
    with pytest.raises(InputError, match="300 is more than any difference in test/accuracy"):
        settled([asked.model_copy(update={"quantity": ""})], Compare(), None, "s")
    equal = DeclaredHypothesis(arm="a", expect="equivalent", quantity="train_s")
    with pytest.raises(InputError, match="nothing is exactly equivalent in train_s"):
        settled([equal], Compare(), Kind(10), "s")
    exact = equal.model_copy(update={"quantity": "params"})
    assert settled([exact], Compare(), Kind(10), "s") == (exact,)


def test_only_another_metric_makes_another_declaration(write):
    first = plan(load_study(write())).declaration
    named = STUDY + '\n[compare]\nmetric = "test/accuracy"\nsecondary = []\n'
    assert plan(load_study(write(named))).declaration == first
    other = STUDY + '\n[compare]\nmetric = "test/loss"\n'
    assert plan(load_study(write(other))).declaration != first
    trials = [t.id for t in plan(load_study(write(other))).trials]
    assert trials == [t.id for t in plan(load_study(write())).trials]


def test_names_of_classes_and_of_folders_are_known_before_anything_is_read(write, tmp_path):
    text = STUDY + '\n[compare]\nmetric = "test/recall/Sneaker"\n'
    found = load_study(write(text, RECIPE.replace('"digits"', '"fashion_mnist"')))
    assert found.compare.metric == "test/recall/7:Sneaker"
    for name in ("cat", "ant"):
        (tmp_path / "root/train" / name).mkdir(parents=True)
    folder = (
        f'"image_folder"\nroot = "{tmp_path}/root"\n'
        "image = { height = 8, width = 8, channels = 1, classes = 2 }"
    )
    found = load_study(write(text.replace("Sneaker", "cat"), RECIPE.replace('"digits"', folder)))
    assert found.compare.metric == "test/recall/1:cat"


def test_the_command_line_refuses_before_anything_runs(write, tmp_path: Path, capsys):
    text = STUDY + '\n[compare]\nmetric = "test/recall/10"\n'
    assert main(["run", str(write(text)), "--home", str(tmp_path / "home")]) == 2
    said = capsys.readouterr().err
    assert "compare.metric: no class is called '10'" in said
    assert "hint: known: 0 to 9" in said
    assert not (tmp_path / "home").exists()


def test_secondary_metrics_go_with_looks(write):
    text = STUDY.replace("seeds = 3\nbaseline_seeds = 3\n", "")
    text += '\n[adaptive]\nlooks = [3, 5]\n[compare]\nsecondary = ["test/loss"]\n'
    study = load_study(write(text))
    assert (study.looks, study.compare.secondary) == ((3, 5), ("test/loss",))
