"""A worker that a cluster starts: `python -m swinablate.execution.workers.remote PROBE FOLDER...`.

It speaks the same lines as any worker, says first that it is ready and what it is, and listens
to the cluster: on SIGTERM or SIGUSR1 (a time limit, a preemption) it says that it leaves, writes
a checkpoint and ends. Its stack it writes on SIGUSR2. When its input ends, it takes along
whatever it started: not every cluster does. Folders are of images, whose digests it says.
"""

import sys
from pathlib import Path

from swinablate.execution import worker
from swinablate.execution.workers.hello import hello


def main() -> None:
    """Serve batches until the input ends, or the cluster wants the machine back."""
    worker.main(hello=hello(Path(sys.argv[1]), sys.argv[2:]))


if __name__ == "__main__":
    main()
