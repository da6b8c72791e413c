"""What only a GPU can show: `pytest -m gpu` on a machine that has one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from swinablate.config.data import DataConfig
from swinablate.config.family import ImageSpec
from swinablate.config.recipe import Recipe
from swinablate.config.train import TrainConfig
from swinablate.data import image_spec
from swinablate.execution.devices import find_devices, refused_by_gpu
from swinablate.execution.fusing import memory
from swinablate.models.layers.banded import Banded
from swinablate.models.registry import load_family
from swinablate.study.arms.recipes import load_recipe
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from swinablate.training.fit import Stopped, build
from swinablate.training.graphs import launched
from swinablate.training.step import make_learner
from tests.training.test_fit import make_job, run

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]


RECIPES = Path(__file__).parents[2] / "experiments"


def on_gpu(job):
    return replace(job, device="cuda:0")


def test_a_trial_is_the_same_bits_twice_and_when_it_goes_on(datasets, tmp_path):
    first, rows = run(on_gpu(make_job(datasets, tmp_path / "a")))
    again, rows_again = run(on_gpu(make_job(datasets, tmp_path / "b")))
    assert rows == rows_again
    assert first["predictions"] == again["predictions"]
    cut = on_gpu(make_job(datasets, tmp_path / "c"))
    with pytest.raises(Stopped):
        run(cut, stop_after=8)  # in the second epoch of three
    resumed, rest = run(cut)
    assert resumed["predictions"] == first["predictions"]
    assert rest[-1] == rows[-1]


@pytest.mark.parametrize("model", [{}, {"drop": 0.1, "drop_path": 0.1}])
def test_a_trial_whose_steps_are_recorded_is_the_trial_step_by_step(
    datasets, tmp_path, monkeypatch, model
):
    def trained(name):
        return run(on_gpu(make_job(datasets, tmp_path / name, model=dict(model))))

    graph, rows = trained("graph")
    monkeypatch.setenv("SWINABLATE_CUDA_GRAPHS", "0")
    plain, rows_plain = trained("plain")
    assert graph["execution"] == plain["execution"] | {"graph": 1}
    assert graph["predictions"] == plain["predictions"]
    assert rows == rows_plain


def test_a_step_of_no_numbers_is_recorded_as_any_other():
    """A diverged trial goes on as it began: what is no number equals itself in the comparison."""
    made = load_recipe(RECIPES / "swin_digits.toml")
    made = made.model_copy(update={"train": made.train.model_copy(update={"precision": "fp32"})})
    image, device = image_spec(made.data), torch.device("cuda:0")
    learner = make_learner(build(made, image, 0), made.train, device)
    x = torch.full((8, image.channels, image.height, image.width), torch.nan, device=device)
    y = torch.zeros(8, dtype=torch.long, device=device)
    losses = [learner.step(x, y) for _ in range(6)]
    assert all(torch.isnan(loss).all() for loss in losses)
    assert launched(learner.gradients) == {"graph": 1}, learner.gradients.why


def learner_of(network, train=None):
    return make_learner(network, train or TrainConfig(), torch.device("cuda:0"))


def stepped(learner, shape):
    x = torch.randn(shape, device="cuda:0")
    y = torch.arange(len(x), device="cuda:0") % 3
    for _ in range(6):
        learner.step(x, y)
    return launched(learner.gradients)


def test_attention_in_a_band_is_recorded_as_any_other():
    family = load_family("vit", "")
    image = ImageSpec(height=16, width=16, channels=2, classes=3)
    config = family.config(patch=1, width=8, heads=2, depth=1, band=1, drop_path=0.1)
    made = build(Recipe(model=config, data=DataConfig(name="digits")), image, 0)
    assert any(isinstance(module, Banded) for module in made.modules())
    assert stepped(learner_of(made), (8, 2, 16, 16)) == {"graph": 1}


class Asks(nn.Dropout):
    """Waits for the device, in a layer that is taken for one of torch's."""

    __module__ = "torch.asks"

    def forward(self, x):
        return super().forward(x) * (1.0 + 0.0 * x.sum().item())


def test_what_waits_for_the_device_leaves_the_next_network_its_graph():
    """In a warm worker: a recording that was broken off would have been the last one."""
    shape = (8, 2, 16, 16)
    first = nn.Sequential(nn.Flatten(), Asks(0.2), nn.Linear(512, 3))
    learner = learner_of(first)
    assert stepped(learner, shape) == {}
    assert "synchroniz" in learner.gradients.why
    second = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(512, 3))
    assert stepped(learner_of(second), shape) == {"graph": 1}


def test_the_record_names_the_gpu_and_its_rounding(datasets, tmp_path):
    told, _ = run(on_gpu(make_job(datasets, tmp_path, epochs=1)))
    assert told["execution"]["device"] == torch.cuda.get_device_name(0)
    assert told["execution"]["type"] == "cuda"
    assert told["execution"]["tf32"] == "nothing"


def test_a_worker_finds_the_memory_and_takes_a_step_of_every_arm(write):
    device = find_devices("auto")[0]
    assert memory(device) == 0.5 * torch.cuda.get_device_properties(0).total_memory
    assert refused_by_gpu(plan(load_study(write()))) == []
