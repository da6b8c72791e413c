"""Families that are not ours: `mypackage.nets:MyNet`, `timm:NAME` and `torchvision:NAME`."""

import functools
import importlib
import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from torch import nn

from swinablate.config.code import imports
from swinablate.config.code.theirs import builtin, named, theirs
from swinablate.config.family import Family
from swinablate.config.plugins import did_you_mean
from swinablate.errors import InputError
from swinablate.models.build import forget_choices
from swinablate.models.external.adapter import Origin, adopt, assemble
from swinablate.models.external.signature import Argument, arguments_of, describe, has_own_channels

PRESET = "preset"
"""Level of an argument that is decided by the model's name."""
Preset = Literal["preset"]
ZOOS = {"timm": "timm.models", "torchvision": "torchvision.models"}
"""Libraries of networks by name, and where they are."""


MANY = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
SEED = "every network here starts from its seed; leave it out"
REVISED = "-2"
"""Of networks with `channels` beside `in_channels`: both were given those of the images once, so
that what was trained then is another network under the same code."""
WEIGHTS = dict.fromkeys(("pretrained", "pretrained_cfg", "checkpoint_path", "weights"), SEED)
"""Arguments that would load weights: never."""


def find_family(path: str, folders: Sequence[Path], at: str) -> Family[Any]:
    """The family that a name with a colon means.

    Args:
        path: `module:attribute`, `timm:NAME` or `torchvision:NAME`.
        folders: where the module may be, besides the current folder.
        at: where the name was written, for the error message.

    Raises:
        InputError: there is no such thing, or no family can be made of it.
    """
    library, _, name = path.partition(":")
    try:
        if library in ZOOS:
            return _zoo(library, name)
        with theirs():
            found = _imported(path, _usable(path, imports.attribute_of(path, folders, at)))
        forget_choices()
    except InputError as error:
        raise InputError(error.problem, at=error.at or at, hint=error.hint) from error
    except Exception as error:  # whatever a signature, a Family or a library of theirs raises
        raise InputError(
            f"no family can be made of {path}: {named(error)}",
            at=at,
            hint="name an nn.Module class, a function that returns one, or a Family",
        ) from error
    return found


def _usable(path: str, found: object) -> Callable[..., object] | Family[Any]:
    if isinstance(found, type) and not issubclass(found, nn.Module):
        problem = f"{path} is a class, but not a torch.nn.Module"
    elif builtin(found):  # os.abort and its like would be called to see what they return
        problem = f"{path} is a function of Python itself, and returns no network"
    elif isinstance(found, Family) or (callable(found) and not isinstance(found, nn.Module)):
        return found
    else:
        problem = f"{path} is a {type(found).__name__}"
    raise InputError(
        problem, hint="name an nn.Module class, a function that returns one, or a Family"
    )


@functools.cache
def _imported(path: str, found: Callable[..., object] | Family[Any]) -> Family[Any]:
    code = imports.code(path)
    if isinstance(found, Family):
        return adopt(found, path, code)
    arguments = arguments_of(found, path)
    if has_own_channels(found):
        code += REVISED
    return assemble(Origin(path, code, found), arguments, {})


@functools.cache
def _zoo(library: str, name: str) -> Family[Any]:
    try:
        models = importlib.import_module(ZOOS[library])
    except ModuleNotFoundError as error:
        if error.name != library:
            raise
        extra = "swinablate[timm]" if library == "timm" else library
        raise InputError(f"{library} is not installed", hint=f"pip install '{extra}'") from None
    timm = library == "timm"
    known = models.list_models() if timm else models.list_models(module=models)
    if name not in known:
        close = did_you_mean(name, known)
        raise InputError(
            f"{library} has no model called {name!r}",
            hint=close if close.startswith("did") else f"see {ZOOS[library]}.list_models()",
        )
    entry = models.model_entrypoint(name) if timm else models.get_model_builder(name)
    make = functools.partial(entry, **({"pretrained": False} if timm else {"weights": None}))
    origin = Origin(f"{library}:{name}", f"{library} {imports.package_version(library)}", make)
    return assemble(origin, _arguments(_returned(entry), timm=timm), WEIGHTS)


def _returned(entry: Callable[..., object]) -> type[nn.Module]:
    """The class of the networks that a model's function returns, and which has its arguments.

    Both libraries annotate it, but for a few models: of those a recipe can say nothing.
    """
    found = typing.get_type_hints(entry).get("return")
    return found if isinstance(found, type) and issubclass(found, nn.Module) else nn.Module


def _arguments(network: type[nn.Module], *, timm: bool) -> list[Argument]:
    """Arguments of a class and, where it hands on others by name, of its bases.

    Those without default are set by the function that goes with the model's name.
    """
    found: dict[str, Argument] = {}
    for base in network.__mro__[: network.__mro__.index(nn.Module)]:
        parameters = inspect.signature(base).parameters.values()
        hints = typing.get_type_hints(vars(base).get("__init__", base))
        for one in (describe(p, hints.get(p.name)) for p in parameters if p.kind not in MANY):
            if not one.required and one.hint is not None:
                found.setdefault(one.name, one if one.role else _preset(one))
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    if timm:  # which it hands on to every network
        for name in ("num_classes", "in_chans"):
            # With a default, so that it is optional; which one does not matter: the data decide.
            parameter = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=0)
            found.setdefault(name, describe(parameter, int))
    return list(found.values())


def _preset(one: Argument) -> Argument:
    return replace(one, hint=one.hint | Preset, default=PRESET)
