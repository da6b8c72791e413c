"""What a plan of a study that draws splits of the data, or tunings, promises, in words."""

from swinablate.config.metrics import unit_on
from swinablate.records.plan import PlanRecord
from swinablate.records.tuning import ReplicatesRecord, TuningsRecord
from swinablate.text import after_difference, counted, places_in


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
    shown, unit = _sized(plan)
    spread = (
        f"a difference has sd {noise.difference['training']:.{shown}f} between trainings and "
        f"{noise.difference['split']:.{shown}f} between splits, from {noise.known}"
    )
    lines += [
        f"{_design(row)}: finds {row.detectable_pp:.{shown}f}{unit} with power 0.8 ({spread})."
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
        f"finds {row.detectable_pp:.{shown}f}{unit}."
        for row in noise.replicates
        if row.why == "budget"
    ]
    sizes = ", ".join(f"{size:.{shown}f} for {family}" for family, size in plan.effects_pp.items())
    if sizes:
        lines.append(f"Of the design's own effects: {sizes}.")
    return lines


def _sized(plan: PlanRecord) -> tuple[int, str]:
    """Decimals of differences as large as the noise of one, and what stands behind one."""
    own = unit_on(plan.compare.metric, plan.compare.scale)
    known = [sd for sd in (plan.noise.difference or {}).values() if sd]
    return places_in(own, min(known, default=None)), after_difference(own)


def _design(row: ReplicatesRecord) -> str:
    return f"{_many(row.each)}, {row.splits} splits"


def _many(each: int) -> str:
    """Seeds and splits in the words of the question how to spend trials."""
    return "One split a seed" if each == 1 else f"{each} seeds a split"


def tuning_lines(plan: PlanRecord) -> list[str]:
    """What a study that draws tunings can find of tuned arms, and what would find what matters.

    Args:
        plan: as it is recorded.
    """
    noise, rope = plan.noise, plan.compare.rope
    if "tuning" not in noise.sources:
        return []
    if not noise.tunings:
        return [f"What tuned arms can show: {noise.source}, or set noise.sd."]
    (shown, unit), spread = _sized(plan), noise.difference
    within = "trainings," if noise.splits < 2 else "trainings, each on a split of its own,"
    sd = (spread["training"] ** 2 + (spread["split"] ** 2 if noise.splits > 1 else 0)) ** 0.5
    known = (
        f"a difference has sd {spread['tuning']:.{shown}f} between tunings and {sd:.{shown}f} "
        f"between {within} from {noise.known}"
    )
    lines = []
    for row in noise.tunings:
        if row.why == "declared":
            found = f"finds {row.detectable_pp:.{shown}f}{unit} with power 0.8 ({known})"
            lines.append(f"Tuned arms: {_tuned(row)}: {found}.")
        elif row.tunings is None:
            lines.append(f"{_seeds(row)}: no number of tunings finds {rope:g}{unit}.")
        elif row.each is None:
            lines.append(
                f"{_tunings(row)}: no number of seeds finds {rope:g}{unit} with power 0.8; more "
                "tunings may."
            )
        else:
            lines.append(
                f"{_tuned(row)}: power 0.8 for {rope:g}{unit} at "
                f"{counted(row.trials or 0, 'trial')} at most."
            )
    return lines


def _tuned(row: TuningsRecord) -> str:
    split = ", one split a seed" if row.splits and row.splits > 1 else ""
    return f"{_tunings(row)}, {_seeds(row)}{split}"


def _tunings(row: TuningsRecord) -> str:
    return f"{counted(row.tunings or 0, 'tuning')} an arm"


def _seeds(row: TuningsRecord) -> str:
    return f"{counted(row.each or 0, 'seed')} a tuning"
