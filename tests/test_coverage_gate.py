"""The bars of single modules are seen when a module falls below its own."""

from pathlib import Path

from tests.coverage_gate import BARS, short

PACKAGE = Path(__file__).parent.parent / "swinablate"


def test_a_module_below_its_bar_or_not_measured_is_named():
    found = {"a.py": 84.96, "b.py": 85.0}
    assert short(found, {"a.py": 85, "b.py": 85, "c.py": 1}) == [
        "a.py: 84.96 %, wanted 85 %",
        "c.py: not measured",
    ]
    assert short(found, {"b.py": 85}) == []


def test_every_bar_is_of_a_module_that_is_there():
    assert [module for module in BARS if not (PACKAGE / module).is_file()] == []
