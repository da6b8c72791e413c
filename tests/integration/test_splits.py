"""A study that draws splits, with real processes: killed, gone on with, judged, checked."""

import json
import signal

import pytest

from swinablate.report.evidence.archive import open_bundle
from swinablate.report.evidence.check import check
from tests.integration.conftest import RECIPE, send, until

pytestmark = pytest.mark.integration

STUDY = """\
question = "Where does the noise come from?"
baseline = "base.toml"
seeds = 2
[axes]
"model.shift" = [false]
[compare]
rope = 0.5
[noise]
sources = ["training", "split"]
splits = 3
"""


def test_a_study_of_splits_is_killed_goes_on_and_is_judged_by_splits(command):
    (command.folder / "base.toml").write_text(RECIPE.replace("epochs = 6", "epochs = 1"))
    command.study.write_text(STUDY)
    process = command.start("--slots", "2")
    until(lambda: len(command.results()) >= 2)
    send(process.pid, signal.SIGKILL)
    process.communicate()
    before = command.results()
    assert len(before) < 12  # else nothing was interrupted

    code, _, err = command.run("--out", "report")
    assert code == 0, err
    after = command.results()
    assert len(after) == 12
    assert {trial: after[trial] for trial in before} == before

    plan = json.loads((command.folder / "report" / "plan.json").read_text())
    for arm in plan["arms"]:
        splits = [after[trial]["recipe"]["data"]["split_seed"] for trial in arm["trials"]]
        assert splits == [0, 0, 1, 1, 2, 2] == [*arm["splits"].values()]

    verdicts = json.loads((command.folder / "report" / "verdicts.json").read_text())
    (arm,) = verdicts["arms"]
    values = {a["name"]: [after[t]["metrics"]["test/accuracy"] for t in a["trials"]]
              for a in plan["arms"]}  # fmt: skip
    gaps = [ours - theirs for theirs, ours in zip(*values.values(), strict=True)]
    assert arm["delta_pp"] == pytest.approx(sum(gaps) / len(gaps))
    assert (arm["n"], arm["runs"], arm["pairs"], arm["df"]) == (3, 6, 3, 2)
    assert "over training seeds and data splits" in arm["sentence"]
    noise = verdicts["noise"]
    assert (noise["splits"], noise["seeds"], noise["sources"]) == (3, 2, ["training", "split"])
    assert [(one["name"], one["of"]) for one in noise["components"]] == [
        ("baseline", "arm"), ("shift=false", "arm"), ("shift=false", "difference"),
    ]  # fmt: skip
    page = (command.folder / "report" / "index.html").read_text()
    assert "Where noise comes from" in page
    assert "between trainings on one split" in page

    # its bundle's ids are those of its splits, and a plan knows now what differences vary by
    bundle = command.folder / "bundle.tar"
    code, _, err = command.run(str(bundle), command="export")
    assert code == 0, err
    assert check(open_bundle(bundle)).to_json()["faults"] == []
    code, out, err = command.run("--json", command="plan")
    assert code == 0, err
    known = json.loads(out)["noise"]
    assert known["known"] == "this study's own trials of 1 arm"
    found = next(one for one in noise["components"] if one["of"] == "difference")
    for part in ("training", "split"):
        assert known["difference"][part] == pytest.approx(found[part]["sd"])
