"""What a coordinator spends on a trial besides training: every trial ends as soon as it is given.

python queue.py FOLDER TRIALS ENDED runs a study of so many trials, of which so many end before it
is stopped, with Optuna's store and records on disk; then it tells MLflow of those, with the calls
of a study that runs. Prints seconds of processor time.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from swinablate.execution.coordinator import Copy
from swinablate.execution.run import Doors, Options, Run
from swinablate.execution.sync import recorded
from swinablate.records.events import Batch, Event, Job, event
from swinablate.records.home import Home
from swinablate.records.launch import UNKNOWN
from swinablate.records.outcome import Outcome
from swinablate.records.plan import PlanRecord
from swinablate.study.files import load_study
from swinablate.study.noise.expected import Noise
from swinablate.study.plan import Plan, Trial
from swinablate.study.plan_record import plan_record
from swinablate.study.planner import plan
from swinablate.tracking.cards import study_card, trial_card
from swinablate.tracking.tracker import Tracker

ARMS, SLOTS, EPOCHS = 10, 2, 6
WARM = 10
"""Trials that are not timed: the first ones also fill caches of statements."""
RECIPE = """\
[model]
family = "swin"
patch = 4
width = 8
depths = [2]
heads = [2]
window = 2
[data]
name = "noise"
image = { height = 32, width = 32, channels = 3, classes = 10 }
[train]
epochs = 6
"""


@dataclass
class AtOnce:
    """An execution whose trials end as soon as somebody listens; it looks at the clock."""

    enough: int
    batches: list[Batch] = field(default_factory=list)
    marks: list[float] = field(default_factory=list)

    @property
    def free(self) -> int:
        """Slots without a batch."""
        return SLOTS - len(self.batches)

    def submit(self, batch: Batch) -> object:
        """Take a batch, and the time."""
        self.marks.append(time.thread_time())
        self.batches.append(batch)
        return batch

    def poll(self, timeout: float) -> list[Event]:
        """All that was submitted has ended."""
        assert timeout > 0  # nobody waits: what was submitted has ended
        ended, self.batches = self.batches, []
        if len(self.marks) > self.enough:
            os.kill(os.getpid(), signal.SIGTERM)
        return [one for batch in ended for job in batch.jobs for one in told(job)]

    def cancel(self, handle: object) -> None:
        """Nothing runs."""

    def stop(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing is open."""


def told(job: Job) -> list[Event]:
    """What a trial of `EPOCHS` epochs tells."""
    accuracy = {"train/loss": 1.0, "train/accuracy": 50.0, "val/loss": 1.0, "val/accuracy": 50.0}
    rows = [
        {"epoch": n, "at": 1, **accuracy, "time/epoch_s": 1.0, "time/images_per_s": 9.0}
        for n in range(1, EPOCHS + 1)
    ]
    final = {"metrics": {**accuracy, "test/accuracy": 50.0}, "execution": {"device": "none"}}
    return [
        event(job, "started", {"pid": 0}),
        *(event(job, "epoch", row) for row in rows),
        event(job, "done", {**final, "predictions": {"sha256": job.trial, "images": 100}}),
    ]


class Silent:
    """Watches, and says nothing."""

    def begin(self, plan: Plan, recorded: Mapping[str, Outcome], slots: int) -> None:
        """Nothing."""

    def expect(self, done: int, trials: int, most: int) -> None:
        """Nothing."""

    def happened(self, trial: Trial, event: Event) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


class Untold:
    """A copy that nobody reads."""

    missed, gone = 0, False

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_args, **_named: None


def study(folder: Path, trials: int, arms: int = ARMS) -> Path:
    """A study of so many trials, each arm with another learning rate; none is the baseline's."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "base.toml").write_text(RECIPE, "utf-8")
    seeds = trials // arms
    rates = ", ".join(f"{(2 * i + 3) / 1e5:g}" for i in range(arms - 1))
    text = (
        f'question = "?"\nbaseline = "base.toml"\nseeds = {list(range(seeds))}\n'
        f'baseline_seeds = {seeds}\n[axes]\n"train.lr" = [{rates}]\n'
    )
    path = folder / f"of{trials}.toml"
    path.write_text(text, "utf-8")
    return path


def main() -> None:
    """Run one study, and tell of it."""
    folder, trials, ended = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    file = study(folder, trials)
    made = plan(load_study(file))
    home, execution = Home(folder / f"home-{trials}"), AtOnce(ended)
    home.create()
    before, wall = time.thread_time(), time.perf_counter()
    record = plan_record(made, home.outcomes(t.id for t in made.trials), Noise(None, ""))
    options = Options(slots=SLOTS)
    doors = replace(
        Doors.real(record, home, options),
        execution=lambda *_: execution,
        copy=lambda: cast("Copy", Untold()),
    )
    summary = Run(made, record, home, options, Silent(), doors).run()
    assert summary.counts["done"] >= min(ended, trials), summary
    marks = execution.marks[WARM:]
    found = {
        "units": len(marks) - 1,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": marks[-1] - marks[0],
        "start_s": execution.marks[0] - before,
        "mlflow_s": mirrored(home, record) if trials == ended else None,
    }
    print(json.dumps(found))


def mirrored(home: Home, record: PlanRecord) -> float:
    """Seconds a trial that MLflow's thread takes, for all that were recorded."""
    tracker = Tracker.open(home.mlflow_uri, home.artifacts, study_card(record, UNKNOWN))
    marks = []
    for row, outcome in recorded(home, record):
        marks.append(time.thread_time())
        tracker.begin(trial_card(row, reused=False))
        tracker.end(row.trial, vars(outcome))  # a short trial's curve is no call of its own
        tracker.interim(row.trial)
    marks = marks[WARM:]
    return (marks[-1] - marks[0]) / (len(marks) - 1)


if __name__ == "__main__":
    main()
