"""The same from Python."""

import pandas as pd
import pytest

from swinablate import effects, load_study, plan, run
from swinablate.errors import InputError
from swinablate.records.home import Home
from tests.conftest import RECIPE, STUDY

pytestmark = pytest.mark.integration


def test_study_runs_from_python_and_goes_on(write, tmp_path):
    said = []
    study = load_study(write(base=RECIPE + 'matmul = "auto"\n'))
    assert [arm.name for arm in plan(study).arms] == ["baseline", "shift=false"]
    answer = run(study, home=tmp_path / "home", slots=1, say=said.append)
    assert said[0] == "study: 6 trials, 0 recorded, 1 at a time"
    assert said.count("shift=false s0: done") == 1
    frame = answer.trials.rename(columns={"test_acc": "value"})
    (own,) = effects(pd.DataFrame(frame[["arm", "seed", "value"]]))
    (arm,) = answer.verdicts["arms"]
    assert arm["delta_pp"] == pytest.approx(own.delta_pp)
    assert arm["n"] == 3

    home = Home(tmp_path / "home")
    (chosen,) = home.choices("study").values()  # asked once, for all trials
    ran = {home.outcome(t.id).execution.get("matmul", "highest") for t in plan(study).trials}
    assert ran == {chosen["choice"]["matmul"]}
    assert len(chosen["measured"]) == 2

    said.clear()
    again = run(tmp_path / "study.toml", home=tmp_path / "home", say=said.append)
    assert said == ["study: 6 trials, 6 recorded, 0 at a time"]
    assert again.verdicts == answer.verdicts


def test_wrong_study_raises_and_starts_nothing(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        run(tmp_path / "no.toml", home=tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_seeds_that_train_as_one_give_the_numbers_of_seeds_alone(write, tmp_path):
    """Nine trials by four: the rate's variants train with the baseline's seeds."""
    path = write(STUDY + '"train.lr" = [1e-3]\n"train.ema" = [0.5]\n')
    said = []
    home = Home(tmp_path / "home")
    answer = run(path, home=home.root, slots=1, fuse=4, say=said.append)
    assert "ema=0.5: not fused: train.ema trains alone only" in said
    fused = {t.arm: set() for t in plan(load_study(path)).trials}
    for trial in plan(load_study(path)).trials:
        fused[trial.arm].add(home.outcome(trial.id).execution["fused"])
    assert fused == {"baseline": {3}, "shift=false": {3}, "lr=0.001": {3}, "ema=0.5": {1}}
    alone = run(path, home=tmp_path / "other", slots=2)
    for mine, own in zip(answer.trials.test_acc, alone.trials.test_acc, strict=True):
        assert mine == pytest.approx(own, abs=1.6)  # two of 128 images
