"""What a study file declares otherwise than a recorded plan, in words."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from swinablate.records.plan import ArmRecord, PlanRecord
from swinablate.text import flat

DECLARED = (*("question", "design", "axes", "compare", "hypotheses", "tune", "budget", "smoke"),)
"""Fields of a plan that are declared, besides its arms; the others follow from these."""
LATER = ("contrasts",)
"""Fields that a record lacks where it declares nothing there."""
NAMED = 3
"""Arms that a line names."""
LINES = 6
"""Lines of an answer: as many as one reads in an error; the rest is counted."""
LONG = 60
"""Letters of a value: a question is recognised by its beginning."""


def told(lines: list[str]) -> str:
    """Differences as one text, the first ones of many."""
    more = [f"{len(lines) - LINES} more"] if len(lines) > LINES else []
    return "; ".join([*lines[:LINES], *more])


def differences(was: PlanRecord, now: PlanRecord) -> list[str]:
    """Say what is declared otherwise: recorded -> now; empty where nothing is.

    Fields that the record does not have, because an earlier version wrote it, are not compared.
    """
    old, new = was.to_json(), now.to_json()
    lines = []
    for field in DECLARED:
        if field in was.model_fields_set:
            lines += _changed({field: old[field]}, {field: new[field]})
    for field in LATER:
        lines += _changed({field: old.get(field, [])}, {field: new.get(field, [])})
    looks = tuple([look.seeds for look in plan.looks] for plan in (was, now))
    if looks[0] != looks[1]:
        lines.append(f"looks: {_short(looks[0])} -> {_short(looks[1])}")
    lines += _changed(*({"scale": _scale(plan)} for plan in (was, now)))
    lines += _changed(*({"data": _datasets(plan)} for plan in (was, now)))
    lines += _changed(*({"noise": _noise(plan)} for plan in (was, now)))
    return [*lines, *_arms(was, now)]


def _scale(plan: PlanRecord) -> dict[str, Any]:
    """What a plan declares of its scales, without the arms, which are told one by one."""
    if plan.scale is None:
        return {}
    found = plan.scale.declared()
    return found | {"rungs": [label for label, *_ in found["rungs"]]}


def _datasets(plan: PlanRecord) -> dict[str, Any]:
    """The same of its data sets: label -> what each changes of the baseline."""
    if plan.datasets is None:
        return {}
    return {one.label: dict(one.changes) for one in plan.datasets.sets}


def _noise(plan: PlanRecord) -> dict[str, Any]:
    """Over which sources of noise it draws; what is known of them is not declared."""
    found = plan.noise
    return {"sources": list(found.sources), "splits": found.splits} if found.sources else {}


def _arms(was: PlanRecord, now: PlanRecord) -> Iterator[str]:
    old, new = ({arm.name: arm for arm in plan.arms} for plan in (was, now))
    for word, names in (("gone", old.keys() - new.keys()), ("new", new.keys() - old.keys())):
        if names:
            yield f"{word}: {_some([one for one in {**old, **new} if one in names])}"
    both = [name for name in old if name in new]
    changed: defaultdict[str, list[str]] = defaultdict(list)
    for name in both:
        for line in _arm(old[name], new[name]):
            changed[line].append(name)
    for line, arms in changed.items():
        who = "all arms" if len(arms) == len(both) > 1 else _some(arms)
        yield f"{who}: {line}"


def _arm(was: ArmRecord, now: ArmRecord) -> list[str]:
    """How an arm's trials are others; what it is called and where its files are does not count."""
    old, new = (dict(zip(arm.seeds, arm.trials, strict=True)) for arm in (was, now))
    against = _changed(*({"against": one.against} if one.against else {} for one in (was, now)))
    if not old or old == new:
        return against
    lines = against + (
        [] if old.keys() == new.keys() else [f"seeds {_seeds(old)} -> {_seeds(new)}"]
    )
    shared = old.keys() & new.keys()
    if not shared or any(old[seed] != new[seed] for seed in shared):
        changed = _recipe(was.recipe, now.recipe)
        lines += changed or (["other weights, or other code of a network"] if shared else [])
    return lines


def _recipe(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Fields with other values; of another family only that it is another."""
    old, new = flat(was), flat(now)
    paths = [path for path in old if path != "start.weights"]  # its digest says which
    if old.get("model.family") != new.get("model.family"):
        paths = [p for p in paths if p == "model.family" or not p.startswith("model.")]
    return _changed({p: old[p] for p in paths}, {p: new[p] for p in paths if p in new})


def _changed(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Paths with other values; an empty table has none."""
    old, new = ({p: v for p, v in flat(side).items() if v != {}} for side in (was, now))
    return [
        f"{path}: {_text(old, path)} -> {_text(new, path)}"
        for path in {**old, **new}
        if (path in old) != (path in new) or old.get(path) != new.get(path)
    ]


def _seeds(trials: Mapping[int, str]) -> str:
    seeds = list(trials)
    return str(len(seeds)) if seeds == list(range(len(seeds))) else _short(seeds)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _text(values: Mapping[str, Any], path: str) -> str:
    return _short(values[path]) if path in values else "-"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONG else f"{text[: LONG - 3]}..."
