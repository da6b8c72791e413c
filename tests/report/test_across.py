"""Several studies side by side: what may differ stands at the top, what may not is refused."""

import csv
import io
import json

import pytest

from swinablate.cli.app import main
from tests.records.homes import sealed


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A home with `plain` and a twin of other seeds, of one arm less, and of another alpha."""
    monkeypatch.chdir(tmp_path)
    found = sealed(tmp_path)
    plan = found.home.declared("plain")
    arms = (
        plan.arms[0].model_copy(
            update={"seeds": plan.arms[0].seeds[:3], "trials": plan.arms[0].trials[:3]}
        ),
        *plan.arms[1:-1],
    )
    found.home.declare(plan.model_copy(update={"study": "twin", "arms": arms}))
    other = plan.compare.model_copy(update={"alpha": 0.1})
    found.home.declare(plan.model_copy(update={"study": "loose", "compare": other}))
    return found


def test_each_study_keeps_its_own_verdicts(study, capsys, tmp_path):
    words = ["compare", "plain", "twin", "--home", str(study.home.root), "--out", "both", "--json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], [one["name"] for one in found["studies"]]) == (1, ["plain", "twin"])
    plain, twin = found["studies"]
    assert len(twin["arms"]) == len(plain["arms"]) - 1
    assert plain["baseline"]["n"] == 6
    assert twin["baseline"]["n"] == 3
    assert found["differs"]["seeds"]["twin"].startswith("3 of the baseline")
    assert "pooled" not in found
    assert json.loads((tmp_path / "both/compare.json").read_text()) == found
    rows = list(csv.DictReader(io.StringIO((tmp_path / "both/tables/compare.csv").read_text())))
    assert len(rows) == len(plain["arms"]) + len(twin["arms"])
    page = (tmp_path / "both/index.html").read_text()
    text = (tmp_path / "both/report.md").read_text()
    for arm in plain["arms"]:
        assert arm["verdict"] in page
        assert arm["name"].partition("=")[0].replace("_", "\\_") in text
    assert "<svg" in page
    assert "not in it" in page
    assert (tmp_path / "both/figures/compare.png").stat().st_size > 5000


def test_what_was_judged_otherwise_is_refused(study, capsys, tmp_path):
    words = ["compare", "plain", "loose", "--home", str(study.home.root), "--out", "both"]
    assert main(words) == 2
    text = capsys.readouterr().err
    assert "alpha is 0.05 in 'plain' and 0.1 in 'loose'" in text
    assert not (tmp_path / "both").exists()
    assert main(["compare", "plain", "--home", str(study.home.root)]) == 2
    assert "one study is nothing to compare" in capsys.readouterr().err
    assert main(["compare", "plain", "nobody", "--home", str(study.home.root)]) == 2
    assert "'nobody' has not been run" in capsys.readouterr().err


@pytest.fixture
def several(study):
    """Copies of `plain` on other data sets: arms, seeds and records are the same."""
    plan = study.home.declared("plain")
    for name in ("second", "third"):
        recipe = {**plan.arms[0].recipe, "data": {**plan.arms[0].recipe["data"], "name": name}}
        arms = (plan.arms[0].model_copy(update={"recipe": recipe}), *plan.arms[1:])
        study.home.declare(plan.model_copy(update={"study": name, "arms": arms}))
    return study


def test_over_data_sets_each_counts_as_one(several, capsys, tmp_path):
    words = [
        "compare",
        "plain",
        "second",
        "third",
        "--home",
        str(several.home.root),
        "--out",
        "all",
    ]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    arms = {one["name"]: one for one in found["studies"][0]["arms"] if one["delta_pp"] is not None}
    over = {one["arm"]: one for one in found["datasets"]}
    assert over
    for name, one in over.items():
        assert (one["k"], one["same_sign"], one["tau_pp"]) == (3, 3, 0.0)
        assert one["mean_pp"] == pytest.approx(arms[name]["delta_pp"])
        assert one["verdict"] == "pending"  # trials of `plain` are missing
    assert main([*words[:3], "third", *words[4:], "--force"]) == 0
    text = capsys.readouterr().out
    assert "Over the data sets" in text
    page = (tmp_path / "all/index.html").read_text()
    assert "Over the data sets" in page
    assert "no word" in (tmp_path / "all/report.md").read_text()


def test_studies_of_one_data_set_have_nothing_over_data_sets(study, capsys):
    words = ["compare", "plain", "twin", "--home", str(study.home.root), "--out", "both", "--json"]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["datasets"] == []
