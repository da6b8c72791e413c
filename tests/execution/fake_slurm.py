"""Slurm's commands as scripts: a job runs as soon as it is asked for, a step is what it runs.

For what our side does; what Slurm does, `tests/integration/test_slurm.py` asks of the real one.
"""

import os
from pathlib import Path

SCRIPTS = {
    "sbatch": """
case "$*" in *--partition=nowhere*)
  echo "sbatch: error: invalid partition specified: nowhere" >&2; exit 1;;
esac
case "$*" in *--partition=silent*)
  echo "sbatch: error: Unable to contact slurm controller (connect failure)" >&2; exit 1;;
esac
cat > holder
case "$*" in *--test-only*) exit 0;; esac
number=$(($(ls jobs | wc -l) + 1))
cat first > "jobs/$number"
echo "$number;tests"
""",
    "squeue": """
case "$*" in *--steps*) cat steps; exit;; esac
for word; do case "$word" in --jobs=*) job=${word#--jobs=};; esac; done
if [ -e "jobs/$job" ]; then cat "jobs/$job"; else
  echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1
fi
""",
    "scontrol": """
case "$2" in hostnames) cat "hosts-$3";; job) cat detail;; esac
""",
    "scancel": """
for word; do case "$word" in --*) ;; *) echo "CANCELLED|None" > "jobs/$word";; esac; done
""",
    "srun": """
while :; do case "$1" in --*) shift;; *) break;; esac; done
cat told >&2
exec "$@"
""",
}
ONE = "     Nodes=n1 CPU_IDs=0-1 Mem=4000 GRES=\n"


class FakeSlurm:
    """A folder of what it says, and of what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "jobs").mkdir(parents=True)
        (folder / "bin").mkdir()
        for name, text in SCRIPTS.items():
            script = folder / "bin" / name
            script.write_text(
                f'#!/bin/sh\necho "{name} $*" >> {folder}/log\nkept=$PWD\ncd {folder}\n{text}'
            )
            script.chmod(0o755)
        (folder / "hosts-n1").write_text("n1\n")
        (folder / "hosts-n[1-2]").write_text("n1\nn2\n")
        self.says("first", "RUNNING|None\n")
        self.says("detail", ONE)
        self.says("steps", "")
        self.says("told", "")

    @property
    def path(self) -> str:
        return f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"

    def says(self, file: str, text: str) -> None:
        (self.folder / file).write_text(text)

    def asked(self, command: str) -> list[str]:
        """The words of every call of a command."""
        log = self.folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [
            line.removeprefix(f"{command} ") for line in lines if line.startswith(f"{command} ")
        ]
