"""A real Ray cluster of two nodes on this machine, each with two processors to give away.

`ray.cluster_utils.Cluster` is what Ray's own tests use. Every node is a few daemons of its own.
"""

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import unseen

SMALL = {"object_store_memory": 100_000_000, "include_dashboard": False, "num_cpus": 2}
"""Two processors: tests share an execution of a worker a node, and open others beside it."""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def missing() -> str:
    """What is not installed; empty if all is there."""
    return "" if importlib.util.find_spec("ray") else "ray"


class Nodes:
    """The cluster, in the process that starts its daemons: Ray leaves files open there."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster as Real

        self.client_port = _port()
        head = {**SMALL, "node_name": "n1", "ray_client_server_port": self.client_port}
        self._real = Real(initialize_head=True, head_node_args=head)
        self._second: Any = None

    def whole(self) -> None:
        if self._second is None:
            self._second = self._real.add_node(**SMALL, node_name="n2")

    def lose(self) -> None:
        """The second node dies, with all that runs there, as by a lost power supply."""
        (raylet,) = (info.process.pid for info in self._second.all_processes["raylet"])
        lost = [raylet]
        for pid in lost:  # whose children are added while it runs
            lost += [one for one in processes() if parent(one) == pid]
        for pid in lost:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._real.remove_node(self._second, allow_graceful=False)
        self._second = None

    def serve(self) -> None:
        """Do what lines ask for, until they end."""
        self.whole()
        _tell({"address": self._real.address, "client_port": self.client_port})
        for line in sys.stdin:
            getattr(self, line.strip())()
            _tell({})
        self._real.shutdown()


class Cluster:
    """Two nodes, of which the second can be lost and brought back."""

    def __init__(self, hidden: Path) -> None:
        self.hidden, self.apart = hidden, unseen.without(hidden)
        self._process = subprocess.Popen(
            [*self.apart, sys.executable, "-m", "tests.ray"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **QUIET},
            cwd=Path(__file__).parents[1],
            text=True,
            start_new_session=True,
        )
        self.up: dict[str, Any] = self._answer()

    @property
    def address(self) -> str:
        return str(self.up["address"])

    @property
    def client_port(self) -> int:
        return int(self.up["client_port"])

    def whole(self) -> None:
        """Both nodes are there."""
        self._ask("whole")

    def lose(self) -> None:
        """The second dies at once."""
        self._ask("lose")

    def alive(self) -> bool:
        """Whether the head is there; a cluster that was joined is nobody's to end."""
        found = [pid for pid in daemons() if self.address in command(pid)]
        return bool(found) and self._process.poll() is None

    def close(self) -> None:
        with self._process:  # closes its pipes, and waits
            pass

    def kill(self) -> None:
        """What of it did not start."""
        self._process.kill()
        self.close()

    def _ask(self, what: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        assert self._answer() == {}

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        return {"dead": True}


def _tell(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def command(pid: int) -> str:
    """The words of a process; nothing if it is gone."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return words.replace(b"\0", b" ").decode(errors="replace")


def actors() -> list[int]:
    """Processes of our actors, whosever cluster they are in."""
    return [pid for pid in processes() if command(pid).startswith("ray::Actor")]


def workers(home: Path) -> list[int]:
    """Our workers for a home."""
    words = "swinablate.execution.workers.remote", str(home)
    return [pid for pid in processes() if all(word in command(pid) for word in words)]


def drivers() -> list[int]:
    return [pid for pid in processes() if "swinablate.execution.executors.ray " in command(pid)]


def daemons() -> set[int]:
    """Of any cluster on this machine."""
    return {pid for pid in processes() if "/raylet/raylet " in command(pid)}


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def started(hidden: Path) -> Iterator[Cluster]:
    """A cluster of one's own, that does not see a folder; nothing of it is left."""
    for _ in range(3):  # Ray gives a node 30 s, which may be too few on a machine under load
        cluster = Cluster(hidden)
        if "address" in cluster.up:
            break
        cluster.kill()
    try:
        yield cluster
    finally:
        cluster.close()


if __name__ == "__main__":
    Nodes().serve()
