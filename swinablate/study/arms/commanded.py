"""Arms that are commands: nothing is built, nothing is proved, and nothing is started."""

from swinablate.config import schema
from swinablate.config.levels import Level
from swinablate.config.recipe import CommandRecipe, identity
from swinablate.study.arms.axes import RECIPE
from swinablate.study.arms.cells import Cell
from swinablate.study.equality import differing
from swinablate.study.files import Study
from swinablate.study.plan import Arm


def elsewhere(made: Cell) -> dict[str, tuple[Level, Level]]:
    """How an arm differs from a baseline of the other kind: its recipe is another one."""
    return {path: (None, level) for path, level in made.changes.items() if path == RECIPE}


def command_arm(study: Study, made: Cell, recipe: CommandRecipe) -> tuple[Arm, str]:
    """The arm of a command, and a digest of all that makes it what it is.

    What its script does is not known: that a switch reaches it is seen in its numbers alone.

    Args:
        study: the question.
        made: the arm before it is built.
        recipe: its command and switches.
    """
    beside = isinstance(study.baseline, CommandRecipe)  # else everything differs
    seeds = study.seeds if made.changes else study.baseline_seeds  # only the baseline has none
    if study.extension:
        seeds = study.extension.seeds.get(made.name, seeds)
    arm = Arm(
        name=made.name,
        changes=made.changes,
        cell=made.cell,
        differs=differing(study.baseline, recipe) if made.changes and beside else elsewhere(made),
        recipe=recipe,
        image=None,
        geometry=(),
        params=None,
        macs=None,
        activation_bytes=None,
        match=None,
        proof=None,
        idle=(),
        seeds=seeds,
        starts={},
        against=made.against,
    )
    return arm, schema.digest(identity(recipe))
