"""A network and a command in one study, from the file to the report, and as a bundle elsewhere."""

import csv
import json

import pytest

from swinablate.cli.app import main
from tests.study.test_mixed import NET, OTHER, STUDY

pytestmark = pytest.mark.integration

SCRIPT = 'echo "epoch 1 accuracy 4$1"\necho "epoch 2 accuracy 9$1"\necho "epoch 3 accuracy 9$1"\n'
MINE = """\
[command]
run = ["bash", "train.sh", "{seed}", "{n}"]
metric = { pattern = "epoch (?P<step>[0-9]+) accuracy ([0-9.]+)", name = "accuracy" }
[switches]
n = 1
"""
SHORT = "limit = 64\n[train]\nepochs = 1\nbatch = 32\n"


@pytest.fixture
def ran(tmp_path, capsys, monkeypatch):
    """Run a study of a network, a command, and one switch of the baseline, to its report."""
    monkeypatch.chdir(tmp_path)

    def run(baseline, other, axis):
        (tmp_path / "train.sh").write_text(SCRIPT)
        (tmp_path / "net.toml").write_text(NET + SHORT)
        (tmp_path / "mine.toml").write_text(MINE)
        (tmp_path / "study.toml").write_text(STUDY % baseline + axis + OTHER % other)
        code = main(["run", "study.toml", "--executor", "serial", "--home", "home"])
        assert code == 0, capsys.readouterr().err
        folder = tmp_path / "reports" / "study"
        told = json.loads((folder / "verdicts.json").read_text())
        rows = csv.DictReader((folder / "tables" / "arms.csv").read_text().splitlines())
        return told, {row["arm"]: row for row in rows}, (folder / "report.md").read_text()

    return run


def test_a_command_beside_networks_is_judged_as_of_independent_seeds(ran, capsys):
    told, rows, report = ran("net.toml", "mine.toml", '[axes]\n"train.lr" = [0.02]\n')
    arms = {arm["name"]: arm for arm in told["arms"]}
    assert (told["metric"], arms["other"]["n"], arms["other"]["verdict"]) == (
        "test/accuracy", 3, "better",
    )  # fmt: skip
    assert arms["other"]["mean"] == pytest.approx(91), "90, 91 and 92"
    assert "paired" not in told["method"]
    codes = [one["code"] for one in told["warnings"]]
    assert "W31" in codes
    assert "W11" not in codes, "a command says less of how it ran, which is no other way to run"
    assert rows["baseline"]["params"] == rows["lr=0.02"]["params"] != ""
    sizes = ("params", "macs", "peak_mib", "images_per_s")
    assert [rows["other"][key] for key in sizes] == [""] * 4, "unknown, and not 0"
    (line,) = [one for one in report.splitlines() if one.startswith("| other | 3 | 91")]
    assert line.rstrip().endswith("| \N{EN DASH} " * 4 + "|")
    assert "other: the command `bash train.sh" in report.replace("\\", "")
    assert main(["export", "study", "s.zip", "--home", "home"]) == 0
    assert main(["import", "s.zip", "--home", "elsewhere"]) == 0
    capsys.readouterr()
    assert main(["report", "study", "--home", "elsewhere", "--out", "again", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["arms"] == told["arms"]


@pytest.mark.slow
def test_a_network_beside_commands_is_proved_against_none(ran):
    told, rows, report = ran("mine.toml", "net.toml", '[axes]\n"switches.n" = [2]\n')
    arms = {arm["name"]: arm for arm in told["arms"]}
    assert told["metric"] == "command/accuracy"
    assert arms["other"]["verdict"] == "worse"
    assert (rows["baseline"]["params"], rows["n=2"]["params"]) == ("", "")
    assert float(rows["other"]["params"]) > 0
    codes = [one["code"] for one in told["warnings"]]
    assert {"W12", "W31"} <= set(codes), "n does nothing in the script"
    assert "other: a network of family vit on digits" in report.replace("\\", "")
