"""prepbn fades over a share of training, whatever the batch, its parts, or a stop."""

import pytest
import torch

from swinablate.training import checkpoint, fit
from tests.training.test_fit import make_job, run, same

PREPBN = {"model": {"norm": "prepbn"}}


def shares(folder):
    """What every fading norm of a checkpoint has left of its layer norm."""
    saved = checkpoint.load_checkpoint([folder], torch.device("cpu"))
    return {value.item() for name, value in saved["model"].items() if name.endswith("share")}


@pytest.mark.parametrize(
    ("changes", "stop", "left"),
    [
        ({"batch": 16}, 9, 0.375),  # half of 3 epochs of 6 steps: 1 - 0.5 / 0.8
        ({"batch": 48}, 3, 0.375),  # of 2
        ({"batch": 16, "accumulate": 2}, 9, 0.375),
        ({"batch": 16, "steps": 10}, 5, 0.375),
        ({"batch": 16, "norm_fade": 1.0}, 9, 0.5),
        ({"batch": 16, "ema": 0.9}, 9, 0.375),
    ],
)
def test_what_is_left_depends_on_the_share_of_training_alone(
    datasets, tmp_path, changes, stop, left
):
    with pytest.raises(fit.Stopped):
        run(make_job(datasets, tmp_path, **PREPBN, **changes), stop_after=stop)
    assert shares(tmp_path) == {left}


@pytest.mark.parametrize("changes", [{"batch": 16}, {"batch": 48}, {"norm_fade": 1.0}])
def test_in_the_end_only_the_batch_norm_is_left(datasets, tmp_path, changes):
    run(make_job(datasets, tmp_path, **PREPBN, **changes))
    assert shares(tmp_path) == {0.0}


def test_a_resumed_fade_goes_on_bit_for_bit(datasets, tmp_path):
    calm = run(make_job(datasets, tmp_path / "calm", **PREPBN))
    with pytest.raises(fit.Stopped):
        run(make_job(datasets, tmp_path / "1", **PREPBN), stop_after=7)
    job = make_job(datasets, tmp_path / "2", resume=(str(tmp_path / "1"),), **PREPBN)
    assert same(tmp_path / "calm", tmp_path / "2", (calm[0], run(job)[0]))
