"""A process that has imported torch once, and forks every worker from it.

`python -m swinablate.execution.forkserver FD PARENT` serves requests on a socket. A request with
three descriptors starts a worker whose standard input, output and error they are, and is answered
with its process id; one with a single descriptor, which is not answered, says where the server is
to write from now on; one that names a process waits for its end, kills what it started, and is
answered with its exit code. When the socket or the parent ends, the coordinator is gone and so is
the server, also while it still imports; its workers end with it.

For CPUs on Linux: what CUDA has touched cannot be forked, and neither can threads. That is why
nothing is computed here.
"""

import gc
import json
import os
import socket
import sys

from swinablate.execution.workers import lifeline


def main() -> None:
    """Serve until the coordinator is gone."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    lifeline.die_with_parent(int(sys.argv[2]))
    lifeline.leave_signals_to_coordinator()
    # Not before: importing torch takes seconds, in which the coordinator may end.
    import torch
    from torch import nn

    from swinablate.execution import worker

    # The first optimizer of a process imports torch's compiler, which takes longer than torch.
    torch.optim.AdamW([nn.Parameter(torch.zeros(1))])
    gc.collect()
    gc.freeze()  # so that a worker's collector does not copy the pages they share
    server = os.getpid()
    while True:
        # A request is a few bytes of JSON; a kilobyte and three descriptors hold the longest.
        text, files, _, _ = socket.recv_fds(requests, 1 << 10, 3)
        if not text:
            return
        if len(files) == 1:
            for standard in (1, 2):
                os.dup2(files[0], standard)
            os.close(files[0])
            continue
        if files:
            answer = os.fork()
            if not answer:
                requests.close()
                become(files)
                worker.main(server)
            os.setpgid(answer, answer)  # by both, so that it is true for whoever is first
            for file in files:
                os.close(file)
        else:
            answer = lifeline.reap(json.loads(text)["wait"])
        requests.send(json.dumps(answer).encode())


def become(files: list[int]) -> None:
    """Be the leader of a process group of its own, with these as standard files."""
    os.setpgid(0, 0)
    for standard, file in enumerate(files):
        os.dup2(file, standard)
        os.close(file)


if __name__ == "__main__":
    main()
