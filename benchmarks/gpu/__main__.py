"""What a GPU shows: one file of figures, the most valuable first, each by itself.

`python -m benchmarks.gpu --seconds 300 --out gpu.json`; `--device cpu --tiny` rehearses it where
there is no GPU, and its figures then mean nothing. The file is written after every case, so that
one that fails, hangs or takes the rest of the time costs no other's figures.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.common import OUT, Found, Where, clear
from benchmarks.gpu.kernels import attention, changes, kernel, miniature, profile
from benchmarks.gpu.steps import alone, arms, fused, networks, peer, processes, small, swin_t
from benchmarks.gpu.trials import (
    families,
    python,
    recorded,
    same_bits,
    syncs,
    trained,
    unchanged,
)
from benchmarks.harness import Settings
from benchmarks.suite import machine


def cases(where: Where) -> Iterator[tuple[str, Callable[[], Found]]]:
    """What there is to measure, the most valuable first."""
    yield "recorded trials are the same", lambda: unchanged(where)
    yield "recorded recipes", lambda: recorded(where)
    yield "kernels: attention", lambda: attention(where)
    yield "kernels: ViT with and without", lambda: kernel(where)
    yield "kernels: largest", lambda: profile(where)
    yield "kernels: miniature", lambda: miniature(where)
    yield "kernels: augmentation", lambda: changes(where)
    yield "Python's time", lambda: python(where)
    many = 2 if where.tiny else 16
    for form in ("bf16", "fp32"):
        made = small(where, precision=form)
        yield f"fused {many} {form}", partial(fused, made, many, where)
        yield f"alone {form}", partial(alone, made, where)
    wide = 2 if where.tiny else 32
    yield f"fused {wide} bf16", partial(fused, small(where, precision="bf16"), wide, where)
    yield "networks as one fp32", lambda: networks(where, "fp32")
    yield "networks as one bf16", lambda: networks(where, "bf16")
    yield (
        "alone compiled bf16",
        partial(alone, small(where, precision="bf16", compile=True), where),
    )
    yield from others(where)


def others(where: Where) -> Iterator[tuple[str, Callable[[], Found]]]:
    """The same bits again, Swin-T beside others', processes, and what is asked last."""
    yield "repeat and resume, eager", lambda: same_bits(where, compiled=False)
    yield "synchronising calls", lambda: syncs(where)
    yield "deterministic recipes", lambda: families(where)
    batch = 2 if where.tiny else 128
    yield f"Swin-T eager {batch}", lambda: swin_t(where, batch, compiled=False)
    yield "torchvision eager", lambda: peer(where, "torchvision", compiled=False)
    yield "timm eager", lambda: peer(where, "timm", compiled=False)
    yield f"Swin-T compiled {batch}", lambda: swin_t(where, batch, compiled=True)
    yield "timm compiled", lambda: peer(where, "timm", compiled=True)
    yield "4 processes bf16", lambda: processes(2 if where.tiny else 4, "bf16", where)
    yield "8 processes bf16", lambda: processes(2 if where.tiny else 8, "bf16", where)
    yield "repeat and resume, compiled", lambda: same_bits(where, compiled=True)
    yield "a whole trial", lambda: trained(where)
    yield "arms compiled", lambda: arms(where)
    yield f"Swin-T eager {2 * batch}", lambda: swin_t(where, 2 * batch, compiled=False)
    yield f"Swin-T compiled {2 * batch}", lambda: swin_t(where, 2 * batch, compiled=True)
    yield "alone compiled fp32", partial(alone, small(where, compile=True), where)
    yield "torchvision compiled", lambda: peer(where, "torchvision", compiled=True)
    yield "synchronising calls, clip off", lambda: syncs(where, clip=0.0)


def driver() -> str:
    """The driver's version and the card, as the driver itself says."""
    words = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def measure(where: Where, seconds: float, only: Sequence[str], out: Path) -> Mapping[str, Any]:
    """Run the cases while there is time; the file is whole after each."""
    began, found = time.perf_counter(), dict[str, Found]()
    known = machine(Settings(device=str(where.device))) | {"driver": driver()}
    for name, run in cases(where):
        spent = time.perf_counter() - began
        if only and not any(words in name for words in only):
            continue
        if spent > seconds:
            found[name] = {"skipped": f"{spent:.0f} of {seconds:.0f} s were spent"}
        else:
            try:
                clear(where)
                found[name] = run()
            except Exception as error:  # noqa: BLE001  the others are to be measured
                last = traceback.format_exc(limit=-6)
                found[name] = {"error": f"{type(error).__name__}: {error}"[:2000], "at": last}
            finally:
                if where.device.type == "cuda":
                    torch.cuda.set_sync_debug_mode("default")
            found[name]["took_s"] = time.perf_counter() - began - spent
        print(f"{time.perf_counter() - began:6.1f} s  {name}: {json.dumps(found[name])[:300]}")
        out.write_text(json.dumps({"machine": known, "cases": found}, indent=1) + "\n", "utf-8")
    return found


def main() -> int:
    """Measure; returns how many cases failed."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--device", default="cuda:0")
    words.add_argument("--seconds", type=float, default=300.0, help="no case begins after them")
    words.add_argument(
        "--only", action="append", default=[], help="cases whose name has this in it; repeatable"
    )
    words.add_argument("--out", type=Path, default=OUT)
    words.add_argument("--tiny", action="store_true", help="the smallest of everything")
    given = words.parse_args()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before cuBLAS is there
    with tempfile.TemporaryDirectory() as folder:
        where = Where(
            device=torch.device(given.device),
            round_s=0.01 if given.tiny else 0.6,
            folder=Path(folder),
            tiny=given.tiny,
        )
        found = measure(where, given.seconds, given.only, given.out)
    return sum("error" in each for each in found.values())


if __name__ == "__main__":
    sys.exit(main())
