"""What is written about the project beside its code: the version, and files for services."""

import subprocess
import sys
import tomllib
from pathlib import Path

from swinablate import __version__

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


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
