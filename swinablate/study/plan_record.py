"""What a plan promises, before anything runs: `plan --json`, `plan.json`, and its sums."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from swinablate.config import schema
from swinablate.config.metrics import ACCURACY
from swinablate.config.plugins import did_you_mean
from swinablate.data import class_names, describe, image_spec, known, notices, per_class, source
from swinablate.data.facts import left_out
from swinablate.data.user_function import is_path
from swinablate.errors import InputError
from swinablate.models.diff import grouped
from swinablate.models.registry import is_import
from swinablate.records.outcome import Outcome
from swinablate.records.plan import ImagesRecord, PlanRecord, WarningRecord, at_home
from swinablate.records.tuning import SCHEMA
from swinablate.stats import (
    CONTRASTS,
    detectable,
    detectable_at,
    detectable_effects,
    last_look_needed,
    seeds_for_equivalence,
    seeds_needed,
)
from swinablate.stats.estimate import BASELINE_RATIO
from swinablate.study.arms.confounding import between, cautions_of, confounded
from swinablate.study.arms.designs import SHOWS, plain
from swinablate.study.arms.kinds import cautions_of_kinds, names_of
from swinablate.study.arms.labels import check_labels
from swinablate.study.arms.rungs import seen
from swinablate.study.arms.sets import seen_over
from swinablate.study.cautions import NAMED, cautions
from swinablate.study.declared import assumed, comparisons_of, effects_of, shows, unrun_cells
from swinablate.study.noise.expected import STATISTICS_SEEDS, Noise
from swinablate.study.noise.replicates import effects_by, found_by, noise_json
from swinablate.study.plan import Arm, Plan
from swinablate.text import named_level

IMAGES = "W26"
"""Of warnings about images, which are known only when they are there."""


def plan_record(plan: Plan, recorded: Mapping[str, Outcome], noise: Noise) -> PlanRecord:
    """The plan as it is recorded and printed: equal to what is read back from `plan.json`.

    Args:
        plan: the plan.
        recorded: trial id -> outcome, of any trial.
        noise: of the accuracies, from which the smallest effect follows.

    Raises:
        InputError: a hypothesis about something that is neither an arm nor an effect, or a label
            of what the study does not have.
    """
    study, home = plan.study, plan.home
    trials = plan.trials
    found = {
        "schema": SCHEMA,
        "study": study.name,
        "question": study.question,
        "parent": study.extension.parent if study.extension else "",
        "declaration": plan.declaration,
        "imports": imported(plan),
        "design": study.design,
        "shows": SHOWS[study.design],
        "axes": plain(study.axes),
        "looks": looks_json(plan, noise),
        "tune": study.tune.model_dump(mode="json") if study.tune else None,
        "budget": study.budget.model_dump(mode="json"),
        "smoke": study.smoke,
        "compare": study.compare.model_dump(mode="json"),
        "hypotheses": [h.model_dump(mode="json") for h in study.hypotheses],
        "arms": [{**_arm(arm), "measures": names_of(plan, arm)} for arm in plan.arms],
        "refusals": [
            {
                "name": r.name,
                "changes": dict(r.changes),
                "cell": r.cell,
                "reason": r.reason,
                "same_as": r.same_as,
            }
            for r in plan.refusals
        ],
        "warnings": [*_warnings(home)],
        "trials": {"min": plan.fewest, "max": plan.most},
        "reused": sum(trial.id in recorded for trial in trials),
        "detectable_pp": smallest_effect(home, noise),
        "seeds_needed": enough_seeds(home, noise),
        "noise": noise_json(plan, noise),
        "contrasts": [c.model_dump(mode="json") for c in study.contrasts],
        "between": between(home),
        "confounded": confounded(home),
        "labels": dict(study.labels),
        "scale": seen(plan, noise),
        "datasets": seen_over(plan, noise),
    }
    # Through JSON: what is printed and judged now equals what is read back later.
    made = PlanRecord.model_validate_json(json.dumps(found))
    check_labels(study.labels, made, study.file)
    own = at_home(made)
    sizes = _effects(own, plan, noise)
    more: dict[str, Any] = {
        "shows": shows(own),
        "effects_pp": sizes,
        "warnings": (*made.warnings, *_lost(own)),
    }
    if all(arm.against for arm in home.arms[1:]):  # nothing is compared with the baseline
        more["detectable_pp"] = sizes.get(CONTRASTS)
    return made.model_copy(update=more)


def with_images(record: PlanRecord, plan: Plan, datasets: Path) -> PlanRecord:
    """The record with what is known of the images by now: how many there are, and W26.

    Args:
        record: the plan's, with or without it.
        plan: the plan.
        datasets: the home's folder of data sets.
    """
    arms = plan.networks
    if not arms:
        return record
    plain = plan.study.compare.metric == ACCURACY
    texts: dict[str, None] = {}
    for data in dict.fromkeys(arm.recipe.data for arm in arms):
        facts = known(data, datasets)
        if facts is not None:
            found = notices(data, facts, plain=plain and not data.balanced)
            texts |= dict.fromkeys(found)
    images = _images(arms, datasets)
    texts |= dict.fromkeys(text for one in images if (text := left_out(one.data, one.per_class)))
    told = tuple(one for one in record.warnings if one.code != IMAGES)
    new = tuple(WarningRecord(code=IMAGES, text=text) for text in texts)
    return record.model_copy(update={"warnings": (*told, *new), "images": images})


def _images(every: Sequence[Arm], datasets: Path) -> tuple[ImagesRecord, ...]:
    """How many images arms have; of each class where they are prepared."""
    arms: dict[str, list[Arm]] = {}
    for arm in every:
        recipe = arm.recipe.data
        # What only training changes leaves the images the same.
        shared = (source(recipe), recipe.train_fraction, recipe.val_fraction, recipe.limit,
                  recipe.split_seed, recipe.resample_split)  # fmt: skip
        arms.setdefault(repr(shared), []).append(arm)
    found = []
    for own in arms.values():
        data, names = own[0].recipe.data, tuple(arm.name for arm in own)
        image, facts = image_spec(data), known(data, datasets)
        counts = per_class(data, datasets, own[0].seeds[0]) if facts is not None else {}
        known_by_name = describe(data)
        sizes = vars(known_by_name) if known_by_name else {}
        sizes = sizes | {part: sum(of) for part, of in counts.items()}
        found.append(
            ImagesRecord(
                arms=names,
                data=data.name,
                size=f"{image.height}x{image.width}x{image.channels}",
                sizes=sizes,
                per_class={part: tuple(of) for part, of in counts.items()},
                classes=class_names(data) if counts else (),
                converted=dict((facts or {}).get("converted", {})),
            )
        )
    return tuple(one for one in found if one.sizes)


def imported(plan: Plan) -> list[str]:
    """Import paths of networks and data: code that a plan runs, and that is not ours."""
    recipes = [arm.recipe for arm in plan.arms]
    networks = {r.model.family for r in recipes if is_import(r.model.family)}
    data = {r.data.name for r in recipes if is_path(r.data.name)}
    return sorted(networks | data)


def _warnings(plan: Plan) -> Iterator[dict[str, str]]:
    """What the arms, and the weights that they start from, make a reader beware of."""
    yield from _proved(plan)
    yield from _shared(plan)
    yield from cautions(plan)
    yield from cautions_of(plan)
    yield from cautions_of_kinds(plan)


def _lost(plan: PlanRecord) -> Iterator[WarningRecord]:
    """W14: comparisons that refused arms take with them, and what those that stay assume."""
    told, effects = effects_of(plan)
    _, compared = comparisons_of(plan)
    if effects:
        text = f"not estimable from the cells that can be run: {'; '.join(effects)}."
        yield WarningRecord(code="W14", text=text)
    for name, why in compared.items():
        yield WarningRecord(code="W14", text=f"{name} cannot be estimated: {why}.")
    if names := assumed(plan, told):
        yield WarningRecord(
            code="W14",
            text=f"{'; '.join(unrun_cells(plan))}: left out of the design's effects, for it "
            f"cannot be run; as if no three switches acted together: {'; '.join(names)}.",
        )


def _shared(plan: Plan) -> Iterator[dict[str, str]]:
    """W17: seeds that start from the same trained weights repeat the fine-tuning alone."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for arm in plan.arms:
        files = {start.sha256 for start in (arm.trial(seed).recipe.start for seed in arm.seeds)}
        if arm.recipe.start.weights and len(files) < len(arm.seeds):
            found["all" if len(files) == 1 else "some"].append(arm.name)
    for which, arms in found.items():
        more = f" and {len(arms) - NAMED} more" if len(arms) > NAMED else ""
        yield {
            "code": "W17",
            "text": f"{', '.join(arms[:NAMED])}{more}: {which} seeds start from the same file of "
            "weights, so the intervals do not contain the spread over pre-trainings.",
        }


def _proved(plan: Plan) -> Iterator[dict[str, str]]:
    """W13: a change that does nothing in its arm; W15: a switch that does more than it says."""
    for arm in plan.arms:
        for path in arm.idle:
            yield {
                "code": "W13",
                "text": f"{arm.name}: {path} = {named_level(arm.changes[path])} changes nothing "
                "here; without it the arm would be the same.",
            }
        if arm.proof and arm.proof.unused:
            yield {
                "code": "W13",
                "text": f"{arm.name}: its answers are the baseline's: what it adds, removes or "
                "resizes is used by nothing.",
            }
        if arm.proof and arm.proof.outside:
            where = ", ".join(list(grouped(arm.proof.outside))[:NAMED])
            yield {
                "code": "W15",
                "text": f"{arm.name}: {len(arm.proof.outside)} names differ that its switches "
                f"do not declare: {where}. Its effect is not theirs alone.",
            }


def smallest_effect(plan: Plan, noise: Noise) -> float | None:
    """The smallest difference the study finds with power 0.8, in percentage points."""
    study = plan.study
    if study.noise is not None and study.noise.nested:
        return found_by(plan, noise)
    if noise.sd is None or len(study.seeds) < STATISTICS_SEEDS or len(plan.arms) < 2:
        return None
    if study.looks:
        found: float = looks_json(plan, noise)[-1]["detectable_pp"]
        return found
    return round(
        detectable(
            _most(plan),
            len(plan.arms[0].seeds),
            _compared(plan),
            noise.sd,
            alpha=study.compare.alpha,
        ),
        3,
    )


def enough_seeds(plan: Plan, noise: Noise) -> dict[str, int | None]:
    """Seeds an arm that show a difference of the rope, and equivalence within it, with power 0.8.

    The baseline keeps its ratio; with looks they are those of the last. Nothing where no rope is
    declared, or the noise is unknown.
    """
    study, m = plan.study, _compared(plan)
    rope, alpha = study.compare.rope, study.compare.alpha
    nested = study.noise is not None and study.noise.nested  # splits are its units
    if rope is None or noise.sd is None or nested:
        return {}
    if study.looks:
        found = last_look_needed(rope, study.looks, m, noise.sd, alpha=alpha)
    else:
        ratio = len(plan.arms[0].seeds) / _most(plan)
        found = (
            seeds_needed(rope, m, noise.sd, alpha=alpha, baseline_ratio=ratio),
            seeds_for_equivalence(rope, m, noise.sd, alpha=alpha, baseline_ratio=ratio),
        )
    return dict(zip(("difference", "equivalence"), found, strict=True))


def _most(plan: Plan) -> int:
    """Seeds of an arm; in an extension, of those that got more."""
    return max(len(arm.seeds) for arm in plan.arms[1:])


def _compared(plan: Plan) -> int:
    """How many arms are compared with the baseline; one stands for a family of others."""
    return max(1, sum(not arm.against for arm in plan.arms[1:]))


def _effects(plan: PlanRecord, made: Plan, noise: Noise) -> dict[str, float]:
    """Family -> the size from which the design finds all effects of it, percentage points."""
    seeds = {arm.name: len(arm.seeds) for arm in plan.arms}
    effects, lost = effects_of(plan)
    compared, gone = comparisons_of(plan)
    known = [*(c.name for c in effects), *lost]
    at = made.study.file
    what = dict.fromkeys(known, "an effect of the design")
    what |= {arm.name: "an arm" for arm in made.arms}  # at other scales and on other data, too
    _check_contrasts(plan, what, at)
    _check_hypotheses(plan, [*known, *(c.name for c in compared), *gone], at)
    if plan.units:
        sizes = effects_by(made, noise, (*effects, *compared), [*seeds])
    elif noise.sd is None or min(seeds.values()) < STATISTICS_SEEDS:
        return {}
    else:
        told = (*effects, *compared)
        sizes = detectable_effects(told, seeds, noise.sd, alpha=plan.compare.alpha)
    return {family: round(size, 3) for family, size in sizes.items()}


def _check_hypotheses(plan: PlanRecord, effects: Sequence[str], at: str) -> None:
    """Refuse a hypothesis about something that is neither an arm nor an effect of the design."""
    names = [*(a.name for a in plan.arms[1:]), *(r.name for r in plan.refusals), *effects]
    for hypothesis in plan.hypotheses:
        if hypothesis.about not in names:
            raise InputError(
                f"no arm or effect is called {hypothesis.about!r}",
                at=f"{at}: hypotheses",
                hint=did_you_mean(hypothesis.about, names),
            )


def _check_contrasts(plan: PlanRecord, taken: Mapping[str, str], at: str) -> None:
    """Refuse a contrast that is called like an effect of the design, or an arm."""
    for contrast in plan.contrasts:
        if contrast.name in taken:
            raise InputError(
                f"{taken[contrast.name]} is called {contrast.name!r}, too",
                at=f"{at}: contrasts",
                hint="give the contrast another name",
            )


def looks_json(plan: Plan, noise: Noise) -> list[dict[str, Any]]:
    """Every look of an adaptive study: seeds, all trials until then, what it alone can find."""
    study, arms = plan.study, len(plan.arms) - 1
    if not study.looks:
        return []
    found: list[float] = []
    if noise.sd is not None:
        found = detectable_at(
            study.looks, _compared(plan.home), noise.sd, alpha=study.compare.alpha
        )
    return [
        {
            "seeds": seeds,
            "baseline_seeds": BASELINE_RATIO * seeds,
            "trials": seeds * (arms + BASELINE_RATIO),
            "detectable_pp": round(found[i], 3) if found else None,
        }
        for i, seeds in enumerate(study.looks)
    ]


def _arm(arm: Arm) -> dict[str, Any]:
    return {
        "name": arm.name,
        "changes": dict(arm.changes),
        "cell": arm.cell,
        "differs": {path: list(pair) for path, pair in arm.differs.items()},
        "recipe": arm.recipe.model_dump(mode="json"),
        "recipe_digest": schema.digest(arm.recipe.model_dump(mode="json")),
        "image": arm.shown,
        "params": arm.params,
        "macs": arm.macs,
        "activation_bytes": arm.activation_bytes,
        "geometry": list(arm.geometry),
        "match": arm.match.to_json() if arm.match else None,
        "proof": arm.proof.to_json() if arm.proof else None,
        "idle": list(arm.idle),
        "against": arm.against,
        "seeds": list(arm.seeds),
        "trials": [arm.trial(seed).id for seed in arm.seeds],
        "starts": _starts(arm),
        "splits": {str(seed): split for seed, split in arm.splits.items()},
    }


def _starts(arm: Arm) -> dict[str, dict[str, Any]]:
    """Kind -> seed -> the file that a trial starts from, where every seed has its own."""
    found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for (kind, seed), start in arm.starts.items():
        found[kind][str(seed)] = {"weights": start.weights, "sha256": start.sha256}
    return dict(found)
