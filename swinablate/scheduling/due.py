"""What a study needs now: a fold over its records, for whoever asks.

The coordinator runs what waits, `status` counts it, the report judges it; all see the same.

    state = State.of(plan, recorded)      # once
    state = state.add(outcome)            # at every end of a trial; nothing is read again
    now = due(state)                      # what counts, what waits, what is decided
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import mean
from typing import TYPE_CHECKING

from swinablate.records.outcome import Outcome
from swinablate.records.plan import PlanRecord, Row
from swinablate.records.tuning import Ledger
from swinablate.scheduling.first import held
from swinablate.scheduling.ledger import by_seed, wanted
from swinablate.scheduling.looks import looked

if TYPE_CHECKING:
    from swinablate.stats import Decisions


@dataclass(frozen=True, kw_only=True)
class State:
    """All that is recorded of a study, folded into what `due` asks of it.

    Attributes:
        plan: the recorded plan, with the ledger of its tuning.
        outcomes: trial id -> outcome, of any trial.
        arms: the arms that run (`--only`); None is all. The others' records still count.
        rows: the trials that count by now, seeds outermost, those of tuning last.
        by_trial: `rows`, by the id of the trial.
        mine: those of `rows` that may run here.
        place: all of `mine` before it are recorded.
        used: how many of `rows` are recorded.
        seconds: what those took.
        gpu_seconds: the same, times the GPUs that each held.
        ran: how many of `mine` are recorded.
        most: how many trials there can be at the end, as far as is known.
        decisions: what the looks decided, as of the last look that is complete; None for a
            fixed number of seeds.
        stuck: a look has come whose trials the budget does not allow.
        tuning: a suggestion may have become possible since `suggest.advance` looked.
    """

    plan: PlanRecord
    outcomes: Mapping[str, Outcome]
    arms: frozenset[str] | None = None
    rows: tuple[Row, ...] = ()
    by_trial: Mapping[str, Row] = field(default_factory=dict)
    mine: tuple[Row, ...] = ()
    place: int = 0
    used: int = 0
    seconds: float = 0.0
    gpu_seconds: float = 0.0
    ran: int = 0
    most: int = 0
    decisions: "Decisions | None" = None
    stuck: bool = False
    tuning: bool = False

    @classmethod
    def of(
        cls,
        plan: PlanRecord,
        outcomes: Mapping[str, Outcome],
        arms: Collection[str] | None = None,
    ) -> "State":
        """The state of a study from all that is recorded.

        Args:
            plan: a recorded plan.
            outcomes: trial id -> outcome, of any trial.
            arms: names of those that run; None is all.
        """
        only = None if arms is None else frozenset(arms)
        return _gathered(cls(plan=plan, outcomes=dict(outcomes), arms=only))

    def add(self, outcome: Outcome) -> "State":
        """The state after one more trial has ended, or has ended otherwise."""
        trial = outcome.trial
        now = replace(self, outcomes={**self.outcomes, trial: outcome})
        again = trial in self.outcomes
        if again or (self.plan.tune and outcome.kind == "tune"):
            return _gathered(now)  # what follows from it may have changed everywhere
        if row := self.by_trial.get(trial):
            now = replace(
                now,
                used=now.used + 1,
                seconds=now.seconds + outcome.seconds,
                gpu_seconds=now.gpu_seconds + gpu_seconds(outcome),
                ran=now.ran + self.runs(row.arm.name),
            )
        now = _moved(now)
        # A look is taken when all of its trials are there, and not before.
        return _gathered(now) if now.decisions is not None and _complete(now) else now

    def runs(self, arm: str) -> bool:
        """Whether trials of an arm run here."""
        return self.arms is None or arm in self.arms

    def suggested(self, ledger: Ledger, outcomes: Mapping[str, Outcome]) -> "State":
        """The state with more suggestions of tuning.

        Args:
            ledger: all that was suggested.
            outcomes: what is recorded already of the trials that it names.
        """
        plan = self.plan.model_copy(update={"ledger": ledger})
        return _gathered(replace(self, plan=plan, outcomes={**self.outcomes, **outcomes}))


@dataclass(frozen=True, kw_only=True)
class Due:
    """Where a study stands.

    Attributes:
        rows: the trials that count by now, seeds outermost, those of tuning last. With adaptive
            seeds nobody may look at any other, even where an earlier study has recorded it.
        most: how many trials there can be at the end.
        left: how many trials without a record may start.
        spent: the budget ended the study before it had all that it wanted.
        decisions: what the looks so far decided; None for a fixed number of seeds.
        state: what this was made of.
    """

    rows: tuple[Row, ...]
    most: int
    left: int
    spent: bool
    decisions: "Decisions | None"
    state: State

    def upcoming(self) -> Iterator[Row]:
        """The trials without a record that may start, first those that should.

        The first few cost the same however many there are.
        """
        found, left = self.state, self.left
        for row in found.mine[found.place :] if left else ():
            if row.trial not in found.outcomes:
                yield row
                left -= 1
                if not left:
                    return

    @property
    def waiting(self) -> tuple[str, ...]:
        """The ids of all of `upcoming`."""
        return tuple(row.trial for row in self.upcoming())

    @property
    def finished(self) -> bool:
        """Whether nothing is left to run, by decision or by budget."""
        return not self.left


def due(state: State) -> Due:
    """Say what counts, what waits, and what is decided."""
    if state.decisions is not None:
        return _adaptive(state)
    room = _room(state)
    missing = len(state.mine) - state.ran
    return Due(
        rows=state.rows,
        most=state.most,
        left=_checked(state, missing if room is None else min(missing, room)),
        spent=bool(missing) and room == 0,
        decisions=None,
        state=state,
    )


def _checked(state: State, left: int) -> int:
    """How many may start, where the first trials are to show first that all is well."""
    most = held(state.plan, state.mine, state.outcomes) if left else None
    return left if most is None else min(left, most)


def _adaptive(state: State) -> Due:
    now = state.decisions
    assert now is not None
    first = not any(now.reached.values())
    # Before the first look nobody knows what a trial costs; later a look that would not fit is
    # not begun, and one that was begun is ended, for half a look is worth nothing.
    fits = _room(state) != 0 if first else not state.stuck
    missing = len(state.mine) - state.ran
    if missing and not fits:
        kept = now.reached if not first else now.wanted
        rows = tuple(row for row in _upto(state.rows, kept) if row.trial in state.outcomes)
        ended = looked(state.plan, state.outcomes, ended=True)
        return Due(rows=rows, most=len(rows), left=0, spent=True, decisions=ended, state=state)
    return Due(
        rows=state.rows,
        most=state.most,
        left=_checked(state, missing),
        spent=False,
        decisions=now,
        state=state,
    )


def _gathered(state: State) -> State:
    """The state with everything that follows from its records worked out anew."""
    rows, most = wanted(state.plan, state.outcomes)
    decisions, stuck = None, False
    if state.plan.looks:
        every = by_seed(state.plan)
        decisions = looked(state.plan, state.outcomes, ended=False)
        rows = list(_upto(every, decisions.wanted))
        most = sum(most_wanted(state.plan, decisions).values())
        stuck = not _fits(state, every, decisions)
    mine = tuple(row for row in rows if state.runs(row.arm.name))
    used = [state.outcomes[row.trial] for row in rows if row.trial in state.outcomes]
    found = replace(
        state,
        rows=tuple(rows),
        by_trial={row.trial: row for row in rows},
        mine=mine,
        place=0,
        used=len(used),
        seconds=sum(outcome.seconds for outcome in used),
        gpu_seconds=sum(map(gpu_seconds, used)),
        ran=sum(row.trial in state.outcomes for row in mine),
        most=most,
        decisions=decisions,
        stuck=stuck,
        tuning=state.plan.tune is not None,
    )
    return _moved(found)


def _moved(state: State) -> State:
    """The state with `place` behind the trials that are recorded."""
    place = state.place
    while place < len(state.mine) and state.mine[place].trial in state.outcomes:
        place += 1
    return state if place == state.place else replace(state, place=place)


def _complete(state: State) -> bool:
    """Whether all that the looks want so far is recorded: then there may be a new look."""
    return state.used == len(state.rows)


def _upto(rows: Sequence[Row], counts: Mapping[str, int]) -> Iterator[Row]:
    return (row for row in rows if row.seed < counts[row.arm.name])


def most_wanted(plan: PlanRecord, now: "Decisions") -> dict[str, int]:
    """Arm -> its trials at the end if every open comparison needs the last look."""
    going = [one.contrast for one in now.verdicts.contrasts if one.verdict == "pending"]
    last = dict.fromkeys((arm for one in going for arm in one.weights), plan.looks[-1].seeds)
    if plan.baseline.name in last:
        last[plan.baseline.name] = len(plan.baseline.seeds)
    for arm in now.going:
        last[arm] = max(last.get(arm, 0), now.wanted[arm], plan.looks[-1].seeds)
    return {**now.wanted, **last}


def _room(state: State) -> int | None:
    """How many more trials the budget lets start; None if it has no end."""
    budget = state.plan.budget
    times = ((budget.hours, state.seconds), (budget.gpu_hours, state.gpu_seconds))
    if any(hours is not None and spent >= 3600 * hours for hours, spent in times):
        return 0
    return None if budget.trials is None else max(0, budget.trials - state.used)


def _fits(state: State, rows: Sequence[Row], now: "Decisions") -> bool:
    """Whether the next look fits the budget, as far as the looks before it can tell.

    Judged from what was reached alone, so that the answer does not change on the way.
    """
    budget = state.plan.budget
    if budget.trials is not None and sum(now.wanted.values()) > budget.trials:
        return False
    if not any(now.reached.values()):
        return True
    reached = [(row.arm.name, state.outcomes[row.trial]) for row in _upto(rows, now.reached)]
    kinds = (
        (budget.hours, [(arm, outcome.seconds) for arm, outcome in reached]),
        (budget.gpu_hours, [(arm, gpu_seconds(outcome)) for arm, outcome in reached]),
    )
    return all(_will_take(now, took) <= 3600 * hours for hours, took in kinds if hours is not None)


def _will_take(now: "Decisions", took: Sequence[tuple[str, float]]) -> float:
    """What all trials until the next look take, if those to come are as those before."""
    costs: dict[str, list[float]] = {arm: [] for arm in now.wanted}
    for arm, seconds in took:
        costs[arm].append(seconds)
    every = mean(seconds for _, seconds in took)
    more = sum(
        (now.wanted[arm] - now.reached[arm]) * mean(found or [every])
        for arm, found in costs.items()
    )
    return sum(map(sum, costs.values())) + more


def gpu_seconds(outcome: Outcome) -> float:
    """How long a trial took, times the GPUs that it held; 0 on a CPU.

    Records that do not say how many are older than that: each trial had one of its own.
    """
    held = outcome.provenance.get("gpus")
    if held is None:
        held = int(outcome.execution.get("type") == "cuda")
    return float(held) * outcome.seconds
