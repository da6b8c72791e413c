"""One training step on noise: whether a network trains on a device at all.

Trials are deterministic, and torch refuses operations that have no deterministic form. Which
these are depends on the device: what a CPU computes, a GPU may refuse.
"""

from typing import Any

import torch

from swinablate.records.events import Job
from swinablate.training.fit import build, read_job
from swinablate.training.machine import device_name, without_determinism
from swinablate.training.precision import choices, settle
from swinablate.training.step import make_learner

IMAGES = 2
"""The fewest of which batch norms can take statistics; the operations are those of any batch."""
ONE_WAY_OUT = "put another layer in its place, or run this study with --devices cpu"


def rehearse(job: Job) -> dict[str, Any]:
    """Take one training step of a job's network, as it would train.

    Returns:
        `device`, and `refused`: the operation that has no deterministic form there, or None.
    """
    recipe, image = read_job(job)
    device = torch.device(job.device)
    plain = {field: options[0] for field, options in choices(recipe.train, device).items()}
    # Whether it compiles is another question, which takes minutes to answer.
    train = recipe.train.model_copy(update={**plain, "compile": False, "accumulate": 1})
    settle(train)
    learner = make_learner(build(recipe, image, 0), train, device)
    x = torch.randn(IMAGES, image.channels, image.height, image.width, device=device)
    y = torch.arange(IMAGES, device=device) % image.classes
    refused = None
    try:
        learner.step(x, y).item()  # waits for the device
    except RuntimeError as error:
        refused = without_determinism(error)
        if refused is None:
            raise
    return {"device": device_name(device), "refused": refused}
