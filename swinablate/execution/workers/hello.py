"""What a worker elsewhere says of itself when it is ready, and who is refused.

A number must not depend on where it was computed: the same package, the same torch, the same
files. What cannot be the same, the processor and the GPU, is recorded with every trial.
"""

import hashlib
import os
import platform
import socket
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import swinablate
from swinablate import __version__
from swinablate.errors import EnvironmentFault
from swinablate.records.provenance import installed_version

SAME = {
    "swinablate": "swinablate",
    "code": "code of swinablate",
    "python": "Python",
    "torch": "torch",
}
"""What must be the same everywhere, and what it is called."""
NODE = "SWINABLATE_NODE"
"""Variable of the name by which a cluster knows this machine, where that sets none itself."""
PROBE_S = 10.0
"""How long a new file may take to be seen: NFS believes for 3 s (acregmin) that there is none."""


def hello(probe: Path) -> dict[str, Any]:
    """What this process is, and what it reads in a file that another wrote."""
    return {
        "host": os.environ.get(NODE) or os.environ.get("SLURMD_NODENAME") or socket.gethostname(),
        "pid": os.getpid(),
        "gpu": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        "probe": _read(probe),
        **versions(),
    }


@cache
def versions() -> dict[str, str]:
    """What must be the same in all processes of a study."""
    return {
        "swinablate": __version__,
        "code": code(Path(swinablate.__file__).parent),
        "python": platform.python_version(),
        "torch": installed_version("torch"),
    }


def code(package: Path) -> str:
    """A digest of a package's modules."""
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        text = path.read_bytes()
        name = path.relative_to(package).as_posix()
        found.update(f"{name}\x1f{len(text)}\x1f".encode() + text)
    return found.hexdigest()


def check(said: Mapping[str, Any], probe: Path, written: str) -> None:
    """Refuse a worker whose numbers or files would be others.

    Args:
        said: its `hello`.
        probe: the file that it was to read.
        written: what is in it.

    Raises:
        EnvironmentFault: it is refused.
    """
    host, here = said.get("host", "?"), versions()
    for key, name in SAME.items():
        if said.get(key) != here[key]:
            raise EnvironmentFault(
                f"{name} there is {_short(said.get(key))}, and {_short(here[key])} here",
                at=f"worker on {host}",
                hint="start the command from an environment that all nodes see, and change "
                "nothing in it while a study runs",
            )
    if said.get("probe") != written:
        raise EnvironmentFault(
            f"it does not see the home: {probe} is not there, or another",
            at=f"worker on {host}",
            hint="give --home a folder on a file system that all nodes share: checkpoints and "
            "images are read there",
        )


def _short(value: object) -> str:
    """A version, or the first letters of a digest."""
    text = str(value)
    return text[:12] if len(text) == 64 else text


def _read(probe: Path) -> str:
    deadline = time.monotonic() + PROBE_S
    while True:
        try:
            return probe.read_text("utf-8")
        except OSError:
            if time.monotonic() > deadline:
                return ""
        time.sleep(0.2)
