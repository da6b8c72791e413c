"""How a trial ended: the record that everything else is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA = 1
"""Raised when a field changes its meaning, so that an older version refuses what it would misread.

`records.home` measures plans and ledgers by it too.
"""

Status = Literal["done", "diverged", "failed"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a trial ended, and all that was measured on the way.

    Attributes:
        metrics: final values; accuracies in percent.
        curve: one row an epoch: `epoch`, `at` (Unix ms), and metrics by name.
        execution: device model, precision, threads, versions; equal for equal classes.
        predictions: digest of the test predictions, and which were right (base64 bits).
        failure: kind, message, traceback; None for a done trial.
        started_at: Unix ms, for people; a clock may be set meanwhile.
        finished_at: the same.
        elapsed_s: of the last attempt, by a clock that is never set; None in older records.
    """

    trial: str
    seed: int
    kind: str
    recipe: Mapping[str, Any]
    image: Mapping[str, int]
    status: Status
    attempt: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[Mapping[str, Any], ...] = ()
    execution: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    predictions: Mapping[str, Any] = field(default_factory=dict)
    failure: Mapping[str, str] | None = None
    started_at: int = 0
    finished_at: int = 0
    elapsed_s: float | None = None
    schema: int = SCHEMA

    @property
    def seconds(self) -> float:
        """How long it took; of trials that trained as one, its share."""
        together = int(self.execution.get("fused", 1))
        if self.elapsed_s is not None:
            return self.elapsed_s / together
        return max(0, self.finished_at - self.started_at) / 1000 / together
