"""What is in an actor: our worker process, and its pipes as calls that take text and bytes.

Nothing of Ray is imported here. An actor that ends in any way takes its worker along.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from swinablate.execution.processes import VISIBLE, environment
from swinablate.execution.workers.hello import NODE
from swinablate.execution.workers.lifeline import Guard, kill_group, reap

CHUNK = 1 << 16
"""All that a pipe of Linux holds by default, and less than what Ray sends without its object store
(100 KiB)."""


class Post:
    """One worker on this host."""

    def __init__(self) -> None:
        # An actor that is killed ends its worker's input; a worker that holds Python's lock does
        # not notice, but its group is killed.
        self._guard = Guard()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._code: int | None = None

    def start(self, text: str) -> str:
        """Start the worker.

        Args:
            text: JSON of the probe, the log, the device, and the name of this host.

        Returns:
            Its number.
        """
        asked = json.loads(text)
        made = environment("cpu") | {NODE: asked["host"]}
        if asked["device"] != "cpu":
            made[VISIBLE] = os.environ.get(VISIBLE, "")  # Ray says which
        with contextlib.ExitStack() as stack:
            try:
                log = stack.enter_context(Path(asked["log"]).open("ab"))
            except OSError:  # it does not see the home: the worker says so itself
                log = stack.enter_context(Path(os.devnull).open("ab"))
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "swinablate.execution.workers.remote"),
                    *asked["probe"],
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=made,
                start_new_session=True,
            )
        self._guard.watch(self._process.pid)
        return str(self._process.pid)

    def read(self) -> bytes:
        """What the worker wrote since; nothing when its output has ended."""
        assert self._process is not None
        assert self._process.stdout is not None
        return os.read(self._process.stdout.fileno(), CHUNK)

    def write(self, data: bytes) -> None:
        """Give the worker so much input; no bytes are its end."""
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died: its output ends too
            if data:
                self._process.stdin.write(data)
                self._process.stdin.flush()
            else:
                self._process.stdin.close()

    def tell(self, what: str) -> None:
        """Have the worker write its "stack", or "kill" it with what it started."""
        with self._lock:
            if self._process is None or self._code is not None:
                return
            if what == "kill":
                kill_group(self._process.pid)
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._process.pid, signal.SIGUSR2)

    def wait(self) -> str:
        """The worker's exit code, minus a signal's number where that ended it."""
        assert self._process is not None
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            self._code = self._process.returncode = reap(self._process.pid)
            self._guard.forget(self._process.pid)
        return str(self._code)
