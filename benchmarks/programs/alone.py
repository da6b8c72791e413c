"""The trials of a study as function calls, one after the other, in one process; nothing recorded.

python alone.py STUDY DATASETS FOLDER [--smoke] prints what training, evaluation and checkpoints
took; the images are there already, and FOLDER is new.
"""

import json
import sys
import time
from pathlib import Path

from swinablate.records.events import Job
from swinablate.study.files import load_study
from swinablate.study.planner import plan
from swinablate.training.fit import fit

study, datasets, folder = sys.argv[1:4]
made = plan(load_study(Path(study), smoke="--smoke" in sys.argv))
images = {arm.name: arm.shown for arm in made.arms}
jobs = [
    Job(
        trial=trial.id,
        attempt=1,
        recipe=trial.recipe.model_dump(mode="json"),
        image=images[trial.arm],
        seed=trial.seed,
        kind=trial.kind,
        folder=str(Path(folder) / trial.id),
        resume=(),
        data=datasets,
    )
    for trial in made.trials
]
wall, cpu = time.perf_counter(), time.process_time()
for job in jobs:
    Path(job.folder).mkdir(parents=True)
    fit(job, lambda _kind, _data: None, lambda: False)
spent = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
print(json.dumps({"units": len(jobs), **spent}))
