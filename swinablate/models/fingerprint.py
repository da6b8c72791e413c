"""What a network is and what it computes, without training it: enough to tell two apart."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.config.family import Family, ImageSpec, ModelConfig
from swinablate.config.recipe import derive
from swinablate.models.build import (
    batch_norms,
    constructed,
    hidden_matrices,
    one_thread,
    plain_arithmetic,
)
from swinablate.models.layers.norm import Fading

IMAGES = 4  # of a signature: batch statistics of fewer say too little
RUN = 200_000_000
"""Parameters of a network that is started and run: Swin-L has 197 million. One of 512 million
takes 13 s of processor time, and a study has several."""

FEW_PIXELS = 64 * 64
"""Of images up to this size a network runs in one thread; WRN-28-10 takes one second so. By the
image alone, for two networks that are the same must round the same way."""


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What a network is and does, as far as another one can be told from it.

    Attributes:
        modules: path -> class and plain attributes.
        parameters: name -> shape, and a digest of the initial values of one seed.
        buffers: the same of the buffers.
        trained: logits in training mode under the test weights; NaN if it was not run.
        evaluated: those in evaluation mode.
        config: stands for logits that overflow, or that nobody computed.
        hidden: names of the matrices that muon moves.
        batch_norms: paths of what takes statistics of a batch.
    """

    modules: Mapping[str, str]
    parameters: Mapping[str, tuple[tuple[int, ...], str]]
    buffers: Mapping[str, tuple[tuple[int, ...], str]]
    trained: Float[Tensor, "b classes"]
    evaluated: Float[Tensor, "b classes"]
    config: str
    hidden: frozenset[str]
    batch_norms: tuple[str, ...]

    @property
    def signature(self) -> str:
        """Equal for two networks that compute the same from the same initial weights."""
        found = hashlib.sha256(repr(tuple(self.parameters.items())).encode())
        for answer in (self.trained, self.evaluated):
            finite = bool(answer.isfinite().all())
            found.update(_raw(answer) if finite else self.config.encode())
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
    biases to matter: two networks share the values of every tensor they share. A network of
    more than `RUN` parameters is neither started nor run: of its parameters only the shapes are
    known, and its config stands for what it computes.

    Raises:
        ValueError: the config cannot be built for this image.
    """
    few = image.height * image.width <= FEW_PIXELS
    with (
        torch.random.fork_rng(devices=[]),
        plain_arithmetic(),
        one_thread() if few else nullcontext(),
    ):
        model = constructed(family, config, image, _initial)
        runs = sum(map(Tensor.numel, model.parameters())) <= RUN
        if runs:
            family.init(model, config, _initial)
        modules = {path: _fingerprint(module) for path, module in model.named_modules()}
        parameters = {
            name: _print(value) if runs else (tuple(value.shape), "")
            for name, value in model.named_parameters()
        }
        buffers = {name: _print(value) for name, value in model.named_buffers()}
        trained = evaluated = torch.full((1, image.classes), torch.nan)
        if runs:
            with torch.no_grad():
                trained, evaluated = _answers(model, image)
    return Fingerprint(
        modules=modules,
        parameters=parameters,
        buffers=buffers,
        trained=trained,
        evaluated=evaluated,
        config=config.model_dump_json(),
        hidden=hidden_matrices(model),
        batch_norms=batch_norms(model),
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
    return tuple(value.shape), hashlib.sha256(_raw(value)).hexdigest()


def _answers(
    model: nn.Module, image: ImageSpec
) -> tuple[Float[Tensor, "b classes"], Float[Tensor, "b classes"]]:
    """Logits in train and in evaluation mode under the test weights."""
    for name, parameter in model.named_parameters():
        if not parameter.is_floating_point():  # a table of indices, which are no weights
            continue
        parameter.normal_(std=_spread(parameter), generator=_generator(name, *parameter.shape))
    Fading(model, 1.0).at(0.5)  # at its start a norm that fades is the layer norm it fades from
    x = torch.empty(IMAGES, image.channels, image.height, image.width)
    x.normal_(generator=_generator("images"))
    torch.manual_seed(derive(0, "signature", "drop"))
    with _batch_statistics(model):
        trained = model.train()(x)
    # Moved a little, or both modes would normalise by the same batch and give the same answers.
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
    if parameter.ndim < 2 or not parameter.numel():
        return 0.7  # norms and biases: neither all near 0 nor all near 1, so that each acts
    # Half as large again as weights start by fan-in, so that no softmax is flat.
    return 1.5 * float(parameter[0].numel()) ** -0.5


def _initial(name: str) -> torch.Generator:
    return _generator("init", name)


def _generator(*names: object) -> torch.Generator:
    return torch.Generator().manual_seed(derive(0, "signature", *names))


def _raw(value: Tensor) -> memoryview:
    """Its numbers as they lie in memory, whatever their format; numpy knows no bfloat16."""
    return value.detach().contiguous().view(-1).view(torch.uint8).numpy().data
