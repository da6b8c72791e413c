"""Scalars in TensorBoard's event files: the one door to the package that reads them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from swinablate.errors import EnvironmentFault

EVENTS = "events.out.tfevents."
"""Is in the name of every file that TensorBoard reads."""
HINT = 'pip install "swinablate[tensorboard]"'


class Scalar(NamedTuple):
    """One value that a script logged.

    Attributes:
        step: `global_step`.
        value: of 32 bits, as TensorBoard keeps it.
        at: Unix seconds.
    """

    step: int
    value: float
    at: float


def lacking() -> bool:
    """Whether the package that reads events is not installed."""
    try:
        return find_spec("tensorboard") is None
    except ValueError:  # somebody keeps it from being imported
        return True


class Torn(EnvironmentFault):
    """A file of events that was not written to its end, or is damaged."""


def scalars(root: Path) -> dict[Path, Mapping[str, list[Scalar]]]:
    """Every scalar below a folder: folder of events -> tag -> scalars by rising step.

    A step that was logged again, as by a run that was resumed, has its newest value. A file whose
    end is missing, as of a run that was killed, is read as far as it goes.

    Args:
        root: one run, or a folder of many.

    Returns:
        Folders relative to `root`; none where there are no events.

    Raises:
        EnvironmentFault: the package is not installed, or a file cannot be read.
    """
    if lacking():
        raise EnvironmentFault(
            "events of TensorBoard need a package that is not installed", hint=HINT
        )
    found: defaultdict[Path, defaultdict[str, dict[int, Scalar]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for path in sorted(
        root.rglob(f"*{EVENTS}*")
    ):  # their names begin with the time of their start
        tags = found[path.parent.relative_to(root)]
        for tag, one in _read(path):
            known = tags[tag].get(one.step)
            if known is None or known.at <= one.at:
                tags[tag][one.step] = one
    return {
        folder: {tag: [by[step] for step in sorted(by)] for tag, by in tags.items()}
        for folder, tags in found.items()
    }


def _read(path: Path) -> Iterator[tuple[str, Scalar]]:
    # Here, for it takes a second, and few studies have events.
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util import tensor_util

    try:
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if not value.HasField("tensor"):
                    continue
                read = tensor_util.make_ndarray(value.tensor)
                if read.size == 1 and read.dtype.kind in "fiu":
                    yield value.tag, Scalar(event.step, float(read.item()), event.wall_time)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror or error}") from None


def check_whole(folder: Path) -> None:
    """Refuse a run whose newest file cannot be read to its end: its last value is not known.

    An older one may be of a process that was killed, and started again.

    Args:
        folder: of the run's events.

    Raises:
        EnvironmentFault: it cannot be read.
        Torn: it was cut off, or is damaged.
    """
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

    path = max(folder.glob(f"*{EVENTS}*"))
    try:
        count = _count(path)
        torn = count is None or count != sum(1 for _ in RawEventFileLoader(str(path)).Load())
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror or error}") from None
    if torn:
        raise Torn(f"{path.name} is cut off or damaged")


def _count(path: Path) -> int | None:
    """How many events a file holds; None where it ends in the middle of one.

    Each is its length in 8 bytes, a check sum in 4, itself, and a check sum in 4. Source:
    tensorflow/core/lib/io/record_writer.h.
    """
    count = at = 0
    size = path.stat().st_size
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            at += 8 + 4 + int.from_bytes(file.read(8), "little") + 4
            count += 1
    return count if at == size else None
