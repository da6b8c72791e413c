#!/usr/bin/env python3
"""Set up swinablate in `.venv` and use it: `python3 dev.py demo`, `python3 dev.py test`.

Needs Python 3.11 or newer with pip, and nothing else: no uv, no write access to the system's
Python. The first call makes `.venv` and installs the locked dependencies (PyPI's torch brings
its CUDA libraries, about 6 GB on Linux); later calls start at once.

    python3 dev.py setup          only set up
    python3 dev.py demo [...]     the quick start: trains a study, writes reports/demo/
    python3 dev.py test           all tests that CI runs: just check, then just integration
    python3 dev.py just TARGET    any recipe of the justfile
    python3 dev.py ...            anything else goes to the swinablate command
"""

import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
UV = ROOT / ".venv-uv"
STAMP = VENV / "swinablate-stamp"


def main(words: list[str]) -> int:
    """Set up if needed, then hand over; returns the exit code."""
    if sys.version_info < (3, 11):  # noqa: UP036  this file runs before anything is installed
        print(
            f"swinablate needs Python 3.11 or newer; this is {sys.version.split()[0]}",
            file=sys.stderr,
        )
        return 4
    if words[:1] in (["-h"], ["--help"], []):
        print(__doc__)
        return 0
    if code := setup():
        return code
    if words == ["setup"]:
        return 0
    if words == ["test"]:
        return run("just", "check") or run("just", "integration")
    if words[0] == "just":
        return run(*words)
    # Where the caller is, and called as the caller typed it: files and hints are the caller's.
    typed = shlex.join(["python3", sys.argv[0]])
    return run("swinablate", *words, cwd=Path.cwd(), more={"SWINABLATE_TYPED": typed})


def setup() -> int:
    """Make `.venv` match `uv.lock`; quick when it does already."""
    locked = (ROOT / "uv.lock").read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    stamp = hashlib.sha256(locked + sys.version.encode()).hexdigest()
    if STAMP.exists() and STAMP.read_text() == stamp:
        return 0
    print("setting up .venv (once; minutes, depending on the network) ...", file=sys.stderr)
    if not (UV / "bin").exists():
        # uv lives in an environment of its own: it manages `.venv`, and would remove itself.
        # Debian's Python has no ensurepip unless python3-venv is installed: then the pip at
        # hand installs into the new environment, which is not "externally managed" (PEP 668).
        bundled = importlib.util.find_spec("ensurepip") is not None
        venv.EnvBuilder(with_pip=bundled, clear=True).create(UV)
        pip = (
            [python(UV), "-m", "pip"]
            if bundled
            else [sys.executable, "-m", "pip", "--python", python(UV)]
        )
        if code := call(*pip, "install", "--quiet", "--disable-pip-version-check", "uv>=0.9"):
            shutil.rmtree(UV, ignore_errors=True)
            return code
    environment = {
        **os.environ,
        "UV_PROJECT_ENVIRONMENT": str(VENV),
        "UV_PYTHON_DOWNLOADS": "never",
    }
    environment.pop("VIRTUAL_ENV", None)
    make = [uv(), "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(VENV)]
    if not python(VENV).exists() and (code := call(*make)):
        return code
    # Compiled once, here: where Python may not write bytecode (PYTHONDONTWRITEBYTECODE, as in many
    # containers), every process would compile torch and its compiler again, for seconds.
    options = ["--locked", "--compile-bytecode"] + ["--quiet"] * (not sys.stderr.isatty())
    if code := call(uv(), "sync", *options, env=environment):
        return code
    STAMP.write_text(stamp)
    return 0


def run(*words: str, cwd: Path = ROOT, more: "dict[str, str] | None" = None) -> int:
    """Run a program of `.venv`, found first on the PATH by whatever it starts.

    `cwd` is where it runs, `more` are variables of its environment.

    Recipes that make other environments ask `$UV` for uv.
    """
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "VIRTUAL_ENV": str(VENV), "UV": str(uv())}
    environment |= more or {}
    return call(str(BIN / words[0]), *words[1:], env=environment, cwd=cwd)


def call(*words: "str | Path", env: "dict[str, str] | None" = None, cwd: Path = ROOT) -> int:
    """Run a program, in the checkout if nowhere else; a Ctrl-C is the program's to handle."""
    process = subprocess.Popen([str(word) for word in words], cwd=cwd, env=env)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def uv() -> Path:
    """The uv that manages `.venv`."""
    return python(UV).with_name("uv.exe" if os.name == "nt" else "uv")


def python(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
