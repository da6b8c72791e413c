"""Where the tuning of a study stands, read from its ledger and its records. Pure, and light.

The ledger (`tuning.json`, `ledger` in a recorded plan) holds every recipe that was suggested to
an arm, in order, with the ids of its tuning trials and of the final trials it would have. What a
sampler suggests is asked for once: a later version of it cannot change a study.

    {"schema": 1, "arms": {"shift=false": [
        {"number": 0, "params": {"train.lr": 0.003}, "trials": [id], "finals": [id, id]}, ...]}}
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any, Literal

from swinablate.records.home import planned
from swinablate.records.outcome import Outcome

Row = tuple[Mapping[str, Any], int, str]
"""An arm, a seed, a trial's id; the arm of a tuned row has the recipe that was tried or chosen."""
WORST = 0.0
"""A recipe that diverged reaches this validation accuracy, percent."""
RANDOM_MOST = 10


@dataclass(frozen=True, kw_only=True)
class Try:
    """One suggested recipe and what came of it.

    Attributes:
        number: from 0, the arm's own recipe.
        params: recipe path -> value.
        status: waiting until every seed has ended; failed or diverged if one seed has.
        value: validation accuracy, percent, mean over the tuning seeds; None unless done.
        finals: the final trials at this recipe, by the arm's seeds.
    """

    number: int
    params: Mapping[str, Any]
    status: Literal["waiting", "done", "diverged", "failed"]
    value: float | None
    finals: Sequence[str]

    @property
    def told(self) -> float | None:
        """What the sampler hears: a recipe that diverged is as bad as can be."""
        return WORST if self.status == "diverged" else self.value


def tries(plan: Mapping[str, Any], arm: str, recorded: Mapping[str, Outcome]) -> list[Try]:
    """Every recipe that was suggested to an arm, in order."""
    return [_try(entry, recorded) for entry in _entries(plan, arm)]


def chosen(plan: Mapping[str, Any], arm: str, recorded: Mapping[str, Outcome]) -> Try | None:
    """The best on validation, the earliest of equals; None until all of the budget has ended.

    Where no trial came to an end the arm's own recipe stays.
    """
    found = tries(plan, arm, recorded)
    if len(found) < plan["tune"]["trials"] or any(one.status == "waiting" for one in found):
        return None
    done = [one for one in found if one.value is not None]
    return max(done, key=lambda one: (one.value, -one.number), default=found[0])


def wants(plan: Mapping[str, Any], arm: str, recorded: Mapping[str, Outcome]) -> bool:
    """Whether the next recipe of an arm can be suggested: all it may depend on has ended.

    A suggestion depends on all before it, and on none if it is one of the first; so it is the
    same in whichever order trials end, however many run at a time.
    """
    if not plan.get("tune"):
        return False
    found = tries(plan, arm, recorded)
    most = plan["tune"]["trials"]
    ready = len(found) < unguided(most) or all(one.status != "waiting" for one in found)
    return len(found) < most and ready


def unguided(trials: int) -> int:
    """How many recipes are tried before results guide the sampler: a third, at most 10."""
    return max(2, min(RANDOM_MOST, trials // 3))


def tune_rows(plan: Mapping[str, Any]) -> Iterator[Row]:
    """Every tuning trial that was suggested, the earliest suggestions first."""
    entries = [(arm, entry) for arm in plan["arms"] for entry in _entries(plan, arm["name"])]
    for arm, entry in sorted(entries, key=lambda pair: int(pair[1]["number"])):
        tried = {**_at(arm, entry["params"]), "kind": "tune", "number": entry["number"]}
        yield from ((tried, seed, trial) for seed, trial in enumerate(entry["trials"]))


def tuned_rows(plan: Mapping[str, Any], recorded: Mapping[str, Outcome]) -> Iterator[Row]:
    """Every final trial at a tuned recipe, for arms whose tuning has ended."""
    for arm in plan["arms"] if plan.get("tune") else ():
        best = chosen(plan, arm["name"], recorded)
        if best is not None:
            tuned = {**_at(arm, best.params), "kind": "tuned", "number": best.number}
            seeds = zip(arm["seeds"], best.finals, strict=True)
            yield from ((tuned, seed, trial) for seed, trial in seeds)


def wanted(plan: Mapping[str, Any], recorded: Mapping[str, Outcome]) -> tuple[list[Row], int]:
    """The trials that count by now, each once, and how many there can be at the end.

    Final trials at the fixed recipe stand first, seeds outermost: they are an answer of their
    own, and tuning, of which each arm runs one try after another, fills what slots they leave.
    """
    rows = sorted(planned(plan), key=lambda row: row[1])  # stable: arms in the plan's order
    tune = plan.get("tune")
    if not tune:
        return rows, len(rows)
    tuned = sorted(tuned_rows(plan, recorded), key=lambda row: row[1])
    unique = {row[2]: row for row in reversed([*rows, *tune_rows(plan), *tuned])}
    found = list(reversed(unique.values()))
    unknown = 0
    for arm in plan["arms"]:
        unknown += (tune["trials"] - len(_entries(plan, arm["name"]))) * tune["seeds"]
        if chosen(plan, arm["name"], recorded) is None:
            unknown += len(arm["seeds"])
    return found, len(found) + unknown


def everything(plan: Mapping[str, Any]) -> list[str]:
    """The ids of all trials a plan and its ledger name, run or not."""
    arms = [arm["name"] for arm in plan["arms"]]
    entries = [entry for arm in arms for entry in _entries(plan, arm)]
    tuning = [trial for e in entries for trial in (*e["trials"], *e["finals"])]
    return list(dict.fromkeys([*(trial for _, _, trial in planned(plan)), *tuning]))


def _entries(plan: Mapping[str, Any], arm: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = plan.get("ledger", {}).get("arms", {}).get(arm, [])
    return found


def _try(entry: Mapping[str, Any], recorded: Mapping[str, Outcome]) -> Try:
    ended = [recorded[trial] for trial in entry["trials"] if trial in recorded]
    statuses = {outcome.status for outcome in ended}
    status: Literal["waiting", "done", "diverged", "failed"] = "done"
    if len(ended) < len(entry["trials"]):
        status = "waiting"
    elif "failed" in statuses:
        status = "failed"
    elif "diverged" in statuses:
        status = "diverged"
    value = mean(o.metrics["val/accuracy"] for o in ended) if status == "done" else None
    return Try(
        number=entry["number"],
        params=entry["params"],
        status=status,
        value=value,
        finals=entry["finals"],
    )


def _at(arm: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The arm of a plan with other values of its training; only `train.` keys are tuned."""
    train = {key.removeprefix("train."): value for key, value in params.items()}
    recipe = {**arm["recipe"], "train": {**arm["recipe"]["train"], **train}}
    return {**arm, "recipe": recipe, "changes": {**arm["changes"], **params}}
