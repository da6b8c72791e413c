"""Run a study, kill everything of it in the middle, run it again, and print what it found.

    python -m benchmarks.programs.killed FOLDER/study.toml [words of `swinablate run`]

For scripts that no test can hold, since they need packages and data that are not ours: timm's,
Lightning's (docs/command.md). The coordinator and all that it started, workers and scripts, get
SIGKILL when three trials are done; what gives an allocation of Slurm back lives on, as it does
where a coordinator crashes. The home is new each time: FOLDER/home.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from swinablate.text import unit_of

DONE = 3
"""Trials that are recorded before the kill: some are under way then, and some have not begun."""
LOOK_S = 0.2


def main() -> None:
    """Do it, and print a line for every arm in Markdown."""
    study, *words = sys.argv[1:]
    folder = Path(study).absolute().parent
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    run = [sys.executable, "-m", "swinablate", "run", study, "--home", str(home), *words]
    began = time.monotonic()
    first = subprocess.Popen([*run, "--no-report"], stderr=subprocess.DEVNULL)
    while len(done(home)) < DONE:
        if first.poll() is not None:
            raise SystemExit(f"it ended before {DONE} trials were done: exit code {first.poll()}")
        time.sleep(LOOK_S)
    before = done(home)
    killed = [first.pid, *theirs(first.pid, home)]
    for pid in killed:
        with contextlib.suppress(ProcessLookupError):  # its parent's end took it along
            os.kill(pid, signal.SIGKILL)
    first.wait()
    out = folder / "report"
    again = subprocess.run(
        [*run, "--out", str(out), "--force"], stderr=subprocess.PIPE, check=False, text=True
    )
    after = done(home)
    lost = [trial for trial, when in before.items() if after.get(trial) != when]
    told = json.loads((out / "verdicts.json").read_text())
    base = told["baseline"]
    print(f"exit code {again.returncode}; {len(killed)} processes killed after {len(before)} of")
    print(
        f"{len(after)} trials; {len(lost)} trials lost; {time.monotonic() - began:.0f} s in all\n"
    )
    print(f"| arm | n | mean | difference ({unit_of(told)}) | interval | verdict |")
    print("|---|--:|--:|--:|:-:|---|")
    print(f"| baseline | {base['n']} | {base['mean']:.4g} ± {base['sd']:.2g} | | | |")
    for arm in told["arms"]:
        print(
            f"| {arm['name']} | {arm['n']} | {arm['mean']:.4g} ± {arm['sd']:.2g} "
            f"| {arm['delta_pp']:+.4g} | {arm['ci_low']:+.4g} to {arm['ci_high']:+.4g} "
            f"| {arm['verdict']} |"
        )
    if again.returncode or lost:
        raise SystemExit(again.stderr)


def done(home: Path) -> dict[str, int]:
    """Trials that are recorded, and when their records were written."""
    found = home.glob("trials/*/result.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in found}


def theirs(pid: int, home: Path) -> list[int]:
    """Processes that a coordinator started, directly or not, and workers that name its home."""
    parents: dict[int, int] = {}
    named: list[int] = []
    for one, line, parent in processes():
        if "scancel" in line:  # gives the allocation back, as after a crash of the coordinator
            continue
        parents[one] = parent
        if str(home) in line and "killed" not in line:
            named.append(one)
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return [one for one in dict.fromkeys([*found[1:], *named]) if one not in {pid, os.getpid()}]


def processes() -> Iterator[tuple[int, str, int]]:
    """Id, command line, and parent of every process of this machine (Linux)."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            # Behind the name in parentheses, which may hold blanks, stand state and parent.
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue  # it ended meanwhile
        yield int(path.name), line, parent


if __name__ == "__main__":
    main()
