"""What a network costs without training it: parameters, multiply-accumulates, kept bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from swinablate.config.family import Family, ImageSpec, ModelConfig
from swinablate.models.bounds import TooLarge, counted
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
    """Count parameters and MACs on the meta device, where no tensor has storage.

    Raises:
        ValueError: the config cannot be built for this image.
    """

    def count(model: nn.Module) -> Cost:
        return Cost(
            params=sum(p.numel() for p in model.parameters()),
            macs=macs(model, image),
            activation_bytes=activation_bytes(model, image),
        )

    return measured(family, config, image, count)


def size(family: Family[ModelConfig], config: ModelConfig, image: ImageSpec, by: Measure) -> int:
    """Count one of a network's costs, as `cost` does.

    Raises:
        ValueError: the config cannot be built for this image.
    """

    def count(model: nn.Module) -> int:
        return macs(model, image) if by == "macs" else sum(p.numel() for p in model.parameters())

    return measured(family, config, image, count)


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
    """Count the multiply-accumulates of one image by watching a forward pass.

    Args:
        model: in evaluation mode, on a CPU or on the meta device.
        image: its input.
    """
    uncounted: list[int] = []

    def note(module: nn.Module, args: tuple[Tensor, ...], _: Tensor) -> None:
        assert isinstance(module, SmallDotProduct)
        uncounted.append(module.macs(args[0]))

    small = [module for module in model.modules() if isinstance(module, SmallDotProduct)]
    hooks = [module.register_forward_hook(note) for module in small]
    device = next(model.parameters()).device
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, image.channels, image.height, image.width, device=device))
    for hook in hooks:
        hook.remove()
    # The counter takes a multiplication and an addition for two operations.
    return counter.get_total_flops() // 2 + sum(uncounted)


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
