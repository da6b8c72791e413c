"""The Swin of post 000 as the post builds it, and ours with its switches: equal, also in training.

The post's is `benchmarks/peers/post000.py`: maps apart, windows copied, a mask by hand.
"""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.peers.post000 import Swin as Theirs
from swinablate.config.family import ImageSpec
from swinablate.models.families.swin import Swin, SwinConfig
from swinablate.study.arms.recipes import load_recipe
from tests.study.shipped import ROOT

CIFAR = ImageSpec(height=32, width=32, channels=3, classes=10)
RECIPE = load_recipe(ROOT / "experiments" / "post000_cifar10.toml")
SMALL: dict[str, Any] = {"width": 12, "heads": (1, 2, 4)}
"""A quarter of the post's width, and heads as wide as its own."""


def ours_of(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Its weights under our names: one map for queries, keys and values, blocks one by one."""
    found = {}
    for i, part in enumerate(range(0, 5, 2)):
        block, stage = f"parts.{part}", f"stages.{i}"
        for k, kind in enumerate(("plain", "shifted")):
            names = {
                "norm1": f"{block}.norms.{2 * k}",
                "attention.out": f"{block}.{kind}.attention.linear",
                "norm2": f"{block}.norms.{2 * k + 1}",
                "mlp.fc1": f"{block}.mlps.{k}.0",
                "mlp.fc2": f"{block}.mlps.{k}.2",
            }
            for end in ("weight", "bias"):
                maps = [state[f"{block}.{kind}.attention.w_{x}.{end}"] for x in "qkv"]
                found[f"{stage}.blocks.{k}.attention.qkv.{end}"] = torch.cat(maps)
                found |= {
                    f"{stage}.blocks.{k}.{ours}.{end}": state[f"{theirs}.{end}"]
                    for ours, theirs in names.items()
                }
        if i < 2:
            merge = f"parts.{part + 1}"
            found |= {
                f"{stage}.merge.norm.{e}": state[f"{merge}.norm.{e}"] for e in ("weight", "bias")
            }
            found[f"{stage}.merge.reduce.weight"] = state[f"{merge}.reduction.weight"]
    for end in ("weight", "bias"):
        for name, theirs in {"embed.project": "embed", "norm": "norm", "head": "head"}.items():
            found[f"{name}.{end}"] = state[f"{theirs}.{end}"]
    return found  # fmt: skip


def pair(**fields: Any) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    theirs = Theirs(**fields).double()
    ours = Swin(SwinConfig(**RECIPE.model.model_dump() | fields), CIFAR).double()
    ours.load_state_dict(ours_of(theirs.state_dict()), strict=True)
    return ours, theirs


def pixels(side: int = 32, count: int = 8) -> Tensor:
    chance = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, side, side, generator=chance, dtype=torch.float64)


def test_the_recipe_is_the_posts_network():
    ours, theirs = pair()
    assert sum(p.numel() for p in theirs.parameters()) == 1_267_930
    with torch.no_grad():
        torch.testing.assert_close(ours(pixels()), theirs(pixels()), rtol=0, atol=1e-12)


@pytest.mark.parametrize("window", [2, 3])
def test_its_mask_is_the_posts_at_odd_windows_too(window):
    side = 16 * window
    theirs = Theirs(**SMALL, window=window).double()
    image = CIFAR.model_copy(update={"height": side, "width": side})
    fields = RECIPE.model.model_dump() | SMALL | {"window": window}
    ours = Swin(SwinConfig(**fields), image).double()
    ours.load_state_dict(ours_of(theirs.state_dict()), strict=True)
    with torch.no_grad():
        x = pixels(side)
        torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-12)


def test_it_learns_as_the_posts_does():
    """Twenty steps of Adam at the post's rate, on the same batches."""
    losses = []
    for model in pair(**SMALL):
        optimizer = torch.optim.Adam(model.parameters(), lr=RECIPE.train.lr)
        x, y = pixels(), torch.arange(8)
        seen = []
        for _ in range(20):
            loss = F.cross_entropy(model(x), y)
            seen.append(loss.detach())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(torch.stack(seen))
    assert losses[0][-1] < losses[0][0]
    torch.testing.assert_close(*losses, rtol=0, atol=1e-10)
