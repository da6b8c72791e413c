"""The point that TPE tries next: Optuna's sampler as a pure function of what was tried."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import NopPruner
from optuna.samplers import TPESampler
from optuna.trial import create_trial

optuna.logging.set_verbosity(optuna.logging.WARNING)  # a study in memory is made every time

DRAWS = 50
"""After so many draws of points tried before, the first point not yet tried is taken.

In a small space TPE may return to the best levels again and again, and never draw a new one.
"""


def suggest(
    space: Mapping[str, Any],
    history: Sequence[tuple[Mapping[str, Any], float | None]],
    *,
    seed: int,
    unguided: int,
) -> dict[str, Any]:
    """The point that TPE tries next; the same for the same arguments, and never one again.

    A fresh sampler is told the whole history each time, so that nothing has to be kept between
    two suggestions but the points and values themselves.

    Args:
        space: name -> `{low, high, log}` or a list of levels; it has a point not yet tried.
        history: points tried before, in order, and what each reached (more is better); None
            for one whose value is unknown. Points outside the space tell the sampler nothing.
        seed: of the sampler.
        unguided: points known until which it draws at random.
    """
    shapes = {name: _shape(part) for name, part in space.items()}
    study = optuna.create_study(
        direction="maximize",
        sampler=TPESampler(seed=seed, n_startup_trials=unguided),
        pruner=NopPruner(),
    )
    for point, value in history:
        params = {name: _inside(part, point[name]) for name, part in space.items()}
        if value is not None and None not in params.values():
            study.add_trial(create_trial(params=params, distributions=shapes, value=value))
    tried = [dict(point) for point, _ in history]
    for _ in range(DRAWS):
        drawn = study.ask(shapes).params
        found = {name: _value(part, drawn[name]) for name, part in space.items()}
        if found not in tried:
            return found
    every = product(*(_values(part) for part in space.values()))
    return next(p for p in (dict(zip(space, v, strict=True)) for v in every) if p not in tried)


def _shape(part: Any) -> BaseDistribution:
    if not isinstance(part, Mapping):
        return CategoricalDistribution(range(len(part)))  # a level by its place, of any type
    low, high, log = part["low"], part["high"], part["log"]
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def _inside(part: Any, value: Any) -> Any:
    """A value as its distribution has it; None if it lies outside."""
    if isinstance(part, Mapping):
        return value if part["low"] <= value <= part["high"] else None
    places = [i for i, level in enumerate(part) if _same(level, value)]
    return places[0] if places else None


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _value(part: Any, drawn: Any) -> Any:
    """A drawn value as a file has it; four digits are more than tuning can tell apart."""
    if not isinstance(part, Mapping):
        return part[drawn]
    if isinstance(drawn, int):
        return drawn
    return min(max(float(f"{drawn:.4g}"), part["low"]), part["high"])


def _values(part: Any) -> Sequence[Any]:
    return range(part["low"], part["high"] + 1) if isinstance(part, Mapping) else part
