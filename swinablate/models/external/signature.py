"""What a recipe can say about the arguments of somebody else's class or function."""

import functools
import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import TypeAdapter, ValidationError

from swinablate.config.family import ImageSpec
from swinablate.config.schema import Frozen
from swinablate.errors import InputError

REMEDY = (
    "annotate it with bool, int, float, str, Literal or tuple, "
    "or write a function that returns the network"
)
Role = Literal["", "classes", "channels", "size", "image"]
ROLES: Mapping[str, Role] = {
    "num_classes": "classes",
    "classes": "classes",
    "in_chans": "channels",
    "in_channels": "channels",
    "channels": "channels",
    "img_size": "size",
    "image_size": "size",
}
"""What an argument of a well-known name is given, unless the recipe says otherwise."""
ENTRANCE = {"in_chans", "in_channels"}
"""Beside one of these, `channels` is a width of the network's own."""


@dataclass(frozen=True)
class Filled:
    """Marks a field that takes its value from the data, and what it would be without them."""

    default: object


@dataclass(frozen=True)
class Argument:
    """One argument of a network.

    Attributes:
        name: as in the signature.
        hint: its type, as a recipe writes it; None where a recipe cannot write it.
        default: its default; `inspect.Parameter.empty` where it has none.
        role: what of the data it takes.
        what: one sentence, from the docstring.
        lists: whether arrays are given to it as lists, not as tuples.
        why: where a recipe cannot set it: the reason, and a remedy after "; ".
    """

    name: str
    hint: Any
    default: Any
    role: Role = ""
    what: str = ""
    lists: bool = False
    why: str = ""

    @property
    def required(self) -> bool:
        """Whether a recipe has to give it."""
        return self.default is inspect.Parameter.empty and not self.role


def arguments_of(target: Callable[..., object], path: str) -> list[Argument]:
    """The arguments of a class or function that can be given by name.

    Those of a type that a recipe cannot write keep their default.

    Raises:
        InputError: the signature cannot be read, or an argument without default cannot be
            written in a recipe.
    """
    try:
        parameters = inspect.signature(target).parameters.values()
        hints = _hints(target)
    except (TypeError, ValueError, NameError) as error:
        raise InputError(
            f"the signature of {path} cannot be read: {error}",
            hint="write a function with annotated arguments that returns the network",
        ) from None
    texts = _texts(target)
    found = []
    own = {"channels"} if has_own_channels(target) else set()
    for parameter in parameters:
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            continue
        name = parameter.name
        one = describe(parameter, hints.get(name), texts.get(name, ""), own=name in own)
        hidden = one.hint is None or parameter.kind is parameter.POSITIONAL_ONLY
        if hidden and one.role != "image":
            trouble = _trouble(parameter, hints)
            if one.required:
                raise InputError(f"argument {one.name!r} of {path} {trouble}", hint=REMEDY)
            one = replace(one, hint=None, why=f"it {trouble}; {REMEDY}")
        found.append(one)
    return found


def has_own_channels(target: Callable[..., object]) -> bool:
    """Whether `channels` is not those of the images, since another argument takes these.

    Raises:
        TypeError, ValueError: it has no signature.
    """
    names = inspect.signature(target).parameters.keys()
    return "channels" in names and bool(ENTRANCE & names)


def describe(
    parameter: inspect.Parameter, hint: Any, what: str = "", *, own: bool = False
) -> Argument:
    """What a recipe can say about one parameter of a signature.

    Args:
        parameter: of the signature.
        hint: its type; None where it has none.
        what: one sentence about it.
        own: it is the network's own, although its name is known.
    """
    name, default = parameter.name, parameter.default
    if hint is ImageSpec:
        return Argument(name, None, default, "image")
    role: Role = "" if own or _several(name, hint, default) else ROLES.get(name, "")
    if hint is None and role:
        hint = int | tuple[int, int] if role == "size" else int
    if hint is None and isinstance(default, bool | int | float | str | tuple | list):
        hint = type(default)
    written = None if hint is None or name.startswith("_") else _written(hint)
    if default is not parameter.empty and not role and written is not None:
        default = _tuples(default)
        written = _admit(written, default) if _plain(default) else None
    return Argument(name, written, default, role, what, _takes_lists(hint, parameter.default))


def _several(name: str, hint: Any, default: object) -> bool:
    """Whether an argument of a known name takes a list, as `channels` of a ResNet's stages."""
    if ROLES.get(name) == "size":  # height and width
        return False
    kinds = {typing.get_origin(kind) or kind for kind in options(hint)}
    lists = kinds & {tuple, list, Sequence, Iterable}
    return bool(lists and int not in kinds) or (hint is None and isinstance(default, tuple | list))


def _hints(target: Any) -> dict[str, Any]:
    if isinstance(target, functools.partial):
        target = target.func
    function = target.__init__ if inspect.isclass(target) else target
    # A class without an `__init__` of its own has a wrapper; an object may be called.
    if not isinstance(
        function, types.FunctionType | types.MethodType | types.WrapperDescriptorType
    ):
        function = type(function).__call__
    return typing.get_type_hints(function, include_extras=True)


def _texts(target: Any) -> dict[str, str]:
    """What the docstrings say of each argument: `name: text` or `name (type): text`."""
    texts = [target.__doc__ or ""]
    if isinstance(target, type):
        texts.append(vars(target).get("__init__", target).__doc__ or "")
    lines = re.findall(r"^\s*(\w+)(?: *\([^)]*\))?: *(\S.*)$", "\n".join(texts), re.MULTILINE)
    return {name: text.rstrip(". ") for name, text in lines}


def options(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a union; of any other type, itself."""
    return typing.get_args(hint) if _union(hint) else (hint,)


def _union(hint: Any) -> bool:
    return typing.get_origin(hint) in {typing.Union, types.UnionType}


def _written(hint: Any) -> Any:
    """A type as TOML and JSON can hold it, lists as tuples; None where they cannot."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint in {bool, int, float, str, type(None)} or origin is Literal:
        return hint
    if origin is Annotated:
        base = _written(inner[0])
        return None if base is None else Annotated[base, *inner[1:]]
    if _union(hint):
        kept = [option for option in map(_written, inner) if option is not None]
        if not set(kept) - {type(None)}:
            return None
        return typing.Union[tuple(kept)]  # noqa: UP007  int | None prints as Optional[int] does
    if hint in {tuple, list}:
        return tuple[Any, ...]
    if origin in {tuple, list, Sequence, Iterable}:
        parts = [part if part is ... else _written(part) for part in inner]
        if None in parts:
            return None
        return tuple.__class_getitem__(tuple(parts) if origin is tuple else (parts[0], ...))
    return None


def _admit(hint: Any, default: object) -> Any:
    """The type, and the default's own where it is another: `width: int = None` is common."""
    try:
        TypeAdapter(hint, config=Frozen.model_config).validate_python(default)
    except ValidationError:
        return hint | (type(default) if default is not None else None)
    return hint


def _plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_plain, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)


def _tuples(value: object) -> object:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _trouble(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> str:
    if parameter.kind is parameter.POSITIONAL_ONLY:
        return "cannot be given by name"
    if parameter.name not in hints:
        return "has no type"
    wanted = inspect.formatannotation(hints[parameter.name])
    return f"is of a type that a recipe cannot write: {wanted}"


def _takes_lists(hint: Any, default: object) -> bool:
    lists = hint is list or typing.get_origin(hint) is list or isinstance(default, list)
    return lists or any(_takes_lists(part, None) for part in typing.get_args(hint))
