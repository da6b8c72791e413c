"""The curve of a command: what it measured, epoch by epoch, of several metrics in one row."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from swinablate.config.commands.schema import MetricConfig
from swinablate.errors import Diverged
from swinablate.execution.workers.numbers import CommandFailed, Point, number, whole
from swinablate.records.events import Kind

Report = Callable[[Kind, Mapping[str, Any]], None]


class Curve:
    """Rows of a curve: told as they come, or at the end where files say more than lines do.

    Where nothing says which epoch a number is of, a row ends when a metric comes again: whatever
    order a script prints its numbers in, those of one epoch are one row.
    """

    def __init__(self, metrics: Sequence[MetricConfig], report: Report) -> None:
        self._metrics, self._report = metrics, report
        self._lines = [one for one in metrics if one.pattern]
        self._live = len(self._lines) == len(metrics)
        self._rows: dict[int, dict[str, float]] = {}  # which are not told yet
        self._epoch, self._now = -1, dict[str, float]()
        self._told = False

    def printed(self, which: int, said: str, step: str | None) -> None:
        """Take in what a line held, if it is a number: the last one is judged elsewhere.

        Args:
            which: of the metrics that have a pattern.
            said: the text of the number.
            step: what its pattern calls the step; None where it has none, and empty where the line
                did not say it: such a number is no point of the curve.
        """
        metric = self._lines[which]
        at = None if step is None else whole(step)
        if step is not None and at is None:
            return
        try:
            value = number(said, metric, "")
        except (CommandFailed, Diverged):
            return
        self._add(metric.recorded_as, value, at)

    def read(self, metric: MetricConfig, points: Sequence[Point]) -> None:
        """Take in what a file held; one number alone, of no epoch, is no curve."""
        if len(points) < 2 and not any(point.step is not None for point in points):
            return
        for i, point in enumerate(points, 1):
            at = i if point.step is None else point.step
            self._rows.setdefault(at, {})[metric.recorded_as] = point.value

    def close(self) -> None:
        """Tell what is left; a single row is no curve."""
        self._end_row()
        self._tell(sorted(self._rows))

    def _add(self, name: str, value: float, step: int | None) -> None:
        if step is None:
            if name in self._now or not self._now:
                self._end_row()
                self._epoch = max(self._epoch, 0) + 1
        elif step < self._epoch:
            return  # of an epoch that was told already
        elif step > self._epoch:
            self._end_row()
            self._epoch = step
        self._now[name] = value

    def _end_row(self) -> None:
        if not self._now:
            return
        self._rows.setdefault(self._epoch, {}).update(self._now)
        self._now = {}
        if self._live:
            self._tell(sorted(self._rows))

    def _tell(self, epochs: Iterable[int]) -> None:
        ready = [*epochs]
        if len(ready) < 2 and not self._told:
            return
        self._told = True
        for epoch in ready:
            at = int(time.time() * 1000)
            self._report("epoch", {"epoch": epoch, "at": at, **self._rows.pop(epoch)})
