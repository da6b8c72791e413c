"""Made-up studies for the tests of figures and reports: plans and records, judged for real."""

import copy
import functools
import hashlib
import math
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ParamSpec

import numpy as np
import pandas as pd

from swinablate.records.plan import (
    ArmRecord,
    CompareRecord,
    ContrastRecord,
    Design,
    HypothesisRecord,
    LookRecord,
    NoiseRecord,
    PlanRecord,
    RefusalRecord,
    at_home,
)
from swinablate.records.scale import DatasetRecord, DatasetsRecord, RungRecord, ScaleRecord
from swinablate.records.tables import CURVES, RECALLS, TRIALS, TUNING, Confusion
from swinablate.report.families.datasets import each_of, over_sets
from swinablate.report.families.sources import sources
from swinablate.report.families.trends import trends
from swinablate.report.results import StudyResults
from swinablate.stats import Declaration, look, verdicts
from swinablate.study.arms.designs import cells
from swinablate.study.declared import declaration

P = ParamSpec("P")
EPOCHS, IMAGES = 15, 360


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """One arm: where its seeds fall, and how its trials ended."""

    name: str
    mean: float = 97.0
    sd: float = 0.4
    statuses: Sequence[str] = ("done",) * 5
    family: str = "swin"
    params: int = 34_710
    macs: int = 1_910_000
    changes: Mapping[str, Any] | None = None
    cell: bool = False
    against: str = ""


BASELINE = Sketch(name="baseline", statuses=("done",) * 10)
QUICKSTART = (
    BASELINE,
    Sketch(name="shift=false", mean=96.7, changes={"model.shift": False}),
    Sketch(
        name='position_bias="none"',
        mean=95.6,
        params=34_602,
        changes={"model.position_bias": "none"},
    ),
    Sketch(name='norm="batch"', mean=97.9, sd=0.3, changes={"model.norm": "batch"}),
    Sketch(
        name="window=4", mean=97.02, macs=2_300_000, params=34_998, changes={"model.window": 4}
    ),
    Sketch(
        name="no shift, no bias",
        mean=94.1,
        sd=0.7,
        changes={"model.shift": False, "model.position_bias": "none"},
    ),
    Sketch(name="ViT, same parameters", mean=95.1, family="vit", params=35_100, macs=2_450_000),
    Sketch(name="ResNet", mean=98.6, sd=0.25, family="resnet", params=33_900, macs=1_210_000),
)


def remembered(make: Callable[P, StudyResults]) -> Callable[P, StudyResults]:
    """What a maker of studies gave for the same arguments in this process, as a copy of its own.

    Hundreds of tests ask for a handful of studies, each of which is drawn and judged; no test
    sees what another did to its copy.
    """
    made: dict[bytes, bytes] = {}

    @functools.wraps(make)
    def again(*args: P.args, **named: P.kwargs) -> StudyResults:
        asked = pickle.dumps((args, sorted(named.items())))
        if asked not in made:
            made[asked] = pickle.dumps(make(*args, **named))
        found: StudyResults = pickle.loads(made[asked])
        return found

    return again


@remembered
def study(
    sketches: Sequence[Sketch] = QUICKSTART,
    *,
    rope: float | None = 0.5,
    hypotheses: Sequence[HypothesisRecord] = (),
    refusals: Sequence[RefusalRecord] = (),
    name: str = "quickstart",
    design: Design = "one_at_a_time",
    axes: Mapping[str, Sequence[Any]] | None = None,
    contrasts: Sequence[ContrastRecord] = (),
    confounded: Mapping[str, str] | None = None,
) -> StudyResults:
    """A recorded study, its accuracies drawn from the sketches, judged by `stats.verdicts`."""
    rng = np.random.default_rng(7)
    trials = pd.DataFrame(
        [_trial(s, seed, rng) for s in sketches for seed in range(len(s.statuses))],
        columns=[*TRIALS],
    )
    waiting = bool(trials.status.isin(["waiting", "running"]).any())
    frame = trials.rename(columns={"test_acc": "value"}).replace(
        {"status": {"running": "waiting"}}
    )
    plan = PlanRecord(
        study=name,
        question="Which parts of Swin matter on 8x8 digits?",
        declaration="3f" * 32,
        design=design,
        axes={switch: tuple(levels) for switch, levels in (axes or {}).items()},
        compare=CompareRecord(rope=rope),
        hypotheses=tuple(hypotheses),
        arms=tuple(_arm(s) for s in sketches),
        refusals=tuple(refusals),
        contrasts=tuple(contrasts),
        confounded=confounded or {},
        detectable_pp=0.81,
        noise=NoiseRecord(sd=0.4, source="10 recorded trials of the same data"),
    )
    return StudyResults(
        plan=plan,
        trials=trials,
        curves=_curves(trials, rng),
        verdicts=judged(frame, declaration(plan, trials), complete=not waiting),
        provenance=PROVENANCE,
    )


_JUDGED: dict[bytes, dict[str, Any]] = {}
"""What `judged` has said in this process."""


def judged(frame: pd.DataFrame, declared: Declaration, *, complete: bool) -> dict[str, Any]:
    """What `verdicts` says, asked once of the same numbers.

    How many seeds an arm would need is searched for, hundredths of a second an arm, and hundreds
    of tests ask for a handful of studies.
    """
    asked = pickle.dumps((frame, declared, complete))
    if asked not in _JUDGED:
        _JUDGED[asked] = verdicts(frame, declared, complete=complete).to_json()
    return copy.deepcopy(_JUDGED[asked])


@remembered
def adaptive(looks: Sequence[int] = (3, 5, 8), upto: int = 99) -> StudyResults:
    """A study that adds seeds until it knows; `upto` seeds of an arm are recorded."""
    most = looks[-1]
    sketches = [
        replace(s, statuses=("done",) * (2 * most if s is BASELINE else most)) for s in QUICKSTART
    ]
    answer = study(sketches)
    frame = answer.trials.rename(columns={"test_acc": "value"})
    frame = frame[frame.seed < frame.arm.map(lambda arm: (1 + (arm == "baseline")) * upto)]
    decided = look(frame, looks, declaration(answer.plan, answer.trials))
    mine = answer.trials.seed < answer.trials.arm.map(decided.wanted)
    plan = answer.plan.model_copy(update={"looks": tuple(LookRecord(seeds=n) for n in looks)})
    return replace(
        answer,
        plan=plan,
        trials=answer.trials[mine].reset_index(drop=True),
        verdicts=decided.verdicts.to_json(),
    )


AXES = {
    "model.shift": [False], "model.position_bias": ["none"], "model.norm": ["batch"],
    "model.mlp_ratio": [1.0], "train.lr": [0.001],
}  # fmt: skip


@remembered
def designed(design: Design, switches: int = 3) -> StudyResults:
    """A factorial, a fraction or a path of several switches, whose effects partly add up."""
    axes = dict(list(AXES.items())[:switches])
    worth = dict(zip(axes, (-0.9, -1.6, 0.8, -0.4, 0.1), strict=False))
    sketches = [replace(BASELINE, cell=True, changes={})]
    for changes in cells(design, axes, "axes"):
        both = {"model.shift", "model.position_bias"} <= set(changes)
        mean = 96 + sum(worth[switch] for switch in changes) + (1.1 if both else 0.0)
        label = ", ".join(f"{k.rpartition('.')[2]}={v}".lower() for k, v in changes.items())
        sketches.append(Sketch(name=label, mean=mean, sd=0.3, changes=changes, cell=True))
    return study(sketches, design=design, axes=axes)


@remembered
def levels() -> StudyResults:
    """Windows of a Swin, shares of the data of a Swin and of a ResNet; recipes that say so."""
    more: Mapping[str, tuple[str, Mapping[str, Any]]] = {
        "window=4": ("swin", {"model.window": 4}), "window=8": ("swin", {"model.window": 8}),
        "train_fraction=0.1": ("swin", {"data.train_fraction": 0.1}),
        "ResNet": ("resnet", {"recipe": "resnet.toml"}),
        "ResNet, 10 %": ("resnet", {"recipe": "resnet.toml", "data.train_fraction": 0.1}),
    }  # fmt: skip
    sketches = [
        Sketch(name=name, mean=96 - k, family=family, changes=changes, macs=1_000_000 * (k + 1))
        for k, (name, (family, changes)) in enumerate(more.items())
    ]
    answer = study([BASELINE, *sketches])
    arms = []
    for arm in answer.plan.arms:
        _, changes = more.get(arm.name, ("", {}))
        window = {"window": changes.get("model.window", 2)}
        share = {"train_fraction": changes.get("data.train_fraction", 1.0)}
        recipe = {**arm.recipe, "model": {**arm.recipe["model"], **window},
                  "data": {**arm.recipe["data"], **share}}  # fmt: skip
        arms.append(arm.model_copy(update={"recipe": recipe}))
    return replace(answer, plan=answer.plan.model_copy(update={"arms": tuple(arms)}))


@remembered
def scaled() -> StudyResults:
    """A study at four widths: one effect grows, one reverses, one stays within the rope."""
    arms = [
        Sketch(name="shift=false", mean=96.0, sd=0.2, changes={"model.shift": False}),
        Sketch(name='norm="batch"', mean=98.0, sd=0.2, changes={"model.norm": "batch"}),
        Sketch(name="window=4", mean=97.0, sd=0.1, changes={"model.window": 4}),
    ]
    moves, base = (-0.5, -0.9, 0.0), replace(BASELINE, sd=0.1, statuses=("done",) * 5)
    home, rungs, away = [base, *arms], list[RungRecord](), list[Sketch]()
    for k, width in enumerate((16, 24, 32, 48)):
        label, value = f"width={width}", 34_710.0 * (width / 16) ** 2
        there = home if not k else [
            replace(s, name=f"{s.name} at {label}", mean=s.mean + k * move)
            for s, move in zip(home, (0.0, *moves), strict=True)
        ]  # fmt: skip
        away += there if k else []
        names = {own.name: one.name for own, one in zip(home, there, strict=True)}
        changes = {"model.width": width}
        rungs.append(RungRecord(label=label, changes=changes, value=value, arms=names))
    ahead = RungRecord(label="width=64", changes={"model.width": 64}, value=555_360.0)
    record = ScaleRecord(
        axis="model.width", by="params", home="width=16", rungs=tuple(rungs), predict=ahead
    )
    answer, every = study(home), study([*home, *away])
    ladder = every.plan.model_copy(update={"scale": record})
    plan = at_home(ladder)
    asked = declaration(plan, answer.trials)
    others = every.trials[every.trials.arm.isin([s.name for s in away])].reset_index(drop=True)
    return replace(
        answer,
        plan=plan,
        verdicts=answer.verdicts | trends(ladder, every.trials, asked),
        ladder=ladder,
        away=others,
    )


@remembered
def several(count: int = 5) -> StudyResults:
    """A study of several data sets: one effect holds on all, one changes its sign, one is none."""
    arms = [
        Sketch(name="shift=false", mean=95.5, sd=0.3, changes={"model.shift": False}),
        Sketch(name='norm="batch"', mean=97.5, sd=0.3, changes={"model.norm": "batch"}),
        Sketch(name="window=4", mean=97.0, sd=0.3, changes={"model.window": 4}),
    ]
    base = replace(BASELINE, sd=0.3)
    home, sets, away = [base, *arms], list[DatasetRecord](), list[Sketch]()
    labels = ("digits", "shapes", "fashion_mnist", "kmnist", "svhn", "usps")[:count]
    for k, label in enumerate(labels):
        moves = (0.0, 0.4 * (k % 3 - 1), -0.7 * k, 0.1 * (k % 2))
        there = home if not k else [
            replace(s, name=f"{s.name} on {label}", mean=s.mean - 3 * k + move)
            for s, move in zip(home, moves, strict=True)
        ]  # fmt: skip
        away += there if k else []
        names = {own.name: one.name for own, one in zip(home, there, strict=True)}
        sets.append(DatasetRecord(label=label, changes={"data.name": label}, arms=names))
    answer, every = study(home), study([*home, *away])
    record = DatasetsRecord(home="digits", sets=tuple(sets))
    ladder = every.plan.model_copy(update={"datasets": record})
    found = each_of(ladder, every.trials)
    others = every.trials[every.trials.arm.isin([s.name for s in away])].reset_index(drop=True)
    return replace(
        answer,
        plan=at_home(ladder),
        verdicts=answer.verdicts | over_sets(ladder, found),
        ladder=ladder,
        away=others,
        sets=found,
    )


@remembered
def tuned(answer: StudyResults, tries: int = 6, repeats: int = 1) -> StudyResults:
    """The same study, with tries of tuning: the last arm diverged in half of them.

    Each further tuning of an arm finds recipes that are two points worse.
    """
    arms = [arm.name for arm in answer.plan.arms]
    rows = [
        {
            "arm": arm,
            "number": k,
            "repeat": repeat,
            "seed": repeat,
            "kind": "tune",
            "trial": _id(f"{arm} try {k}", repeat),
        }
        | {
            "status": "diverged" if arm == arms[-1] and k % 2 else "done",
            "val_acc": 90 + i - k / 2 - 2 * repeat,
        }
        for i, arm in enumerate(arms)
        for repeat in range(repeats)
        for k in range(tries)
    ]
    frame = pd.DataFrame(rows, columns=list(TUNING))
    tuning = {"trials": tries, "arms": []}
    return replace(answer, tuning=frame, verdicts={**answer.verdicts, "tuning": tuning})


@remembered
def nested(
    splits: int = 4, each: int = 3, sketches: Sequence[Sketch] = QUICKSTART
) -> StudyResults:
    """A study that draws splits, every arm on all of them; each split moves all arms alike."""
    count = splits * each
    lots = [replace(sketch, statuses=("done",) * count) for sketch in sketches]
    answer = study(lots)
    of = {str(seed): seed // each for seed in range(count)}
    arms = tuple(arm.model_copy(update={"splits": of}) for arm in answer.plan.arms)
    drawn = NoiseRecord(sd=0.4, source="made up", sources=("training", "split"), splits=splits)
    plan = answer.plan.model_copy(update={"arms": arms, "noise": drawn})
    moved = answer.trials.seed.map(lambda seed: 1.5 * np.sin(2.0 * (seed // each)))
    trials = answer.trials.assign(test_acc=answer.trials.test_acc + moved)
    declared = declaration(plan, trials)
    found = judged(trials.rename(columns={"test_acc": "value"}), declared, complete=True)
    return replace(
        answer, plan=plan, trials=trials, verdicts=found | sources(plan, declared, trials)
    )


@remembered
def recalled(classes: int = 10) -> StudyResults:
    """A study with recalls of classes; one class of one arm is far below the others."""
    answer, rng = study(), np.random.default_rng(3)
    worst = answer.plan.arms[2].name
    rows = [
        (trial.arm, trial.seed, k, min(trial.test_acc + rng.normal()
                                       - (25 if trial.arm == worst and k == 3 else 0), 100.0))
        for trial in answer.trials.itertuples() if trial.status == "done"
        for k in range(classes)
    ]  # fmt: skip
    return replace(answer, recalls=pd.DataFrame(rows, columns=list(RECALLS)))


@remembered
def confused(classes: int = 10, images: int = 20) -> StudyResults:
    """A study that recorded what was taken for what; one arm takes 3 for 5."""
    answer, rng = study(), np.random.default_rng(5)
    found = {}
    for k, arm in enumerate(answer.plan.arms):
        counts = np.full((classes, classes), 0)
        for true in range(classes):
            wrong = rng.integers(0, classes, images // 8)
            np.add.at(counts, (true, wrong), 1)
            counts[true, true] += images - len(wrong)
        if k == 2:
            counts[3, 3], counts[3, 5] = counts[3, 3] - images // 2, counts[3, 5] + images // 2
        found[arm.name] = Confusion(5, counts)
    return replace(answer, confusions=found)


@remembered
def elsewhere() -> StudyResults:
    """Results trained anywhere, as `analyze` has them: arm, seed, value, and nothing else."""
    whole = study()
    bare = whole.trials.assign(**dict.fromkeys(TRIALS[6:]))
    bare["val_acc"] = None
    arms = tuple(ArmRecord(name=arm.name, seeds=arm.seeds) for arm in whole.plan.arms)
    plan = PlanRecord(study="results.csv", compare=whole.plan.compare, arms=arms)
    return StudyResults(
        plan=plan,
        trials=bare,
        curves=pd.DataFrame(columns=list(CURVES)),
        verdicts=whole.verdicts,
        provenance={"command": "swinablate analyze results.csv --baseline baseline"},
    )


@remembered
def many(arms: int) -> StudyResults:
    """Thirty arms or so with long names."""
    rng = np.random.default_rng(3)
    names = [
        f"model.stage_{i % 4}.attention.window_size={2 + i} and no relative bias"
        for i in range(arms)
    ]
    return study(
        [
            BASELINE,
            *(
                Sketch(
                    name=name,
                    mean=97 - abs(float(rng.normal(0, 1.3))),
                    macs=int(1e6 * (1 + i % 5)),
                    family=("swin", "vit", "resnet")[i % 3],
                )
                for i, name in enumerate(names)
            ),
        ]
    )


def _arm(sketch: Sketch) -> ArmRecord:
    seeds = tuple(range(len(sketch.statuses)))
    changes = {} if sketch.name == "baseline" else sketch.changes or {"arm": sketch.name}
    return ArmRecord(
        name=sketch.name,
        changes=changes,
        recipe={
            "model": {"family": sketch.family, "width": 16},
            "data": {"name": "digits", "resample_split": False},
            "train": {"epochs": EPOCHS, "batch": 64, "select": "last"},
        },
        cell=sketch.cell,
        params=sketch.params,
        macs=sketch.macs,
        seeds=seeds,
        against=sketch.against,
        trials=tuple(_id(sketch.name, seed) for seed in seeds),
    )


def _id(arm: str, seed: int) -> str:
    return hashlib.sha256(f"{arm} {seed}".encode()).hexdigest()


def _trial(sketch: Sketch, seed: int, rng: np.random.Generator) -> dict[str, Any]:
    status = sketch.statuses[seed]
    drawn = (sketch.mean + sketch.sd * rng.normal()) / 100 * IMAGES
    images = round(drawn) if math.isfinite(drawn) else 0
    accuracy = 100 * images / IMAGES if math.isfinite(drawn) else drawn
    row: dict[str, Any] = {
        "arm": sketch.name,
        "seed": seed,
        "trial": _id(sketch.name, seed),
        "status": status,
        "kind": "final",
        "params": sketch.params,
        "macs": sketch.macs,
        "attempts": 0 if status == "waiting" else 1,
    }
    if status == "done":
        row |= {
            "test_acc": accuracy,
            "val_acc": accuracy - 0.8 + 0.3 * rng.normal(),
            "train_loss": 0.03,
            "train_s": 21.5 + rng.normal(),
            "images_per_s": 980.0 + 10 * rng.normal(),
            "peak_mib": 412.0,
            "epochs": float(EPOCHS),
            "device": "AMD EPYC 9V74",
            "execution": "device=cpu dtype=fp32",
            "predictions": hashlib.sha256(rng.bytes(8)).hexdigest(),
            "correct": images,
            "test_images": IMAGES,
        }
    if status in ("failed", "diverged"):
        row |= {
            "failure": "diverged" if status == "diverged" else "out of memory",
            "message": f"lost in <step> {seed}",
            "device": "cpu",
        }
    return row


def _curves(trials: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for trial in trials.itertuples():
        if trial.status == "waiting":
            continue
        end = trial.test_acc - 0.8 if trial.status == "done" else 60.0
        last = EPOCHS if trial.status == "done" else 6
        rows += [
            {
                "arm": trial.arm,
                "seed": trial.seed,
                "trial": trial.trial,
                "epoch": epoch,
                "train_loss": 2.3 * math.exp(-epoch / 3),
                "val_acc": end - (end - 10) * math.exp(-epoch / 2.2) + 0.5 * rng.normal(),
                "epoch_s": 1.4,
                "images_per_s": 980.0,
            }
            for epoch in range(1, last + 1)
        ]
    return pd.DataFrame(rows, columns=list(CURVES))


PROVENANCE: dict[str, Any] = {
    "report": {
        "swinablate": "0.1.0",
        "git": {"commit": "0123abc" * 5 + "01234", "dirty": True},
        "python": "3.11.15",
        "system": "Linux x86_64",
        "cores": 2,
        "versions": {"torch": "2.15.0", "optuna": "5.0.0", "mlflow": "3.17.0"},
    },
    "trials": [
        {"swinablate": "0.1.0", "git": {"commit": "0123abc" * 5 + "01234", "dirty": False}}
    ],
    "execution": [{"device": "AMD EPYC 9V74", "dtype": "fp32", "threads": 1}],
    "declaration": "3f" * 32,
    "seeds": [0, 1, 2, 3, 4],
    "data": "digits",
    "hours": 0.41,
    "hours_failed": 0.02,
    "attempts": 46,
    "command": "swinablate run studies/quickstart.toml",
    "links": {"MLflow UI": "swinablate ui studies/quickstart.toml"},
}
