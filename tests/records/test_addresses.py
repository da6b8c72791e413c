"""Addresses that can be no store are refused before anybody is asked, without their secrets."""

import sys
from types import ModuleType

import pytest

from swinablate.errors import InputError
from swinablate.records.disk.addresses import check_storage, check_tracking

BOTH = [check_storage, check_tracking]


@pytest.mark.parametrize("check", BOTH)
@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////a/b.db",
        "sqlite:///b.db",
        "postgresql://me:s3cret@host/name",
        "postgres://me@host",
        "postgresql+psycopg2://me:s%40c%2Fr%3Aet@[::1]:5432/name?sslmode=require",
        "postgresql://me:s/c:r?et@host/name",  # SQLAlchemy takes them as they are
        "postgresql:///name?host=/var/run/postgresql&password=s3cret",
    ],
)
def test_databases_can_be_stores_of_both(check, url):
    check(url, "--store")


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:5000",
        "https://mlflow.example/here/",
        "http://[::1]:5000",
        "http://bob:s%40cret@mlflow",
        "https://s3cret@mlflow",
        "http://bob:s@c:ret@mlflow:80",  # the last @ counts, for every library
    ],
)
def test_a_server_can_be_a_store_of_mlflows_alone(uri):
    check_tracking(uri, "--tracking-uri")
    with pytest.raises(InputError, match=r"^--storage: http"):
        check_storage(uri, "--storage")


@pytest.mark.parametrize("check", BOTH)
@pytest.mark.parametrize(
    ("url", "shown", "problem"),
    [
        ("", "", "not the address of a store"),
        ("results.db", ": results.db", "not the address of a store"),
        ("me:s3cret@host", ": me:***@host", "not the address of a store"),
        (" sqlite:////a.db", ":  sqlite:////a.db", "there are blanks around the address"),
        ("sqlite://me:s3cret@h/d", ": sqlite://me:***@h/d", "not the address of a store"),
        ("sqlite:////a?timeout=soon", ": sqlite:////a?timeout=soon", "not the address of a store"),
        ("sqlite://", ": sqlite://", "a store in memory forgets everything"),
        ("foo://me:s3cret@h", ": foo://me:***@h", "'foo' is no kind of database"),
        ("file:///mlruns", ": file:///mlruns", "'file' is no kind of database"),
        (
            "postgresql+no://me:s3cret@h",
            ": postgresql+no://me:***@h",
            "'postgresql+no' is no kind of database",
        ),
        (
            "postgresql://me:s3cret@h:x/d",
            ": postgresql://me:***@h:***/d",
            "the port is no number from 1 to 65535",
        ),
        (
            "postgresql://me:s3cret@h:65536/d",
            ": postgresql://me:***@h:65536/d",
            "the port is no number from 1 to 65535",
        ),
        (
            "postgresql://me:s3cret/d",
            ": postgresql://me:***/d",
            "the port is no number from 1 to 65535",
        ),
        (
            "postgresql://me:s3@s3cret@h/d",
            ": postgresql://me:***@h/d",
            "the address can be read in two ways",
        ),
    ],
)
def test_what_can_be_no_store_is_refused_by_name_without_its_secret(check, url, shown, problem):
    with pytest.raises(InputError) as refusal:
        check(url, "--store")
    said = str(refusal.value)
    assert said.startswith(f"--store{shown}: {problem}\n\nhint: ")
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("uri", "shown", "problem"),
    [
        ("http://", "http://", "there is no host"),
        ("http://:5000", "http://:5000", "there is no host"),
        ("http://bob:s3cret@", "http://bob:***@", "there is no host"),
        ("http://a host", "http://a host", "there is no host"),
        ("http://h:0", "http://h:0", "the port is no number from 1 to 65535"),
        ("http://h:s3cret", "http://h:***", "the host cannot be read, or the port is no number"),
        ("http://[::1", "http://[:***", "the host cannot be read, or the port is no number"),
        ("http://bob:s3/cret@h", "http://bob:***@h", "the host cannot be read, or the port"),
        ("http://bob:12/s3cret@h", "http://bob:***@h", "the address can be read in two ways"),
        ("http://h/?token=s3cret", "http://h/?token=***", "MLflow puts its paths behind the"),
        ("https://h/#a", "https://h/#a", "MLflow puts its paths behind the address, so it has"),
        ("databricks", "databricks", "not the address of a store"),
    ],
)
def test_an_impossible_server_is_refused(uri, shown, problem):
    with pytest.raises(InputError) as refusal:
        check_tracking(uri, "--tracking-uri")
    said = str(refusal.value)
    assert said.startswith(f"--tracking-uri: {shown}: {problem}")
    assert "s3" not in said
    assert "\n\nhint: " in said


@pytest.mark.parametrize(
    ("driver", "url", "hint"),
    [
        ("psycopg2", "postgresql://me:s3cret@h/d", "pip install 'swinablate[postgres]'"),
        ("pymysql", "mysql+pymysql://me:s3cret@h/d", "install it, or name a driver that is"),
    ],
)
@pytest.mark.parametrize("check", BOTH)
def test_a_driver_that_is_not_installed_is_named(check, driver, url, hint, monkeypatch):
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(InputError) as refusal:
        check(url, "--store")
    said = str(refusal.value)
    assert f"the driver {driver!r} is not installed\n\nhint: {hint}" in said
    assert "s3cret" not in said


def test_mlflow_keeps_nothing_in_other_databases(monkeypatch):
    oracle = ModuleType("oracledb")
    oracle.__version__ = "3.0.0"
    monkeypatch.setitem(sys.modules, "oracledb", oracle)
    check_storage("oracle+oracledb://me:s3cret@h/d", "--storage")
    with pytest.raises(InputError) as refusal:
        check_tracking("oracle+oracledb://me:s3cret@h/d", "--tracking-uri")
    assert str(refusal.value) == (
        "--tracking-uri: oracle+oracledb://me:***@h/d: MLflow keeps nothing in 'oracle'\n\n"
        "hint: it takes postgresql, mysql, sqlite, mssql"
    )
