"""Metrics that a trial did not record, from the weights that it kept.

An earlier version did not know them, or no study had asked for them yet.

The network is built again, gets its final weights and is asked about the test images. It must
answer them as it did when the trial ended: nothing is told of weights, images or code that are
others by now. What is found stands beside the record (`measured.json`), which stays as it is.
"""

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch

from swinablate import data
from swinablate.config import schema
from swinablate.config.data import DataConfig
from swinablate.config.metrics import metric, on_request
from swinablate.errors import SwinablateError
from swinablate.records.disk.files import write_atomically
from swinablate.records.events import Job
from swinablate.records.home import Home
from swinablate.records.outcome import EVERY, MEASURED, Outcome, measurable, read_measured
from swinablate.records.plan import PlanRecord
from swinablate.records.seal import Damaged, seal
from swinablate.training import checkpoint
from swinablate.training.evaluation import answers, besides_accuracy
from swinablate.training.fit import build, read_job
from swinablate.training.machine import device_name
from swinablate.training.precision import settle

TOLERATED = 1e-3
"""Share of the test images that may be answered otherwise: another machine rounds otherwise, and
turns the few whose two best classes are as good as equal."""
CPU = torch.device("cpu")


def measure(home: Home, plan: PlanRecord, folders: tuple[str, ...] = ()) -> Iterator[str]:
    """Measure what the final trials of a plan lack of what it asks for.

    Args:
        home: where they are recorded.
        plan: a recorded plan.
        folders: where the code of an import path is.

    Yields:
        For every trial that cannot be measured why not, in words.
    """
    keys = {name: key for name in plan.metrics if (key := metric(name).key)}
    known = home.outcomes(row.trial for row in plan.rows())
    for row in plan.rows():
        outcome = known.get(row.trial)
        if outcome is None or not measurable(outcome):
            continue
        # A record of today lacks what no study had asked for, or what is no finite number.
        names = on_request(keys) if EVERY in outcome.metrics else keys
        wanted = {keys[name] for name in names}
        if wanted <= outcome.metrics.keys():
            continue
        try:
            found = _measured(home, outcome, folders, wanted)
        except (SwinablateError, RuntimeError, ValueError, KeyError, OSError) as error:
            found = str(error).partition("\n")[0]
        if isinstance(found, str):
            yield f"{row.arm.name} s{row.seed}: {found}"
            continue
        record = {
            "trial": outcome.trial,
            "attempt": outcome.attempt,
            "predictions": outcome.predictions["sha256"],
            "metrics": found,
            "torch": torch.__version__,
        }
        write_atomically(home.trials / outcome.trial / MEASURED, seal(record))


def _measured(
    home: Home, outcome: Outcome, folders: tuple[str, ...], wanted: Iterable[str]
) -> dict[str, float] | str:
    """All that a final trial records at its end; or why that cannot be known any more.

    What was measured for another study stays.
    """
    attempts = [home.attempt(outcome.trial, k) for k in range(outcome.attempt, 0, -1)]
    weights = checkpoint.final_weights(attempts)
    if weights is None:
        return "its weights are gone"
    config = schema.validate(DataConfig, outcome.recipe["data"], "record: data")
    data.opened(config, home.datasets)  # else `prepare` would fetch images for a look back
    if data.prepare(config, home.datasets).sha256 != outcome.provenance.get("data"):
        return "its images are others by now"
    recipe, image = read_job(_job(home, outcome, folders))
    train = recipe.train
    settle(train)
    parts = data.load_splits(config, home.datasets, outcome.seed, train.stream, CPU)
    model = build(recipe, image, outcome.seed)
    model.load_state_dict(weights)
    found = answers(model, parts.test, train)
    right = (found.predicted == parts.test.labels).numpy()
    packed = np.frombuffer(base64.b64decode(outcome.predictions["correct"]), dtype=np.uint8)
    recorded = np.unpackbits(packed)[: outcome.predictions["images"]].astype(bool)
    if len(recorded) != len(right) or (recorded != right).mean() > TOLERATED:
        return "its weights answer otherwise here than when it ended"
    return _before(home, outcome) | besides_accuracy(found, model, parts, train, wanted)


def _before(home: Home, outcome: Outcome) -> dict[str, float]:
    try:
        return read_measured(outcome, home.trials / outcome.trial)
    except (FileNotFoundError, Damaged):  # what is damaged is measured again
        return {}


def _job(home: Home, outcome: Outcome, folders: tuple[str, ...]) -> Job:
    """The trial as a worker would get it; what was chosen for `auto` is what was recorded."""
    chosen = {
        "precision": outcome.execution.get("precision", "fp32"),
        "matmul": "highest",
        "channels_last": False,
        "compile": False,
    }
    return Job(
        trial=outcome.trial,
        attempt=outcome.attempt,
        recipe=outcome.recipe,
        image=outcome.image,
        seed=outcome.seed,
        kind="final",
        folder=str(home.attempt(outcome.trial, outcome.attempt)),
        resume=(),
        data=str(home.datasets),
        folders=(*folders, str(Path.cwd())),
        choices={device_name(CPU): chosen},
    )
