"""What a plan says of arms of another kind than its baseline: commands beside networks."""

from collections.abc import Iterator

from swinablate.config.metrics import alike
from swinablate.config.recipe import CommandRecipe
from swinablate.study.arms.mixed import measured
from swinablate.study.plan import Arm, Plan

NAMED = 4
"""Arms that a warning shows: a line of them says which kind they are."""


def names_of(plan: Plan, arm: Arm) -> dict[str, str]:
    """Metric that the study asks for -> what an arm of another kind calls it."""
    baseline = isinstance(plan.study.baseline, CommandRecipe)
    if isinstance(arm.recipe, CommandRecipe) == baseline:
        return {}
    compare = plan.study.compare
    asked = (one.quantity for one in plan.study.hypotheses)
    wanted = dict.fromkeys((compare.metric, *compare.secondary, *filter(None, asked)))
    known = measured(arm.recipe)
    return {name: found for name in wanted if (found := alike(name, known))}


def cautions_of_kinds(plan: Plan) -> Iterator[dict[str, str]]:
    """W31: commands beside networks."""
    own = isinstance(plan.study.baseline, CommandRecipe)
    names = [arm.name for arm in plan.arms if isinstance(arm.recipe, CommandRecipe) != own]
    if not names:
        return
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    kinds = ("a network", "networks"), ("a command", "commands")
    (one, many), (base, _) = kinds if own else kinds[::-1]
    yield {
        "code": "W31",
        "text": f"{', '.join(names[:NAMED])}{more}: {one if len(names) == 1 else many}, and the "
        f"baseline is {base}: equal seeds share no random numbers between them, and whether they "
        "see the same images is not known. Their differences are judged as of independent seeds.",
    }
