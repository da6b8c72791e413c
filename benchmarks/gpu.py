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
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.harness import Settings
from benchmarks.peers.steps import TINY, A, noise, recipe
from benchmarks.peers.studies import program, told
from benchmarks.suite import machine
from swinablate.config.family import ImageSpec
from swinablate.config.recipe import Recipe
from swinablate.data import image_spec, prepare
from swinablate.models.cost import cost
from swinablate.models.registry import load_family
from swinablate.records.events import Job, aside
from swinablate.study.arms.recipes import load_recipe
from swinablate.training.fit import Stopped, build, fit
from swinablate.training.fused.stack import Stack
from swinablate.training.precision import settle
from swinablate.training.rehearsal import rehearse
from swinablate.training.step import make_learner

RECIPES = Path(__file__).parents[1] / "experiments"
ROUNDS, WARM = 5, 5
"""Rounds of a figure, and steps before them: torch records a CUDA graph in the third."""
PATIENCE_S = 40.0
"""For the recipes together: the largest are drawn for a minute, and are of one family."""
OUT = Path("gpu.json")
Found = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where to measure, and how much.

    Attributes:
        round_s: seconds of a round, at least.
        folder: for images and checkpoints.
        tiny: the smallest of everything, to see that it runs.
    """

    device: torch.device
    round_s: float
    folder: Path
    tiny: bool

    def wait(self) -> None:
        """Until the device has done what was asked of it."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def speed(step: Callable[[], object], images: int, where: Where) -> Found:
    """Images a second of a step in its steady state: median and range of the rounds.

    The device is waited for at the two ends of a round and never within.
    """
    began = time.perf_counter()
    for _ in range(WARM):
        step()
    where.wait()
    first = time.perf_counter() - began
    rates = []
    for _ in range(ROUNDS):
        began, steps = time.perf_counter(), 0
        while not steps or time.perf_counter() - began < where.round_s:
            # In tens: a clock that is asked after every step sees calls, not the device.
            for _ in range(10):
                step()
            steps += 10
            where.wait()
        rates.append(steps * images / (time.perf_counter() - began))
    return {"images_per_s": median(rates), "range": [min(rates), max(rates)], "first_s": first}


def peak(where: Where) -> int:
    """The most memory that tensors took since `clear`."""
    return torch.cuda.max_memory_allocated() if where.device.type == "cuda" else 0


def clear(where: Where) -> None:
    """Forget the case before."""
    torch.compiler.reset()
    if where.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def small(where: Where, **train: Any) -> Recipe:
    """Post 000's network and batch."""
    fields = TINY if where.tiny else A
    batch = 4 if where.tiny else 128
    return recipe({"family": "swin", **fields, "window": 2}, batch=batch, **train)


def alone(made: Recipe, where: Where) -> Found:
    """The training step of one trial."""
    settle(made.train)
    image = image_spec(made.data)
    learner = make_learner(build(made, image, 0), made.train, where.device)
    x, y = noise(made.train.batch, image, where.device)
    found = speed(lambda: learner.step(x, y), made.train.batch, where)
    return found | {"peak_bytes": peak(where)}


def fused(made: Recipe, replicas: int, where: Where) -> Found:
    """The step of many seeds as one graph, and its memory beside what admission expects."""
    settle(made.train)
    image = image_spec(made.data)
    models = [build(made, image, seed).to(where.device) for seed in range(replicas)]
    x, y = noise(made.train.batch, image, where.device)
    stack = Stack(models, [made.train] * replicas, x)
    xs, ys = (part.expand(replicas, *part.shape).contiguous() for part in (x, y))

    def step() -> None:
        stack.gradients(xs, ys, {})
        stack.step(1.0)

    known = cost(load_family("swin", "benchmark"), made.model, image)
    expected = 2 * known.activation_bytes * made.train.batch + 24 * known.params
    found = speed(step, replicas * made.train.batch, where)
    return found | {"peak_bytes": peak(where), "expected_bytes": replicas * expected}


def processes(count: int, precision: str, where: Where) -> Found:
    """So many processes at once on one device; their images a second add up."""
    model = {"family": "swin", **(TINY if where.tiny else A), "window": 2}
    train = {"batch": 4 if where.tiny else 128, "precision": precision}
    seconds = 1.0 if where.tiny else 8.0  # longer than they start apart
    words = (json.dumps(model), json.dumps(train), str(where.device), str(seconds))
    with ThreadPoolExecutor(count) as pool:
        spent = list(pool.map(lambda _: told(program("steps", *words), None), range(count)))
    rates = [each["units"] / each["wall_s"] for each in spent]
    return {"images_per_s": sum(rates), "range": [count * min(rates), count * max(rates)]}


def swin_t(where: Where, batch: int, *, compiled: bool) -> Found:
    """Swin-T at 224, ours, its step alone."""
    made = load_recipe(RECIPES / ("swin_digits.toml" if where.tiny else "swin_t_224.toml"))
    changes = {"batch": batch, "compile": compiled, "precision": "bf16"}
    return alone(made.model_copy(update={"train": made.train.model_copy(update=changes)}), where)


def peer(where: Where, name: str, *, compiled: bool) -> Found:
    """The same network of others, in a loop as anybody writes it."""
    batch, side = (2, 32) if where.tiny else (128, 224)
    torch.use_deterministic_algorithms(mode=False)
    torch.manual_seed(0)
    model = _theirs(name, side).to(where.device).train()
    call = torch.compile(model, mode="reduce-overhead") if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    x, y = noise(batch, ImageSpec(height=side, width=side, channels=3, classes=10), where.device)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(where.device.type, torch.bfloat16):
            loss = F.cross_entropy(call(x).float(), y)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)  # as the recipe has it
        optimizer.step()

    return speed(step, batch, where) | {"peak_bytes": peak(where)}


def _theirs(name: str, side: int) -> nn.Module:
    if name == "torchvision":
        from torchvision.models import swin_t as network

        made: nn.Module = network(weights=None)
        return made
    import timm

    plain = "swin_tiny_patch4_window7_224"
    found: nn.Module = timm.create_model(plain, img_size=side, drop_path_rate=0.2)
    return found


def digits(where: Where, name: str, **train: Any) -> Job:
    """A trial of the quick start's network, in a folder of its own."""
    made = load_recipe(RECIPES / "swin_digits.toml")
    made = made.model_copy(update={"train": made.train.model_copy(update=train)})
    prepare(made.data, where.folder / "data")
    (where.folder / name).mkdir(exist_ok=True)
    return Job(
        trial=name,
        attempt=1,
        recipe=made.model_dump(mode="json"),
        image=image_spec(made.data).model_dump(mode="json"),
        seed=0,
        kind="final",
        folder=str(where.folder / name),
        resume=(),
        data=str(where.folder / "data"),
        device=str(where.device),
    )


def silent(*_: object) -> None:
    """Take an event."""


def syncs(where: Where, **train: Any) -> Found:
    """Where real training steps wait for the device, and how often in so many steps."""
    job, asked = digits(where, f"syncs{len(train)}", epochs=1, **train), 0

    def stopping() -> bool:
        nonlocal asked
        asked += 1
        if where.device.type == "cuda" and asked in {6, 16}:  # 10 steps, of 20 or more an epoch
            torch.cuda.set_sync_debug_mode("warn" if asked == 6 else "default")
        return False

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(job, silent, stopping)
    places = [w for w in caught if "synchroniz" in str(w.message)]
    counts = Counter(f"{Path(w.filename).name}:{w.lineno}" for w in places)
    return {"steps": 10, "asked": asked, "places": dict(counts)}


def same_bits(where: Where, *, compiled: bool) -> Found:
    """Two runs alike, and one that was interrupted: whether they are equal bit for bit."""
    train = {"epochs": 2, "compile": compiled}
    tag = "c" if compiled else "e"
    once = fit(digits(where, f"{tag}1", **train), silent, lambda: False)
    again = fit(digits(where, f"{tag}2", **train), silent, lambda: False)
    cut, asked = digits(where, f"{tag}3", **train), iter(range(10**6))
    with suppress(Stopped):
        fit(cut, silent, lambda: next(asked) >= 30)  # in the second epoch
    resumed = fit(replace(cut, attempt=2), silent, lambda: False)
    loss = [found["metrics"]["train/loss"] for found in (once, again, resumed)]
    bits = [found["predictions"]["sha256"] for found in (once, again, resumed)]
    return {
        "repeat_equal": loss[0] == loss[1] and bits[0] == bits[1],
        "resume_equal": loss[0] == loss[2] and bits[0] == bits[2],
        "losses": loss,
        "execution": once["execution"],
    }


def families(where: Where) -> Found:
    """Every shipped recipe takes one deterministic step; what is refused, and what fails."""
    found: Found = {}
    began = time.perf_counter()
    for path in sorted(RECIPES.glob("*.toml"))[: 3 if where.tiny else None]:
        if time.perf_counter() - began > PATIENCE_S:
            found[path.stem] = "not tried"
            continue
        try:
            made = load_recipe(path)
            job = aside(
                "rehearsal",
                made.model_dump(mode="json"),
                image_spec(made.data).model_dump(mode="json"),
                device=str(where.device),
            )
            found[path.stem] = rehearse(job)["refused"] or "ok"
        except Exception as error:  # noqa: BLE001  one recipe's fault is a finding
            found[path.stem] = f"{type(error).__name__}: {error}"[:300]
    return found


def trained(where: Where) -> Found:
    """A whole trial of the quick start: its accuracy, and its time."""
    began = time.perf_counter()
    job = digits(where, "whole", epochs=1 if where.tiny else 15)
    ended = fit(job, silent, lambda: False)
    return {**ended["metrics"], "wall_s": time.perf_counter() - began}


def arms(where: Where) -> Found:
    """Ten compiled arms in one process: the last is as compiled as the first, and how long."""
    found: Found = {}
    for width in range(1, 3 if where.tiny else 11):
        made = small(where, compile=True)
        model = made.model.model_copy(update={"width": 16 * width})
        clear(where)
        began = time.perf_counter()
        settle(made.train)
        made = made.model_copy(update={"model": model})
        learner = make_learner(build(made, image_spec(made.data), 0), made.train, where.device)
        x, y = noise(made.train.batch, image_spec(made.data), where.device)
        for _ in range(WARM):
            learner.step(x, y)
        where.wait()
        eager = getattr(learner.forward, "eager", None)
        found[str(16 * width)] = {"eager_passes": eager, "s": time.perf_counter() - began}
    return found


def cases(where: Where) -> Iterator[tuple[str, Callable[[], Found]]]:
    """What there is to measure, the most valuable first."""
    many = 2 if where.tiny else 16
    for form in ("bf16", "fp32"):
        made = small(where, precision=form)
        yield f"fused {many} {form}", partial(fused, made, many, where)
        yield f"alone eager {form}", partial(alone, made, where)
    yield (
        "alone compiled bf16",
        partial(alone, small(where, precision="bf16", compile=True), where),
    )
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


def measure(where: Where, seconds: float, only: str, out: Path) -> Mapping[str, Any]:
    """Run the cases while there is time; the file is whole after each."""
    began, found = time.perf_counter(), dict[str, Found]()
    known = machine(Settings(device=str(where.device))) | {"driver": driver()}
    for name, run in cases(where):
        spent = time.perf_counter() - began
        if only not in name:
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
    words.add_argument("--only", default="", help="cases whose name has this in it")
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
