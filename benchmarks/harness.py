"""Benchmarks: A and B in turn, their ratio round by round, and A against itself.

On a shared machine a time says little, and the ratio of two times from the same seconds says
much. Even that is worth what its control is worth: the reference runs twice in every round,
first and last, and where these two do not agree within `CONTROL` there is no result.
"""

import gc
import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

CONTROL = (0.95, 1.05)
"""Where the median ratio of the reference to itself must be."""
ROUNDS = 5
SEEDS = 8
"""Of an arm in the quick start's study; its baseline has twice as many."""
ATTEMPTS = 2
"""A comparison whose control fails is made again, once; the first attempt is dropped whole."""
AGAIN = "again"
"""Added to the reference's name where it runs as its own control."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What some work took.

    Attributes:
        units: images, steps, trials: how much was done.
        wall_s: on the clock.
        cpu_s: of processor time, that of child processes included.
        memory_mib: largest memory, where it was looked at.
    """

    units: float
    wall_s: float
    cpu_s: float
    memory_mib: float = 0.0

    def per_unit(self, clock: str) -> float:
        """Seconds a unit on a clock, "wall" or "cpu"."""
        return (self.wall_s if clock == "wall" else self.cpu_s) / self.units


Round = Callable[[], Spent]
"""Does a piece of the work and says what it took."""


@dataclass(frozen=True)
class Side:
    """One of the programs that are compared.

    Attributes:
        name: as the table calls it.
        ready: builds what is needed, and does the first step; returns the rounds' function.
    """

    name: str
    ready: Callable[[], Round]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A question to the measured times: how many times as fast as B is A?

    Attributes:
        least: the ratio to reach.
        clock: whose ratio counts; the other one stands beside it.
    """

    a: str
    b: str
    least: float | None = None
    clock: Literal["cpu", "wall"] = "cpu"


@dataclass(frozen=True, kw_only=True)
class Times:
    """All rounds of all sides of one setting.

    Attributes:
        setting: what was equal for all.
        unit: what was counted.
        reference: the side that ran twice; its second run is called "... again".
        rounds: side -> what each round took.
        first_s: side -> seconds until the first round that counts: building, warming up.
        attempt: from 1.
    """

    setting: str
    unit: str
    reference: str
    rounds: Mapping[str, Sequence[Spent]]
    first_s: Mapping[str, float]
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A ratio over the rounds: its median and range."""

    median: float
    low: float
    high: float

    @property
    def clean(self) -> bool:
        """Whether a control with this ratio is one."""
        return CONTROL[0] <= self.median <= CONTROL[1]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The answer to a `Pair`.

    Attributes:
        ratio: seconds a unit of B over those of A, on the pair's clock.
        beside: the same on the other clock.
        control: the reference against itself, on the pair's clock.
        status: "reached" or "missed" where there is a target, else "measured"; "control
            failed" means that the ratio is not a result.
    """

    setting: str
    unit: str
    a: str
    b: str
    clock: str
    ratio: Ratio
    beside: Ratio
    control: Ratio
    least: float | None
    seconds: Mapping[str, Mapping[str, float]]
    attempt: int

    @property
    def status(self) -> str:
        """What may be said."""
        if not self.control.clean:
            return "control failed"
        if self.least is None:
            return "measured"
        return "reached" if self.ratio.median >= self.least else "missed"

    def to_json(self) -> dict[str, Any]:
        """Plain data; there is no `ratio` where the control failed, only what was seen."""
        clean = self.control.clean
        return {
            "setting": self.setting,
            "unit": self.unit,
            "a": self.a,
            "b": self.b,
            "clock": self.clock,
            "status": self.status,
            "ratio": vars(self.ratio) if clean else None,
            "ratio_other_clock": vars(self.beside) if clean else None,
            "refused": None if clean else vars(self.ratio),
            "control": vars(self.control),
            "least": self.least,
            "seconds": self.seconds,
            "attempt": self.attempt,
        }


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How much to measure, and where.

    Attributes:
        rounds: of every comparison.
        seconds: that a round of a quick program is repeated for.
        trials: of a study, in the benchmarks that run studies.
        device: "cpu" or "cuda:N".
        tiny: shrink every program to the smallest that still runs: for tests.
        kept: where the rounds of long programs go as they end; those that are there count.
        peers: run other tools as well, where a benchmark can do without them.
        seeds: of an arm of the quick start.
    """

    rounds: int = ROUNDS
    seconds: float = 0.5
    trials: int = 12
    device: str = "cpu"
    tiny: bool = False
    kept: Path | None = None
    peers: bool = True
    seeds: int = SEEDS


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a benchmark found.

    Attributes:
        gaps: peers that could not be measured, and why.
        notes: what else was seen, one sentence each.
    """

    findings: Sequence[Comparison]
    gaps: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Benchmark:
    """A benchmark, as `benchmarks/<name>.py` offers it.

    Attributes:
        what: one line.
        run: measures.
    """

    what: str
    run: Callable[[Settings], Result]


def interleave(
    setting: str,
    unit: str,
    sides: Sequence[Side],
    rounds: int,
    attempts: int = ATTEMPTS,
    *,
    kept: Path | None = None,
) -> Times:
    """Run all sides in turn, the first of them twice a round; every other round backwards.

    Args:
        setting: what is equal for all.
        unit: what the sides count.
        sides: the first is the reference.
        rounds: how many.
        attempts: of the whole, while the control is not clean; one where rounds are kept.
        kept: takes a line a round as it ends; rounds of this setting that are there already and
            have these sides count, so that what takes hours may go on another day.
    """
    assert kept is None or attempts == 1
    reference = sides[0]
    again = f"{reference.name} {AGAIN}"
    first: dict[str, float] = {}
    ready: dict[str, Round] = {}
    for side in sides:
        began = time.perf_counter()
        ready[side.name] = side.ready()
        first[side.name] = time.perf_counter() - began
    order = [*ready, again]
    ready[again] = ready[reference.name]
    for attempt in range(1, attempts + 1):
        spent: dict[str, list[Spent]] = {name: [] for name in order}
        for one in earlier(kept, setting, order)[:rounds]:
            for name in order:
                spent[name].append(one[name])
        for i in range(len(spent[again]), rounds):
            gc.collect()
            for name in order if i % 2 == 0 else reversed(order):
                spent[name].append(ready[name]())
            _keep(kept, setting, {name: spent[name][-1] for name in order})
        times = Times(
            setting=setting,
            unit=unit,
            reference=reference.name,
            rounds=spent,
            first_s=first,
            attempt=attempt,
        )
        if control(times, "cpu").clean:
            break
    return times


def _keep(kept: Path | None, setting: str, spent: Mapping[str, Spent]) -> None:
    if kept is not None:
        line = {"setting": setting, "round": {name: asdict(one) for name, one in spent.items()}}
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def earlier(kept: Path | None, setting: str, names: Collection[str]) -> list[dict[str, Spent]]:
    """Rounds of a setting that were kept and have these sides, in their order."""
    if kept is None or not kept.exists():
        return []
    found = [json.loads(line) for line in kept.read_text("utf-8").splitlines()]
    return [
        {name: Spent(**one["round"][name]) for name in names}
        for one in found
        if one["setting"] == setting and one["round"].keys() >= set(names)
    ]


def control(times: Times, clock: str) -> Ratio:
    """The reference against itself."""
    return ratio_of(times, times.reference, f"{times.reference} {AGAIN}", clock)


def ratio_of(times: Times, a: str, b: str, clock: str) -> Ratio:
    """How many times as fast as B A is, from round to round."""
    pairs = zip(times.rounds[a], times.rounds[b], strict=True)
    ratios = [theirs.per_unit(clock) / ours.per_unit(clock) for ours, theirs in pairs]
    return Ratio(median=median(ratios), low=min(ratios), high=max(ratios))


def answer(times: Times, pairs: Iterable[Pair]) -> list[Comparison]:
    """Answer every pair whose sides were measured; the others are gaps of somebody else."""
    return [_find(times, pair) for pair in pairs if {pair.a, pair.b} <= times.rounds.keys()]


def _find(times: Times, pair: Pair) -> Comparison:
    other = "wall" if pair.clock == "cpu" else "cpu"
    return Comparison(
        setting=times.setting,
        unit=times.unit,
        a=pair.a,
        b=pair.b,
        clock=pair.clock,
        ratio=ratio_of(times, pair.a, pair.b, pair.clock),
        beside=ratio_of(times, pair.a, pair.b, other),
        control=control(times, pair.clock),
        least=pair.least,
        seconds={name: _seconds(times, name) for name in (pair.a, pair.b)},
        attempt=times.attempt,
    )


def _seconds(times: Times, name: str) -> dict[str, float]:
    rounds = times.rounds[name]
    return {
        "cpu": median(spent.per_unit("cpu") for spent in rounds),
        "wall": median(spent.per_unit("wall") for spent in rounds),
        "first": times.first_s[name],
        "memory_mib": max(spent.memory_mib for spent in rounds),
    }


def repeated(work: Callable[[], object], units: float, seconds: float) -> Round:
    """A round that repeats `work`, which does `units`, for at least so many seconds.

    Time is this process's own.
    """

    def once() -> Spent:
        wall, cpu, count = time.perf_counter(), time.process_time(), 0
        while not count or time.perf_counter() - wall < seconds:
            work()
            count += 1
        return Spent(
            units=units * count,
            wall_s=time.perf_counter() - wall,
            cpu_s=time.process_time() - cpu,
        )

    return once
