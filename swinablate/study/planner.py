"""From a study to its plan. Pure: same study, same plan."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from swinablate.config import schema
from swinablate.config.code.theirs import named, theirs
from swinablate.config.compare import Compare
from swinablate.config.family import BYTE
from swinablate.config.plugins import did_you_mean
from swinablate.config.recipe import CommandRecipe, Recipe, StartConfig
from swinablate.config.train import TrainConfig
from swinablate.config.weights import each
from swinablate.data import completed, image_spec
from swinablate.errors import InputError, SwinablateError
from swinablate.models.bounds import check_config
from swinablate.models.registry import is_import, load_family
from swinablate.models.transfer import check_start
from swinablate.study.arms.cells import Cell, cells_of
from swinablate.study.arms.commanded import command_arm, elsewhere
from swinablate.study.arms.contrasts import check_arms
from swinablate.study.arms.rungs import climb
from swinablate.study.arms.sets import spread
from swinablate.study.equality import (
    FOUND,
    Looked,
    check_read,
    cost_of,
    differing,
    idle_changes,
    meaning,
    norms_of,
    odd_of,
    prove,
)
from swinablate.study.files import BASELINE, Study
from swinablate.study.limits import check_parts
from swinablate.study.matching import solve
from swinablate.study.noise.sources import check_splits, splits_of
from swinablate.study.plan import Arm, Kind, Plan, Refusal
from swinablate.study.seeds import Budget
from swinablate.study.tunable import check_tuning as check_tuning

SMOKE_STEPS, SMOKE_BATCH, SMOKE_IMAGES = 2, 16, 64
"""The least that runs everything: a second step, which meets the state that the first left, on
batches of several images that fit any memory."""


def plan(study: Study, watch: Callable[[int, str], None] | None = None) -> Plan:
    """Expand the design; refuse what cannot be built or is the same as another arm.

    Args:
        study: the question.
        watch: told of each arm before it is built: how many were, and its name.

    Raises:
        InputError: a switch or level that does not exist, an impossible baseline, two arms
            of one name, a hypothesis about no arm, or nothing left to compare.
    """
    try:
        return _expanded(study, watch)
    except InputError as error:
        if study.file not in error.at:  # it was found in what the study's recipes say
            error.at = ": ".join(filter(None, (study.file, error.at)))
        raise


def _expanded(study: Study, watch: Callable[[int, str], None] | None) -> Plan:
    """The plan, at all scales and on all data sets."""
    if study.scale is not None:
        return climb(study, lambda there, at: _plan(there, _named(watch, at)), _baseline)
    if study.data:
        return spread(study, lambda there, on: _plan(there, _named(watch, on)))
    return _plan(study, watch)


def _named(watch: Callable[[int, str], None] | None, at: str) -> Callable[[int, str], None] | None:
    """What is told of each arm of a rung or data set before it is built."""
    return watch and (lambda number, name: watch(number, f"{name}{at}"))


def _plan(study: Study, watch: Callable[[int, str], None] | None) -> Plan:
    """The plan of a study of one scale and one data set."""
    arms: list[Arm] = []
    refusals: list[Refusal] = []
    seen: dict[str, str] = {}
    owners: dict[str, str] = {}
    looked = Looked()
    for made in cells_of(study):
        if made.name in {a.name for a in arms} | {r.name for r in refusals}:
            raise InputError(
                f"two arms are called {made.name!r}",
                at=f"{study.file}: arms",
                hint="give one of them another name",
            )
        if watch:
            watch(len(arms) + len(refusals), made.name)
        same = None
        try:
            arm, meaning = _tried(study, made, arms[0] if arms else None, looked)
            same = seen.get(meaning)
            if same is None:
                owners |= _apart(arm, owners)
                seen[meaning] = made.name
                arms.append(arm)
                continue
            own = isinstance(made.recipe, CommandRecipe)
            reason = f"the same {'command' if own else 'network and training'} as {same!r}"
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
    _drop_without_other(arms, refusals)
    check_tuning(study, {arm.name: arm.recipe for arm in arms})
    check_read(study, [arm.recipe for arm in arms])
    check_splits(study.noise, [(a.name, a.recipe, a.differs) for a in arms], study.file)
    made_plan = Plan(study=study, arms=tuple(arms), refusals=tuple(refusals))
    made_plan.check_budget()
    return made_plan


def alone(recipe: Recipe, name: str, file: str, seeds: Sequence[int]) -> Plan:
    """The plan of one recipe that is compared with nothing: a study of its baseline.

    Args:
        recipe: what to train.
        name: of the study.
        file: where the recipe is written, for messages.
        seeds: of its trials.

    Raises:
        InputError: it cannot be built.
    """
    study = Study(
        name=name,
        file=file,
        question=f"What does {file} reach?",
        baseline=recipe,
        axes={},
        variants=(),
        design="one_at_a_time",
        seeds=tuple(seeds),
        baseline_seeds=tuple(seeds),
        looks=(),
        budget=Budget(),
        compare=Compare(),
        hypotheses=(),
    )
    try:
        arm = _baseline(study)
    except ValueError as error:
        problem, _, hint = str(error).partition("; ")
        raise InputError(problem, at=file, hint=hint or "change the recipe") from None
    return Plan(study=study, arms=(arm,), refusals=())


def _baseline(study: Study) -> Arm:
    """The baseline of a study, built alone.

    Raises:
        ValueError: it cannot be built, and why.
    """
    arm, _ = _tried(study, next(cells_of(study)), None, Looked())
    return arm


def smoked(recipe: Recipe) -> Recipe:
    """The recipe of a smoke run: two steps on a few images of noise, of the right shape.

    Noise needs no download; what a smoke run checks is that everything runs. The changed
    fields are part of the trial's identity, so nothing is mistaken for a real result.
    """
    data = recipe.data.model_copy(
        update={
            "name": "noise",
            "root": None,
            "image": image_spec(recipe.data).model_copy(update={"top": BYTE}),
            "size": None,
            "channels": None,
            "test_fraction": None,
            "limit": SMOKE_IMAGES,
        }
    )
    train = recipe.train.model_copy(
        update={
            "steps": SMOKE_STEPS,
            "epochs": TrainConfig.model_fields["epochs"].default,  # not read beside steps
            "batch": min(recipe.train.batch, SMOKE_BATCH),
        }
    )
    return recipe.model_copy(update={"data": data, "train": train})


def _tried(study: Study, made: Cell, base: Arm | None, looked: Looked) -> tuple[Arm, str]:
    """Build an arm; of somebody else's network, whatever it raises is a reason to refuse it.

    Raises:
        ValueError: it cannot be built, and why.
    """
    if made.recipe is None:
        raise ValueError(made.unfit)
    if isinstance(made.recipe, CommandRecipe):
        return command_arm(study, made, made.recipe)
    if isinstance(study.baseline, CommandRecipe):
        base = None  # there is no network that its own could be compared with
    if not is_import(made.recipe.model.family):
        return _build(study, made, base, looked)
    try:
        with theirs():
            return _build(study, made, base, looked)
    except (SwinablateError, ValueError):
        raise
    except Exception as error:
        path = made.recipe.model.family
        raise ValueError(
            f"{path} failed: {named(error)}; `swinablate check {path}` says where"
        ) from error


def _build(study: Study, made: Cell, base: Arm | None, looked: Looked) -> tuple[Arm, str]:
    """The arm, and a digest of all that makes it what it is: two equal ones are one arm.

    Of the weights it starts from the content counts, seed by seed, and not where it lies.
    """
    assert made.recipe is not None
    recipe, changes, match = _completed(made.recipe, looked), dict(made.changes), None
    if made.match and base:
        check_config(
            load_family(recipe.model.family, study.file), recipe.model, image_spec(recipe.data)
        )
        at = f"{study.file}: arms: {made.name!r}"
        target = base.macs if made.match.by == "macs" else base.params
        assert target is not None
        recipe, match = solve(recipe, made.match, target, at)
        changes |= {path: level for path, (_, level) in match.solved.items()}
    baseline = None
    if not isinstance(study.baseline, CommandRecipe):
        baseline = _completed(study.baseline, looked)
    if study.smoke:
        recipe, baseline = smoked(recipe), smoked(baseline) if baseline else None
    seeds = study.seeds if made.changes else study.baseline_seeds  # only the baseline has none
    if study.extension:
        seeds = study.extension.seeds.get(made.name, seeds)
    starts = _starts(study, made.name, recipe.start, seeds)
    family = load_family(recipe.model.family, study.file)
    image = image_spec(recipe.data)
    check_config(family, recipe.model, image)
    geometry = family.geometry(recipe.model, image)
    fitted = check_start(family, recipe, image, tuple(starts.values()))
    spent = cost_of(family, recipe, image, looked)
    check_parts(recipe, norms_of(recipe, looked))
    differs = differing(baseline, recipe) if made.changes and baseline else elsewhere(made)
    if made.recipe.data.image is None and study.baseline.data.image is None:
        # found in both, so it follows from what was changed, and is no change of its own
        differs = {path: pair for path, pair in differs.items() if path not in FOUND}
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
        proof=prove(base, recipe, differs, looked) if base else None,
        idle=idle_changes(study, recipe, made.changes, looked),
        seeds=seeds,
        starts=starts,
        fitted=fitted,
        odd=odd_of(recipe, looked),
        against=made.against,
        splits=splits_of(study.noise, recipe, seeds),
    )
    own = [arm.trial(seed).recipe.start.sha256 for seed in study.seeds]
    return arm, schema.digest([meaning(recipe, looked), own])


def _completed(recipe: Recipe, looked: Looked) -> Recipe:
    """The recipe with the format of a folder's pictures, where it gives none."""
    if recipe.data not in looked.data:
        looked.data[recipe.data] = completed(recipe.data)
    return recipe.model_copy(update={"data": looked.data[recipe.data]})


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
        count = study.tune.of(len(seeds)) * study.tune.seeds
        files = each(start, range(spare, spare + count), at, why)
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
    against = {variant.name: variant.against for variant in study.variants if variant.against}
    check_arms(study.contrasts, against, [BASELINE, *names], study.file)
    contrasts = [contrast.name for contrast in study.contrasts]
    for hypothesis in study.hypotheses:
        kind, known = ("arm", names) if hypothesis.arm else ("contrast", contrasts)
        if hypothesis.about not in known and study.design == "one_at_a_time":
            raise InputError(
                f"no {kind} is called {hypothesis.about!r}",
                at=f"{study.file}: hypotheses",
                hint=did_you_mean(hypothesis.about, known)
                if known
                else "declare it: [[contrasts]] name = ..., of = {...}",
            )


def _drop_without_other(arms: list[Arm], refusals: list[Refusal]) -> None:
    """Refuse the arms that would be compared with an arm that was refused."""
    alias = {refusal.name: refusal.same_as for refusal in refusals}
    for arm in [arm for arm in arms if arm.against in alias]:
        other = alias[arm.against]
        if other is not None and other != arm.name:
            continue
        why = "is refused" if other is None else "is the same network and training"
        arms.remove(arm)
        refusals.append(
            Refusal(
                name=arm.name,
                changes=arm.changes,
                cell=arm.cell,
                reason=f"it is compared with {arm.against!r}, which {why}",
            )
        )
        return _drop_without_other(arms, refusals)  # others may be compared with this one
    if len(arms) < 2:
        raise InputError(
            "nothing is left to compare",
            at="arms",
            hint="; ".join(f"{one.name}: {one.reason}" for one in refusals),
        )
    return None
