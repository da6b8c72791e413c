"""Small jobs for real workers: a linear network, and all that can go wrong with one."""

import sys
from pathlib import Path
from typing import Any

from swinablate.config.data import DataConfig
from swinablate.config.recipe import Recipe
from swinablate.config.train import TrainConfig
from swinablate.data import image_spec
from swinablate.models.registry import load_family
from swinablate.records.events import Job

NETS = '''
"""A network for digits that behaves as its mood says when it trains."""

import errno
import os
import signal
import subprocess
import time

import torch
from torch import nn


def disk_full():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "checkpoint.pt")


def missing():
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "weights.pt")


def no_memory():
    raise MemoryError


def no_cpu_memory():
    torch.empty(1 << 50)


def other_bits():
    torch.zeros(2).put_(torch.tensor([0]), torch.ones(1))


def no_gpu_memory():
    raise torch.OutOfMemoryError("tried to allocate 80 GiB")


def raises():
    raise RuntimeError("out of patience")


def raises_much():
    raise RuntimeError("\\u00fcber" * 60_000)


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


def exits():
    os._exit(3)


def sleeps():
    time.sleep(600)


def lingers():
    time.sleep(0.02)


def prints():
    print('{"jobs": "of a model"')
    os.write(1, b"and more")


def has_a_child(fifo):
    kept = os.open(fifo, os.O_WRONLY)
    subprocess.Popen(["sleep", "600"], pass_fds=[kept])
    time.sleep(600)


class Net(nn.Module):
    """Dropout, so that the order of random numbers matters."""

    def __init__(self, mood: str = "", fifo: str = "") -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 10))
        self.mood, self.fifo = mood, fifo

    def forward(self, x):
        logits = self.body(x)
        if not self.training or not self.mood:
            return logits
        if self.mood == "small":
            if len(x) > 4:
                raise torch.OutOfMemoryError("tried to allocate 80 GiB")
            return logits
        if self.mood == "nan":
            return logits * float("nan")
        globals()[self.mood](*[self.fifo][: bool(self.fifo)])
        return logits
'''


class Jobs:
    """Makes jobs that train for a moment."""

    def __init__(self, datasets: Path, folder: Path) -> None:
        self._datasets, self._folder = datasets, folder
        sys.modules.pop("misbehaving", None)  # of another folder
        (folder / "misbehaving.py").write_text(NETS)
        self._family = load_family("misbehaving:Net", "test", [folder])
        self._count = 0

    def make(self, mood: str = "", *, fifo: str = "", resume: tuple[str, ...] = (), **changes: Any) -> Job:  # fmt: skip
        """A job of its own trial; `resume` makes it another attempt."""
        config = self._family.config(mood=mood, fifo=fifo)
        return self.of(config, resume=resume, **changes)

    def of(self, config, *, resume=(), seed=0, kind="final", **changes) -> Job:
        self._count += 1
        data = DataConfig(name="digits", limit=96)
        train = TrainConfig(**({"epochs": 2, "batch": 16} | changes))
        folder = self._folder / f"attempt-{self._count}"
        folder.mkdir()
        return Job(
            trial=f"t{self._count}",
            attempt=1 + len(resume),
            recipe=Recipe(model=config, data=data, train=train).model_dump(mode="json"),
            image=image_spec(data).model_dump(mode="json"),
            seed=seed,
            kind=kind,
            folder=str(folder),
            resume=resume,
            data=str(self._datasets),
            folders=(str(self._folder),),
        )
