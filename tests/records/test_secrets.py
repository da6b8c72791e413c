"""What is secret in addresses and variables, and that no message shows it."""

import string
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from swinablate.records.secrets import (
    redact,
    redact_address,
    secrets_here,
    secrets_of,
    secrets_of_environment,
    without_stores,
)
from tests.encodings import encodings


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:s3cret@host/name", "postgresql://me:***@host/name"),
        ("postgresql://me:s3%40cret@host/name", "postgresql://me:***@host/name"),
        ("postgresql://me:s@c:r/e?t#@host/name", "postgresql://me:***@host/name"),
        ("postgresql://me:s3 cret@host/name", "postgresql://me:***@host/name"),
        ("postgresql://:s3cret@host/name", "postgresql://:***@host/name"),
        ("postgresql://me:s3cret@[::1]:5432/name", "postgresql://me:***@[::1]:5432/name"),
        ("postgresql:///me:s3cret@host/name", "postgresql:///me:***@host/name"),
        ("postgresql:me:s3cret@host/name", "postgresql:***@host/name"),
        ("me:s3cret@host:5000", "me:***@host:5000"),
        ("http://bob:s3cret@mlflow:5000/here", "http://bob:***@mlflow:5000/here"),
        ("https://s3cret@mlflow", "https://***@mlflow"),
        ("https://s3cret:@mlflow", "https://***@mlflow"),
        ("postgresql://h/d?user=me&password=s3cret&a=1", "postgresql://h/d?user=me&password=***&a=1"),
        ("postgresql://h/d?pass%77ord=s3%20cret", "postgresql://h/d?pass%77ord=***"),
        ("postgresql://h/d?sslpassword=s3cret", "postgresql://h/d?sslpassword=***"),
        ("mssql+pyodbc://?odbc_connect=UID%3Dme%3BPWD%3Ds3cret", "mssql+pyodbc://?odbc_connect=***"),
        ("https://mlflow/?X-Api-Key=s3cret", "https://mlflow/?X-Api-Key=***"),
        ("https://mlflow/?access_token=s3cret#x", "https://mlflow/?access_token=***"),
        ("https://mlflow/?sig=s3cret", "https://mlflow/?sig=***"),
        ("https://mlflow/#token=s3cret", "https://mlflow/#token=***"),
        ("postgresql://me:s3cret/name", "postgresql://me:***/name"),  # the host was forgotten
        ("http://h:s3cret", "http://h:***"),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_its_secret(url, shown):
    assert redact_address(url) == shown
    assert redact_address(shown) == shown
    assert secrets_of(url)
    for secret in secrets_of(url):
        assert redact(f"before{secret}after", secrets_of(url)) == "before***after"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me@host/name",
        "postgresql://me@host:5432/name?sslmode=require&sslkey=/a/b",
        "http://127.0.0.1:5000",
        "https://[::1]:5000/mlflow",
        "sqlite:////a.db",
        "sqlite:////home/a:b@c/mlflow.db",
        "results.db",
        "",
    ],
)
def test_an_address_without_a_secret_is_shown_as_it_is(url):
    assert redact_address(url) == url
    assert redact(f"it is {url}, or is it?") == f"it is {url}, or is it?"
    assert secrets_of(url) == set()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no file postgresql:/u:s3cret@h/d: gone", "no file postgresql:***@h/d: gone"),
        ("'http://u:s3cret@h/x?token=s3cret' failed", "'http://u:***@h/x?token=***"),
        ("dsn: host=h password='s 3' user=u", "dsn: host=h password=*** user=u"),
        ("http://127.0.0.1:5000: refused", "http://127.0.0.1:5000: refused"),
        ("--set model.token=cls", "--set model.token=cls"),
        ("me@example.org wrote: a", "me@example.org wrote: a"),
    ],
)
def test_addresses_in_a_text_lose_their_secrets(text, shown):
    assert redact(text).startswith(shown)
    assert "s3cret" not in redact(text)


SECRETS = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from(string.punctuation + " "),
    min_size=4,
    max_size=24,
)
WHERE = [
    "postgresql://bob:{}@db/x",
    "postgresql+psycopg2://bob:{}@[::1]:5432/x?sslmode=require",
    "http://bob:{}@ml:5000",
    "bob:{}@ml",
]
WHERE_IN_QUERY = ["postgresql://db/x?user=bob&password={}", "https://ml/?a=1&api_key={}"]


def clean(text: str, secret: str) -> bool:
    return not any(form in text for form in encodings(secret))


def check(where: str, secret: str) -> None:
    assume("://" in where or not secret.startswith("//"))  # bob://1234@ml has a scheme
    assume(all(form not in where and "***" not in form for form in encodings(secret)))
    for written in {secret, quote(secret), quote(secret, safe="")}:
        url = where.format(written)
        assert clean(redact_address(url), secret)
        for said in encodings(secret):
            assert clean(redact(f"<{said}>", secrets_of(url)), secret)


@pytest.mark.parametrize("where", WHERE)
@settings(deadline=None, max_examples=8)  # each takes tenths of a second
@given(SECRETS)
@example("p@ss:w/rd?#%")
@example("\\\\\\\\'\"")
@example("/000")
@example("//00")
@example("sch\N{LATIN SMALL LETTER O WITH DIAERESIS}n \N{GRINNING FACE}")
def test_a_password_survives_in_no_encoding(where, secret):
    check(where, secret)


@pytest.mark.slow
@pytest.mark.parametrize("where", WHERE)
@settings(deadline=None, max_examples=500)
@given(SECRETS)
def test_hundreds_of_passwords_survive_in_no_encoding(where, secret):
    check(where, secret)


@pytest.mark.parametrize("where", WHERE_IN_QUERY)
@settings(deadline=None, max_examples=25)
@given(SECRETS)
@example("a+b c%20d")
def test_a_secret_of_a_query_survives_in_no_encoding(where, secret):
    assume(all(form not in where and "***" not in form for form in encodings(secret)))
    for written in (quote(secret, safe=""), quote_plus(secret)):
        url = where.format(written)
        assert clean(redact_address(url), secret)
        for said in encodings(secret)[:-1]:  # the last has a user before it
            assert clean(redact(f"<{said}>", secrets_of(url)), secret)


@settings(deadline=None, max_examples=25)
@given(SECRETS)
def test_what_is_redacted_stays_as_it_is(secret):
    url = f"postgresql://bob:{quote(secret, safe='')}@db/x"
    text = redact(f"{url} {secret}")
    assert redact(text) == text


def test_of_two_secrets_the_longer_is_replaced_first():
    assert redact("abcdefgh abcd", {"abcd", "abcdefgh"}) == "*** ***"


def test_a_short_secret_is_replaced_where_it_stands_alone():
    known = secrets_of("postgresql://me:ab@host/name")
    assert redact("about 'ab', tab, ab", known) == "about '***', tab, ***"


def test_many_backslashes_take_no_time():
    known = secrets_of("postgresql://me:" + "\\" * 40 + "x@host")
    assert redact("\\" * 4000, known) == "\\" * 4000


def test_variables_that_hold_secrets_are_known_by_name_or_content(monkeypatch):
    environment = {
        "SWINABLATE_STORAGE": "postgresql://me:one11@h/d",
        "MLFLOW_TRACKING_PASSWORD": "two22",
        "MLFLOW_TRACKING_TOKEN": "three33",
        "PGPASSWORD": "four44",
        "AWS_SECRET_ACCESS_KEY": "five55",
        "OPENAI_API_KEY": "six66",
        "http_proxy": "http://me:seven77@proxy:3128",
        "PWD": "/home/me",
        "OLDPWD": "/home",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_TOKEN": "yes",
        "SSH_AUTH_SOCK": "/tmp/agent",
    }
    found = secrets_of_environment(environment)
    plain = {one for one in found if not one.endswith("=")}
    assert plain == {"one11", "two22", "three33", "four44", "five55", "six66", "seven77"}
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "three33")
    assert {"three33", "s3cret"} <= secrets_here("http://me:s3cret@h")


def test_workers_get_no_stores():
    kept = {"HOME": "/", "HF_TOKEN": "a model may be fetched with it"}
    stores = {"SWINABLATE_STORAGE": "x", "MLFLOW_TRACKING_TOKEN": "x", "PGPASSWORD": "x"}
    assert without_stores(kept | stores) == kept


def test_a_long_word_takes_no_longer_than_it_has_letters():
    """Processor time: quadratic, a million letters would take an hour."""
    began = time.process_time()
    assert redact("\u00fcber" * 250_000, {"hunter2"}) == "\u00fcber" * 250_000
    assert redact("a" * 10**6 + "://me:hunter2@db", {"x4cret"}).endswith("a://me:***@db")
    assert time.process_time() - began < 60
