"""What `auto` becomes in a study: asked of the workers once, kept, the same for every arm."""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from swinablate import data
from swinablate.config.code import imports
from swinablate.config.recipe import Recipe
from swinablate.errors import EnvironmentFault
from swinablate.execution.executor import Execution
from swinablate.records.events import ENDINGS, Batch, Job, aside
from swinablate.records.home import Home
from swinablate.study.plan import Plan
from swinablate.training.ahead.autotune import decide, merge

FOLLOW_S = 5.0
"""How long after one worker the next may get ready to be asked too: on a cluster, those of one
node import torch at the same time, and compete."""

Choices = Mapping[str, Mapping[str, Any]]
"""Device model -> settings."""


def choose(
    plan: Plan, home: Home, execution: Execution, stopping: Callable[[], bool]
) -> dict[str, dict[str, Any]]:
    """Decide what no recipe of a study says, for every device model it runs on.

    Every slot measures at once, as it will train. What was chosen before stays, however the
    machine would answer today: a study that goes on must go on as it began.

    Raises:
        EnvironmentFault: the baseline's network cannot take a training step.
    """
    wanted = frozenset[str]().union(*(arm.recipe.train.open for arm in plan.arms))
    if not wanted:
        return {}
    kept = home.choices(plan.study.name)
    known = {device: entry["choice"] for device, entry in kept.items()}
    base = plan.networks[0]
    train = base.recipe.train.model_copy(update=dict.fromkeys(wanted, "auto"))
    recipe = base.recipe.model_copy(update={"train": train})
    job = aside(
        "probe",
        recipe.model_dump(mode="json"),
        base.shown,
        imports.folders(recipe.model.family),
        choices=known,
    )
    answers = _ask(job, execution, stopping)
    for device in {answer["device"] for answer in answers}:
        rows = merge([a["measured"] for a in answers if a["device"] == device])
        if rows:
            # What is known already wins over what was measured today.
            choice = decide(rows, _steps(recipe)) | known.get(device, {})
            kept[device] = {"choice": choice, "measured": rows, "at": int(time.time() * 1000)}
    home.keep_choices(plan.study.name, kept)
    return {device: entry["choice"] for device, entry in kept.items()}


def _steps(recipe: Recipe) -> int:
    """Steps of a trial; 0 where the data set has to be read to know."""
    if recipe.train.steps is not None:
        return recipe.train.steps
    sizes = data.describe(recipe.data)
    if sizes is None:
        return 0
    return recipe.train.total(sizes.train // min(recipe.train.batch, sizes.train))


def _ask(
    job: Job, execution: Execution, stopping: Callable[[], bool]
) -> Sequence[Mapping[str, Any]]:
    """The answers of all slots; none where the study is being stopped."""
    wait_for_workers(execution, stopping)
    jobs = [dataclasses.replace(job, trial=f"probe-{i}") for i in range(execution.free)]
    for each in jobs:
        execution.submit(Batch(jobs=(each,)))
    waiting, answers = {each.trial for each in jobs}, []
    while waiting and not stopping():
        for happened in execution.poll(0.5):  # a wish to stop is seen as soon as in a coordinator
            if happened.kind in ENDINGS:
                waiting.discard(happened.trial)
            if happened.kind == "done":
                answers.append(happened.data)
            elif happened.kind in {"failed", "lost"}:
                raise EnvironmentFault(
                    f"no training step could be timed: {happened.data['message']}",
                    at='"auto" in [train]',
                    hint='name the setting instead: train.precision = "fp32"',
                )
    return answers


def wait_for_workers(execution: Execution, stopping: Callable[[], bool]) -> None:
    """Until a worker is ready, and as long as others follow it closely."""
    ready, last = execution.free, -math.inf
    while not stopping() and (not ready or time.monotonic() < last + FOLLOW_S):
        execution.poll(0.5)
        if execution.free > ready:
            ready, last = execution.free, time.monotonic()
