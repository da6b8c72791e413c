"""What is left of a study costs: from speeds to hours on slots, memory and disk."""

import pytest

from swinablate.records.outcome import Outcome
from swinablate.records.plan import BudgetRecord, everything
from swinablate.records.speeds import SpeedRecord, keep_speed, kept_speed, speed_key, what_costs
from swinablate.scheduling.cost import Known, Place, cost, recorded_speeds
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY

CPU = Place(device="cpu model", slots=2)
ADAPTIVE = STUDY.replace("seeds = 3\nbaseline_seeds = 3", "[adaptive]\nlooks = [3, 5]")


def record_of(folder, text):
    (folder / "base.toml").write_text(RECIPE)
    (folder / "study.toml").write_text(text)
    return plan_record(plan(load_study(folder / "study.toml")), {}, Noise(None, ""))


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return record_of(tmp_path_factory.mktemp("study"), STUDY)


def speed(step_s=1.0, **more):
    return SpeedRecord(source="probe", step_s=step_s, steps=4, **more)


def ended(record, row, **more):
    """A trial that trained 2 epochs of 4 steps of 32 images: 8 s of steps, 10 s in all."""
    curve = [{"epoch": k, "time/epoch_s": 4.0, "time/images_per_s": 32.0} for k in (1, 2)]
    given = {
        "metrics": {"time/train_s": 8.0, "memory/peak_mib": 300.0, "test/accuracy": 90.0},
        "execution": {"device": "cpu model"},
        "elapsed_s": 10.0,
        "status": "done",
        "finished_at": 5,
    }
    return Outcome(
        trial=row.trial,
        seed=row.seed,
        kind="final",
        image=row.arm.image,
        attempt=1,
        curve=tuple(curve),
        **({"recipe": row.arm.recipe} | given | more),
    )


def test_a_trial_is_the_sum_of_its_parts():
    parts = speed(epoch_s=0.5, trial_s=3.0, checkpoint_s=3.0)
    # 8 steps, two evaluations, what comes once, and a checkpoint every 30 s of training.
    assert parts.seconds({"epochs": 2, "steps": None}) == 3.0 + 2 * 0.5 + 8 + 8 / 30 * 3.0
    assert speed().seconds({"epochs": 9, "steps": 6}) == 6
    # The fifth step begins another epoch, after which is looked at the validation images.
    assert speed(epoch_s=10).seconds({"epochs": 9, "steps": 5}) == 5 + 20
    assert SpeedRecord(source="probe", step_s=1.0).seconds({"epochs": 2, "steps": None}) is None


def test_hours_are_those_of_the_last_trial_on_the_slots(record):
    known = Known({"baseline": speed(1.0, start_s=5.0), "shift=false": speed(2.0)})
    found = cost(record, {}, known, CPU)
    # In the order they run, seeds outermost: 8 | 16, 8, then 16, 8 | 16 where a slot is free.
    assert found.most == found.fewest == pytest.approx((5 + 8 + 8 + 8 + 16) / 3600)
    assert [arm.trials for arm in found.arms] == [3, 3]
    assert [arm.hours for arm in found.arms] == [24 / 3600, 48 / 3600]
    alone = cost(record, {}, known, Place(device="cpu model", slots=1))
    assert alone.most == pytest.approx((5 + 24 + 48) / 3600)
    many = cost(record, {}, known, Place(device="cpu model", slots=50))
    assert many.most == pytest.approx((5 + 16) / 3600)  # no trial is cut


def test_what_is_recorded_is_not_trained_again(record):
    known = Known({arm.name: speed() for arm in record.arms})
    rows = list(record.rows())
    done = {row.trial: ended(record, row) for row in rows[:-1]}
    found = cost(record, done, known, CPU)
    assert [arm.trials for arm in found.arms] == [0, 1]
    assert found.most == pytest.approx(8 / 3600)
    over = cost(record, {row.trial: ended(record, row) for row in rows}, known, CPU)
    assert (over.most, over.disk_mib) == (0.0, 0.0)


def test_what_nobody_knows_is_no_number(record):
    found = cost(record, {}, Known({"baseline": speed()}), CPU)
    assert (found.source, found.most, found.gpu_hours) == ("none", None, 0.0)
    told = found.to_json()
    assert told["hours"] is None
    assert [arm["step_s"] for arm in told["arms"]] == [1.0, None]
    on_gpu = cost(record, {}, Known({}), Place(device="gpu", slots=1, gpus=1))
    assert on_gpu.gpu_hours is None


def test_an_arm_whose_probe_failed_is_named_and_ends_at_once(record):
    known = Known({"baseline": speed()}, {"shift=false": "out of memory"})
    told = cost(record, {}, known, CPU).to_json()
    assert told["source"] == "probe"
    assert told["arms"][1]["failure"] == "out of memory"
    assert told["hours"] == pytest.approx(16 / 3600)


def test_gpu_hours_are_those_of_trials_over_trials_on_one_gpu(record):
    known = Known({arm.name: speed(450.0) for arm in record.arms})  # an hour a trial
    apart = cost(record, {}, known, Place(device="gpu", slots=2, gpus=2))
    shared = cost(record, {}, known, Place(device="gpu", slots=2, gpus=1))
    assert (apart.gpu_hours, shared.gpu_hours) == (6.0, 3.0)
    assert apart.most == shared.most == 3.0


def test_an_adaptive_study_costs_from_its_first_look_to_its_last(tmp_path):
    record = record_of(tmp_path, ADAPTIVE)
    known = Known({arm.name: speed(450.0) for arm in record.arms})
    found = cost(record, {}, known, Place(device="cpu model", slots=1))
    # 3 and twice as many of the baseline; at most 5 and 10.
    assert (found.fewest, found.most) == (9.0, 15.0)


def test_tuning_is_counted_with_the_finals_once_or_twice(tmp_path):
    tune = '[tune]\ntrials = 4\nspace = { "train.lr" = { low = 1e-4, high = 1e-2, log = true } }\n'
    record = record_of(tmp_path, STUDY + tune)
    known = Known({arm.name: speed(450.0) for arm in record.arms})
    found = cost(record, {}, known, Place(device="cpu model", slots=1))
    assert (found.fewest, found.most) == (2 * (4 + 3), 2 * (4 + 3 + 3))
    assert (record.trials.fewest, record.trials.most) == (found.fewest, found.most)


@pytest.mark.parametrize(
    ("budget", "trials"), [("hours = 2.5", 3), ("gpu_hours = 2.5", 5), ("trials = 4", 4)]
)
def test_no_trial_is_counted_that_the_budget_does_not_let_begin(record, budget, trials):
    key, value = budget.split(" = ")
    limited = record.model_copy(update={"budget": BudgetRecord(**{key: float(value)})})
    known = Known({arm.name: speed(450.0) for arm in record.arms})  # an hour a trial
    found = cost(limited, {}, known, Place(device="gpu", slots=2, gpus=1))
    assert sum(arm.trials for arm in found.arms) == trials


def test_disk_is_what_trials_keep_and_checkpoints_of_those_that_run(record):
    known = Known({arm.name: speed() for arm in record.arms})
    found = cost(record, {}, known, CPU)
    mib = 4 * record.arms[0].params / 2**20
    # Six sets of weights; two trials with two checkpoints of weights and two of AdamW's each.
    assert found.disk_mib == pytest.approx(6 * mib + 2 * 2 * 3 * mib, rel=0.02)


def test_trials_of_the_same_recipe_on_the_same_device_tell_the_speed(record):
    row, *others = record.rows()
    slow = ended(record, others[0], metrics={"time/train_s": 80.0}, elapsed_s=100.0)
    failed = ended(record, others[1], status="failed", metrics={})
    elsewhere = ended(record, row, execution={"device": "another"})
    assert recorded_speeds(record, [failed, elsewhere], "cpu model") == {}
    found = recorded_speeds(
        record, [ended(record, row), slow, ended(record, row), failed], "cpu model"
    )
    assert found.keys() == {"baseline"}
    told = found["baseline"]
    assert (told.source, told.step_s, told.peak_mib, told.measured) == ("recorded", 1.0, 300.0, 3)
    assert told.seconds({"epochs": 2, "steps": None}) == 10.0
    assert told.seconds({"epochs": 4, "steps": None}) == 20.0


def test_a_record_from_before_a_field_came_tells_the_speed_too(record):
    row = next(record.rows())
    train = {k: v for k, v in row.arm.recipe["train"].items() if k not in {"world", "ema"}}
    old = ended(record, row, recipe={**row.arm.recipe, "train": train})
    assert recorded_speeds(record, [old], "cpu model").keys() == {"baseline"}
    other = ended(record, row, recipe={**row.arm.recipe, "train": {**train, "threads": 2}})
    assert recorded_speeds(record, [other], "cpu model") == {}


def test_seeds_rates_and_lengths_share_a_speed_and_nothing_else_does(record):
    recipe = dict(record.baseline.recipe)
    image = record.baseline.image

    def key(device="cpu", busy=2, **train):
        changed = {**recipe, "train": {**recipe["train"], **train}}
        return speed_key(changed, image, device, busy)

    assert key(lr=0.5, epochs=99, schedule="constant") == key()
    for other in (key(batch=16), key("gpu"), key(busy=3), key(threads=2), key(precision="bf16")):
        assert other != key()
    assert what_costs(recipe) == what_costs({**recipe, "claim": {"params": 1}})


def test_a_probe_is_kept_and_one_that_was_edited_is_not_believed(tmp_path):
    assert kept_speed(tmp_path, "key") is None
    keep_speed(tmp_path, "key", speed(peak_mib=7.0))
    assert kept_speed(tmp_path, "key") == speed(peak_mib=7.0)
    (file,) = (tmp_path / "probes").iterdir()
    file.write_text(file.read_text().replace("7.0", "8.0"))
    assert kept_speed(tmp_path, "key") is None


def test_every_trial_of_the_plan_is_counted(record):
    known = Known({arm.name: speed() for arm in record.arms})
    assert sum(arm.trials for arm in cost(record, {}, known, CPU).arms) == len(everything(record))
