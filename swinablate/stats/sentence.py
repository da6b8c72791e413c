"""Verdicts in words. Never "no difference": what was not shown is undecided."""

from collections.abc import Mapping, Sequence

import numpy as np

from swinablate.stats.declaration import CONTRASTS, Declaration, Judged, Tally
from swinablate.stats.estimate import BASELINE_RATIO, WHOLE
from swinablate.stats.judge import CHOSEN, DUNNETT, SHRUNKEN
from swinablate.stats.power import POWER, baseline_of
from swinablate.stats.sample import Sample, cells
from swinablate.stats.seeds.units import ended
from swinablate.stats.seeds.variances import RAISED, prior_seeds
from swinablate.text import LOG_ODDS, counted, ends, error_ratio, number, signed

SEQUENTIAL = "group-sequential"


def sentence(arm: Tally, found: Judged, baseline: Tally, declaration: Declaration) -> str:
    """Return one sentence that says what was found of an arm, and how surely.

    Args:
        arm: its seeds.
        found: its difference from the baseline.
        baseline: the seeds of the baseline, or of the arm that stands in its place.
        declaration: metric, level and rope.
    """
    own = baseline.name == declaration.baseline
    if found.verdict == "not tested":
        return f"{arm.name}: not tested ({found.reason})."
    if found.verdict == "pending":
        return f"{arm.name}: pending ({found.reason}){so_far(arm, found, declaration)}."
    if found.verdict == "fails to train":
        return f"{arm.name} fails to train: it {found.reason}{so_far(arm, found, declaration)}."
    if found.reason:
        return f"{arm.name}: undecided, because {found.reason}{so_far(arm, found, declaration)}."
    given = " given convergence" if found.given_convergence else ""
    over = "" if own else f" against {baseline.name}"
    evidence = f"{interval(found, declaration)}; {_against(arm, found, baseline, declaration)}"
    worst = _worst(found) + early(found)
    if found.verdict == "equivalent":
        return (
            f"{arm.name}: equivalent to {'the baseline' if own else baseline.name} within "
            f"{margin(declaration)}{given} "
            f"({shown(found, declaration)}, {evidence}{shorter(found, declaration)}).{worst}"
        )
    if found.verdict == "undecided":
        need = _need(arm, found, baseline, declaration)
        said = f"{arm.name}: undecided{over}{given} ({shown(found, declaration)}, {evidence})"
        return f"{said}; {need}{worst}"
    delta = found.delta_pp or 0.0
    moves = "raises" if delta > 0 else "lowers"
    small = f", but by less than {declaration.rope_pp}{declaration.suffix} (negligible)"
    size, _ = ends(abs(delta), abs(delta), declaration.places(found.se))
    by = f"{size.removeprefix('+')}{declaration.suffix}"
    by += _errors(found, declaration)
    return (
        f"{arm.name} {moves} {declaration.words} by {by}{over}{given} "
        f"({evidence}): {found.verdict}{small if found.negligible else ''}.{worst}"
    )


def interval(found: Judged, declaration: Declaration) -> str:
    """Return the simultaneous interval in words, signed."""
    kind = "repeated" if found.method.startswith(SEQUENTIAL) else "simultaneous"
    both = " to ".join(ends(found.ci_low, found.ci_high, declaration.places(found.se)))
    over = f" {declaration.units.over}" if declaration.units.over else ""
    return f"{_level(declaration.alpha)} {kind} CI {both}{over}"


def methods(
    samples: Mapping[str, Sample], declaration: Declaration, how: str, comparisons: int, also: str
) -> str:
    """Return a paragraph for a paper that says what was done.

    Args:
        samples: the seeds of every arm.
        declaration: what was declared before launch.
        how: the method that judged the arms.
        comparisons: how many share the error rate.
        also: how the contrasts of arms were judged, in words, where that is another way.
    """
    tallies = [sample.tally for sample in samples.values()]
    base, arms = tallies[0], tallies[1:]
    declared = "declared " if declaration.declared else ""
    what = (
        f"{_capital(declaration)} was compared with the baseline's "
        f"({_count(ended(base))}) in {counted(comparisons, f'{declared}comparison')} "
        f"({count_range([ended(t) for t in arms])} an arm).{_more(declaration)}"
    )
    adjusted = "" if comparisons == 1 else " is adjusted for them in a single step and"
    reach = (
        f"The p-value beside an interval{adjusted} lies below {declaration.alpha:g} exactly where "
        f"that excludes 0. {_reach(declaration)}"
    )
    statistic = _statistic(how, declaration, comparisons) + _uneven(how, samples, declaration)
    rule, lost = _rule(declaration, comparisons), _losses(tallies, declaration.alpha)
    return " ".join(filter(None, (declaration.shows, what, statistic, also, rule, lost, reach)))


def _reach(declaration: Declaration) -> str:
    """What training again would show, by the sources of noise that were drawn over."""
    units = declaration.units
    if not declaration.declared:
        return (
            "The intervals say what other such runs would show; what varies between runs, and "
            "whether all were tested on the same data, is not known here."
        )
    if not units.of:
        kept = ", on this cut of training and validation images" if units.over else ""
        return (
            "The intervals say what training again with other seeds would show on the same test "
            f"set{kept}, not what other images would."
        )
    return (
        f"Every arm was trained on the same {len(set(units.of.values()))} splits of the training "
        f"and validation images, with {_count(units.each)} on each; the splits' means were "
        "compared, so that degrees of freedom are those of splits. The intervals say what "
        "training again with other seeds on other such splits would show on the same test set, "
        "not what other test images would."
    )


def methods_beside(declaration: Declaration, first: Declaration) -> str:
    """Return a paragraph for a paper about another metric of a study that added seeds.

    Args:
        declaration: of the other metric.
        first: of the metric that decided how many seeds there are.
    """
    return (
        f"How many seeds an arm has was decided by {first.words}. {_capital(declaration)} is "
        "judged once, by the repeated interval of the look at which that happened (alpha = "
        f"{declaration.alpha:g}, spent with the square of the seeds; Bonferroni over the "
        "comparisons of a family): such an interval holds at whatever look one stops, and for "
        "whatever reason. Where an arm stopped early it is wide."
    )


def sequential_methods(
    samples: Mapping[str, Sample], declaration: Declaration, how: str, looks: Sequence[int]
) -> str:
    """Return a paragraph for a paper about a study that added seeds until it knew.

    Args:
        samples: the seeds of every arm.
        declaration: what was declared before launch.
        how: the method that judged the arms.
        looks: seeds of an arm at each look.
    """
    tallies = [sample.tally for sample in samples.values()]
    base, arms = tallies[0], tallies[1:]
    comparisons = len(arms) - len(declaration.elsewhere)
    what = (
        f"{_capital(declaration)} was compared with the baseline's in "
        f"{counted(comparisons, 'declared comparison')} by a group-sequential design with "
        f"looks at {', '.join(map(str, looks))} seeds an arm, the baseline having twice as many; "
        f"arms stopped at {count_range([t.n for t in arms])}, the baseline at {base.n}."
        f"{_more(declaration)}"
    )
    statistic = (
        f"Each look compared {_test(how, len(arms))} with the level spent for it (alpha = "
        f"{declaration.alpha:g}, spent with the square of the seeds; Holm over arms). Intervals "
        "are repeated intervals at the level of the look that decided."
    )
    rule = "An arm still open after the last look is undecided."
    if declaration.rope_pp is not None:
        rule = (
            "An arm is called equivalent if both one-sided tests place it within the declared "
            f"margin of {margin(declaration)} at a look. {rule}"
        )
    reach = (
        "The intervals say what training again with other seeds would show on the same test "
        "set, not what other images would."
    )
    lost = _losses(tallies, declaration.alpha)
    return " ".join(filter(None, (declaration.shows, what, statistic, rule, lost, reach)))


def _more(declaration: Declaration) -> str:
    """What stands beside the comparisons with the baseline."""
    m = sum(contrast.family == CONTRASTS for contrast in declaration.contrasts)
    if not m:
        return ""
    own, joint = f"{100 * declaration.alpha:g} %", "" if m == 1 else " together"
    were = "were" if joint else "was"
    return (
        f" {counted(m, 'contrast')} of arms {were} declared beside them, a family of its own: the "
        f"chance of a wrong word is at most {own} for those{joint}, and the intervals hold{joint}."
    )


def _statistic(how: str, declaration: Declaration, comparisons: int) -> str:
    what = f"by {_test(how, comparisons, declaration.units.word)}"
    if comparisons == 1:
        return f"The difference was judged {what}, with a {_level(declaration.alpha)} interval."
    correction = (
        "many-to-one t, correlations from the numbers of seeds"
        if how in {SHRUNKEN, DUNNETT}
        else f"Bonferroni over {comparisons}"
    )
    return (
        f"Differences were judged {what}; the {_level(declaration.alpha)} intervals hold "
        f"simultaneously ({correction})."
    )


def _test(how: str, comparisons: int, unit: str = "seed") -> str:
    """The test in standard terms: what was compared, and with which variances."""
    if how == DUNNETT:
        return "Dunnett's test with one pooled variance"
    test = "Welch's t"
    if "paired" in how:
        chosen = ", chosen from the covariances of the seeds" if CHOSEN in how else ""
        test = f"paired t (differences within {unit}s{chosen})"
    if "shrunken" not in how and not (how.startswith(SEQUENTIAL) and comparisons > 1):
        return test
    return (
        f"{test} with variances moderated by empirical Bayes (Smyth 2004: towards the square of "
        "the mean standard deviation, with prior degrees of freedom from the scatter of the log "
        f"variances, at most {RAISED:g} where that raises a variance and at most "
        f"{prior_seeds(comparisons):g} where it lowers one)"
    )


def _uneven(how: str, samples: Mapping[str, Sample], declaration: Declaration) -> str:
    """That an arm of few seeds borrows less, where there is one."""
    moments = cells(samples)
    used = moments.pooled & (moments.n > 1)
    if "shrunken" not in how or not used.any():
        return ""
    less = used & (moments.n < np.median(moments.n[used]))
    few = [name for name, fewer in zip(samples, less, strict=True) if fewer]
    if not few:
        return ""
    unit = declaration.units.word
    return (
        f" Where an arm has fewer {unit}s than most ({', '.join(few)}), its variance is lowered "
        f"by less: by the square of its share of the median number of {unit}s."
    )


def _rule(declaration: Declaration, comparisons: int) -> str:
    rule = "A difference is called better or worse if its interval excludes 0"
    if declaration.better == "lower":
        rule += f" (lower {declaration.words} is better)"
    made, declared = ("declared", "declared ") if declaration.declared else ("given", "")
    if declaration.rope_pp is None:
        return f"{rule}, else undecided; no equivalence margin was {made}."
    return (
        f"{rule}, equivalent if both one-sided tests at level {declaration.alpha:g}/"
        f"{comparisons} place it within the {declared}margin of {margin(declaration)}, "
        "else undecided."
    )


def _losses(tallies: list[Tally], alpha: float) -> str:
    diverged, failed = (sum(getattr(t, key) for t in tallies) for key in ("diverged", "failed"))
    if not diverged and not failed:
        return ""
    total = diverged + failed + sum(ended(t) for t in tallies)
    said = f"Of {total} trials {diverged} diverged and {failed} failed; "
    if not diverged:
        return f"{said}the arms concerned have no verdict, and their means are given convergence."
    return (
        f"{said}an arm fails to train if its seeds diverged more often than the baseline's "
        "(Fisher's exact test, two-sided, with Tarone's correction over the arms where some seed "
        f"diverged: a family of its own at {alpha:g}), or if all of them did and none of the "
        "baseline's. Other means are given convergence; an arm with a failed trial has no verdict."
    )


def _need(arm: Tally, found: Judged, baseline: Tally, declaration: Declaration) -> str:
    """How many seeds would answer the question that the estimate leaves open, and what these can.

    An estimate that is nearer to 0 than to the margin asks for equivalence: seeds that find a
    difference of that size would not find one.
    """
    power = f"with power {POWER:g}"
    near = abs(found.delta_pp or 0.0) < (declaration.rope_pp or 0.0) / 2
    need = found.seeds_equivalence if near else found.seeds_needed
    if need is not None and need > arm.n:
        other = baseline_of(need, baseline.n / arm.n) - baseline.n
        name = "the baseline" if baseline.name == declaration.baseline else baseline.name
        more = f"{counted(need - arm.n, 'more seed')} of {arm.name}"
        both = f" and {other} of {name}" if other > 0 else ""
        what = f"a difference of {margin(declaration)} {power}"
        if near:
            what = f"equivalence within {margin(declaration)} {power}, if there is no difference"
        return f"{more}{both} would show {what}."
    used = arm.n if found.pairs is None else found.pairs
    return f"{counted(used, declaration.units.word)} detect {reach(found, declaration)}."


def reach(found: Judged, declaration: Declaration) -> str:
    """Return what as many seeds find, and how surely."""
    size = number(found.detectable_pp, declaration.places(found.se))
    none = declaration.unit == "pp" and (found.detectable_pp or 0.0) > WHOLE
    least = "no difference that percentages can have" if none else f"{size}{declaration.suffix}"
    return f"{least} with power {POWER:g}"


def so_far(arm: Tally, found: Judged, declaration: Declaration) -> str:
    """Return what is known of a comparison without a verdict."""
    if found.ci_low is None or found.delta_pp is None:
        return ""
    given = " given convergence" if arm.diverged or found.given_convergence else ""
    return f"; {shown(found, declaration)}{given}, {interval(found, declaration)}"


def shown(found: Judged, declaration: Declaration) -> str:
    """Return the estimate, signed, and of log odds what it makes of the errors."""
    delta = f"{signed(found.delta_pp, declaration.places(found.se))}{declaration.suffix}"
    return f"{delta}{_errors(found, declaration)}"


def _errors(found: Judged, declaration: Declaration) -> str:
    """What a difference of log odds makes of the errors."""
    if declaration.unit != LOG_ODDS:
        return ""
    return f", {error_ratio(found.delta_pp, found.ci_low, found.ci_high)}"


def shorter(found: Judged, declaration: Declaration) -> str:
    """The interval that shows equivalence, where the one beside it leaves the margin."""
    rope = declaration.rope_pp or 0.0
    if -rope < (found.ci_low or 0.0) and (found.ci_high or 0.0) < rope:
        return ""
    both = ends(found.equivalence_low, found.equivalence_high, declaration.places(found.se))
    return f"; by that of the two one-sided tests, {' to '.join(both)}"


def margin(declaration: Declaration) -> str:
    """Return the smallest difference that matters."""
    return f"{declaration.rope_pp:g}{declaration.suffix}"


def _worst(found: Judged) -> str:
    """How often seeds diverged, and what they could make of the difference at worst."""
    share = found.divergence
    if share is None or found.worst_low is None:
        return ""
    return (
        f" It {share.text}; were those anything from 0 % to the mean of the others, the "
        f"difference would lie between {signed(found.worst_low)} and "
        f"{signed(found.worst_high)} pp."
    )


def early(found: Judged) -> str:
    """Return what a look before the last does to the estimate that it was decided by."""
    if not found.stopped_early:
        return ""
    far = "too near 0" if found.verdict == "equivalent" else "too large"
    return (
        f" Stopped early, at the look of {_count(found.look or 0)}: estimates that stop a "
        f"comparison are {far} on average."
    )


def _against(arm: Tally, found: Judged, baseline: Tally, declaration: Declaration) -> str:
    """The seeds, or the splits, of both sides."""
    own = baseline.name == declaration.baseline
    if found.pairs is not None:
        many = f" of {_count(declaration.units.each)} each" if declaration.units.of else ""
        return f"{counted(found.pairs, declaration.units.word)} in common{many}"
    if found.divergence is not None:
        ended = found.divergence
        left, base = ended.seeds - ended.diverged, ended.baseline_seeds - ended.baseline
        return f"{_count(left)} vs {_others(base, baseline, own=own)}"
    if found.look is not None and not own:
        return f"{_count(found.look)} vs {_others(found.look, baseline, own=own)}"
    if found.look is not None:  # the baseline may have gone on for others
        return f"{_count(found.look)} vs {BASELINE_RATIO * found.look} baseline seeds"
    return f"{_count(arm.n)} vs {_others(baseline.n, baseline, own=own)}"


def _others(n: int, baseline: Tally, *, own: bool) -> str:
    return counted(n, "baseline seed") if own else f"{_count(n)} of {baseline.name}"


def _capital(declaration: Declaration) -> str:
    """The metric at the start of a sentence; the rest of it may have capitals of its own."""
    return declaration.words[:1].upper() + declaration.words[1:]


def _level(alpha: float) -> str:
    return f"{100 * (1 - alpha):g} %"


def count_range(counts: list[int]) -> str:
    """Return how many seeds arms have: `5 seeds`, `3 to 8 seeds`."""
    if not counts:
        return "0 seeds"
    low, high = min(counts), max(counts)
    return _count(low) if low == high else f"{low} to {high} seeds"


def _count(n: int) -> str:
    return counted(n, "seed")
