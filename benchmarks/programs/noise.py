"""Whether the sources of noise add up: `python -m benchmarks.programs.noise SETTINGS SEEDS`.

A small network is trained on the digits with one generator drawn anew and all others kept, for
each generator in turn: initial weights (init), order of the images (order), their changes
(augment), dropped branches (drop), the cut of training and validation images (split). What is
kept is one of SETTINGS, and each source is drawn SEEDS times in every one of them, so that the
variance within a setting is the mean over what may be kept: Sobol's total effect. Were the
training's four sources to add up, their variances would sum to that of all four at once; they sum
to more exactly where they act together.

The loop is the product's step by step with a seed for each generator; with one seed for all it
gives the very answers of the product's own trial, which is checked before anything is measured.

Source: Summers and Dinneen 2021, ICML (arXiv:2103.04514); Sobol 2001, Math. Comput. Simul. 55,
271 (total effects).
"""

import math
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.stats import chi2, f

from swinablate.config.recipe import Recipe, derive
from swinablate.config.weights import evolved
from swinablate.data import image_spec, prepare
from swinablate.data.augment.pipeline import augmentation
from swinablate.data.batches import epoch_order, eval_batches, train_batches
from swinablate.data.rng import of_step
from swinablate.data.splits import load_splits
from swinablate.records.events import Job
from swinablate.study.arms.recipes import load_recipe
from swinablate.training.fit import build, fit
from swinablate.training.machine import reseed
from swinablate.training.optim import rate, set_rate
from swinablate.training.precision import settle
from swinablate.training.step import make_learner

RECIPE = Path(__file__).parent.parent.parent / "experiments" / "vit_digits.toml"
SMALL = {"train.epochs": 10, "data.rotate": 10.0, "model.drop_path": 0.1}
"""A network that trains in seconds, with every source of noise on."""
TRAINING = ("init", "order", "augment", "drop")
SOURCES: Mapping[str, tuple[str, ...]] = {
    **{one: (one,) for one in TRAINING},
    "all four of training": TRAINING,
    "split": ("split",),
    "training and split": (*TRAINING, "split"),
}
LEVEL = 0.95
"""Of the intervals."""
Values = NDArray[np.float64]


def trained(recipe: Recipe, root: Path, seeds: Mapping[str, int]) -> tuple[float, float]:
    """Accuracy in percent and loss on the test images, of a seed for each generator."""
    train, stream, device = recipe.train, recipe.train.stream, torch.device("cpu")
    data = recipe.data.model_copy(update={"split_seed": seeds["split"]})
    splits = load_splits(data, root, 0, stream, device)
    augment = augmentation(data, image_spec(data))
    model = build(recipe, image_spec(data), seeds["init"])
    learner = make_learner(model, train, device)
    size = train.batch
    per_epoch = len(splits.train) // size
    total = train.total(per_epoch)
    for epoch in range(math.ceil(total / per_epoch)):
        learner.model.train()
        order = epoch_order(len(splits.train), seeds["order"], stream, epoch)
        draws = partial(of_step, seeds["augment"], stream, epoch)
        batches = train_batches(splits.train, augment, order, size, draws)
        for step, (x, y) in enumerate(batches):
            set_rate(
                learner.optimizer, train.peak_lr * rate(train, epoch * per_epoch + step, total)
            )
            reseed(derive(seeds["drop"], stream, "drop", epoch, step), device)
            learner.step(x, y)
    learner.model.eval()
    with torch.inference_mode():
        answers = torch.cat([learner.model(x) for x in eval_batches(splits.test)]).float()
    right = (answers.argmax(1) == splits.test.labels).float().mean().item()
    return 100 * right, F.cross_entropy(answers, splits.test.labels.long()).item()


def check(recipe: Recipe, root: Path) -> None:
    """Refuse to measure with a loop that is not the product's."""
    with tempfile.TemporaryDirectory() as folder:
        plain = {part: getattr(recipe, part).model_dump(mode="json")
                 for part in ("model", "data", "train", "start")}  # fmt: skip
        job = Job(
            trial="control", attempt=1, kind="final", seed=7, recipe=plain,
            image=image_spec(recipe.data).model_dump(mode="json"), data=str(root),
            folder=folder, resume=(), device="cpu",
        )  # fmt: skip
        theirs = fit(job, lambda *_: None, lambda: False)["metrics"]
    ours = trained(recipe, root, dict.fromkeys((*TRAINING, "split"), 7) | {"split": 0})
    wanted = (theirs["test/accuracy"], theirs["test/loss"])
    if not np.allclose(ours, wanted, rtol=1e-5):
        raise SystemExit(f"this loop gives {ours}, the product {wanted}")


def interval(variance: float, free: int) -> tuple[float, float]:
    """Of a variance; Gaussian."""
    tail = (1 - LEVEL) / 2
    return free * variance / chi2.ppf(1 - tail, free), free * variance / chi2.ppf(tail, free)


def told(groups: Values) -> str:
    """The sd over seeds, pooled over settings, with its interval."""
    variance, free = float(groups.var(axis=1, ddof=1).mean()), groups.size - len(groups)
    low, high = interval(variance, free)
    return f"{variance**0.5:.3f} [{low**0.5:.3f}, {high**0.5:.3f}]"


def ratio(parts: list[Values], whole: Values) -> str:
    """The sum of the parts' variances over that of the whole, by F.

    The sum's degrees of freedom are Satterthwaite's.
    """
    each = [float(one.var(axis=1, ddof=1).mean()) for one in parts]
    frees = [one.size - len(one) for one in parts]
    total = sum(each)
    free = total**2 / sum(v**2 / n for v, n in zip(each, frees, strict=True))
    found, other = total / float(whole.var(axis=1, ddof=1).mean()), whole.size - len(whole)
    tail = (1 - LEVEL) / 2
    low, high = found / f.ppf(1 - tail, free, other), found / f.ppf(tail, free, other)
    return f"{found:.2f} [{low:.2f}, {high:.2f}]"


def main() -> None:
    """Print the table."""
    settings, seeds = int(sys.argv[1]), int(sys.argv[2])
    recipe = evolved(load_recipe(RECIPE), SMALL, Path(), "benchmark")
    settle(recipe.train)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        prepare(recipe.data, root)
        check(recipe, root)
        found: dict[str, Values] = {}
        for name, drawn in SOURCES.items():
            rows = []
            for setting in range(settings):
                kept = dict.fromkeys((*TRAINING, "split"), 1000 + setting)
                # Every source of a draw has the draw's number; no draw's is one that is kept.
                draws = range(seeds * setting, seeds * (setting + 1))
                rows.append([
                    trained(recipe, root, kept | dict.fromkeys(drawn, draw)) for draw in draws
                ])  # fmt: skip
            found[name] = np.array(rows)
            print(f"{name}: done", file=sys.stderr, flush=True)
    print(f"{settings} settings of what is kept, {seeds} seeds in each;")
    print(f"{RECIPE.name} with {SMALL}.\n")
    print("| drawn anew | mean accuracy, % | sd of accuracy, pp | sd of loss, nats |")
    print("|---|--:|--:|--:|")
    for name, values in found.items():
        print(f"| {name} | {values[..., 0].mean():.2f} | {told(values[..., 0])} "
              f"| {told(values[..., 1])} |")  # fmt: skip
    print("\n| sum of variances to that of all at once | accuracy | loss |")
    print("|---|--:|--:|")
    sums = {
        "init, order, augment, drop to all four": (TRAINING, "all four of training"),
        "training, split to both": (("all four of training", "split"), "training and split"),
    }
    for name, (parts, whole) in sums.items():
        cells = " | ".join(
            ratio([found[one][..., k] for one in parts], found[whole][..., k]) for k in (0, 1)
        )
        print(f"| {name} | {cells} |")


if __name__ == "__main__":
    main()
