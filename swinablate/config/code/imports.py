"""Code that is not ours: importing what a path names, and telling its versions apart.

A path is `module:attribute`, like `mypackage.nets:MyNet`. Its module is looked for in the
folders of the files that name it, then in the current folder, then where Python looks.
"""

import ast
import functools
import hashlib
import importlib
import importlib.metadata
import logging
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from swinablate.config.code.theirs import Ended, named, theirs
from swinablate.config.plugins import did_you_mean
from swinablate.errors import InputError

log = logging.getLogger(__name__)
PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def attribute_of(path: str, folders: Sequence[Path], at: str) -> object:
    """Import what a path names; this runs the module's code.

    Args:
        path: `module:attribute`.
        folders: where to look before the current folder.
        at: where the path was written, for the error message.

    Raises:
        InputError: no import path, no such module or attribute, or the module cannot be imported.
    """
    if not PATH.fullmatch(path):
        raise InputError(
            f"{path!r} is no import path", at=at, hint='write it like "mypackage.nets:MyNet"'
        )
    name, _, attribute = path.partition(":")
    if name == "__main__":
        problem = "'__main__' is the program that runs, not a module to import from"
        raise InputError(problem, at=at, hint="name the file: mynets.py is mynets:MyNet")
    found: object = _import(name, folders, at)
    for part in attribute.split("."):
        found = _part(found, part, path, at)
    return found


def _part(found: object, part: str, path: str, at: str) -> object:
    """An attribute by name; a module or class may compute it, and fail."""
    name, _, attribute = path.partition(":")
    try:
        with theirs():
            return getattr(found, part)
    except AttributeError:
        inside = getattr(found, "__dict__", {})
        known = [n for n, value in inside.items() if callable(value) and n[0] != "_"]
        raise InputError(
            f"{name} has no {attribute!r}",
            at=at,
            hint=did_you_mean(part, known) if known else f"define {part} in {name}",
        ) from None
    except Exception as error:
        raise InputError(
            f"{path} cannot be looked up: {named(error)}", at=at, hint=f"mend {name}"
        ) from error


def folder(path: str) -> Path | None:
    """The folder that an imported path's package or module lies in; None if it has no file."""
    module = sys.modules[path.partition(":")[0].partition(".")[0]]
    if hasattr(module, "__path__"):
        return Path(next(iter(module.__path__))).resolve().parent
    file = getattr(module, "__file__", None)  # what is built into Python has none
    return Path(file).resolve().parent if file else None


def folders(path: str) -> tuple[str, ...]:
    """What another process needs to import `path`; nothing for what is not a path of ours."""
    loaded = path.partition(":")[0].partition(".")[0] in sys.modules
    place = folder(path) if ":" in path and loaded else None
    return (str(place),) if place and not _installed(place) else ()


@functools.cache
def code(path: str) -> str:
    """Which version of the code an imported path names, as this process loaded it.

    Of an installed package: its name and version. Of any other: a digest of the module's
    source and of all modules in the same folder or package that it imports, directly or not.
    Code that is imported by a computed name, and data files, are not seen.
    """
    name, _, attribute = path.partition(":")
    top, root = name.partition(".")[0], folder(path)
    if root is None or _installed(root):
        return f"{top} {package_version(top)}"
    value: object = sys.modules[name]
    for part in attribute.split("."):
        value = getattr(value, part, None)
    starts = {name, str(getattr(value, "__module__", name))}
    found = hashlib.sha256()
    for module, text in sorted(_reachable(root, starts).items()):
        found.update(f"{module}\x1f{len(text)}\x1f".encode() + text)
    return found.hexdigest()


def package_version(package: str) -> str:
    """Version of the code behind an import name, without the build's part (`+cpu`).

    It is part of the ids of trials; a record of the machine has `provenance.installed_version`.
    """
    try:
        found = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        names = importlib.metadata.packages_distributions().get(package)
        if not names:  # Python's own
            return sysconfig.get_python_version()
        found = importlib.metadata.version(names[0])
    return found.partition("+")[0]


def _import(name: str, folders: Sequence[Path], at: str) -> object:
    if not folders and name in sys.modules:
        return sys.modules[name]  # asked for again, by who does not know its file
    first = list(dict.fromkeys(str(place.resolve()) for place in [*folders, Path.cwd()]))
    before = list(sys.path)
    sys.path[:] = [*first, *(place for place in before if place not in first)]
    importlib.invalidate_caches()
    if name not in sys.modules:
        log.info("imports: %s", name)  # named before its code runs
    try:
        with theirs():
            module = importlib.import_module(name)
    except Exception as error:  # their code runs
        raise _failure(error, name, first, at) from error
    finally:  # last, so that later imports of our own libraries find what they always found
        sys.path[:] = [*before, *(place for place in first if place not in before)]
    _unambiguous(name.partition(".")[0], first, at)
    return module


def _failure(error: BaseException, name: str, places: Sequence[str], at: str) -> InputError:
    if (
        isinstance(error, ModuleNotFoundError)
        and error.name
        and f"{name}.".startswith(f"{error.name}.")
    ):
        return InputError(
            f"no module is called {error.name!r}",
            at=at,
            hint=f"put it into one of {', '.join(places)}, or install it",
        )
    origin = error.__cause__ if isinstance(error, Ended) and error.__cause__ else error
    ours = ("importlib", "contextlib.py", str(Path(__file__).parent))
    frames = [
        frame
        for frame in traceback.extract_tb(origin.__traceback__)
        if not any(part in frame.filename for part in ours)
    ]
    line = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError):
        line = f" ({error.filename}:{error.lineno})"
    return InputError(
        f"importing {name} failed: {named(error)}{line}",
        at=at,
        hint=f"make `python -c 'import {name}'` work",
    )


def _unambiguous(top: str, places: Iterable[str], at: str) -> None:
    """Refuse another module of the same name than the one that was imported before.

    Raises:
        InputError: the first folder that has such a module is not where it came from.
    """
    here = [Path(p) for p in places if _locate(Path(p), top)]
    loaded = folder(top)
    if here and loaded != here[0]:
        raise InputError(
            f"{top!r} is in {here[0]}, but was imported from {loaded} before",
            at=at,
            hint="rename one of the two",
        )


def _installed(root: Path) -> bool:
    places = {Path(place).resolve() for place in sysconfig.get_paths().values()}
    return root in places or root.name in {"site-packages", "dist-packages"}


def _reachable(root: Path, starts: Iterable[str]) -> dict[str, bytes]:
    """Source of the modules in `root` that `starts` import, directly or not, by name."""
    found: dict[str, bytes] = {}
    waiting = list(starts)
    while waiting:
        name = waiting.pop()
        file = _locate(root, name)
        parent = name.rpartition(".")[0]
        if parent and parent not in found:
            waiting.append(parent)  # its __init__ runs first
        if file is not None and name not in found:
            # A checkout with the line ends of Windows is the same code.
            found[name] = file.read_bytes().replace(b"\r\n", b"\n")
            waiting += _imports(found[name], name if file.stem == "__init__" else parent)
    return found


def _locate(root: Path, name: str) -> Path | None:
    base = root.joinpath(*name.split("."))
    files = (base / "__init__.py", base.parent / f"{base.name}.py")
    return next((file for file in files if file.is_file()), None)


def _imports(text: bytes, package: str) -> Iterator[str]:
    """Every name that may be a module in the import statements of a source text."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # of a module that nothing has imported yet
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if node.level else []
            parts = parts[: len(parts) - max(node.level - 1, 0)]
            source = ".".join([*parts, *([node.module] if node.module else [])])
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)
