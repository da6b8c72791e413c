"""What nobody can know of a command is refused, and never asked of it."""

import pytest

from swinablate.api import keep_weights
from swinablate.errors import InputError
from swinablate.execution.ahead.probing import cost_of
from swinablate.execution.ahead.where import Where
from swinablate.execution.devices import choose_slots, refused_by_gpu
from swinablate.execution.fusing import width
from swinablate.records.home import Home
from swinablate.study.files import load_study
from swinablate.study.noise.expected import expected_noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan


@pytest.fixture
def made(tmp_path):
    """A plan of a command that would leave a file if anything started it."""
    (tmp_path / "train.sh").write_text("touch started\necho acc 90\n")
    (tmp_path / "recipe.toml").write_text(
        '[command]\nrun = ["bash", "train.sh", "{seed}", "{n}"]\n'
        'metric = { pattern = "acc (.*)", name = "acc" }\n[switches]\nn = 1\n'
    )
    study = tmp_path / "study.toml"
    study.write_text(
        'question = "q"\nbaseline = "recipe.toml"\nseeds = 3\n[axes]\n"switches.n" = [2]\n'
    )
    yield plan(load_study(study))
    assert not (tmp_path / "started").exists()


def test_it_is_not_probed_and_its_cost_is_not_made_up(made, tmp_path):
    home, where = Home(tmp_path / "home"), Where(slots=2, devices="cpu")
    record = plan_record(made, {}, expected_noise(made, home))
    with pytest.raises(InputError, match="no steps to take a few of"):
        cost_of(made, record, home, where, lambda *_: None)
    found = cost_of(made, record, home, where, None).to_json()
    assert (found["source"], found["hours"], found["disk_mib"]) == ("none", None, None)


def test_no_memory_of_a_gpu_is_guessed_and_nothing_is_fused(made):
    with pytest.raises(InputError, match="how much memory of a GPU it takes"):
        choose_slots(None, "cpu", made, "auto")
    assert width(made.arms[0], None, "cuda:0").trials == 1
    assert width(made.arms[0], 8, "cuda:0").trials == 1
    assert refused_by_gpu(made) == []


def test_it_has_no_weights_to_give(made, tmp_path):
    home = Home(tmp_path / "home")
    home.create()
    home.declare(plan_record(made, {}, expected_noise(made, home)))
    with pytest.raises(InputError, match="what it trains, it keeps itself"):
        keep_weights(home, "study", "n=2", 0, tmp_path / "w.pt")
