"""Training steps in a process of their own.

python steps.py MODEL TRAIN DEVICE SECONDS trains a network for so long, after steps that warm up,
and prints what it took; MODEL and TRAIN are fields of a recipe, as JSON.
"""

import json
import sys
from dataclasses import asdict, replace

import torch

from benchmarks.peers.steps import Track, own, recipe
from swinablate.training.machine import peak_mib

fields, settings, device, seconds = sys.argv[1:5]
made = recipe(json.loads(fields), **json.loads(settings))
track = Track(batch=made.train.batch, device=device, seconds=float(seconds))
spent = own("steps", made, track).ready()()
spent = replace(spent, memory_mib=peak_mib(torch.device(device)))
print(json.dumps(asdict(spent)))
