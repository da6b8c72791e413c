"""The trials of a study as users of other tools run them: two at a time, each as its manual says.

python quick_peers.py TOOL FILE FOLDER; FILE has the runs (JSON), as for `quick_loop`, whose trial
all of them train. TOOL is one of

- optuna: trials are threads of one process (`n_jobs=2`), logged to MLflow; both stores in SQLite;
- tune: Ray Tune, a processor a trial, on a Ray of its own; its own files;
- hydra: Hydra with its joblib launcher, two processes (`--multirun`); a folder a trial.

Rates, seeds and arms are given: nothing is searched.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.programs.quick_loop import accuracy, digits

JOBS = 2


def by_optuna(runs: list[dict[str, Any]], folder: Path) -> None:
    """Threads: all of them share one interpreter."""
    import mlflow
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = mlflow.set_experiment("quick").experiment_id
    client = mlflow.MlflowClient()
    images, labels = digits()

    def objective(trial: optuna.Trial) -> float:
        # By its number: of trials that were enqueued, two threads may take the same from SQLite,
        # and the second to end finds it told ("Cannot tell a COMPLETE trial", one round of three).
        run = runs[trial.suggest_int("run", trial.number, trial.number)]
        logged = client.create_run(experiment, run_name=f"trial {trial.number}").info.run_id
        client.log_param(logged, "seed", run["seed"])
        found = accuracy(run, images, labels)
        client.log_metric(logged, "accuracy", found)
        client.set_terminated(logged)
        return found

    study = optuna.create_study(storage=f"sqlite:///{folder / 'optuna.db'}", direction="maximize")
    study.optimize(objective, n_trials=len(runs), n_jobs=JOBS)
    assert len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE])) == len(runs)


def by_tune(runs: list[dict[str, Any]], folder: Path) -> None:
    """A trial is an actor; images are put into the object store once."""
    import ray
    from ray import tune

    ray.init(num_cpus=JOBS, include_dashboard=False, log_to_driver=False)

    def trainable(config: dict[str, Any], images: Any, labels: Any) -> dict[str, float]:
        torch.set_num_threads(1)
        return {"accuracy": accuracy(config["run"], images, labels)}

    images, labels = digits()
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(trainable, images=images, labels=labels), {"cpu": 1}
        ),
        param_space={"run": tune.grid_search(runs)},
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    )
    results = tuner.fit()
    assert len(results) == len(runs)
    assert not results.errors


def by_hydra(runs: list[dict[str, Any]], folder: Path) -> None:
    """Its command line is written for it: one number a run."""
    import hydra

    path = folder / "runs.json"
    path.write_text(json.dumps(runs), "utf-8")
    (folder / "config.yaml").write_text(f"run: 0\nruns: {path}\n", "utf-8")
    sys.argv = [
        *(sys.argv[0], "--multirun", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={JOBS}"),
        *(f"hydra.sweep.dir={folder / 'multirun'}", "run=" + ",".join(map(str, range(len(runs))))),
    ]
    hydra.main(version_base=None, config_path=str(folder), config_name="config")(job)()
    assert len(list((folder / "multirun").glob("*/accuracy.json"))) == len(runs)


def job(config: Any) -> None:
    """One run of Hydra's; its joblib launcher keeps two processes, and so does torch's import."""
    from hydra.core.hydra_config import HydraConfig

    torch.set_num_threads(1)
    run = json.loads(Path(config.runs).read_text("utf-8"))[config.run]
    found = accuracy(run, *digits())
    folder = Path(HydraConfig.get().runtime.output_dir)
    (folder / "accuracy.json").write_text(json.dumps(found), "utf-8")


TOOLS: dict[str, Callable[[list[dict[str, Any]], Path], None]] = {
    "optuna": by_optuna,
    "tune": by_tune,
    "hydra": by_hydra,
}

if __name__ == "__main__":
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    tool, file, at = sys.argv[1:4]
    TOOLS[tool](json.loads(Path(file).read_text("utf-8")), Path(at).absolute())
