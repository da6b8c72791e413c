"""NiN, GoogLeNet and the recurrent network."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from swinablate.config.family import ImageSpec
from swinablate.models.cost import size
from swinablate.models.families import googlenet, lenet, nin, rnn
from swinablate.models.layers.conv import ChannelNorm

CIFAR = ImageSpec(height=32, width=32, channels=3, classes=10)
FASHION = ImageSpec(height=28, width=28, channels=1, classes=10)


def test_nin_has_the_size_of_d2l():
    """d2l's NiN at 224 with one channel, without batch norm: 1,992,166."""
    image = ImageSpec(height=224, width=224, channels=1, classes=10)
    config = nin.NiNConfig(widths=(96, 256, 384), kernels=(11, 5, 3), stride=4, norm="none")
    assert size(nin.FAMILY, config, image, "params") == 1_992_166


@pytest.mark.parametrize("mixers", [0, 2])
@pytest.mark.parametrize("head", ["gap", "fc"])
def test_nin_geometry_is_what_runs(mixers, head):
    image = ImageSpec(height=15, width=22, channels=2, classes=3)
    config = nin.NiNConfig(stride=2, mixers=mixers, head=head)
    model = nin.NiN(config, image)
    grids: list[tuple[int, ...]] = []
    for step in model.blocks[::2]:
        step.register_forward_hook(lambda *hooked: grids.append(tuple(hooked[2].shape[2:])))
    model.dropout.register_forward_hook(lambda *hooked: grids.append(tuple(hooked[2].shape[2:])))
    assert model(torch.randn(2, 2, 15, 22)).shape == (2, 3)
    assert grids == [stage["grid"] for stage in nin.geometry(config, image)]


def test_logits_of_nin_may_be_negative():
    torch.manual_seed(0)
    for mixers in (0, 2):
        logits = nin.NiN(nin.NiNConfig(mixers=mixers), CIFAR)(torch.randn(8, 3, 32, 32))
        assert (logits < 0).any()


def test_inception_concatenates_the_channels_of_table_1():
    totals = [[row.total for row in rows] for rows in googlenet.STAGES]
    assert totals == [[256, 480], [512, 512, 512, 528, 832], [832, 1024]]
    block = googlenet.Inception(3, googlenet.Widths(2, 3, 4, 1, 5, 6), "none")
    x = torch.randn(1, 3, 7, 7)
    y = block(x)
    assert y.shape == (1, 17, 7, 7)
    parts = [path(x) for path in block.paths]
    assert torch.equal(y, torch.cat(parts, 1))
    kernels = [
        [m.kernel_size[0] for m in p.modules() if isinstance(m, nn.Conv2d)] for p in block.paths
    ]
    assert kernels == [[1], [1, 3], [1, 5], [1]]


def test_a_sum_of_paths_is_as_wide():
    block = googlenet.Summed(3, googlenet.Widths(2, 3, 4, 1, 5, 6), "none")
    x = torch.randn(1, 3, 7, 7)
    torch.testing.assert_close(block(x), sum(path(x) for path in block.paths))
    assert block(x).shape == (1, 17, 7, 7)


def test_weights_of_googlenet_follow_from_table_1():
    """Of the paper's nine blocks at full width, without biases: its table, row by row."""
    with torch.device("meta"):
        config = googlenet.GoogLeNetConfig(width=64)
        model = googlenet.GoogLeNet(config, CIFAR)
    before, expected = 192, []
    for rows in googlenet.STAGES:
        for row in rows:
            one, r3, three, r5, five, pool = row
            expected.append(before * (one + r3 + r5 + pool) + 9 * r3 * three + 25 * r5 * five)
            before = row.total
    blocks = [m for m in model.modules() if isinstance(m, googlenet.Inception)]
    weights = [
        sum(m.weight.numel() for m in block.modules() if isinstance(m, nn.Conv2d))
        for block in blocks
    ]
    assert weights == expected


def test_geometry_of_googlenet_is_what_runs():
    config = googlenet.GoogLeNetConfig(blocks=(1, 2, 1))
    model = googlenet.GoogLeNet(config, FASHION)
    shapes: list[tuple[int, ...]] = []
    for stage in model.stages:
        stage.register_forward_hook(lambda *hooked: shapes.append(tuple(hooked[2].shape[1:])))
    model(torch.randn(2, 1, 28, 28))
    shown = googlenet.geometry(config, FASHION)
    assert shapes == [(s["width"], *s["grid"]) for s in shown]
    assert shapes == [(64, 28, 28), (128, 14, 14), (208, 7, 7)]


def test_lenet_has_its_published_size():
    """61,706: d2l sec. 7.6, and the usual count of LeNet-5 without the paper's sparse maps."""
    image = ImageSpec(height=28, width=28, channels=1, classes=10)
    assert size(lenet.FAMILY, lenet.LeNetConfig(), image, "params") == 61_706


def test_lenet_geometry_is_what_runs():
    image = ImageSpec(height=29, width=24, channels=1, classes=10)
    config = lenet.LeNetConfig()
    model, grids = lenet.LeNet(config, image), []
    for conv in (model.conv1, model.conv2):
        conv.register_forward_hook(lambda _m, _x, y: grids.append(tuple(y.shape[2:])))
    model(torch.zeros(1, 1, 29, 24))
    *convs, _, _ = lenet.geometry(config, image)
    assert grids == [stage["grid"] for stage in convs]


@pytest.mark.parametrize(("side", "fits"), [(11, False), (12, True)])
def test_lenet_needs_room_for_its_kernels(side, fits):
    image = ImageSpec(height=side, width=28, channels=1, classes=10)
    if fits:
        assert lenet.LeNet(lenet.LeNetConfig(), image)(torch.zeros(2, 1, side, 28)).shape == (
            2,
            10,
        )
        return
    with pytest.raises(ValueError, match=r"a 11x28 image is too small .* at least 12x12"):
        lenet.geometry(lenet.LeNetConfig(), image)


@pytest.mark.parametrize(
    ("norm", "kinds"), [("batch", {nn.BatchNorm2d}), ("layer", {ChannelNorm}), ("none", set())]
)
@pytest.mark.parametrize(
    ("build", "count"),
    [
        (lambda norm: nin.NiN(nin.NiNConfig(norm=norm), CIFAR), 8),
        (lambda norm: googlenet.GoogLeNet(googlenet.GoogLeNetConfig(norm=norm), CIFAR), 55),
    ],
    ids=["nin", "googlenet"],
)
def test_norm_replaces_every_norm(build, count, norm, kinds):
    found = [m for m in build(norm).modules() if isinstance(m, nn.BatchNorm2d | nn.LayerNorm)]
    assert {type(m) for m in found} == kinds
    assert len(found) == (count if kinds else 0)


TORCH = {"lstm": nn.LSTM, "gru": nn.GRU, "elman": nn.RNN}


def of_torch(theirs: nn.RNNBase, ending: str = "") -> dict[str, Tensor]:
    """The weights of torch's first layer under our names."""
    names = {"read.weight": "weight_ih", "read.bias": "bias_ih", "recur.weight": "weight_hh"}
    return {ours: getattr(theirs, f"{name}_l0{ending}") for ours, name in names.items()}


@pytest.mark.parametrize("cell", TORCH)
def test_cells_equal_those_of_torch(cell, excite):
    """Torch's have a second bias, here 0."""
    theirs = excite(TORCH[cell](6, 6, batch_first=True))
    nn.init.zeros_(theirs.bias_hh_l0)
    ours = rnn.CELLS[cell](6)
    ours.load_state_dict(of_torch(theirs))
    x = torch.randn(3, 9, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x)[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cell", TORCH)
def test_reading_both_ways_equals_torchs(cell, excite):
    """Its last states of both orders are what the head sees."""
    theirs = excite(TORCH[cell](6, 3, batch_first=True, bidirectional=True))
    for ending in ("", "_reverse"):
        nn.init.zeros_(getattr(theirs, f"bias_hh_l0{ending}"))
    ours = rnn.BothWays(rnn.CELLS[cell], 6)
    ours.ahead.load_state_dict(of_torch(theirs))
    ours.back.load_state_dict(of_torch(theirs, "_reverse"))
    x = torch.randn(3, 9, 6, generator=torch.Generator().manual_seed(0))
    states, last = theirs(x)
    torch.testing.assert_close(ours(x), states, atol=1e-5, rtol=1e-5)
    ends = (last[0] if cell == "lstm" else last).transpose(0, 1).flatten(1)
    torch.testing.assert_close(rnn.LastOfBoth()(ours(x)), ends, atol=1e-5, rtol=1e-5)


def test_a_state_sees_the_past_only():
    x = torch.randn(1, 8, 6, requires_grad=True)
    rnn.LSTM(6)(x)[0, 4].sum().backward()
    assert (x.grad[0].abs().sum(-1) > 0).tolist() == [True] * 5 + [False] * 3


def test_forget_gates_start_open():
    config = rnn.RNNConfig()
    model = rnn.RNN(config, CIFAR)
    rnn.FAMILY.init(model, config, lambda name: torch.Generator().manual_seed(0))
    enter, keep, new, leave = model.layers[0].read.bias.chunk(4)
    assert (keep == 1).all()
    assert not torch.cat((enter, new, leave)).any()


@pytest.mark.parametrize(
    ("config", "fields", "message"),
    [
        (nin.NiNConfig, {"kernels": (5, 4)}, "kernel 4 has no middle; choose an odd side"),
        (
            nin.NiNConfig,
            {"kernels": (5,)},
            "kernels has 1 entries, widths has 2; give both one entry per block",
        ),
        (
            rnn.RNNConfig,
            {"width": 9, "bidirectional": True},
            "width 9 has no half for each order of reading; choose an even one",
        ),
        (
            googlenet.GoogLeNetConfig,
            {"width": 12},
            "width 12 leaves fractions of channels; choose a multiple of 8",
        ),
        (
            googlenet.GoogLeNetConfig,
            {"blocks": (3, 1, 1)},
            "stage 0 has 2 blocks in the paper, not 3; use fewer",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(config, fields, message):
    with pytest.raises(ValidationError) as error:
        config(**fields)
    assert error.value.errors()[0]["msg"] == f"Value error, {message}"
