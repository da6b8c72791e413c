"""The shapes that signatures say are checked at every call, in this test suite."""

import re
from pathlib import Path

import jaxtyping
import pytest
import torch
from torch import nn

from swinablate.data.augment.colour import grey
from swinablate.data.batches import epoch_order
from swinablate.models.layers.merge import MergeLinear
from swinablate.training.fused.stack import losses

ROOT = Path(__file__).parent.parent


def refused(part: str, function: str):
    """A call whose arguments, or whose answer, are not of the shapes of the signature."""
    message = f"^Type-check error whilst checking the {part} of swinablate.{function}.\n"
    return pytest.raises(jaxtyping.TypeCheckError, match=message)


def test_a_layer_refuses_a_grid_without_its_batch():
    with refused("parameters", r"models.layers.merge.MergeLinear.forward"):
        MergeLinear(8, "layer")(torch.zeros(4, 4, 8))


def test_a_layer_whose_answer_has_another_width_is_found():
    merge = MergeLinear(8, "layer")
    assert merge(torch.zeros(2, 4, 6, 8)).shape == (2, 2, 3, 16)
    merge.reduce = nn.Linear(32, 15)
    with refused("return value", "models.layers.merge.MergeLinear.forward"):
        merge(torch.zeros(2, 4, 6, 8))


def test_numbers_of_another_kind_are_refused():
    with refused("parameters", "data.augment.colour.grey"):
        grey(torch.zeros(2, 3, 4, 4))  # bytes are expected


def test_an_argument_that_gives_a_size_is_heeded(monkeypatch):
    assert len(epoch_order(5, 0, "", 0)) == 5
    monkeypatch.setattr(torch, "randperm", lambda n, generator: torch.arange(n + 1))
    with refused("return value", "data.batches.epoch_order"):
        epoch_order(5, 0, "", 0)


def test_arguments_that_do_not_fit_each_other_are_refused():
    with refused("parameters", "training.fused.stack.losses"):
        losses(torch.zeros(2, 3, 10), torch.zeros(2, 4, dtype=torch.long), 0.0)


def test_every_module_that_says_shapes_is_checked(pytestconfig):
    *packages, _ = pytestconfig.getoption("jaxtyping_packages").split(",")
    saying = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for package in ("swinablate", "benchmarks")
        for file in (ROOT / package).rglob("*.py")
        if re.search(r"^(from|import) jaxtyping\b", file.read_text(), re.MULTILINE)
    ]
    assert "swinablate.data.dataset" in saying
    assert [m for m in saying if not any(m.startswith(f"{p}.") for p in packages)] == []
