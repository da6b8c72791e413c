"""What a design runs, and that it can tell apart what it says it can."""

from itertools import combinations

import numpy as np
import pytest

from swinablate.errors import InputError
from swinablate.records.home import Home
from swinablate.report.answer import gather
from swinablate.stats import last_look_needed, seeds_for_equivalence, seeds_needed
from swinablate.study.arms.designs import GENERATORS, SHOWS, cells, directions
from swinablate.study.declared import ONE_WAY, effects_of
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Noise, expected_noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from tests.conftest import STUDY
from tests.scheduling.test_suggest import outcome

AXES = {f"model.s{i}": [i] for i in range(11)}
THREE = STUDY.replace("seeds = 3\nbaseline_seeds = 3", 'seeds = 3\ndesign = "path"').replace(
    "[false]", '[false]\n"model.norm" = ["batch"]\n"model.position_bias" = ["none"]'
)


def columns(count: int) -> np.ndarray:
    """(runs, switches): 1 where a cell changes the switch, -1 where it does not."""
    axes = dict(list(AXES.items())[:count])
    runs = [{}, *cells("fraction", axes, "axes")]
    return np.array([[1 if switch in run else -1 for switch in axes] for run in runs])


@pytest.mark.parametrize(
    ("count", "runs"), [(5, 16), (6, 32), (7, 64), (8, 64), (9, 128), (10, 128), (11, 128)]
)
def test_no_main_effect_or_pair_is_aliased_with_another(count, runs):
    """Resolution V, computed: the columns of all effects of order 1 and 2 are orthogonal."""
    design = columns(count)
    assert design.shape == (runs, count)
    assert len(np.unique(design, axis=0)) == runs
    pairs = [design[:, i] * design[:, j] for i, j in combinations(range(count), 2)]
    effects = np.column_stack([np.ones(runs), design, *pairs])
    assert (effects.T @ effects == runs * np.eye(effects.shape[1])).all()


@pytest.mark.parametrize("count", GENERATORS)
def test_a_fraction_is_the_published_one(count):
    """Every generated switch times its word is constant: the defining relation holds."""
    design = columns(count)
    words = GENERATORS[count]
    for k, word in enumerate(words):
        letters = [ord(letter) - ord("A") for letter in word]
        relation = design[:, letters].prod(axis=1) * design[:, count - len(words) + k]
        assert abs(relation.sum()) == len(design)


@pytest.mark.parametrize(
    ("design", "count", "problem"),
    [
        ("fraction", 4, "there is no fraction of resolution V of 4 switches"),
        ("fraction", 1, "design = 'fraction' of 1 switches is no design"),
        ("path", 1, "design = 'path' of 1 switches is no design"),
    ],
)
def test_designs_that_cannot_be(design, count, problem):
    with pytest.raises(InputError) as raised:
        list(cells(design, dict(list(AXES.items())[:count]), "study.toml: axes"))
    assert (raised.value.problem, raised.value.at) == (problem, "study.toml: axes")


@pytest.mark.parametrize("design", ["fraction", "path"])
def test_two_levels_of_a_switch_are_refused(design):
    axes = {**dict(list(AXES.items())[:5]), "model.s1": [1, 2]}
    with pytest.raises(InputError) as raised:
        list(cells(design, axes, ""))
    assert (
        raised.value.problem == f"design = {design!r} needs one level a switch, 'model.s1' has 2"
    )


def test_a_path_goes_both_ways_and_meets_at_the_end():
    axes = {"a": [1], "b": [2], "c": [3]}
    found = [set(cell) for cell in cells("path", axes, "")]
    assert found == [{"a"}, {"a", "b"}, {"a", "b", "c"}, {"c"}, {"b", "c"}]
    forward, reverse = directions(["a", "b", "c"]).values()
    assert forward == [(), ("a",), ("a", "b"), ("a", "b", "c")]
    assert reverse == [(), ("c",), ("c", "b"), ("c", "b", "a")]


def path_answer(write, tmp_path, swap=("", "")):
    made = plan(load_study(write(THREE, swap=swap)))
    home = Home(tmp_path / "home")
    home.create()
    home.declare(plan_record(made, {}, Noise(None, "")))
    worth = {"model.shift": -4.0, "model.norm": 2.0, "model.position_bias": -6.0}
    arms = {arm.name: arm for arm in made.arms}
    for trial in made.trials:
        changes = arms[trial.arm].changes
        both = 5.0 if {"model.shift", "model.position_bias"} <= set(changes) else 0.0
        value = 80 + sum(worth.get(c, 0.0) for c in changes) + both
        home.begin(trial.id)
        home.commit(outcome(trial, value + (0.0, 0.3, -0.2)[trial.seed % 3]))
    return gather(home, made.study.name)


def test_the_steps_of_a_path_are_what_each_change_adds(write, tmp_path):
    answer = path_answer(write, tmp_path)
    steps = {c["name"]: c for c in answer.verdicts["contrasts"] if c["family"] == "path"}
    assert {name: round(c["delta_pp"], 6) for name, c in steps.items()} == pytest.approx({
        "forward 1: shift=false": -4.0, "forward 2: norm=batch": 2.0,
        "forward 3: position_bias=none": -1.0,  # -6, and 5 for the pair
        "reverse 1: position_bias=none": -6.0, "reverse 2: norm=batch": 2.0,
        "reverse 3: shift=false": 1.0,
    }, abs=0.1)  # fmt: skip
    assert steps["forward 1: shift=false"]["verdict"] == "worse"
    assert answer.verdicts["methods"].startswith(SHOWS["path"])


def test_a_path_of_one_direction_gets_no_verdict(write, tmp_path):
    """Window 3 does not tile the grid with a padless model: every cell that has it is refused."""
    answer = path_answer(
        write, tmp_path, swap=('"model.norm" = ["batch"]', '"model.window" = [3]')
    )
    steps = [c for c in answer.verdicts["contrasts"] if c["family"] == "path"]
    assert [c["name"] for c in steps] == [
        "forward 1: shift=false",
        "reverse 1: position_bias=none",
    ]
    assert {(c["verdict"], c["reason"]) for c in steps} == {("undecided", ONE_WAY)}
    (lost,) = [w["text"] for w in answer.verdicts["warnings"] if w["code"] == "W14"]
    assert "forward 2: window=3" in lost


@pytest.mark.parametrize(
    ("effort", "ratio"),
    [("seeds = 3\nbaseline_seeds = 3", 1), ("seeds = 3", 2), ("[adaptive]\nlooks = [3, 5, 8]", 2)],
)
def test_the_plan_says_how_many_seeds_would_show_the_rope(write, tmp_path, effort, ratio):
    text = STUDY.replace("seeds = 3\nbaseline_seeds = 3", effort)
    text = text.replace("[axes]", "[compare]\nrope = 0.5\nsd = 0.4\n\n[axes]")
    made = plan(load_study(write(text)))
    found = plan_record(made, {}, expected_noise(made, Home(tmp_path))).seeds_needed
    if "looks" in effort:
        assert tuple(found.values()) == last_look_needed(0.5, (3, 5, 8), 1, 0.4)
    else:
        asked = {"baseline_ratio": ratio}
        assert found["difference"] == seeds_needed(0.5, 1, 0.4, **asked)
        assert found["equivalence"] == seeds_for_equivalence(0.5, 1, 0.4, **asked)
    assert not plan_record(made, {}, Noise(None, "")).seeds_needed
    bare = plan(load_study(write(text.replace("rope = 0.5", ""))))
    assert "seeds_needed" not in plan_record(bare, {}, Noise(0.4, "")).to_json()


def test_the_plan_says_what_a_design_finds(write):
    text = STUDY.replace("seeds = 3\nbaseline_seeds = 3", 'seeds = 3\ndesign = "factorial"')
    text = text.replace("[false]", '[false]\n"model.norm" = ["batch"]\n"train.lr" = [1e-3]')
    made = plan_record(plan(load_study(write(text))), {}, Noise(0.5, ""))
    assert made.shows == SHOWS["factorial"]
    main, pairs = (made.effects_pp[family] for family in ("main effects", "interactions"))
    assert pairs == pytest.approx(2 * main, rel=0.01)
    assert main < made.detectable_pp
    contrasts, lost = effects_of(made)
    assert [c.name for c in contrasts][:4] == [
        "shift=false", "norm=batch", "lr=0.001", "shift=false x norm=batch",
    ]  # fmt: skip
    assert lost == ()


def test_a_hypothesis_may_be_about_an_effect_and_about_nothing_else(write):
    text = THREE.replace("path", "factorial") + (
        '\n[[hypotheses]]\narm = "shift=false x norm=batch"\nexpect = "worse"\n'
    )
    made = plan(load_study(write(text)))
    assert plan_record(made, {}, Noise(None, "")).hypotheses[0].expect == "worse"
    wrong = plan(load_study(write(text.replace("x norm", "y norm"))))
    with pytest.raises(InputError) as raised:
        plan_record(wrong, {}, Noise(None, ""))
    assert raised.value.problem == "no arm or effect is called 'shift=false y norm=batch'"
    assert raised.value.hint == "did you mean 'shift=false x norm=batch'?"
