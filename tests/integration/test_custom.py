"""A network of one's own, from its file to recorded trials, in real worker processes."""

import json
import subprocess
import sys

import pytest

from swinablate.cli.app import main
from tests.models.test_external import guide, home  # noqa: F401  the fixture

pytestmark = pytest.mark.integration
STUDY = 'question = "?"\nbaseline = "nets/mynet.toml"\nseeds = 2\nbaseline_seeds = 2\n[axes]\n'


def test_a_network_of_ones_own_trains_and_a_changed_one_trains_again(home, capsys):  # noqa: F811
    """The module lies in the recipe's folder, not in the current one."""
    (home / "nets").mkdir()
    for name, text in guide().items():
        (home / "nets" / name).write_text(text)
    (home / "s.toml").write_text(STUDY + '"model.norm" = [false]\n')
    words = ["s.toml", "--set", "data.limit=64", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "swinablate", "run", *words, "--slots", "1", "--no-report"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["done"] == 4
    results = [json.loads(p.read_text()) for p in home.glob(".swinablate/trials/*/result.json")]
    codes = {result["recipe"]["model"]["code"] for result in results}
    declared = json.loads(next(home.glob(".swinablate/studies/s@*/*/plan.json")).read_text())
    assert codes == {arm["recipe"]["model"]["code"] for arm in declared["arms"]}
    assert [len(code) for code in codes] == [64]

    source = home / "nets" / "mynets.py"
    source.write_text(source.read_text().replace("nn.ReLU()", "nn.GELU()"))
    assert main(["plan", *words]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["reused"] == 0
    assert not {t for arm in again["arms"] for t in arm["trials"]} & {r["trial"] for r in results}
