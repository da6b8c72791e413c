"""What a plan promises, in words: trials, looks, budget, and what it can and cannot show."""

from collections.abc import Sequence

from swinablate.cli.wording.datasets_text import dataset_lines
from swinablate.cli.wording.nested_text import nested_lines, tuning_lines
from swinablate.cli.wording.scale_text import scale_lines
from swinablate.config.metrics import ACCURACY, metric, unit_on
from swinablate.records.plan import PlanRecord
from swinablate.records.tuning import TuneRecord
from swinablate.study.search_space import LEAST
from swinablate.text import after_difference, counted, places_in

SPLITS = {"train": "training", "val": "validation", "test": "test"}
"""What splits are called."""


def promise(plan: PlanRecord) -> list[str]:
    """One line for each thing to know before launch.

    Args:
        plan: as it is recorded.
    """
    lines = [plan.shows, *images(plan), *_effort(plan), *_metrics(plan), *_power(plan)]
    lines += [*tuning_lines(plan), *scale_lines(plan), *dataset_lines(plan)]
    if plan.compare.rope is None:
        lines.append("No compare.rope is declared: nothing will be called equivalent.")
    return [*lines, *_formats(plan)]


def images(plan: PlanRecord) -> list[str]:
    """How many images there are, of each class where they are prepared, and what became of them.

    Those of the baseline; arms that have others are counted.
    """
    if not plan.images:
        return []
    base, *others = plan.images
    parts = [
        f"{count:,} {SPLITS[part]}{_each(base.per_class.get(part, ()))}"
        for part, count in base.sizes.items()
    ]
    later = "" if base.per_class else "; of each class once they are prepared"
    lines = [f"Images ({base.data}, {base.size}): {', '.join(parts)}{later}."]
    if base.converted:
        told = ", ".join(f"{count:,} {what}" for what, count in base.converted.items())
        lines.append(f"Of them were converted: {told}.")
    if others:
        arms = sum(len(one.arms) for one in others)
        lines.append(f"{counted(arms, 'arm')} of others: see `images` of `--json`.")
    return lines


def _each(counts: Sequence[int]) -> str:
    """How many a class has; nothing where that is not known."""
    if not counts:
        return ""
    least, most = min(counts), max(counts)
    return f" ({least:,} a class)" if least == most else f" ({least:,} to {most:,} a class)"


def _formats(plan: PlanRecord) -> list[str]:
    """What arms in plain fp32 leave untried; nothing where somebody chose a format."""
    formats = [
        (arm.recipe["train"]["precision"], arm.recipe["train"]["matmul"])
        for arm in plan.arms
        if "train" in arm.recipe
    ]
    if not formats or set(formats) != {("fp32", "highest")}:
        return []
    untried = (
        'Every arm trains in fp32: train.precision = "auto" times bf16 on the machine that trains '
        "and takes it where a step is a tenth faster (docs/running.md, Number formats)."
    )
    return [untried]


def _effort(plan: PlanRecord) -> list[str]:
    least, most = plan.trials.fewest, plan.trials.most
    count = f"{least} to {most}" if least < most else str(most)
    lines = [f"{count} trials, {plan.reused} of them recorded already."]
    if plan.looks:
        looks = ", ".join(str(look.seeds) for look in plan.looks)
        lines.append(
            f"Looks at {looks} seeds an arm, twice as many of the baseline; what is decided at a "
            "look runs no further."
        )
    if plan.tune:
        lines += _tuning(plan, plan.tune)
    units = {"gpu_hours": "GPU hours"}
    asked = [(n, units.get(unit, unit)) for unit, n in plan.budget if n is not None]
    limits = [f"{n:g} {unit.removesuffix('s') if n == 1 else unit}" for n, unit in asked]
    if limits:
        lines.append(f"Ends at {' or '.join(limits)}, decided or not.")
    return lines


def _metrics(plan: PlanRecord) -> list[str]:
    """What is compared, where that is not the accuracy; and what else is reported."""
    row, lines = metric(plan.compare.metric), []
    if row.name != ACCURACY:
        lines.append(f"Compared: {row.called} ({row.name}); {row.better} is better.")
    if plan.compare.scale == "logit":
        lines.append(
            "Compared by the odds of an error (scale = logit): differences, rope and sd are log "
            "odds; 0.1 of them are a tenth more or fewer errors."
        )
    if others := plan.compare.secondary:
        each = " of its own" if len(others) == 1 else " each of its own"
        lines.append(
            f"Reported beside it, with an error rate{each}: {', '.join(others)}; they decide "
            "nothing about it."
        )
    return lines


def _tuning(plan: PlanRecord, tune: TuneRecord) -> list[str]:
    """What tuning does, and what each number of tunings would cost and let say."""
    seeds = [len(arm.seeds) for arm in plan.arms]
    finals, fits = sum(seeds), min(seeds) >= LEAST
    how = {1: "", "seed": ", anew for every final seed"}.get(
        tune.repeats, f", {tune.repeats} times over"
    )
    what = (
        f"Tuning: {tune.trials} recipes for each of {len(seeds)} arms over "
        f"{', '.join(tune.space)}, {counted(tune.seeds, 'seed')} each{how}, on validation "
        f"accuracy: {_tries(tune, seeds)} trials; then up to {finals} final trials more at what "
        "was chosen."
    )
    once = (
        "Each arm is tuned once: how lucky that was is in no interval, so no verdict about arms "
        "at tuned recipes will be given, only the difference of the recipes found."
    )
    kinds = dict.fromkeys([1, *([LEAST] if fits else []), tune.repeats, "seed"])
    prices = [_price(tune.model_copy(update={"repeats": kind}), seeds) for kind in kinds]
    return [what, *([once] if tune.once else []), *prices]


def _price(tune: TuneRecord, seeds: Sequence[int]) -> str:
    """The trials of one number of tunings; the baseline's seeds come first."""
    base, arm, finals = seeds[0], max(seeds[1:]), sum(seeds)
    tries = _tries(tune, seeds)
    said = '"seed"' if tune.repeats == "seed" else tune.repeats
    none = "; no verdict about tuned arms" if tune.once else ""
    return (
        f"With tune.repeats = {said}: {_tries(tune, [arm])} tuning and {arm} tuned final trials "
        f"an arm, {_tries(tune, [base])} and {base} of the baseline; {tries} and {finals} in all, "
        f"together {tries + finals}{none}."
    )


def _tries(tune: TuneRecord, seeds: Sequence[int]) -> int:
    """Tuning trials of arms of so many final seeds."""
    return sum(tune.of(count) for count in seeds) * tune.trials * tune.seeds


def _power(plan: PlanRecord) -> list[str]:
    noise, effect = plan.noise, plan.detectable_pp
    if noise.nested:
        return nested_lines(plan)
    own = unit_on(plan.compare.metric, plan.compare.scale)
    if effect is None:
        few = "" if metric(plan.compare.metric).exact else _few(plan)
        unknown = [f"Smallest detectable difference: {noise.source}."]
        return [few, *_needed(plan, own)] if few else unknown
    unit = " percentage points" if own == "pp" else after_difference(own)
    shown = places_in(own, noise.sd)
    found = f"about {effect:.{shown}f}{unit}"
    if plan.looks:
        first, last = plan.looks[0], plan.looks[-1]
        found = (
            f"about {first.detectable_pp:.{shown}f}{unit} at the first look, "
            f"{last.detectable_pp:.{shown}f} at the last"
        )
    source = f"sd {noise.sd:.{shown}f} over seeds, {noise.source}"
    lines = [
        f"Smallest difference found with power 0.8: {found} ({source}; more if noise differs)."
    ]
    lines += _needed(plan, own)
    effects = ", ".join(f"{pp:.{shown}f} for {family}" for family, pp in plan.effects_pp.items())
    if effects:
        lines.append(f"Of the design's own effects: {effects}.")
    return lines


def _few(plan: PlanRecord) -> str:
    """That nothing will be judged, where seeds are too few; empty where they suffice."""
    # numpy takes a moment to import, which other commands do not need
    from swinablate.study.noise.expected import STATISTICS_SEEDS

    base, *others = [len(arm.seeds) for arm in plan.arms]
    most = min(base, max(others, default=STATISTICS_SEEDS))
    if not others or most >= STATISTICS_SEEDS:
        return ""
    do = "does" if most == 1 else "do"
    return (
        f"There will be no verdict: {counted(most, 'seed')} of an arm or the baseline {do} not "
        f"show how far seeds scatter. From {STATISTICS_SEEDS} on arms are judged; five or more "
        "say much more."
    )


def _needed(plan: PlanRecord, unit: str) -> list[str]:
    """How many seeds would show a difference of the rope, and equivalence within it."""
    if not plan.seeds_needed:
        return []
    # scipy takes a moment to import, which other commands do not need
    from swinablate.stats.estimate import BASELINE_RATIO
    from swinablate.stats.power import MOST, POWER, baseline_of

    margin = f"{plan.compare.rope:g}{after_difference(unit)}"
    ratio: float = BASELINE_RATIO
    if not plan.looks:
        ratio = len(plan.baseline.seeds) / len(plan.arms[1].seeds)
    who = "seeds an arm at the last look" if plan.looks else "seeds an arm"
    asked = {
        "difference": f"a difference of {margin}",
        "equivalence": f"equivalence within {margin}, if there is no difference",
    }
    found = []
    for key, what in asked.items():
        n = plan.seeds_needed.get(key)
        need = f"more than {MOST} {who}" if n is None else f"{n} {who}"
        more = "" if n is None else f" and {baseline_of(n, ratio)} of the baseline"
        found.append(f"To show {what}, with power {POWER:g}: {need}{more}.")
    return found
