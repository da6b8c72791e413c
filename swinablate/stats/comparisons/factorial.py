"""Effects of several switches varied together: main effects and two-way interactions.

Every effect is a contrast of the cells, from least squares on the model with main effects and
two-way interactions; in a complete design that is the plain mean of differences. A fraction or
a design with refused cells gives the effects it can tell apart, and no others.

Source: Box, Hunter, Hunter, Statistics for Experimenters (2005), chapters 5 and 6.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise, product
from typing import Any

import numpy as np

from swinablate.errors import InputError
from swinablate.stats.critical import Floats
from swinablate.stats.estimate import Contrast

MAIN, INTERACTIONS, PATH = "main effects", "interactions", "path"
Cell = Mapping[str, Any]


def factorial(
    cells: Mapping[str, Cell], *, switches: Sequence[str] = (), metric: str = "test/accuracy"
) -> tuple[tuple[Contrast, ...], tuple[str, ...]]:
    """Turn the cells of a design into two families of contrasts.

    A main effect is what a level changes against the baseline's, averaged over the other
    switches. An interaction is by how much the second change alters the effect of the first,
    averaged over the rest: 0 if effects add up.

    Args:
        cells: arm -> what it changes; a switch left out is at the baseline's level. The
            baseline is the arm that changes nothing.
        switches: in the order in which effects are named; others follow as they turn up.
        metric: what is averaged.

    Returns:
        The contrasts, and the names of the effects that the cells cannot tell apart.

    Raises:
        InputError: no arm is the baseline, or two arms are the same cell.
    """
    levels = _levels(cells, switches)
    points = {name: _place(changes, levels) for name, changes in cells.items()}
    if len(set(points.values())) < len(points):
        raise InputError(
            "two arms of the factorial design change the same",
            hint="every cell of the design is one arm",
        )
    sizes = [len(each) for each in levels.values()]
    design = np.array([_row(point, sizes) for point in points.values()])
    inverse = np.linalg.pinv(design)  # in a fraction, or without refused cells, columns depend
    contrasts, lost = [], []
    for name, kind, wanted in _effects(levels, sizes):
        weights = wanted @ inverse
        # Weights are whole numbers over the number of cells: 1e-9 lies far from any of them, and
        # twelve places drop what rounding added.
        if not np.allclose(weights @ design, wanted, atol=1e-9):
            lost.append(name)
            continue
        shares = {
            arm: round(float(w), 12)
            for arm, w in zip(points, weights, strict=True)
            if abs(w) > 1e-9
        }
        family = MAIN if kind == "main effect" else INTERACTIONS
        contrasts.append(
            Contrast(name=name, kind=kind, family=family, weights=shares, metric=metric)
        )
    return tuple(contrasts), tuple(lost)


def path(
    arms: Sequence[str], *, names: Sequence[str] = (), metric: str = "test/accuracy"
) -> tuple[Contrast, ...]:
    """Turn a cumulative path into its steps, each arm minus the one before.

    Args:
        arms: in the order of the path, the baseline first.
        names: of the steps; `before -> after` if left out.
        metric: what is averaged.
    """
    shown = names or [f"{before} -> {after}" for before, after in pairwise(arms)]
    return tuple(
        Contrast(
            name=name,
            kind="step",
            family=PATH,
            weights={after: 1.0, before: -1.0},
            metric=metric,
        )
        for name, (before, after) in zip(shown, pairwise(arms), strict=True)
    )


def _levels(cells: Mapping[str, Cell], switches: Sequence[str]) -> dict[str, list[Any]]:
    """Every switch with its levels; None stands for the baseline's and comes first."""
    if not any(not changes for changes in cells.values()):
        raise InputError(
            "no arm of the factorial design is the baseline",
            hint="one cell has to change nothing",
        )
    levels: dict[str, list[Any]] = {switch: [None] for switch in switches}
    for changes in cells.values():
        for switch, level in changes.items():
            known = levels.setdefault(switch, [None])
            if not any(_same(level, other) for other in known[1:]):
                known.append(level)
    return {switch: known for switch, known in levels.items() if len(known) > 1}


def _place(changes: Cell, levels: Mapping[str, list[Any]]) -> tuple[int, ...]:
    """The cell as the index of each switch's level."""
    return tuple(
        next(i for i, level in enumerate(known[1:], 1) if _same(level, changes[switch]))
        if switch in changes
        else 0
        for switch, known in levels.items()
    )


def _same(one: object, other: object) -> bool:
    """Equal, where 1 and True are not."""
    return type(one) is type(other) and one == other


def _row(point: Sequence[int], sizes: Sequence[int]) -> Floats:
    """A cell in effects coding: the mean, main effects, two-way interactions."""
    main = [_coded(level, size) for level, size in zip(point, sizes, strict=True)]
    pairs = [np.outer(one, other).ravel() for one, other in combinations(main, 2)]
    return np.concatenate([np.ones(1), *main, *pairs])


def _coded(level: int, size: int) -> Floats:
    """1 at the level's column; the baseline's level is -1 in all of them."""
    if level == 0:
        return -np.ones(size - 1)
    return np.asarray(np.eye(size - 1)[level - 1])


def _effects(
    levels: Mapping[str, list[Any]], sizes: Sequence[int]
) -> list[tuple[str, str, Floats]]:
    """Name, kind and coded form of every effect, averaged over the complete design."""
    short = _short(list(levels))
    named = [
        [(i, j, f"{short[switch]}={_word(known[j])}") for j in range(1, len(known))]
        for i, (switch, known) in enumerate(levels.items())
    ]
    found = []
    for each in named:
        for i, j, name in each:
            coded = _averaged(sizes, {i: j}) - _averaged(sizes, {i: 0})
            found.append((name, "main effect", coded))
    for one, other in combinations(named, 2):
        for (i, j, first), (k, l_, second) in product(one, other):
            coded = (
                _averaged(sizes, {i: j, k: l_})
                - _averaged(sizes, {i: j, k: 0})
                - _averaged(sizes, {i: 0, k: l_})
                + _averaged(sizes, {i: 0, k: 0})
            )
            found.append((f"{first} x {second}", "interaction", coded))
    return found


def _averaged(sizes: Sequence[int], fixed: Mapping[int, int]) -> Floats:
    """The mean coded row of all cells with the fixed levels.

    Columns of a switch that is averaged sum to 0 over its levels, so only what is fixed stays.
    """
    main = [
        _coded(fixed[i], size) if i in fixed else np.zeros(size - 1)
        for i, size in enumerate(sizes)
    ]
    pairs = [np.outer(one, other).ravel() for one, other in combinations(main, 2)]
    return np.concatenate([np.ones(1), *main, *pairs])


def _short(switches: Sequence[str]) -> dict[str, str]:
    """The last key of each path, or the whole path where two share it."""
    last = [switch.rpartition(".")[2] for switch in switches]
    return {
        switch: key if last.count(key) == 1 else switch
        for switch, key in zip(switches, last, strict=True)
    }


def _word(level: Any) -> str:
    """A level as arm names have it."""
    if isinstance(level, bool):
        return "true" if level else "false"
    if isinstance(level, tuple | list):
        return f"({','.join(map(_word, level))})"
    return str(level)
