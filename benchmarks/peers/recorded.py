"""Studies that nobody trained: records as trials leave them, with numbers that are made up."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from jaxtyping import Float

from swinablate.config.train import TrainConfig
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome
from swinablate.records.plan import ArmRecord, CompareRecord, PlanRecord
from swinablate.records.seal import seal

STUDY = "recorded"
EPOCHS, IMAGES = 10, 10_000
SD = 0.4
"""Points between seeds, about what small networks on small images have."""
TRAIN = {**vars(TrainConfig(epochs=EPOCHS)), "batch": 128}
SIZE = {"height": 32, "width": 32, "channels": 3, "classes": 10}


def record(home: Home, arms: int, seeds: int) -> None:
    """Declare a study and record all its trials.

    Args:
        home: where; it is created.
        arms: how many, the baseline among them.
        seeds: of every arm.
    """
    home.create()
    plan = PlanRecord(
        study=STUDY,
        declaration="0" * 64,
        compare=CompareRecord(rope=0.5),
        arms=tuple(_arm(k, seeds) for k in range(arms)),
    )
    for outcome in _outcomes(plan):
        folder = home.trials / outcome.trial
        folder.mkdir()
        # `Home.commit` waits for the disk twice a trial: minutes that nobody measures here.
        (folder / "result.json").write_text(seal(asdict(outcome)), "utf-8")
    home.declare(plan)


def table(path: Path, arms: int, seeds: int) -> None:
    """The same results as `analyze` reads them: a CSV file of arms, seeds and values."""
    chance = np.random.default_rng(0)
    values = _means(arms, chance).repeat(seeds) + SD * chance.normal(size=arms * seeds)
    rows = (f"{_name(i // seeds)},{i % seeds},{value:.2f}" for i, value in enumerate(values))
    path.write_text("\n".join(["arm,seed,value", *rows, ""]), "utf-8")


def _name(arm: int) -> str:
    return f"model.stage_{arm}=false" if arm else "baseline"


def _means(arms: int, chance: np.random.Generator) -> Float[np.ndarray, " n"]:
    return 90.0 - np.abs(chance.normal(0, 1.0, arms))


def _arm(number: int, seeds: int) -> ArmRecord:
    name = _name(number)
    changes = {f"model.stage_{number}": False} if number else {}
    return ArmRecord(
        name=name,
        changes=changes,
        recipe={
            "model": {"family": "swin", "width": 16, **changes},
            "data": {"name": "cifar10", "resample_split": False},
            "train": TRAIN,
        },
        image=SIZE,
        params=34_000 + 10 * number,
        macs=1_900_000 * (1 + number % 7),
        seeds=tuple(range(seeds)),
        trials=tuple(hashlib.sha256(f"{name} {s}".encode()).hexdigest() for s in range(seeds)),
    )


def _outcomes(plan: PlanRecord) -> Iterator[Outcome]:
    chance = np.random.default_rng(0)
    for arm, centre in zip(plan.arms, _means(len(plan.arms), chance), strict=True):
        for seed, trial in zip(arm.seeds, arm.trials, strict=True):
            yield _outcome(arm, seed, trial, float(centre + SD * chance.normal()))


def _outcome(arm: ArmRecord, seed: int, trial: str, accuracy: float) -> Outcome:
    curve = tuple(
        {
            "epoch": float(epoch),
            "at": 1.7e12 + 1000.0 * epoch,
            "train/loss": 2.3 * math.exp(-epoch / 3),
            "val/accuracy": accuracy - 60 * math.exp(-epoch / 2),
            "time/epoch_s": 1.4,
            "time/images_per_s": 980.0,
        }
        for epoch in range(1, EPOCHS + 1)
    )
    metrics = {
        "test/accuracy": round(accuracy * IMAGES / 100) / IMAGES * 100,
        "test/balanced_accuracy": accuracy,
        "test/f1_macro": accuracy,
        "test/loss": 0.4,
        "test/ece": 2.5,
        "test/top5": 99.0,
        "train/eval_accuracy": accuracy + 2,
        "train/eval_loss": 0.3,
        "val/accuracy": accuracy,
        "train/loss": 0.3,
        "time/train_s": 14.0,
        "time/images_per_s": 980.0,
        "memory/peak_mib": 400.0,
        "epochs": float(EPOCHS),
    }
    return Outcome(
        trial=trial,
        seed=seed,
        kind="final",
        recipe=arm.recipe,
        image=arm.image,
        status="done",
        attempt=1,
        metrics=metrics,
        curve=curve,
        execution={"device": "made up", "dtype": "fp32", "threads": 1},
        provenance={"swinablate": "made up"},
        predictions={"images": IMAGES, "sha256": trial},
        started_at=1_700_000_000_000,
        finished_at=1_700_000_014_000,
        elapsed_s=14.0,
    )
