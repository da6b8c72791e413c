"""Pre-training and fine-tuning as a user does them: each seed from the weights of its own."""

import hashlib

import pytest
import torch
from mlflow import MlflowClient

from swinablate import load_study, plan
from swinablate.api import Silent
from swinablate.cli.app import main
from swinablate.execution.run import Options, execute
from swinablate.records.home import Home
from swinablate.scheduling.status import read_status
from swinablate.training import checkpoint
from tests.conftest import RECIPE, STUDY

pytestmark = pytest.mark.integration

SMALL = RECIPE.replace("epochs = 2", "epochs = 1")
TWO = STUDY.replace("= 3", "= 2")
FINE = TWO.replace('baseline = "base.toml"', 'baseline = "fine.toml"').replace(
    '"model.shift" = [false]', '"train.lr" = [1e-3]\n"start.weights" = ["", "other.pt"]'
)


def serial(path, home):
    summary = execute(plan(load_study(path)), home, Options(executor="serial"), Silent(None))
    assert (summary.missing, summary.unmirrored) == (0, 0)


def test_each_seed_is_fine_tuned_from_its_own_weights(write, tmp_path, capsys):
    home, pre = Home(tmp_path / "home"), write(TWO, SMALL)
    serial(pre, home)
    files = tmp_path / "pre-{seed}.pt"
    assert main(["weights", str(pre), "baseline", str(files), "--home", str(home.root)]) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"{tmp_path}/pre-{seed}.pt: weights of baseline s{seed}" for seed in (0, 1)
    ]
    other = tmp_path / "other.pt"
    assert main(["weights", str(pre), "shift=false", str(other), "--home", str(home.root)]) == 0
    digests = [hashlib.sha256((tmp_path / f"pre-{k}.pt").read_bytes()).hexdigest() for k in (0, 1)]
    assert digests[0] != digests[1]

    fine = SMALL + '[start]\nweights = "pre-{seed}.pt"\nfreeze = 1\n'
    (tmp_path / "fine.toml").write_text(fine)
    study = tmp_path / "fine_study.toml"
    study.write_text(FINE)
    serial(study, home)
    made = plan(load_study(study))
    for trial in made.trials:
        named = {"weights=": "", "weights=other.pt": "other.pt"}
        source = named.get(trial.arm, f"pre-{trial.seed}.pt")
        start = home.outcome(trial.id).recipe["start"]
        assert start["weights"] == (str(tmp_path / source) if source else "")
        # What is frozen tells where it came from.
        ended = checkpoint.load_checkpoint([home.attempt(trial.id, 1)], torch.device("cpu"))[
            "model"
        ]
        for file in ("pre-0.pt", "pre-1.pt", "other.pt"):
            begun = torch.load(tmp_path / file, weights_only=True)
            frozen = [name for name in begun if name.startswith(("embed.", "stages.0."))]
            assert frozen
            kept = all(torch.equal(ended[name], begun[name]) for name in frozen)
            assert kept is (file == source), (trial.arm, trial.seed, file)

    assert read_status(home, "fine_study").done == 8
    report = tmp_path / "report"
    words = [str(study), "--home", str(home.root), "--out", str(report)]
    assert main(["report", *words]) == 0
    (line,) = [s for s in (report / "report.md").read_text().splitlines() if "W17" in s]
    assert "weights=other.pt: all seeds start from the same file of weights" in line
    client = MlflowClient(home.mlflow_uri)
    (experiment,) = [e for e in client.search_experiments() if e.tags.get("study") == "fine_study"]
    runs = [r.data for r in client.search_runs([experiment.experiment_id])]
    shown = {
        r.tags["seed"]: r.params["cfg.start.sha256"]
        for r in runs
        if (r.tags["kind"], r.tags.get("arm")) == ("trial", "baseline")
    }
    assert shown == {"0": digests[0], "1": digests[1]}
