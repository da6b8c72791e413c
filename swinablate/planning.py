"""From a question to arms and trials. Pure: same study, same plan."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from swinablate import schema
from swinablate.data import image_spec
from swinablate.errors import InputError
from swinablate.plugins import suggest
from swinablate.recipe import ImageSpec, Recipe, identity, trial_id
from swinablate.response import cost, signature
from swinablate.study import BASELINE, Level, Study, Variant, label, load_family, show

SMOKE_STEPS, SMOKE_BATCH, SMOKE_IMAGES = 2, 16, 64


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One variant of the baseline; `changes` is empty for the baseline itself.

    Attributes:
        cell: a point of the design spanned by the axes, and no named arm.
        differs: every recipe path whose value differs from the baseline's: (ours, theirs).
        geometry: the effective numbers of each stage.
        macs: multiply-accumulates of one image, forward.
    """

    name: str
    changes: Mapping[str, Level]
    cell: bool
    differs: Mapping[str, tuple[Level, Level]]
    recipe: Recipe
    image: ImageSpec
    geometry: tuple[dict[str, Any], ...]
    params: int
    macs: int
    seeds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The unit of work: a recipe and a seed. Its id is its content."""

    arm: str
    recipe: Recipe
    seed: int
    kind: Literal["final", "tune"] = "final"

    @property
    def id(self) -> str:
        """Content address: equal trials are the same trial, in any study."""
        return trial_id(self.recipe, self.seed)


@dataclass(frozen=True)
class Cell:
    """An arm before it is built."""

    name: str
    changes: Mapping[str, Level]
    recipe: Recipe
    cell: bool


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An arm that cannot be built, or that is another one, and why. Reported, never dropped."""

    name: str
    changes: Mapping[str, Level]
    cell: bool
    reason: str
    same_as: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything a study will do; the first arm is the baseline."""

    study: Study
    arms: tuple[Arm, ...]
    refusals: tuple[Refusal, ...]

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials, seeds outermost: an interrupted study still has whole replicates."""
        seeds = sorted({seed for arm in self.arms for seed in arm.seeds})
        return tuple(
            Trial(arm=arm.name, recipe=arm.recipe, seed=seed)
            for seed in seeds
            for arm in self.arms
            if seed in arm.seeds
        )

    @property
    def declaration(self) -> str:
        """Digest of all that was declared before launch; another one is another analysis."""
        study = self.study
        return schema.digest(
            {
                "design": study.design,
                "arms": [[a.name, identity(a.recipe), list(a.seeds)] for a in self.arms],
                "refusals": sorted(r.name for r in self.refusals),
                "compare": schema.sparse(study.compare),
                "hypotheses": [schema.sparse(h) for h in study.hypotheses],
            }
        )


def plan(study: Study) -> Plan:
    """Expand the design; refuse what cannot be built or is the same as another arm.

    Raises:
        InputError: a switch or level that does not exist, an impossible baseline, two arms
            of one name, a hypothesis about no arm, or nothing left to compare.
    """
    arms: list[Arm] = []
    refusals: list[Refusal] = []
    seen: dict[str, str] = {}
    for made in _cells(study):
        if made.name in {a.name for a in arms} | {r.name for r in refusals}:
            raise InputError(
                f"two arms are called {made.name!r}",
                at=f"{study.file}: arms",
                hint="give one of them another name",
            )
        same = None
        try:
            arm, meaning = _build(study, made)
            same = seen.setdefault(meaning, made.name)
            reason = f"the same network and training as {same!r}"
        except ValueError as error:
            reason = str(error)
        if same == made.name:
            arms.append(arm)
        else:
            refusals.append(
                Refusal(
                    name=made.name,
                    changes=made.changes,
                    cell=made.cell,
                    reason=reason,
                    same_as=same,
                )
            )
    _check(study, arms, refusals)
    return Plan(study=study, arms=tuple(arms), refusals=tuple(refusals))


def next_trials(plan: Plan, records: Mapping[str, str]) -> list[Trial]:
    """The trials to run now, given what is recorded.

    Args:
        plan: the plan.
        records: trial id -> status of everything recorded (done, failed, diverged).

    Returns:
        Trials without a record, in order; with a fixed number of seeds, all of them.
    """
    return [trial for trial in plan.trials if trial.id not in records]


def smoked(recipe: Recipe) -> Recipe:
    """The recipe of a smoke run: two steps on a few images of noise, of the right shape.

    Noise needs no download; what a smoke run checks is that everything runs. The changed
    fields are part of the trial's identity, so nothing is mistaken for a real result.
    """
    data = recipe.data.model_copy(
        update={"name": "noise", "image": image_spec(recipe.data), "limit": SMOKE_IMAGES}
    )
    train = recipe.train.model_copy(
        update={"steps": SMOKE_STEPS, "batch": min(recipe.train.batch, SMOKE_BATCH)}
    )
    return recipe.model_copy(update={"data": data, "train": train})


def _cells(study: Study) -> Iterator[Cell]:
    yield Cell(BASELINE, {}, study.baseline, cell=True)
    at = f"{study.file}: axes"
    last = [switch.rpartition(".")[2] for switch in study.axes]
    full = len(set(last)) < len(last)
    for changes in _changes(study):
        recipe = _apply(study.baseline, changes, at)
        yield Cell(label(changes, full), changes, recipe, cell=True)
    for variant in study.variants:
        at = f"{study.file}: arms: {variant.name!r}"
        recipe = _take(study.baseline, variant) if variant.recipe else study.baseline
        changed = _apply(recipe, variant.changes, at)
        if changed == study.baseline:
            raise InputError(
                "this arm is the baseline itself",
                at=at,
                hint="change something, or drop the arm",
            )
        changes = dict(variant.changes) or _differences(study, changed)
        yield Cell(variant.name, changes, changed, cell=False)


def _changes(study: Study) -> Iterator[dict[str, Level]]:
    for switch, levels in study.axes.items():
        for level in levels:
            at = f"{study.file}: axes: {switch!r}"
            if _apply(study.baseline, {switch: level}, f"{study.file}: axes") == study.baseline:
                raise InputError(
                    f"{show(level)} is the baseline's own level",
                    at=at,
                    hint="leave it out: the baseline is always run",
                )
    if study.design == "one_at_a_time":
        for switch, levels in study.axes.items():
            yield from ({switch: level} for level in levels)
        return
    choices = [
        [None, *((switch, level) for level in levels)] for switch, levels in study.axes.items()
    ]
    for cell in itertools.islice(itertools.product(*choices), 1, None):
        yield dict(change for change in cell if change is not None)


def _apply(recipe: Recipe, changes: Mapping[str, Level], at: str) -> Recipe:
    for switch, level in changes.items():
        recipe = schema.evolve(recipe, switch, level, at=at)
    return recipe


def _take(recipe: Recipe, variant: Variant) -> Recipe:
    assert variant.recipe is not None
    parts = {part: getattr(variant.recipe, part) for part in variant.take}
    return recipe.model_copy(update=parts)


def _build(study: Study, made: Cell) -> tuple[Arm, str]:
    """The arm, and a digest of all that makes it what it is: two equal ones are one arm."""
    recipe = smoked(made.recipe) if study.smoke else made.recipe
    family = load_family(recipe.model.family, study.file)
    image = image_spec(recipe.data)
    geometry = family.geometry(recipe.model, image)
    size = cost(family, recipe.model, image)
    meaning = schema.digest([signature(family, recipe.model, image), _resolved(recipe)])
    arm = Arm(
        name=made.name,
        changes=made.changes,
        cell=made.cell,
        differs=_difference_pairs(study.baseline, recipe) if made.changes else {},
        recipe=recipe,
        image=image,
        geometry=geometry,
        params=size.params,
        macs=size.macs,
        seeds=study.seeds if made.changes else study.baseline_seeds,
    )
    return arm, meaning


def _resolved(recipe: Recipe) -> list[dict[str, Any]]:
    """Training and data as they act: a field that nothing reads in this recipe is left out."""
    train = recipe.train.model_dump(mode="json")
    if recipe.train.optimizer != "sgd":
        del train["momentum"]
    if recipe.train.steps is not None:
        del train["epochs"]
    return [train, recipe.data.model_dump(mode="json")]


def _differences(study: Study, recipe: Recipe) -> dict[str, Level]:
    """What a recipe has that the baseline has not, or has otherwise."""
    ours, theirs = (
        _flat(study.baseline.model_dump(mode="json")),
        _flat(recipe.model_dump(mode="json")),
    )
    missing = object()
    return {path: level for path, level in theirs.items() if ours.get(path, missing) != level}


def _difference_pairs(ours: Recipe, theirs: Recipe) -> dict[str, tuple[Level, Level]]:
    a, b = _flat(ours.model_dump(mode="json")), _flat(theirs.model_dump(mode="json"))
    return {
        path: (a.get(path), b.get(path))
        for path in [*a, *(p for p in b if p not in a)]
        if a.get(path) != b.get(path)
    }


def _flat(value: Mapping[str, Any], path: str = "") -> dict[str, Level]:
    found: dict[str, Level] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            found |= _flat(item, f"{path}{key}.")
        else:
            found[f"{path}{key}"] = item
    return found


def _check(study: Study, arms: Sequence[Arm], refusals: Sequence[Refusal]) -> None:
    if not arms or arms[0].name != BASELINE:
        problem, _, hint = refusals[0].reason.partition("; ")
        raise InputError(
            f"the baseline is impossible: {problem}",
            at=study.file,
            hint=hint or "change the baseline's recipe",
        )
    if len(arms) < 2:
        why = "; ".join(f"{r.name}: {r.reason}" for r in refusals)
        raise InputError(
            "nothing is left to compare with the baseline",
            at=study.file,
            hint=f"every arm was refused ({why})" if why else "add [axes] or [[arms]]",
        )
    names = [a.name for a in arms[1:]] + [r.name for r in refusals]
    for hypothesis in study.hypotheses:
        if hypothesis.arm not in names:
            raise InputError(
                f"no arm is called {hypothesis.arm!r}",
                at=f"{study.file}: hypotheses",
                hint=suggest(hypothesis.arm, names),
            )
