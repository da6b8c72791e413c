"""Generated pages say what the code does; `just docs` writes them."""

import re
from pathlib import Path

import pytest

from swinablate.models.catalogue import catalogue
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from tests.docs import MODELS, SWITCHES, models_page, read, switches_page
from tests.models.parity import GRADIENTS, LOGITS, PAIRS

ROOT = Path(__file__).parent.parent


def test_the_page_of_switches_is_what_the_code_says():
    assert SWITCHES.read_text() == switches_page(), "stale: run `just docs`"


def test_the_page_of_models_is_what_the_code_says():
    """All but the versions and differences, which are measured."""
    page = MODELS.read_text()
    assert page == models_page(read(page)), "stale: run `just docs`"


def test_measured_differences_are_within_their_bounds():
    measured = read(MODELS.read_text())
    assert [found.package.split()[0] for found in measured] == [pair.against for pair in PAIRS]
    assert max(float(found.logits) for found in measured) <= LOGITS
    assert max(float(found.gradients) for found in measured) <= GRADIENTS


def test_a_page_without_measurements_is_stale():
    with pytest.raises(ValueError, match="zip"):
        models_page([])


def test_the_study_file_that_is_explained_can_be_planned(tmp_path):
    """Every block of TOML: the second in the place of the first one's seeds, the third with them."""
    text = (ROOT / "docs" / "study-files.md").read_text()
    whole, adaptive, tune = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "study.toml"
    path.write_text(whole.replace("../experiments", str(ROOT / "experiments")))
    arms = [arm.name for arm in plan(load_study(path)).arms]
    assert arms == [
        "baseline", "shift=false", "position_bias=none", "position_bias=log_cpb",
        "depths=(2,4)", "no shift, no bias", "ViT, same parameters",
    ]  # fmt: skip
    seeded = path.read_text()
    path.write_text(seeded + tune)
    assert load_study(path).tune.trials == 12
    path.write_text(re.sub(r"seeds    = 8.*", "", seeded) + adaptive)
    assert load_study(path).looks == (3, 5, 8, 12, 16)


def test_levels_of_a_choice_that_may_be_a_number_are_those_worth_comparing():
    rows = {row["switch"]: row["levels"] for row in catalogue("swin")}
    assert rows["model.shift_by"] == "half, 1, 3"
    assert rows["model.band"] == "None, 1"
    assert rows["model.pad"] == "refuse, masked"
    assert rows["train.compile"] == "false, true, auto"
