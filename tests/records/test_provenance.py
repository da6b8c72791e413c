"""Where numbers come from: commit, versions, machine, and nothing private."""

import os
import subprocess

import pytest

from swinablate import __version__
from swinablate.records.provenance import LIBRARIES, cores, git, installed_version, provenance


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    def ask(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(["git", *who, *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return ask


def test_a_commit_is_dirty_when_a_file_of_it_changed(repository, tmp_path):
    assert git() == {}
    repository("init", "-q")
    (tmp_path / "a").write_text("1")
    repository("add", "a")
    repository("commit", "-q", "-m", "a")
    commit = repository("rev-parse", "HEAD")
    (tmp_path / "another").write_text("of nobody's commit")
    assert git() == {"commit": commit, "dirty": False}
    (tmp_path / "a").write_text("2")
    assert git() == {"commit": commit, "dirty": True}


def test_no_git_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git() == {}


def test_what_is_recorded_is_a_list_of_its_own_and_no_environment(monkeypatch):
    monkeypatch.setenv("SECRET", "s3cret")
    found = provenance()
    assert found.keys() == {"swinablate", "git", "python", "system", "cores", "versions"}
    assert found["swinablate"] == __version__
    assert found["versions"].keys() == set(LIBRARIES)
    assert all(found["versions"].values())
    assert "s3cret" not in str(found)
    assert installed_version("there is no such package") == ""


def test_cores_are_those_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 5, 7}, raising=False)
    assert cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cores() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores() == 1
