"""A study as a loop over post 000's code: one process, one run after the other.

python plain_loop.py FOLDER prints nothing; the folder has images and the runs (JSON).
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.peers.post000 import Swin


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images and classes, as torchvision's CIFAR10 gives them."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray) -> None:
        self.pixels, self.labels = pixels, labels
        spread = (0.5,) * 3
        self.transform = transforms.Compose(
            [transforms.ToPILImage(), transforms.ToTensor(), transforms.Normalize(spread, spread)]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.transform(self.pixels[i]), int(self.labels[i])


folder = Path(sys.argv[1])
torch.set_num_threads(1)
images = np.load(folder / "images.npz")
train = Pictures(images["x"], images["y"])
test = Pictures(images["x_test"], images["y_test"])
for run in json.loads((folder / "runs.json").read_text()):
    torch.manual_seed(run["seed"])
    model = Swin(width=run["width"], depths=run["depths"], heads=run["heads"])
    optimizer = torch.optim.Adam(model.parameters(), lr=run["lr"])
    criterion = nn.CrossEntropyLoss()
    done = 0
    while done < run["steps"]:
        model.train()
        for x, y in DataLoader(train, run["batch"], shuffle=True, drop_last=True):
            if done == run["steps"]:
                break
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            loss.item()
            done += 1
    model.eval()
    with torch.no_grad():
        sum((model(x).argmax(1) == y).sum().item() for x, y in DataLoader(test, run["batch"]))
