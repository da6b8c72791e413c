"""What a plan of a study that draws splits of the data promises, in words."""

from swinablate.config.metrics import metric
from swinablate.records.plan import PlanRecord
from swinablate.records.tuning import ReplicatesRecord
from swinablate.text import LOG_ODDS, after_difference, counted


def nested_lines(plan: PlanRecord) -> list[str]:
    """What it can find, and how many splits and seeds would find what matters.

    Args:
        plan: as it is recorded.
    """
    noise = plan.noise
    each = len(plan.baseline.seeds) // noise.splits
    said = (
        f"Every arm is trained on {noise.splits} splits of the data, with "
        f"{counted(each, 'seed')} on each; intervals hold over training seeds and data splits."
    )
    lines = [said]
    if not noise.difference:
        return [*lines, f"Smallest detectable difference: {noise.source}, or set noise.sd."]
    own = LOG_ODDS if plan.compare.scale == "logit" else metric(plan.compare.metric).unit
    unit = after_difference(own)
    spread = (
        f"a difference has sd {noise.difference['training']:.2f} between trainings and "
        f"{noise.difference['split']:.2f} between splits, from {noise.known}"
    )
    lines += [
        f"{_design(row)}: finds {row.detectable_pp:.2f}{unit} with power 0.8 ({spread})."
        for row in noise.replicates
        if row.why == "declared"
    ]
    rope = plan.compare.rope
    lines += [
        f"{_design(row)}: power 0.8 for {rope:g}{unit} at {counted(row.trials or 0, 'trial')}, "
        f"{row.trials // len(plan.arms) if row.trials else 0} an arm."
        if row.splits is not None
        else f"{_many(row.each)}: no number of splits finds {rope:g}{unit} with power 0.8."
        for row in noise.replicates
        if row.why == "rope"
    ]
    lines += [
        f"The budget of {plan.budget.trials} trials: {_design(row)[0].lower()}{_design(row)[1:]}, "
        f"finds {row.detectable_pp:.2f}{unit}."
        for row in noise.replicates
        if row.why == "budget"
    ]
    sizes = ", ".join(f"{size:.2f} for {family}" for family, size in plan.effects_pp.items())
    if sizes:
        lines.append(f"Of the design's own effects: {sizes}.")
    return lines


def _design(row: ReplicatesRecord) -> str:
    return f"{_many(row.each)}, {row.splits} splits"


def _many(each: int) -> str:
    """Seeds and splits in the words of the question how to spend trials."""
    return "One split a seed" if each == 1 else f"{each} seeds a split"
