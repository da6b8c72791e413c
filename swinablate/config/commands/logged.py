"""`from swinablate import log`: results in two lines of one's own script."""

import json
import os
from pathlib import Path

FILE = "log.jsonl"
"""Below `{out}`: a line of JSON for every call."""
OUT = "SWINABLATE_OUT"
"""The variable that names the folder of results; a script that is started by hand has none."""


def log(**values: float) -> None:
    """Keep numbers of a training that runs as a trial; elsewhere do nothing.

    A recipe reads them as `metric = { file = "log.jsonl", key = "accuracy" }`: the last line that
    has the key counts, and all of them are the trial's curve.

    Args:
        **values: name -> number; what `float` takes, a tensor of one element too.
    """
    if folder := os.environ.get(OUT):
        line = json.dumps({name: float(value) for name, value in values.items()})
        with (Path(folder) / FILE).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
