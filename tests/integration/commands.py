"""Studies of real scripts, in real processes."""

import json
import sys
from pathlib import Path

from swinablate.execution.worker import execute
from swinablate.records.events import ENDINGS, Batch, Job
from swinablate.study.arms.recipes import load_recipe

HEAD = "import json, os, pathlib, signal, sys, time\nseed, out = int(sys.argv[1]), sys.argv[2]\n"


def recipe(folder: Path, script: str, *lines: str) -> Path:
    """Write a script and a recipe that runs it; returns the recipe's path."""
    (folder / "script.py").write_text(HEAD + script)
    metric = 'metric = { file = "result.json", key = "accuracy" }'
    own = [line for line in lines if line.startswith("metric")]
    rest = [line for line in lines if not line.startswith("metric")]
    words = [sys.executable, "-u", "script.py", "{seed}", "{out}", "{checkpoint}"]
    text = ["[command]", f"run = {json.dumps(words)}", *(own or [metric]), *rest]
    path = folder / "base.toml"
    path.write_text("\n".join(text) + "\n")
    return path


def attempt(folder: Path, path: Path, *, number: int = 1, stopping=lambda: False):
    """One attempt at a trial of seed 0, as a worker makes it: its events, the last one first."""
    here = folder / "attempts" / str(number)
    here.mkdir(parents=True)
    earlier = tuple(str(folder / "attempts" / str(k)) for k in range(number - 1, 0, -1))
    job = Job(
        trial="0" * 64,
        attempt=number,
        recipe=load_recipe(path).model_dump(mode="json"),
        image={},
        seed=0,
        kind="final",
        folder=str(here),
        resume=earlier,
        data="",
    )
    events = []
    execute(Batch(jobs=(job,)), events.append, stopping)
    assert [one.kind in ENDINGS for one in events] == [False] * (len(events) - 1) + [True]
    return events[::-1]
