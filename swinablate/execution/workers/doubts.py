"""What is wrong with the lines of a command that runs, so that it need not train to its end."""

from swinablate.config.commands.schema import CommandConfig
from swinablate.execution.workers.numbers import Incomplete, partly, slow

WRONG = 3
"""Numbers in a row of which a pattern takes a part: one or two a script may write otherwise than
its last, thousands with a comma or a loss that is nearly nothing; three are its way."""
SLOW = 10
"""Lines that may take a pattern too long: seconds of a training of minutes."""


class Doubts:
    """Counts the lines of the number that is compared; the others fail no trial.

    Attributes:
        fault: why it is to end.
    """

    def __init__(self, command: CommandConfig) -> None:
        self._metric = command.metric
        patterns = [one for one in command.metrics if one.pattern]
        self._judged = next((k for k, one in enumerate(patterns) if one is self._metric), None)
        self._parts, self._slow = 0, 0
        self.fault: Incomplete | None = None

    def whole(self, which: int) -> None:
        """Hear of a line whose number a pattern takes."""
        if which == self._judged:
            self._parts = 0

    def partly(self, which: int, taken: str, whole: str) -> None:
        """Hear of one that it does not take as a whole.

        Where number after number is such, every later one would be as wrong, and the trial fail
        when all is trained. Not where it is none or infinite: of an epoch before it was measured,
        some write NaN.
        """
        what = f"it was ended: the last of {WRONG} numbers in a row"
        found = partly(self._metric, taken, whole, what)
        if which == self._judged and isinstance(found, Incomplete):
            self._parts += 1
            if self._parts == WRONG:
                self.fault = self.fault or found

    def passed(self, which: int) -> None:
        """Hear of one that takes a pattern too long."""
        self._slow += which == self._judged
        if self._slow == SLOW:
            self.fault = self.fault or slow(self._metric, f"{SLOW} lines, and it was ended")
