"""What changes at once between the two sides of a comparison, before anything trains.

Each switch that a study names is one change, however many fields it sets; so is each part of
another recipe. What was solved to match the cost of the baseline makes up for a change, and is
named, not counted. A difference of differences has no change between its sides; there it is the
pairs of changes that should be one.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import PurePath

from swinablate.config.levels import Level
from swinablate.study.arms.axes import RECIPE
from swinablate.study.arms.mixed import whole
from swinablate.study.equality import FOUND, fields
from swinablate.study.files import BASELINE
from swinablate.study.plan import Arm, Plan
from swinablate.text import counted, formula

ORDERS = (1, 2, 3)
"""Changes, pairs of them, and triples: nobody reads a comparison of a higher order."""
CANCELS = 1e-9  # what rounding leaves of weights that sum to 0
WITH = {"start.sha256": "start.weights"}
"""A field that follows from another."""


@dataclass(frozen=True)
class Side:
    """An arm as a comparison sees it.

    Attributes:
        fields: of its recipe, by path.
        switches: paths that the study changes by name.
        parts: part of the recipe that it takes from another file -> that file.
        solved: paths that were solved to match a cost, and which.
    """

    fields: Mapping[str, Level]
    switches: frozenset[str]
    parts: Mapping[str, str]
    solved: Mapping[str, str]


def confounded(plan: Plan) -> dict[str, str]:
    """Comparison -> what changes at once between its sides, where more than one thing does.

    Cells of a crossed design are left out: its effects tell their changes apart.

    Args:
        plan: the plan.
    """
    told = {name: _said(weights, sides) for name, (weights, sides) in _compared(plan).items()}
    return {name: said for name, said in told.items() if said}


Compared = dict[str, tuple[dict[str, float], dict[str, Side]]]


def _compared(plan: Plan) -> Compared:
    """Comparison -> its weights and sides, where all of its arms run."""
    sides = {arm.name: _side(plan, arm) for arm in plan.arms}
    alias = {one.name: one.same_as for one in plan.refusals if one.same_as}
    wanted: dict[str, dict[str, float]] = {}
    for arm in plan.arms[1:]:
        other = arm.against or BASELINE
        if not (arm.cell and plan.study.design != "one_at_a_time"):
            wanted[arm.name] = {arm.name: 1.0, other: -1.0}
    wanted |= {contrast.name: contrast.of for contrast in plan.study.contrasts}
    found: Compared = {}
    for name, of in wanted.items():
        weights: defaultdict[str, float] = defaultdict(float)
        for arm_name, weight in of.items():
            weights[alias.get(arm_name) or arm_name] += weight
        if all(arm_name in sides for arm_name in weights):
            mine = {arm_name: sides[arm_name] for arm_name in weights}
            found[name] = (dict(weights), mine)
    return found


def between(plan: Plan) -> dict[str, str]:
    """Declared contrast -> what it is about: the change, or those that act together.

    Args:
        plan: the plan.
    """
    named = {contrast.name for contrast in plan.study.contrasts}
    named |= {arm.name for arm in plan.arms if arm.against}
    return {
        name: " + ".join(" x ".join(names) for names in changes(weights, sides))
        for name, (weights, sides) in _compared(plan).items()
        if name in named
    }


def cautions_of(plan: Plan) -> Iterator[dict[str, str]]:
    """W22: comparisons of more than one change, as the plan records it."""
    contrasts = {contrast.name: contrast.of for contrast in plan.study.contrasts}
    others = {arm.name: arm.against or BASELINE for arm in plan.arms}
    for name, said in confounded(plan).items():
        what = formula(contrasts.get(name) or {name: 1.0, others.get(name, BASELINE): -1.0})
        who = f"{name} ({what})" if name in contrasts else what
        yield {"code": "W22", "text": f"{who}: {said}; a verdict is about all of it together."}
    several = [arm for arm in plan.arms if arm.cell and len(arm.changes) > 1]
    if several and plan.study.design != "one_at_a_time":
        yield {
            "code": "W22",
            "text": f"{counted(len(several), 'cell')} of the design "
            f"{'changes' if len(several) == 1 else 'change'} several switches at once: beside the "
            "baseline each is a verdict about all of its changes together; the design's own "
            "effects tell them apart.",
        }


def changes(weights: Mapping[str, float], sides: Mapping[str, Side]) -> list[tuple[str, ...]]:
    """The changes between the two sides of a comparison; or pairs of them, or triples.

    Those of the lowest order at which the weights do not cancel: of `A - B` the changes from B
    to A, of a difference of differences the pairs of changes that act together in it.

    Args:
        weights: arm -> weight.
        sides: arm -> what it is made of.
    """
    levels = _levels(sides)
    for order in ORDERS:
        found = [
            names
            for names in combinations(levels, order)
            if not _cancels(weights, [levels[name] for name in names])
        ]
        if found:
            return found
    return []


def _said(weights: Mapping[str, float], sides: Mapping[str, Side]) -> str:
    found = changes(weights, sides)
    if len(found) < 2:
        return ""
    parts = [" x ".join(names) for names in found]
    kind = "changes" if len(found[0]) == 1 else "interactions"
    solved = {path: by for side in sides.values() for path, by in side.solved.items()}
    differs = [f"{path} to match {by}" for path, by in solved.items() if _differs(path, sides)]
    more = f" (and {', '.join(differs)})" if differs else ""
    return f"{len(found)} {kind} at once, {', '.join(parts)}{more}"


def _cancels(weights: Mapping[str, float], levels: Sequence[Mapping[str, str]]) -> bool:
    """Whether the weights sum to 0 at every combination of levels."""
    sums: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for arm, weight in weights.items():
        sums[tuple(each[arm] for each in levels)] += weight
    return all(abs(total) <= CANCELS for total in sums.values())


def _levels(sides: Mapping[str, Side]) -> dict[str, dict[str, str]]:
    """Change -> arm -> its level there, for all that differs between the arms."""
    switches = {path for side in sides.values() for path in side.switches}
    parts = {part for side in sides.values() for part in side.parts}
    solved = {path for side in sides.values() for path in side.solved}
    values: dict[str, dict[str, list[object]]] = {}
    for path in dict.fromkeys(path for side in sides.values() for path in side.fields):
        if path in solved or not _differs(path, sides):
            continue
        over = [s for s in switches if path == s or path.startswith(f"{s}.")]
        part = path.partition(".")[0]
        if not over and (part in parts or RECIPE in parts):
            continue
        name = max(over, key=len) if over else WITH.get(path, path)
        for arm, side in sides.items():
            values.setdefault(name, {}).setdefault(arm, []).append(side.fields.get(path))
    found = {
        name: {arm: json.dumps(each, default=str) for arm, each in by_arm.items()}
        for name, by_arm in values.items()
    }
    for part in sorted(parts):
        files = {arm: side.parts.get(part, "") for arm, side in sides.items()}
        if len(set(files.values())) > 1:
            what = "the recipe" if part == RECIPE else f"the {part} of"
            found[f"{what} {_named(files)}"] = files
    return found


def _named(files: Mapping[str, str]) -> str:
    return " or ".join(dict.fromkeys(file for file in files.values() if file))


def _differs(path: str, sides: Mapping[str, Side]) -> bool:
    first, *others = [side.fields.get(path) for side in sides.values()]
    return any(value != first for value in others)


def _side(plan: Plan, arm: Arm) -> Side:
    variant = next((one for one in plan.study.variants if one.name == arm.name), None)
    written = variant.changes if variant else arm.changes
    if variant is None:
        parts = {"model": str(arm.changes[RECIPE])} if RECIPE in arm.changes else {}
    else:
        taken = variant.take if variant.recipe else ()
        taken = (RECIPE,) if whole(plan.study.baseline, variant.recipe) else taken
        parts = dict.fromkeys(taken, PurePath(variant.source).stem)
    match = arm.match
    theirs = variant.recipe if variant and "data" in parts else None
    # A format that was found follows from what else was changed, and is no change of its own.
    follows = FOUND if (theirs or plan.study.baseline).data.image is None else frozenset()
    every = fields(arm.recipe.model_dump(mode="json"))
    return Side(
        fields={path: level for path, level in every.items() if path not in follows},
        switches=frozenset(path for path in written if path != RECIPE),
        parts=parts,
        solved=dict.fromkeys(match.solved, match.by) if match else {},
    )
