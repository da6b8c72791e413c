"""A table of rows would hide what is gone if its check saw nothing."""

import pytest

from tests.rows import lacking

HERE = "test_rows.py::test_what_is_there_is_found"


def test_what_is_there_is_found():
    assert lacking([HERE, "studies/quickstart.toml::on ImageNet-1K"]) == []


@pytest.mark.parametrize(
    "holder",
    [
        "test_rows.py::test_what_is_there",
        "test_rows.py::what_is_there_is_found",
        "test_rows.py",
        "no_such.py::test_what_is_there_is_found",
        "studies/quickstart.toml::on ImageNet-22K",
        "studies/no_such.toml::Swin",
        "studies/quickstart.toml::",
    ],
)
def test_what_is_not_there_is_named(holder):
    assert lacking([HERE, holder]) == [holder]
