"""The verbs of a day on a study that was really trained: reproduce, logs, compare, rm."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RECIPE = """\
[model]
family = "swin"
patch = 2
width = 8
depths = [2]
heads = [2]
window = 2
[data]
name = "digits"
[train]
epochs = 1
batch = 64
"""
STUDY = """\
question = "Does the shift matter?"
baseline = "base.toml"
seeds = 3
baseline_seeds = 3
[axes]
"model.shift" = [false]
"""

pytestmark = pytest.mark.integration


def swinablate(folder: Path, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "swinablate", *words],
        cwd=folder, capture_output=True, text=True, timeout=240, check=False, env=os.environ,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def prints(folder: Path) -> dict[str, str]:
    """Digest of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verbs")
    (folder / "base.toml").write_text(RECIPE)
    (folder / "one.toml").write_text(STUDY)
    (folder / "two.toml").write_text(
        STUDY.replace('"model.shift" = [false]', '"model.norm" = ["batch"]')
    )
    for study in ("one.toml", "two.toml"):
        code, _, err = swinablate(folder, "run", study, "--no-report", "--slots", "2")
        assert code == 0, err
    return folder


def test_a_trial_is_reproduced_bit_by_bit_and_its_folder_is_not_touched(trained):
    home = trained / ".swinablate"
    plan = json.loads(swinablate(trained, "show", "baseline", "--study", "one", "--json")[1])
    trial, *_ = [row["trial"] for row in plan["trials"]]
    before = prints(home / "trials")
    code, out, err = swinablate(trained, "reproduce", trial[:12], "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["trial"], found["same"], found["bit_by_bit"]) == (trial, True, True)
    names = {one["name"] for one in found["compared"]}
    assert {"test/accuracy", "final weights (sha256)"} <= names
    assert prints(home / "trials") == before

    record = home / "trials" / trial / "result.json"
    whole = record.read_text()
    from swinablate.records.seal import seal

    data = json.loads(whole)
    data["metrics"]["test/accuracy"] += 0.25
    record.write_text(seal({k: v for k, v in data.items() if k != "digest"}))
    code, out, _ = swinablate(trained, "reproduce", trial[:12])
    record.write_text(whole)
    assert code == 3
    assert "NOT the same" in out
    assert "DIFFERS" in out

    code, out, err = swinablate(trained, "logs", trial[:12])
    assert code == 0
    assert f"== trains {trial}:1" in out
    assert not err


@pytest.mark.slow
def test_a_study_goes_with_its_rows_and_its_own_trials(trained):
    import optuna
    from mlflow import MlflowClient

    home = trained / ".swinablate"
    shared = [
        row["trial"]
        for row in json.loads(swinablate(trained, "show", "baseline", "--json")[1])["trials"]
    ]
    code, out, err = swinablate(trained, "rm", "two", "--yes", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert set(found["kept"]) == set(shared)
    assert len(found["removed"]) == 3
    assert {path.name for path in (home / "trials").iterdir()} & set(found["removed"]) == set()
    assert set(shared) <= {path.name for path in (home / "trials").iterdir()}
    names = optuna.get_all_study_names(f"sqlite:///{home / 'optuna.db'}")
    assert [name.partition("@")[0] for name in names] == ["one"]
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    active = {experiment.name for experiment in client.search_experiments()}
    assert "one @ digits" in active
    assert "two @ digits" not in active
    assert [
        one["name"] for one in json.loads(swinablate(trained, "list", "--json")[1])["studies"]
    ] == ["one"]
    code, _, err = swinablate(trained, "doctor", "--home", str(home))
    assert "DAMAGED" not in err
    assert code in {0, 4}
