"""Where trials run: which devices there are, and how many trials at a time."""

import torch

from swinablate.errors import InputError
from swinablate.execution.executor import Slot
from swinablate.records.provenance import cores
from swinablate.study.plan import Plan


def choose_slots(wanted: int | None, where: str, plan: Plan) -> list[Slot]:
    """Where trials run: one GPU a slot where there are GPUs, else as many as cores allow.

    Raises:
        InputError: a device that does not exist, no slot at all, or fp16 without a GPU.
    """
    devices = find_devices(where)
    _refuse_fp16(devices, plan)
    threads = max(arm.recipe.train.threads for arm in plan.arms)
    fit = len(devices) if devices != ["cpu"] else max(1, cores() // threads)
    count = fit if wanted is None else wanted
    if count < 1:
        raise InputError(f"{count} slots run nothing", at="--slots", hint="give 1 or more")
    return [Slot(index=i, device=devices[i % len(devices)]) for i in range(count)]


def find_devices(wanted: str) -> list[str]:
    """The devices called `auto`, `cpu`, or `cuda:0,cuda:1`.

    Raises:
        InputError: a device this machine does not have.
    """
    known = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if wanted == "auto":
        return known or ["cpu"]
    devices = [device.strip() for device in wanted.split(",")]
    for device in devices:
        if device not in {"cpu", *known}:
            raise InputError(
                f"this machine has no device {device!r}",
                at="--devices",
                hint=f"known: {', '.join(['auto', 'cpu', *known])}",
            )
    return devices


def _refuse_fp16(devices: list[str], plan: Plan) -> None:
    halved = [arm.name for arm in plan.arms if arm.recipe.train.precision == "fp16"]
    if halved and "cpu" in devices:
        raise InputError(
            'train.precision = "fp16" is for GPUs, and a trial would run on a CPU',
            at=f"arm {halved[0]!r}",
            hint='"bf16" is the short format that CPUs have',
        )
