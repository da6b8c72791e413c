"""Looks at several scales: which rungs get more seeds, and what is no part of which answer."""

from math import log2

import pytest

from swinablate.records.home import Home
from swinablate.records.outcome import Outcome
from swinablate.report.answer import gather
from swinablate.scheduling.cost import most_wanted
from swinablate.scheduling.due import State, due
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from tests.conftest import RECIPE, STUDY

SCALE = """
[scale]
axis = "model.width"
levels = [8, 12, 16, 20]

[adaptive]
looks = [3, 5, 8]

[compare]
rope = 0.5
"""
TEXT = STUDY.replace("seeds = 3\nbaseline_seeds = 3\n", "") + '"model.norm" = ["batch"]\n' + SCALE
WIDTHS = (8, 12, 16, 20)
WOBBLE = (0.0, 0.9, -0.8, 0.3, -0.5, 0.6, -0.2)
CLEAR = (-9.0, 2.0)
"""At home, and a doubling: worse, and it shrinks; sure after three seeds."""
LEVEL = (-9.0, 0.0)
"""Worse at home; how it moves nobody can say."""
VAGUE = (0.3, 3.0)
"""It is not known whether it is anything at home, and it grows."""
LOUD = {("norm=batch", width): 3.0 for width in WIDTHS[1:]}


def planned(folder, more=""):
    (folder / "base.toml").write_text(RECIPE)
    (folder / "study.toml").write_text(TEXT + more)
    return plan(load_study(folder / "study.toml"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return planned(tmp_path_factory.mktemp("looks"))


def outcome(trial, effects, noise, doublings):
    name, _, at = trial.arm.partition(" at width=")
    width = int(at or 8)
    value = 80 + 0.01 * WOBBLE[(3 * trial.seed + width) % 7]
    if name in effects:
        loud = noise.get((name, width), 0.02)
        value += (
            effects[name][0]
            + effects[name][1] * doublings[width]
            + loud * WOBBLE[(trial.seed * 5 + width) % 7]
        )
    return Outcome(
        trial=trial.id, seed=trial.seed, kind="final", attempt=1, status="done",
        recipe=trial.recipe.model_dump(mode="json"), image={},
        metrics={"test/accuracy": value, "val/accuracy": value},
        curve=({"epoch": 1, "train/loss": 1.0, "val/accuracy": 50.0, "time/epoch_s": 2.0,
                "time/images_per_s": 9.0},),
        execution={"device": "CPU", "torch": "2"},
        predictions={"sha256": trial.id, "images": 5400}, failure=None,
        started_at=1000, finished_at=4000,
    )  # fmt: skip


def run(made, effects, noise=None, most=10_000):
    """The state of the study when `most` trials of what was due have ended."""
    trials = {trial.id: trial for trial in made.trials}
    state = State.of(plan_record(made, {}, Noise(None, "")), {})
    first = made.scale.rungs[0].value
    doublings = {r.changes["model.width"]: log2(r.value / first) for r in made.scale.rungs}
    looks = []
    while (now := due(state)).left and most:
        looks.append(dict(now.decisions.wanted))
        for row in [*now.upcoming()][:most]:
            most -= 1
            state = state.add(outcome(trials[row.trial], effects, noise or {}, doublings))
    return state, looks


def seeds(state):
    found: dict[str, int] = {}
    for row in state.rows:
        found[row.arm.name] = found.get(row.arm.name, 0) + 1
    return found


def test_first_all_rungs_have_the_seeds_of_the_first_look(made):
    state = State.of(plan_record(made, {}, Noise(None, "")), {})
    assert seeds(state) == {"baseline": 6} | {
        f"{name}{'' if width == 8 else f' at width={width}'}": 3
        for name in ("baseline", "shift=false", "norm=batch")
        for width in WIDTHS
        if (name, width) != ("baseline", 8)
    }
    assert due(state).most == made.most


def test_an_open_trend_gets_seeds_at_all_rungs_and_a_told_one_none(made):
    state, looks = run(made, {"shift=false": CLEAR, "norm=batch": LEVEL}, LOUD)
    found = seeds(state)
    assert {found[f"shift=false at width={w}"] for w in (12, 16, 20)} == {3}
    assert found["shift=false"] == 3
    assert {found[f"norm=batch at width={w}"] for w in (12, 16, 20)} == {8}
    assert {found[f"baseline at width={w}"] for w in (12, 16, 20)} == {8}
    # Its own verdict was sure after three: the seeds at home are for the trend alone.
    assert (found["norm=batch"], found["baseline"]) == (8, 8)
    assert [each["norm=batch at width=12"] for each in looks] == [3, 5, 8]
    assert due(state).decisions.done


def test_an_open_verdict_gets_seeds_at_home_alone(made):
    noise = {("norm=batch", 8): 0.8}
    state, _ = run(made, {"shift=false": CLEAR, "norm=batch": VAGUE}, noise)
    found = seeds(state)
    assert found["norm=batch"] == 8
    assert found["baseline"] == 16
    assert {found[f"norm=batch at width={w}"] for w in (12, 16, 20)} == {3}
    assert {found[f"baseline at width={w}"] for w in (12, 16, 20)} == {3}


def test_while_trends_are_open_more_may_come_and_half_a_look_decides_nothing(made):
    effects = {"shift=false": CLEAR, "norm=batch": LEVEL}
    state, _ = run(made, effects, LOUD, most=40)
    now = due(state)
    assert now.decisions.wanted["norm=batch at width=12"] == 5
    assert now.decisions.going == {
        f"{name}{'' if width == 8 else f' at width={width}'}"
        for name in ("norm=batch", "baseline")
        for width in WIDTHS
    }
    later = most_wanted(state.plan, now.decisions)
    assert later["norm=batch at width=12"] == 8
    assert later["shift=false at width=12"] == 3
    assert now.most == sum(later.values())


@pytest.fixture
def reported(tmp_path):
    """Run a study and judge it: its report, and where it ended."""

    def report(made):
        state, _ = run(made, {"shift=false": CLEAR, "norm=batch": LEVEL}, LOUD)
        home = Home(tmp_path / "home")
        home.create()
        home.declare(state.plan)
        for each in state.outcomes.values():
            home.begin(each.trial)
            home.commit(each)
        return gather(home, "study"), due(state)

    return report


def test_the_report_tells_each_answer_by_the_seeds_of_its_own_look(reported, made):
    answer, _ = reported(made)
    shift, norm = answer.verdicts["scale"]
    assert (shift["answer"], shift["look"], shift["n"], shift["planned"]) == ("shrinks", 3, 3, 3)
    assert (norm["answer"], norm["look"], norm["n"]) == ("cannot tell", 8, 8)
    arms = {arm["name"]: arm for arm in answer.verdicts["arms"]}
    assert (arms["norm=batch"]["n"], arms["norm=batch"]["verdict"]) == (3, "worse")
    # The seeds that its trend needed later stand with those of the other rungs.
    home = answer.trials[answer.trials.arm == "norm=batch"]
    away = answer.away[answer.away.arm == "norm=batch"]
    assert (sorted(home.seed), sorted(away.seed)) == ([0, 1, 2], [3, 4, 5, 6, 7])


def test_a_budget_that_is_met_leaves_an_open_trend_untold(reported, tmp_path):
    answer, now = reported(planned(tmp_path, "[budget]\ntrials = 45\n"))
    assert (now.spent, now.left, len(now.rows)) == (True, 0, 39)
    shift, norm = answer.verdicts["scale"]
    assert shift["answer"] == "shrinks"
    assert (norm["answer"], norm["why"]) == ("cannot tell", "the budget was met after 3 seeds")
    assert norm["sentence"].startswith("cannot tell (the budget was met after 3 seeds): ")
