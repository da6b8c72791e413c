"""When two arms are one: what acts, what differs, what is idle."""

import functools
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from swinablate.config import schema
from swinablate.config.data import DataConfig
from swinablate.config.family import Family, ImageSpec, ModelConfig, Switch
from swinablate.config.levels import Level
from swinablate.config.recipe import Recipe
from swinablate.config.train import TrainConfig, falls, warmup_steps
from swinablate.data import Sizes, acting, describe, image_spec, resolved_data
from swinablate.errors import InputError
from swinablate.models.bounds import check_cost, is_small
from swinablate.models.cost import Cost, cost
from swinablate.models.diff import Proof, compare
from swinablate.models.external.conduct import SAME_START, check_copy, oddities
from swinablate.models.fingerprint import RUN, Fingerprint, observe
from swinablate.models.registry import is_import, load_family
from swinablate.study.files import Study
from swinablate.study.plan import Arm
from swinablate.study.search_space import written_values
from swinablate.text import flat

MOST = 500
"""Networks of ours that a process remembers: some 0.1 MiB each, of a few dozen arms a study."""

DECIDE = ("optimizer", "schedule", "momentum")
"""Fields of `train` that say which others are read."""
FOUND = frozenset(f"data.image.{name}" for name in ImageSpec.model_fields)
"""Paths of a format that is found in a folder where a recipe leaves it out."""


@dataclass(frozen=True)
class Looked:
    """What a plan has found out, by config; many arms share one, and many are asked twice.

    Of built-in families the process remembers it, for who plans a study often plans it again:
    to run it, to report it, in a notebook. Somebody else's code may do something else each time.

    Attributes:
        networks: what they are and do.
        costs: what they cost.
        data: recipes' data with the format that was found where they give none.
        odd: what those of somebody's own do that nobody expects.
        copied: of those, the ones that can be copied.
    """

    networks: dict[tuple[str, ImageSpec], Fingerprint] = field(default_factory=dict)
    costs: dict[tuple[str, ImageSpec], Cost] = field(default_factory=dict)
    data: dict[DataConfig, DataConfig] = field(default_factory=dict)
    odd: dict[tuple[str, ImageSpec], tuple[str, ...]] = field(default_factory=dict)
    copied: set[tuple[str, ImageSpec]] = field(default_factory=set)


def _look(recipe: Recipe, looked: Looked) -> Fingerprint:
    image = image_spec(recipe.data)
    key = recipe.model.model_dump_json(), image
    if key not in looked.networks:
        family = load_family(recipe.model.family, "plan")
        look = observe if ":" in recipe.model.family else _observed
        looked.networks[key] = look(family, recipe.model, image)
    return looked.networks[key]


def cost_of(family: Family[ModelConfig], recipe: Recipe, image: ImageSpec, looked: Looked) -> Cost:
    """What a recipe's network costs; asked of the network once for every config.

    Raises:
        TooLarge: more than can be planned.
    """
    key = recipe.model.model_dump_json(), image
    if key not in looked.costs:
        count = cost if ":" in recipe.model.family else _counted
        looked.costs[key] = count(family, recipe.model, image)
    found = looked.costs[key]
    check_cost(found.params, found.activation_bytes)
    return found


_observed = functools.lru_cache(MOST)(observe)
_counted = functools.lru_cache(MOST)(cost)


def odd_of(recipe: Recipe, looked: Looked) -> tuple[str, ...]:
    """What a network of somebody's own does that nobody expects; of all others, nothing.

    Nor of one that is too large to be started.

    Raises:
        ValueError: it cannot be trained as the recipe says.
    """
    name, image = recipe.model.family, image_spec(recipe.data)
    if not is_import(name):
        return ()
    if cost_of(load_family(name, "plan"), recipe, image, looked).params > RUN:
        return ()
    key = recipe.model.model_dump_json(), image
    if recipe.train.ema and key not in looked.copied:
        check_copy(load_family(name, "plan"), recipe.model, image)
        looked.copied.add(key)
    if key not in looked.odd:
        looked.odd[key] = oddities(load_family(name, "plan"), recipe.model, image)
    given = bool(recipe.start.weights)  # what is drawn is written over
    return tuple(text for text in looked.odd[key] if not (given and text == SAME_START))


def norms_of(recipe: Recipe, looked: Looked) -> tuple[str, ...]:
    """Paths of the batch norms of a recipe's network."""
    return _look(recipe, looked).batch_norms


def meaning(recipe: Recipe, looked: Looked) -> str:
    """A digest of all that acts in a recipe: two recipes of one digest are one arm."""
    found = _look(recipe, looked)
    train = recipe.train
    if train.optimizer == "muon" and not found.hidden:  # it leaves all to AdamW
        recipe = recipe.model_copy(
            update={"train": train.model_copy(update={"optimizer": "adamw"})}
        )
    return schema.digest([found.signature, _resolved(recipe)])


def prove(base: Arm, recipe: Recipe, differs: Iterable[str], looked: Looked) -> Proof:
    """What of the arm's network differs, and whether its switches said so."""
    return compare(
        _look(base.recipe, looked), _look(recipe, looked), _declared(base, recipe, differs)
    )


def _declared(base: Arm, recipe: Recipe, differs: Iterable[str]) -> tuple[str, ...] | None:
    """Where an arm's switches act; None if one of its changes is no switch of the model."""
    model = recipe.model
    if type(model) is not type(base.recipe.model) or image_spec(recipe.data) != base.image:
        return None
    fields = [path.removeprefix("model.") for path in differs if path.startswith("model.")]
    found: list[str] = []
    for name in fields:
        marks = [m for m in type(model).model_fields[name].metadata if isinstance(m, Switch)]
        if not marks:
            return None
        found += marks[0].acts_on
    return tuple(found)


def idle_changes(
    study: Study, recipe: Recipe, changes: Mapping[str, Level], looked: Looked
) -> tuple[str, ...]:
    """Which of several changes nobody would notice: without them the arm is the same."""
    same_family = recipe.model.family == study.baseline.model.family
    switches = [path for path in changes if path.startswith("model.")]
    if len(changes) < 2 or not same_family:
        return ()
    return tuple(path for path in switches if _without(study, recipe, path, looked))


def in_vain(recipe: Recipe, looked: Looked) -> tuple[str, ...]:
    """Switches of a network that are set, and act no otherwise than at their defaults.

    Of a small one of ours, since for each it is built once more; and of what is off by default, or
    a choice by name: sizes act.
    """
    model = recipe.model
    if ":" in model.family:
        return ()
    image = image_spec(recipe.data)
    if not is_small(model, image, load_family(model.family, "plan").geometry(model, image)):
        return ()
    found = []
    for name in type(model).model_fields:
        default = type(model).model_fields[name].default
        off = default is None or default == 0 or isinstance(default, bool | str)
        if name != "family" and off and getattr(model, name) != default:
            found += [name] if acts_not(recipe, name, looked) else []
    return tuple(found)


def acts_not(recipe: Recipe, name: str, looked: Looked) -> bool:
    """Whether a network would be the same with the default of one of its switches."""
    default = type(recipe.model).model_fields[name].default
    try:
        other = schema.evolve(recipe, {f"model.{name}": default}, "plan")
        return meaning(other, looked) == meaning(recipe, looked)
    except (InputError, ValueError):
        return False  # the others need it


def _without(study: Study, recipe: Recipe, path: str, looked: Looked) -> bool:
    before = getattr(study.baseline.model, path.removeprefix("model."))
    try:
        other = schema.evolve(recipe, {path: before}, study.file)
        return other != recipe and meaning(other, looked) == meaning(recipe, looked)
    except (InputError, ValueError):
        return False  # the change is needed for the others


def _resolved(recipe: Recipe) -> list[dict[str, Any]]:
    """Training and data as they act: a field that nothing reads in this recipe is left out."""
    train = recipe.train.model_dump(mode="json")
    for name in unread(recipe):
        del train[name]
    if recipe.train.optimizer == "adamw":
        train["optimizer"] = "adam"  # its decay is decoupled, too
    train["lr"] = acting(recipe).peak_lr
    del train["lr_scale"], train["lr_batch"]
    if sizes := describe(recipe.data):
        train |= _acting(recipe.train, sizes)
        train.pop("epochs", None)
    # Of the weights every seed's content counts, which the planner adds.
    start = recipe.start.model_dump(mode="json", exclude={"weights", "sha256"})
    if not recipe.start.weights:
        del start["head"]
    return [train, resolved_data(recipe.data), start]


def _acting(train: TrainConfig, sizes: Sizes) -> dict[str, Any]:
    """The numbers of steps and images that act, where others are written and rounded."""
    batch = min(train.batch, sizes.train)
    total = train.total(sizes.train // batch)
    found: dict[str, Any] = {"batch": batch, "steps": total}
    if train.schedule != "one_cycle":  # which bends its rate between steps, too
        found["warmup"] = warmup_steps(train, total)
    if train.schedule == "step":
        found["step_at"] = falls(train, total)
    return found


def unread(recipe: Recipe) -> set[str]:
    """Fields of `train` that nothing reads in a recipe."""
    train, unread = recipe.train, set[str]()
    if getattr(recipe.model, "norm", None) != "prepbn":
        unread.add("norm_fade")
    if train.optimizer == "sgd":
        unread |= {"betas", "eps"} | ({"nesterov"} if train.momentum == 0 else set())
    else:
        unread |= {"momentum", "nesterov"}
    if train.optimizer in ("rmsprop", "adagrad"):
        unread.add("betas")
    if train.schedule != "step":
        unread |= {"step_at", "step_factor"}
    if train.steps is not None:
        unread.add("epochs")
    return unread


def check_read(study: Study, arms: Iterable[Recipe]) -> None:
    """Refuse to tune what no arm reads, whatever else is tuned: its tries would be one.

    Raises:
        InputError: the space has such a field.
    """
    if study.tune is None:
        return
    parts = {
        key.removeprefix("train."): written_values(part) for key, part in study.tune.space.items()
    }
    choices = [[(name, value) for value in parts[name]] for name in DECIDE if name in parts]
    trains = [
        recipe.model_copy(update={"train": recipe.train.model_copy(update=dict(some))})
        for recipe in arms
        for some in itertools.product(*choices)
    ]
    read = [unread(recipe) for recipe in trains]
    for name in parts:
        if all(name in none for none in read):
            raise InputError(
                f"no arm reads 'train.{name}' as it trains: all values of it are one",
                at=f"{study.file}: tune.space: 'train.{name}'",
                hint="leave it out; `swinablate switches` says what it goes with",
            )


def differing(ours: Recipe, theirs: Recipe) -> dict[str, tuple[Level, Level]]:
    """Every recipe path whose value differs: (ours, theirs); None where one has none."""
    a, b = fields(ours.model_dump(mode="json")), fields(theirs.model_dump(mode="json"))
    return {
        path: (a.get(path), b.get(path))
        for path in [*a, *(p for p in b if p not in a)]
        if a.get(path) != b.get(path)
    }


def fields(value: Mapping[str, Any]) -> dict[str, Level]:
    """A recipe as plain data by dotted path, without the digest of somebody's code."""
    # they go with a family, and with a command's place and sources, and are nobody's choice
    code = ("model.code", "command.sha256", "command.base")
    return {path: level for path, level in flat(value).items() if path not in code and level != {}}
