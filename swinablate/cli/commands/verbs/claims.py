"""What a recipe claims of itself, held against what is counted and trained here."""

import dataclasses
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swinablate.cli import terminal
from swinablate.config.code.theirs import prints_aside
from swinablate.config.metrics import ACCURACY
from swinablate.errors import EnvironmentFault, InputError, SwinablateError
from swinablate.records.home import Home
from swinablate.text import interval, signed

if TYPE_CHECKING:
    from swinablate.config.recipe import Claim
    from swinablate.execution.run import Options
    from swinablate.records.outcome import Outcome
    from swinablate.study.plan import Plan

STUDY = "claim@"
"""Before the name of a recipe: the study of its claim. No study file's name has an @ in it."""
SEEDS = 5
"""Of a claim that names no number: as many as a study's arms mostly have; fewer are warned of."""
LEAST = 3
"""Fewer seeds give no interval (`stats.estimate.TESTED`, which would import numpy)."""
HELD, BROKEN, UNTOLD = "holds", "does not hold", "undecided"
UNCHECKED = "cannot be checked here"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One claim and its answer.

    Attributes:
        what: "params" or a metric.
        claimed: the number.
        measured: the number found; None where there is none.
        answer: in words.
        why: more words; mostly empty.
        more: further numbers, for programs.
    """

    what: str
    claimed: float
    measured: float | None
    answer: str
    why: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        said = {"what": self.what, "claimed": self.claimed, "measured": self.measured}
        return {**said, "answer": self.answer, "why": self.why, **self.more}


@dataclass(kw_only=True)
class Verified:
    """All claims of a recipe, with what stood in the way of checking them."""

    recipe: Path
    source: str
    lines: list[Line]
    fault: SwinablateError | None = None
    stopped: int = 0

    @property
    def answer(self) -> str:
        """The worst of the answers: what is wrong counts more than what is not known."""
        given = {line.answer for line in self.lines}
        return next(word for word in (BROKEN, UNCHECKED, UNTOLD, HELD) if word in given)

    @property
    def exit_code(self) -> int:
        """0 where all holds, 3 where something does not, else that of what stood in the way."""
        if self.answer in {HELD, BROKEN}:
            return 0 if self.answer == HELD else 3
        return self.stopped or (self.fault.exit_code if self.fault else 3)

    def to_json(self) -> dict[str, Any]:
        """Plain data, for programs."""
        return {
            "schema": 1,
            "recipe": str(self.recipe),
            "answer": self.answer,
            "source": self.source,
            "claims": [line.to_json() for line in self.lines],
        }


def verify_recipe(
    path: Path, home: Home, options: "Options", *, seeds: int | None, params_only: bool
) -> Verified:
    """Check what a recipe claims; train what that needs and is not recorded.

    Args:
        path: the recipe.
        home: where its trials are recorded.
        options: how they run.
        seeds: to train in place of as many as the claim says.
        params_only: train nothing.

    Raises:
        InputError: no such recipe, it claims nothing that could be checked, or the claim cannot
            be judged as it is written.
    """
    from swinablate.config.recipe import StartConfig
    from swinablate.study.arms.recipes import load_claim, load_recipe
    from swinablate.study.planner import alone

    claim = load_claim(path)
    count = _seeds(claim, path, seeds, params_only=params_only)
    trains = claim.accuracy is not None and not params_only
    with prints_aside():
        recipe = load_recipe(path)
        if not trains:  # weights to start from, which may not be there, are no more parameters
            recipe = recipe.model_copy(update={"start": StartConfig()})
        made = alone(recipe, f"{STUDY}{path.stem}", str(path), range(count))
    found = Verified(recipe=path, source=claim.source, lines=[*_counted(claim, made)])
    if trains:
        _trained(found, claim, made, home, options)
    return found


def _seeds(claim: "Claim", path: Path, asked: int | None, *, params_only: bool) -> int:
    """How many seeds to train; refuses a claim that nobody could judge."""
    at = f"{path}: claim"
    nothing = claim.params is None and claim.accuracy is None
    if nothing or (params_only and claim.params is None):
        raise InputError(
            "the recipe claims nothing" if nothing else "the recipe claims no params",
            at=at,
            hint="write [claim] with params = 34_710, or with accuracy = 97.0, tolerance = 1.0 "
            "and seeds = 5",
        )
    if claim.accuracy is None or params_only:
        return 1
    if claim.tolerance is None:
        raise InputError(
            "an accuracy is claimed without saying by how much another mean may differ",
            at=f"{at}.tolerance",
            hint="write tolerance = 1.0, in percentage points",
        )
    count = asked or claim.seeds or SEEDS
    if count < LEAST:
        where = "--seeds" if asked else f"{at}.seeds"
        hint = "give 3 or more: --seeds 5"
        raise InputError(f"{count} seeds give no interval", at=where, hint=hint)
    return count


def _counted(claim: "Claim", made: "Plan") -> Iterator[Line]:
    if claim.params is not None:
        params = made.arms[0].params
        answer = HELD if params == claim.params else BROKEN
        yield Line(what="params", claimed=claim.params, measured=params, answer=answer)


def _trained(
    found: Verified, claim: "Claim", made: "Plan", home: Home, options: "Options"
) -> None:
    """Train the seeds that are not recorded, and judge the accuracy."""
    from swinablate.cli.progress import Watch
    from swinablate.execution.run import execute

    assert claim.accuracy is not None
    unchecked = Line(what=ACCURACY, claimed=claim.accuracy, measured=None, answer=UNCHECKED)
    try:
        with Watch(terminal.err) as watch:
            summary = execute(made, home, options, watch)
        ended = home.outcomes(trial.id for trial in made.trials)
    except EnvironmentFault as fault:
        found.fault = fault
        found.lines.append(dataclasses.replace(unchecked, why=fault.problem))
        return
    outcomes = list(ended.values())
    if len(outcomes) < len(made.trials):
        found.stopped = summary.exit_code
        why = f"{len(outcomes)} of {len(made.trials)} seeds are trained"
        found.lines.append(dataclasses.replace(unchecked, why=why))
    elif failed := [one for one in outcomes if one.status == "failed"]:
        why = f"{len(failed)} of {len(outcomes)} seeds failed: {_reason(failed[0])}"
        found.lines.append(dataclasses.replace(unchecked, why=why))
    else:
        found.lines.append(_judged(claim, outcomes))


def _judged(claim: "Claim", outcomes: list["Outcome"]) -> Line:
    from swinablate.stats.comparisons.claimed import Claimed, check_claim

    assert claim.accuracy is not None
    assert claim.tolerance is not None
    lost = sum(one.status == "diverged" for one in outcomes)
    if lost:
        why = f"{lost} of {len(outcomes)} seeds diverged"
        return Line(what=ACCURACY, claimed=claim.accuracy, measured=None, answer=BROKEN, why=why)
    images = min(one.predictions.get("images", 0) for one in outcomes)
    claimed = Claimed(
        mean=claim.accuracy, tolerance=claim.tolerance, sd=claim.accuracy_sd, n=claim.seeds
    )
    step = 100 / images if images else 0.0
    said = check_claim([one.metrics[ACCURACY] for one in outcomes], claimed, step=step)
    measured = said.to_json()
    return Line(
        what=ACCURACY,
        claimed=claim.accuracy,
        measured=measured.pop("mean"),
        answer=measured.pop("answer"),
        more={"tolerance": claim.tolerance, **measured},
    )


def _reason(outcome: "Outcome") -> str:
    from swinablate.records.tables import WORDS
    from swinablate.text import first_line

    return first_line((outcome.failure or {}).get("message", ""), WORDS)


def show(found: Verified) -> None:
    """Print the claims as a table, and what would tell where they are undecided."""
    terminal.table(
        f"{found.recipe}{f' ({found.source})' if found.source else ''}",
        ["claim", ">claimed", ">measured", "difference", "answer"],
        [_cells(line) for line in found.lines],
    )
    for line in found.lines:
        if line.why:
            terminal.err.print(f"{line.what}: {line.why}", markup=False, soft_wrap=True)
        if line.answer == UNTOLD:
            more, path = 2 * line.more["n"], shlex.quote(str(found.recipe))
            terminal.err.print(
                f"{line.what}: {line.more['n']} seeds leave it open; "
                f"`swinablate verify {path} --seeds {more}` trains more",
                markup=False,
                soft_wrap=True,
            )


def _cells(line: Line) -> list[str]:
    if line.what == "params":
        return [line.what, f"{line.claimed:,}", f"{line.measured:,}", "", line.answer]
    tolerance = line.more.get("tolerance")
    claimed = f"{line.claimed:g}" + (f" within {tolerance:g}" if tolerance else "")
    if line.measured is None:
        return [line.what, claimed, "-", "", line.answer]
    more = line.more
    return [
        line.what,
        claimed,
        f"{line.measured:.2f} (sd {more['sd']:.2f}, {more['n']} seeds)",
        f"{signed(more['delta'])} pp, 95 % {interval(more['ci_low'], more['ci_high'])}",
        line.answer,
    ]
