"""Figures of the house: how much stands at the top, what is large, what leans on what.

`python -m tests.house` counts this checkout, `python -m tests.house FOLDER` another one, an older
one for example.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import grimp

PACKAGE = "swinablate"

LINES = 400
"""A longer file is more than one idea; a family is one network, and may be longer."""

ENTRIES = 15
"""About as many names as one takes in at a glance, besides `__init__.py`."""
PLUGINS = "swinablate/report/figures"
"""One file is one figure, found by its name: there are as many as there are figures."""


@dataclass(frozen=True)
class House:
    """What was counted.

    Attributes:
        top: entries at the top of the package.
        arrows: pairs of entries at the top of which one imports the other.
        floors: entries on the longest way along arrows; 0 where they run in a circle.
        crowded: folder below the top -> entries, above `ENTRIES`, figures left out.
        long: file -> lines, above `LINES`, families left out.
        largest: the five largest files.
    """

    top: int
    arrows: int
    floors: int
    crowded: dict[str, int]
    long: dict[str, int]
    largest: dict[str, int]


def survey(root: Path, arrows: Mapping[str, set[str]]) -> House:
    """Count the package that lies in a checkout.

    Args:
        root: the checkout.
        arrows: as `leans` found them.
    """
    package = root / PACKAGE
    lines = {
        file.relative_to(package).as_posix(): len(file.read_text("utf-8").splitlines())
        for file in package.rglob("*.py")
    }
    crowd = {
        folder.relative_to(root).as_posix(): len(entries(folder)) - 1
        for folder in package.rglob("*")
        if holds_modules(folder)
    }
    by_size = sorted(lines.items(), key=lambda item: -item[1])
    return House(
        top=len(entries(package)),
        arrows=sum(map(len, arrows.values())),
        floors=height(arrows),
        crowded={n: k for n, k in crowd.items() if k > ENTRIES and n != PLUGINS},
        long={n: k for n, k in by_size if k > LINES and not n.startswith("models/families/")},
        largest=dict(by_size[:5]),
    )


def entries(folder: Path) -> list[str]:
    """What a reader finds in a folder: modules and packages."""
    return [path.name for path in folder.iterdir() if path.suffix == ".py" or holds_modules(path)]


def holds_modules(path: Path) -> bool:
    """Whether modules lie in a folder."""
    return path.is_dir() and any(path.glob("*.py"))


def leans(root: Path) -> dict[str, set[str]]:
    """Entry at the top -> those that it imports; imports for types alone are none.

    Args:
        root: the checkout; its package must not have been imported from elsewhere.
    """
    sys.path.insert(0, str(root))
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
    sys.path.remove(str(root))
    found: dict[str, set[str]] = {}
    for module in graph.modules - {PACKAGE}:
        mine = module.split(".")[1]
        others = graph.find_modules_directly_imported_by(module) - {PACKAGE}
        found.setdefault(mine, set()).update(other.split(".")[1] for other in others)
    return {mine: others - {mine} for mine, others in found.items()}


def height(arrows: Mapping[str, set[str]]) -> int:
    """Entries on the longest way along arrows, 0 where one comes back to where it began."""

    @cache
    def above(entry: str) -> int:
        return 1 + max(map(above, arrows.get(entry, ())), default=0)

    try:
        return max(map(above, arrows), default=0)
    except RecursionError:
        return 0


def main(root: Path) -> None:
    """Print a house, a line for each figure."""
    house = survey(root, leans(root))
    print(f"entries at the top   {house.top}")
    print(f"arrows between them  {house.arrows}")
    print(f"floors               {house.floors or 'none: the arrows run in a circle'}")
    print(f"crowded folders      {told(house.crowded)}")
    print(f"long files           {told(house.long)}")
    print(f"largest files        {told(house.largest)}")


def told(numbers: Mapping[str, int]) -> str:
    """Names and their numbers in a line."""
    return ", ".join(f"{name} {number}" for name, number in numbers.items()) or "none"


if __name__ == "__main__":
    main(Path(sys.argv[1] if sys.argv[1:] else ".").resolve())
