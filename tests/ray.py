"""A real Ray cluster of two nodes on this machine, each with two processors to give away.

`ray.cluster_utils.Cluster` is what Ray's own tests use. Every node is a few daemons of its own.
"""

import contextlib
import importlib.util
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SMALL = {"object_store_memory": 100_000_000, "include_dashboard": False, "num_cpus": 2}
"""Two processors: tests share an execution of a worker a node, and open others beside it."""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def missing() -> str:
    """What is not installed; empty if all is there."""
    return "" if importlib.util.find_spec("ray") else "ray"


class Cluster:
    """Nodes, of which the second can be lost and brought back."""

    def __init__(self, **head: Any) -> None:
        from ray.cluster_utils import Cluster as Real

        logging.getLogger("ray").setLevel(logging.ERROR)
        self._real = Real(
            initialize_head=True, head_node_args={**SMALL, "node_name": "n1", **head}
        )
        self.address: str = self._real.address
        self._second: Any = None

    def whole(self) -> None:
        """Both nodes are there."""
        if self._second is None:
            self._second = self._real.add_node(**SMALL, node_name="n2")

    def lose(self) -> None:
        """The second node dies, with all that runs there, as by a lost power supply."""
        pids = [pid for pid in actors() if _parent(pid) == self._raylet()]
        below = [pid for pid in processes() if _parent(pid) in pids]
        self._real.remove_node(self._second, allow_graceful=False)
        self._second = None
        for pid in [*pids, *below]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        self._real.shutdown()

    def _raylet(self) -> int:
        (found,) = (info.process.pid for info in self._second.all_processes["raylet"])
        return int(found)


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


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@contextlib.contextmanager
def started() -> Iterator[Cluster]:
    """A cluster of one's own; nothing of it is left."""
    cluster = Cluster()
    try:
        cluster.whole()
        yield cluster
    finally:
        cluster.close()
