"""How a study's arms and switches are called in figures: `[labels]`, which change no identity."""

from collections.abc import Iterator, Mapping

from swinablate.config.plugins import did_you_mean
from swinablate.errors import InputError
from swinablate.records.plan import ArmRecord, PlanRecord
from swinablate.text import named_level

LONGEST = 80  # letters, as a name may have; figures break or shorten what is longer than a line


def check_labels(labels: Mapping[str, str], plan: PlanRecord, at: str) -> None:
    """Refuse labels of what a study does not have, and labels that cannot be told apart.

    Args:
        labels: name -> how it is called.
        plan: of the study.
        at: the file.

    Raises:
        InputError: a name is unknown, or a label is empty, too long, or another one's.
    """
    known = dict.fromkeys(names(plan))
    called: dict[str, str] = {}
    for name, text in labels.items():
        where = f"{at}: labels: {name!r}"
        if name not in known:
            hint = did_you_mean(name, known)
            raise InputError("no arm, level or switch has this name", at=where, hint=hint)
        if not text.strip() or len(text) > LONGEST or not text.isprintable():
            hint = f"one line of 1 to {LONGEST} letters"
            raise InputError(f"{text!r} cannot be a label", at=where, hint=hint)
        other = called.setdefault(text, name)
        if other != name:
            hint = "two rows of a figure would have one name"
            raise InputError(f"{other!r} is called {text!r}, too", at=where, hint=hint)
        if text in known and text != name:
            raise InputError(
                f"{text!r} is another one's name", at=where, hint="give a label that nothing has"
            )


def names(plan: PlanRecord) -> Iterator[str]:
    """All that a study's figures name: arms, levels, switches, contrasts."""
    yield from (arm.name for arm in plan.arms)
    yield from (refusal.name for refusal in plan.refusals)
    yield from (contrast.name for contrast in plan.contrasts)
    for switch, levels in plan.axes.items():
        last = switch.rpartition(".")[2]
        yield from (switch, last)
        yield from (f"{path}={named_level(lv)}" for path in (last, switch) for lv in levels)
    for arm in plan.arms:
        yield from _of(arm)


def _of(arm: ArmRecord) -> Iterator[str]:
    """The switches that an arm changes, and its family."""
    for switch, level in arm.changes.items():
        last = switch.rpartition(".")[2]
        yield from (switch, last, f"{last}={named_level(level)}")
    if arm.family:
        yield arm.family
