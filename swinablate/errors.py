"""Every error a user can meet.

SwinablateError
|- InputError        a study, recipe or option is wrong; nothing was started   exit 2
|- EnvironmentFault  disk, lock, data, or a store out of reach                 exit 4
|  |- Interrupted    the machines were taken away; the study goes on later     exit 75
|- TrialError        one trial failed; the study goes on                       exit 3
   |- Diverged       the loss left the real numbers
"""

MOST = 1e70
"""Of differences and results: nothing measured is larger, and squares of variances are numbers."""
LEAST_ALPHA = 1e-9
"""Nobody means a smaller error rate, and at 1e-300 critical values are infinite."""


class SwinablateError(Exception):
    """What went wrong, where, and what to do about it.

    Attributes:
        problem: one sentence, lower case, no full stop.
        at: the place: a file, then a key (`study.toml: axes`).
        hint: the remedy, as an order or a question.
    """

    exit_code = 1

    def __init__(self, problem: str, *, at: str = "", hint: str = "") -> None:
        super().__init__(problem)
        self.problem, self.at, self.hint = problem, at, hint

    def __str__(self) -> str:
        where = f"{self.at}: " if self.at else ""
        advice = f"\n\nhint: {self.hint}" if self.hint else ""
        return f"{where}{self.problem}{advice}"


class InputError(SwinablateError):
    """What the user wrote cannot be done as written."""

    exit_code = 2


class EnvironmentFault(SwinablateError):
    """The machine, not the study, stands in the way."""

    exit_code = 4


class Interrupted(EnvironmentFault):
    """What a study ran on was taken away: the same command goes on, another time."""

    exit_code = 75


class TrialError(SwinablateError):
    """One trial failed."""

    exit_code = 3


class Diverged(TrialError):
    """The loss became NaN or infinite."""
