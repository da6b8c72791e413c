"""A commented study file to start from."""

import shlex
from pathlib import Path

from swinablate.errors import InputError
from swinablate.records.disk.files import write_atomically
from swinablate.records.launch import as_typed, program
from swinablate.study.files import NAME

RECIPE = """\
# A recipe: one training run, fully specified. `swinablate switches` lists every field.
[model]
family = "swin"        # swin, vit, resnet, ...
patch = 1
width = 16
depths = [2, 2]
heads = [2, 4]
window = 2

[data]
name = "digits"        # digits, shapes, fashion_mnist, cifar10, cifar100

[train]
epochs = 15
batch = 64
lr = 3e-3
precision = "auto"     # bf16 where that is a tenth faster, asked once a study; else fp32
"""
STUDY = """\
# A study: one question, a baseline, and what to vary.
#   {program} plan {path}     shows arms, costs, and what the seeds can detect
#   {program} run {path}      trains and reports; start it again after any interruption
question = "Which parts matter?"
baseline = "{recipe}"   # relative to this file
seeds = 5                        # seeds 0..4 of every arm; the baseline runs twice as many
design = "one_at_a_time"         # or "factorial", "fraction" (resolution V), "path" (both orders)

[axes]                           # one arm for every level; the baseline is always run
"model.shift" = [false]
"model.position_bias" = ["none"]

# [[arms]]                       # an arm with several changes, or the model of another recipe
# name = "no shift, no bias"
# changes = {{ "model.shift" = false, "model.position_bias" = "none" }}

# [[contrasts]]                  # a comparison of any arms; its weights sum to 0
# name = "shift, without bias less with it"
# of = {{ "no shift, no bias" = 1, "shift=false" = -1, "position_bias=none" = -1, "baseline" = 1 }}

# [adaptive]                     # instead of seeds: more of them for what is not decided yet
# looks = [3, 5, 8, 12, 16]

# [tune]                         # with seeds: every arm also at a recipe tuned for it, on
# trials = 12                    # validation; the same number of recipes for each
# repeats = "seed"               # anew for every seed; tuned once, arms have no verdict
# space = {{ "train.lr" = {{ low = 3e-4, high = 1e-2, log = true }}, "train.clip" = [0.0, 5.0] }}

# [budget]                       # ends the study, decided or not
# hours = 2.0                    # of training, summed over slots; or trials = 60

[compare]                        # declared before launch: changing it later is a new analysis
# metric = "test/loss"           # nats, lower is better; test/accuracy unless you say otherwise
# secondary = ["test/ece"]       # reported beside it, each with an error rate of its own
# rope = 0.5                     # percentage points nobody should care about; without it
                                 # nothing is ever called equivalent
alpha = 0.05                     # error rate of all comparisons together

# [[hypotheses]]                 # answered with supported, contradicted or unresolved
# arm = "shift=false"
# expect = "worse"               # better, worse, equivalent
# by = 1.0                       # at least, percentage points
# source = "Swin, Table 4"
"""


def write_template(name: str, folder: Path) -> tuple[Path, Path]:
    """Write `studies/<name>.toml` and its recipe below a folder; never over a file.

    Returns:
        The study and the recipe.

    Raises:
        InputError: the name cannot be a study's, or a file is there.
        EnvironmentFault: the disk refuses.
    """
    if not NAME.fullmatch(name):
        hint = "letters, digits, and ._=,+()- or blanks; at most 80"
        raise InputError(f"{name!r} cannot name a study", hint=hint)
    study, recipe = folder / "studies" / f"{name}.toml", folder / "experiments" / f"{name}.toml"
    for path in (study, recipe):
        if path.exists():
            raise InputError("the file exists", at=str(path), hint="choose another name")
    text = STUDY.format(
        program=shlex.join(program()),
        path=shlex.quote(str(study)),
        recipe=f"../experiments/{name}.toml",
    )
    for path, content in ((recipe, RECIPE), (study, text)):
        write_atomically(path, as_typed(content))
    return study, recipe
