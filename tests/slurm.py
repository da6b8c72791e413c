"""A real Slurm of two nodes, all on 127.0.0.1, by whoever runs the tests.

Debian's packages suffice: `slurmctld slurmd slurm-client munge`. Nothing is asked of the machine's
own Slurm or munge. For root each node has two GPUs that compute nothing, and a folder of this
machine that no node sees.
"""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests import unseen

DAEMONS = ("slurmctld", "slurmd", "munged")
NODES = ("n1", "n2")
CONF = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser={me}
SlurmdUser={me}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,bf_interval=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
SlurmctldPort={ports[0]}
SlurmctldTimeout=30
SlurmdTimeout=20
KillWait=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
{gres}
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=4000 {gpus}
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=4000 {gpus}
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=2-00:00:00 DefMemPerCPU=1000 PriorityTier=1 GraceTime=5
PartitionName=urgent Nodes=n1,n2 MaxTime=2-00:00:00 DefMemPerCPU=1000 PriorityTier=10 PreemptMode=OFF
"""


def missing() -> str:
    """What of Slurm is not installed; empty if all is there."""
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    return " ".join(name for name in (*DAEMONS, "srun") if shutil.which(name, path=path) is None)


class Cluster:
    """The daemons, which can be killed and started again one by one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.conf = folder, folder / "slurm.conf"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        host, me = socket.gethostname().partition(".")[0], getpass.getuser()
        self.hidden = folder / "hidden"
        for name in ("state", "hidden", *NODES):
            (folder / name).mkdir()
        self.apart = unseen.without(self.hidden)
        self.gpus = self._gpus()
        fields = {"host": host, "me": me, "folder": folder, "ports": _ports(3)}
        gres = {"gres": "GresTypes=gpu", "gpus": "Gres=gpu:2"} if self.gpus else {"gres": "", "gpus": ""}  # fmt: skip
        self.conf.write_text(CONF.format(**fields, **gres))
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)

    def start(self) -> None:
        words = ("key-file", "munge.key"), ("socket", "munge.socket"), ("pid-file", "munged.pid")
        words += ("log-file", "munged.log"), ("seed-file", "munge.seed")
        options = [f"--{option}={self.folder / name}" for option, name in words]
        self._start("munged", "/usr/sbin/munged", "--foreground", *options)
        until((self.folder / "munge.socket").exists)
        self.start_daemon("slurmctld")
        for node in NODES:
            self.start_daemon(node)
        until(lambda: self.ask("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == "2")

    def start_daemon(self, name: str) -> None:
        """The controller, or the daemon of a node."""
        if name == "slurmctld":
            self._start(name, "/usr/sbin/slurmctld", "-D")
        else:
            self._start(name, *self.apart, "/usr/sbin/slurmd", "-D", "-N", name)

    def kill(self, name: str) -> None:
        """kill -9 of a daemon alone: what runs on its node goes on."""
        self.processes[name].kill()
        self.processes.pop(name).wait()

    def ask(self, *words: str) -> str:
        """What a command of Slurm prints; nothing where it fails."""
        env = {**os.environ, "SLURM_CONF": str(self.conf)}
        return subprocess.run(words, capture_output=True, text=True, env=env, check=False).stdout

    def jobs(self) -> list[str]:
        return self.ask("squeue", "-h", "-o", "%i").split()

    def steps(self, node: str = "") -> list[str]:
        """Ids of the steps that are workers, oldest first."""
        lines = [
            line.split("|") for line in self.ask("squeue", "-h", "-s", "-o", "%i|%N|%j").split()
        ]
        return [i for i, where, name in lines if name != "batch" and node in {"", where}]

    def empty(self) -> bool:
        """Whether nobody holds an allocation, and no worker runs."""
        return not self.jobs() and not self.steps()

    def idle(self) -> None:
        """As before any test."""
        for name in ("slurmctld", *NODES):
            if name not in self.processes:
                self.start_daemon(name)
        self.ask("scancel", "--state=running", f"--user={getpass.getuser()}")
        self.ask("scancel", f"--user={getpass.getuser()}")
        until(
            lambda: self.ask("sinfo", "-h", "-p", "main", "-t", "idle", "-o", "%D").strip() == "2"
        )

    def stop(self) -> None:
        with contextlib.suppress(AssertionError):
            self.idle()
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()

    def log(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in self.folder.glob("*.out"))

    def _start(self, name: str, *words: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, "SLURM_CONF": str(self.conf)},
                start_new_session=True,
            )

    def _gpus(self) -> bool:
        """Make two devices that Slurm takes for GPUs; only root may."""
        try:
            for i in range(2):
                os.mknod(self.folder / f"nvidia{i}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        except PermissionError:
            return False
        files = f"Name=gpu File={self.folder}/nvidia[0-1] Flags=nvidia_gpu_env"
        (self.folder / "gres.conf").write_text("".join(f"NodeName={n} {files}\n" for n in NODES))
        return True


def until(true: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _ports(count: int) -> list[int]:
    """Free ones; all are held until the last is known."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def started() -> Iterator[Cluster]:
    """A cluster of one's own; nothing of it is left."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # munge wants short and open paths
    folder.chmod(0o755)
    cluster = Cluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
