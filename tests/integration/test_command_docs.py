"""The tutorial of docs/command.md, typed literally: from a script to the first verdict."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from swinablate.text import unit_of

pytestmark = pytest.mark.integration
PAGE = (Path(__file__).parents[2] / "docs" / "command.md").read_text("utf-8")


@pytest.mark.slow
def test_from_a_script_to_the_first_verdict(tmp_path):
    script = re.search(r"```python\n(# train\.py\n.*?)```", PAGE, re.DOTALL)
    (tmp_path / "train.py").write_text(script[1])
    typed = [
        shlex.split(line.removeprefix("$ "))
        for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
        for line in block.splitlines()
    ]
    assert [words[1] for words in typed] == ["new", "plan", "run"]
    for words in typed:
        made = subprocess.run(
            [sys.executable, "-m", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=240,
        )
        assert made.returncode == 0, made.stderr
        if words[1] == "plan":
            assert "python train.py --neighbours 6" in made.stdout
            assert not (tmp_path / ".swinablate").exists()

    told = json.loads((tmp_path / "reports" / "train" / "verdicts.json").read_text())
    assert [arm["name"] for arm in told["arms"]] == ["neighbours=6"]
    assert told["arms"][0]["verdict"] in {"better", "worse", "undecided"}
    assert (told["metric"], unit_of(told)) == ("command/accuracy", "pp")
    assert 80 < told["baseline"]["mean"] < 100
