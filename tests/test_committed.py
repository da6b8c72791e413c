"""The committed reports are made of the records beside them, small, and told of in their README."""

import io
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from swinablate.records.plan import HypothesisRecord
from swinablate.report.drawing import numbers
from swinablate.report.drawing.files import pixels
from swinablate.report.figures.levels import FIGURE as LEVELS
from swinablate.report.tables import whole
from swinablate.study.arms.recipes import load_recipe
from tests import answered, committed, overview
from tests.answers import Sketch, levels, study
from tests.costs import COSTS

ROOT = Path(__file__).parent.parent
KEPT = re.compile(r"records\.tar\.xz|report\.md|figures/[a-z]+\.(svg|png)")
"""Files of a committed report: no figure twice, no table that the records have."""
FOLDERS = committed.committed()
LINK = re.compile(r"\]\(([^)]+)\)")
NEEDS_FILES = {"fine_tuning"}
"""Studies that cannot be planned without weights that nobody ships: nothing tells what they cost."""


def as_answered(made, hours=1.0):
    """A made-up study as one with committed records."""
    rows = json.loads(made.trials.to_json(orient="records"))
    rows = [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]
    return answered.Answered(made.plan.study, made.plan, made.verdicts, hours, rows)


def test_there_are_committed_reports():
    assert FOLDERS


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_committed_report_is_small_and_holds_nothing_else(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in files]
    assert [name for name in names if not KEPT.fullmatch(name)] == []
    assert {committed.RECORDS, "report.md", "figures/forest.svg"} <= {*names}
    assert len({path.stem for path in files}) == len(files)
    assert sum(path.stat().st_size for path in files) <= committed.MOST
    text = (folder / "report.md").read_text("utf-8")
    assert {*LINK.findall(text)} == {name for name in names if name != "report.md"}
    assert (overview.STUDIES / f"{folder.name.partition('@')[0]}.toml").exists()


def test_colours_of_a_figure_stay_apart_where_it_is_painted():
    """Of few colours the most frequent ones were kept, and lines of two arms were one."""
    rows = LEVELS.table(whole(levels()))
    own = rows[rows.line == rows.line.iloc[0]]
    lines = [own.assign(line=f"{k}", mean=own["mean"] - k, low=own.low - k, high=own.high - k)
             for k in range(8)]  # fmt: skip
    png = pixels(LEVELS, pd.concat(lines, ignore_index=True))
    _, data = committed.smaller(b"x" * 10**7, png)
    before, after = (
        np.asarray(Image.open(io.BytesIO(one)).convert("RGB"), int) for one in (png, data)
    )
    assert np.abs(before - after).max() < 40


def regenerated(folder):
    """The files of a report that its records would not give again, byte by byte."""
    found = committed.regenerate(folder)
    assert committed.RECORDS not in found  # the verdicts are those of the records
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert there == {*found, committed.RECORDS}
    return [name for name, data in found.items() if (folder / name).read_bytes() != data]


@pytest.mark.integration  # it draws every figure
def test_a_committed_report_is_made_of_its_records_byte_by_byte():
    smallest = min(FOLDERS, key=lambda folder: (folder / committed.RECORDS).stat().st_size)
    assert regenerated(smallest) == [], "stale: run `just answers`"


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_committed_report_is_made_of_its_records_byte_by_byte(folder):
    assert regenerated(folder) == [], "stale: run `just answers`"


def test_records_that_were_changed_are_refused(tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(FOLDERS[0], folder)
    data = bytearray(lzma.decompress((folder / committed.RECORDS).read_bytes()))
    at = data.index(b'"test/accuracy": ')
    data[at + 17] = ord("1") if data[at + 17] != ord("1") else ord("2")
    (folder / committed.RECORDS).write_bytes(lzma.compress(bytes(data), preset=0))
    with pytest.raises(SystemExit, match="damaged: trials/"):
        committed.opened(folder)


def test_the_readme_is_what_the_records_say():
    assert overview.README.read_text("utf-8") == overview.readme(), "stale: run `just answers`"


def test_every_study_answers_a_question_and_every_answer_is_one_of_its_study():
    asked = tomllib.loads(overview.QUESTIONS.read_text("utf-8"))["questions"]
    costs = json.loads(COSTS.read_text("utf-8"))["studies"]
    shipped = {path.stem for path in overview.STUDIES.glob("*.toml")}
    assert {name for one in asked for name in one["answers"]} == shipped
    unknown = [
        (study, name)
        for one in asked
        for study, names in one["answers"].items()
        for name in names
        if study not in NEEDS_FILES and name.partition(" | ")[0] not in costs[study]["compares"]
    ]
    assert unknown == []
    trained = {one.study: one for one in answered.answered()}
    assert [
        (study, name)
        for one in asked
        for study, names in one["answers"].items()
        for name in names
        if study in trained and name not in trained[study].compared
    ] == []


def test_costs_are_known_of_every_study_and_name_what_it_compares():
    costs = json.loads(COSTS.read_text("utf-8"))["studies"]
    for path in overview.STUDIES.glob("*.toml"):
        if path.stem in NEEDS_FILES:
            continue
        written = tomllib.loads(path.read_text("utf-8"))
        cost = costs[path.stem]
        asked = {one.get("arm") or one["contrast"] for one in written["hypotheses"]}
        declared = [*written.get("arms", ()), *written.get("contrasts", ())]
        assert asked | {one["name"] for one in declared} <= {*cost["compares"]}, path.stem
        assert cost["trials"] > 0
        assert cost["core_minutes"] > 0
        assert cost["data"] == load_recipe(path.parent / written["baseline"]).data.name


def test_an_answer_is_the_largest_effect_and_counts_the_others():
    one = as_answered(study())
    said = overview.answer(one)
    largest = max(
        (arm for arm in one.verdicts["arms"] if arm["verdict"] in overview.MOVED),
        key=lambda arm: abs(arm["delta_pp"]),
    )
    assert said.startswith(largest["sentence"].rstrip("."))
    others = len(one.verdicts["arms"]) - 1
    assert (
        sum(int(word) for word in said.rpartition("the others: ")[2].split() if word.isdigit())
        == others
    )
    nothing = as_answered(
        study(
            [
                Sketch(name="baseline", statuses=("done",) * 10),
                Sketch(name="same", mean=96.0, sd=2.0),
            ]
        )
    )
    assert overview.answer(nothing).startswith(
        "None of 1 comparison shows a difference; they are: 1 "
    )


@pytest.mark.parametrize(
    ("text", "verdict", "answer", "word"),
    [
        ("worse by at least 1 pp", "worse", "supported", "yes"),
        ("worse by at least 5 pp", "worse", "contradicted", "sign yes, size smaller"),
        ("worse by at least 3 pp", "worse", "unresolved", "sign yes, size open"),
        ("worse", "better", "contradicted", "no: opposite sign"),
        ("better by at least 3 pp", "equivalent", "contradicted", "no: smaller, if it is there"),
        ("better", "undecided", "unresolved", "open"),
        ("equivalent", "equivalent", "supported", "yes"),
        ("equivalent", "worse", "contradicted", "no: it differs"),
        ("equivalent", "worse", "unresolved", "open"),
        ("better", "pending", "unresolved", "not tested"),
    ],
)
def test_what_is_as_expected_is_told_by_sign_and_size(text, verdict, answer, word):
    told = {"judged": {"verdict": verdict}, "text": text, "answer": answer}
    assert overview.as_expected(told) == word


def test_what_is_as_expected_is_told_of_a_judged_hypothesis():
    said = [HypothesisRecord(arm="arm", expect="worse", by=1.0, source="a paper")]
    base = Sketch(name="baseline", statuses=("done",) * 10)
    made = study([base, Sketch(name="arm", mean=90.0)], hypotheses=said)
    (told,) = as_answered(made).hypotheses
    assert overview.as_expected(told) == "yes"
    assert overview.as_expected({**told, "judged": None}) == "not tested"


def test_what_is_unresolved_says_how_many_seeds_and_hours():
    base = Sketch(name="baseline", sd=1.0, statuses=("done",) * 10)
    made = study([base, Sketch(name="arm", mean=96.0, sd=1.5)])
    made = replace(made, trials=made.trials.assign(train_s=2.0))  # all alike
    one = as_answered(made, hours=15.0)
    (arm,) = one.verdicts["arms"]
    assert arm["verdict"] == "undecided"
    (row,) = overview._open(one)
    more = overview.needed(one, arm)
    assert f"; {more} more seeds of arm and " in arm["sentence"]
    seeds, time = row.split(" | ")[2:]
    lacks = int(arm["sentence"].partition(f"; {more} more seeds of arm and ")[2].split()[0])
    assert int(seeds) == more + lacks  # of the baseline
    assert time.rstrip(" |") == numbers.duration(int(seeds) * 3600 * one.hours / len(one.trials))
    assert [*overview._open(replace(one, verdicts={**one.verdicts, "arms": []}))] == []


@pytest.fixture
def script(tmp_path):
    """Runs reports/run.sh among studies of its own."""
    (tmp_path / "studies").mkdir()
    for path in (ROOT / "experiments").glob("swin_digits.toml"):
        shutil.copy(path, tmp_path / path.name)
    for name in ("one", "two"):
        (tmp_path / f"studies/{name}.toml").write_text(
            'question = "?"\nbaseline = "../swin_digits.toml"\nseeds = [0, 1, 2]\n'
            'baseline_seeds = 3\n[axes]\n"model.shift" = [false]\n[compare]\nrope = 0.5\n'
        )

    def run(*words):
        env = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            ["bash", str(ROOT / "reports/run.sh"), *words],
            cwd=tmp_path, env=env, text=True, capture_output=True, check=False,
        )  # fmt: skip

    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [((), "name a study"), (("three",), "no study is called three"), (("-x", "one"), "usage: ")],
)
def test_wrong_words_start_nothing(script, tmp_path, words, said):
    done = script(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / ".swinablate").exists()


@pytest.mark.integration
@pytest.mark.slow  # more than a minute
def test_studies_run_together_stop_and_go_on_and_become_reports(script, tmp_path, monkeypatch):
    out, options = tmp_path / "out.tar.xz", ("--", "--devices", "cpu", "--set", "train.epochs=1")
    done = script("-H", "h", "-l", "1", "-o", str(out), "one", *options)
    assert done.returncode == 75, done.stdout + done.stderr
    done = script("-H", "h", "-j", "2", "-o", str(out), "one", "two", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "one: exit 0" in done.stdout
    assert "two: exit 0" in done.stdout
    shutil.unpack_archive(out, tmp_path / "elsewhere", "xztar", filter="data")
    assert not [*(tmp_path / "elsewhere").rglob("checkpoint-*")]
    shutil.rmtree(tmp_path / "h")
    for name in ("REPORTS", "STUDIES"):
        monkeypatch.setattr(committed, name, tmp_path / name.lower())
    for name in ("one@train.epochs=1", "two@train.epochs=1"):
        assert committed.take(tmp_path / "elsewhere", name) == f"{name}: 6 trials"
    folders = committed.committed(tmp_path / "reports")
    committed.write(folders[0], committed.regenerate(folders[0]))
    assert regenerated(folders[0]) == []
    assert committed.opened(folders[0]).about["file"] == "files/studies/one.toml"


def test_published_tables_stand_beside_what_is_found():
    """The rule is that of `swinablate verify`."""
    page = overview.README.read_text()
    quick = next(one for one in answered.answered() if one.name == "quickstart")
    rows = {row.about: row for row in overview.of_packs(quick)}
    assert rows["norm=batch"].answer == "contradicted"
    assert rows["shift=false"].answer == "sign only"
    line = next(
        x for x in page.splitlines() if x.startswith("| [quickstart]") and "shift=false:" in x
    )
    assert "arXiv:2103.14030, Table 4" in line
    assert "sign only, larger" in line
