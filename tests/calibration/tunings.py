"""Arms that are tuned and are the same: how often they are called better, worse, or turned.

`python -m tests.calibration.tunings --families 400` prints the table of
`benchmarks/results/calibration.md`. Everything but the training is the product's own: the plan,
Optuna's suggestions, what is due, what is chosen, what is judged. A training is made up: how its
accuracy depends on what is tuned is one of three surfaces. `surfaces.py` has as many families as
one likes of a model of it.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from math import log10
from pathlib import Path

import numpy as np

from swinablate.records.outcome import Outcome
from swinablate.records.plan import PlanRecord, Row
from swinablate.records.tables import trials_table
from swinablate.report.families.tuned_effects import tuned_effects
from swinablate.scheduling.due import State, due
from swinablate.scheduling.suggest import advance
from swinablate.stats import TUNED, TUNED_CONTRASTS, verdicts
from swinablate.study.declared import declaration
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Noise
from swinablate.study.plan import Plan
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan

RECIPE = """\
[model]
family = "vit"
patch = 4
width = 8
depth = 1
heads = 1
[data]
name = "digits"
[train]
epochs = 1
lr = 3e-3
weight_decay = 1e-2
"""
STUDY = """\
question = "Are arms the same that are the same?"
baseline = "recipe.toml"
seeds = {seeds}
[axes]
"train.stream" = [{streams}]
[tune]
trials = {tries}
repeats = {repeats}
space = {{ {space} }}

[[contrasts]]
name = "two arms"
of = {{ "stream=a0" = 1, "stream=a1" = -1 }}
[[contrasts]]
name = "a difference of differences"
of = {{ "stream=a0" = 1, "stream=a1" = -1, "stream=a2" = -1, "baseline" = 1 }}
"""
RATE = '"train.lr" = { low = 3e-4, high = 3e-2, log = true }'
DECAY = '"train.weight_decay" = { low = 1e-3, high = 1e-1, log = true }'
PEAK = 90.0  # percent
VALIDATION, TEST = 0.5, 0.3  # sd of either accuracy over seeds, points
BEST = (1e-3, 1e-2)
"""The best learning rate lies between, at another place in every study."""


@dataclass(frozen=True, kw_only=True)
class Surface:
    """How accuracy depends on what is tuned.

    Attributes:
        space: what is tuned, as a study file has it.
        below: points below the peak, from the decades by which the learning rate and the weight
            decay miss their best.
    """

    space: str
    below: Callable[[np.ndarray, np.ndarray], np.ndarray]


def valley(rate: np.ndarray, decay: np.ndarray) -> np.ndarray:
    """The product of both is what matters, within two tenths of a decade or so."""
    return np.minimum(40 * (rate + decay) ** 2 / 2 + (rate - decay) ** 2 / 2, 20.0)


SURFACES = {
    "bowl": Surface(space=RATE, below=lambda rate, decay: 4 * rate**2),
    "flat": Surface(space=RATE, below=lambda rate, decay: 0 * rate),
    "narrow valley": Surface(space=f"{RATE}, {DECAY}", below=valley),
}
"""Every tuning finds the bottom of a bowl; on a flat surface what it finds is luck alone; few find
the bottom of a valley that twelve tries hardly hit."""


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Shares of studies in which nothing differs.

    Attributes:
        called: some tuned arm is called better or worse.
        among: some declared contrast of tuned arms is.
        missed: some interval misses 0, whatever is said of it.
        turned: some arm's sign is said to flip (W16).
        opposite: some arm's two estimates have opposite signs, of which W16 spoke before.
        half: mean half-width of an interval, points.
    """

    called: float
    among: float
    missed: float
    turned: float
    opposite: float
    half: float


def study(
    repeats: str, *, surface: str = "bowl", arms: int = 4, seeds: int = 5, tries: int = 12
) -> Plan:
    """A study whose arms differ in their random stream alone."""
    streams = ", ".join(f'"a{i}"' for i in range(arms))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.toml"
        path.with_name("recipe.toml").write_text(RECIPE)
        path.write_text(
            STUDY.format(
                seeds=seeds,
                streams=streams,
                tries=tries,
                repeats=repeats,
                space=SURFACES[surface].space,
            )
        )
        return plan(load_study(path))


def outcome(row: Row, surface: str, best: float, family: int) -> Outcome:
    """A made-up training; the same trial of the same family has the same end."""
    rng = np.random.default_rng([family, int(row.trial[:15], 16)])
    train = row.arm.recipe["train"]
    miss = np.array([log10(train["lr"]) - best, log10(train["weight_decay"] / 1e-2)])
    mean = PEAK - float(SURFACES[surface].below(*miss))
    metrics = {"val/accuracy": mean + VALIDATION * rng.standard_normal()}
    if row.kind == "final":
        metrics["test/accuracy"] = mean + TEST * rng.standard_normal()
    return Outcome(
        trial=row.trial, seed=row.seed, kind=row.kind, attempt=1, status="done", recipe={},
        image={}, metrics=metrics, predictions={}, failure=None, started_at=0, finished_at=1,
    )  # fmt: skip


def play(made: Plan, surface: str, family: int) -> tuple[PlanRecord, dict[str, Outcome]]:
    """Run a study to its end: the plan with its ledger, and all records."""
    best = np.random.default_rng(family).uniform(*map(log10, BEST))
    declared, recorded = plan_record(made, {}, Noise(None, "")), {}
    while True:
        state = advance(made, State.of(declared, recorded), lambda _: {})
        rows = list(due(state).upcoming())
        if not rows:
            return state.plan, recorded
        declared = state.plan
        recorded |= {row.trial: outcome(row, surface, best, family) for row in rows}


def judged(made: Plan, surface: str, family: int) -> tuple[float, ...]:
    """One study: the fields of `Rates`, in their order."""
    declared, recorded = play(made, surface, family)
    trials = trials_table(declared, recorded)
    asked = declaration(declared, trials)
    fixed = verdicts(trials.rename(columns={"test_acc": "value"}), asked, complete=True)
    found = tuned_effects(declared, asked, recorded, fixed, ended=True)
    arms = [one for one in found.effects if one.contrast.family == TUNED]
    ends = np.array([(one.ci_low, one.ci_high) for one in arms], dtype=float)
    called = {one.contrast.family for one in found.effects if one.verdict in {"better", "worse"}}
    assert not any(one.verdict in {"pending", "not tested"} for one in found.effects)
    return (
        TUNED in called,
        TUNED_CONTRASTS in called,
        bool(((ends[:, 0] > 0) | (ends[:, 1] < 0)).any()),
        any(warn.code == "W16" for warn in found.warnings),
        any(arm["fixed_pp"] * arm["tuned_pp"] < 0 for arm in found.summary["arms"][1:]),
        float((ends[:, 1] - ends[:, 0]).mean() / 2),
    )


def rates(
    repeats: str, families: int, *, surface: str = "bowl", start: int = 0, **size: int
) -> Rates:
    """Of many studies of one kind."""
    made = study(repeats, surface=surface, **size)
    found = np.array(
        [judged(made, surface, start + family) for family in range(families)], dtype=float
    )
    return Rates(**dict(zip(Rates.__annotations__, found.mean(axis=0).tolist(), strict=True)))


def report(families: int, workers: int) -> Iterator[str]:
    """The table, in Markdown, line by line."""
    yield f"{families} families a row, {time.strftime('%Y-%m-%d')}."
    yield ""
    yield (
        "| surface | repeats | an arm is called | a contrast is called | an arm's interval misses 0 "
        "| W16 | opposite signs | half-width (pp) |"
    )
    yield "|---|---|" + "---:|" * 6
    share = families // workers
    with ProcessPoolExecutor(workers) as pool:
        for surface, repeats in product(SURFACES, ('"seed"', "3", "1")):
            parts = [
                pool.submit(rates, repeats, share, surface=surface, start=i * share)
                for i in range(workers)
            ]
            found = [part.result() for part in parts]
            cells = []
            for name in ("called", "among", "missed", "turned", "opposite"):
                p = float(np.mean([getattr(one, name) for one in found]))
                cells.append(f"{p:.3f} ± {(p * (1 - p) / (share * workers)) ** 0.5:.3f}")
            half = float(np.mean([one.half for one in found]))
            yield f"| {surface} | {repeats} | " + " | ".join(cells) + f" | {half:.2f} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", type=int, default=400)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    for line in report(options.families, options.workers):
        print(line, flush=True)
