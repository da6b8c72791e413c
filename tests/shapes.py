"""Shapes of signatures checked at every call, in a fraction of jaxtyping's time.

jaxtyping looks at arguments twice and at answers once, and binds and copies names for it: some 50
times what the call of a small layer takes. Of a call whose arguments and answer have the types,
numbers and shapes of an earlier call of the same function it can say nothing else, so it is asked
once for each; conftest puts this in its place before anything of ours is imported. A signature
without shapes has nothing for jaxtyping, and the checker of types that it asks is asked itself.
"""

import functools
import inspect
import threading
from collections import abc
from collections.abc import Callable, Hashable
from types import CellType, FunctionType, UnionType
from typing import Any, ForwardRef, Literal, TypeVar, Union, get_args, get_origin, is_typeddict

import jaxtyping
from jaxtyping import AbstractArray
from torch import Tensor
from torch.nn.parameter import is_lazy

Wrap = Callable[[Any], Any]
BY_KIND = (abc.Callable, abc.Generator, abc.Iterator)
"""Types whose arguments nobody can look at without a call."""


def remembering(strict: Wrap, types: Wrap) -> Wrap:
    """As jaxtyping does, but asking it once of what cannot come out otherwise.

    Args:
        strict: jaxtyping, with `types`.
        types: checks types alone, at every call.
    """

    inner: dict[Hashable, Wrap] = {}

    def wrap(function: Any) -> Any:
        if not isinstance(function, FunctionType):
            return strict(function)
        key = (function.__code__, *map(str, function.__annotations__.values()))
        if key in inner:
            return inner[key](function)
        if not shaped(function):
            if function.__code__.co_freevars:
                inner[key] = _each(function, types)
                return inner[key](function)
            return _unless_disabled(function, types(function))
        return _remembered(function, strict) if decided(function) else strict(function)

    return wrap


def shaped(function: FunctionType) -> bool:
    """Whether the signature may say a shape."""
    return any(map(_shape, _kinds(function)))


def decided(function: FunctionType) -> bool:
    """Whether what `looks` sees of arguments and answer decides if they are of the signature."""
    return all(map(_told, _kinds(function)))


def looks(value: Any) -> Hashable:
    """What a check of types and shapes sees of a value."""
    if isinstance(value, Tensor):
        # A lazy layer's has no shape yet, and is like no other.
        return object() if is_lazy(value) else (type(value), value.dtype, value.shape)
    if type(value) is tuple:
        return tuple, *map(looks, value)
    return type(value)


def _kinds(function: FunctionType) -> list[Any]:
    signature = inspect.signature(function)
    kinds = [one.annotation for one in signature.parameters.values()]
    return [*kinds, signature.return_annotation]


def _shape(kind: Any) -> bool:
    if isinstance(kind, list | tuple):  # arguments of a Callable
        return any(map(_shape, kind))
    if isinstance(kind, str | TypeVar | ForwardRef):
        return True  # nobody knows what it stands for
    if isinstance(kind, type) and issubclass(kind, AbstractArray):
        return True
    return get_origin(kind) is not Literal and any(map(_shape, get_args(kind)))


def _told(kind: Any) -> bool:
    origin = get_origin(kind)
    if origin in (Union, UnionType, tuple):
        return all(one is ... or _told(one) for one in get_args(kind))
    if origin is not None:
        return origin in BY_KIND
    if kind is None or kind is Any:
        return True
    if not isinstance(kind, type) or is_typeddict(kind) or getattr(kind, "_is_protocol", False):
        return False
    # "{...}" in a shape is worked out from the values of arguments.
    return not issubclass(kind, AbstractArray) or (
        kind.array_type is Tensor and "{" not in kind.dim_str
    )


def _each(function: FunctionType, types: Wrap) -> Wrap:
    """Checks what is made of the same code: a function within another is, at each of its calls.

    beartype takes most of a millisecond for a function, and looks at its signature alone.
    """
    held = threading.local()
    code, hollow = function.__code__, tuple(CellType() for _ in function.__code__.co_freevars)
    # What the first one closes over would else never end.
    bare = FunctionType(code, function.__globals__, argdefs=function.__defaults__, closure=hollow)
    functools.update_wrapper(bare, function)
    bare.__kwdefaults__ = function.__kwdefaults__
    del bare.__wrapped__

    @functools.wraps(bare)
    def relay(*args: Any, **named: Any) -> Any:
        return held.__dict__.pop("function")(*args, **named)

    checked = types(relay)

    def wrap(one: FunctionType) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            held.function = one
            return checked(*args, **named)

        return _unless_disabled(one, call)

    return wrap


def _unless_disabled(function: FunctionType, checked: Wrap) -> Wrap:
    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        one = function if jaxtyping.config.jaxtyping_disable else checked
        return one(*args, **named)

    return call


def _remembered(function: FunctionType, strict: Wrap) -> Wrap:
    """The function, whose calls are checked that differ from all before.

    Args:
        function: ours.
        strict: makes of it what jaxtyping checks; not before the first call, for most are of
            other tests.
    """
    known: dict[Hashable, set[Hashable]] = {}  # what arguments looked like -> so did answers
    held = threading.local()

    @functools.wraps(function)
    def again(*_: Any, **__: Any) -> Any:
        return held.answer

    made: dict[Any, Wrap] = {}  # no `functools.cache`: older torch compiles no call beside one

    def checked(one: Any) -> Wrap:
        if one not in made:
            made[one] = strict(one)
        return made[one]

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        if jaxtyping.config.jaxtyping_disable:
            return function(*args, **named)
        given = (*map(looks, args), *((name, looks(value)) for name, value in named.items()))
        if given not in known:
            answer = checked(function)(*args, **named)
            known[given] = {looks(answer)}
            return answer
        answer = function(*args, **named)
        if looks(answer) not in known[given]:
            held.answer = answer
            try:
                checked(again)(*args, **named)
            finally:
                del held.answer
            known[given].add(looks(answer))
        return answer

    return call
