"""Tunings as a source of noise: what is drawn, what is told of them, what a plan says."""

import functools
import re
from pathlib import Path

import numpy as np
import pytest

from swinablate.cli.wording.nested_text import tuning_lines
from swinablate.cli.wording.plan_text import promise
from swinablate.errors import InputError
from swinablate.records.home import Home
from swinablate.report import contents
from swinablate.report.figures.noise import table
from swinablate.scheduling.ledger import choices
from swinablate.stats.planned.nested import Spread, power_at, seeds_needed
from swinablate.stats.seeds.components import components
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Difference, Noise, expected_noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY
from tests.scheduling import test_ledger as one
from tests.scheduling.test_ledger import BASE, SHIFTED, TABLE, play, told

PAGE = Path(__file__).parents[2] / "docs" / "where-noise-comes-from.md"
ONE_SPLIT = 'sources = ["training", "tuning"]\n'
SPLITS = 'sources = ["training", "split", "tuning"]\nsplits = 6\n'
KNOWN = Noise(0.7, "x", Difference(training=1.0, split=0.5, tuning=0.3, known="a pilot"))


def text(noise, seeds, repeats="3"):
    table_ = TABLE.replace("trials = 7", f"trials = 3\nrepeats = {repeats}") if repeats else ""
    study = STUDY.replace("seeds = 3\nbaseline_seeds = 3", f"seeds = {seeds}")
    return f"{study}{table_}\n[noise]\n{noise}\n[compare]\nrope = 0.5\n"


@pytest.fixture(scope="module")
def made_of(tmp_path_factory):
    """A plan takes a second or two, so that tests which ask for the same one share it."""

    @functools.cache
    def made(noise, seeds, repeats="3"):
        folder = tmp_path_factory.mktemp("study")
        (folder / "base.toml").write_text(RECIPE)
        (folder / "study.toml").write_text(text(noise, seeds, repeats))
        return plan(load_study(folder / "study.toml"))

    return made


@pytest.fixture(autouse=True)
def worth(monkeypatch):
    """No recipe suits as it is; what a tuning found is worth as much as its learning rate."""

    def validation(trial):
        lr = trial.recipe.train.lr
        return 0 if lr == 3e-3 else 50 + 1000 * lr

    def accuracy(trial):
        lr, shifted = trial.recipe.train.lr, trial.arm == SHIFTED
        chance = np.random.default_rng([trial.seed, round(1e7 * lr), shifted])
        return 90 - 3 * shifted + 300 * lr + 0.3 * chance.standard_normal()

    monkeypatch.setattr(one, "validation", validation)
    monkeypatch.setattr(one, "test_accuracy", accuracy)


def of(answer, name):
    return [c for c in answer.verdicts["noise"]["components"] if c["name"] == name]


def test_components_are_those_of_the_final_seeds_of_every_tuning(made_of, tmp_path):
    made = made_of(ONE_SPLIT, 6)
    declared, recorded = play(made)
    answer = told(Home(tmp_path / "home"), made, declared, recorded)
    best = choices(declared, recorded)
    finals = {
        name: [
            [recorded[t].metrics["test/accuracy"] for t in best[name, repeat].finals]
            for repeat in range(3)
        ]
        for name in (BASE, SHIFTED)
    }
    arm, gap = of(answer, "shift=false, tuned")
    for entry, groups in (
        (arm, finals[SHIFTED]),
        (gap, np.array(finals[SHIFTED]) - np.array([own[:2] for own in finals[BASE]])),
    ):
        known = components([*groups])
        assert entry["tuning"]["sd"] == pytest.approx(known.split.variance**0.5)
        assert entry["training"]["sd"] == pytest.approx(known.training.variance**0.5)
        assert (entry["tunings"], entry["runs"]) == (3, 6)
        assert entry["tuning"]["low"] <= entry["tuning"]["sd"] <= entry["tuning"]["high"]
    assert (arm["of"], gap["of"], gap["against"]) == ("arm", "difference", "baseline, tuned")
    noise = answer.verdicts["noise"]
    assert (noise["tunings"], noise["over"]) == (3, "over training seeds, on this split only")
    assert noise["over_tuned"] == "over training seeds and tunings, on this split only"
    told_ = answer.verdicts["tuning"]["arms"][1]["sentence"]
    assert "over training seeds and tunings, on this split only" in told_
    assert {"training", "tuning"} <= set(table(answer).source)
    page = contents(answer)["index.html"].decode().replace("<wbr>", "")
    assert "between tunings" in page
    assert "shift=false, tuned - baseline, tuned" in page


def test_with_a_split_a_seed_intervals_hold_over_all_three(made_of, tmp_path):
    made = made_of(SPLITS, 1)
    (arm,) = [arm for arm in made.arms if arm.name == SHIFTED]
    assert arm.splits == {seed: seed for seed in range(6)}
    declared, recorded = play(made)
    best = choices(declared, recorded)
    for repeat in range(3):
        own = [recorded[t].recipe["data"]["split_seed"] for t in best[SHIFTED, repeat].finals]
        assert own == [repeat, repeat + 3]
        tries = [t for e in declared.ledger.tried(SHIFTED, repeat) for t in e.trials]
        assert {recorded[t].recipe["data"]["split_seed"] for t in tries} == {0}
    answer = told(Home(tmp_path / "home"), made, declared, recorded)
    noise = answer.verdicts["noise"]
    assert noise["over_tuned"] == "over training seeds, data splits and tunings"
    said = answer.verdicts["tuning"]["arms"][1]["sentence"]
    assert "over training seeds, data splits and tunings" in said
    assert "3 tunings vs 3" in said
    _, gap = of(answer, "shift=false, tuned")
    assert (gap["tunings"], gap["runs"]) == (3, 6)
    # At the arms' own recipes a split and a training are one draw.
    _, fixed = of(answer, SHIFTED)
    assert fixed["split"]["sd"] is None
    assert fixed["total"]["sd"] > 0
    rows = table(answer)
    assert set(rows[rows.arm == SHIFTED].source) == {"total"}


def test_with_a_tuning_for_every_seed_both_are_one_draw(made_of, tmp_path):
    made = made_of(ONE_SPLIT, 4, '"seed"')
    answer = told(Home(tmp_path / "home"), made, *play(made))
    arm, gap = of(answer, "shift=false, tuned")
    for entry in (arm, gap):
        assert entry["tuning"]["sd"] is None
        assert entry["total"]["sd"] > 0
    said = answer.verdicts["noise"]
    assert said["tunings"] == 8  # of the baseline


def test_a_plan_says_how_many_seeds_and_tunings_find_what_matters(made_of):
    made = made_of(SPLITS, 1)
    noise = plan_record(made, {}, KNOWN).noise
    declared, seeds, *tunings = noise.tunings
    own = Spread(training=(1 + 0.25) ** 0.5, split=0.3, comparisons=1, alpha=0.05)
    assert (declared.tunings, declared.each, declared.splits) == (3, 2, 6)
    assert power_at(declared.detectable_pp, 3, 2, own) == pytest.approx(0.8, abs=0.01)
    assert declared.trials == 2 * (2 * 6 + 3 * 3)
    assert (seeds.tunings, seeds.each) == (3, None)  # three tunings differ too much
    assert [row.each for row in tunings] == [1, 2]
    for row in tunings:
        assert power_at(0.5, row.tunings, row.each, own) >= 0.8
        assert power_at(0.5, row.tunings - 1, row.each, own) < 0.8
        assert row.trials == 2 * (2 * row.tunings * row.each + row.tunings * 3)
    said = " ".join(promise(plan_record(made, {}, KNOWN)))
    assert "Tuned arms: 3 tunings an arm, 2 seeds a tuning, one split a seed: finds " in said
    assert (
        "sd 0.30 between tunings and 1.12 between trainings, each on a split of its own," in said
    )
    assert "3 tunings an arm: no number of seeds finds 0.5 pp with power 0.8" in said
    quiet = Noise(0.7, "x", Difference(training=1.0, split=0.5, tuning=0.05, known="a pilot"))
    calm = " ".join(promise(plan_record(made, {}, quiet)))
    assert "3 tunings an arm, " in calm
    assert "one split a seed: power 0.8 for 0.5 pp at " in calm
    unknown = " ".join(promise(plan_record(made, {}, Noise(None, "unknown"))))
    assert "What tuned arms can show: unknown, or set noise.sd." in unknown


def test_the_study_that_is_explained_says_what_its_page_says(write):
    text_ = PAGE.read_text("utf-8")
    (block,) = (b for b in re.findall(r"```toml\n(.*?)```", text_, re.DOTALL) if "tuning" in b)
    head = 'question = "?"\nbaseline = "base.toml"\n'
    more = '[axes]\n"model.shift" = [false]\n[compare]\nrope = 0.5\n'
    sd = "\nsd = { training = 1.0, split = 0.5, tuning = 0.1 }"
    made = plan(load_study(write(head + block.replace("[noise]", f"{more}[noise]{sd}"))))
    known = expected_noise(made, Home(PAGE.parent / "none"))
    said = tuning_lines(plan_record(made, {}, known))
    assert len(said) == 4
    assert [line for line in said if line not in text_] == []


def test_the_fewest_seeds_are_enough_and_one_less_is_not():
    spread = Spread(training=1.0, split=0.1, comparisons=1, alpha=0.05)
    found = seeds_needed(0.8, 3, spread)
    assert power_at(0.8, 3, found, spread) >= 0.8 > power_at(0.8, 3, found - 1, spread)
    assert seeds_needed(0.1, 3, spread) is None


BAD = {
    "nothing tuned": (text(ONE_SPLIT, 4, ""), "the study tunes nothing", "[tune]"),
    "tuned once": (text(ONE_SPLIT, 4, "1"), "every arm is tuned once", "repeats = 3"),
    "seeds on a split": (text(SPLITS, 2), "cannot be told apart", "seeds = 1"),
    "splits and no tuning": (text('sources = ["training", "split"]\n', 1), "leaves out", "tuning"),
}


@pytest.mark.parametrize(("study", "said", "hint"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_drawn_is_refused(study, said, hint, write):
    with pytest.raises(InputError) as error:
        load_study(write(study))
    assert said in str(error.value)
    assert hint in error.value.hint
