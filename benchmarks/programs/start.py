"""From Enter to the first trial, and the memory of a study with two slots.

python start.py FOLDER STUDY runs a study in a new home, smoke-sized and without a report; then the
same again, which has nothing to do. Prints seconds of processor time until the first trial
started, of this process's main thread, of all its threads, and of the process that forks workers,
which goes on beside it; and the largest proportional memory of all processes together.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.studies import parent, told, used_by
from swinablate.cli import main as command
from swinablate.records.events import Event
from swinablate.study.plan import Trial

LOOK_S = 0.2
"""Between two looks at the memory."""


def shares(pids: set[int]) -> dict[int, float]:
    """Proportional memory of processes that run, MiB."""
    found = {}
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
        except OSError:
            continue
        found[pid] = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return found


class Eyes:
    """Sees the first trial start, and the memory of all processes from then on."""

    def __init__(self) -> None:
        self.first: dict[str, float] = {}
        self.pids = {0}
        self.most: dict[int, float] = {}
        self._began = time.perf_counter()
        threading.Thread(target=self._look, daemon=True).start()

    def see(self, event: Event) -> None:
        """Look at the clocks, once, and remember the worker."""
        if event.kind == "started":
            worker = event.data["pid"]
            self.pids = self.pids | {worker, parent(worker)}  # a new set: the other is being read
            if not self.first:
                self.first = {
                    "wall_s": time.perf_counter() - self._began,
                    "main_thread_s": time.thread_time(),
                    "all_threads_s": time.process_time(),
                    "server_s": used_by(parent(worker)),
                }

    def _look(self) -> None:
        self.pids = {os.getpid()}
        while True:
            time.sleep(LOOK_S)
            now = shares(self.pids)
            if sum(now.values()) > sum(self.most.values()):
                self.most = now


def run(folder: Path, study: str) -> dict[str, Any]:
    """Run it once, watched."""
    from swinablate.cli.progress import Watch

    eyes, real = Eyes(), Watch.happened

    def happened(self: Watch, trial: Trial, event: Event) -> None:
        eyes.see(event)
        real(self, trial, event)

    Watch.happened = happened  # type: ignore[method-assign]  # the command has no door for it
    words = ["run", study, "--smoke", "--slots", "2", "--no-report", "--home", str(folder)]
    code = command(words)
    assert code == 0, code
    return {
        **eyes.first,
        "all_s": time.process_time(),
        "mib": sum(eyes.most.values()),
        "each_mib": sorted(eyes.most.values()),
    }


if __name__ == "__main__":
    where, file = sys.argv[1:3]
    found = run(Path(where), file)
    if "again" not in sys.argv:
        again = told([sys.executable, "-m", "benchmarks.programs.start", where, file, "again"])
        found["nothing_to_do_s"] = again["all_s"]
    print(json.dumps(found))
