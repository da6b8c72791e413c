"""Rates against torch's schedulers, optimizers, averaged weights."""

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from swinablate.config.family import ImageSpec
from swinablate.config.train import TrainConfig
from swinablate.models.families.swin import Swin, SwinConfig
from swinablate.training import optim

TOTAL, WARM = 40, 8


def cosine(optimizer):
    return lr_scheduler.CosineAnnealingLR(optimizer, T_max=TOTAL - WARM)


def constant(optimizer):
    return lr_scheduler.ConstantLR(optimizer, factor=1.0)


def step(optimizer):
    return lr_scheduler.MultiStepLR(optimizer, [20 - WARM, 30 - WARM], gamma=0.1)


def one_cycle(optimizer):
    return lr_scheduler.OneCycleLR(
        optimizer, 0.5, total_steps=TOTAL, pct_start=WARM / TOTAL, cycle_momentum=False
    )


def rates_of_torch(rule):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    if rule is one_cycle:
        scheduler = one_cycle(optimizer)
    else:
        rise = lr_scheduler.LinearLR(optimizer, start_factor=1 / WARM, total_iters=WARM - 1)
        scheduler = lr_scheduler.SequentialLR(optimizer, [rise, rule(optimizer)], [WARM])
    rates = []
    for _ in range(TOTAL):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step() if len(rates) < TOTAL else None
    return rates


@pytest.mark.parametrize("rule", [cosine, constant, step, one_cycle], ids=lambda f: f.__name__)
@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")
def test_rates_are_those_of_torch(rule):
    train = TrainConfig(schedule=rule.__name__, warmup=WARM / TOTAL)
    ours = [0.5 * optim.rate(train, at, TOTAL) for at in range(TOTAL)]
    assert ours == pytest.approx(rates_of_torch(rule), rel=1e-9)


def test_rates_without_warmup_start_at_the_peak_and_short_runs_have_rates():
    for schedule in ("cosine", "constant", "step", "one_cycle"):
        train = TrainConfig(schedule=schedule, warmup=0.0)
        assert optim.rate(train, 0, TOTAL) == 1.0
        for total in (1, 2, 3):
            assert all(
                0 < optim.rate(TrainConfig(schedule=schedule), at, total) <= 1
                for at in range(total)
            )


def net():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


@pytest.mark.parametrize(
    ("changes", "kind", "wanted"),
    [
        ({}, torch.optim.AdamW, {"betas": (0.9, 0.999), "eps": 1e-8}),
        ({"optimizer": "adam", "betas": (0.5, 0.9)}, torch.optim.AdamW, {"betas": (0.5, 0.9)}),
        ({"optimizer": "adam", "l2": 0.1}, torch.optim.Adam, {"fused": True}),
        (
            {"optimizer": "adamw", "l2": 0.1, "precision": "fp16"},
            torch.optim.Adam,
            {"fused": False},
        ),
        ({"eps": 1e-4}, torch.optim.AdamW, {"eps": 1e-4}),
        ({"optimizer": "rmsprop"}, torch.optim.RMSprop, {"alpha": 0.99, "momentum": 0}),
        ({"optimizer": "adagrad", "eps": 1e-4}, torch.optim.Adagrad, {"eps": 1e-4, "lr_decay": 0}),
        ({"optimizer": "sgd"}, torch.optim.SGD, {"momentum": 0.9, "nesterov": False}),
        ({"optimizer": "sgd", "nesterov": True}, torch.optim.SGD, {"nesterov": True}),
        (
            {"optimizer": "sgd", "nesterov": True, "momentum": 0.0},
            torch.optim.SGD,
            {"momentum": 0.0, "nesterov": False},
        ),
    ],
)
def test_optimizer_is_the_one_asked_for(changes, kind, wanted):
    made = optim.make_optimizer(net(), TrainConfig(**changes))
    assert type(made) is kind
    assert {key: made.defaults[key] for key in wanted} == wanted


def test_frozen_parameters_are_not_the_optimizers():
    model = net()
    model[0].requires_grad_(requires_grad=False)
    held = [
        p for g in optim.make_optimizer(model, TrainConfig()).param_groups for p in g["params"]
    ]
    assert {id(p) for p in held} == {
        id(p) for p in [*model[1].parameters(), *model[2].parameters()]
    }


def test_average_is_exponential_for_weights_and_statistics_and_copies_the_rest():
    model = net()
    model.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    model.register_buffer("index", torch.arange(100))
    averaged = optim.Averaged(model, 0.9)
    names = ("0.weight", "1.running_mean", "1.running_var")
    wanted = {}
    for k in range(5):
        with torch.no_grad():
            for p in model.parameters():
                p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(k)))
            model(torch.randn(16, 3, generator=torch.Generator().manual_seed(k)))
        averaged.update_parameters(model)
        now = {name: model.state_dict()[name].clone() for name in names}
        wanted = {name: 0.9 * wanted[name] + 0.1 * now[name] for name in names} if k else now
    found = averaged.module.state_dict()
    for name in names:
        assert torch.allclose(found[name], wanted[name], atol=1e-6), name
    assert not torch.allclose(found["0.weight"], model[0].weight)
    assert found["mask"].tolist() == [0.0, -float("inf")]
    assert found["index"].tolist() == list(range(100))
    assert found["1.num_batches_tracked"] == 5


def decayed_by_hand(kind, rates, decay, l2):
    """Three steps of one matrix and one bias as Loshchilov and Hutter write them."""
    weights, plain = torch.tensor([[1.0, -2.0]]), torch.tensor([0.5])
    made = []
    for first, (ours, l2_of_it) in zip((weights, plain), ((decay, l2), (0.0, 0.0)), strict=True):
        p, m, v = first, torch.zeros_like(first), torch.zeros_like(first)
        for t, lr in enumerate(rates, 1):
            p = p * (1 - lr * ours)
            grad = torch.full_like(p, 0.1 * t) + l2_of_it * p
            if kind == "sgd":
                m = 0.9 * m + grad
                p = p - lr * m
            elif kind in ("rmsprop", "adagrad"):
                v = 0.99 * v + 0.01 * grad**2 if kind == "rmsprop" else v + grad**2
                p = p - lr * grad / (v.sqrt() + 1e-8)
            else:
                m, v = 0.9 * m + 0.1 * grad, 0.999 * v + 0.001 * grad**2
                p = p - lr * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
        made.append(p)
    return made


@pytest.mark.parametrize("kind", ["adamw", "adam", "sgd", "rmsprop", "adagrad"])
@pytest.mark.parametrize(("decay", "l2"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.3), (0.5, 0.3)])
def test_decay_is_decoupled_and_l2_is_not_in_every_optimizer(kind, decay, l2):
    """Also under a rate that changes, and of matrices alone."""
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, -2.0]]))
        model.bias.copy_(torch.tensor([0.5]))
    train = TrainConfig(optimizer=kind, weight_decay=decay, l2=l2, clip=0.0)
    made = optim.make_optimizer(model, train)
    rates = [0.1, 0.05, 0.2]
    for t, lr in enumerate(rates, 1):
        model.weight.grad, model.bias.grad = (
            torch.full_like(p, 0.1 * t) for p in model.parameters()
        )
        optim.set_rate(made, lr)
        made.step()
    weight, bias = decayed_by_hand(kind, rates, decay, l2)
    torch.testing.assert_close(model.weight.detach(), weight, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(model.bias.detach(), bias, atol=1e-6, rtol=1e-5)


def test_a_part_with_a_rate_of_its_own_decays_by_that_rate():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    train = TrainConfig(optimizer="sgd", weight_decay=0.5, momentum=0.0)
    made = optim.make_optimizer(model, train, ("1", 10.0))
    for p in model.parameters():
        nn.init.ones_(p)
        p.grad = torch.zeros_like(p)
    optim.set_rate(made, 0.1)
    made.step()
    assert [p.item() for p in model.parameters()] == pytest.approx([0.95, 0.5])


def test_what_is_not_of_this_step_does_not_decay():
    """torch's own decay spares a parameter without a gradient, too."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    made = optim.make_optimizer(model, TrainConfig(optimizer="sgd", weight_decay=0.5))
    made.step()
    assert model.weight.item() == 1.0


@pytest.mark.parametrize("kind", ["log_cpb", "linear_cpb"])
def test_the_network_of_a_position_bias_does_not_decay(kind):
    config = SwinConfig(patch=1, width=8, depths=(2,), heads=(2,), window=4, position_bias=kind)
    model = Swin(config, ImageSpec(height=8, width=8, channels=1, classes=2))
    names = {p: name for name, p in model.named_parameters()}
    groups = optim.make_optimizer(model, TrainConfig()).param_groups
    free = {names[p].rpartition("position.")[2] for p in groups[1]["params"]}
    assert {"fc1.weight", "fc1.bias", "fc2.weight"} <= free
    assert not any("position" in names[p] for p in groups[0]["params"])


def deep():
    """First layer, hidden matrix, kernel, table, and another hidden matrix before the head."""
    model = nn.Sequential()
    model.add_module("embed", nn.Linear(3, 8))
    model.add_module("position", nn.Embedding(5, 8))
    model.add_module("hidden", nn.Linear(8, 6))
    model.add_module("conv", nn.Conv2d(6, 6, 3))
    model.add_module("head", nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2)))
    return model


def test_muon_moves_the_matrices_of_hidden_layers_and_adamw_the_rest():
    model = deep()
    made = optim.make_optimizer(model, TrainConfig(optimizer="muon"), ("head", 10.0))
    first, second = made.parts
    assert (type(first), type(second)) == (torch.optim.Muon, torch.optim.AdamW)
    turned = [p for g in first.param_groups for p in g["params"]]
    assert turned == [model.hidden.weight, model.head[0].weight]
    held = [p for g in made.param_groups for p in g["params"]]
    assert sorted(map(id, held)) == sorted(id(p) for p in model.parameters())
    optim.set_rate(made, 0.25)
    assert first.param_groups[0]["lr"] == 0.25
    assert {g["lr"] for g in second.param_groups} == {0.25, 2.5}


def test_muon_of_a_network_without_hidden_matrices_is_adamw():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3), nn.Linear(2, 2))
    assert type(optim.make_optimizer(model, TrainConfig(optimizer="muon"))) is torch.optim.AdamW


def test_muons_steps_are_near_a_rotation_of_the_length_that_adamw_has():
    """All singular values alike, whatever those of the gradient; Liu 2025, eq. 4: 0.2 a number."""
    model = deep()
    train = TrainConfig(optimizer="muon", weight_decay=0.5)
    made = optim.make_optimizer(model, train)
    generator = torch.Generator().manual_seed(0)
    left = torch.linalg.qr(torch.randn(6, 6, generator=generator)).Q
    right = torch.linalg.qr(torch.randn(8, 8, generator=generator)).Q[:6]
    before = model.hidden.weight.detach().clone()
    values = torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0, 0.5])
    model.hidden.weight.grad = left @ torch.diag(values) @ right
    optim.set_rate(made, 0.1)
    made.step()
    step = before * (1 - 0.1 * 0.5) - model.hidden.weight.detach()
    found = torch.linalg.svdvals(step) / (0.1 * 0.2 * 8**0.5)
    assert 0.6 < found.min() <= found.max() < 1.3
    # Along the gradient's own directions, and against it.
    assert (torch.diag(left.T @ step @ right.T) > 0.01).all()


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_muon_decays_hidden_matrices_by_their_rate_and_nothing_that_is_spared(decay):
    """Where there is no gradient, a step is the decay alone."""
    model = deep()
    made = optim.make_optimizer(model, TrainConfig(optimizer="muon", weight_decay=decay))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optim.set_rate(made, 0.1)
    made.step()
    for name, p in model.named_parameters():
        spared = p.ndim < 2 or name == "position.weight"
        left = 1.0 if spared else 1 - 0.1 * decay
        torch.testing.assert_close(p.detach(), left * before[name], atol=1e-7, rtol=1e-6)


def test_muon_takes_no_l2():
    with pytest.raises(ValueError, match=r"choose l2 = 0.0, and weight_decay in its place"):
        TrainConfig(optimizer="muon", l2=0.1)


@pytest.mark.parametrize(("scale", "rate"), [("none", 0.1), ("linear", 0.4), ("sqrt", 0.2)])
def test_the_rate_follows_the_batch_as_it_is_asked_to(scale, rate):
    train = TrainConfig(lr=0.1, batch=256, lr_batch=64, lr_scale=scale)
    assert train.peak_lr == pytest.approx(rate)
    assert optim.make_optimizer(net(), train).defaults["lr"] == pytest.approx(rate)
