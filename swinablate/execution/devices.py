"""Where trials run: which devices there are, how many trials at a time, and what a GPU refuses."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from swinablate.config.code import imports
from swinablate.errors import InputError
from swinablate.execution.executor import Execution, PerGpu, Slot
from swinablate.execution.executors.local import EXECUTOR
from swinablate.records.events import ENDINGS, Batch, Event, aside
from swinablate.records.provenance import cores
from swinablate.study.plan import Arm, Plan
from swinablate.training.ahead.rehearsal import ONE_WAY_OUT

CROWD = 8
"""Slots of a core that are still believed to be meant: two already take longer than one by one,
and a worker takes 0.2 GiB."""
LOOK_S = 0.5
"""How long to wait for an event before waiting again: nothing else is to be done meanwhile."""


def slots_of(
    elsewhere: Callable[[], list[Slot]] | None,
    plan: Plan,
    wanted: int | None,
    where: str,
    per_gpu: PerGpu = None,
) -> list[Slot]:
    """Where trials run: what the executor says of other machines, else those of this one.

    Raises:
        InputError: as `choose_slots` does.
    """
    if elsewhere is None:
        return choose_slots(wanted, where, plan, per_gpu)
    if where != "auto":
        raise InputError(
            "which device a trial gets, the cluster says",
            at="--devices",
            hint="leave it out; --gpus-per-node asks for GPUs",
        )
    slots = elsewhere()
    refuse_fp16([slot.device for slot in slots], plan)
    return slots


def choose_slots(wanted: int | None, where: str, plan: Plan, per_gpu: PerGpu = None) -> list[Slot]:
    """Where trials run: one GPU a slot where there are GPUs, else as many as cores allow.

    A trial that trains on several GPUs has a slot of so many, and so has every other of its study.

    Args:
        wanted: slots; None is as many as fit.
        where: as `--devices` says.
        plan: the study.
        per_gpu: slots of each GPU, instead of `wanted`.

    Raises:
        InputError: a device that does not exist, no slot at all, far more than there are cores,
            fewer GPUs than a trial trains on, or beside CPUs, or one twice, fp16 without a GPU, or
            GPUs to be shared that are none or that each trial has several of.
    """
    devices = find_devices(where)
    refuse_fp16(devices, plan)
    trains = [arm.recipe.train for arm in plan.arms]
    threads = max(train.threads * train.world for train in trains)
    asked = max(train.world for train in trains)
    _check_kinds(devices, asked)
    world = asked if "cpu" not in devices else 1
    groups = [devices[i : i + world] for i in range(0, len(devices) - world + 1, world)]
    if not groups:
        raise InputError(
            f"a trial trains on {world} GPUs, and there are {len(devices)}",
            at="train.world",
            hint=f"set train.world = {len(devices)} or less, or give more --devices",
        )
    if per_gpu == "auto" and len(plan.networks) < len(plan.arms):
        raise InputError(
            "a command does not say how much memory of a GPU it takes",
            at="--per-gpu",
            hint="give a number: --per-gpu 2 runs two trials at a time on each GPU",
        )
    if per_gpu is not None:
        _check_shared(wanted, devices, world)
        wanted = len(devices) * (CROWD if per_gpu == "auto" else per_gpu)
    fit = len(groups) if devices != ["cpu"] else max(1, cores() // threads)
    count = fit if wanted is None else wanted
    if count < 1:
        raise InputError(f"{count} slots run nothing", at="--slots", hint="give 1 or more")
    most = CROWD * max(cores(), len(devices))
    if count > most:
        raise InputError(
            f"{count} slots, and {cores()} cores: every slot is a process of its own",
            at="--slots",
            hint=f"give {fit}, as many as run well here, and at most {most}",
        )
    used = [groups[i % len(groups)] for i in range(count)]
    measured = per_gpu == "auto"
    return [
        Slot(index=i, device=first, further=tuple(rest), measured=measured)
        for i, (first, *rest) in enumerate(used)
    ]


def check_here(per_gpu: PerGpu, executor: str) -> None:
    """Refuse to share GPUs where this machine's workers do not train.

    Raises:
        InputError: another executor says where trials run.
    """
    hints = {
        "serial": "it trains one trial at a time, for debuggers; leave it out",
        "ray": "--gpus-per-trial 0.5 puts two trials on each GPU of a Ray cluster",
    }
    if per_gpu is not None and executor != "local":
        raise InputError(
            f"this machine's GPUs are shared by --executor local, not by {executor!r}",
            at="--per-gpu",
            hint=hints.get(executor, "leave it out: each worker there has a GPU of its own"),
        )


def _check_kinds(devices: Sequence[str], world: int) -> None:
    """Refuse what a trial on several devices cannot be dealt out to."""
    if world == 1 or set(devices) == {"cpu"}:
        return
    why = ""
    if "cpu" in devices:
        why = f"a trial trains on {world} devices of one kind, and CPUs are among these"
    elif twice := next((one for one in devices if devices.count(one) > 1), None):
        why = f"a trial trains on {world} GPUs, and {twice} is named twice"
    if why:
        raise InputError(why, at="--devices", hint="name each GPU once, or cpu alone")


def _check_shared(wanted: int | None, devices: Sequence[str], world: int) -> None:
    at = "--per-gpu"
    if "cpu" in devices:
        raise InputError(
            "trials would run on a CPU, which is no GPU to share",
            at=at,
            hint="--slots says how many trials train at a time on a CPU",
        )
    if wanted is not None:
        raise InputError(
            "--slots says the same of all GPUs together",
            at=at,
            hint="give one of the two",
        )
    if world > 1:
        raise InputError(
            f"a trial of this study trains on {world} GPUs, and has them alone",
            at=at,
            hint="leave it out, or set train.world = 1",
        )


def gpus_each(slots: Sequence[Slot], *, here: bool) -> float:
    """How many GPUs a trial holds: a share of one where slots outnumber them; 0 on a CPU.

    Where GPUs are shared by measured memory, trials say themselves what they had.

    Args:
        slots: where trials run.
        here: on this machine; elsewhere each slot has a GPU of its own, whatever its number.
    """
    held = [one for slot in slots for one in (slot.device, *slot.further) if one != "cpu"]
    return len(set(held) if here else held) / len(slots)


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


def refuse_fp16(devices: Sequence[str], plan: Plan) -> None:
    """Refuse a format that CPUs have not.

    Raises:
        InputError: an arm asks for it, and a trial would run on a CPU.
    """
    halved = [arm.name for arm in plan.arms if arm.recipe.train.precision == "fp16"]
    if halved and "cpu" in devices:
        raise InputError(
            'train.precision = "fp16" is for GPUs, and a trial would run on a CPU',
            at=f"arm {halved[0]!r}",
            hint='"bf16" is the short format that CPUs have',
        )


def refused_by_gpu(plan: Plan) -> list[str]:
    """A line for every arm that cannot train on this machine's GPU; none where there is none.

    A worker looks, so that no CUDA context is opened here.
    """
    device = find_devices("auto")[0]
    if device == "cpu" or not plan.networks:
        return []
    with tempfile.TemporaryDirectory() as logs:
        execution = EXECUTOR.open([Slot(index=0, device=device)], Path(logs), lambda: False)
        try:
            return rehearsed(plan, execution)
        finally:
            execution.close()


def rehearsed(plan: Plan, execution: Execution) -> list[str]:
    """Let every arm take one step; a line for each that cannot."""
    return [line for arm in plan.networks if (line := _line(arm, _answer(arm, execution)))]


def _line(arm: Arm, told: Event) -> str:
    if told.kind != "done":
        return f"{arm.name}: one step fails: {told.data.get('message', told.kind)}"
    if operation := told.data["refused"]:
        device = told.data["device"]
        return f"{arm.name}: {operation} has no deterministic form on {device}; {ONE_WAY_OUT}"
    return ""


def _answer(arm: Arm, execution: Execution) -> Event:
    job = aside(
        "rehearsal",
        arm.recipe.model_dump(mode="json"),
        arm.shown,
        imports.folders(arm.recipe.model.family),
    )
    execution.submit(Batch(jobs=(job,)))
    while True:
        for happened in execution.poll(LOOK_S):
            if happened.kind in ENDINGS:
                return happened
