"""What the shipped studies cost, measured: writes reports/costs.json.

`python -m tests.costs` plans every study of studies/ and takes a few training steps of every arm on
one core, timed by processor time, so that what else runs on the machine does not count. A quarter
of an hour. Data sets that no home has prepared are noise of their size.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from swinablate.errors import InputError
from swinablate.records.events import Job
from swinablate.records.plan import ArmRecord, PlanRecord, at_home
from swinablate.records.seal import digest
from swinablate.records.speeds import SpeedRecord, what_costs
from swinablate.report.families.tuned_verdicts import SUFFIX
from swinablate.study.declared import comparisons_of, effects_of
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Noise
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from swinablate.training.ahead import timing
from swinablate.training.machine import device_name

ROOT = Path(__file__).parent.parent
COSTS = ROOT / "reports" / "costs.json"
PLAIN = {"precision": "fp32", "matmul": "highest", "compile": False, "channels_last": False}
"""What `auto` is measured as: on a CPU it becomes this, or something as fast."""
TIMED_S = 0.4
"""Processor seconds of steps an arm: enough where nothing else is counted."""
WHOLE = "the whole path"
"""What the last arm of a path is called, whose own name would be a list of all."""
Seconds = Callable[[ArmRecord], float]


def planned() -> Iterator[PlanRecord]:
    """Every shipped study as it is planned; of one that needs files nobody has, nothing."""
    for path in sorted((ROOT / "studies").glob("*.toml")):
        try:
            yield plan_record(plan(load_study(path)), {}, Noise(None, "unknown"))
        except InputError as error:
            print(f"{path.stem}: {error}", file=sys.stderr, flush=True)


def speed(arm: ArmRecord, data: Path) -> SpeedRecord:
    """How fast a trial of an arm trains on one core, by processor time."""
    recipe = json.loads(json.dumps(arm.recipe))
    recipe["train"] |= {k: v for k, v in PLAIN.items() if recipe["train"].get(k) == "auto"}
    job = Job(
        trial="0" * 64, attempt=1, recipe=recipe, image=arm.image, seed=0, kind="timing",
        folder="", resume=(), data=str(data),
    )  # fmt: skip
    found = timing.time_trial(replace(job), lambda: False)
    fields = SpeedRecord.model_fields
    return SpeedRecord(source="probe", **{k: v for k, v in found.items() if k in fields})


def measuring(data: Path) -> Seconds:
    """Seconds of a trial of an arm; arms whose steps cost the same are timed once."""
    known: dict[str, SpeedRecord] = {}

    def seconds(arm: ArmRecord) -> float:
        key = digest({"recipe": what_costs(arm.recipe), "image": dict(arm.image)})
        if key not in known:
            known[key] = speed(arm, data)
        return known[key].seconds(arm.recipe["train"]) or 0.0

    return seconds


def cost(plan: PlanRecord, seconds: Seconds) -> dict[str, Any]:
    """What a study costs, and the names of all that it compares."""
    each = {arm.name: seconds(arm) for arm in plan.arms}
    trials = {arm.name: len(arm.seeds) for arm in plan.arms}
    if plan.tune:  # every final seed once more, at the tuned recipe
        tries = plan.tune.trials * (plan.tune.repeats if plan.tune.repeats != "seed" else 1)
        trials = {
            name: 2 * n + tries * (n if plan.tune.repeats == "seed" else 1)
            for name, n in trials.items()
        }
    contrasts = (*comparisons_of(plan)[0], *effects_of(plan)[0])
    kinds = {one.name: one.kind for one in contrasts}
    arms = [arm.name for arm in at_home(plan).arms[1:]]  # a rung's are no comparisons of their own
    arms += [WHOLE] if plan.design == "path" else []
    tuned = [f"{name}{SUFFIX}" for name in (*arms, *kinds)] if plan.tune else []
    return {
        "data": plan.baseline.dataset,
        "trials": sum(trials.values()),
        "core_minutes": round(sum(each[name] * n for name, n in trials.items()) / 60, 1),
        "trial_s": [round(min(each.values()), 1), round(max(each.values()), 1)],
        "compares": [
            *dict.fromkeys(
                [*arms, *(label(name, kind, arms) for name, kind in kinds.items()), *tuned]
            )
        ],
    }


def label(name: str, kind: str, arms: Iterable[str]) -> str:
    """What a contrast is called beside arms, of which one may have its name."""
    return f"{kind}: {name}" if name in set(arms) and kind != "arm" else name


def main() -> None:
    """Plan and time everything; write what it costs."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True, warn_only=True)  # as trials are
    timing.time = SimpleNamespace(perf_counter=time.process_time)
    timing.TIMED_S = TIMED_S
    with tempfile.TemporaryDirectory() as room:
        seconds = measuring(Path(room))
        write({one.study: cost(one, seconds) for one in planned()})


def write(studies: dict[str, Any]) -> None:
    """Write the file."""
    where = {"device": device_name(torch.device("cpu")), "torch": torch.__version__}
    found = {**where, "studies": studies}
    COSTS.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
