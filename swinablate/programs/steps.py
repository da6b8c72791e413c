"""Training steps in a process of their own.

python steps.py FIELDS BATCH DEVICE SECONDS trains a network (FIELDS is JSON) for so long, after
steps that warm up, and prints what it took.
"""

import json
import sys
from dataclasses import asdict, replace

import torch

from swinablate.machine import peak_mib
from swinablate.peers.steps import Track, own, recipe

fields, batch, device, seconds = sys.argv[1:5]
track = Track(batch=int(batch), device=device, seconds=float(seconds))
spent = own("steps", recipe(json.loads(fields), batch=track.batch), track).ready()()
spent = replace(spent, memory_mib=peak_mib(torch.device(device)))
print(json.dumps(asdict(spent)))
