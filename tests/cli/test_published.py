"""`swinablate verify STUDY`: packs against a report, and against what a home holds."""

import json
import lzma

import pytest

from swinablate.cli.app import main
from swinablate.config.schema import read_toml
from swinablate.report.answer import gather
from swinablate.report.published import load_pack
from tests.committed import home_of
from tests.study.shipped import ROOT

REPORT = ROOT / "reports" / "quickstart"


@pytest.fixture
def verify(tmp_path, capsys):
    def run(what, *words):
        code = main(["verify", str(what), "--home", str(tmp_path / "home"), *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_report_is_held_against_the_shipped_packs(verify):
    code, out, err = verify(REPORT)
    assert code == 3  # one is not resolved
    assert out.startswith("quickstart: published, and found here")
    assert "arXiv:2103.14030, Table 4, sec. 4.4: Swin-T, ImageNet-1K" in err
    assert "; here swin of 34,710 parameters, digits, 15 epochs, 8 seeds" in err
    code, out, _ = verify(REPORT, "--json")
    found = json.loads(out)
    assert (code, found["schema"], found["study"]) == (3, 1, "quickstart")
    norm, shift, bias = found["claims"]
    assert norm["answer"] == "contradicted"
    assert (shift["about"], shift["published"], shift["answer"]) == (
        "shift=false", -1.1, "sign only")  # fmt: skip
    assert (bias["sign"], bias["answer"]) == ("open", "not resolved")


def own(tmp_path, before, after):
    """A pack of one's own about the quick start: our effect of the shift is -8.6."""
    path = tmp_path / "own.toml"
    path.write_text(f"""
title = "mine"
source = "me"
read = "my notebook"
[[tables]]
name = "1"
section = "mine"
decimals = 1
rows = {{ a = {before}, b = {after} }}
setting = {{ data = "digits", network = "Swin" }}
[[claims]]
name = "no shift is worse"
table = "1"
row = "b"
against = "a"
asked = [{{ study = "quickstart", arm = "shift=false" }}]
""")
    return path


@pytest.mark.parametrize(
    ("after", "code", "answer"), [(87.0, 0, "reproduced"), (97.0, 3, "contradicted")]
)
def test_a_pack_of_ones_own_decides_the_exit_code(verify, tmp_path, after, code, answer):
    pack = own(tmp_path, 95.5, after)
    assert load_pack(pack).tables[0].rows["b"] == after
    ended, out, _ = verify(REPORT, "--pack", str(pack), "--json")
    assert (ended, json.loads(out)["claims"][0]["answer"]) == (code, answer)
    assert verify(REPORT, "--pack", str(tmp_path))[0] == code  # a folder of packs


def test_a_study_that_no_pack_is_about_is_refused_with_those_that_are(verify, tmp_path):
    other = tmp_path / "report"
    other.mkdir()
    with home_of(REPORT) as (home, _):
        answer = gather(home, "quickstart")
    plan = answer.plan.model_dump(mode="json") | {"study": "mine"}
    (other / "plan.json").write_text(json.dumps(plan))
    (other / "verdicts.json").write_text(json.dumps(answer.verdicts))
    code, out, err = verify(other)
    assert (code, out) == (2, "")
    assert "no pack says anything of 'mine'" in err
    assert "swin_table4" in err


def test_a_study_that_was_not_run_is_refused_with_the_command_that_runs_it(verify):
    study = ROOT / "studies" / "quickstart.toml"
    code, out, err = verify(study)
    assert (code, out) == (2, "")
    assert "study 'quickstart' has not been run" in err
    assert f"`swinablate run {study} --home" in err
    assert "has not been run" in verify("quickstart")[2]  # by its name


@pytest.mark.parametrize("words", [["--pack", "packs"], ["--set", "train.epochs=3"]])
def test_what_is_about_a_study_is_refused_of_a_recipe(verify, words):
    code, out, err = verify(ROOT / "experiments" / "swin_digits.toml", *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {words[0]}: {words[0]} is about a study")


def test_a_recipe_asks_no_question():
    """So that `verify` tells one from a study by that."""
    for path in (ROOT / "experiments").glob("*.toml"):
        assert "question" not in read_toml(path), path


@pytest.mark.integration
def test_a_study_that_was_run_is_held_against_packs(verify, tmp_path, write):
    study, home = write(), tmp_path / "home"
    assert main(["run", str(study), "--home", str(home), "--slots", "1", "--no-report"]) == 0
    pack = own(tmp_path, 95.5, 87.0)
    pack.write_text(pack.read_text().replace('"quickstart"', f'"{study.stem}"'))
    said = []
    for name in (str(study), study.stem):
        code, out, _ = verify(name, "--pack", str(pack), "--json")
        (claim,) = json.loads(out)["claims"]
        assert (code, claim["about"]) == (3, "shift=false")
        assert claim["ours"] is not None
        said.append(out)
    assert said[0] == said[1]
    assert main(["export", str(study), str(tmp_path / "r.tar"), "--home", str(home)]) == 0
    folder = tmp_path / "committed"
    folder.mkdir()
    records = folder / "records.tar.xz"
    records.write_bytes(lzma.compress((tmp_path / "r.tar").read_bytes()))
    said.append(verify(folder, "--pack", str(pack), "--json")[1])
    assert said[2] == said[0].replace("study.toml", "study")  # its records, judged again
    records.write_bytes(records.read_bytes()[:-100])
    code, _, err = verify(folder)
    assert (code, "records.tar.xz: cannot be unpacked" in err) == (2, True)
    code, _, err = verify(study)
    assert (code, "no pack says anything of 'study'" in err) == (2, True)
