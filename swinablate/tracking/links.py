"""Where studies are in MLflow, asked for beside whoever looks: one that hangs holds nobody."""

import math
import threading
import time
from collections.abc import Callable, Mapping

from swinablate.errors import SwinablateError

Addresses = Mapping[str, Mapping[str, str]]
"""Study -> title -> address of its views."""
KEPT_S = 10.0
"""How long an answer holds, or that there was none: a new study has its links so late."""
GLANCE_S = 0.5
"""So long who asks MLflow waits for it, and nobody else: a server that is well needs less."""


class Links:
    """What MLflow said last, and why it said nothing."""

    def __init__(self, ask: Callable[[], Addresses]) -> None:
        self._ask = ask
        self._known: tuple[Addresses, str] = ({}, "")
        self._told_at = -math.inf
        self._asking = False
        self._lock = threading.Lock()

    def now(self) -> tuple[Addresses, str]:
        """The addresses as far as they are known, and why there are none."""
        with self._lock:
            old = not self._asking and time.monotonic() - self._told_at > KEPT_S
            self._asking = self._asking or old
        if old:
            answered = threading.Event()
            threading.Thread(target=self._look, args=(answered,), daemon=True).start()
            answered.wait(GLANCE_S)
        return self._known

    def _look(self, answered: threading.Event) -> None:
        try:
            self._known = self._ask(), ""
        except SwinablateError as error:
            self._known = {}, str(error)
        finally:
            with self._lock:
                self._told_at, self._asking = time.monotonic(), False
            answered.set()
