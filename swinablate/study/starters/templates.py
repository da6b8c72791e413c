"""Kinds of studies to start from, as text: each is a whole study of two cores' minutes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from swinablate.config.variants import NAME
from swinablate.errors import InputError


def check_new(name: str) -> None:
    """Refuse what cannot name a new study.

    Raises:
        InputError: it has other characters than a name, or the ending that its file gets.
    """
    if not NAME.fullmatch(name):
        hint = "letters, digits, and ._=,+()- or blanks; at most 80, the first a letter or digit"
        raise InputError(f"{name!r} cannot name a study", hint=hint)
    if name.endswith(".toml"):
        raise InputError(
            f"{name!r} names a file", hint="leave out .toml: the study's file gets it"
        )


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
VIT = """\
# The ViT of the study: its [model] alone is taken, what is trained on and how is the baseline's.
[model]
family = "vit"
patch = 2
width = 32             # the study fits it to the baseline's size
depth = 3
heads = 4

[data]
name = "digits"
"""
RESNET = """\
# The ResNet of the study: its [model] alone is taken.
[model]
family = "resnet"
depth = 8
width = 10             # the study fits it to the baseline's size

[data]
name = "digits"
"""
HEAD = """\
#   {program} plan {path}     shows arms, costs, and what the seeds can detect
#   {program} run {path}      trains and reports; start it again after any interruption
"""
COMPARE = """\
[compare]                        # declared before launch: changing it later is a new analysis
rope = 0.5                       # percentage points nobody should care about; yours to choose
alpha = 0.05                     # error rate of all comparisons together
"""
PARTS = (
    """\
# A study: one question, a baseline, and what to vary.
"""
    + HEAD
    + """\
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
)
ONE_AXIS = (
    """\
# One switch at several levels, each compared with the baseline's: how much of it is enough?
"""
    + HEAD
    + """\
question = "How much depth is enough?"
baseline = "{recipe}"   # relative to this file; its level is the one that others are compared with
seeds = 5                        # seeds 0..4 of every level; the baseline runs twice as many

[axes]                           # one switch alone; `swinablate switches` lists all
"model.depths" = [[1, 1], [4, 2], [2, 4], [4, 4]]

[[contrasts]]                    # levels among themselves; weights sum to 0
name = "two blocks more, first stage less second"
of = {{ "depths=(4,2)" = 1, "depths=(2,4)" = -1 }}

"""
    + COMPARE
)
FACTORIAL = (
    """\
# Switches in all combinations: what each does on average, and whether they depend on each other.
"""
    + HEAD
    + """\
question = "Does the shift matter more with a position bias, and does the norm change that?"
baseline = "{recipe}"   # relative to this file; its levels are implied in [axes]
seeds = 5                        # of every cell: here 2 x 2 x 2 = 8 cells
design = "factorial"             # "fraction" runs half of the cells, from five axes on

[axes]                           # levels beside the baseline's
"model.shift" = [false]
"model.position_bias" = ["none"]
"model.norm" = ["batch"]

"""
    + COMPARE
)
FAMILIES = (
    """\
# Networks of several families, as large as the baseline and trained alike.
"""
    + HEAD
    + """\
question = "Which family is best at equal size?"
baseline = "{recipe}"   # relative to this file
seeds = 5                        # seeds 0..4 of every arm; the baseline runs twice as many

[[arms]]
name = "ViT, same parameters"
recipe = "{stem}_vit.toml"       # its [model]; `take` takes more of it
match = {{ by = "params", tolerance = 0.05, adjust = "model.width" }}

[[arms]]
name = "ResNet-8, same parameters"
recipe = "{stem}_resnet.toml"
match = {{ by = "params", tolerance = 0.05, adjust = "model.width" }}

[[arms]]                         # equal parameters are not equal compute: ask both
name = "ViT, same MACs"
recipe = "{stem}_vit.toml"
match = {{ by = "macs", tolerance = 0.05, adjust = "model.width" }}

[[contrasts]]                    # those that are not the baseline among themselves
name = "ViT less ResNet-8, same parameters"
of = {{ "ViT, same parameters" = 1, "ResNet-8, same parameters" = -1 }}

"""
    + COMPARE
)
ADAPTIVE = (
    """\
# Seeds where they are needed: after every look, what is decided stops and the rest gets more.
# The intervals are adjusted for looking, so that several looks err no more often than one.
"""
    + HEAD
    + """\
question = "Which parts matter, with as few trainings as that takes?"
baseline = "{recipe}"   # relative to this file

[adaptive]
looks = [3, 5, 8, 12]            # seeds of an arm at each look; instead of `seeds`

[axes]                           # one arm for every level; the baseline is always run
"model.shift" = [false]
"model.position_bias" = ["none"]
"model.norm" = ["batch"]

[budget]                         # ends the study, decided or not
trials = 80

"""
    + COMPARE
)


@dataclass(frozen=True)
class Template:
    """A kind of study.

    Attributes:
        about: what it asks, in a line.
        study: its text, with places for the program, its own path and its recipes.
        others: recipes beside the baseline's: what is added to the study's name -> text.
    """

    about: str
    study: str
    others: Mapping[str, str] = field(default_factory=dict)


DEFAULT = "parts"
TEMPLATES: Mapping[str, Template] = {
    DEFAULT: Template("each part taken away by itself; everything else as remarks", PARTS),
    "one_axis": Template("one switch at several levels", ONE_AXIS),
    "factorial": Template("switches in all combinations", FACTORIAL),
    "families": Template(
        "Swin, ViT and ResNet of equal size", FAMILIES, {"vit": VIT, "resnet": RESNET}
    ),
    "adaptive": Template("seeds where they are needed, look after look", ADAPTIVE),
}
