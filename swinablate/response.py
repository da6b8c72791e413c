"""What a network costs and what it computes, without training it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from swinablate.layers.attention import SmallDotProduct
from swinablate.recipe import Family, ImageSpec, ModelConfig, derive

IMAGES = 4  # of a signature: batch statistics of fewer say too little


@dataclass(frozen=True)
class Cost:
    """Size of a network.

    Attributes:
        params: trainable numbers.
        macs: multiply-accumulates of one image, forward, in evaluation mode: those of
            matrix products and convolutions.
    """

    params: int
    macs: int


def cost(family: Family[ModelConfig], config: ModelConfig, image: ImageSpec) -> Cost:
    """Count parameters and MACs on the meta device, where no tensor has storage.

    Raises:
        ValueError: the config cannot be built for this image.
    """
    with torch.device("meta"):
        model = family.build(config, image).eval()
    return Cost(sum(p.numel() for p in model.parameters()), macs(model, image))


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
    return counter.get_total_flops() // 2 + sum(uncounted)


def signature(family: Family[ModelConfig], config: ModelConfig, image: ImageSpec) -> str:
    """Equal for two configs that compute the same function and start from the same weights.

    A digest of the logits in train and in evaluation mode, under weights set by name and
    shape and large enough for masks and biases to matter, and of the initial weights of one
    seed. Logits that overflow tell nothing, so the config itself then stands for them.

    Raises:
        ValueError: the config cannot be built for this image.
    """
    found = hashlib.sha256()
    with torch.random.fork_rng(devices=[]):
        model = family.build(config, image)
        family.init(model, config, lambda name: _generator("init", name))
        for name, parameter in model.named_parameters():
            found.update(f"{name}{tuple(parameter.shape)}".encode())
            found.update(_bytes(parameter))
        with torch.no_grad():
            answers = _answers(model, image)
    for answer in answers:
        finite = bool(answer.isfinite().all())
        found.update(_bytes(answer) if finite else config.model_dump_json().encode())
    return found.hexdigest()


def _answers(model: nn.Module, image: ImageSpec) -> tuple[Tensor, Tensor]:
    """Logits in train and in evaluation mode under the test weights."""
    for name, parameter in model.named_parameters():
        parameter.normal_(std=_spread(parameter), generator=_generator(name, *parameter.shape))
    x = torch.empty(IMAGES, image.channels, image.height, image.width)
    x.normal_(generator=_generator("images"))
    torch.manual_seed(derive(0, "signature", "drop"))
    with _batch_statistics(model):
        trained = model.train()(x)
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.mul_(torch.empty_like(buffer).uniform_(0.8, 1.25, generator=_generator(name)))
    return trained, model.eval()(x)


@contextmanager
def _batch_statistics(model: nn.Module) -> Iterator[None]:
    """Let batch norms take the statistics of one batch for their running ones.

    Otherwise these stay near (0, 1), and the logits of a deep network in evaluation mode
    overflow under the test weights.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    yield
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum


def _spread(parameter: Tensor) -> float:
    if parameter.ndim < 2:
        return 0.7
    return 1.5 * float(parameter[0].numel()) ** -0.5


def _generator(*names: object) -> torch.Generator:
    return torch.Generator().manual_seed(derive(0, "signature", *names))


def _bytes(x: Tensor) -> bytes:
    return x.detach().contiguous().numpy().tobytes()
