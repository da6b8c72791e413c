"""A band that saves what it hides: equal to masked products but for rounding, and cheaper."""

import itertools

import pytest
import torch
from torch.overrides import TorchFunctionMode

from swinablate.config.family import ImageSpec
from swinablate.config.train import TrainConfig
from swinablate.models.cost import cost
from swinablate.models.families import swin, vit
from swinablate.models.layers import banded
from swinablate.models.layers.attention import DotProduct, OverQueries
from swinablate.models.layers.banded import Banded, tile_of
from swinablate.training.machine import rounding

GRIDS = {"square": (16, 16), "not square": (12, 20), "not whole tiles": (14, 22), "a row": (1, 40)}
IMAGE = ImageSpec(height=16, width=16, channels=2, classes=3)
VIT = {"patch": 1, "width": 8, "heads": 2, "depth": 1}
SWIN = {"patch": 1, "width": 8, "heads": (2,), "depths": (2,), "window": 16}


def masked(monkeypatch, make):
    """What it was before: the products of all pairs, most of them hidden."""
    with monkeypatch.context() as patch:
        patch.setattr(banded, "SAVES", 0.0)
        return make()


def products(model):
    return [m for m in model.modules() if isinstance(m, DotProduct)]


def compared(monkeypatch, excite, make, x):
    """Logits and gradients of both ways, under the same weights."""
    cut, whole = excite(make()), masked(monkeypatch, lambda: excite(make()))
    whole.load_state_dict(cut.state_dict())
    found = []
    for model in (cut, whole):
        y = model(x)
        y.square().sum().backward()
        found.append((y.detach(), [p.grad for p in model.parameters() if p.grad is not None]))
    return [type(m) for m in products(cut)], [type(m) for m in products(whole)], found


class Hosts(TorchFunctionMode):
    """Notes what brings a number to the device, or from it: a GPU's step would wait."""

    WAIT = frozenset({"tensor", "new_tensor", "as_tensor", "item", "tolist", "nonzero", "cpu"})

    def __init__(self):
        super().__init__()
        self.found = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.found |= {func.__name__} & self.WAIT
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("family", "fields"), [(vit, VIT), (swin, SWIN), (vit, VIT | {"pool": "cls", "registers": 2})]
)
def test_no_number_of_pythons_is_brought_to_the_device_in_a_step(family, fields):
    made = family.FAMILY
    with torch.device("meta"):
        model = made.build(made.config(**fields, band=1), IMAGE)
        assert any(isinstance(m, Banded) for m in model.modules())
        x = torch.zeros(2, 2, 16, 16)
        with Hosts() as hosts:
            model(x)
    assert hosts.found == set()


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("band", [1, 2])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"pool": "cls", "registers": 2, "position_bias": "table"},
        {"attention": "cosine", "diagonal": False, "qk_norm": True},
    ],
    ids=["plain", "prefix and table", "cosine"],
)
def test_a_vit_answers_and_learns_as_with_a_mask(monkeypatch, excite, name, band, fields):
    rows, columns = GRIDS[name]
    image = ImageSpec(height=rows, width=columns, channels=2, classes=3)
    config = vit.ViTConfig(**VIT | fields, band=band)
    x = torch.randn(2, 2, rows, columns, generator=torch.Generator().manual_seed(0))
    ours, theirs, (a, b) = compared(monkeypatch, excite, lambda: vit.ViT(config, image), x)
    assert (set(ours), set(theirs)) == ({Banded}, {DotProduct})
    torch.testing.assert_close(a, b, atol=2e-5, rtol=2e-4)


@pytest.mark.parametrize(
    ("fields", "image"),
    [
        ({}, IMAGE),
        ({"shift_covered": True}, IMAGE),  # its mask hides more than the band
        ({"position_bias": "log_cpb"}, ImageSpec(height=32, width=32, channels=2, classes=3)),
        ({"pad": "masked", "shift_mask": "none"}, ImageSpec(height=20, width=30, channels=2, classes=3)),
    ],
    ids=["one window", "shifted", "four windows", "padded"],
)  # fmt: skip
def test_a_swin_answers_and_learns_as_with_a_mask(monkeypatch, excite, fields, image):
    config = swin.SwinConfig(**SWIN | fields, band=1)
    x = torch.randn(2, 2, image.height, image.width, generator=torch.Generator().manual_seed(0))
    ours, theirs, (a, b) = compared(monkeypatch, excite, lambda: swin.Swin(config, image), x)
    assert (set(ours), set(theirs)) == ({Banded}, {DotProduct})
    torch.testing.assert_close(a, b, atol=2e-5, rtol=2e-4)


def test_macs_fall_with_the_band():
    """Of the attention's products what the tiles and their margins are of the grid."""

    def macs(**fields):
        return cost(vit.FAMILY, vit.ViTConfig(**VIT, **fields), IMAGE).macs

    whole, wide, narrow = macs(), macs(band=2), macs(band=1)
    products = 2 * 256 * 256 * 8
    assert whole - wide == products - 2 * 256 * 8**2 * 8
    assert whole - narrow == products - 2 * 256 * 6**2 * 8
    assert macs(band=15) == whole


def test_macs_of_a_swin_fall_with_the_band_of_its_windows():
    costs = [cost(swin.FAMILY, swin.SwinConfig(**SWIN, band=b), IMAGE).macs for b in (1, 2, 15)]
    assert costs == sorted(costs)
    assert len(set(costs)) == 3


@pytest.mark.parametrize(
    ("grid", "band", "tile"),
    [((16, 16), 1, (4, 4)), ((14, 14), 1, (4, 4)), ((16, 16), 5, None), ((8, 8), 1, None),
     ((4, 4), 1, None), ((1, 40), 1, (1, 4)), ((32, 32), 8, (8, 8))],
)  # fmt: skip
def test_tiles_are_those_that_meet_the_fewest_keys(grid, band, tile):
    found = tile_of(grid, band)
    if tile is None:
        assert found is None
    else:
        assert found is not None
        sides = itertools.product(range(1, 9), repeat=2) if grid == (32, 32) else [tile]
        assert found in list(sides)


def test_where_nothing_is_saved_or_weights_are_dropped_all_pairs_are_computed():
    def kinds(**fields):
        return {type(m) for m in products(vit.ViT(vit.ViTConfig(**VIT, **fields), IMAGE))}

    assert kinds(band=1) == {Banded}
    assert kinds(band=1, attn_drop=0.1) == {DotProduct}
    assert kinds(band=1, softmax_over="queries") == {OverQueries}
    assert kinds() == {DotProduct}


def test_weights_of_one_way_fit_the_other(monkeypatch):
    config = swin.SwinConfig(**SWIN, band=1)
    cut = swin.Swin(config, IMAGE)
    whole = masked(monkeypatch, lambda: swin.Swin(config, IMAGE))
    assert cut.state_dict().keys() == whole.state_dict().keys()


def test_a_record_says_that_a_band_was_cut_to_tiles():
    def said(precision="fp32", device="cpu", **fields):
        network = vit.ViT(vit.ViTConfig(**VIT, **fields), IMAGE)
        return rounding(network, TrainConfig(precision=precision), torch.device(device))

    assert said(band=1) == said("bf16", "cuda", band=1) == {"banded": 1}
    assert said() == said(band=15) == said("bf16") == said(device="cuda") == {}
    assert said("bf16", "cuda") == {"attention": 2}
    assert said("bf16", "cuda", softmax_over="queries") == {}
