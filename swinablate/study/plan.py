"""From a question to arms and trials. Pure: same study, same plan."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from swinablate.config import schema
from swinablate.config.levels import Level, show
from swinablate.config.plugins import did_you_mean
from swinablate.config.recipe import (
    Family,
    ImageSpec,
    ModelConfig,
    Recipe,
    StartConfig,
    Switch,
    TrainConfig,
    identity,
    trial_id,
)
from swinablate.config.weights import each, settled
from swinablate.data import image_spec, resolved_data
from swinablate.errors import InputError
from swinablate.models.diff import Proof, compare
from swinablate.models.fingerprint import Cost, Fingerprint, cost, observe
from swinablate.models.registry import load_family
from swinablate.models.transfer import check_start
from swinablate.stats.estimate import BASELINE_RATIO
from swinablate.study.designs import cells
from swinablate.study.files import BASELINE, Match, Study, Variant, label
from swinablate.study.matching import Matched, solve
from swinablate.study.tunable import check_tuning as check_tuning

SMOKE_STEPS, SMOKE_BATCH, SMOKE_IMAGES = 2, 16, 64
Kind = Literal["final", "tune"]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One variant of the baseline; `changes` is empty for the baseline itself.

    Attributes:
        cell: a point of the design spanned by the axes, and no named arm.
        differs: every recipe path whose value differs from the baseline's: (ours, theirs).
        geometry: the effective numbers of each stage.
        macs: multiply-accumulates of one image, forward.
        activation_bytes: what a training step keeps of one image, in fp32.
        match: what was solved to make the arm as large as the baseline.
        proof: how its network differs from the baseline's; of the baseline, None.
        idle: changes of the model without which the arm would be the same.
        starts: kind and seed of a trial -> what it starts from, where every seed has a file of
            weights of its own; empty where the recipe says it for all.
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
    activation_bytes: int
    match: Matched | None
    proof: Proof | None
    idle: tuple[str, ...]
    seeds: tuple[int, ...]
    starts: Mapping[tuple[Kind, int], StartConfig]

    def trial(self, seed: int, recipe: Recipe | None = None, kind: Kind = "final") -> "Trial":
        """The trial of a seed, which starts from the file of its own where there is one.

        Args:
            seed: of the trial.
            recipe: the arm's as tuning changed it; None is the arm's own.
            kind: of the trial.
        """
        recipe = recipe or self.recipe
        start = self.starts.get((kind, seed), recipe.start)
        recipe = recipe.model_copy(update={"start": start})
        return Trial(arm=self.name, recipe=recipe, seed=seed, kind=kind)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The unit of work: a recipe and a seed. Its id is its content."""

    arm: str
    recipe: Recipe
    seed: int
    kind: Kind = "final"

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
    match: Match | None = None


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
        """All final trials at the fixed recipes, seeds outermost.

        An interrupted study still has whole replicates.
        """
        seeds = sorted({seed for arm in self.arms for seed in arm.seeds})
        return tuple(arm.trial(seed) for seed in seeds for arm in self.arms if seed in arm.seeds)

    @property
    def fewest(self) -> int:
        """Trials until the study may be over: all, or those of the first look.

        Tuning may choose the recipe an arm had: its final trials then ran already.
        """
        if not self.study.looks:
            return sum(len(arm.seeds) for arm in self.arms) + self.tries
        return self.study.looks[0] * (BASELINE_RATIO + len(self.arms) - 1)

    @property
    def tries(self) -> int:
        """Trials of tuning, over all arms."""
        tune = self.study.tune
        return 0 if tune is None else tune.trials * tune.seeds * len(self.arms)

    @property
    def most(self) -> int:
        """Trials there can be: with tuning, every final trial once more at another recipe."""
        finals = len(self.trials)
        return finals if self.study.tune is None else 2 * finals + self.tries

    @property
    def declaration(self) -> str:
        """Digest of all that was declared before launch; another one is another analysis."""
        study = self.study
        also: dict[str, Any] = {"looks": list(study.looks)} if study.looks else {}
        if study.tune is not None:
            also["tune"] = study.tune.model_dump(mode="json")
        return schema.digest(
            {
                **also,
                "design": study.design,
                "arms": [
                    [a.name, identity(a.recipe), list(a.seeds), *_digests(a)] for a in self.arms
                ],
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
    owners: dict[str, str] = {}
    looked = Looked()
    for made in _cells(study):
        if made.name in {a.name for a in arms} | {r.name for r in refusals}:
            raise InputError(
                f"two arms are called {made.name!r}",
                at=f"{study.file}: arms",
                hint="give one of them another name",
            )
        same = None
        try:
            arm, meaning = _build(study, made, arms[0] if arms else None, looked)
            same = seen.get(meaning)
            if same is None:
                owners |= _apart(arm, owners)
                seen[meaning] = made.name
                arms.append(arm)
                continue
            reason = f"the same network and training as {same!r}"
        except ValueError as error:
            reason = str(error)
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
    check_tuning(study, {arm.name: arm.recipe for arm in arms})
    made_plan = Plan(study=study, arms=tuple(arms), refusals=tuple(refusals))
    budget = study.budget.trials
    if study.looks and budget is not None and budget < made_plan.fewest:
        raise InputError(
            f"the first look needs {made_plan.fewest} trials, the budget has {budget}",
            at=f"{study.file}: budget.trials",
            hint="give the study more trials, or fewer arms",
        )
    return made_plan


def smoked(recipe: Recipe) -> Recipe:
    """The recipe of a smoke run: two steps on a few images of noise, of the right shape.

    Noise needs no download; what a smoke run checks is that everything runs. The changed
    fields are part of the trial's identity, so nothing is mistaken for a real result.
    """
    data = recipe.data.model_copy(
        update={
            "name": "noise",
            "root": None,
            "image": image_spec(recipe.data),
            "limit": SMOKE_IMAGES,
        }
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
        recipe = _evolved(study, study.baseline, changes, at)
        yield Cell(label(changes, full=full), changes, recipe, cell=True)
    for variant in study.variants:
        at = f"{study.file}: arms: {variant.name!r}"
        recipe = _take(study.baseline, variant) if variant.recipe else study.baseline
        changed = _evolved(study, recipe, variant.changes, at)
        if changed == study.baseline:
            raise InputError(
                "this arm is the baseline itself",
                at=at,
                hint="change something, or drop the arm",
            )
        changes = _differences(study, changed) if variant.recipe else dict(variant.changes)
        yield Cell(variant.name, changes, changed, cell=False, match=variant.match)


def _changes(study: Study) -> Iterator[dict[str, Level]]:
    for switch, levels in study.axes.items():
        for level in levels:
            at = f"{study.file}: axes: {switch!r}"
            made = _evolved(study, study.baseline, {switch: level}, f"{study.file}: axes")
            if made == study.baseline:
                raise InputError(
                    f"{show(level)} is the baseline's own level",
                    at=at,
                    hint="leave it out: the baseline is always run",
                )
    yield from cells(study.design, study.axes, f"{study.file}: axes")


def _evolved(study: Study, recipe: Recipe, changes: Mapping[str, Level], at: str) -> Recipe:
    return settled(schema.evolve(recipe, changes, at), Path(study.file).parent, at)


def _take(recipe: Recipe, variant: Variant) -> Recipe:
    assert variant.recipe is not None
    parts = {part: getattr(variant.recipe, part) for part in variant.take}
    return recipe.model_copy(update=parts)


@dataclass(frozen=True)
class Looked:
    """What a plan has found out, by config; many arms share one, and many are asked twice.

    Attributes:
        networks: what they are and do.
        costs: what they cost.
    """

    networks: dict[tuple[str, ImageSpec], Fingerprint] = field(default_factory=dict)
    costs: dict[tuple[str, ImageSpec], Cost] = field(default_factory=dict)


def _build(study: Study, made: Cell, base: Arm | None, looked: Looked) -> tuple[Arm, str]:
    """The arm, and a digest of all that makes it what it is: two equal ones are one arm.

    Of the weights it starts from the content counts, seed by seed, and not where it lies.
    """
    recipe, changes, match = made.recipe, dict(made.changes), None
    if made.match and base:
        at = f"{study.file}: arms: {made.name!r}"
        target = base.macs if made.match.by == "macs" else base.params
        recipe, match = solve(recipe, made.match, target, at)
        changes |= {path: level for path, (_, level) in match.solved.items()}
    recipe = smoked(recipe) if study.smoke else recipe
    seeds = study.seeds if made.changes else study.baseline_seeds
    starts = _starts(study, made.name, recipe.start, seeds)
    family = load_family(recipe.model.family, study.file)
    image = image_spec(recipe.data)
    geometry = family.geometry(recipe.model, image)
    check_start(family, recipe, image, tuple(starts.values()))
    spent = _spent(family, recipe, image, looked)
    differs = _difference_pairs(study.baseline, recipe) if made.changes else {}
    arm = Arm(
        name=made.name,
        changes=changes,
        cell=made.cell,
        differs=differs,
        recipe=recipe,
        image=image,
        geometry=geometry,
        params=spent.params,
        macs=spent.macs,
        activation_bytes=spent.activation_bytes,
        match=match,
        proof=_prove(base, recipe, differs, looked) if base else None,
        idle=_idle(study, recipe, made.changes, looked),
        seeds=seeds,
        starts=starts,
    )
    own = [arm.trial(seed).recipe.start.sha256 for seed in study.seeds]
    return arm, schema.digest([_meaning(recipe, looked), own])


def _starts(
    study: Study, name: str, start: StartConfig, seeds: Sequence[int]
) -> dict[tuple[Kind, int], StartConfig]:
    """What each trial of an arm starts from, where every seed has a file of its own.

    Tries of tuning start from the files of the seeds after the last: a recipe that was chosen on
    the weights of a final trial would suit those.
    """
    if not start.each:
        return {}
    found: dict[tuple[Kind, int], StartConfig] = {}
    at, why = f"{study.file}: {name}", f"{name} runs {len(seeds)} seeds"
    for seed, own in each(start, seeds, at, why).items():
        found["final", seed] = own
    if study.tune:
        spare = max(study.baseline_seeds) + 1
        why = "tries of tuning start from files of their own, those after the last seed"
        files = each(start, range(spare, spare + study.tune.seeds), at, why)
        for seed, own in enumerate(files.values()):
            found["tune", seed] = own
    return found


def _apart(arm: Arm, owners: Mapping[str, str]) -> dict[str, str]:
    """The arm's trials, by id; refuses one that is another arm's: none counts for two.

    Args:
        arm: the arm.
        owners: trial id -> arm.

    Raises:
        ValueError: where seeds start from files of their own, two arms are one at some of them.
    """
    trials = {trial.id: trial for trial in map(arm.trial, arm.seeds)}
    for one, trial in trials.items():
        if one in owners:
            raise ValueError(
                f"at seed {trial.seed} it is {owners[one]!r}: both start from what is in "
                f"{Path(trial.recipe.start.weights).name}; take weights that no seed of "
                f"{owners[one]!r} starts from"
            )
    return dict.fromkeys(trials, arm.name)


def _digests(arm: Arm) -> list[list[str]]:
    """Of the files of the single seeds, for a declaration; nothing where there are none."""
    return [[start.sha256 for start in arm.starts.values()]] if arm.starts else []


def _look(recipe: Recipe, looked: Looked) -> Fingerprint:
    image = image_spec(recipe.data)
    key = recipe.model.model_dump_json(), image
    if key not in looked.networks:
        family = load_family(recipe.model.family, "plan")
        looked.networks[key] = observe(family, recipe.model, image)
    return looked.networks[key]


def _spent(family: Family[ModelConfig], recipe: Recipe, image: ImageSpec, looked: Looked) -> Cost:
    key = recipe.model.model_dump_json(), image
    if key not in looked.costs:
        looked.costs[key] = cost(family, recipe.model, image)
    return looked.costs[key]


def _meaning(recipe: Recipe, looked: Looked) -> str:
    return schema.digest([_look(recipe, looked).signature, _resolved(recipe)])


def _prove(base: Arm, recipe: Recipe, differs: Iterable[str], looked: Looked) -> Proof:
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


def _idle(
    study: Study, recipe: Recipe, changes: Mapping[str, Level], looked: Looked
) -> tuple[str, ...]:
    """Which of several changes nobody would notice: without them the arm is the same."""
    same_family = recipe.model.family == study.baseline.model.family
    switches = [path for path in changes if path.startswith("model.")]
    if len(changes) < 2 or not same_family:
        return ()
    return tuple(path for path in switches if _without(study, recipe, path, looked))


def _without(study: Study, recipe: Recipe, path: str, looked: Looked) -> bool:
    before = getattr(study.baseline.model, path.removeprefix("model."))
    try:
        other = schema.evolve(recipe, {path: before}, study.file)
        return other != recipe and _meaning(other, looked) == _meaning(recipe, looked)
    except (InputError, ValueError):
        return False  # the change is needed for the others


def _resolved(recipe: Recipe) -> list[dict[str, Any]]:
    """Training and data as they act: a field that nothing reads in this recipe is left out."""
    train = recipe.train.model_dump(mode="json")
    for name in _unread(recipe.train):
        del train[name]
    if recipe.train.optimizer == "adamw" and recipe.train.weight_decay == 0:
        train["optimizer"] = "adam"  # they differ in the decay alone
    start = recipe.start.model_dump(mode="json", exclude={"weights", "sha256"})
    if not recipe.start.weights:
        del start["head"]
    return [train, resolved_data(recipe.data), start]


def _unread(train: TrainConfig) -> set[str]:
    unread: set[str] = set()
    if train.optimizer == "sgd":
        unread |= {"betas", "eps"} | ({"nesterov"} if train.momentum == 0 else set())
    else:
        unread |= {"momentum", "nesterov"}
    if train.schedule != "step":
        unread |= {"step_at", "step_factor"}
    if train.steps is not None:
        unread.add("epochs")
    return unread


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
        elif f"{path}{key}" != "model.code":  # it goes with the family, and is nobody's choice
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
        if hypothesis.arm not in names and study.design == "one_at_a_time":
            raise InputError(
                f"no arm is called {hypothesis.arm!r}",
                at=f"{study.file}: hypotheses",
                hint=did_you_mean(hypothesis.arm, names),
            )
