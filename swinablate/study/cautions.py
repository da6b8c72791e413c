"""What a plan accepts although it can hardly be meant, or makes arms harder to compare.

W18: arms that see other images; W19: how long they train; W20: numbers of an order that nobody
uses; W21: what can have no effect as it is written; W27: weights that were made to fit;
W32: networks of somebody's own that do what nobody expects.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from swinablate.config.levels import Level
from swinablate.config.metrics import metric
from swinablate.config.recipe import CommandRecipe, Recipe
from swinablate.config.train import TrainConfig
from swinablate.data import Sizes, acting, describe, unread_data
from swinablate.study.equality import DECIDE, Looked, acts_not, fields, in_vain, unread
from swinablate.study.plan import Arm, Plan
from swinablate.text import named_level

NAMED = 4
"""Arms that a warning shows: a line of them says which kind they are."""
EPOCHS = 10_000
"""Longer than any training of the papers that are cited here, on the smallest images."""
STEPS = 10_000_000
"""Of a trial: at a thousand steps a second, which few networks reach, nearly three hours; Swin on
ImageNet takes 375 thousand."""
ADAPTIVE_LR, PLAIN_LR = 0.1, 10.0
"""Adam moves every weight by up to the rate in each step, and weights are about 0.02 to 0.1 at the
start; of sgd, rates up to 3 are known to work (Smith 2018), per image up to about 10."""
LEAST_LR = 1e-8
"""Weights of fp32 near 0.1 are 7e-9 apart: below this, a step of Adam changes nothing."""
EPS = 1.0
"""Far above every gradient's size: Adam is then sgd at a rate of lr / eps."""
ALPHA = 10.0
"""Of mixup and cutmix: above, every mixture is nearly half and half; papers use 0.1 to 1."""
FIRST = 0.1
"""Share of the averaged weights that those after the first step may have: they have learned
nothing, and of a network's answers a tenth is seen."""
MARGIN = 4
"""Of padded crops, a share of the side: published ones shift by an eighth (4 of 32)."""
ROPE = 10.0
"""Percentage points: the tables that are cited here call differences of 1 large."""
LEVELS = 1e-4, 0.2
"""Error rates: below, no number of seeds that is run decides; above, one study in five that has
nothing to find reports something."""
THREADS = 256
"""Cores of the largest common machines."""
SAME = 2.0**-24
"""Relative: weights, rates and losses of two nearer numbers are the same in fp32."""
TEST = ("data.name", "data.root", "data.limit", "data.image", "data.size", "data.channels")
"""Fields that decide which images an arm is tested on."""
VAL = ("data.val_fraction", "data.split_seed", "data.resample_split")
"""Fields that decide which images choose, and which are left to train on."""

Found = Iterator[tuple[str, str]]


def cautions(plan: Plan) -> Iterator[dict[str, str]]:
    """What to beware of, as the plan records it; one line for all arms that share it."""
    arms = list(_at_their_data(plan))
    for find in (_unnamed, _images, _length, _magnitudes, _window, _fitted, _odd):
        yield from _grouped(arms, find)
    for code, text in (*_compared(plan), *_levels(plan), *_unread(plan), *_in_vain(plan)):
        yield {"code": code, "text": text}


def _grouped(every: Sequence[Arm], find: Callable[[Arm], Found]) -> Iterator[dict[str, str]]:
    arms: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for arm in every:
        command = isinstance(arm.recipe, CommandRecipe)
        for found in find(arm) if command == (find is _unnamed) else ():
            arms[found].append(arm.name)
    for (code, text), names in arms.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        who = "every arm" if len(names) == len(every) else ", ".join(names[:NAMED]) + more
        yield {"code": code, "text": f"{who}: {text}"}


def _at_their_data(plan: Plan) -> Iterator[Arm]:
    """The arms, without what their data set asks for: it is the baseline's there, too."""
    sets = plan.datasets.sets if plan.datasets else ()
    moved = {name: one.changes for one in sets for name in one.arms.values()}
    for arm in plan.arms:
        own = {
            path: what for path, what in arm.differs.items() if path not in moved.get(arm.name, ())
        }
        yield replace(arm, differs=own)


def _unnamed(arm: Arm) -> Found:
    """W29: code that nobody watches."""
    recipe = arm.recipe
    if isinstance(recipe, CommandRecipe) and recipe.command.sources == ():
        text = (
            "no sources are named: where the code of the command changes, trials of both are "
            "taken for the same."
        )
        yield "W29", text


def _images(arm: Arm) -> Found:
    """W18: arms are compared on images that are not the same."""
    test = [path for path in arm.differs if path.startswith(TEST)]
    if test:
        yield (
            "W18",
            (
                f"{_list(test)} differs: it is tested on other images than the baseline, and the "
                "difference is one of images, too."
            ),
        )
    val = [path for path in arm.differs if path in VAL]
    if val and not test:
        yield (
            "W18",
            (
                f"{_list(val)} differs: it trains on other images than the baseline, and its "
                "validation accuracy is of other images, too."
            ),
        )


def _length(arm: Arm) -> Found:
    """W19: batches, epochs and steps that are not what they look like."""
    train, sizes = arm.recipe.train, describe(arm.recipe.data)
    if sizes and train.batch > sizes.train:
        yield (
            "W19",
            (
                f"train.batch = {train.batch} is larger than the {sizes.train} training images: "
                "every step takes all of them, once an epoch."
            ),
        )
    default = TrainConfig.model_fields["epochs"].default
    if train.steps is not None and train.epochs != default:
        yield (
            "W19",
            f"train.steps = {train.steps} decides, and train.epochs = {train.epochs} is not read.",
        )
    yield from _long(train, sizes)


def _long(train: TrainConfig, sizes: Sizes | None) -> Found:
    per_epoch = max(1, sizes.train // train.batch) if sizes else 1
    steps = train.total(per_epoch)
    if train.steps is None and train.epochs > EPOCHS:
        yield "W19", f"train.epochs = {train.epochs} is more than any network is trained for."
    elif steps > STEPS:
        yield "W19", f"a trial takes {steps:,} steps: hours or days each, on any machine."


def _magnitudes(arm: Arm) -> Found:
    """W20: numbers of an order that nobody uses."""
    recipe = arm.recipe
    train, data = recipe.train, recipe.data
    yield from _rates(recipe)
    yield from _cropped(arm)
    if train.optimizer != "sgd" and train.eps > EPS:
        yield (
            "W20",
            f"train.eps = {train.eps:g} is larger than gradients: {train.optimizer} is sgd then.",
        )
    if train.threads > THREADS:
        yield "W20", f"train.threads = {train.threads} is more than machines have cores."
    sizes = describe(data)
    per_epoch = sizes.train // min(train.batch, sizes.train) if sizes else 0
    steps = train.total(per_epoch)
    if train.ema and steps and train.ema ** (steps - 1) > FIRST:
        share = 100 * train.ema ** (steps - 1)
        yield (
            "W20",
            (
                f"train.ema = {train.ema:g} averages over {1 / (1 - train.ema):,.0f} steps, and a "
                f"trial takes {steps:,}: {share:.0f} % of what is evaluated are the weights after "
                "the first."
            ),
        )
    for name, value in (("mixup", data.mixup), ("cutmix", data.cutmix)):
        if value > ALPHA:
            yield "W20", f"data.{name} = {value:g}: every mixture is nearly half and half."


def _cropped(arm: Arm) -> Found:
    """W20: padded crops that leave little of a small image."""
    assert arm.image is not None
    data, side = arm.recipe.data, min(arm.image.height, arm.image.width)
    shift = data.crop_margin if "crop" in data.augment else 0
    if isinstance(shift, int) and MARGIN * shift > side:
        yield (
            "W20",
            (
                f"data.crop_margin = {shift} of {side} pixels: crops lose up to "
                f"{100 * shift / side:.0f} % of a side."
            ),
        )


def _rates(recipe: Recipe) -> Found:
    train, lr = recipe.train, acting(recipe).peak_lr
    most = PLAIN_LR if train.optimizer == "sgd" else ADAPTIVE_LR
    if lr > most:
        yield (
            "W20",
            (
                f"train.lr = {lr:g} is above {most:g}, from where {train.optimizer} "
                "diverges or learns nothing."
            ),
        )
    elif lr < LEAST_LR:
        yield "W20", f"train.lr = {lr:g} is so small that weights stay as they are."
    elif lr * train.weight_decay >= 1:
        yield (
            "W20",
            (
                f"train.lr x train.weight_decay = {lr * train.weight_decay:g}: the decay "
                "alone takes all of the weights in a step."
            ),
        )


def _window(arm: Arm) -> Found:
    """W21: a window that no stage of the network can have."""
    written = getattr(arm.recipe.model, "window", None)
    rows = [row for row in arm.geometry if "window" in row]
    if not isinstance(written, int) or not rows:
        return
    if all(max(row["window"]) < written for row in rows):
        acts = ", ".join("x".join(map(str, row["window"])) for row in rows)
        yield (
            "W21",
            f"model.window = {written} is larger than the grid of every stage: it acts as {acts}.",
        )


def _fitted(arm: Arm) -> Found:
    """W27: what it starts from is not the file as it is."""
    if arm.fitted:
        yield "W27", f"the weights that it starts from are fitted: {'; '.join(arm.fitted)}."


def _odd(arm: Arm) -> Found:
    """W32: a network of somebody's own that is trained and tested otherwise than it seems."""
    for text in arm.odd:
        yield "W32", f"{arm.recipe.model.family} {text}"


def _compared(plan: Plan) -> Found:
    """W20 and W21: thresholds with which every answer is the same."""
    compare = plan.study.compare
    percent = metric(compare.metric).unit == "pp" and compare.scale == "linear"
    if percent and compare.rope is not None and compare.rope > ROPE:
        yield (
            "W20",
            (
                f"compare.rope = {compare.rope:g} percentage points calls nearly every difference "
                "equivalent."
            ),
        )
    if not LEVELS[0] <= compare.alpha <= LEVELS[1]:
        says = (
            "hardly anything is ever decided"
            if compare.alpha < LEVELS[0]
            else f"{100 * compare.alpha:.0f} of 100 studies that have nothing to find report "
            "something"
        )
        yield "W20", f"compare.alpha = {compare.alpha:g}: {says}."
    if compare.rope is None:
        names = [
            one.about
            for one in plan.study.hypotheses
            if one.expect == "equivalent" and not one.quantity
        ]
        if names:
            yield (
                "W21",
                (
                    f"the hypothesis that {_list(names)} is equivalent can never be supported: no "
                    "compare.rope is declared."
                ),
            )


def _levels(plan: Plan) -> Found:
    """W21: levels that are one number to a network."""
    for path, levels in plan.study.axes.items():
        known = [pair[0] for arm in plan.arms if (pair := arm.differs.get(path))][:1]
        numbers = sorted(x for x in (*levels, *known) if isinstance(x, float))
        for low, high in pairwise(numbers):
            if high - low <= SAME * max(abs(low), abs(high)):
                yield (
                    "W21",
                    (
                        f"{path}: {named_level(low)} and {named_level(high)} are the same number "
                        "where networks compute, in fp32."
                    ),
                )


def _unread(plan: Plan) -> Found:
    """W21: fields of training and data that are set, and that no arm reads."""
    every = [arm for arm in plan.arms if not isinstance(arm.recipe, CommandRecipe)]
    tuned = plan.study.tune.space if plan.study.tune else ()
    if plan.study.smoke or any(f"train.{name}" in tuned for name in DECIDE):
        return  # of a smoke run the batch and the steps are its own
    for part, read in (("train", _in_training), ("data", lambda recipe: unread_data(recipe.data))):
        lost = set.intersection(*(read(arm.recipe) for arm in every)) if every else set()
        for name in sorted(lost):
            default = type(getattr(every[0].recipe, part)).model_fields[name].default
            arms = [a for a in every if getattr(getattr(a.recipe, part), name) != default]
            if arms:
                path = f"{part}.{name}"
                yield "W21", f"{path} = {named_level(_level_of(arms[0], path))} is read by no arm."


def _in_vain(plan: Plan) -> Found:
    """W21: switches that the baseline's network sets, and that act in no arm."""
    base = plan.arms[0].recipe
    if plan.study.smoke or isinstance(base, CommandRecipe):
        return
    looked = Looked()
    for name in in_vain(base, looked):
        value = getattr(base.model, name)
        same = [a.recipe for a in plan.arms if getattr(a.recipe.model, name, None) == value]
        if all(acts_not(recipe, name, looked) for recipe in same):
            path = f"model.{name}"
            yield "W21", f"{path} = {named_level(_level_of(plan.arms[0], path))} acts in no arm."


def _in_training(recipe: Recipe) -> set[str]:
    """Fields of training that nothing reads; W19 says so of epochs."""
    batch = {"lr_batch"} if recipe.train.lr_scale == "none" else set()
    return (unread(recipe) | batch) - {"epochs"}


def _level_of(arm: Arm, path: str) -> Level:
    """What a switch is set to in an arm."""
    return fields(arm.recipe.model_dump(mode="json"))[path]


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (" ..." if len(names) > NAMED else "")
