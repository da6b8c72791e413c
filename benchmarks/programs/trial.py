"""One trial as a user's script runs it: a process of its own, with everything imported.

python trial.py FOLDER: the folder has the images, and gets Optuna's and MLflow's stores.
"""

import json
import sys
from pathlib import Path

import mlflow
import numpy as np
import optuna
import pandas as pd
import torch
from torchvision import transforms

from benchmarks.peers.post000 import Swin

folder = Path(sys.argv[1]).absolute()
steps, batch = int(sys.argv[2]), int(sys.argv[3])
optuna.logging.set_verbosity(optuna.logging.WARNING)
torch.set_num_threads(1)
mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
mlflow.set_experiment("timed")
study = optuna.create_study(
    study_name="timed",
    storage=f"sqlite:///{folder / 'optuna.db'}",
    direction="maximize",
    load_if_exists=True,
)
images = np.load(folder / "images.npz")
normalise = transforms.Normalize((0.5,) * 3, (0.5,) * 3)
x = normalise(torch.from_numpy(images["x"]).float() / 255)
y = torch.from_numpy(images["y"])
trial = study.ask()
torch.manual_seed(trial.number)
model = Swin(width=8, depths=(2,), heads=(2,))
optimizer = torch.optim.Adam(
    model.parameters(), lr=trial.suggest_float("lr", 1e-4, 1e-2, log=True)
)
with mlflow.start_run(run_name=f"trial {trial.number}"):
    mlflow.log_params(trial.params)
    for _ in range(steps):
        rows = torch.randperm(len(x))[:batch]
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows])
        torch.autograd.backward(loss)
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(x).argmax(1) == y).float().mean().item()
    mlflow.log_metrics({"train/loss": loss.item(), "val/accuracy": accuracy}, step=1)
study.tell(trial, accuracy)
print(json.dumps({"rows": len(pd.DataFrame([trial.params]))}))
