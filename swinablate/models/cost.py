"""What a network costs without training it: parameters, multiply-accumulates, kept bytes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, no_type_check

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from swinablate.config.family import Family, ImageSpec, ModelConfig
from swinablate.models.bounds import TooLarge, counted, is_small
from swinablate.models.build import one_thread
from swinablate.models.layers.attention import SmallDotProduct

T = TypeVar("T")
Measure = Literal["params", "macs"]
"""Sizes that arms can be matched by."""


@dataclass(frozen=True)
class Cost:
    """Size of a network.

    Attributes:
        params: trainable numbers.
        macs: multiply-accumulates of one image, forward, in evaluation mode: those of
            matrix products and convolutions.
        activation_bytes: what a training step keeps of one image for its backward pass, in
            fp32; every tensor once, without weights.
    """

    params: int
    macs: int
    activation_bytes: int


def cost(family: Family[ModelConfig], config: ModelConfig, image: ImageSpec) -> Cost:
    """Count parameters, MACs and kept bytes, of a network that is small on the CPU.

    There it is run sooner than the meta device would ask Python for every shape; and the meta
    device imports torch's compiler, which takes longer than the plan of a small study.

    Raises:
        ValueError: the config cannot be built for this image.
    """

    def count(model: nn.Module) -> Cost:
        return Cost(
            params=_numel(model),
            macs=count_macs(model, image),
            activation_bytes=activation_bytes(model, image),
        )

    count_macs = macs if ":" in config.family else own_macs
    return _asked(family, config, image, count)


def size(family: Family[ModelConfig], config: ModelConfig, image: ImageSpec, by: Measure) -> int:
    """Count one of a network's costs, as `cost` does.

    Raises:
        ValueError: the config cannot be built for this image.
    """

    def count(model: nn.Module) -> int:
        return count_macs(model, image) if by == "macs" else _numel(model)

    count_macs = macs if ":" in config.family else own_macs
    return _asked(family, config, image, count)


def _numel(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def _asked(
    family: Family[ModelConfig],
    config: ModelConfig,
    image: ImageSpec,
    measure: Callable[[nn.Module], T],
) -> T:
    """Measure on the CPU what is small, and the rest on the meta device."""
    if ":" in config.family or not is_small(config, image, family.geometry(config, image)):
        return measured(family, config, image, measure)
    with torch.random.fork_rng(devices=[]), one_thread(), counted():
        return measure(family.build(config, image).eval())


def measured(
    family: Family[ModelConfig],
    config: ModelConfig,
    image: ImageSpec,
    measure: Callable[[nn.Module], T],
) -> T:
    """Measure the network on the meta device, in evaluation mode.

    Somebody else's code may ask for the value of a tensor: it then runs on the CPU.

    Raises:
        TooLarge: it has more parameters than can be planned.
    """

    def build() -> nn.Module:
        with counted():
            return family.build(config, image).eval()

    try:
        with torch.device("meta"):
            return measure(build())
    except TooLarge:
        raise
    except Exception:  # noqa: BLE001  whatever it raises; where it raises again, it is raised
        with torch.random.fork_rng(devices=[]):
            return measure(build())


@torch.no_grad()
def macs(model: nn.Module, image: ImageSpec) -> int:
    """Count the multiply-accumulates of one image by watching the operators of a forward pass.

    Args:
        model: of anybody's making, in evaluation mode, on a CPU or on the meta device.
        image: its input.
    """
    # It imports triton, and its first use torch's compiler: 1.5 s.
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        small = _small_products(model, image)
    # The counter takes a multiplication and an addition for two operations.
    return counter.get_total_flops() // 2 + small


@torch.no_grad()
def own_macs(model: nn.Module, image: ImageSpec) -> int:
    """Count as `macs` does, of a network of ours, by the functions of torch that it calls."""
    with _Products() as products:
        small = _small_products(model, image)
    return products.macs + small


class _Products(TorchFunctionMode):
    """Adds up the matrix products and convolutions that networks of ours ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

    @no_type_check  # of every call of torch: wrapped in tests, it takes longer than all of them
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of torch, and count what it multiplies."""
        found = func(*args, **(kwargs or {}))
        if func in _SHARED:
            self.macs += found.numel() * _SHARED[func](*args)
        return found


def _kernel(_: Tensor, weight: Tensor, *__: object) -> int:
    return math.prod(weight.shape[1:])


def _columns(first: Tensor, *_: object) -> int:
    return first.shape[-1]


_SHARED: Mapping[Callable[..., Any], Callable[..., int]] = {
    F.linear: _columns,
    F.conv2d: _kernel,
    torch.Tensor.__matmul__: _columns,
    torch.Tensor.matmul: _columns,
    torch.matmul: _columns,
    torch.addmm: lambda _, first, *__: _columns(first),
}
"""Function -> how many products each number of its result is the sum of."""


def _small_products(model: nn.Module, image: ImageSpec) -> int:
    """Run one image; the multiply-accumulates of products that are no products of matrices."""
    found: list[int] = []

    def note(module: nn.Module, args: tuple[Tensor, ...], _: Tensor) -> None:
        assert isinstance(module, SmallDotProduct)
        found.append(module.macs(args[0]))

    small = [module for module in model.modules() if isinstance(module, SmallDotProduct)]
    hooks = [module.register_forward_hook(note) for module in small]
    device = next(model.parameters()).device
    model(torch.zeros(1, image.channels, image.height, image.width, device=device))
    for hook in hooks:
        hook.remove()
    return sum(found)


def activation_bytes(model: nn.Module, image: ImageSpec) -> int:
    """Count the bytes that autograd keeps of one image, by watching two training steps.

    The difference between a batch of four and one of two, so that what does not grow with
    the batch does not count. The model is left in training mode.

    Args:
        model: on a CPU or on the meta device.
        image: its input.
    """
    model.train()
    two, four = _kept(model, image, 2), _kept(model, image, 4)
    return (four - two) // 2


def _kept(model: nn.Module, image: ImageSpec, batch: int) -> int:
    device = next(model.parameters()).device
    weights = [t.untyped_storage() for t in (*model.parameters(), *model.buffers())]
    own = {id(storage) for storage in weights}
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        kept[id(storage)] = storage  # held, so that its id stays its own
        return saved

    with torch.random.fork_rng(devices=[]), torch.autograd.graph.saved_tensors_hooks(pack, _same):
        x = torch.zeros(batch, image.channels, image.height, image.width, device=device)
        F.cross_entropy(model(x), torch.zeros(batch, dtype=torch.long, device=device))
    return sum(storage.nbytes() for key, storage in kept.items() if key not in own)


def _same(x: Tensor) -> Tensor:
    return x
