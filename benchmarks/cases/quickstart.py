"""The quick start, from the command to its report, against a plain loop over the same trials.

Ours plans and proves, trains two at a time, evaluates after every epoch, keeps checkpoints,
records in Optuna and MLflow, and writes the report; the loop trains one after the other and
keeps nothing. Between them are the same trials by other tools, two at a time: they record, and
prove, judge and report nothing. All are commands, their imports included.
"""

import importlib.util
import itertools
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.harness import (
    SEEDS,
    Benchmark,
    Pair,
    Result,
    Round,
    Settings,
    Side,
    Spent,
    Times,
    answer,
    earlier,
    interleave,
)
from benchmarks.peers.studies import ROOT, program, together
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from swinablate.text import counted

STUDY = ROOT / "studies/quickstart.toml"
LOOP = "a plain loop"
MOST, LEAST = 1.05, 0.6
"""What it may cost of a loop's processor time, and of its wall time on two cores."""
PEERS = {
    "Optuna's threads with MLflow": ("optuna", "optuna"),
    "Ray Tune": ("tune", "ray"),
    "Hydra with joblib": ("hydra", "hydra_plugins.hydra_joblib_launcher"),
}
"""name -> what `quick_peers` calls it, and the package that it needs."""
TINY = """\
question = "How long does it take?"
baseline = "base.toml"
seeds = 2
baseline_seeds = 2
axes = { "train.epochs" = [2] }
"""


def run(settings: Settings) -> Result:
    """Run both, whole, in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = _study(folder, settings)
        trials = _trials(study)
        peers = [name for name, (_, package) in PEERS.items() if _found(package)]
        sides = [
            _loop(folder, trials),
            _ours(folder, study, len(trials)),
            *(_peer(folder, name, trials) for name in peers if settings.peers),
        ]
        setting = _setting(settings)
        times = interleave(
            setting, "trial", sides, settings.rounds, attempts=1, kept=settings.kept
        )
    against = [
        Pair(a="ours", b=LOOP, least=1 / MOST),
        Pair(a="ours", b=LOOP, least=1 / LEAST, clock="wall"),
    ]
    # By the wall: nobody waits for processes that Ray starts, so theirs is not counted.
    others = [Pair(a="ours", b=name, clock="wall") for name in peers]
    gaps = [
        f"{name}: not installed (uv sync --group bench)" for name in PEERS if name not in peers
    ]
    if settings.peers:
        return Result(findings=answer(times, [*against, *others]), gaps=gaps)
    found, notes = answer(times, against), []
    for pair in others:
        rounds = earlier(settings.kept, setting, [*times.rounds, pair.b])
        notes.append(f"{pair.b}: {counted(len(rounds), 'round')}")
        if rounds:
            found += answer(_of(times, rounds), [pair])
    return Result(findings=found, gaps=gaps, notes=notes)


def _study(folder: Path, settings: Settings) -> Path:
    """The quick start, or a copy of it with fewer seeds or less to train."""
    if settings.tiny:
        recipe = ROOT / "experiments/swin_digits.toml"
        short = recipe.read_text("utf-8").replace("epochs = 15", "epochs = 1")
        (folder / "base.toml").write_text(short, "utf-8")
        study = folder / "tiny.toml"
        study.write_text(TINY, "utf-8")
        return study
    if settings.seeds == SEEDS:
        return STUDY
    text = STUDY.read_text("utf-8").replace('"../', f'"{ROOT}/')
    study = folder / STUDY.name
    study.write_text(text.replace(f"\nseeds = {SEEDS} ", f"\nseeds = {settings.seeds} "), "utf-8")
    return study


def _setting(settings: Settings) -> str:
    """Rounds of another size are another setting: kept in the same file, they must not count."""
    if settings.tiny:
        return "quick start, tiny"
    few = settings.seeds != SEEDS
    return f"quick start, {settings.seeds} seeds" if few else "quick start"


def _of(times: Times, rounds: Sequence[Mapping[str, Spent]]) -> Times:
    """The same program over rounds that were kept, all of the same sides."""
    spent = {name: [one[name] for one in rounds] for name in rounds[0]}
    return replace(times, rounds=spent, first_s=dict.fromkeys(spent, 0.0) | dict(times.first_s))


def _found(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of the package that it would be in
        return False


def _trials(study: Path) -> list[dict[str, object]]:
    made = plan(load_study(study))
    arms = {arm.name: arm for arm in made.arms}
    return [
        {
            "recipe": trial.recipe.model_dump(mode="json"),
            "image": arms[trial.arm].shown,
            "seed": trial.seed,
        }
        for trial in made.trials
    ]


def _ours(folder: Path, study: Path, trials: int) -> Side:
    homes = itertools.count()

    def ready() -> Round:
        def once() -> Spent:
            home = str(folder / f"home-{next(homes)}")
            words = ["run", str(study), "--home", home, "--slots", "2", "--out", f"{home}-report"]
            spent = together([[sys.executable, "-m", "swinablate", *words]], 1)
            return Spent(units=trials, wall_s=spent.wall_s, cpu_s=spent.cpu_s)

        return once

    return Side("ours", ready)


def _loop(folder: Path, trials: list[dict[str, object]]) -> Side:
    def ready() -> Round:
        path = folder / "runs.json"
        path.write_text(json.dumps(trials), "utf-8")

        def once() -> Spent:
            spent = together([program("quick_loop", str(path))], 1)
            return Spent(units=len(trials), wall_s=spent.wall_s, cpu_s=spent.cpu_s)

        return once

    return Side(LOOP, ready)


def _peer(folder: Path, name: str, trials: list[dict[str, object]]) -> Side:
    tool, homes = PEERS[name][0], itertools.count()

    def ready() -> Round:
        path = folder / "runs.json"

        def once() -> Spent:
            home = folder / f"{tool}-{next(homes)}"
            home.mkdir()
            spent = together([program("quick_peers", tool, str(path), str(home))], 1)
            return Spent(units=len(trials), wall_s=spent.wall_s, cpu_s=spent.cpu_s)

        return once

    return Side(name, ready)


BENCHMARK = Benchmark("the quick start against a plain loop over its trials", run)
