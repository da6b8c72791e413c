"""A study of several data sets: what is planned, what has which name, what is refused."""

import json

import pytest

from swinablate.cli.differences import differences
from swinablate.cli.wording.datasets_text import set_rows, with_set_hours
from swinablate.cli.wording.plan_text import promise
from swinablate.errors import InputError
from swinablate.records.plan import PlanRecord, at_home
from swinablate.records.speeds import SpeedRecord
from swinablate.report.evidence.identity import declarations_of
from swinablate.report.families.datasets import plan_on
from swinablate.scheduling.cost import Known, Place, cost
from swinablate.study.files import load_study, smoke
from swinablate.study.noise.expected import Noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY

SHAPES = '{ name = "shapes", changes = { "model.patch" = 4 } }'
BIG = '{ name = "digits", label = "big", changes = { "data.size" = 16, "model.patch" = 4 } }'


def several(*sets: str, study: str = STUDY) -> str:
    """The study on data sets, as they stand in a file."""
    return f"data = [{', '.join(sets)}]\n{study}"


SETS = several('"digits"', SHAPES, BIG)


def planned(path, *settings):
    return plan(load_study(path, settings))


def recorded(path, *settings, sd=None) -> PlanRecord:
    return plan_record(planned(path, *settings), {}, Noise(sd, "told"))


def test_every_arm_and_the_baseline_are_trained_on_every_data_set(write):
    found = planned(write(SETS))
    assert [arm.name for arm in found.arms] == [
        "baseline", "shift=false",
        "baseline on shapes", "shift=false on shapes",
        "baseline on big", "shift=false on big",
    ]  # fmt: skip
    assert [arm.recipe.data.name for arm in found.arms] == [
        "digits", "digits", "shapes", "shapes", "digits", "digits",
    ]  # fmt: skip
    assert [arm.recipe.model.patch for arm in found.arms] == [2, 2, 4, 4, 4, 4]
    assert [arm.recipe.model.shift for arm in found.arms] == [True, False] * 3
    assert {arm.seeds for arm in found.arms} == {(0, 1, 2)}
    assert found.arms[3].changes == {
        "data.name": "shapes", "model.patch": 4, "model.shift": False
    }  # fmt: skip
    assert found.most == 18


def test_a_trial_on_a_data_set_is_that_of_its_recipe(write):
    every = planned(write(SETS))
    settings = {
        "": [],
        " on shapes": ["data.name=shapes", "model.patch=4"],
        " on big": ["data.size=16", "model.patch=4"],
    }
    for after, changes in settings.items():
        for arm in planned(write(STUDY), *changes).arms:
            (same,) = [one for one in every.arms if one.name == f"{arm.name}{after}"]
            assert [same.trial(s).id for s in same.seeds] == [arm.trial(s).id for s in arm.seeds]


def test_home_is_the_baselines_own_data_set_wherever_it_stands_else_the_first(write):
    assert planned(write(several(SHAPES, '"digits"'))).datasets.home == "digits"
    found = planned(write(several(SHAPES, BIG)))
    assert found.datasets.home == "shapes"
    assert [arm.name for arm in found.arms][:3] == ["baseline", "shift=false", "baseline on big"]
    assert [one.label for one in found.datasets.sets] == ["shapes", "big"]


def test_the_record_has_the_data_sets_and_the_plan_of_each(write):
    found = recorded(write(SETS), sd=1.0)
    assert [(one.label, one.images) for one in found.datasets.sets] == [
        ("digits", 128), ("shapes", 128), ("big", 128)
    ]  # fmt: skip
    assert PlanRecord.model_validate_json(json.dumps(found.to_json())) == found
    assert [arm.name for arm in at_home(found).arms] == ["baseline", "shift=false"]
    there = plan_on(found, "shapes")
    assert [arm.name for arm in there.arms] == ["baseline", "shift=false"]
    assert there.baseline.dataset == "shapes"
    assert found.declaration in declarations_of(found)


def test_an_arm_that_one_data_set_cannot_have_is_refused_there_alone(write):
    found = recorded(write(SETS.replace("[false]", "[false]\n'model.window' = [4, 3]")))
    names = [one.name for one in found.refusals]
    assert all("window=3" in name for name in names)
    assert len(names) == 3
    there = plan_on(found, "big")
    assert [one.name for one in there.refusals] == ["window=3"]
    assert "window=4" in [arm.name for arm in there.arms]


def test_what_is_compared_with_an_arm_is_so_on_every_data_set(write):
    arms = '[[arms]]\nname = "both"\nagainst = "plain"\nchanges = { "model.norm" = "layer", '
    arms += '"model.shift" = false }\n[[arms]]\nname = "plain"\nchanges = { "model.norm" = "rms" }'
    base = RECIPE.replace("window = 2", 'window = 2\nnorm = "batch"')
    found = recorded(write(several('"digits"', SHAPES, study=STUDY + arms), base))
    away = found.arm("both on shapes")
    assert away.against == "plain on shapes"
    assert plan_on(found, "shapes").arm("both").against == "plain"


def test_the_mean_that_can_be_seen_is_told(write):
    text = SETS + "[compare]\nrope = 2.0\n"
    found = recorded(write(text), sd=1.5)
    half = 4.302653 * (1.5**2 * 2 / 3 / 3) ** 0.5  # t of two degrees of freedom, one arm
    assert found.datasets.detectable_pp == pytest.approx(half, abs=1e-3)
    wide = 4.302653 * ((1.5**2 * 2 / 3 + 2.0**2) / 3) ** 0.5
    assert found.datasets.spread_detectable_pp == pytest.approx(wide, abs=1e-3)
    said = " ".join(promise(found))
    assert f"+-{half:.2f} percentage points where effects are the same on all" in said
    assert f"+-{wide:.2f} where they differ by an sd of 2 " in said
    two = recorded(write(several('"digits"', SHAPES)), sd=1.5)
    assert two.datasets.detectable_pp is None
    assert "a mean and no word" in " ".join(promise(two))


def test_plan_has_the_hours_of_every_data_set(write):
    record = recorded(write(SETS))
    known = {a.name: SpeedRecord(source="recorded", trial_s=1800.0) for a in record.arms}
    spent = cost(record, {}, Known(speeds=known), Place(device="cpu", slots=1))
    rows = set_rows(record, spent)
    assert [row[0] for row in rows] == ["digits (home)", "shapes", "big"]
    assert [row[1:5] for row in rows] == [["128", 2, 6, "3.00"]] * 3
    assert [row[5] for row in rows] == ["-", "model.patch = 4", "data.size = 16, model.patch = 4"]
    told = with_set_hours(record.to_json(), record, spent)
    assert [one["hours"] for one in told["datasets"]["sets"]] == [3.0] * 3


def test_other_data_sets_are_another_declaration_and_it_is_said_which(write):
    was = recorded(write(SETS))
    now = recorded(write(several('"digits"', SHAPES.replace("= 4", "= 2"), BIG)))
    said = differences(was, now)
    assert "data.shapes.model.patch: 4 -> 2" in said


def test_a_smoke_run_takes_the_baselines_own_data_set(write):
    found = plan(smoke(load_study(write(SETS), smoke=True)))
    assert found.datasets is None
    assert [arm.name for arm in found.arms] == ["baseline", "shift=false"]


def test_names_alone_and_tables_say_the_same(write):
    tables = f'{STUDY}\n[[data]]\nname = "digits"\n[[data]]\nname = "shapes"\n'
    tables += "[data.changes]\nmodel.patch = 4\n"
    plain = planned(write(several('"digits"', SHAPES)))
    assert planned(write(tables)).declaration == plain.declaration


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        (several('"digits"'), "study.toml: data", "1 data set in the list"),
        (several(), "study.toml: data", "0 data sets in the list"),
        (several('"digits"', '"digits"'), "data", "two data sets are called 'digits'"),
        (several('"digits"', '"digit"'), "data", "digit"),
        (several('"digits"', '{ name = "digits", label = "two" }'), "data",
         "digits and two are one"),
        (several('"digits"', '{ name = "shapes", changes = { "data.name" = "digits" } }'), "data",
         "the name says which data set it is"),
        (several('"digits"', '{ name = "shapes", changes = { "model.pitch" = 4 } }'),
         "data: shapes", "pitch"),
        (several('"digits"', '{ name = "shapes", chnges = {} }'), "data", "chnges"),
        (several('"digits"', SHAPES, study=STUDY + '"model.patch" = [1]\n'), "axes",
         "'model.patch' is changed here, and data = [...] sets 'model.patch'"),
        (several('"digits"', SHAPES, study=STUDY + '"data.name" = ["shapes"]\n'), "axes",
         "'data.name' is changed here"),
        (several('"digits"', SHAPES, study=f"{STUDY}[scale]\naxis = 'model.width'\nlevels = [8, 12]"),
         "data", "data = [...] and [scale] are not possible together"),
        (several('"digits"', SHAPES, study=STUDY.replace("seeds = 3\nbase", 'design = "factorial"\n'
                                                         "seeds = 3\nbase")),
         "data", "design = 'factorial' are not possible together"),
        (several('"digits"', SHAPES, study=f"{STUDY}[adaptive]\nlooks = [3, 5]").replace(
            "seeds = 3\nbaseline_seeds = 3\n", ""), "data", "[adaptive] are not possible"),
        (several('"digits"', '{ name = "shapes", changes = { "model.patch" = 3 } }'), "study.toml",
         "on shapes: the baseline is impossible"),
        (several('"digits"', SHAPES, study=f'{STUDY}[compare]\nmetric = "test/recall/9"'),
         "data: shapes", "9"),
        (several('"digits"', SHAPES, study=STUDY.replace("baseline_seeds = 3\n", "")
                 + '[noise]\nsources = ["training", "split"]\nsplits = 4\n'),
         "study.toml: data", "several data sets and several splits"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_error_before_any_work(write, text, where, problem):
    with pytest.raises(InputError) as raised:
        recorded(write(text))
    assert where in str(raised.value.at)
    assert problem in f"{raised.value.problem} {raised.value.hint}"
    assert raised.value.hint
