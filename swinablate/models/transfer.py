"""Starting from trained weights: what is taken over, what is drawn anew, what stays frozen.

Names and shapes must agree, after weights of Microsoft's, timm's and torchvision's layouts were
renamed and tables interpolated; the head alone may differ, and only when the recipe asks for a new
one. What is frozen does not change at all: its parameters are not the optimizer's, and
it stays in evaluation mode, so that batch norms keep the statistics they came with and
nothing in it is dropped.
"""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from swinablate.config.family import Family, ImageSpec, ModelConfig
from swinablate.config.recipe import Recipe, StartConfig
from swinablate.errors import EnvironmentFault
from swinablate.models.pretrained.files import state_in
from swinablate.models.pretrained.fit import adapt
from swinablate.models.pretrained.layouts import INDEX, LAYOUTS

STAGES = ("stages", "blocks", "layers", "steps")
"""What a family may call the sequence of its stages; the first that is there counts."""


OTHER = "take weights of the same network"


def begin(model: nn.Module, start: StartConfig) -> tuple[nn.Module, ...]:
    """Give a network its starting weights, in place.

    Returns:
        The frozen parts, which stay in evaluation mode.

    Raises:
        EnvironmentFault: the file is gone, or another one since the plan was made.
        ValueError: it does not fit the network, or there are fewer stages to freeze.
    """
    if start.weights:
        weights = fitting(model, start, read_weights(Path(start.weights), start.sha256))
        model.load_state_dict(weights, strict=False)  # all but a new head
    return freeze(model, start.freeze)


def check_start(
    family: Family[ModelConfig],
    recipe: Recipe,
    image: ImageSpec,
    starts: Sequence[StartConfig] = (),
) -> tuple[str, ...]:
    """Find out, before anything runs, whether a recipe's start can be.

    Args:
        family: of the recipe's network.
        recipe: to check.
        image: what the network sees.
        starts: those of the single trials, where every seed has a file of its own.

    Returns:
        What is done to the weights before they fit; nothing where they fit.

    Raises:
        ValueError, EnvironmentFault: as `begin`; or it is asked for a head, and what would be
            taken for it is none.
    """
    start, told = recipe.start, dict[str, None]()
    if start.weights or start.freeze:
        with torch.device("meta"):
            model = family.build(recipe.model, image)
        for own in starts:
            shapes = _shapes(own.weights, own.sha256)
            try:
                told |= dict.fromkeys(_taken(model, own, shapes)[1])
            except ValueError as error:
                raise ValueError(f"{Path(own.weights).name}: {error}") from None
        if start.weights and not start.each:
            told |= dict.fromkeys(_taken(model, start, _shapes(start.weights, start.sha256))[1])
        freeze(model, start.freeze)
    if ":" in recipe.model.family:
        _check_head(family, recipe, image)
    return tuple(told)


def _check_head(family: Family[ModelConfig], recipe: Recipe, image: ImageSpec) -> None:
    """See that a part of somebody else's network that is taken for its head runs last.

    A part that is never called, as one of which a network reads the weights alone, tells nothing.

    Raises:
        ValueError: another one does, and the head is asked for.
    """
    start = recipe.start
    drawn = start.weights and start.head == "new"
    if not drawn and start.head_lr == 1:
        return
    children = [row.get("child") for row in family.geometry(recipe.model, image)]
    with torch.random.fork_rng(devices=[]):  # not on a meta device, where not everybody can be
        model = family.build(recipe.model, image)
    parts = {name: part for name, part in model.named_children() if list(part.parameters())}
    ran = [name for name in children if name in parts]
    taken = head(model).partition(".")[0]
    if taken in ran and taken != ran[-1]:
        field = 'start.head = "new"' if drawn else f"start.head_lr = {start.head_lr:g}"
        raise ValueError(
            f"{field} would be of {taken!r}, which has the last parameters, and {ran[-1]!r} runs "
            f"last; make {ran[-1]!r} last in the constructor"
        )


@functools.lru_cache(maxsize=4096)  # more files than the seeds of a study
def _shapes(path: str, sha256: str) -> dict[str, Tensor]:
    """The weights in a file without their values: every arm asks for the same files.

    What pairs of tokens look up stays: it tells of windows.
    """
    return {
        name: value if name.endswith(INDEX) else value.to("meta")
        for name, value in read_weights(Path(path), sha256).items()
    }


def read_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    """The weights in a file, which must be the one that the plan was made with."""
    try:
        payload = path.read_bytes()
    except OSError as error:
        raise EnvironmentFault(
            f"the weights cannot be read: {error.strerror or error}", at=str(path)
        ) from None
    if hashlib.sha256(payload).hexdigest() != sha256:
        raise EnvironmentFault(
            "the weights are others than when the plan was made",
            at=str(path),
            hint="start the study again: its trials get new ids",
        )
    return state_in(payload, path)


def fitting(
    model: nn.Module, start: StartConfig, weights: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The weights that a network takes over: all, or all but the head's.

    Raises:
        ValueError: a name or a shape differs, outside a head that is to be new.
    """
    return _taken(model, start, weights)[0]


def _taken(
    model: nn.Module, start: StartConfig, weights: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The weights as `fitting` has them, and what was done to them."""
    wanted, own = model.state_dict(), f"{head(model)}."
    try:
        found = adapt(model, weights)
    except ValueError as error:
        raise ValueError(f"the weights do not fit: {error}") from None
    given = found.weights
    if not wanted.keys() & given.keys():
        known = ", ".join(layout.of for layout in LAYOUTS)
        raise ValueError(
            f"the weights do not fit: their names, as {_first(sorted(given))}, are neither the "
            f"network's nor of a layout that is known ({known}); {OTHER}"
        )
    of = f"as {found.of}, " if found.of else ""
    if start.head == "keep" and (problem := _misfit(wanted, given)):
        only_head = not _misfit(_without(wanted, own), _without(given, own))
        hint = 'start.head = "new" draws the head anew' if only_head else OTHER
        raise ValueError(f"the weights do not fit: {of}{problem}; {hint}")
    if start.head == "new" and (problem := _misfit(_without(wanted, own), _without(given, own))):
        raise ValueError(f"the weights do not fit: {of}{problem}; {OTHER}")
    return dict(given) if start.head == "keep" else _without(given, own), found.told


def _without(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.startswith(prefix)}


def _misfit(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    if lacking := sorted(wanted.keys() - given.keys()):
        return f"they lack {_first(lacking)}"
    if unknown := sorted(given.keys() - wanted.keys()):
        return f"the network lacks {_first(unknown)}"
    for name in wanted:
        there, here = tuple(given[name].shape), tuple(wanted[name].shape)
        if there != here:
            return f"{name!r} is {list(there)} there and {list(here)} here"
        if wanted[name].is_floating_point() and not given[name].is_floating_point():
            return f"{name!r} holds whole numbers there ({given[name].dtype})"
    return ""


def _first(names: list[str]) -> str:
    return f"{names[0]!r}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def head(model: nn.Module) -> str:
    """The name of the part that answers: in every family the last one with parameters.

    Of a sequence, as torchvision's VGG and AlexNet end with, it is the last matrix alone: the
    layers before it know no classes.
    """
    part = last_part(model)
    module = dict(model.named_modules()).get(part)
    while isinstance(module, nn.Sequential):
        parts = [(k, x) for k, x in module.named_children() if any(True for _ in x.parameters())]
        name, module = parts[-1]
        if not any(parameter.ndim >= 2 for parameter in module.parameters()):
            break  # a norm behind the last matrix belongs to the same head
        part += f".{name}"
    return part


def last_part(model: nn.Module) -> str:
    """The name of the part that holds the last parameters.

    A network that is one part, as in a wrapper, is looked into.
    """
    *_, last = (name for name, _ in model.named_parameters())
    names = {name.partition(".")[0] for name, _ in model.named_parameters()}
    first = last.partition(".")[0]
    if len(names) > 1 or first == last:
        return first
    return f"{first}.{last_part(model.get_submodule(first))}"


def freeze(model: nn.Module, stages: int) -> tuple[nn.Module, ...]:
    """Take the first stages, and what comes before them, out of training.

    Raises:
        ValueError: the network has no stages, or fewer.
    """
    if stages == 0:
        return ()
    children = dict(model.named_children())
    name = next((name for name in STAGES if name in children), None)
    if name is None:
        raise ValueError("this family has no stages to freeze; freeze = 0")
    sequence = list(children[name].children())
    trained = [k for k, part in enumerate(sequence) if any(True for _ in part.parameters())]
    if stages > len(trained):
        raise ValueError(
            f"start.freeze = {stages}, and the network has stages: {len(trained)}; lower it"
        )
    before = list(children.values())[: list(children).index(name)]
    parts = (*before, *sequence[: trained[stages - 1] + 1])
    for parameter in model.parameters(recurse=False):  # a class token, or a table of positions
        parameter.requires_grad = False
    for part in parts:
        part.requires_grad_(requires_grad=False)
    return parts
