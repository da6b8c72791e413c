"""Post 000's network, trained by a script of one's own: one file with argparse, nothing of ours.

python -m benchmarks.programs.post000_train --seed 0 --window 2 --out FOLDER writes
FOLDER/history.csv.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from benchmarks.peers.post000 import Swin

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--window", type=int, default=2)
parser.add_argument("--lr", type=float, default=0.003)
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--out", type=Path, default=Path())
words = parser.parse_args()

torch.manual_seed(words.seed)
images, labels = load_digits(return_X_y=True)
# Twice as large, in three channels, as the post's network takes them.
pixels = np.kron(images.reshape(-1, 1, 8, 8) / 8 - 1, np.ones((1, 3, 2, 2)))
x, y = torch.tensor(pixels, dtype=torch.float32), torch.tensor(labels)
train, test = slice(0, 512), slice(1297, 1797)
model = Swin(patch=2, width=16, depths=(2, 2), heads=(2, 4), window=words.window)
optimizer = torch.optim.Adam(model.parameters(), lr=words.lr)
criterion = nn.CrossEntropyLoss()
with (words.out / "history.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["epoch", "loss", "accuracy"])
    for epoch in range(1, words.epochs + 1):
        losses = []
        for batch in torch.randperm(512).view(8, 64):
            optimizer.zero_grad()
            loss = criterion(model(x[train][batch]), y[train][batch])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            right = (model(x[test]).argmax(1) == y[test]).float().mean().item()
        table.writerow([epoch, sum(losses) / len(losses), 100 * right])
        file.flush()
