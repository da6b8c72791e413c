"""How fast a recipe trains on a kind of machine: what a probe measured, kept in the home.

probes/<key>.json    one probe, sealed; the key is a digest of all that decides the speed
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from swinablate import __version__
from swinablate.errors import EnvironmentFault
from swinablate.records.disk.files import write_atomically
from swinablate.records.events import CHECKPOINT_S
from swinablate.records.provenance import installed_version
from swinablate.records.seal import digest, read_record, seal
from swinablate.records.tuning import Record

NO_COST = {
    "train": frozenset({
        *("epochs", "steps", "stream", "select", "lr", "lr_scale", "lr_batch", "warmup"),
        *("schedule", "step_at", "step_factor"),
    }),
    "data": frozenset({"split_seed"}),
    "start": frozenset({"weights", "sha256"}),
}  # fmt: skip
"""Fields of a recipe that change no step: how many there are, what they start from, which numbers
they multiply by."""


class SpeedRecord(Record):
    """How fast trials of a recipe run, each of them a sum of these parts.

    Attributes:
        source: a probe, or trials that ended before.
        step_s: of a training step; None of a command, which is known as a whole.
        epoch_s: of what follows an epoch, validation images above all.
        trial_s: of what comes once a trial: images, network, first steps, test images.
        start_s: of what comes once a worker: its start.
        checkpoint_s: of writing a checkpoint.
        peak_mib: largest memory of a trial.
        steps: of an epoch; 0 if nobody knows.
        images: whether the data set's own were trained on, or noise of their size.
        busy: trials that ran at the same time; 0 if nobody knows.
        measured: workers of a probe, or trials.
        at: Unix ms of the newest measurement.
    """

    source: Literal["probe", "recorded"]
    step_s: float | None = None
    epoch_s: float = 0.0
    trial_s: float = 0.0
    start_s: float = 0.0
    checkpoint_s: float = 0.0
    peak_mib: float | None = 0.0
    steps: int = 0
    images: Literal["real", "noise"] = "real"
    busy: int = 0
    measured: int = 1
    at: int = 0

    def seconds(self, train: Mapping[str, Any] | None) -> float | None:
        """How long a trial takes; None where its number of steps is unknown.

        Args:
            train: of its recipe, plain data; None of a command.
        """
        if train is None or self.step_s is None:
            return self.trial_s
        asked: int | None = train.get("steps")
        total = self.steps * int(train["epochs"]) if asked is None else asked
        if not total:
            return None
        epochs = -(-total // self.steps) if self.steps else int(train["epochs"])
        training = total * self.step_s
        # A thread writes while the trial goes on, yet on a full machine somebody waits for it.
        written = training / CHECKPOINT_S * self.checkpoint_s
        return self.trial_s + epochs * self.epoch_s + training + written


def what_costs(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe without what changes no step; equal for recipes whose steps cost the same.

    Args:
        recipe: plain data, every field.
    """
    parts = ("model", "data", "train", "start")
    if "command" in recipe:
        command = {k: v for k, v in recipe["command"].items() if k not in {"base", "timeout"}}
        own = {"command": command, "switches": recipe["switches"]}
        return {part: {} for part in parts} | own
    return {
        part: {k: v for k, v in recipe.get(part, {}).items() if k not in NO_COST.get(part, ())}
        for part in parts
    }


def speed_key(recipe: Mapping[str, Any], image: Mapping[str, int], device: str, busy: int) -> str:
    """The name of a probe: a digest of all that decides the speed, versions but for these.

    Args:
        recipe: plain data, every field.
        image: plain data.
        device: model of the device.
        busy: trials that run at the same time.
    """
    return digest({
        "recipe": what_costs(recipe),
        "image": dict(image),
        "device": device,
        "busy": busy,
        "versions": [__version__, installed_version("torch")],
    })  # fmt: skip


def kept_speed(root: Path, key: str) -> SpeedRecord | None:
    """A probe that was kept in a home; None where there is none, or it is damaged.

    Args:
        root: of the home.
        key: of the probe.
    """
    path = _path(root, key)
    try:
        return read_record(SpeedRecord, path, {"key": key}, "measure it again with --probe")
    except (FileNotFoundError, EnvironmentFault):
        return None  # it only saves time: what cannot be read is measured again


def keep_speed(root: Path, key: str, speed: SpeedRecord) -> None:
    """Keep a probe.

    Raises:
        EnvironmentFault: the disk refuses.
    """
    write_atomically(_path(root, key), seal({**speed.to_json(), "key": key}))


def now_ms() -> int:
    """Unix time, milliseconds."""
    return int(time.time() * 1000)


def _path(root: Path, key: str) -> Path:
    return root / "probes" / f"{key}.json"
