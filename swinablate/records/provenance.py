"""Where numbers come from: commit, versions, machine. An allow-list, never the environment."""

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from swinablate import __version__

LIBRARIES = ("torch", "torchvision", "optuna", "mlflow", "numpy", "pandas", "scipy")
"""Whose version may change a number, a verdict or a stored file."""


@cache
def provenance() -> dict[str, Any]:
    """Commit and dirtiness of the working folder, versions, processor; no paths, no names."""
    return {
        "swinablate": __version__,
        "git": git(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": cores(),
        "versions": {name: installed_version(name) for name in LIBRARIES},
    }


def cores() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def installed_version(name: str) -> str:
    """A distribution's version with its build (`+cpu`); empty if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def git() -> dict[str, Any]:
    """The commit of the working folder and whether files differ from it; empty outside git."""

    def ask(*words: str) -> str:
        done = subprocess.run(
            ["git", *words],  # noqa: S607  git is found on the PATH, as everywhere
            capture_output=True,
            text=True,
            check=True,
            timeout=10,  # one that hangs costs a record its commit, not the study
            cwd=Path.cwd(),
        )
        return done.stdout.strip()

    try:
        changed = ask("status", "--porcelain", "--untracked-files=no")
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(changed)}
    except (OSError, subprocess.SubprocessError):
        return {}
