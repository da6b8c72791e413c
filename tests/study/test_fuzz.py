"""`plan` of studies that were damaged at random: refused with a hint, or planned, and soon."""

import json
import re
import shutil
import time

import pytest
from hypothesis import HealthCheck, given, settings

from swinablate.cli.app import main
from tests.mutants import ROOT, Mutant, mutants

SOON = 20.0
"""Seconds of this process: what a user waits for before it looks like a hang."""
JARGON = re.compile(r"constrained-|instance of|after validation|valid dictionary|pydantic|Tuple ")
SMALL = ("quickstart.toml", "position_codes.toml", "patch_stem.toml")
EVERY = tuple(sorted(path.name for path in (ROOT / "studies").glob("*.toml")))
FIXED = settings(
    deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


def check(mutant: Mutant, tmp_path, capsys) -> None:
    folder, home = tmp_path / "mutant", tmp_path / "home"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = mutant.write(folder)
    capsys.readouterr()
    began = time.process_time()

    code = main(["plan", str(path), "--home", str(home), *mutant.words])

    spent = time.process_time() - began
    out, err = capsys.readouterr()
    assert code in {0, 2}, err
    assert "Traceback" not in err
    assert spent < SOON
    assert not home.exists()
    if code == 0:
        found = json.loads(out) if "--json" in mutant.words else None
        assert found is None or len(found["arms"]) > 1
        return
    assert out == ""
    problem, _, hint = err.rpartition("\n\nhint: ")
    assert problem.rpartition("error: ")[2].strip()
    assert hint.strip()
    assert not JARGON.search(err), err


@settings(FIXED, max_examples=40)
@given(mutants(SMALL, arms=1))
def test_a_damaged_study_is_refused_with_a_hint_or_planned(tmp_path, capsys, mutant):
    check(mutant, tmp_path, capsys)


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(FIXED, max_examples=300)
@given(mutants(EVERY, arms=2))
def test_many_damaged_studies_are(tmp_path, capsys, mutant):
    check(mutant, tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.timeout(6 * 3600)
@settings(FIXED, max_examples=5000, derandomize=False)
@given(mutants(EVERY, arms=3))
def test_thousands_of_damaged_studies_are(tmp_path, capsys, mutant):
    check(mutant, tmp_path, capsys)
