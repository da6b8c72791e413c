"""The shapes that signatures say are checked at every call, in this test suite."""

import gc
import re
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, SupportsFloat

import jaxtyping
import pytest
import torch
from beartype import beartype
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.data.augment.colour import grey
from swinablate.data.batches import epoch_order
from swinablate.models.layers.merge import MergeLinear
from swinablate.training.fused.stack import losses
from tests.shapes import decided, looks, remembering, shaped

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


def test_jaxtyping_is_asked_once_of_what_looks_alike():
    asked = []

    def strict(function):
        return lambda *args, **named: (asked.append((args, named)), function(*args, **named))[1]

    def repeated(x: Float[Tensor, "a b"], times: int = 1) -> Float[Tensor, "c b"]:
        return x.repeat(times, 1)

    call, x = remembering(strict, beartype)(repeated), torch.zeros(2, 3)
    for given in (x, x + 1, x, x.double(), x[:1], nn.Parameter(x), x, x[:1]):
        assert call(given) is not given
    assert len(asked) == 4
    assert call(x, times=1).shape == call(x + 1, times=1).shape
    assert len(asked) == 5
    call(x, times=2)  # another answer
    call(x, times=2)
    assert len(asked) == 6


def test_a_signature_without_shapes_is_checked_at_every_call_and_not_by_jaxtyping():
    def longest(names: list[str], least: int = 0) -> int:
        return max([least, *map(len, names)]) if names else ""

    call = remembering(pytest.fail, beartype)(longest)
    assert [call(["a", "bc"]), call(["a"]), call(["a"], least=2)] == [2, 1, 2]
    for given in (([1],), (["a"], "2"), ([],)):  # an item, a number, the answer
        with pytest.raises(BeartypeCallHintViolation):
            call(*given)


def test_functions_that_a_function_makes_are_checked_alike_and_end():
    wrap, asked = remembering(pytest.fail, lambda one: (asked.append(one), beartype(one))[1]), []

    def make(start: object) -> Callable[..., int]:
        def add(number: int, times: int = 1) -> int:
            return start if number < 0 else add(number * times) if times > 1 else number

        return wrap(add)

    class Start:
        pass

    first, second = make(begun := Start()), make(7)
    assert (first(1), second(-1), second(2, times=3)) == (1, 7, 6)
    for call, given in ((first, "1"), (second, 1.5), (first, -1)):  # the last one's answer
        with pytest.raises(BeartypeCallHintViolation):
            call(given)
    gone = weakref.ref(begun)
    del begun, first, call
    gc.collect()
    assert (len(asked), gone()) == (1, None)


@pytest.mark.parametrize(
    ("kind", "known"),
    [(dict[str, tuple[Float[Tensor, "a b"], ...]], True), (Float[Tensor, "a b"] | None, True),
     (Callable[[Float[Tensor, "a b"]], int], True), ("Path", True), (Mapping[str, int], False),
     (Callable[..., Tensor], False), (Literal["a"], False), (int | None, False)],
    ids=str,
)  # fmt: skip
def test_a_shape_is_found_wherever_a_signature_says_it(kind, known):
    def function(x, n: int):
        pass

    function.__annotations__["x"] = kind
    assert shaped(function) is known
    function.__annotations__ = {"return": kind}
    assert shaped(function) is known


def test_a_tensor_without_a_shape_is_like_no_other():
    lazy = nn.LazyLinear(3).weight
    assert looks(lazy) != looks(lazy)


@pytest.mark.parametrize(
    ("kind", "told"),
    [(Float[Tensor, "a 2*b"], True), (Float[Tensor, "a b"] | None, True), (Tensor, True),
     (tuple[Float[Tensor, "a b"], ...], True), (tuple[int, nn.Module], True), (Path, True),
     (Callable[[int], int], True), (Iterator[int], True),
     (Float[Tensor, "{n}"], False), (list[int], False), (Sequence[Tensor], False),
     (Mapping[str, int], False), (Literal["a"], False), (SupportsFloat, False),
     (tuple[list[int], int], False), ("Path", False)],
    ids=str,
)  # fmt: skip
def test_a_value_may_matter_besides_what_it_looks_like(kind, told):
    def function(x, n: int):
        pass

    function.__annotations__["x"] = kind
    assert decided(function) is told
    function.__annotations__ = {"return": kind}
    assert decided(function) is told
