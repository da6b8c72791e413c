"""The same from Python."""

import pandas as pd
import pytest

from swinablate import effects, load_study, plan, run
from swinablate.errors import InputError
from swinablate.records import Home
from tests.conftest import RECIPE

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
