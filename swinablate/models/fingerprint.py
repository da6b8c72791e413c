"""What a network costs and what it computes, without training it."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from swinablate.config.recipe import Family, ImageSpec, ModelConfig, derive
from swinablate.models.build import start
from swinablate.models.layers.attention import SmallDotProduct

T = TypeVar("T")
IMAGES = 4  # of a signature: batch statistics of fewer say too little


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


Measure = Literal["params", "macs"]
"""Sizes that arms can be matched by."""


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
    """
    try:
        with torch.device("meta"):
            return measure(family.build(config, image).eval())
    except Exception:  # noqa: BLE001  whatever it raises; where it raises again, it is raised
        with torch.random.fork_rng(devices=[]):
            return measure(family.build(config, image).eval())


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


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What a network is and does, as far as another one can be told from it.

    Attributes:
        modules: path -> class and plain attributes.
        parameters: name -> shape, and a digest of the initial values of one seed.
        buffers: the same of the buffers.
        trained: logits in training mode under the test weights.
        evaluated: those in evaluation mode.
        config: stands for logits that overflow.
    """

    modules: Mapping[str, str]
    parameters: Mapping[str, tuple[tuple[int, ...], str]]
    buffers: Mapping[str, tuple[tuple[int, ...], str]]
    trained: Tensor
    evaluated: Tensor
    config: str

    @property
    def signature(self) -> str:
        """Equal for two networks that compute the same from the same initial weights."""
        found = hashlib.sha256(repr(tuple(self.parameters.items())).encode())
        for answer in (self.trained, self.evaluated):
            finite = bool(answer.isfinite().all())
            found.update(_bytes(answer) if finite else self.config.encode())
        return found.hexdigest()


def signature(family: Family[ModelConfig], config: ModelConfig, image: ImageSpec) -> str:
    """Equal for two configs that compute the same function and start from the same weights.

    Raises:
        ValueError: the config cannot be built for this image.
    """
    return observe(family, config, image).signature


def observe(family: Family[ModelConfig], config: ModelConfig, image: ImageSpec) -> Fingerprint:
    """Build a network, and look at it and at its answers.

    Its logits are those under weights set by name and shape, large enough for masks and
    biases to matter: two networks share the values of every tensor they share.

    Raises:
        ValueError: the config cannot be built for this image.
    """
    with torch.random.fork_rng(devices=[]):
        model = start(family, config, image, lambda name: _generator("init", name))
        modules = {path: _fingerprint(module) for path, module in model.named_modules()}
        parameters = {name: _print(value) for name, value in model.named_parameters()}
        buffers = {name: _print(value) for name, value in model.named_buffers()}
        with torch.no_grad():
            trained, evaluated = _answers(model, image)
    return Fingerprint(
        modules=modules,
        parameters=parameters,
        buffers=buffers,
        trained=trained,
        evaluated=evaluated,
        config=config.model_dump_json(),
    )


def _fingerprint(module: nn.Module) -> str:
    """Class and plain attributes: what a switch may change without touching a tensor."""
    plain = {
        key: value
        for key, value in vars(module).items()
        if not key.startswith("_") and key != "training" and _is_plain(value)
    }
    return f"{type(module).__name__}({', '.join(f'{k}={v}' for k, v in sorted(plain.items()))})"


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return isinstance(value, bool | int | float | str | None)


def _print(value: Tensor) -> tuple[tuple[int, ...], str]:
    return tuple(value.shape), hashlib.sha256(_bytes(value)).hexdigest()


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
