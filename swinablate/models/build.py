"""A network with its initial weights."""

import contextlib
import copy
import re
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

from swinablate.config.family import Family, ImageSpec, ModelConfig
from swinablate.models.transfer import head

Net = TypeVar("Net", bound=nn.Module)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in this thread alone.

    For small networks: where other processes want the cores too, threads that wait for each other
    at the end of every operator take ten times as long as one thread takes for all.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def plain_arithmetic() -> Iterator[None]:
    """Compute as a process does where nobody has chosen anything.

    What was trained in this process has left its own choices behind, and the answers of two
    networks are compared bit for bit, now and with those from before.
    """
    products = torch.get_float32_matmul_precision()
    strict = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_float32_matmul_precision("highest")
    if strict:  # setting it imports torch's compiler, for a second
        torch.use_deterministic_algorithms(mode=False)
    try:
        yield
    finally:
        if strict:
            torch.use_deterministic_algorithms(strict, warn_only=warns)
        torch.set_float32_matmul_precision(products)


def forget_choices() -> None:
    """Undo what somebody else's module has chosen for the whole process when it was imported.

    The number format is the recipe's to say, and all other networks of the process would have
    theirs; and kernels that are chosen by the clock round otherwise each time.
    """
    torch.set_default_dtype(torch.float32)
    torch.backends.cudnn.benchmark = False


def start(
    family: Family[ModelConfig],
    config: ModelConfig,
    image: ImageSpec,
    generator_for: Callable[[str], torch.Generator],
) -> nn.Module:
    """Build a network and set its initial weights, all from named generators.

    A network of our own draws every parameter in `init`, from the generator of its name. One
    of somebody else's draws in its constructor, from torch's global generator, which starts
    here at the seed of the generator called "": such a network is the same for the same seed,
    but two variants share the initial values only of what they draw before they first differ.

    Raises:
        ValueError: the config cannot be built for this image.
    """
    model = constructed(family, config, image, generator_for)
    family.init(model, config, generator_for)
    return model


def constructed(
    family: Family[ModelConfig],
    config: ModelConfig,
    image: ImageSpec,
    generator_for: Callable[[str], torch.Generator],
) -> nn.Module:
    """Build a network; its family's `init` has not set any weight yet.

    Raises:
        ValueError: the config cannot be built for this image.
    """
    with torch.random.fork_rng(devices=[]):  # of the CPU alone: networks are built there
        torch.manual_seed(generator_for("").initial_seed())
        return family.build(config, image)


TABLES = frozenset(
    {
        "table",
        "relative_position_bias_table",
        "pos_embed",
        "pos_embedding",
        "absolute_pos_embed",
        "position_embedding",
        "position_embeddings",
        "cls_token",
        "class_token",
        "dist_token",
        "reg_token",
        "mask_token",
        "logit_scale",
        "layer_scale",
        "gamma",
    }
)
"""Last names of parameters that multiply nothing but one token, channel or head each.

`table` is ours; the others are those of timm and of torchvision's `models/`.
"""


@contextlib.contextmanager
def copyable(model: nn.Module) -> Iterator[None]:
    """Let a network be copied that keeps what it has computed.

    Torch copies no tensor that remembers where it comes from, and its older weight norm and
    spectral norm keep such weights, and compute them at every call: meanwhile they are numbers.
    """
    kept = [
        (vars(module), name, value)
        for module in model.modules()
        for name, value in vars(module).items()
        if isinstance(value, Tensor) and not value.is_leaf
    ]
    try:
        for attributes, name, value in kept:
            attributes[name] = value.detach()
        yield
    finally:
        for attributes, name, value in kept:
            attributes[name] = value


def copied(model: Net) -> Net:
    """A copy of a network; the two share nothing."""
    with copyable(model):
        return copy.deepcopy(model)


NORM = re.compile(r"(?:layer|rms|group|batch|instance)norm(?:[123]d)?$", re.IGNORECASE)
"""How the name of a class ends whose own parameters scale and shift what it has normalised."""


def norms(model: nn.Module) -> dict[str, nn.Parameter]:
    """The scales and shifts of two or more axes that layers of normalisation have, by name.

    By the names of their classes and of those that these come from, as of batch norms; one over
    channels, rows and columns has a number for each of its values, and multiplies nothing else.
    """
    return {
        f"{path}.{name}" if path else name: parameter
        for path, module in model.named_modules()
        if any(NORM.search(kind.__name__) for kind in type(module).__mro__)
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.ndim >= 2
    }


def tables(model: nn.Module) -> frozenset[str]:
    """Names of the parameters of two or more axes that are no matrices, so not decayed.

    Those of `norms` and of tables.
    """
    return frozenset(norms(model)) | tokens(model)


def tokens(model: nn.Module) -> frozenset[str]:
    """Names of the parameters that hold a row for each token, position, class or channel.

    Those of a known name, the weights of `nn.Embedding`, and whatever the network itself
    lists in `no_weight_decay()`, as timm's do.
    """
    found = {name for name, _ in model.named_parameters() if name.rpartition(".")[2] in TABLES}
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        if isinstance(module, nn.Embedding):
            found.add(f"{prefix}weight")
        own = getattr(module, "no_weight_decay", None)
        if callable(own):
            found.update(f"{prefix}{inner}" for inner in own())
    return frozenset(found)


def batch_norms(model: nn.Module) -> tuple[str, ...]:
    """The paths of the parts that take statistics of a batch.

    By the names of their classes and of those that these come from; a frozen batch norm, as
    torchvision has it, takes none.
    """
    kinds = {
        path: " ".join(kind.__name__ for kind in type(module).__mro__)
        for path, module in model.named_modules()
    }
    return tuple(p for p, kind in kinds.items() if "BatchNorm" in kind and "Frozen" not in kind)


def hidden_matrices(model: nn.Module) -> frozenset[str]:
    """Names of the matrices of hidden layers: not the first, which reads images, nor the head's.

    Kernels of convolutions are none, nor are tables.
    """
    none, last = tables(model), f"{head(model)}."
    wide = [n for n, p in model.named_parameters() if p.ndim >= 2 and n not in none]
    found = model.get_parameter
    return frozenset(n for n in wide[1:] if found(n).ndim == 2 and not n.startswith(last))
