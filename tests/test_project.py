"""What stands beside the code: the version, and the files that services and tools read."""

import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from swinablate import __version__
from tests.printed import refusal

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
SYSTEM = {"apt-get", "git"}
"""Programs of the machine that a workflow runs on."""


def jobs():
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            yield f"{path.name}: {name}", job


def commands():
    """Every command of every workflow, as words, with the job that it is of."""
    for where, job in jobs():
        for step in job["steps"]:
            for line in step.get("run", "").splitlines():
                for command in line.split("&&"):
                    yield where, shlex.split(command.removeprefix("uvx --from rust-just "))


def pythons(job):
    """The versions of Python that a job names, in whichever way."""
    named = job.get("strategy", {}).get("matrix", {}).get("python", [])
    named = [*named, job.get("env", {}).get("UV_PYTHON")]
    named += [step.get("with", {}).get("python-version") for step in job["steps"]]
    return {version for version in named if version and "$" not in version}


def test_the_version_is_written_once_and_the_command_tells_it():
    assert "version" not in PROJECT["project"]
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert PROJECT["tool"]["hatch"]["version"] == {"path": "swinablate/__init__.py"}
    done = subprocess.run(
        [sys.executable, "-m", "swinablate", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (f"swinablate {__version__}\n", "")


def test_the_citation_is_of_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == __version__
    assert cited["title"] == PROJECT["project"]["name"]
    assert cited["license"] == PROJECT["project"]["license"]
    assert cited["abstract"] == PROJECT["project"]["description"]
    assert cited["message"]
    assert cited["authors"] == PROJECT["project"]["authors"]


def test_workflows_call_what_there_is():
    unknown, called = [], set()
    for where, words in commands():
        if words[0] in {"just", "python3"}:
            called.add(words[-1])
            why = refusal(words)
        elif words[0] == ".ci/run":
            why = "" if (ROOT / ".ci/run").stat().st_mode & 0o100 else "not executable"
        else:
            why = "" if words[0] in SYSTEM else "no program of the system"
        unknown += [f"{where}: {' '.join(words)}: {why}"] if why else []
    assert not unknown
    assert {"lint", "test", "lowest", "newest", "wheel", "docs"} <= called


def test_every_python_that_is_named_is_tested_and_the_lowest_is_the_lowest():
    classifiers = PROJECT["project"]["classifiers"]
    named = {c.rpartition(" ")[2] for c in classifiers if re.search(r"Python :: 3\.\d", c)}
    units = {where: pythons(job) for where, job in jobs()}
    assert units["ci.yml: test"] == named
    lowest = min(named, key=Version)
    assert PROJECT["project"]["requires-python"] == f">={lowest}"
    assert units["ci.yml: lowest"] == {lowest}
    assert units["ci.yml: newest"] == {max(named, key=Version)}
    assert set.union(*units.values()) == named


def test_every_system_that_is_named_is_tested():
    named = [c for c in PROJECT["project"]["classifiers"] if c.startswith("Operating System")]
    assert named == ["Operating System :: POSIX :: Linux"]
    assert {job["runs-on"] for _, job in jobs()} == {"ubuntu-latest"}


def test_workflows_may_only_read():
    for path in WORKFLOWS:
        flow = yaml.safe_load(path.read_text())
        assert flow["permissions"] == {"contents": "read"}
        assert all("permissions" not in job for job in flow["jobs"].values())
        assert all(job["timeout-minutes"] <= 60 for job in flow["jobs"].values())


def test_hooks_run_programs_of_the_locked_environment():
    locked = {
        Requirement(entry).name
        for entry in PROJECT["dependency-groups"]["dev"]
        if isinstance(entry, str)
    }
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    hooks = {hook["id"]: hook for hook in repository["hooks"]}
    assert list(hooks) == ["ruff-format", "ruff-check", "mypy"]
    for hook in hooks.values():
        program = Path(hook["entry"].split()[0])
        assert (program.parent, hook["language"]) == (Path(".venv/bin"), "system")
        assert program.name in locked


def test_lower_bounds_are_those_of_every_group():
    """`just lowest` is given the extras and the tests' group: where two name one, they agree."""
    bounds = {}
    named = [
        *PROJECT["project"]["dependencies"],
        *(e for extra in PROJECT["project"]["optional-dependencies"].values() for e in extra),
        *PROJECT["dependency-groups"]["test"],
    ]
    for requirement in map(Requirement, named):
        assert requirement.specifier, f"{requirement.name} has no lowest version"
        assert bounds.setdefault(requirement.name, requirement.specifier) == requirement.specifier


def test_dev_hands_over_in_the_folder_of_the_caller(tmp_path, monkeypatch, capfd):
    """A program in the place of swinablate tells where it runs and how it was called."""
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    dev = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dev)
    program = tmp_path / "swinablate"
    program.write_text('#!/bin/sh\npwd\necho "$SWINABLATE_TYPED" "$@"\n')
    program.chmod(0o755)
    mine = tmp_path / "mine"
    mine.mkdir()
    monkeypatch.setattr(dev, "setup", lambda: 0)
    monkeypatch.setattr(dev, "BIN", tmp_path)
    monkeypatch.setattr(dev.sys, "argv", ["../a clone/dev.py"])
    monkeypatch.chdir(mine)
    assert dev.main(["status", "studies/x.toml"]) == 0
    assert capfd.readouterr().out.splitlines() == [
        str(mine),
        "python3 '../a clone/dev.py' status studies/x.toml",
    ]
