"""Python looks for unreachable objects before a report and after it, and not while it is made."""

import gc

import pytest

from swinablate.report import contents
from swinablate.report.results import unhurried
from tests.answers import QUICKSTART, study


def test_what_was_put_off_goes_on_afterwards_whatever_happens():
    seen = []

    @unhurried()
    def failing():
        seen.append(gc.isenabled())
        raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert (seen, gc.isenabled()) == ([False], True)


def test_who_had_put_it_off_already_still_has():
    gc.disable()
    try:
        with unhurried():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_report_is_made_without_it(monkeypatch):
    seen = []

    def stopped(_):
        seen.append(gc.isenabled())
        raise KeyError

    monkeypatch.setattr("swinablate.report.plots", stopped)
    with pytest.raises(KeyError):
        contents(study(QUICKSTART[:2]))
    assert (seen, gc.isenabled()) == ([False], True)
