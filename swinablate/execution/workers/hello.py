"""What a worker elsewhere says of itself when it is ready, and who is refused.

A number must not depend on where it was computed: the same package, the same torch, the same
files. What cannot be the same, the processor and the GPU, is recorded with every trial.
"""

import hashlib
import json
import os
import platform
import socket
import time
from collections.abc import Mapping, Sequence
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


def hello(probe: Path, folders: Sequence[str] = ()) -> dict[str, Any]:
    """What this process is, what it reads in a file that another wrote, and which images it has.

    Args:
        probe: the file; nothing is said of it where it is not here.
        folders: of prepared images.
    """
    return {
        "host": os.environ.get(NODE) or os.environ.get("SLURMD_NODENAME") or socket.gethostname(),
        "pid": os.getpid(),
        "gpu": os.environ.get("CUDA_VISIBLE_DEVICES", ""),
        "probe": _read(probe),
        "data": {folder: prepared(Path(folder)) for folder in folders},
        **versions(),
    }


def prepared(folder: Path) -> str:
    """A digest of the digests of a prepared data set's files; empty where they are not whole.

    Whoever starts the study checks the files themselves; here their sizes are looked at.
    """
    try:
        files = json.loads((folder / "manifest.json").read_text("utf-8"))["files"]
        if any((folder / f"{name}.npy").stat().st_size != files[name]["bytes"] for name in files):
            return ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


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


def check(said: Mapping[str, Any], written: str, folders: Sequence[str]) -> None:
    """Refuse a worker whose numbers or files would be others.

    Args:
        said: its `hello`.
        written: what is in the file that it was to read.
        folders: of prepared images.

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
    if said.get("probe") not in {written, ""}:
        raise EnvironmentFault(
            "it sees another home at the same path",
            at=f"worker on {host}",
            hint="give --home a folder that all nodes share, or one that the others lack",
        )
    for folder in folders:
        ours, theirs = prepared(Path(folder)), said.get("data", {}).get(folder, "")
        if theirs != ours:
            raise EnvironmentFault(
                f"the images in {folder} have the digest {_short(theirs or 'none')} there, and "
                f"{_short(ours)} here",
                at=f"worker on {host}",
                hint="copy the folder to that machine anew, or give --data-dir one that all nodes "
                "share" + ", as they do not share the home" * apart(said),
            )


def apart(said: Mapping[str, Any]) -> bool:
    """Whether who says so does not see the home."""
    return not said.get("probe")


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
