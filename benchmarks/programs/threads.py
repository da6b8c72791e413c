"""A study as Optuna runs it with `n_jobs`: trials are threads of one process.

python threads.py FOLDER TRIALS JOBS STEPS BATCH prints what it took from its first trial on.
"""

import json
import sys
import threading
import time
from pathlib import Path

import mlflow
import numpy as np
import optuna
import torch
from torchvision import transforms

from benchmarks.peers.post000 import Swin

folder = Path(sys.argv[1]).absolute()
trials, jobs, steps, batch = map(int, sys.argv[2:6])
optuna.logging.set_verbosity(optuna.logging.WARNING)
torch.set_num_threads(1)
mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
experiment = mlflow.set_experiment("timed").experiment_id
client = mlflow.MlflowClient()
images = np.load(folder / "images.npz")
normalise = transforms.Normalize((0.5,) * 3, (0.5,) * 3)
x = normalise(torch.from_numpy(images["x"]).float() / 255)
y = torch.from_numpy(images["y"])
began: list[tuple[float, float]] = []
lock = threading.Lock()


def objective(trial: optuna.Trial) -> float:
    """Train once."""
    with lock:
        if not began:
            began.append((time.perf_counter(), time.process_time()))
    model = Swin(width=8, depths=(2,), heads=(2,))
    lr = trial.suggest_float("lr", 1e-4, 1e-2, log=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    run = client.create_run(experiment, run_name=f"trial {trial.number}").info.run_id
    client.log_param(run, "lr", lr)
    for _ in range(steps):
        rows = torch.randperm(len(x))[:batch]
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows])
        torch.autograd.backward(loss)
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy: float = (model(x).argmax(1) == y).float().mean().item()
    client.log_metric(run, "train/loss", loss.item(), step=1)
    client.log_metric(run, "val/accuracy", accuracy, step=1)
    client.set_terminated(run)
    return accuracy


study = optuna.create_study(
    study_name="threads",
    storage=f"sqlite:///{folder / 'optuna.db'}",
    direction="maximize",
    load_if_exists=True,
)
study.optimize(objective, n_trials=trials, n_jobs=jobs)
wall, cpu = began[0]
print(json.dumps({"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}))
