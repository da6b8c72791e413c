"""The machine a trial runs on: what it is, and the memory the trial takes."""

import contextlib
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from swinablate.config.train import TrainConfig
from swinablate.models.layers.attention import DotProduct
from swinablate.models.layers.banded import Banded


def forget_peak(device: torch.device) -> None:
    """Start counting memory afresh: a warm worker has run other trials."""
    if device.type == "cuda":
        torch.cuda.current_device()  # wakes torch, which before its first tensor has no device
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):  # Linux only; elsewhere the peak is the worker's
            # 5 resets the peak of resident memory (VmHWM). Source: proc_pid_clear_refs(5).
            Path("/proc/self/clear_refs").write_text("5")


def peak_mib(device: torch.device) -> float:
    """Largest memory of this trial: the device's for a GPU, the whole process for a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
        return int(next(x for x in lines if x.startswith("VmHWM:")).split()[1]) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, others KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def gpu_memory(device: torch.device) -> dict[str, float]:
    """What is free of a device, and the most that this process has held of it, in MiB.

    Of a GPU what torch keeps for later counts as held: no other process gets it. Of a machine
    (Linux only, and for tests) it is the memory that programs can still get.
    """
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        return {
            "free_mib": free / 2**20,
            "held_mib": torch.cuda.max_memory_reserved(device) / 2**20,
        }
    lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
    free = int(next(x for x in lines if x.startswith("MemAvailable:")).split()[1])
    return {"free_mib": free / 2**10, "held_mib": peak_mib(device)}


REFUSED = ("can't allocate memory", "not enough memory")
"""What torch's allocator for CPUs says in a plain RuntimeError, on Linux and on Windows; only
GPUs have an error class of their own."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device's or the machine's memory was too small."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in REFUSED)


ALERTS = (" does not have a deterministic implementation", "this operation is not deterministic")
"""What torch says of an operation that it refuses, in a plain RuntimeError."""


def without_determinism(error: BaseException) -> str | None:
    """The operation that has no deterministic form, where that is what an error says."""
    said = str(error)
    if not isinstance(error, RuntimeError) or not any(words in said for words in ALERTS):
        return None
    name, found, _ = said.partition(ALERTS[0])
    return name if found else "cuBLAS"


def execution(train: TrainConfig, device: torch.device) -> dict[str, Any]:
    """What the numbers depend on besides the recipe; equal for one execution class.

    Options that came later stand here only where they are not off, so that the class of
    older records is still the class of the same trial today. On a GPU it says which operations
    round to TF32, as torch has it now, since that is not one setting there.
    """
    later = {
        "matmul": (train.matmul, "highest"),
        "channels_last": (train.channels_last, False),
        "compile": (train.compile, False),
        "world": (train.world, 1),
        "tf32": (_tf32(device), ""),
    }
    return {
        "device": device_name(device),
        "type": device.type,
        "precision": train.precision,
        "threads": train.threads,
        "fused": 1,
        "torch": torch.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        **{key: now for key, (now, off) in later.items() if now != off},
    }


def rounding(model: nn.Module, train: TrainConfig, device: torch.device) -> dict[str, int]:
    """What execution says of how a network rounds, where that is not as it is written.

    "banded": a band that is cut to tiles is another sum. "attention": 2 has torch's own kernel for
    many tokens in 16 bits on a GPU.
    """
    parts = [m for m in model.modules() if isinstance(m, DotProduct)]
    found = {"banded": 1} if any(isinstance(m, Banded) for m in parts) else {}
    if device.type == "cuda" and train.precision != "fp32" and any(m.kernel for m in parts):
        found["attention"] = 2
    return found


def _tf32(device: torch.device) -> str:
    """What computes in TF32: "products", "convolutions", both, or nothing."""
    if device.type != "cuda":
        return ""
    backends = {
        "products": torch.get_float32_matmul_precision() != "highest",
        "convolutions": torch.backends.cudnn.allow_tf32,
    }
    return " and ".join(name for name, on in backends.items() if on) or "nothing"


def reseed(seed: int, device: torch.device) -> None:
    """Set the global generators that code on a device draws from, as `torch.manual_seed` does.

    That sets those of every other kind of device too, at every step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed_all(seed)


def device_name(device: torch.device) -> str:
    """The model of a GPU, or of the processor."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name()


def cpu_name() -> str:
    """The processor's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "CPU"


def model_of(device: str) -> str:
    """The model of what it ran on, asked of the driver: no memory of a GPU is taken for that."""
    if device == "cpu":
        return cpu_name()
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return device.partition(":")[0]
    own = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0]
    asked = subprocess.run(
        [tool, "--query-gpu=name", "--format=csv,noheader", *(["--id", own] if own else [])],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip().partition("\n")[0] or device.partition(":")[0]
