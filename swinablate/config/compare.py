"""[compare] and [[hypotheses]] of a study: what is compared, and what somebody says of it."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from swinablate.config import schema
from swinablate.config.metrics import ACCURACY, Metric, checked, metric
from swinablate.errors import LEAST_ALPHA, MOST, InputError

LEAST = 1 / MOST
"""Of what is said of differences, as `MOST` is."""
Size = Annotated[float, Field(gt=0, le=MOST)]
COUNTED = ("test/accuracy", "test/top5")
"""Metrics that count test images: only these have odds."""


class Kind(NamedTuple):
    """What metrics depend on: classes, their names where they are known, the shorter side."""

    classes: int
    names: Sequence[str] = ()
    side: int | None = None


class Compare(schema.Frozen):
    """What is compared, and what counts as a difference; declared before launch."""

    metric: Annotated[str, Field(min_length=1)] = ACCURACY
    # In the unit of differences of the metric, as `sd`: percentage points, nats.
    rope: Size | None = None
    alpha: Annotated[float, Field(ge=LEAST_ALPHA, lt=0.5)] = 0.05
    sd: Size | None = None  # expected, over seeds
    # Whether percentages, or their odds are compared; then `rope`, `sd`, `by` are log odds.
    scale: Literal["linear", "logit"] = "linear"
    secondary: tuple[str, ...] = ()  # metrics that are reported, each in a family of its own


class DeclaredHypothesis(schema.Frozen):
    """What somebody says an arm, or a contrast, does; declared before launch."""

    arm: str = ""  # or an effect of the design
    contrast: str = ""
    expect: Literal["better", "worse", "equivalent"]
    # At least, in the unit of the metric or quantity; of an equivalent quantity, the margin.
    by: Annotated[float, Field(ge=0, le=MOST)] = 0.0
    source: str = ""
    quantity: str = ""  # what is claimed; empty is `compare.metric`

    @property
    def about(self) -> str:
        """The name of what the claim is about."""
        return self.arm or self.contrast

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.arm) == bool(self.contrast):
            raise ValueError(
                'a hypothesis is about one arm or one contrast; write arm = "..." or '
                'contrast = "..."'
            )
        return self


def mentioned(compare: Compare, hypotheses: Iterable[DeclaredHypothesis]) -> set[str]:
    """Every metric and quantity that a study names, as written."""
    quantities = (asked.quantity for asked in hypotheses if asked.quantity)
    return {compare.metric, *compare.secondary, *quantities}


def settled_compare(compare: Compare, kind: Kind | None, at: str) -> Compare:
    """What is compared, with metrics as they are recorded.

    Args:
        compare: as written.
        kind: of the images; None where no metric depends on it.
        at: the file.

    Raises:
        InputError: a metric that there is not, one twice, or a number that it does not reach.
    """
    name = compare.metric
    others = compare.secondary
    if kind is not None:
        name = checked(name, f"{at}: compare.metric", **kind._asdict())
        where = f"{at}: compare.secondary"
        others = tuple(checked(one, where, **kind._asdict()) for one in others)
    twice = [one for i, one in enumerate(others) if one in {name, *others[:i]}]
    if twice:
        raise InputError(
            f"{twice[0]!r} is compared already",
            at=f"{at}: compare.secondary",
            hint="name every metric once",
        )
    row = metric(name)
    if compare.scale == "logit" and name not in COUNTED:
        raise InputError(
            f"{name} is no share of the test images",
            at=f"{at}: compare.scale",
            hint=f"leave out scale, or name one of {', '.join(COUNTED)}",
        )
    most = None if compare.scale == "logit" else row.most
    _in_range(row, compare.rope, most, f"{at}: compare.rope")
    # No numbers from 0 to 100 spread wider than 50.
    _in_range(row, compare.sd, most and most / 2, f"{at}: compare.sd")
    return compare.model_copy(update={"metric": name, "secondary": others})


def settled_hypotheses(
    hypotheses: Sequence[DeclaredHypothesis], compare: Compare, kind: Kind | None, at: str
) -> tuple[DeclaredHypothesis, ...]:
    """What is supposed; of the metric that is compared, without naming it.

    Raises:
        InputError: as `settled_compare`; or an equivalence without a margin.
    """
    found = []
    for i, asked in enumerate(hypotheses, 1):
        where, name = f"{at}: hypotheses: {i}", asked.quantity
        if name and kind is not None:
            name = checked(name, f"{where}: quantity", **kind._asdict(), quantities=True)
        row = metric(name or compare.metric)
        name = "" if name == compare.metric else name
        most = row.most if name or compare.scale == "linear" else None
        _in_range(row, asked.by, most, f"{where}: by")
        if name and asked.expect == "equivalent" and not asked.by and not row.exact:
            raise InputError(
                f"nothing is exactly equivalent in {name}",
                at=f"{where}: by",
                hint=f"say within how many {row.unit}: by = 1.0",
            )
        found.append(asked.model_copy(update={"quantity": name}))
    return tuple(found)


def _in_range(row: Metric, value: float | None, most: float | None, at: str) -> None:
    """Refuse a number that no difference of a metric reaches.

    Raises:
        InputError: it is one.
    """
    if value is not None and most is not None and value > most:
        raise InputError(
            f"{value:g} is more than any difference in {row.name}",
            at=at,
            hint=f"give at most {most:g}, in percentage points",
        )
