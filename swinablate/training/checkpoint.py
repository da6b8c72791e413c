"""Checkpoints: whole or not at all, and never loaded unchecked.

A file is the sha256 of what follows, a line feed, and `torch.save`'s bytes. The two newest
of an attempt are kept, so that a damaged one costs what was trained since the one before, and
not the run; of one that has ended, the weights alone. `saving` says when they are written.
"""

import hashlib
import io
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from swinablate.errors import EnvironmentFault, InputError
from swinablate.records.disk.files import check_link, put_whole
from swinablate.training.machine import out_of_memory

log = logging.getLogger(__name__)
KEPT = 2
"""Checkpoints of an attempt: if one is damaged, one is left; a third would only cost disk."""
PARTS = ("model", "optimizer", "progress")
"""What every checkpoint holds; those of older versions lack the other parts."""


def save(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write the checkpoint of a training step, atomically; drop all but the newest two.

    It is on the disk before it has its name, so that after a power loss the one before is left
    at least.
    """
    # Through memory: the digest stands first, and on a full disk torch.save itself raises a
    # RuntimeError about positions where a plain write says ENOSPC.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getbuffer()  # not copied: it is as large as the network and its optimizer
    path = folder / f"checkpoint-{step:012d}.pt"  # zeros: names sort as steps do
    temporary = folder / f".{path.name}.{os.getpid()}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(hashlib.sha256(payload).hexdigest().encode() + b"\n")
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    for old in sorted(folder.glob("checkpoint-*.pt"))[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def finish(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Keep of a run that has ended only the weights that it was judged by.

    They stand where the last checkpoint stood, without what only training needs: a third of it
    with Adam, and the other checkpoints go. A run that is asked again for its end finds both the
    weights and the curve.
    """
    progress = state["progress"]
    best = {key: value for key, value in progress["best"].items() if key != "model"}
    kept = {key: {} for key in state} | {
        "model": _judged(state),
        "progress": {**progress, "best": best},
    }
    path = save(folder, step, kept)
    for old in folder.glob("checkpoint-*.pt"):
        if old != path:
            old.unlink(missing_ok=True)
    return path


def finished(state: dict[str, Any]) -> bool:
    """Whether a checkpoint is what `finish` keeps, from which no training goes on."""
    return not state["optimizer"]


def export(folders: Sequence[Path], path: Path, *, replace: bool = True) -> bool:
    """Write the weights that a finished trial was judged by, as a state dict.

    Args:
        folders: the trial's attempts, newest first.
        path: the new file.
        replace: write over a file that is there.

    Returns:
        Whether it was written: the same file that is there already is left alone.

    Raises:
        InputError: another file is there, and is not to be replaced; or it is a folder, or a link
            to nothing.
        EnvironmentFault: no checkpoint is left, or the file cannot be written.
    """
    check_link(path)
    if path.is_dir():
        hint = f"name a file in it: {path / 'weights.pt'}"
        raise InputError("this is a folder, and weights are a file", at=str(path), hint=hint)
    weights = final_weights(folders)
    if weights is None:
        raise EnvironmentFault(
            "no checkpoint of this trial is left",
            at=str(folders[0]) if folders else "",
            hint="move the trial's folder away and run its study again",
        )
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    try:
        if not replace and path.exists():
            _check_same(path, buffer.getvalue())
            return False
        put_whole(path, buffer.getvalue())
    except OSError as error:
        raise EnvironmentFault(
            f"the weights cannot be written: {error.strerror or error}",
            at=str(error.filename or path),
            hint="choose another path",
        ) from None
    return True


def final_weights(folders: Sequence[Path]) -> dict[str, Any] | None:
    """The weights that a finished trial was judged by; None if no checkpoint is left.

    Args:
        folders: the trial's attempts, newest first.
    """
    state = load_checkpoint(folders, torch.device("cpu"))
    return None if state is None else _judged(state)


def digest(weights: Mapping[str, Any]) -> str:
    """The sha256 of a state dict: of every tensor's name, type, shape and bits, sorted by name."""
    found = hashlib.sha256()
    for name, value in sorted(weights.items()):
        tensor = torch.as_tensor(value).detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _judged(state: dict[str, Any]) -> dict[str, Any]:
    """The weights of a checkpoint that are evaluated: the best, the averaged, or the last."""
    best, averaged = state["progress"]["best"], state.get("ema", {})
    weights: dict[str, Any] = best.get("model") or _unwrapped(averaged) or state["model"]
    return weights


def _check_same(path: Path, payload: bytes) -> None:
    if path.read_bytes() != payload:
        raise InputError(
            "another file is there, and is not written over",
            at=str(path),
            hint="move it away, or name another path",
        )


def _unwrapped(averaged: dict[str, Any]) -> dict[str, Any]:
    """An averaged network's weights under their own names."""
    start = "module."
    return {name[len(start) :]: v for name, v in averaged.items() if name.startswith(start)}


def steps(folders: Sequence[Path]) -> set[int]:
    """The training steps of which there are checkpoints, whole or not."""
    paths = [path for folder in folders for path in folder.glob("checkpoint-*.pt")]
    return {int(path.stem.removeprefix("checkpoint-")) for path in paths}


def load_checkpoint(
    folders: Sequence[Path], device: torch.device, step: int | None = None
) -> dict[str, Any] | None:
    """The newest whole checkpoint in `folders`; None if there is none.

    One that is damaged, or whose digest is right and that is no checkpoint, is passed over.

    Args:
        folders: attempts, newest first.
        device: where tensors go.
        step: only checkpoints of this training step.
    """
    name = "checkpoint-*.pt" if step is None else f"checkpoint-{step:012d}.pt"
    paths = [path for folder in folders for path in folder.glob(name)]
    # The furthest first, and of equals the newest attempt's: `folders` begins with that.
    for path in sorted(paths, key=lambda p: (p.name, folders.index(p.parent) * -1), reverse=True):
        digest, _, payload = path.read_bytes().partition(b"\n")
        if hashlib.sha256(payload).hexdigest().encode() != digest:
            log.warning("damaged checkpoint %s: using the one before it", path)
            continue
        state = _read(payload, device)
        if state is None:
            log.warning("%s holds no checkpoint: using the one before it", path)
            continue
        return state
    return None


def _read(payload: bytes, device: torch.device) -> dict[str, Any] | None:
    """A checkpoint; None where the bytes are something else, which is never executed."""
    try:
        state = torch.load(io.BytesIO(payload), map_location=device, weights_only=True)
    except Exception as error:  # torch has no error of its own for what it cannot read
        if out_of_memory(error):
            raise
        log.warning("unreadable: %s", str(error).partition("\n")[0])
        return None
    if not isinstance(state, dict) or not all(isinstance(state.get(k), dict) for k in PARTS):
        return None
    return state
