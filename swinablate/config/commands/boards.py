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
