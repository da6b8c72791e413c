"""Ids and declarations computed again from what is recorded, without running anybody's code."""

from collections.abc import Mapping
from typing import Any

from swinablate.config import schema
from swinablate.config.commands.changes import recipe_of as command_of
from swinablate.config.compare import Compare, DeclaredHypothesis
from swinablate.config.data import DataConfig
from swinablate.config.recipe import COMMAND, Recipe, StartConfig, identity, trial_id
from swinablate.config.train import TrainConfig
from swinablate.data.user_function import is_path
from swinablate.errors import SwinablateError
from swinablate.models.registry import is_import, load_family
from swinablate.records.plan import ArmRecord, PlanRecord
from swinablate.study.plan import revised


class Unknowable(Exception):
    """It cannot be computed here, and why."""


def recipe_of(data: Mapping[str, Any]) -> Recipe:
    """A recipe from its recorded values.

    Raises:
        Unknowable: it names code that is not ours, or fields that this version does not have.
    """
    try:
        if COMMAND in data:
            return command_of(data)
        family, source = data["model"]["family"], data["data"]["name"]
        for name, foreign in ((family, is_import(family)), (source, is_path(source))):
            if foreign:
                raise Unknowable(f"it needs the code of {name}, which is not run for it")
        config = load_family(family, "model").config
        return Recipe(
            model=schema.validate(config, data["model"], "model"),
            data=schema.validate(DataConfig, data["data"], "data"),
            train=schema.validate(TrainConfig, data["train"], "train"),
            start=schema.validate(StartConfig, data["start"], "start"),
        )
    except (SwinablateError, ValueError, KeyError, TypeError, AttributeError) as error:
        problem = error.problem if isinstance(error, SwinablateError) else str(error)
        raise Unknowable(f"this version cannot read its recipe: {problem}") from None


def ids_of(recipe: Recipe, seed: int) -> set[str]:
    """The id of a trial, and the one that it had before a meaning of its recipe was mended.

    Raises:
        Unknowable: the data cannot be asked.
    """
    try:
        return {trial_id(recipe, seed, revised(recipe)), trial_id(recipe, seed)}
    except (SwinablateError, ValueError) as error:
        raise Unknowable(f"its data cannot be asked: {error}") from None


def started(arm: ArmRecord, recipe: Recipe, seed: int) -> Recipe:
    """The recipe of a seed, which may have a file of weights or a split of its own."""
    if (split := arm.splits.get(str(seed))) is not None:
        data = recipe.data.model_copy(update={"split_seed": split})
        recipe = recipe.model_copy(update={"data": data})
    own = arm.starts.get("final", {}).get(str(seed))
    if own is None:
        return recipe
    start = recipe.start.model_copy(update={"weights": own.weights, "sha256": own.sha256})
    return recipe.model_copy(update={"start": start})


def declarations_of(plan: PlanRecord) -> set[str]:
    """The digest of what a recorded plan declares, as it is computed now and was at first.

    Raises:
        Unknowable: an arm's recipe cannot be read.
    """
    recipes = {arm.name: recipe_of(arm.recipe) for arm in plan.arms}
    try:
        return {
            _declaration(plan, {name: identity(r, revised(r)) for name, r in recipes.items()}),
            _declaration(plan, {name: identity(r) for name, r in recipes.items()}),
        }
    except (SwinablateError, ValueError) as error:
        raise Unknowable(f"this version cannot read what it declares: {error}") from None


def _declaration(plan: PlanRecord, means: Mapping[str, Any]) -> str:
    """As `Plan.declaration`, of a plan that was read back."""
    also: dict[str, Any] = {"looks": [look.seeds for look in plan.looks]} if plan.looks else {}
    if plan.tune is not None:
        also["tune"] = plan.tune.to_json()
    if plan.noise.sources:
        also["noise"] = {"sources": list(plan.noise.sources), "splits": plan.noise.splits or 1}
    if plan.contrasts:
        also["contrasts"] = [[one.name, dict(one.of)] for one in plan.contrasts]
    if against := {arm.name: arm.against for arm in plan.arms if arm.against}:
        also["against"] = against
    if plan.scale is not None:
        also["scale"] = plan.scale.declared()
    if plan.datasets is not None:
        also["data"] = plan.datasets.declared()
    compare = schema.validate(Compare, plan.compare.to_json(), "compare")
    supposed = [
        schema.validate(DeclaredHypothesis, one.to_json(), "hypotheses") for one in plan.hypotheses
    ]
    return schema.digest(
        {
            **also,
            "design": plan.design,
            "arms": [[a.name, means[a.name], list(a.seeds), *_digests(a)] for a in plan.arms],
            "refusals": sorted(refusal.name for refusal in plan.refusals),
            "compare": schema.sparse(compare),
            "hypotheses": [schema.sparse(one) for one in supposed],
        }
    )


def _digests(arm: ArmRecord) -> list[list[str]]:
    files = [start.sha256 for kind in arm.starts.values() for start in kind.values()]
    return [files] if files else []
