"""Circles among modules: what imports each other, at once, late or for types alone."""

from collections.abc import Iterator, Mapping

import grimp

from tests.house import PACKAGE


def circles(*, types: bool) -> list[set[str]]:
    """Modules that reach each other by imports, those inside functions among them.

    The package's own `__init__.py` is left out: it gives its version to all, and imports what it
    names when that is first used.

    Args:
        types: imports for type checkers alone count, too.
    """
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=not types, cache_dir=None)
    modules = graph.modules - {PACKAGE}
    return list(
        loops({one: graph.find_modules_directly_imported_by(one) & modules for one in modules})
    )


def loops(arrows: Mapping[str, set[str]]) -> Iterator[set[str]]:
    """Names that lead back to themselves, by circle; each with all that it reaches it from."""
    left = {name: set(others) for name, others in arrows.items()}
    while ends := {name for name, others in left.items() if not others & left.keys()}:
        left = {name: others for name, others in left.items() if name not in ends}
    while left:
        first = min(left)
        there = _reached(first, left)
        circle = {name for name in there if first in _reached(name, left)}
        if circle:
            yield circle
        left = {name: others for name, others in left.items() if name not in {first, *circle}}


def _reached(start: str, arrows: Mapping[str, set[str]]) -> set[str]:
    found, new = set[str](), {start}
    while new:
        new = {other for name in new for other in arrows[name] if other in arrows} - found
        found |= new
    return found
