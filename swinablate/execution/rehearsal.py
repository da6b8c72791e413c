"""Which arms a GPU will refuse to train, said before anything is trained."""

import tempfile
from pathlib import Path

from swinablate.config import imports
from swinablate.execution.devices import find_devices
from swinablate.execution.executor import Execution, Slot
from swinablate.execution.executors.local import EXECUTOR
from swinablate.records.events import ENDINGS, Batch, Event, Job
from swinablate.study.plan import Arm, Plan
from swinablate.training.rehearsal import ONE_WAY_OUT

LOOK_S = 0.5
"""How long to wait for an event before waiting again: nothing else is to be done meanwhile."""


def on_gpu(plan: Plan) -> list[str]:
    """A line for every arm that cannot train on this machine's GPU; none where there is none.

    A worker looks, so that no CUDA context is opened here.
    """
    device = find_devices("auto")[0]
    if device == "cpu":
        return []
    with tempfile.TemporaryDirectory() as logs:
        execution = EXECUTOR.open([Slot(index=0, device=device)], Path(logs), lambda: False)
        try:
            return rehearsed(plan, execution)
        finally:
            execution.close()


def rehearsed(plan: Plan, execution: Execution) -> list[str]:
    """Let every arm take one step; a line for each that cannot."""
    return [line for arm in plan.arms if (line := _line(arm, _answer(arm, execution)))]


def _line(arm: Arm, told: Event) -> str:
    if told.kind != "done":
        return f"{arm.name}: one step fails: {told.data.get('message', told.kind)}"
    if operation := told.data["refused"]:
        device = told.data["device"]
        return f"{arm.name}: {operation} has no deterministic form on {device}; {ONE_WAY_OUT}"
    return ""


def _answer(arm: Arm, execution: Execution) -> Event:
    job = Job(
        trial="rehearsal",
        attempt=0,
        recipe=arm.recipe.model_dump(mode="json"),
        image=arm.image.model_dump(mode="json"),
        seed=0,
        kind="rehearsal",
        folder="",
        resume=(),
        data="",
        folders=imports.folders(arm.recipe.model.family),
    )
    execution.submit(Batch(jobs=(job,)))
    while True:
        for happened in execution.poll(LOOK_S):
            if happened.kind in ENDINGS:
                return happened
