"""Does this machine have what a study needs? Every check names its remedy."""

import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from swinablate.records.home import Home
from swinablate.records.provenance import LIBRARIES, cores, installed_version
from swinablate.records.survey import Survey


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One finding."""

    name: str
    ok: bool
    found: str
    hint: str = ""


def examine(home: Home) -> list[Diagnosis]:
    """Run every check of the machine; none of them trains or downloads."""
    return [
        _python(),
        *_versions(),
        _pair(),
        *_devices(),
        _orphans(),
        _folder(home),
        _disk(home),
        *_stores(home),
    ]


def _python() -> Diagnosis:
    # 3.11 as in the package's metadata: the first with tomllib.
    found = ".".join(map(str, sys.version_info[:3]))
    return Diagnosis(
        name="python",
        ok=sys.version_info >= (3, 11),
        found=found,
        hint="" if sys.version_info >= (3, 11) else "install Python 3.11 or newer",
    )


def _versions() -> list[Diagnosis]:
    found = {name: installed_version(name) for name in LIBRARIES}
    return [
        Diagnosis(
            name=name, ok=bool(v), found=v or "missing", hint="" if v else f"pip install {name}"
        )
        for name, v in found.items()
    ]


def _pair() -> Diagnosis:
    """Find mixed indexes: such a torch and torchvision import alone but not together."""
    done = subprocess.run(
        [sys.executable, "-c", "import torchvision"], capture_output=True, text=True, check=False
    )
    last = done.stderr.strip().splitlines()[-1:] or [""]
    return Diagnosis(
        name="torch with torchvision",
        ok=done.returncode == 0,
        found="import together" if done.returncode == 0 else last[0],
        hint="" if done.returncode == 0 else "install both from the same package index",
    )


def _devices() -> list[Diagnosis]:
    import torch

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    gpus = ", ".join(names) or "none; trials run on the CPU"
    return [
        Diagnosis(
            name="processors", ok=True, found=f"{cores()} cores: {cores()} trials at a time"
        ),
        Diagnosis(name="GPUs", ok=True, found=gpus),
    ]


def _orphans() -> Diagnosis:
    """What ends workers whose coordinator was killed."""
    kernel = "the kernel (PR_SET_PDEATHSIG) and " if sys.platform == "linux" else ""
    return Diagnosis(
        name="killed coordinator", ok=True, found=f"its workers are ended by {kernel}a watcher"
    )


def _folder(home: Home) -> Diagnosis:
    """Look whether it can be written, or made: a check leaves nothing behind."""
    place = _nearest(home.root)
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        return Diagnosis(
            name="home",
            ok=False,
            found=f"cannot write: {place}",
            hint="choose another folder with --home or SWINABLATE_HOME",
        )
    made = "" if place == home.root else " (not there yet)"
    return Diagnosis(name="home", ok=True, found=f"{home.root}{made}")


def _nearest(path: Path) -> Path:
    """The path itself, or the first folder above it that is there."""
    return next(p for p in (path, *path.parents) if os.access(p, os.F_OK))


def _disk(home: Home) -> Diagnosis:
    # 1 GiB is ten times what has to be free before a trial starts (`coordinator.FLOOR_MIB`).
    free = shutil.disk_usage(_nearest(home.root)).free / 2**30
    return Diagnosis(
        name="disk",
        ok=free > 1,
        found=f"{free:.1f} GiB free",
        hint="" if free > 1 else "free some space, or name another folder with --home",
    )


def _stores(home: Home) -> list[Diagnosis]:
    checks = []
    for name in ("optuna.db", "mlflow.db"):
        path = home.root / name
        if not path.exists():
            checks.append(Diagnosis(name=name, ok=True, found="not there yet"))
            continue
        try:
            with sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True) as store:
                # Unlike `integrity_check` it leaves out the indices, and much of the time.
                (found,) = store.execute("PRAGMA quick_check").fetchone()
        except sqlite3.Error as error:
            found = str(error)
        checks.append(
            Diagnosis(
                name=name,
                ok=found == "ok",
                found=found,
                hint="" if found == "ok" else "move it away, then `swinablate sync STUDY`",
            )
        )
    return checks


def told(found: Survey) -> Diagnosis:
    """What a home's records are, in a line."""
    counts = {state: found.count(state) for state in ("whole", "unchecked", "waiting", "damaged")}
    parts = [f"{count:,} {state}" for state, count in counts.items() if count]
    damaged = sum(finding.damaged for finding in found.findings)
    studies = f"{len(found.studies)} {'study' if len(found.studies) == 1 else 'studies'}"
    trials = f"{len(found.trials):,} {'trial' if len(found.trials) == 1 else 'trials'}"
    return Diagnosis(
        name="records",
        ok=found.whole,
        found=f"{studies}, {trials}{': ' if parts else ''}{', '.join(parts)}",
        hint="" if found.whole else f"{damaged} damaged: see below",
    )
