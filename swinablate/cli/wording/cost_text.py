"""What a study will cost, in words: time on the slots given, memory, disk."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from swinablate.text import counted

if TYPE_CHECKING:
    from swinablate.scheduling.cost import ArmCost, Cost

COLUMNS = ("arm", ">ms a step", ">peak MiB", ">s a trial", ">trials left", ">hours", "known from")
SHORT_S, LONG_S = 90.0, 5400.0
"""Times below are told in seconds, those above in hours; between them in minutes."""


def duration(seconds: float) -> str:
    """A length of time, in the unit that people would take."""
    if seconds < SHORT_S:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < LONG_S else f"{seconds / 3600:.1f} h"


def cost_rows(cost: "Cost", now_ms: int | None = None) -> list[Sequence[str]]:
    """A row of `COLUMNS` for every arm."""
    moment = now_ms if now_ms is not None else int(time.time() * 1000)
    return [_row(arm, moment) for arm in cost.arms]


def _row(arm: "ArmCost", now_ms: int) -> Sequence[str]:
    known = arm.speed
    if known is None:
        why = "its probe failed" if arm.failure else "nothing yet"
        return [arm.name, "-", "-", "-", str(arm.trials), "-", why]
    each = f"{3600 * arm.hours / arm.trials:.1f}" if arm.hours is not None and arm.trials else "-"
    hours = "-" if arm.hours is None else f"{arm.hours:.2f}"
    age = duration(max(0.0, (now_ms - known.at) / 1000))
    if known.source == "probe":
        images = "" if known.images == "real" else ", on noise"
        source = f"a probe {age} ago, {known.busy} at once{images}"
    else:
        source = f"{counted(known.measured, 'trial')} recorded, the last {age} ago"
    return [
        arm.name,
        "-" if known.step_s is None else f"{1000 * known.step_s:.1f}",
        "-" if known.peak_mib is None else f"{known.peak_mib:.0f}",
        each,
        str(arm.trials),
        hours,
        source,
    ]


def cost_lines(cost: "Cost", now: datetime | None = None) -> list[str]:
    """What all of it takes, and which arms will not train."""
    lines = [f"{arm.name}: its probe failed: {arm.failure}" for arm in cost.arms if arm.failure]
    trials = sum(arm.trials for arm in cost.arms)
    where = f"{counted(cost.place.slots, 'slot')} ({cost.place.device})"
    if not trials:
        return [*lines, "Nothing is left to train."]
    if cost.most is None or cost.fewest is None:
        missing = [a.name for a in cost.arms if a.trials and a.hours is None and not a.failure]
        lines.append(
            f"How long it takes on {where} is not known for {', '.join(missing)}: "
            + (
                "it is after the first trial of each."
                if cost.disk_mib is None
                else "add --probe to take a few steps of each arm."
            )
        )
    else:
        end = (now or datetime.now().astimezone()) + timedelta(hours=cost.most)
        least, most = duration(3600 * cost.fewest), duration(3600 * cost.most)
        span = most if least == most else f"{least} to {most}"
        gpu = f", {cost.gpu_hours:.1f} GPU hours" if cost.gpu_hours else ""
        up_to = "" if least == most else "at most "
        lines.append(
            f"Time: about {span} for {up_to}{counted(trials, 'trial')} on {where}{gpu}; started "
            f"now, done by {end:%Y-%m-%d %H:%M}."
        )
    if cost.disk_mib is not None:
        lines.append(f"Disk: about {cost.disk_mib:.0f} MiB of weights and checkpoints.")
    return lines
