"""What a study of a command compares: the number that the command gives, and how long it takes."""

from collections.abc import Sequence

from swinablate.config.commands.schema import CommandConfig, MetricConfig
from swinablate.config.compare import (
    Compare,
    DeclaredHypothesis,
    settled_compare,
    settled_hypotheses,
)
from swinablate.config.plugins import did_you_mean
from swinablate.errors import InputError

SECONDS = "train_s"
"""The quantity that is known of any command."""


def compared(
    compare: Compare, hypotheses: Sequence[DeclaredHypothesis], command: CommandConfig, at: str
) -> tuple[Compare, tuple[DeclaredHypothesis, ...]]:
    """What is compared and supposed, with metrics as they are recorded.

    Args:
        compare: as written.
        hypotheses: as written.
        command: whose metric decides; what it records besides can be reported beside it.
        at: the study file.

    Raises:
        InputError: another metric or quantity than the command has, or a number out of its range.
    """
    own = command.metric
    named = _names(own)
    if "metric" in compare.model_fields_set and compare.metric not in named:
        raise InputError(
            f"the command measures {own.called!r}, and not {compare.metric!r}",
            at=f"{at}: compare.metric",
            hint="leave it out: the recipe's [command] says what is compared",
        )
    others = {name: one.recorded for one in command.also for name in _names(one)}
    for name in compare.secondary:
        if name not in others:
            raise InputError(
                f"the command records no {name!r} beside {own.called!r}",
                at=f"{at}: compare.secondary",
                hint=did_you_mean(name, [one.called for one in command.also])
                if command.also
                else "add it to the recipe: "
                f'also = [{{ pattern = "{name}: ([0-9.]+)", name = "{name}" }}]',
            )
    for i, asked in enumerate(hypotheses, 1):
        if asked.quantity not in {"", SECONDS, *named, *others}:
            known = ", ".join(map(repr, [SECONDS, *(one.called for one in command.also)]))
            raise InputError(
                f"nothing is known of {asked.quantity!r} where a command is run",
                at=f"{at}: hypotheses: {i}: quantity",
                hint=f"leave it out for {own.called!r}, or name {known}",
            )
    secondary = tuple(others[name] for name in compare.secondary)
    written = compare.model_copy(update={"metric": own.recorded, "secondary": secondary})
    settled = settled_compare(written, None, at)
    mine = [
        one.model_copy(
            update={
                "quantity": "" if one.quantity in named else others.get(one.quantity, one.quantity)
            }
        )
        for one in hypotheses
    ]
    return settled, settled_hypotheses(mine, settled, None, at)


def _names(metric: MetricConfig) -> set[str]:
    """All ways to name it."""
    return {metric.called, metric.recorded, metric.recorded_as}
