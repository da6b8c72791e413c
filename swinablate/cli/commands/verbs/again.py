"""One recorded trial trained again, alone, in a place that is gone afterwards.

The worker is the one that trains studies. It gets the recorded recipe and seed, a folder of its
own and no checkpoint; nothing of the recorded trial is written to.
"""

import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from swinablate import data
from swinablate.config import schema
from swinablate.config.code import imports
from swinablate.config.commands.changes import recipe_of
from swinablate.config.metrics import on_request
from swinablate.config.recipe import COMMAND, CommandRecipe, Recipe
from swinablate.errors import EnvironmentFault, InputError, TrialError
from swinablate.execution.executor import Slot
from swinablate.execution.executors.local import EXECUTOR
from swinablate.models.registry import load_family
from swinablate.records.events import ENDINGS, Batch, Event, Job
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome
from swinablate.records.provenance import provenance
from swinablate.study.plan import Trial
from swinablate.text import last_of
from swinablate.training import checkpoint
from swinablate.training.machine import device_name

POLL_S = 0.5
"""How long events are waited for: a Ctrl-C is seen within this time."""
HERE = 12
"""Digits of an id or commit in sentences."""


@dataclass(frozen=True, kw_only=True)
class Again:
    """A trial's record, and what came of training it again.

    Attributes:
        before: as recorded.
        last: the new attempt's last event.
        curve: the new attempt's rows.
        execution: the new attempt's class of execution; empty if it did not end well.
        weights: (before, again) digests of the final weights; None where a side has none.
        said: what a reader must know of the code that trains now.
    """

    before: Outcome
    last: Event
    curve: tuple[Mapping[str, Any], ...]
    execution: Mapping[str, Any]
    weights: tuple[str | None, str | None]
    said: tuple[str, ...]


def repeatable(home: Home, trial: str) -> Outcome:
    """The record of a trial that can be compared with another training.

    Raises:
        InputError: it has not ended, or it failed.
        EnvironmentFault: its record is damaged or cannot be read.
    """
    found = home.outcome(trial)
    if found is None:
        raise InputError(
            f"trial {trial[:HERE]} has no record yet: there is nothing to compare with",
            hint="`swinablate run STUDY` trains it",
        )
    if found.status == "failed":
        why = (found.failure or {}).get("kind", "")
        raise InputError(
            f"trial {trial[:HERE]} failed ({why}): it has no numbers to compare with",
            hint="`swinablate retry STUDY` trains it again, and keeps what comes of it",
        )
    return found


def again(
    home: Home,
    before: Outcome,
    *,
    device: str,
    asked: Iterable[str] = (),
    folders: tuple[str, ...] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Again:
    """Train a recorded trial once more.

    Args:
        home: where it is recorded; its prepared images are used.
        before: the record.
        device: "auto", "cpu" or "cuda:0".
        asked: metrics that the trial's studies name.
        folders: where the code of an import path may be.
        say: takes a line at every epoch.

    Raises:
        InputError: this version cannot build the recipe, or there is no such device.
        EnvironmentFault: the images are gone or others by now, or a file of weights is.
        TrialError: it failed this time.
    """
    at = f"trial {before.trial[:HERE]}"
    recipe = _recipe(before, folders, at)
    where = _device(device, before)  # before images that may have to be loaded
    _images(home, recipe, before)
    with tempfile.TemporaryDirectory(prefix="swinablate-again-") as place:
        folder, logs = Path(place) / "attempt", Path(place) / "logs"
        folder.mkdir()
        logs.mkdir()
        job = Job(
            trial=before.trial,
            attempt=1,
            recipe=before.recipe,
            image=before.image,
            seed=before.seed,
            kind=before.kind,
            folder=str(folder),
            resume=(),
            data=str(home.datasets),
            folders=(*imports.folders(recipe.model.family), *folders),
            choices=_choices(before, where),
            asked=on_request(asked) if before.kind == "final" else (),
            parts=before.execution.get("accumulate"),
        )
        last, curve = _trained(job, _all_of(where, recipe.train.world), logs, say)
        attempts = [home.attempt(before.trial, k) for k in range(before.attempt, 0, -1)]
        weights = (_weights(attempts), _weights([folder])) if last.kind == "done" else (None, None)
    if last.kind in {"failed", "lost"}:
        message = last.data.get("message", last.kind)
        if last.data.get("kind") == "data":
            raise EnvironmentFault(message, at=at, hint="bring back what it was trained with")
        raise TrialError(f"it failed this time: {message}", at=at, hint="nothing was compared")
    return Again(
        before=before,
        last=last,
        curve=curve,
        execution=last.data.get("execution", {}),
        weights=weights,
        said=tuple(_code(before, recipe)),
    )


def _trained(
    job: Job, devices: tuple[str, ...], logs: Path, say: Callable[[str], None]
) -> tuple[Event, tuple[Mapping[str, Any], ...]]:
    """Run a job in a worker of its own: its last event, and its curve."""
    curve: list[Mapping[str, Any]] = []
    device, *rest = devices
    further = tuple(rest)
    slot = Slot(index=0, device=device, further=further)
    with closing(EXECUTOR.open([slot], logs, lambda: False)) as running:
        running.submit(Batch(jobs=(job,)))
        while True:
            for happened in running.poll(POLL_S):
                if happened.kind == "epoch":
                    curve.append(happened.data)
                    say(f"epoch {happened.data['epoch']}: {last_of(happened.data) or 'val -'}")
                if happened.kind in ENDINGS:
                    return happened, tuple(curve)


def _recipe(before: Outcome, folders: tuple[str, ...], at: str) -> Recipe:
    """The recorded recipe as a value of today's schema.

    Raises:
        InputError: this version has no such family or field.
    """
    said = before.recipe
    commit = before.provenance.get("git", {}).get("commit", "")
    try:
        if COMMAND in said:
            return recipe_of(said)
        family = load_family(said["model"]["family"], at, [Path(folder) for folder in folders])
        model = schema.validate(family.config, said["model"], f"{at}: model")
        rest = {part: dict(said[part]) for part in ("data", "train", "start") if part in said}
        return schema.validate(Recipe, {"model": model, **rest}, at)
    except InputError as error:
        by = f"commit {commit[:HERE]}" if commit else "an earlier version"
        raise InputError(
            f"this version cannot build what {by} trained: {error.problem}",
            at=error.at or at,
            hint=error.hint or "use the version that trained it",
        ) from None


def _images(home: Home, recipe: Recipe, before: Outcome) -> None:
    """Get the images, and see that they are those of the record.

    Raises:
        EnvironmentFault: they are not there, or others.
    """
    if isinstance(recipe, CommandRecipe):
        return  # its script looks for its own; whether that is the same, the worker sees
    name = recipe.data.name
    try:
        now = data.prepare(recipe.data, home.datasets).sha256
    except InputError as error:  # a folder of pictures that is gone is the machine's matter here
        raise EnvironmentFault(error.problem, at=error.at, hint=error.hint) from None
    if now != before.provenance.get("data", now):
        raise EnvironmentFault(
            f"the images of {name!r} are not those that the trial was trained with",
            at=str(home.datasets),
            hint="bring the old images back: no other can give the same numbers",
        )


def _device(asked: str, before: Outcome) -> str:
    """Where to train: of the recorded kind, if there is one here.

    Raises:
        InputError: there is no such device.
    """
    names = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if asked == "auto":
        same = [n for n in names if device_name(torch.device(n)) == before.execution.get("device")]
        gpu = before.execution.get("type") == "cuda"
        return (same or names or ["cpu"])[0] if gpu else "cpu"
    if asked not in {"cpu", *names}:
        known = ", ".join(["cpu", *names])
        raise InputError(f"there is no device {asked!r}", at="--device", hint=f"known: {known}")
    return asked


def _all_of(device: str, world: int) -> tuple[str, ...]:
    """The devices of a trial that trains on several GPUs, the first of them first.

    Raises:
        EnvironmentFault: there are fewer.
    """
    if world == 1 or device == "cpu":
        return (device,)
    others = [f"cuda:{i}" for i in range(torch.cuda.device_count()) if f"cuda:{i}" != device]
    if len(others) < world - 1:
        raise EnvironmentFault(
            f"the trial trained on {world} GPUs, and there are {len(others) + 1}",
            at="train.world",
            hint="--device cpu trains it in as many processes",
        )
    return (device, *others[: world - 1])


def _choices(before: Outcome, device: str) -> dict[str, dict[str, Any]]:
    """What `auto` was when the trial ran; what its record does not name was off."""
    off = {"precision": "fp32", "matmul": "highest", "channels_last": False, "compile": False}
    chosen = {field: before.execution.get(field, value) for field, value in off.items()}
    return {device_name(torch.device(device)): chosen}


def _weights(folders: list[Path]) -> str | None:
    """The digest of the weights that a training was judged by; None if none are left."""
    found = checkpoint.final_weights(folders)
    return None if found is None else checkpoint.digest(found)


def _code(before: Outcome, recipe: Recipe) -> list[str]:
    """What differs between the code that trained and the code that trains now."""
    now, then = provenance(), before.provenance
    said = []
    pairs = {
        "swinablate": (then.get("swinablate"), now["swinablate"]),
        "commit": (then.get("git", {}).get("commit"), now["git"].get("commit")),
    }
    changed = [
        f"{what} {str(old)[:HERE]}, now {str(new)[:HERE]}"
        for what, (old, new) in pairs.items()
        if old and new and old != new
    ]
    if changed:
        said.append(f"recorded by an earlier code state: {'; '.join(changed)}")
    if before.provenance.get("git", {}).get("dirty"):
        said.append("recorded with uncommitted changes: the commit does not tell all of that code")
    mine = Trial(arm="", recipe=recipe, seed=before.seed, kind=before.kind)
    if mine.id != before.trial:
        why = f"{', '.join(mine.revised)} meant something else then (CHANGELOG.md)"
        if mine.first_id != before.trial:
            why = "the code that its recipe names is other than then"
        said.append(f"a trial of this recipe has another id by now: {why}")
    return said
