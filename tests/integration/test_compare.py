"""`compare` on studies that were really run: what it shows, and what it refuses to mix."""

import json
from pathlib import Path

import pytest

from swinablate import run
from swinablate.cli.app import main
from tests.conftest import RECIPE, STUDY

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Name -> answer of three studies in one home; the last two differ in what is declared."""
    folder = tmp_path_factory.mktemp("studies")
    (folder / "short.toml").write_text(RECIPE.replace("epochs = 2", "epochs = 1"))
    (folder / "long.toml").write_text(RECIPE)
    texts = {
        "one": STUDY.replace("base.toml", "short.toml"),
        "two": STUDY.replace("base.toml", "long.toml"),
        "strict": STUDY.replace("base.toml", "long.toml") + "[compare]\nalpha = 0.01\n",
        "rope": STUDY.replace("base.toml", "long.toml") + "[compare]\nrope = 0.5\n",
        "loss": STUDY.replace("base.toml", "long.toml") + '[compare]\nmetric = "test/loss"\n',
    }
    answers = {}
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)
        answers[name] = run(
            folder / f"{name}.toml", home=folder / "home", executor="serial", slots=1
        )
    return folder, answers


def test_studies_stand_side_by_side_each_with_its_own_verdicts(ran, capsys, monkeypatch):
    folder, answers = ran
    monkeypatch.chdir(folder)
    assert main(["compare", "one", "two.toml", "--home", "home", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metric"] == "test/accuracy"
    assert found["differs"] == {"baseline's train.epochs": {"one": "1", "two": "2"}}
    assert [study["name"] for study in found["studies"]] == ["one", "two"]
    for study in found["studies"]:
        mine = answers[study["name"]].verdicts
        assert study["baseline"]["mean"] == pytest.approx(mine["baseline"]["mean"])
        for arm, own in zip(study["arms"], mine["arms"], strict=True):
            assert {key: own.get(key) for key in arm} == arm
    means = [study["baseline"]["mean"] for study in found["studies"]]
    assert means[0] != means[1]
    report = Path("reports/compare-one-two")
    page = (report / "index.html").read_text().replace("<wbr>", "")
    assert all(word in page for word in ("shift=false", "train.epochs", "one", "two"))
    assert json.loads((report / "compare.json").read_text()) == found


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ("strict", "alpha is 0.05 in 'two' and 0.01 in 'strict'"),
        ("rope", "rope_pp is not declared in 'two' and 0.5 in 'rope'"),
        ("loss", "metric is test/accuracy in 'two' and test/loss in 'loss'"),
    ],
)
def test_what_would_differ_in_silence_is_refused(other, what, ran, capsys, monkeypatch):
    folder, _ = ran
    monkeypatch.chdir(folder)
    assert main(["compare", "two", other, "--home", "home"]) == 2
    said = capsys.readouterr().err
    assert what in said
    assert "hint: compare studies that declare the same" in said
    assert not Path(f"reports/compare-two-{other}").exists()
