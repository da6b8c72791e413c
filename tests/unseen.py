"""A folder that the processes of a cluster do not see, as where no disk is shared."""

import shutil
import subprocess
from pathlib import Path


def possible() -> bool:
    """Whether folders can be hidden from processes here."""
    words = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return shutil.which("unshare") is not None and not subprocess.run(words, capture_output=True, check=False).returncode  # fmt: skip


def without(folder: Path) -> tuple[str, ...]:
    """What is put before a command, so that it finds the folder empty; nothing where nobody can."""
    mount = f'mount -t tmpfs tmpfs "{folder}" && exec "$@"'
    return ("unshare", "--mount", "sh", "-c", mount, "sh") if possible() else ()
