"""Where memory runs out: the same batch again in twice as many parts, if that is wanted.

Gradients of a batch's parts add up to those of the whole but for rounding (`training.step`), so
the trial stays what it is; its record says in how many parts it ran (`execution`). How far down
the ladder a trial is stands in its attempts' logs, so that it goes on there after any crash.
"""

from collections.abc import Mapping
from dataclasses import replace

from swinablate import data
from swinablate.models.build import batch_norms
from swinablate.models.cost import measured
from swinablate.models.registry import load_family
from swinablate.records.events import Event
from swinablate.records.home import Home
from swinablate.study.plan import Arm, Trial


class Ladder:
    """How many parts the next attempt at a trial divides its batches into.

    Args:
        wanted: more parts where memory runs out; else what has begun goes on as it is.
        home: where attempts are logged.
        arms: by name.
    """

    def __init__(self, home: Home, arms: Mapping[str, Arm], *, wanted: bool) -> None:
        """Nothing is looked at yet."""
        self._home, self._arms, self._wanted = home, arms, wanted

    def parts(self, trial: Trial) -> int | None:
        """Of a batch, in the attempt after the newest; None: as the recipe says."""
        events = list(self._home.events(trial.id))
        if not events:
            return None
        began, last = _parts(events[0]), events[-1]
        if last.kind != "failed" or last.data.get("excused"):
            return began
        if not self._wanted or last.data.get("kind") != "oom" or self._norm(trial):
            return None
        return self._next(trial, began)

    def seen(self, trial: Trial, happened: Event) -> Event:
        """The same event; where memory ran out, it says what comes of that."""
        failed = happened.kind == "failed" and happened.data.get("kind") == "oom"
        if not self._wanted or not failed or happened.data.get("excused"):
            return happened
        began = next(map(_parts, self._home.events(trial.id)), None)
        told = dict(happened.data)
        if norm := self._norm(trial):
            told["message"] += (
                f"; it is not tried in more parts: batch norm ({norm}) takes its statistics of a "
                "part, which would be another arm"
            )
        elif (then := self._next(trial, began)) is None:
            told["message"] += "; its batch has no more parts"
        else:
            told |= {"halved": then, "message": f"{told['message']}; again in {then} parts"}
        return replace(happened, data=told)

    def _next(self, trial: Trial, began: int | None) -> int | None:
        """Twice as many parts, down to single images; None: they are."""
        train, sizes = trial.recipe.train, data.describe(trial.recipe.data)
        batch = min(train.batch, sizes.train) if sizes else train.batch
        most, now = -(-batch // train.world), began or train.accumulate
        return min(2 * now, most) if now < most else None

    def _norm(self, trial: Trial) -> str:
        """A batch norm of the network; empty where it has none."""
        model, image = trial.recipe.model, self._arms[trial.arm].image
        assert image is not None
        family = load_family(model.family, "run")
        found = measured(family, model, image, batch_norms)
        return found[0] if found else ""


def _parts(started: Event) -> int | None:
    """What an attempt's first event says of its parts."""
    found = started.data.get("accumulate")
    return int(found) if found is not None else None
