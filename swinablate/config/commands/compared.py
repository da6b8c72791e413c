"""What a study of a command compares: the number that the command gives, and how long it takes."""

from collections.abc import Sequence

from swinablate.config.commands.schema import MetricConfig
from swinablate.config.compare import (
    Compare,
    DeclaredHypothesis,
    settled_compare,
    settled_hypotheses,
)
from swinablate.errors import InputError

SECONDS = "train_s"
"""The quantity that is known of any command."""


def compared(
    compare: Compare, hypotheses: Sequence[DeclaredHypothesis], own: MetricConfig, at: str
) -> tuple[Compare, tuple[DeclaredHypothesis, ...]]:
    """What is compared and supposed, with the metric as it is recorded.

    Args:
        compare: as written.
        hypotheses: as written.
        own: the command's metric.
        at: the study file.

    Raises:
        InputError: another metric or quantity than the command has, or a number out of its range.
    """
    named = {own.called, own.recorded, own.recorded.partition(":")[0]}
    if "metric" in compare.model_fields_set and compare.metric not in named:
        raise InputError(
            f"the command measures {own.called!r}, and not {compare.metric!r}",
            at=f"{at}: compare.metric",
            hint="leave it out: the recipe's [command] says what is compared",
        )
    if compare.secondary:
        raise InputError(
            "a command has one metric in this version, and nothing beside it",
            at=f"{at}: compare.secondary",
            hint="leave it out",
        )
    for i, asked in enumerate(hypotheses, 1):
        if asked.quantity not in {"", SECONDS, *named}:
            raise InputError(
                f"nothing is known of {asked.quantity!r} where a command is run",
                at=f"{at}: hypotheses: {i}: quantity",
                hint=f"leave it out for {own.called!r}, or name {SECONDS!r}",
            )
    settled = settled_compare(compare.model_copy(update={"metric": own.recorded}), None, at)
    mine = [
        one.model_copy(update={"quantity": ""}) if one.quantity in named else one
        for one in hypotheses
    ]
    return settled, settled_hypotheses(mine, settled, None, at)
