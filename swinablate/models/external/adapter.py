"""Networks of other people's making: any `nn.Module` class, or function that returns one.

The arguments of its signature become the fields of a config, and so the switches of a family.
Shape legend: b images, c channels, h w pixels.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, ConfigDict, Field, create_model, model_validator
from torch import Tensor, nn

from swinablate.config.code.theirs import named, theirs
from swinablate.config.family import Family, ImageSpec, ModelConfig, Switch
from swinablate.errors import InputError
from swinablate.models.bounds import TooLarge, counted
from swinablate.models.external.signature import Argument, Filled, options

UNUSUAL = 4096
"""From such an argument on, a network is first built without storage: squared, it is 64 MiB."""
DATA = "data"
"""Level of an argument that takes its value from the data."""
FromData = Literal["data"]


class ForeignConfig(ModelConfig):
    """Base of the configs made from a signature."""

    model_config = ConfigDict(protected_namespaces=())  # an argument may be called model_dim


@dataclass(frozen=True)
class Origin:
    """Where a network comes from.

    Attributes:
        path: the family's name in recipes.
        code: digest of the source, or package and version.
        make: returns the network, given its arguments.
    """

    path: str
    code: str
    make: Callable[..., object]


def adopt(family: Family[Any], path: str, code: str) -> Family[Any]:
    """Give a family of somebody else's the name under which it was asked for, and its code."""

    def build(chosen: Any, image: ImageSpec) -> nn.Module:
        return construct(path, lambda: family.build(chosen, image))

    def geometry(chosen: Any, image: ImageSpec) -> tuple[dict[str, Any], ...]:
        rows = family.geometry(chosen, image)
        _outline_of(build, chosen, image, path)
        return rows

    return Family(_config(path, code, family.config, {}, None), build, family.init, geometry)


def assemble(
    origin: Origin, arguments: Sequence[Argument], refused: Mapping[str, str]
) -> Family[Any]:
    """Make a family of a function that returns a network.

    Args:
        origin: the function, and what it is called.
        arguments: what it can be given.
        refused: name -> why a recipe cannot give it, and a remedy after "; ".

    Raises:
        InputError: an argument has a name that recipes use for themselves.
    """
    fields: dict[str, Any] = {}
    for one in arguments:
        if one.role == "image" or one.hint is None:
            continue
        if hasattr(ForeignConfig, one.name) or one.name in {*ForeignConfig.model_fields, "code"}:
            raise InputError(
                f"argument {one.name!r} of {origin.path} has a name that recipes use themselves",
                hint="rename it, or write a function that calls it by another name",
            )
        fields[one.name] = _field(one)
    reasons = {one.name: one.why for one in arguments if one.why} | dict(refused)
    refuse: Any = classmethod(_refuse(reasons))
    validators = {"refused": model_validator(mode="before")(refuse)}
    config = _config(origin.path, origin.code, ForeignConfig, fields, validators)

    def build(chosen: Any, image: ImageSpec) -> nn.Module:
        given = _values(chosen, arguments, image, origin.path)
        call = f"{origin.path}({', '.join(f'{key}={value!r}' for key, value in given.items())})"
        return construct(call, lambda: origin.make(**given))

    def geometry(chosen: Any, image: ImageSpec) -> tuple[dict[str, Any], ...]:
        return _outline_of(build, chosen, image, origin.path)

    return Family(config, build, _init, geometry)


def construct(call: str, make: Callable[[], object]) -> nn.Module:
    """Call somebody else's constructor.

    Args:
        call: how it is called, for error messages.
        make: calls it.

    Raises:
        TooLarge: it makes more than can be planned.
        ValueError: it fails, or what it returns is no network that can be trained.
    """
    try:
        with theirs():
            model = make()
    except TooLarge:
        raise
    except Exception as error:  # whatever their code raises
        raise ValueError(f"{call} failed: {named(error)}; change its arguments") from error
    if not isinstance(model, nn.Module):
        problem = f"{call} returned a {type(model).__name__}"
        raise ValueError(f"{problem}; return an nn.Module")  # noqa: TRY004  as `Family` promises
    if any(isinstance(p, nn.UninitializedParameter) for p in model.parameters()):
        raise ValueError(f"{call} has lazy layers; give every layer its input size")
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError(f"{call} has no parameters to train; register them on the module")
    return model


def outline(model: nn.Module, image: ImageSpec, path: str) -> tuple[dict[str, Any], ...]:
    """Class and output shape (without b) of a network's children, in the order they run.

    Raises:
        ValueError: in training or evaluation mode the network does not turn b c h w images
            into b k finite logits, or makes parameters while it does.
    """
    rows: dict[str, dict[str, Any]] = {}
    before = dict(model.named_parameters())

    def note(name: str, module: nn.Module, _: object, output: object) -> None:
        shape = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()
        rows[name] = {"child": name, "kind": type(module).__name__, "shape": shape}

    # In the order they run, which is not always that of the constructor.
    hooks = [
        child.register_forward_hook(functools.partial(note, name))
        for name, child in model.named_children()
    ]
    try:
        _answer(model.eval(), image, path)
    finally:
        for hook in hooks:
            hook.remove()
    _answer(model.train(), image, path)
    after = dict(model.named_parameters())
    moved = [k for k in {**before, **after} if before.get(k) is not after.get(k)]
    if moved:  # the optimizer has those of the constructor
        raise ValueError(
            f"{path} makes parameters while it answers, and they would never train: {moved[0]}; "
            "make them in its constructor, and keep them"
        )
    return tuple(rows.values())


def _outline_of(
    build: Callable[[Any, ImageSpec], nn.Module], chosen: Any, image: ImageSpec, path: str
) -> tuple[dict[str, Any], ...]:
    """The outline of a network with real weights: what it does on a meta device proves little."""
    if any(number >= UNUSUAL for number in _numbers(chosen.model_dump())):
        _weigh(build, chosen, image)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        with counted():
            model = build(chosen, image)
        return outline(model, image, path)


def _weigh(build: Callable[[Any, ImageSpec], nn.Module], chosen: Any, image: ImageSpec) -> None:
    """Build a network where no tensor has storage, to see whether it would fit.

    Raises:
        TooLarge: it would not.
    """
    with torch.random.fork_rng(devices=[]), torch.device("meta"), counted():
        try:
            build(chosen, image)
        except TooLarge:
            raise
        except ValueError:  # it cannot be built there, or at all: the CPU will tell
            return


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, int | float):
        yield value


def _answer(model: nn.Module, image: ImageSpec, path: str) -> None:
    mode = "training" if model.training else "evaluation"
    size, wanted = f"{image.channels}x{image.height}x{image.width}", (4, image.classes)
    # Four: batch norms in training refuse one image, and an axis of 4 is seldom that of channels.
    x = torch.zeros(4, image.channels, image.height, image.width).normal_()
    try:
        with torch.no_grad(), theirs():
            logits = model(x)
    except Exception as error:  # whatever their code raises
        problem = f"{path} fails on images of {size} in {mode} mode: {named(error)}"
        grey = "; data.channels = 3 gives it grey images as three equal channels"
        raise ValueError(
            f"{problem}; it must take b c h w images and return b {image.classes} logits"
            f"{grey if image.channels == 1 else ''}"
        ) from error
    if not isinstance(logits, Tensor):
        problem = f"{path} returns a {type(logits).__name__} in {mode} mode"
    elif not logits.is_floating_point() or tuple(logits.shape) != wanted:
        problem = f"{path} returns {logits.dtype} of shape {tuple(logits.shape)} in {mode} mode"
    elif not logits.isfinite().all():
        problem = f"{path} returns NaN or infinite logits in {mode} mode"
    else:
        return
    raise ValueError(f"{problem}; it must return logits of shape {wanted} for 4 images of {size}")


def _init(model: nn.Module, _: Any, generator_for: Callable[[str], torch.Generator]) -> None:
    """Its constructor drew the weights; one that offers `init(generator_for)` draws by name."""
    hook = getattr(model, "init", None)
    if inspect.ismethod(hook) and list(inspect.signature(hook).parameters) == ["generator_for"]:
        hook(generator_for)


def _refuse(reasons: Mapping[str, str]) -> Callable[[Any, Any], Any]:
    def check(_: Any, data: Any) -> Any:
        for name in reasons.keys() & data.keys():
            raise ValueError(f"{name!r} cannot be set: {reasons[name]}")
        return data

    return check


def _config(
    path: str,
    code: str,
    base: type[Any],
    fields: Mapping[str, Any],
    validators: dict[str, Any] | None,
) -> type[Any]:
    """A config that takes no other family name, and knows which code it is for."""

    def same_name(given: str) -> str:
        if given != path:
            raise ValueError(f"the family is {path!r}, not {given!r}; keep the family")
        return given

    def same_code(given: str) -> str:
        if given not in {"", code}:
            raise ValueError(
                f"the code of {path} is {code[:20]} here, not {given[:20]}; it changed under "
                "way, or the key was written by hand: start again, without it"
            )
        return code  # a field of its own, never at its default: it is part of what a trial is

    own: dict[str, Any] = {
        "family": (Annotated[str, AfterValidator(same_name)], path),
        "code": (Annotated[str, AfterValidator(same_code)], Field("", validate_default=True)),
    }
    made: type[Any] = create_model(
        "Config", __base__=base, __validators__=validators, **{**own, **fields}
    )
    return made


def _field(one: Argument) -> tuple[Any, Any]:
    marks = getattr(one.hint, "__metadata__", ())
    if one.role:
        return Annotated[one.hint | FromData, Filled(one.default)], DATA
    if one.required:
        return Annotated[one.hint, _mark(one, ())] if not _switch(marks) else one.hint, ...
    return one.hint if _switch(marks) else Annotated[one.hint, _mark(one, (one.default,))], (
        one.default
    )


def _switch(marks: Iterable[object]) -> bool:
    return any(isinstance(mark, Switch) for mark in marks)


def _mark(one: Argument, levels: tuple[object, ...]) -> Switch:
    """All values of a bool or an enumeration; of anything else, the default."""
    hint = one.hint.__origin__ if typing.get_origin(one.hint) is Annotated else one.hint
    for option in options(hint):
        more = (False, True) if option is bool else ()
        if typing.get_origin(option) is Literal:
            more = typing.get_args(option)
        levels += tuple(level for level in more if level not in levels)
    return Switch(one.what or f"argument {one.name}", "", levels, acts_on=("*",))


def _values(
    chosen: Any, arguments: Sequence[Argument], image: ImageSpec, path: str
) -> dict[str, object]:
    """What to call the network with; an argument at its default is left to the network."""
    given: dict[str, object] = {}
    for one in arguments:
        if one.role == "image":
            given[one.name] = image
        elif one.hint is not None:
            level = getattr(chosen, one.name)
            if one.role and level == DATA:
                given[one.name] = _from_data(one, image, path)
            elif one.required or level != one.default or type(level) is not type(one.default):
                given[one.name] = _listed(level) if one.lists else level
    return given


def _from_data(one: Argument, image: ImageSpec, path: str) -> object:
    if one.role != "size":
        return image.classes if one.role == "classes" else image.channels
    kinds = options(one.hint)
    if image.height == image.width and int in kinds:
        return image.height
    if any(typing.get_origin(option) is tuple for option in kinds):
        return (image.height, image.width)
    raise ValueError(
        f"{path} takes one number as {one.name}, the images are {image.height}x{image.width}; "
        f"annotate it int | tuple[int, int]"
    )


def _listed(value: object) -> object:
    return list(map(_listed, value)) if isinstance(value, tuple) else value
