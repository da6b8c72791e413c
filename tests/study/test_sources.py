"""[noise] of a study: seeds and splits of its trials, what the plan says of them, refusals."""

import pytest
import torch

from swinablate.config.data import DataConfig
from swinablate.data import load_splits
from swinablate.errors import InputError
from swinablate.records.plan import PlanRecord
from swinablate.study.files import load_study, smoke
from swinablate.study.noise.expected import Difference, Noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY

PLAIN = STUDY.replace("baseline_seeds = 3\n", "")
NESTED = PLAIN + '[noise]\nsources = ["training", "split"]\nsplits = 4\n'
UNKNOWN = Noise(None, "unknown")
KNOWN = Noise(0.7, "x", Difference(training=1.0, split=0.5, known="a pilot"))


@pytest.fixture
def made(write):
    return plan(load_study(write(NESTED)))


def test_every_arm_has_all_splits_with_the_same_seeds(made):
    for arm in made.arms:
        assert arm.seeds == tuple(range(12))
        assert [arm.splits[seed] for seed in arm.seeds] == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
        recipes = [arm.trial(seed).recipe for seed in arm.seeds]
        assert [recipe.data.split_seed for recipe in recipes] == [*arm.splits.values()]
        assert [one.split_seed for one in arm.data] == [0, 1, 2, 3]
    assert len({trial.id for trial in made.trials}) == 24


def test_the_first_split_has_the_trials_of_a_study_without_it(write, made):
    plain = plan(load_study(write(PLAIN)))
    for arm, same in zip(plain.arms, made.arms, strict=True):
        ours = [same.trial(seed).id for seed in range(3)]
        assert ours == [arm.trial(seed).id for seed in range(3)]
        assert arm.splits == {}
    assert plain.declaration != made.declaration


def test_a_split_is_that_of_the_recipe_with_another_split_seed(write, made):
    other = write(PLAIN, RECIPE.replace("limit = 128", "limit = 128\nsplit_seed = 2"))
    alone = plan(load_study(other)).arms[0]
    assert alone.trial(6).id == made.arms[0].trial(6).id


def test_splits_are_counted_from_the_recipes_own(write):
    base = RECIPE.replace("limit = 128", "limit = 128\nsplit_seed = 10")
    found = plan(load_study(write(NESTED, base))).arms[1]
    assert [*dict.fromkeys(found.splits.values())] == [10, 11, 12, 13]


def test_splits_are_five_where_none_are_asked_for(write):
    assert load_study(write(NESTED.replace("splits = 4\n", ""))).seeds == tuple(range(15))


def test_one_seed_a_split_is_a_study(write):
    found = plan(load_study(write(NESTED.replace("seeds = 3", "seeds = 1"))))
    assert found.arms[0].splits == {0: 0, 1: 1, 2: 2, 3: 3}


def test_a_smoke_run_draws_no_splits(write):
    found = plan(smoke(load_study(write(NESTED), smoke=True)))
    assert [arm.splits for arm in found.arms] == [{}, {}]


def test_sources_and_splits_are_declared_and_what_is_expected_is_not(write):
    one, more, expected, alone = (
        plan(load_study(write(text))).declaration
        for text in (
            NESTED,
            NESTED.replace("splits = 4", "splits = 5"),
            NESTED + "sd = { training = 1.0 }\n",
            PLAIN + '[noise]\nsources = ["training"]\n',
        )
    )
    assert len({one, more, alone}) == 3
    assert one == expected
    assert alone != plan(load_study(write(PLAIN))).declaration


def test_the_record_is_read_back_as_it_was_written(made):
    record = plan_record(made, {}, KNOWN)
    assert PlanRecord.model_validate(record.to_json()) == record
    assert record.units == made.arms[0].splits
    assert (record.noise.sources, record.noise.splits) == (("training", "split"), 4)
    assert record.arms[0].recipe_of("final", 7)["data"]["split_seed"] == 2
    assert record.arms[0].recipe_of("tune", 7)["data"]["split_seed"] == 0


def test_a_study_without_noise_is_recorded_as_it_was(write):
    found = plan_record(plan(load_study(write(PLAIN))), {}, UNKNOWN).to_json()
    assert found["noise"] == {"sd": None, "source": "unknown"}
    assert "splits" not in found["arms"][0]


def test_the_plan_says_what_splits_find(write):
    text = NESTED + "[compare]\nrope = 0.5\n[budget]\ntrials = 60\n"
    found = plan_record(plan(load_study(write(text))), {}, KNOWN)
    rows = {(row.why, row.each): row for row in found.noise.replicates}
    own, one, three = rows["declared", 3], rows["rope", 1], rows["rope", 3]
    assert (own.splits, own.trials, own.detectable_pp) == (4, 24, found.detectable_pp)
    assert one.detectable_pp <= 0.5
    assert three.detectable_pp <= 0.5
    assert one.trials == 2 * one.splits < three.trials == 6 * three.splits
    assert (rows["budget", 1].splits, rows["budget", 1].trials) == (30, 60)
    assert found.seeds_needed == {}  # splits are what is needed
    assert found.noise.difference == {"training": 1.0, "split": 0.5}


def test_where_nothing_is_known_nothing_is_promised(made):
    found = plan_record(made, {}, UNKNOWN)
    assert (found.detectable_pp, found.noise.replicates) == (None, ())


REFUSED = {
    "tuning": ('"split"]', '"split", "tuning"]', 'sources has "tuning"'),
    "twice": ('"split"]', '"split", "split"]', "names one twice"),
    "without training": ('["training", "split"]', '["split"]', 'leaves out "training"'),
    "unknown": ('"split"]', '"order"]', "noise.sources.1 expected"),
    "two splits": ("splits = 4", "splits = 2", "noise.splits expected"),
    "splits alone": (', "split"]', "]", "\"split\" is none of sources = ['training']"),
    "seeds listed": ("seeds = 3", "seeds = [0, 1, 2]", "seeds is a list"),
    "baseline seeds": ("seeds = 3", "seeds = 3\nbaseline_seeds = 6", "baseline_seeds is given"),
    "adaptive": ("seeds = 3\n", "adaptive = { looks = [3, 5] }\n", "[adaptive] adds seeds"),
    "scale": ("[noise]", '[scale]\naxis = "model.width"\nlevels = [8, 16, 24]\nby = "params"\n[noise]', "[scale] and several"),
    "an axis": ('"model.shift" = [false]', '"data.split_seed" = [1]', "data.split_seed of its own"),
}  # fmt: skip


@pytest.mark.parametrize("why", REFUSED)
def test_what_cannot_be_drawn_over_is_one_error(write, why):
    before, after, said = REFUSED[why]
    assert before in NESTED
    with pytest.raises(InputError) as caught:
        plan(load_study(write(NESTED.replace(before, after, 1))))
    assert said in f"{caught.value.at} {caught.value.problem}"
    assert "study.toml" in caught.value.at
    assert caught.value.hint


def test_splits_of_the_trials_own_are_refused(write):
    base = RECIPE.replace("limit = 128", "limit = 128\nresample_split = true")
    with pytest.raises(InputError, match=r"baseline has data\.resample_split of its own"):
        plan(load_study(write(NESTED, base)))


def test_a_split_is_other_images(datasets):
    rows = [
        set(load_splits(DataConfig(name="digits", split_seed=k), datasets, 0, "main", torch.device("cpu")).val.rows.tolist())
        for k in (0, 1)
    ]  # fmt: skip
    assert rows[0] != rows[1]
