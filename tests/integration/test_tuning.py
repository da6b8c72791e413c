"""Tuning in real processes: tried on validation, chosen, run again, judged; the ledger decides."""

import json
import sqlite3

import pytest

from swinablate.config.recipe import trial_id
from swinablate.records.home import Home
from swinablate.records.seal import seal
from swinablate.report.answer import gather
from swinablate.scheduling.status import read_status
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from swinablate.study.tunable import trying, tuned

pytestmark = pytest.mark.integration

TABLE = """
[tune]
trials = 3
space = { "train.lr" = { low = 1e-4, high = 1e-2, log = true } }
"""


def test_every_arm_is_tuned_on_validation_and_runs_once_more(command):
    base = command.folder / "base.toml"
    text = base.read_text().replace('"digits"', '"digits"\nlimit = 128')
    base.write_text(text.replace("epochs = 6", "epochs = 1\nlr = 1e-4"))
    seeds = command.study.read_text().replace("seeds = 2", "seeds = 3")
    command.study.write_text(seeds + TABLE)
    code, stdout, err = command.run("--json")
    assert code == 0, err
    results = command.results()
    kinds = [found["kind"] for found in results.values()]
    assert kinds.count("tune") == 6
    assert all(
        ("test/accuracy" in found["metrics"]) == (found["kind"] == "final")
        for found in results.values()
    )
    streams = {(found["kind"], found["recipe"]["train"]["stream"]) for found in results.values()}
    assert streams == {("tune", "tune"), ("final", "main")}

    judged = json.loads(stdout)
    assert [c["verdict"] for c in judged["contrasts"] if c["basis"] == "tuned"] != ["pending"]
    tuning = {arm["name"]: arm for arm in judged["tuning"]["arms"]}
    (ledger,) = command.home.glob("studies/study/*/tuning.json")
    for name, entries in json.loads(ledger.read_text())["arms"].items():
        reached = [results[e["trials"][0]]["metrics"]["val/accuracy"] for e in entries]
        chosen = reached.index(max(reached))
        assert (tuning[name]["chosen"], tuning[name]["val_acc"]) == (chosen, max(reached))
        finals = [results[trial] for trial in entries[chosen]["finals"]]
        mean = sum(found["metrics"]["test/accuracy"] for found in finals) / 3
        assert tuning[name]["mean"] == pytest.approx(mean)
    answer = gather(Home(command.home), "study")
    assert json.loads(json.dumps(answer.verdicts)) == judged
    assert {*answer.trials.trial, *answer.tuning.trial} == set(results)

    with sqlite3.connect(command.home / "mlflow.db") as store:
        purposes = store.execute("SELECT value FROM tags WHERE key = 'purpose'").fetchall()
    assert sum(value == ("tune",) for value in purposes) == 6

    # Another version of the sampler would have suggested something else: the ledger decides.
    made = plan(load_study(command.study)).arms[1]
    tried = {"train.lr": 0.0042}
    entry = {
        "number": 2,
        "params": tried,
        "trials": [trial_id(trying(made.recipe, tried), 0)],
        "finals": [trial_id(tuned(made.recipe, tried), seed) for seed in made.seeds],
    }
    kept = json.loads(ledger.read_text())
    kept["arms"][made.name][2] = entry
    del kept["digest"]
    ledger.write_text(seal(kept))
    kept = json.loads(ledger.read_text())

    before = {path: path.stat().st_mtime_ns for path in command.home.glob("trials/*/result.json")}
    code, _, err = command.run("--no-report")
    assert code == 0, err
    after = {path: path.stat().st_mtime_ns for path in command.home.glob("trials/*/result.json")}
    assert {path: at for path, at in after.items() if path in before} == before
    assert json.loads(ledger.read_text()) == kept
    results = command.results()
    assert results[entry["trials"][0]]["recipe"]["train"]["lr"] == 0.0042
    now = read_status(Home(command.home), "study")
    assert (now.waiting, now.planned, now.most) == (0, now.done, now.done)
