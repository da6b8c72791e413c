"""One rule for everything pluggable: the file name is the key.

`models/families/swin.py` is the family "swin", `report/figures/forest.py` the figure "forest",
`execution/executors/local.py` the executor "local". Nothing registers itself.
"""

import difflib
import functools
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable
from typing import TypeVar

from swinablate.errors import InputError

T = TypeVar("T")


@functools.cache  # a plan asks thousands of times, and reads the folder for it
def names(package: str) -> tuple[str, ...]:
    """List the plugins of a package (`swinablate.models.families`), sorted; imports none."""
    spec = importlib.util.find_spec(package)
    assert spec is not None, package
    return tuple(sorted(m.name for m in pkgutil.iter_modules(spec.submodule_search_locations)))


def load(package: str, name: str, kind: type[T], at: str = "") -> T:
    """Import one plugin and return its constant, named after its kind.

    Args:
        package: the folder of one kind of plugin, as a dotted name.
        name: the plugin's file name without `.py`.
        kind: the constant's type; the constant has its name in capitals.
        at: where the name was written, for the error message.

    Raises:
        InputError: no plugin has that name.
    """
    known = names(package)
    if name not in known:
        raise InputError(
            f"no {kind.__name__.lower()} is called {name!r}", at=at, hint=did_you_mean(name, known)
        )
    module = importlib.import_module(f"{package}.{name}")
    plugin = getattr(module, kind.__name__.upper())
    assert isinstance(plugin, kind), module
    return plugin


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, or list them all."""
    known = tuple(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
