"""The stack of replicas: what its step launches, and that its update is torch's own."""

import copy
from collections import Counter
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from swinablate.config.train import TrainConfig
from swinablate.models.layers.block import DropPath
from swinablate.training.fused.drops import Drop, Given
from swinablate.training.fused.stack import Stack
from swinablate.training.optim import set_rate
from swinablate.training.step import make_learner

CPU = torch.device("cpu")


class Operators(TorchDispatchMode):
    """Counts what is computed, by name."""

    def __init__(self):
        super().__init__()
        self.names = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if not func.is_view:
            self.names[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(12, 7), nn.LayerNorm(7), nn.GELU(), nn.Linear(7, 3)
    )


def images(replicas, seed=0):
    chance = torch.Generator().manual_seed(seed)
    x = torch.randn(replicas, 5, 3, 2, 2, generator=chance)
    return x, torch.randint(3, (replicas, 5), generator=chance)


def steps(stack, count, rates=(1.0, 0.5, 0.25)):
    for step, rate in zip(range(count), rates, strict=False):
        x, y = images(len(stack.models), step)
        stack.gradients(x, y, {})
        stack.step(rate)


KINDS = [
    {"optimizer": "adamw"},
    {"optimizer": "adam"},
    {"optimizer": "sgd", "nesterov": True},
    {"optimizer": "sgd", "momentum": 0.0},
    {"l2": 0.2},
    {"optimizer": "sgd", "l2": 0.2},
]
NAMES = ["adamw", "adam", "nesterov", "sgd", "l2", "sgd-l2"]


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_every_row_is_updated_as_its_own_optimizer_would(kind):
    """Rates and decays of two replicas are equal, of the third other ones."""
    own = [(1e-2, 0.3), (3e-3, 0.0), (1e-2, 0.3)]
    trains = [TrainConfig(lr=lr, weight_decay=decay, clip=0.0, **kind) for lr, decay in own]
    models = [network(seed) for seed in range(3)]
    alone = [make_learner(copy.deepcopy(m), t, CPU) for m, t in zip(models, trains, strict=True)]
    stack = Stack(models, trains, images(1)[0][0])
    steps(stack, 3)
    for step, rate in enumerate((1.0, 0.5, 0.25)):
        x, y = images(3, step)
        for k, learner in enumerate(alone):
            set_rate(learner.optimizer, trains[k].lr * rate)
            learner.step(x[k], y[k])
    for k, learner in enumerate(alone):
        model, _ = stack.give(k)
        for mine, theirs in zip(model.parameters(), learner.model.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("kind", "name", "groups"),  # with and without decay, which sgd's kernel knows nothing of
    [("adamw", "_fused_adamw_", 2), ("adam", "_fused_adamw_", 2), ("sgd", "_fused_sgd_", 1)],
)
def test_a_step_launches_as_much_for_many_replicas_as_for_one(kind, name, groups):
    found = []
    for replicas in (1, 4, 16):
        train = TrainConfig(optimizer=kind, clip=1.0)
        stack = Stack([network(k) for k in range(replicas)], [train] * replicas, images(1)[0][0])
        steps(stack, 1)
        with Operators() as counted:
            steps(stack, 1)
        assert counted.names[name] == groups
        found.append(counted.names.total())
    assert max(found) - min(found) <= 4  # one replica's products are plain ones, not batched


def test_the_optimizer_has_a_group_for_every_rate_and_decay():
    trains = [TrainConfig(lr=lr, weight_decay=0.1) for lr in (1e-3, 1e-2, 1e-3)]
    stack = Stack([network(k) for k in range(3)], trains, images(1)[0][0])
    with Operators() as counted:
        steps(stack, 1)
    assert counted.names["_fused_adamw_"] == 4


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_what_is_given_and_taken_back_goes_on_bit_for_bit(kind):
    """The second stack takes what the first gives, as a resumed batch does."""
    train = TrainConfig(**kind)
    calm, first, second = (
        Stack([network(k) for k in range(2)], [train] * 2, images(1)[0][0]) for _ in range(3)
    )
    steps(calm, 3)
    steps(first, 2)
    for k in range(2):
        model, optimizer = first.give(k)
        second.models[k].load_state_dict(model.state_dict())
        second.optimizers[k].load_state_dict(optimizer.state_dict())
        second.take(k, 2)
    x, y = images(2, 2)
    second.gradients(x, y, {})
    second.step(0.25)
    assert torch.equal(second.flat, calm.flat)


def test_a_run_alone_without_momentum_goes_on_in_company():
    """torch's SGD remembers nothing of it."""
    train = TrainConfig(optimizer="sgd", momentum=0.0)
    stack = Stack([network(0), network(1)], [train] * 2, images(1)[0][0])
    learner = make_learner(network(0), train, CPU)
    x, y = images(2)
    learner.step(x[0], y[0])
    stack.models[0].load_state_dict(learner.model.state_dict())
    stack.optimizers[0].load_state_dict(learner.optimizer.state_dict())
    stack.take(0, 1)
    assert torch.equal(stack.give(0)[0][1].weight, learner.model[1].weight)


@pytest.mark.parametrize(
    ("kind", "at"), [("adamw", "meta"), ("adagrad", "cpu"), ("rmsprop", "cpu")]
)
def test_steps_are_counted_where_torch_counts_them(kind, at):
    """Its kernels read Adam's on the device; Adagrad's are read here, and would be waited for."""
    train = TrainConfig(optimizer=kind)
    stack = Stack([network(0)], [train], images(1)[0][0])
    own = stack.optimizers[0]
    stack.flat = stack.flat.to("meta")
    assert stack._state(stack.moments)["step"].device.type == at
    fused = own.param_groups[0].get("fused", False)
    assert bool(fused) == (at == "meta")


def test_frozen_weights_stay_and_are_given_back():
    models = [network(0), network(1)]
    for model in models:
        model[1].weight.requires_grad_(requires_grad=False)
    before = [model[1].weight.clone() for model in models]
    stack = Stack(models, [TrainConfig()] * 2, images(1)[0][0])
    steps(stack, 3)
    for k, weight in enumerate(before):
        assert torch.equal(stack.give(k)[0][1].weight, weight)
    assert not any(torch.equal(a, b) for a, b in pairwise(before))


def dropping(seed):
    """A drop path over channels and one over an image; two dropouts, one of attention's shape."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Flatten(), DropPath(0.3), nn.Linear(12, 8), nn.Dropout(0.2), DropPath(0.6),
        nn.Unflatten(1, (2, 4)), nn.Dropout(0.5), nn.Flatten(), nn.Linear(8, 3),
    )  # fmt: skip


def test_masks_are_those_that_every_replica_draws_alone():
    stack = Stack([dropping(k) for k in range(3)], [TrainConfig()] * 3, images(1)[0][0])
    seeds = (7, 1, 8)
    found = stack.draw(seeds)
    assert list(found) == ["1", "3", "4", "6"]
    for k, seed in enumerate(seeds):
        torch.manual_seed(seed)
        for drop in stack.drops:
            alone = drop.layer.train()(torch.ones(drop.shape))
            assert torch.equal(found[drop.path][k].expand(drop.shape), alone)


@pytest.mark.parametrize("form", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layer", [DropPath(0.3), nn.Dropout(0.2)])
def test_a_mask_does_what_its_layer_does_alone(layer, form):
    """With the same bits and in the same format: one in fp32 would bring a residual stream there."""
    x = images(1)[0][0].flatten(1).to(form)
    drop = Drop("drop", layer.train(), tuple(x.shape), x.stride())
    torch.manual_seed(1)
    alone = layer(x)
    torch.manual_seed(1)
    given = Given(layer)
    given.mask = drop.masks(drop.draw(torch.ones(drop.shape))[None])[0]
    assert given(x).dtype == form
    assert torch.equal(given(x), alone)
    assert given.eval()(x) is x


class Turned(nn.Module):
    """Leaves channels innermost in memory, as a layer norm of feature maps does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


@pytest.mark.parametrize("how", ["turned", "channels_last"])
def test_a_dropout_draws_in_the_order_in_which_numbers_lie_as_it_does_alone(how):
    train, before = TrainConfig(channels_last=how == "channels_last"), nn.Conv2d(3, 6, 1)
    parts = [before, *([Turned()] if how == "turned" else []), nn.Dropout(0.5)]
    models = [nn.Sequential(*parts, nn.Flatten(), nn.LazyLinear(3)) for _ in range(2)]
    x = images(1)[0][0]
    for model in models:
        model(x)  # makes the lazy layer
    stack = Stack(models, [train] * 2, x)
    (drop,) = stack.drops
    assert drop.moved
    y = torch.ones(drop.shape).contiguous(memory_format=torch.channels_last)
    torch.manual_seed(3)
    alone = nn.Dropout(0.5)(y)
    (mask,) = stack.draw((3, 4)).values()
    assert torch.equal(mask[0], alone)


def test_only_the_draws_of_masks_grow_with_the_replicas():
    """A `rand` for each of two drop paths; torch's four calls for each of two dropouts."""
    found = {}
    for replicas in (1, 4, 16):
        stack = Stack([dropping(k) for k in range(replicas)], [TrainConfig()] * replicas,
                      images(1)[0][0])  # fmt: skip
        with Operators() as counted:
            stack.draw(range(replicas))
        found[replicas] = counted.names.total()
    draws = 2 + 2 * 4
    assert found[4] - found[1] == 3 * draws
    assert found[16] - found[4] == 12 * draws


def test_one_batch_for_all_is_judged_as_a_copy_for_each():
    stack = Stack([network(k) for k in range(3)], [TrainConfig()] * 3, images(1)[0][0])
    x = images(1)[0][0]
    torch.testing.assert_close(stack.judge(x), stack.judge(x.expand(3, *x.shape)))


@pytest.mark.parametrize("form", [torch.float32, torch.bfloat16])
def test_what_a_map_gives_has_the_format_of_the_trial(form):
    """A bias in fp32 would bring all that follows back to fp32."""
    precision = "fp32" if form == torch.float32 else "bf16"
    train = TrainConfig(precision=precision)
    x, _ = images(2)
    stack = Stack([network(k) for k in range(2)], [train] * 2, x[0])
    assert stack.learn(x, {}).dtype == form
    assert stack.judge(x).dtype == form
    assert stack.flat.dtype == torch.float32
