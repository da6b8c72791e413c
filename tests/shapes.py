"""Shapes of signatures checked at every call, in a fraction of jaxtyping's time.

jaxtyping looks at arguments twice and at answers once, and binds and copies names for it: some 50
times what the call of a small layer takes. Of a call whose arguments and answer have the types,
numbers and shapes of an earlier call of the same function it can say nothing else, so it is asked
once for each; conftest puts this in its place before anything of ours is imported.
"""

import functools
import inspect
import threading
from collections import abc
from collections.abc import Callable, Hashable
from types import FunctionType, UnionType
from typing import Any, Union, get_args, get_origin, is_typeddict

import jaxtyping
from jaxtyping import AbstractArray
from torch import Tensor
from torch.nn.parameter import is_lazy

Wrap = Callable[[Any], Any]
BY_KIND = (abc.Callable, abc.Generator, abc.Iterator)
"""Types whose arguments nobody can look at without a call."""


def remembering(strict: Wrap) -> Wrap:
    """As jaxtyping does, which is `strict`, but asking it once of what cannot come out otherwise."""

    def wrap(function: Any) -> Any:
        whole = strict(function)
        if not isinstance(function, FunctionType) or not decided(function):
            return whole
        return _remembered(function, whole, strict)

    return wrap


def decided(function: FunctionType) -> bool:
    """Whether what `looks` sees of arguments and answer decides if they are of the signature."""
    signature = inspect.signature(function)
    kinds = [one.annotation for one in signature.parameters.values()]
    return all(map(_told, [*kinds, signature.return_annotation]))


def looks(value: Any) -> Hashable:
    """What a check of types and shapes sees of a value."""
    if isinstance(value, Tensor):
        # A lazy layer's has no shape yet, and is like no other.
        return object() if is_lazy(value) else (type(value), value.dtype, value.shape)
    if type(value) is tuple:
        return tuple, *map(looks, value)
    return type(value)


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


def _remembered(function: FunctionType, whole: Wrap, strict: Wrap) -> Wrap:
    """The function, whose calls are checked that differ from all before.

    Args:
        function: ours.
        whole: it, checked by jaxtyping.
        strict: what made `whole` of it.
    """
    known: dict[Hashable, set[Hashable]] = {}  # what arguments looked like -> so did answers
    held = threading.local()

    @functools.wraps(function)
    def again(*_: Any, **__: Any) -> Any:
        return held.answer

    answered = strict(again)

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        if jaxtyping.config.jaxtyping_disable:
            return function(*args, **named)
        given = (*map(looks, args), *((name, looks(value)) for name, value in named.items()))
        if given not in known:
            answer = whole(*args, **named)
            known[given] = {looks(answer)}
            return answer
        answer = function(*args, **named)
        if looks(answer) not in known[given]:
            held.answer = answer
            try:
                answered(*args, **named)
            finally:
                del held.answer
            known[given].add(looks(answer))
        return answer

    return call
