"""`run STUDY --more K` with real training: who trains again, what stays, what is said.

One arm differs from the baseline in its random numbers alone (A/A), one cannot learn: three
seeds decide the second, and never the first. The coordinator runs in this process, for its
imports are most of what a run of such a study costs; workers are processes of their own.
"""

import json

import pytest

from swinablate.cli.app import main
from swinablate.records.home import Home
from swinablate.report.answer import gather
from tests import conftest

pytestmark = pytest.mark.integration

RECIPE = conftest.RECIPE.replace("128", "512").replace("epochs = 2", "epochs = 6") + "lr = 1e-2\n"
STUDY = """\
question = "Do more seeds decide?"
baseline = "base.toml"
seeds = 3
baseline_seeds = 3
[axes]
"train.lr" = [1e-6]
"train.stream" = ["again"]
"""
DECIDED = STUDY.replace('"train.stream" = ["again"]\n', "")
LOOKS = STUDY.replace("seeds = 3\nbaseline_seeds = 3\n", "[adaptive]\nlooks = [3, 4]\n")
AGAIN, DULL = "stream=again", "lr=1e-06"


@pytest.fixture
def ran(tmp_path, capsys, monkeypatch):
    """Run a study: the exit code and what was said on stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.toml").write_text(RECIPE)

    def run(*words, study="study.toml"):
        code = main(["run", study, "--home", "home", "--slots", "1", *words])
        return code, capsys.readouterr().err

    return run


def recorded(folder):
    """Every file of the trials, by its path."""
    files = (folder / "home" / "trials").rglob("*")
    return {path: path.read_bytes() for path in files if path.is_file()}


def answered(answer):
    """How many seeds every arm has, the arms' verdicts, and the texts of W9."""
    arms = {arm["name"]: arm for arm in answer["arms"]}
    counts = {"baseline": answer["baseline"]["n"]} | {name: arm["n"] for name, arm in arms.items()}
    notes = [warn["text"] for warn in answer["warnings"] if warn["code"] == "W9"]
    return counts, {name: arm["verdict"] for name, arm in arms.items()}, notes


def test_what_is_undecided_trains_on_and_no_record_of_before_changes(ran, tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    code, said = ran("--no-report")
    assert code == 0, said
    kept = recorded(tmp_path)

    code, said = ran("--more", "1", "--out", "more")
    assert code == 0, said
    assert "more seeds: baseline 3 -> 4, stream=again 3 -> 4\n" in said
    verdicts = json.loads((tmp_path / "more" / "verdicts.json").read_text())
    counts, words, notes = answered(verdicts)
    assert counts == {"baseline": 4, DULL: 3, AGAIN: 4}
    assert words == {DULL: "worse", AGAIN: "undecided"}
    (note,) = notes
    first = f"The first one says: {DULL} worse; {AGAIN} undecided."
    assert first in note
    assert first in (tmp_path / "more" / "report.md").read_text().replace("\\", "")
    after = recorded(tmp_path)
    assert kept.items() <= after.items()

    code, said = ran("--more", "1", "--no-report")
    assert code == 0, said
    assert "more seeds: baseline 4 -> 5, stream=again 4 -> 5\n" in said
    counts, _, notes = answered(gather(Home(tmp_path / "home"), "study").verdicts)
    assert counts == {"baseline": 5, DULL: 3, AGAIN: 5}
    assert len(notes) == 2
    last = recorded(tmp_path)
    assert after.items() <= last.items()
    results = [path for path in last if path.parts[-3] == "trials" and path.name == "result.json"]
    assert len(results) == 9 + 2 + 2

    # The same trials under a study without the open arm: nothing trains, and nothing changes.
    (tmp_path / "decided.toml").write_text(DECIDED)
    for words in (["--no-report"], ["--no-report", "--more", "2"]):
        code, said = ran(*words, study="decided.toml")
        assert code == 0, said
    assert "nothing that more seeds could decide is undecided" in said
    assert len(Home(tmp_path / "home").declarations("decided")) == 1

    # Looks add seeds themselves.
    (tmp_path / "looks.toml").write_text(LOOKS)
    code, said = ran("--more", "1", study="looks.toml")
    assert code == 2
    assert "a study with looks adds seeds itself" in said
    assert recorded(tmp_path) == last
