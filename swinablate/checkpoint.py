"""Checkpoints: whole or not at all, and never loaded unchecked.

A file is the sha256 of what follows, a line feed, and `torch.save`'s bytes. The two newest
of an attempt are kept, so that a damaged one costs an epoch and not the run.
"""

import hashlib
import io
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

log = logging.getLogger(__name__)
KEPT = 2


def save(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write the checkpoint of a training step, atomically; drop all but the newest two.

    Not flushed to the disk: after a power loss the digest finds a torn file, and the one
    before it, or a fresh start, gives the same numbers.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    path = folder / f"checkpoint-{step:012d}.pt"
    temporary = folder / f".{path.name}.{os.getpid()}.tmp"
    try:
        temporary.write_bytes(hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    for old in sorted(folder.glob("checkpoint-*.pt"))[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def load(folders: Sequence[Path], device: torch.device) -> dict[str, Any] | None:
    """The newest whole checkpoint in `folders`; None if there is none.

    Args:
        folders: attempts, newest first.
        device: where tensors go.
    """
    paths = [path for folder in folders for path in folder.glob("checkpoint-*.pt")]
    for path in sorted(paths, key=lambda p: (p.name, folders.index(p.parent) * -1), reverse=True):
        digest, _, payload = path.read_bytes().partition(b"\n")
        if hashlib.sha256(payload).hexdigest().encode() != digest:
            log.warning("damaged checkpoint %s: using the one before it", path)
            continue
        state: dict[str, Any] = torch.load(
            io.BytesIO(payload), map_location=device, weights_only=True
        )
        return state
    return None
