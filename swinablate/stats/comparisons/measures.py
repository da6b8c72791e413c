"""What values are, and which way is good: said, known by a metric's name, or taken and told.

Values that nobody named are test accuracies in percent, as documented. A name that says nothing
is taken for numbers without a unit of which more is better, and that is told. What looks like
anything else is asked: fractions, and a name that says that less is good, or that it is made of
others.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict, get_args

import numpy as np

from swinablate.errors import MOST, InputError
from swinablate.stats.declaration import Direction, Unit
from swinablate.stats.estimate import WHOLE
from swinablate.stats.sample import check_table, values_of

if TYPE_CHECKING:
    import pandas as pd

Scale = Literal["percent", "fraction", "none"]
UNNAMED = "test/accuracy"
"""What values are that nobody named: shares of which more is better."""
UNITS = (
    r"(?<=[_ (\[])(?:s|sec|secs|seconds|ms|us|ns|min|mins|hours|h"
    r"|kb|mb|gb|kib|mib|gib|bytes|j|kwh)[)\]]?$"
)
"""The last word of a name that is no share but an amount: `latency_ms`, `memory (GiB)`."""
AMOUNTS = (
    r"hausdorff|chamfer|(?<![a-z])(?:rmsle|msle|hd95|kid|mpjpe|epe|bpb|kl)(?![a-z])|brier"
    r"|loss|perplexity|entropy|deviance|distance|latency|runtime|duration|memory|energy|regret"
    r"|(?<![a-z])(?:ppl|mae|mse|rmse|nll|fid|bpc|bpd|lpips|time|cost|flops|macs|params)(?![a-z])"
    rf"|{UNITS}"
)
"""In the name of an amount of which less is better."""
FAULTS = (
    r"(?:error|err|miss|false[_ -]?(?:positive|negative|alarm|discovery))[_ -]?rate|inaccuracy"
    r"|(?<![a-z])(?:wer|cer|eer|ece|s?mape|wape|fpr\d*|fnr)(?![a-z])"
    r"|^(?:(?:test|val|valid|validation|train|eval|top[-_ ]?\d|classification|word|char)[/_ .-]?)*"
    r"err(?:or)?s?$"
)
"""In the name of a share of which less is better: a bare `test_error` is a share."""
LOWER = re.compile(rf"{AMOUNTS}|{FAULTS}|error|(?<![a-z])err(?![a-z])", re.IGNORECASE)
"""In the name of a metric of which less is better: `reprojection_error` may be pixels."""
GAINS = (
    r"throughput|reward|return|psnr|inception|pesq|bleu|rouge|meteor|cider|kappa|correlation"
    r"|(?<![a-z])(?:fps|elo|snr|sdr|db|mcc|ssim|r2|spearman|pearson)(?![a-z])"
    r"|(?:/|_per_)s(?:ec)?$"
)
"""In the name of what is no share, and of which more is better."""
NO_SHARE = re.compile(rf"{AMOUNTS}|{GAINS}", re.IGNORECASE)
"""In the name of a metric that is no share of anything: no number of it is a percentage."""
RIGHT = (
    r"(?<!in)accuracy|(?<![a-z])(?:test|val|valid|train|eval|mean|avg|m)?accs?(?![a-z])"
    r"|(?-i:[a-z]Acc)(?![a-z])|precision|recall|sensitivity|specificity|jaccard|purity"
    r"|(?:top|rank)[-_ @]?\d"
    r"|(?:hit|success|win|pass|true[_ -]?positive)[_ -]?rate|pass@\d|exact[_ -]?match"
    r"|(?<![a-z])(?:micro_?|macro_?|weighted_?)?f1|auc|auroc|auprc|(?<![a-z])m?iou|(?<![a-z])m?ap"
    r"(?:[@_ -]?[\d.:]+)?(?![a-z])|(?<![a-z])(?:dice|pck|tpr|em|hits?@\d+|r@\d+|ndcg\S*|mrr\S*)"
    r"(?![a-z])"
)
"""In the name of a share of which more is better."""
HIGHER = re.compile(rf"{GAINS}|{RIGHT}", re.IGNORECASE)
"""In the name of a metric of which more is better."""
TURNED = re.compile(
    r"drop|gap|decrease|degradation|diff|delta|change|deviation|variance|forgetting"
    r"|(?<![a-z])(?:std|sd|sem|se|var|iqr|neg|non|not|minus|inverse)(?![a-z])",
    re.IGNORECASE,
)
"""In the name of what is made of a metric: `accuracy drop` is no accuracy, and nobody knows."""
SHARE = re.compile(rf"{FAULTS}|{RIGHT}", re.IGNORECASE)
"""In the name of a metric that is a share of something: percent, or a fraction of 1."""


@dataclass(frozen=True, kw_only=True)
class Voice:
    """How whoever holds the values is spoken to.

    Attributes:
        at: where the values are: a file, an argument.
        spot: a row, in words: "line 3", "seed 0".
        option: a name and a value, as they are said there: `--unit none`, `unit="none"`.
    """

    at: str
    spot: Callable[[Any], str]
    option: Callable[[str, str], str]


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known before a value is looked at.

    Attributes:
        unit: what was said, or a name says; None if it is what `usual` says unless it looks
            otherwise.
        better: which way is good.
        usual: the unit where nothing else is known.
        taken: what nobody said, in words; "" if all was.
    """

    unit: Scale | None
    better: Direction
    usual: Scale = "percent"
    taken: str = ""


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """A table of a script, and what its values are.

    Attributes:
        frame: as it came; fractions have become percent.
        metric: what the values are called.
        unit: of differences.
        better: which way is good.
    """

    frame: "pd.DataFrame"
    metric: str
    unit: Unit
    better: Direction

    @property
    def declared(self) -> "_Declared":
        """These words, as a declaration has them."""
        return {"metric": self.metric, "unit": self.unit, "better": self.better}


class _Declared(TypedDict):
    metric: str
    unit: Unit
    better: Direction


def meaning(
    frame: "pd.DataFrame", metric: str, unit: Scale | None, better: Direction | None
) -> Meaning:
    """What the values of a script's table are, as `effects` takes them.

    Raises:
        InputError: that has to be said, what was said is none of what can be, or it is no table.
    """
    to = Voice(
        at="value",
        spot=lambda row: f"seed {row.seed}",
        option=lambda name, value: f'{name}="{value}"',
    )
    for name, value, one_of in (("unit", unit, Scale), ("better", better, Direction)):
        words = get_args(one_of)
        if value is not None and value not in words:
            hint = f"say {', or '.join(map(repr, words))}"
            raise InputError(f"{name} = {value!r} says nothing", at=name, hint=hint)
    said = known([metric], unit, better, to)
    known_unit = said.unit or said.usual
    check_table(frame)
    numbers = values_of(frame)
    values = frame.assign(value=numbers)
    if "status" in frame.columns:
        values = values[values.status.isna() | (values.status == "done")]
    values = values[np.isfinite(values.value)]
    beyond = values[~values.value.between(0, WHOLE)]
    if said.unit is None and not metric and len(beyond):
        known_unit = "none"
        _tell(beyond, len(values))
    elif said.unit is None:
        doubt(values, to)
    within(values, known_unit, to)
    if known_unit == "fraction":
        frame = frame.assign(value=in_percent(numbers, known_unit))
    if metric and said.taken:
        warnings.warn(f"took {said.taken}", stacklevel=3)
    return Meaning(
        frame=frame,
        metric=metric or unnamed(known_unit, said.better),
        unit="none" if known_unit == "none" else "pp",
        better=said.better,
    )


NAMED = 3
"""Values that a warning names: enough to find a slip by."""


def _tell(beyond: "pd.DataFrame", of: int) -> None:
    """Warn where some values above 100 among others turn what may be percent to plain numbers.

    Negative ones are no percentages, nor are values of which most lie above: that is no slip.
    """
    if beyond.value.min() < 0 or 2 * len(beyond) >= of:
        return
    told = [f"{one.value:g} of {one.arm}, seed {one.seed}" for one in beyond[:NAMED].itertuples()]
    more = ["..."] if len(beyond) > NAMED else []
    lie = "lies" if len(beyond) == 1 else "lie"
    warnings.warn(
        f"took all values for numbers without a unit, since {len(beyond)} of {of} {lie} above 100 "
        f"({'; '.join([*told, *more])}); if they are percentages, mend it, and say "
        'unit="percent" to have such values refused; if they have no unit, say unit="none"',
        stacklevel=4,
    )


def known(names: Iterable[str], unit: Scale | None, better: Direction | None, to: Voice) -> Known:
    """What was said of the values, and what their names say.

    Args:
        names: what they are called: here, and in their table; empty ones say nothing.
        unit: what was said.
        better: what was said.
        to: whom to ask.

    Raises:
        InputError: a name says that less is good, or that it is made of others, and nobody did.
    """
    called = list(dict.fromkeys(filter(None, names)))
    if not called:
        taken = ["higher for better"] * (better is None)
        if unit is None:
            taken.insert(0, "the values for test accuracy in percent")
        elif taken and unit != "none":
            taken.insert(0, "the values for test accuracy")
        return Known(unit=unit, better=better or "higher", taken=" and ".join(taken))
    if unit is None and _any(NO_SHARE, called):
        unit = "none"
    plain = [name for name in called if not TURNED.search(name)]
    open_ = unit is None and not _any(SHARE, plain)
    doubted = next((name for name in called if LOWER.search(name) or TURNED.search(name)), None)
    if doubted is not None and better is None:
        low = LOWER.search(doubted)
        raise InputError(
            f"{doubted!r} sounds as if lower were better"
            if low
            else f"nothing says which way is good of {doubted!r}",
            at=to.at,
            hint=f"say which way is good: {_ways(to, 'lower', 'higher')}"
            + (f"; {_units(to)}" if open_ else ""),
        )
    taken = ["numbers without a unit"] * open_
    taken += ["higher for better"] * (better is None and not _any(HIGHER, plain))
    return Known(
        unit=unit,
        better=better or "higher",
        usual="none" if open_ else "percent",
        taken=f"{called[0]!r} for {' and '.join(taken)}" if taken else "",
    )


def unnamed(unit: Scale, better: Direction) -> str:
    """What to call values that nobody named: what is good when low is no accuracy."""
    return UNNAMED if unit != "none" and better == "higher" else "value"


def doubt(values: "pd.DataFrame", to: Voice) -> None:
    """Refuse what looks like fractions, where nobody said that it is percent.

    Args:
        values: a row for every result: `arm`, `value`, and what `to.spot` needs.
        to: whom to ask.

    Raises:
        InputError: all values, those of one arm, or one of an arm lie in 0 to 1.
    """
    small = values.value.between(0, 1)
    if len(values) and small.all():
        low, high = values.value.min(), values.value.max()
        raise InputError(
            f"all values lie in 0 to 1 (from {low:g} to {high:g})",
            at=to.at,
            hint=f"say what they are: {_units(to)}",
        )
    # An exact 0 is the same in both units; 1 and less is the rare arm that learnt nothing.
    odd, others = values[small & (values.value > 0)], values[values.value > 1]
    if len(odd) and len(others):
        one, other = odd.iloc[0], others.iloc[0]
        raise InputError(
            f"values in two units: {one.value:g} ({one.arm}, {to.spot(one)}), "
            f"{other.value:g} ({other.arm}, {to.spot(other)})",
            at=f"{to.at}: {to.spot(one)}",
            hint=f"write all values in one unit; or say {to.option('unit', 'percent')} if all of "
            f"them are percent, {to.option('unit', 'none')} if none is",
        )


def within(values: "pd.DataFrame", unit: Scale, to: Voice) -> None:
    """Refuse what is beyond anything that is measured, and what is no share but is called one.

    Raises:
        InputError: a value is such.
    """
    wild = values[values.value.abs() > MOST]
    if len(wild):
        one = wild.iloc[0]
        raise InputError(
            f"value = {one.value:g} is beyond anything that is measured",
            at=f"{to.at}: {to.spot(one)}",
            hint="is it a number of this metric? mark a run that diverged in a column 'status'",
        )
    if unit == "none":
        return
    most = 1.0 if unit == "fraction" else WHOLE
    wrong = values[~values.value.between(0, most)]
    if len(wrong):
        one = wrong.iloc[0]
        shown = f"{one.value:g} %" if most == WHOLE else f"{one.value:g}"
        what = "a percentage" if most == WHOLE else "a fraction of 1"
        raise InputError(
            f"value = {shown} of {one.arm} is not {what}",
            at=f"{to.at}: {to.spot(one)}",
            hint=f"a value lies in 0 to {most:g}"
            + (f", as {to.option('unit', 'fraction')} says" if most < WHOLE else "")
            + f"; for a loss or a score without a unit, say {to.option('unit', 'none')}",
        )


def in_percent(values: Any, unit: Scale) -> Any:
    """Fractions in percent, as far as a float of this size is exact: 0.931 becomes 93.1."""
    return np.round(WHOLE * values, 10) if unit == "fraction" else values


def _any(pattern: re.Pattern[str], names: Sequence[str]) -> bool:
    return any(map(pattern.search, names))


def _units(to: Voice) -> str:
    fraction, none, percent = (to.option("unit", one) for one in ("fraction", "none", "percent"))
    return (
        f"{fraction} if 1 is all right, {none} for a loss or a score without a unit, {percent} if "
        "they are percent"
    )


def _ways(to: Voice, *ways: str) -> str:
    return ", or ".join(to.option("better", way) for way in ways)
