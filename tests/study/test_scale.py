"""A study at several scales: what is planned, what has which name, what is refused."""

import json
import re
from pathlib import Path

import pytest

from swinablate.cli.app import main
from swinablate.cli.differences import differences
from swinablate.cli.wording.plan_text import promise
from swinablate.cli.wording.scale_text import rung_rows, with_hours
from swinablate.errors import InputError
from swinablate.records.plan import PlanRecord, at_home
from swinablate.records.speeds import SpeedRecord
from swinablate.report.evidence.identity import declarations_of
from swinablate.scheduling.cost import Known, Place, cost
from swinablate.study.files import load_study, smoke
from swinablate.study.noise.expected import Noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY

WIDTHS = 'axis = "model.width"\nlevels = [8, 12, 16, 20]\n'
SCALE = f"{STUDY}\n[scale]\n{WIDTHS}"
OTHER = RECIPE.replace('norm = "batch"\n', "").replace("width = 8", "width = 8\nshift = false")
PAGE = Path(__file__).parents[2] / "docs" / "reading-a-scale-trend.md"
UNKNOWN = Noise(None, "unknown")


def planned(path, *settings):
    return plan(load_study(path, settings))


def recorded(path, *settings, sd=None) -> PlanRecord:
    return plan_record(planned(path, *settings), {}, Noise(sd, "told"))


def test_every_arm_and_the_baseline_are_trained_at_every_rung_with_the_same_seeds(write):
    found = planned(write(SCALE))
    assert [arm.name for arm in found.arms] == [
        "baseline", "shift=false",
        "baseline at width=12", "shift=false at width=12",
        "baseline at width=16", "shift=false at width=16",
        "baseline at width=20", "shift=false at width=20",
    ]  # fmt: skip
    assert {arm.seeds for arm in found.arms} == {(0, 1, 2)}
    assert [arm.recipe.model.width for arm in found.arms] == [8, 8, 12, 12, 16, 16, 20, 20]
    assert [arm.recipe.model.shift for arm in found.arms] == [True, False] * 4
    assert found.arms[3].changes == {"model.width": 12, "model.shift": False}
    assert found.arms[3].differs == {"model.width": (8, 12), "model.shift": (True, False)}
    assert found.most == 24


def test_a_trial_of_a_rung_is_that_of_its_recipe(write):
    ladder = planned(write(SCALE))
    for width in (8, 12, 16, 20):
        alone = planned(write(STUDY), f"model.width={width}")
        after = "" if width == 8 else f" at width={width}"
        for arm in alone.arms:
            (same,) = [one for one in ladder.arms if one.name == f"{arm.name}{after}"]
            assert [same.trial(s).id for s in same.seeds] == [arm.trial(s).id for s in arm.seeds]


def test_the_baseline_runs_no_seeds_of_its_own_unless_they_are_asked_for(write):
    assert planned(write(SCALE.replace("baseline_seeds = 3\n", ""))).arms[0].seeds == (0, 1, 2)
    more = planned(write(SCALE.replace("baseline_seeds = 3", "baseline_seeds = 5")))
    seeds = {arm.name: len(arm.seeds) for arm in more.arms}
    assert (seeds["baseline"], seeds["baseline at width=12"]) == (5, 3)


def test_rungs_stand_by_their_size_and_home_is_the_baselines_own(write):
    text = SCALE.replace("[8, 12, 16, 20]", "[20, 12, 8]")
    scale = planned(write(text)).scale
    assert [rung.label for rung in scale.rungs] == ["width=8", "width=12", "width=20"]
    assert (scale.home, scale.by) == ("width=8", "params")
    assert [rung.value for rung in scale.rungs] == sorted(rung.value for rung in scale.rungs)


def test_home_is_the_largest_rung_where_the_baseline_is_none(write):
    found = planned(write(SCALE.replace("[8, 12, 16, 20]", "[12, 16]")))
    assert found.scale.home == "width=16"
    assert [arm.name for arm in found.arms[:3]] == [
        "baseline", "shift=false", "baseline at width=12",
    ]  # fmt: skip
    assert found.arms[0].recipe.model.width == 16


def test_the_plan_of_home_is_what_the_study_would_be_without_a_scale(write):
    ladder, alone = recorded(write(SCALE)), recorded(write(STUDY))
    assert at_home(ladder).arms == alone.arms
    assert at_home(alone) == alone
    assert ladder.declaration != alone.declaration
    assert declarations_of(ladder) == {ladder.declaration}
    assert PlanRecord.model_validate_json(json.dumps(ladder.to_json())) == ladder
    assert "scale" not in alone.to_json()


@pytest.mark.parametrize(
    ("scale", "values"),
    [
        ('axis = "data.train_fraction"\nlevels = [0.5, 1.0]\nby = "images"\n', (566, 1131)),
        ('axis = "train.epochs"\nlevels = [1, 2, 4]\nby = "epochs"\n', (1, 2, 4)),
        ('axis = "model.depths"\nlevels = [[2], [4]]\nby = "macs"\n', None),
    ],
)
def test_other_axes_are_scales_too(scale, values, write):
    found = planned(write(f"{STUDY}\n[scale]\n{scale}", RECIPE.replace("limit = 128\n", "")))
    at = tuple(rung.value for rung in found.scale.rungs)
    assert at == values or (values is None and at[0] < at[1])


def test_rungs_may_move_several_fields_at_once(write):
    rungs = (
        'rungs = [{ model = { width = 8, heads = [2] } }, { "model.width" = 16, '
        '"model.heads" = [4] }]\npredict = { "model.width" = 32, "model.heads" = [8] }\n'
    )
    found = planned(write(f"{STUDY}\n[scale]\n{rungs}"))
    assert [rung.label for rung in found.scale.rungs] == [
        "width=8, heads=(2)", "width=16, heads=(4)",
    ]  # fmt: skip
    assert found.arms[2].name == "baseline at width=16, heads=(4)"
    assert found.arms[2].recipe.model.heads == (4,)
    assert found.scale.predict.label == "width=32, heads=(8)"


def test_a_rule_moves_the_learning_rate_with_the_width(write):
    recipe = RECIPE + "lr = 0.004\n"
    text = SCALE + 'rules = { "train.lr" = -1.0 }\npredict = 32\n'
    found = planned(write(text, recipe))
    assert [arm.recipe.train.lr for arm in found.arms[::2]] == [
        0.004, 0.00266666666667, 0.002, 0.0016,
    ]  # fmt: skip
    assert [dict(rung.ruled) for rung in found.scale.rungs][2] == {"train.lr": 0.002}
    assert found.scale.predict.ruled == {"train.lr": 0.001}
    root = planned(write(text.replace("-1.0", "-0.5"), recipe))
    assert root.arms[4].recipe.train.lr == pytest.approx(0.004 / 2**0.5)


def test_an_arm_that_is_impossible_at_a_rung_is_refused_there_alone(write):
    text = STUDY.replace('"model.shift" = [false]', '"model.heads" = [[4], [1]]')
    found = planned(write(f'{text}\n[scale]\naxis = "model.width"\nlevels = [8, 10, 16]\n'))
    (refusal,) = found.refusals
    assert refusal.name == "heads=(4) at width=10"
    arms = [sorted(rung.arms) for rung in found.scale.rungs]
    assert arms == [["baseline", "heads=(1)", "heads=(4)"], ["baseline", "heads=(1)"], arms[0]]
    record = plan_record(found, {}, UNKNOWN)
    assert at_home(record).refusals == ()


def test_an_arm_is_matched_to_the_baseline_of_its_rung(write):
    match = '[[arms]]\nname = "slim"\nchanges = { "model.mlp_ratio" = 2.0 }\nmatch = { by = '
    match += '"params", tolerance = 0.1, adjust = "model.width" }\n'
    found = planned(write(STUDY + match + f"\n[scale]\n{WIDTHS}"))
    for rung in found.scale.rungs:
        (slim,) = [arm for arm in found.arms if arm.name == rung.arms.get("slim")]
        assert slim.match.target == rung.value
        assert abs(slim.params / rung.value - 1) <= 0.1


def test_an_arm_of_another_recipe_moves_with_the_baseline(write):
    path = write(STUDY + f'[[arms]]\nname = "other"\nrecipe = "o.toml"\n[scale]\n{WIDTHS}')
    (path.parent / "o.toml").write_text(OTHER.replace("patch = 2", "patch = 1"))
    found = planned(path)
    assert [a.recipe.model.width for a in found.arms if "other" in a.name] == [8, 12, 16, 20]
    (path.parent / "o.toml").write_text(OTHER.replace("width = 8", "width = 12"))
    with pytest.raises(InputError, match=r"o\.toml has model\.width = 12, and the baseline 8"):
        planned(path)


def test_an_arm_that_is_compared_with_another_is_so_at_every_rung(write):
    arms = '[[arms]]\nname = "rms"\nchanges = { "model.norm" = "rms" }\nagainst = "shift=false"\n'
    found = planned(write(STUDY + arms + f"[scale]\n{WIDTHS}"))
    against = {arm.name: arm.against for arm in found.arms if arm.against}
    assert against["rms"] == "shift=false"
    assert against["rms at width=12"] == "shift=false at width=12"


def test_a_smoke_run_is_of_one_scale(write):
    study = smoke(load_study(write(SCALE)))
    assert study.scale is None
    assert len(plan(study).arms) == 2


def test_what_is_promised_is_the_slope_that_it_can_see_and_the_hours_of_every_rung(write):
    record = recorded(write(SCALE + "predict = 40\n"), sd=0.97)
    assert record.scale.detectable_pp > 0
    assert record.scale.predicted_pp > record.scale.detectable_pp
    said = " ".join(promise(record))
    assert "4 rungs, with the same seeds; the verdicts are about width=8" in said
    assert f"+-{record.scale.detectable_pp:.2f} percentage points per doubling of params" in said
    assert f"+-{record.scale.predicted_pp:.2f} at width=40" in said
    known = {a.name: SpeedRecord(source="recorded", trial_s=1800.0) for a in record.arms}
    spent = cost(record, {}, Known(speeds=known), Place(device="cpu", slots=1))
    rows = rung_rows(record, spent)
    assert [row[0] for row in rows][::4] == ["width=8 (home)", "width=40 (predicted)"]
    assert {row[4] for row in rows[:-1]} == {"3.00"}
    printed = with_hours(record.to_json(), record, spent)
    assert [rung["hours"] for rung in printed["scale"]["rungs"]] == [3.0] * 4
    few = recorded(write(SCALE.replace(", 20", "").replace(", 16", "") + "predict = 40\n"), sd=1)
    assert few.scale.predicted_pp is None
    assert "Nothing will be predicted at width=40, which takes 4 rungs" in " ".join(promise(few))


def test_another_scale_is_another_declaration_and_says_what_changed(write):
    one, two = recorded(write(SCALE)), recorded(write(SCALE.replace(", 20]", ", 24]")))
    three = recorded(write(SCALE + "predict = 64\n"))
    assert len({one.declaration, two.declaration, three.declaration}) == 3
    assert any("width=20" in line and "width=24" in line for line in differences(one, two))
    assert any(line.startswith("scale.predict") for line in differences(one, three))
    assert differences(one, one) == []


RUNGS = 'rungs = [{ "model.width" = 8 }, { "model.width" = 16 }]\n'
BAD = {
    "no such axis": ('axis = "model.widht"\nlevels = [8, 12]\n', ["scale", "'model.widht'", "did you mean 'model.width'?"]),
    "no levels": ('axis = "model.width"\n', ["study.toml: scale", "'levels' is missing"]),
    "no axis": ("levels = [8, 12]\n", ["study.toml: scale", "'axis' is missing"]),
    "nothing": ('by = "macs"\n', ["study.toml: scale", "no rungs are given"]),
    "two ways": (WIDTHS + RUNGS, ["study.toml: scale", "two ways"]),
    "one level": ('axis = "model.width"\nlevels = [8]\n', ["scale.levels", "1 rung shows no trend"]),
    "a level twice": ('axis = "model.width"\nlevels = [8, 12, 8]\n', ["scale.levels", "8 is there twice"]),
    "levels that are no numbers": ('axis = "model.norm"\nlevels = ["batch", "rms"]\n', ["scale.levels", '"batch" is no number', "[axes]"]),
    "a boolean": ('axis = "model.shift"\nlevels = [true, false]\n', ["scale.levels", "true is no number"]),
    "a level that does not fit": ('axis = "model.width"\nlevels = [8, -2]\n', ["scale", "model.width", "-2"]),
    "a baseline that cannot be": ('axis = "model.window"\nlevels = [2, 3]\n', ["at the rung window=3", "the baseline is impossible"]),
    "a width that heads do not share": ('axis = "model.width"\nlevels = [8, 9]\n', ["study.toml: scale", "9"]),
    "no such measure": (WIDTHS + 'by = "flops"\n', ["scale.by", "'flops'", "'macs'"]),
    "rungs of one size": ('axis = "train.epochs"\nlevels = [1, 2]\n', ["scale.by", "epochs=1 and epochs=2 both have", "params", 'by = "epochs"']),
    "data of one size": ('axis = "data.train_fraction"\nlevels = [0.5, 1.0]\n', ["scale.by", 'by = "images"']),
    "a prediction inside": (WIDTHS + "predict = 16\n", ["scale.predict", "width=16", "the largest rung, width=20"]),
    "a prediction that is no level": (WIDTHS + 'predict = "large"\n', ["scale.predict", '"large" is no number']),
    "a prediction that cannot be built": (WIDTHS + "predict = 33\n", ["scale.predict", "33"]),
    "a prediction of other fields": (RUNGS + "predict = 32\n", ["scale.predict", "a table of the fields", '"model.width" = ...']),
    "rungs of other fields": ('rungs = [{ "model.width" = 8 }, { "model.depths" = [4] }]\n', ["scale.rungs", "different fields"]),
    "a rule for several fields": (RUNGS + 'rules = { "train.lr" = -1.0 }\n', ["scale.rules", "an axis whose levels are single numbers"]),
    "a rule of nothing": (WIDTHS + 'rules = { "train.lrr" = -1.0 }\n', ["scale.rules", "'train.lrr'"]),
    "a rule of whole numbers": (WIDTHS + 'rules = { "train.batch" = 1.0 }\n', ["scale.rules", "'train.batch'"]),
    "a rule too steep": (WIDTHS + 'rules = { "train.lr" = -9.0 }\n', ["scale.rules", "-9.0"]),
    "a misspelled key": (WIDTHS + "predicts = 40\n", ["scale", "'predicts'", "did you mean 'predict'?"]),
    "an axis that is a switch too": ('axis = "model.shift_mask"\nlevels = [1, 2]\n', ["scale", "model.shift_mask"]),
}  # fmt: skip


@pytest.mark.parametrize(("scale", "said"), BAD.values(), ids=BAD.keys())
def test_wrong_scales_are_refused_before_any_work(scale, said, write, tmp_path, capsys):
    path = write(f"{STUDY}\n[scale]\n{scale}")
    assert main(["plan", str(path), "--home", str(tmp_path / "home")]) == 2
    message = capsys.readouterr().err
    assert "error: " in message
    assert "hint: " in message
    assert [part for part in said if part not in " ".join(message.split())] == []
    assert not (tmp_path / "home").exists()


BESIDE = {
    "a design": (SCALE.replace("seeds = 3", 'design = "factorial"\nseeds = 3', 1), "[scale] and design = 'factorial'"),
    "an axis of it": (SCALE.replace('"model.shift" = [false]', '"model.width" = [12]'), "'model.width' is changed here"),
    "an arm of it": (STUDY + f'[[arms]]\nname = "x"\nchanges = {{ "model.width" = 12 }}\n[scale]\n{WIDTHS}', "'model.width' is changed here"),
    "a table that has it": (STUDY.replace('"model.shift" = [false]', '"model" = [{ norm = "rms" }]') + f"[scale]\n{WIDTHS}", "'model' is changed here"),
    "an axis that a rule moves": (SCALE.replace('"model.shift" = [false]', '"train.lr" = [0.1]') + 'rules = { "train.lr" = -1.0 }\n', "'train.lr' is changed here"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), BESIDE.values(), ids=BESIDE.keys())
def test_what_does_not_go_together_is_refused(text, said, write):
    with pytest.raises(InputError) as error:
        planned(write(text))
    assert said in str(error.value)
    assert error.value.hint


def test_too_many_arms_are_counted_before_any_is_built(write):
    levels = ", ".join(str(2 * k) for k in range(1, 1001))
    text = SCALE.replace("8, 12, 16, 20", levels)
    with pytest.raises(InputError, match="1000 rungs make 2,000 arms"):
        planned(write(text))


LOOKS = SCALE.replace("seeds = 3\nbaseline_seeds = 3\n", "") + "[adaptive]\nlooks = [3, 5]\n"


def test_with_looks_home_has_the_seeds_of_its_verdicts_and_a_rung_those_of_its_trend(write):
    ladder, alone = (
        planned(write(LOOKS)),
        planned(write(LOOKS.partition("[scale]")[0] + LOOKS[LOOKS.index("[adaptive]") :])),
    )
    seeds = {arm.name: len(arm.seeds) for arm in ladder.arms}
    assert (seeds["baseline"], seeds["baseline at width=12"], seeds["shift=false"]) == (10, 5, 5)
    assert [arm.seeds for arm in ladder.home.arms] == [arm.seeds for arm in alone.arms]
    assert (ladder.fewest, ladder.most) == (3 * 9, 45)
    record = recorded(write(LOOKS), sd=1.0)
    # One comparison at home, however many rungs there are.
    assert (
        record.looks[1].detectable_pp
        == recorded(
            write(LOOKS.partition("[scale]")[0] + LOOKS[LOOKS.index("[adaptive]") :]), sd=1.0
        )
        .looks[1]
        .detectable_pp
    )
    text = " ".join(promise(record))
    assert "arms whose trend is open get more seeds at all of their rungs" in text
    with pytest.raises(InputError, match="the first look needs 27 trials, the budget has 20"):
        planned(write(LOOKS + "[budget]\ntrials = 20\n"))


def test_a_command_has_no_scale(write, tmp_path):
    base = '[command]\nrun = ["true", "{seed}", "{width}", "{fast}"]\nsources = []\nmetric = { pattern = "(.)" }\n'
    base += "[switches]\nwidth = 8\nfast = true\n"
    text = STUDY.replace('"model.shift" = [false]', '"switches.fast" = [false]')
    path = write(f'{text}\n[scale]\naxis = "switches.width"\nlevels = [8, 16]\n', base)
    with pytest.raises(InputError, match="nothing is known of how large a command is"):
        planned(path)
    path = write(f'{STUDY}[[arms]]\nname = "own"\nrecipe = "own.toml"\n[scale]\n{WIDTHS}')
    own = base.replace('pattern = "(.)"', 'pattern = "(.)", name = "accuracy"')
    (path.parent / "own.toml").write_text(own)
    with pytest.raises(InputError, match="nothing is known of how large a command is"):
        planned(path)


def test_the_scale_that_is_explained_can_be_planned(write):
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    found = planned(write(f"{STUDY}\n{block}", RECIPE.replace("width = 8", "width = 16")))
    assert (found.scale.home, found.scale.predict.label) == ("width=16", "width=96")
    assert len(found.arms) == 8
