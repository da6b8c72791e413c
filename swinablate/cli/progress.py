"""How a running study looks: a live display on a terminal, plain lines elsewhere.

Only validation accuracy is shown: nobody should stop a study because of a test score.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from swinablate.config.recipe import CommandRecipe
from swinablate.records.events import ENDINGS, Event
from swinablate.records.outcome import Outcome
from swinablate.study.plan import Plan, Trial
from swinablate.text import last_of, time_left, visible


class Watch:
    """Draws a study on standard error; a context manager."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._live = console.is_terminal
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),  # beside it a name, a note and two times fit into 80 columns
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not self._live,
        )
        self._all: TaskID | None = None
        self._rows: dict[str, TaskID] = {}
        self._looking = self._looks = False
        self._last: dict[str, Mapping[str, float]] = {}
        self._counts: Counter[str] = Counter()
        self._total, self._most = 0, 0
        self._fresh, self._began = 0, clock()

    def __enter__(self) -> "Watch":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def begin(self, plan: Plan, recorded: Mapping[str, Outcome], slots: int) -> None:
        """Say what will be done and show the overall bar."""
        self._looking = bool(plan.study.looks)
        self._total = self._most = plan.most
        self._counts["done"] = len(recorded)
        reused = f", {len(recorded)} recorded before" if recorded else ""
        where = f", {slots} at a time" if slots else ""
        most = "at most " if plan.study.looks or plan.study.tune else ""
        count = f"{most}{self._total} trials"
        self.say(f"{plan.study.name}: {len(plan.arms)} arms, {count}{reused}{where}")
        self._all = self._progress.add_task(
            "[bold]trials", total=self._total, completed=len(recorded), note=""
        )

    def expect(self, done: int, trials: int, most: int) -> None:
        """Set what the bars run to: the trials wanted by now; more may follow."""
        if trials > self._total > 0 and self._looks:
            self.say(f"the next look: {trials - self._total} more trials")
        self._looks = self._looking  # from now on: the first call tells of no new look
        self._total, self._most, self._counts["done"] = trials, most, done
        if self._all is not None:
            note = f"at most {most}" if most > trials else ""
            self._progress.update(self._all, completed=done, total=trials, note=note)

    def happened(self, trial: Trial, event: Event) -> None:
        """Move the bars."""
        if event.kind == "started":
            own = isinstance(trial.recipe, CommandRecipe)  # its script knows how long it takes
            epochs = None if own else trial.recipe.train.epochs
            self._rows[trial.id] = self._progress.add_task(
                escape(f"  {visible(_named(trial))}"), total=epochs, note=""
            )
        elif event.kind in {"epoch", "resumed"}:
            rows = event.data["curve"] if event.kind == "resumed" else [event.data]
            if rows:
                self._last[trial.id] = rows[-1]
                note = last_of(rows[-1])
                self._progress.update(self._rows[trial.id], completed=rows[-1]["epoch"], note=note)
        elif event.kind in ENDINGS:
            self._ended(trial, event)

    def say(self, text: str) -> None:
        """Print one line above the display."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _ended(self, trial: Trial, event: Event) -> None:
        row = self._rows.pop(trial.id, None)
        if row is not None:
            self._progress.remove_task(row)
        if event.kind in {"stopped", "lost"} or event.data.get("kind") == "disk":
            return  # the trial goes on later
        self._counts["done"] += 1
        self._fresh += 1
        if self._all is not None:
            self._progress.update(self._all, completed=self._counts["done"])
        last = self._last.pop(trial.id, None)
        if event.kind != "done":
            self.say(f"{_named(trial)}: {event.kind}: {event.data.get('message', '')}")
        elif not self._live and (last is not None or isinstance(trial.recipe, CommandRecipe)):
            self.say(
                f"[{self._counts['done']}/{self._total}] {_named(trial)}: "
                f"{last_of(last or {}) or 'done'}, {self._left()} left"
            )

    def _left(self) -> str:
        """The time to the end; where more looks may follow, from the next look to the last."""
        known, most = (
            time_left((count - self._counts["done"]) * self._pace())
            for count in (self._total, self._most)
        )
        return f"about {known}" if self._most == self._total else f"{known} to at most {most}"

    def _pace(self) -> float:
        return (self._clock() - self._began) / max(1, self._fresh)


def _named(trial: Trial) -> str:
    """A trial in few words; a try of tuning is no seed of its arm's result."""
    return f"{trial.arm}{', tuning' * (trial.kind == 'tune')} s{trial.seed}"
