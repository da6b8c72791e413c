"""`swinablate power`: how many seeds a study needs, before there is one."""

from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swinablate.cli import terminal
from swinablate.cli.options import Json
from swinablate.cli.terminal import print_json
from swinablate.errors import InputError

if TYPE_CHECKING:
    from swinablate.stats.planning import Budgeted, Question

commands = typer.Typer()
ASKED = {"difference": "a difference of {:g}", "equivalence": "equivalence within {:g}"}


@commands.command(
    epilog="Example: swinablate power --arms 6 --sd 0.8 --rope 0.5 --hours 9 --hours-per-trial 0.1"
)
def power(
    arms: Annotated[int, typer.Option(help="Comparisons with the baseline.", show_default=False)],
    sd: Annotated[
        float, typer.Option(help="Standard deviation over seeds, points.", show_default=False)
    ],
    rope: Annotated[
        float | None, typer.Option(help="Smallest difference that matters, points.")
    ] = None,
    effect: Annotated[
        float | None, typer.Option(help="Difference to find, points.", show_default="the rope")
    ] = None,
    wanted: Annotated[
        float, typer.Option("--power", help="Chance to show it, for one arm.")
    ] = 0.8,
    alpha: Annotated[float, typer.Option(help="Error rate of all comparisons together.")] = 0.05,
    correlation: Annotated[
        float,
        typer.Option(
            "--paired-correlation",
            metavar="R",
            help="How the same seeds of two arms go together: pairing may then show more.",
        ),
    ] = 0.0,
    trials: Annotated[int | None, typer.Option(help="A budget: trials there may be.")] = None,
    hours: Annotated[
        float | None, typer.Option(help="A budget in hours, with --hours-per-trial.")
    ] = None,
    each: Annotated[
        float | None, typer.Option("--hours-per-trial", metavar="HOURS", help="What one takes.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say how many seeds a difference or equivalence needs, and the best study of a budget.

    Of the method that judges studies, for arms of equal noise; the baseline has twice the seeds
    of an arm, as in study files.
    """
    from swinablate.stats.planning import Question, best_of

    question = Question(arms=arms, sd=sd, alpha=alpha, power=wanted, correlation=correlation)
    _check_size("--rope", rope)
    _check_size("--effect", effect)
    count = _trials(trials, hours, each)
    best = None if count is None else best_of(question, count)
    sizes = {"difference": rope if effect is None else effect, "equivalence": rope}
    found = {
        "schema": 1,
        "arms": arms,
        "sd": sd,
        "alpha": alpha,
        "power": wanted,
        "correlation": correlation,
        "needed": {what: _needed(question, what, size) for what, size in sizes.items()},
        "shown": _shown(question),
        "budget": None if best is None else vars(best) | {"looks": list(best.looks)},
    }
    print_json(found) if as_json else _show(question, found, best)


def _check_size(option: str, size: float | None) -> None:
    if size is not None and not (size > 0 and isfinite(size)):
        raise InputError(
            f"{size:g} is no size of a difference", at=option, hint="give a positive number: 0.5"
        )


def _trials(trials: int | None, hours: float | None, each: float | None) -> int | None:
    """How many trials the budget is."""
    if hours is None and each is None:
        return trials
    if hours is None or each is None:
        missing = "--hours" if hours is None else "--hours-per-trial"
        raise InputError(
            f"{missing} is missing", hint="a budget is --hours and --hours-per-trial, or --trials"
        )
    if trials is not None:
        raise InputError("--trials and --hours are two budgets", hint="give one of them")
    if not (hours > 0 and each > 0 and isfinite(hours / each)):
        raise InputError(
            f"{hours:g} hours of trials that take {each:g} are no budget",
            at="--hours",
            hint="give positive numbers",
        )
    return int(hours / each + 1e-9)  # not one fewer for a rounding error


def _needed(question: "Question", what: str, size: float | None) -> dict[str, Any] | None:
    """The seeds that show it; None if no size was given, or no number of seeds does."""
    from swinablate.stats.power import baseline_of

    n = None if size is None else question.seeds_for(size, what)
    if n is None:
        return None
    base = baseline_of(n)
    return {
        "size": size,
        "seeds": n,
        "baseline_seeds": base,
        "trials": question.trials(n, base),
    }


def _shown(question: "Question") -> list[dict[str, Any]]:
    """What usual numbers of seeds show."""
    from swinablate.stats.planning import COUNTS
    from swinablate.stats.power import baseline_of

    return [
        {
            "seeds": n,
            "baseline_seeds": baseline_of(n),
            "trials": question.trials(n, baseline_of(n)),
            "difference": round(question.difference(n, baseline_of(n)), 4),
            "equivalence": round(question.margin(n, baseline_of(n)), 4),
        }
        for n in COUNTS
    ]


def _show(question: "Question", found: dict[str, Any], best: "Budgeted | None") -> None:
    for what, need in found["needed"].items():
        if need:
            rest = ", if there is no difference" if what == "equivalence" else ""
            terminal.out.print(
                f"To show {ASKED[what].format(need['size'])}{rest}, with power "
                f"{question.power:g}: {need['seeds']} seeds an arm and {need['baseline_seeds']} "
                f"of the baseline, {need['trials']} trials.",
                markup=False,
                soft_wrap=True,
            )
    terminal.table(
        f"What seeds show with power {question.power:g}: {question.arms} arms, sd {question.sd:g}",
        [">seeds", ">baseline", ">trials", ">difference of", ">equivalence within"],
        [
            [row["seeds"], row["baseline_seeds"], row["trials"],
             f"{row['difference']:.2f}", f"{row['equivalence']:.2f}"]
            for row in found["shown"]
        ],
    )  # fmt: skip
    if best is None:
        return
    share = 100 * best.baseline_seeds / best.trials
    lines = [
        (
            f"Best of {best.trials} trials: seeds = {best.seeds}, baseline_seeds = "
            f"{best.baseline_seeds} ({share:.0f} % of the trials): a difference of "
            f"{best.difference:.2f}, equivalence within {best.margin:.2f}."
        )
    ]
    if best.looks:
        lines.append(
            f"Never more trials, fewer where arms are decided early: [adaptive] looks = "
            f"{list(best.looks)}; its last look alone finds {best.last_look:.2f}."
        )
    for line in lines:
        terminal.out.print(line, markup=False, soft_wrap=True)
