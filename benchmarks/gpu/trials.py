"""Whole trials on a GPU: their bits, their waits, what they refuse."""

import cProfile
import os
import pstats
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from benchmarks.gpu.common import PATIENCE_S, RECIPES, Found, Where
from benchmarks.peers.steps import noise
from swinablate.data import image_spec, prepare
from swinablate.records.events import Job, aside
from swinablate.study.arms.recipes import load_recipe
from swinablate.training.ahead.rehearsal import rehearse
from swinablate.training.fit import Stopped, build, fit
from swinablate.training.fused.fit import fit_fused
from swinablate.training.fused.fit import prepare as prepare_many
from swinablate.training.graphs import OFF, SETTLED, Recorded
from swinablate.training.precision import settle
from swinablate.training.step import make_learner


def digits(
    where: Where,
    name: str,
    recipe: str = "swin_digits",
    model: Mapping[str, Any] = MappingProxyType({}),
    **train: Any,
) -> Job:
    """A trial of the quick start's network, or another's, in a folder of its own."""
    made = load_recipe(RECIPES / f"{recipe}.toml")
    plain = {"precision": "fp32", "matmul": "highest", "channels_last": False, "compile": False}
    made = made.model_copy(
        update={
            "train": made.train.model_copy(update=plain | train),
            "model": made.model.model_copy(update=dict(model)),
        }
    )
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
    train: dict[str, Any] = {"epochs": 2, "compile": compiled}
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


def _in_time(where: Where, found: Found) -> Iterator[Path]:
    """The shipped recipes, as long as there is patience; `found` says of the others so."""
    began = time.perf_counter()
    for path in sorted(RECIPES.glob("*.toml"))[: 3 if where.tiny else None]:
        if time.perf_counter() - began > PATIENCE_S:
            found[path.stem] = "not tried"
        else:
            yield path


def families(where: Where) -> Found:
    """Every shipped recipe takes one deterministic step; what is refused, and what fails."""
    found: Found = {}
    for path in _in_time(where, found):
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


MIXED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "swin_digits": ({"select": "best_val", "ema": 0.9}, {}),
    "vit_digits": ({"precision": "bf16", "accumulate": 2}, {"drop": 0.1, "drop_path": 0.1}),
    "resnet_digits_sgd": ({"channels_last": True}, {}),
    "densenet_digits": ({}, {}),
    "post002_digits": ({}, {}),
    "vgg_digits": ({"label_smoothing": 0.1}, {}),
}
"""Recipe -> changes of [train] and [model]: all that a recorded step could get wrong."""
SEEDS = 3


def unchanged(where: Where) -> Found:
    """Trials whose steps are recorded against the same trials step by step: equal bit for bit."""
    found: Found = {}
    for name, (train, model) in list(MIXED.items())[: 1 if where.tiny else None]:
        ends = {}
        for way in ("0", "1"):
            with environ(OFF, way):
                ends[way] = fit(
                    digits(where, f"{name}{way}", name, model, epochs=3, **train),
                    silent,
                    lambda: False,
                )
        found[name] = _against(ends["0"], ends["1"])
    jobs: dict[str, list[Job]] = {}
    for way in ("0", "1"):
        drop = {"drop": 0.1, "drop_path": 0.1}
        made = digits(where, f"many{way}", "swin_digits", drop, epochs=3, precision="bf16")
        jobs[way] = [_seeded(made, seed, where) for seed in range(SEEDS)]
    many = {}
    for way, each in jobs.items():
        with environ(OFF, way):
            many[way] = fit_fused(prepare_many(each), silent, lambda: False)
    for seed in range(SEEDS):
        one, other = (many[way][jobs[way][seed].trial] for way in ("0", "1"))
        found[f"as one, seed {seed}"] = _against(one, other)
    return found


def _seeded(job: Job, seed: int, where: Where) -> Job:
    folder = where.folder / f"{job.trial}-{seed}"
    folder.mkdir()
    return replace(job, trial=f"{job.trial}-{seed}", seed=seed, folder=str(folder))


def _against(eager: Any, other: Any) -> Found:
    return {
        "equal": [eager[part] for part in ("predictions",)] == [other["predictions"]]
        and eager["metrics"]["train/loss"] == other["metrics"]["train/loss"],
        "graph": other["execution"].get("graph", 0),
        "train_s": [one["metrics"]["time/train_s"] for one in (eager, other)],
    }


@contextmanager
def environ(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


LARGE = 64
"""Pixels a side from which a batch is small: what is asked is whether a step is recorded."""


def recorded(where: Where) -> Found:
    """Every shipped recipe: whether its steps are recorded, or why not."""
    found: Found = {}
    for path in _in_time(where, found):
        made = load_recipe(path)
        image = image_spec(made.data)
        batch = min(made.train.batch, 8 if image.height > LARGE else 64)
        plain: dict[str, Any] = {"precision": "bf16", "matmul": "highest", "channels_last": False}
        changes = plain | {"compile": False, "batch": batch}
        made = made.model_copy(update={"train": made.train.model_copy(update=changes)})
        try:
            settle(made.train)
            learner = make_learner(build(made, image, 0), made.train, where.device)
            x, y = noise(batch, image, where.device)
            for _ in range(SETTLED + 2):
                learner.step(x, y)
            where.wait()
            kept = learner.gradients
            graph = isinstance(kept, Recorded) and kept.why is None
            found[path.stem] = "graph" if graph else getattr(kept, "why", "eager")
        except Exception as error:  # noqa: BLE001  one recipe's fault is a finding
            found[path.stem] = f"{type(error).__name__}: {error}"[:300]
        del learner
    return found


def python(where: Where) -> Found:
    """Where Python's time goes in a trial whose steps are recorded, the largest first."""
    job = digits(where, "profiled", epochs=2 if where.tiny else 30)
    fit(digits(where, "before", epochs=1), silent, lambda: False)
    profile = cProfile.Profile()
    profile.runcall(fit, job, silent, lambda: False)
    stats = pstats.Stats(profile)
    rows = sorted(stats.stats.items(), key=lambda row: -row[1][2])[:40]  # type: ignore[attr-defined]
    return {
        f"{Path(file).name}:{line}:{name}": [round(own, 4), round(whole, 4), calls]
        for (file, line, name), (_, calls, own, whole, _callers) in rows
    }
