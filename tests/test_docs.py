"""Generated pages say what the code does; `just docs` writes them."""

import pytest

from swinablate.catalogue import catalogue
from tests.docs import MODELS, SWITCHES, models_page, read, switches_page
from tests.models.parity import GRADIENTS, LOGITS, PAIRS


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


def test_levels_of_a_choice_that_may_be_a_number_are_those_worth_comparing():
    rows = {row["switch"]: row["levels"] for row in catalogue("swin")}
    assert rows["model.shift_by"] == "half, 1, 3"
    assert rows["model.band"] == "None, 1"
    assert rows["model.pad"] == "refuse, masked"
    assert rows["train.compile"] == "false, true, auto"
