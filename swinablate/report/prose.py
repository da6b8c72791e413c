"""The sentences of a report that are neither verdicts nor methods."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from swinablate.config.recipe import EACH
from swinablate.records.plan import HypothesisRecord, PlanRecord
from swinablate.report.drawing.numbers import plain
from swinablate.report.drawing.words import called
from swinablate.report.families.further import blocks_of
from swinablate.report.families.shares import labels_of
from swinablate.report.families.total import total_error
from swinablate.report.results import StudyResults
from swinablate.report.tables import every_trial, lost, open_parts
from swinablate.stats import CONTRASTS
from swinablate.text import (
    HIDDEN_BELOW,
    after_difference,
    counted,
    duration,
    number,
    places_of,
    two_digits,
    unit_of,
)

GIVEN = "given when the results were analyzed; nothing here shows that it was fixed before them"
EXTENDED = (
    "what a first analysis left undecided was given more seeds after it, and judged again; its "
    "words, and what both analyses may get wrong together, stand under W9"
)
NOT_GIVEN = "none was given, so nothing is called equivalent"
SELECTED = {"last": "the last epoch", "best_val": "the epoch with the best validation accuracy"}
NO_ROPE = "none was declared, so nothing is called equivalent"


def hypotheses(answer: StudyResults) -> list[dict[str, Any]]:
    """Every declared hypothesis with its answer; the declaration's order."""
    rows = []
    for declared in answer.plan.hypotheses:
        block = block_of(answer, declared)
        arms = {arm["name"]: arm for arm in (*block["contrasts"], *block["arms"])}
        judged = arms.get(declared.about)
        found = (judged.get("hypotheses") or [judged.get("hypothesis")]) if judged else []
        same = [
            h for h in found
            if h and h["expect"] == declared.expect and h["by"] == declared.by
        ]  # fmt: skip
        why = f"not run: {_refused(answer, declared.about)}" if judged is None else ""
        rows.append(
            {
                "arm": declared.about,
                "text": claim(declared, unit_of(block)),
                "source": declared.source,
                "answer": same[0]["answer"] if same else "unresolved",
                "why": why,
                "judged": judged,
                "places": places_of(block),
                "unit": after_difference(unit_of(block)) if declared.quantity else "",
            }
        )
    return rows


def spread(answer: StudyResults) -> str:
    """How much the arms vary over seeds."""
    sds = {
        arm["name"]: arm["sd"]
        for arm in (answer.verdicts["baseline"], *answer.verdicts["arms"])
        if arm["sd"] is not None
    }
    if len(sds) < 2:
        return ""
    least, most = min(sds, key=sds.__getitem__), max(sds, key=sds.__getitem__)
    if sds[least] == sds[most]:
        return ""
    ratio = f", a ratio of {sds[most] / sds[least]:.1f}" if sds[least] > 0 else ""
    return (
        f"Standard deviations over {'splits' if answer.plan.units else 'seeds'} "
        f"run from {_two(sds[least])} ({least}) "
        f"to {_two(sds[most])} ({most})"
        f"{_points(unit_of(answer.verdicts))}{ratio}."
    )


def checklist(answer: StudyResults) -> list[tuple[str, str, str]]:
    """Answers to what reviewers ask, from what was recorded: question, answer, where it is asked.

    Source: the NeurIPS paper checklist (its questions by number); REFORMS, Kapoor et al. 2024,
    Science Advances 10 (its modules by number).
    """
    judged, plan = answer.verdicts, answer.plan
    alpha = judged["alpha"]
    rope = judged["rope_pp"]
    bars = (
        f"{100 * (1 - alpha):g} % {kind(answer)} intervals of the difference to the baseline; "
        f"{judged['method']}{_elsewhere(judged)}. After \u00b1 stands one standard deviation over "
        f"{'splits' if answer.plan.units else 'seeds'}, {_spread_of_tuned(judged)}."
    )
    margin = NO_ROPE if judged.get("declared", True) else NOT_GIVEN
    if rope is not None:
        pp = after_difference(unit_of(judged))
        when = "declared before launch" if judged.get("declared", True) else GIVEN
        margin = f"{rope:g}{pp} either way, {when}"
    found = [
        ("Hypotheses", _declared(answer), "NeurIPS 1; REFORMS 1"),
        ("Reproduction", _reproduction(answer), "NeurIPS 4, 5; REFORMS 2"),
        ("Data", _data(answer), "NeurIPS 6; REFORMS 3, 4"),
        ("Training", _training(plan), "NeurIPS 6; REFORMS 5"),
        ("Arms of another kind", _others(plan), "NeurIPS 6; REFORMS 5"),
        ("Selection", _selection(plan), "NeurIPS 6; REFORMS 5, 6"),
        ("Error bars", bars, "NeurIPS 7; REFORMS 7"),
        ("What varies between repetitions", _varies(answer), "NeurIPS 7; REFORMS 7"),
        ("Smallest difference of interest", margin, "NeurIPS 7; REFORMS 7"),
        ("Extension", EXTENDED if plan.parent else "", "NeurIPS 7; REFORMS 7"),
        ("Error over all families", total_error(judged), "NeurIPS 7; REFORMS 7"),
        ("Compute", _compute(answer), "NeurIPS 8; REFORMS 2"),
    ]
    return [(question, text, items) for question, text, items in found if text]


def _elsewhere(judged: Mapping[str, Any]) -> str:
    """How the declared contrasts were judged, where that is another way."""
    found = [one["method"] for one in judged["contrasts"] if one["family"] == CONTRASTS]
    return f"; of the declared contrasts {found[0]}" if {*found} - {judged["method"]} else ""


def _spread_of_tuned(judged: Mapping[str, Any]) -> str:
    repeats = judged.get("tuning", {}).get("repeats")
    return (
        "of tuned arms over tunings" if isinstance(repeats, int) and repeats > 1 else "everywhere"
    )


def _compute(answer: StudyResults) -> str:
    hours = answer.provenance.get("hours")
    if hours is None:
        return ""
    failed = answer.provenance.get("hours_failed") or 0
    trials = every_trial(answer)
    ended = int((~trials.status.isin(["waiting", "running"])).sum())
    devices = sorted({str(d) for d in trials.device.dropna()})
    clock = trials.cpu_s.dropna().astype(float).sum() / 3600
    gone = len(lost(answer))
    return (
        f"{_hours(hours)} for {counted(ended, 'trial')}, "
        + (f"of which {_hours(failed)} for {gone} that" if gone else "none of them")
        + " failed or diverged"
        + (f"; {_hours(clock)} of processor time in training" if clock else "")
        + (f"; on {'; '.join(devices)}" if devices else "")
    )


def _hours(hours: float) -> str:
    """A time in hours; one that would be 0.00 of them in the unit that suits it."""
    return f"{plain(hours, 2)} hours" if not 0 < hours < HIDDEN_BELOW else duration(3600 * hours)


def _reproduction(answer: StudyResults) -> str:
    """The command, the commit, and what holds every number."""
    where = answer.provenance
    commits = {
        git["commit"] + (", with changes that no commit has" if git.get("dirty") else "")
        for one in where.get("trials") or ()
        if (git := one.get("git") or {}).get("commit")
    }
    found = [
        f"`{where['command']}`" if where.get("command") else "",
        f"commit {' and '.join(sorted(commits))}" if commits else "",
        ""
        if not answer.plan.arms
        else "every recipe and trial: plan.json, tables/trials.csv"
        if answer.plan.baseline.recipe
        else "every run: tables/trials.csv",
    ]
    return "; ".join(text for text in found if text)


def _data(answer: StudyResults) -> str:
    """Which images the baseline sees, and what was done to them; and where arms see others."""
    baseline = answer.plan.baseline if answer.plan.arms else None
    data = baseline.recipe.get("data") if baseline else None
    if not baseline or not data:
        return ""
    image, tested = baseline.image, answer.trials.test_images.dropna()
    shape = [f"{image[key]}" for key in ("channels", "height", "width") if key in image]
    share = 100 * data.get("train_fraction", 1.0)
    kept = "the training images" if share == 100 and not data.get("limit") else "them"
    found = [
        data["name"],
        f"{image['classes']} classes" if image.get("classes") else "",
        f"every image as {' x '.join(shape)} (channels, height, width)" if shape else "",
        f"{share:g} % of the training images" if share != 100 else "",
        f"at most {data['limit']} training images" if data.get("limit") else "",
        f"{100 * data.get('val_fraction', 0):g} % of {kept} held out for validation",
        f"{int(tested.iloc[0])} test images" if len(tested) else "",
        f"augmented: {data['augment']}" if data.get("augment") not in {None, "none"} else "",
        f"normalised: {data['normalisation']}" if data.get("normalisation") else "",
    ]
    said = "; ".join(text for text in found if text)
    others = _other_images(answer)
    return f"the baseline's: {said}; {others}: plan.json" if others else said


def _other_images(answer: StudyResults) -> str:
    """What of the data is not the same in all arms; nothing where it is."""
    plan = answer.planned
    paths = dict.fromkeys(path for arm in plan.arms for path in arm.differs)
    own = [path for path in paths if path.startswith("data.")]
    if plan.datasets:
        labels = [one.label for one in plan.datasets.sets if one.label != plan.datasets.home]
        return f"every arm was also trained on {listed(labels)}"
    return f"arms differ in {listed(own)}" if own else ""


def _training(plan: PlanRecord) -> str:
    train = plan.baseline.recipe.get("train") if plan.baseline.recipe else None
    if plan.baseline.commanded:
        return f"the baseline's command: `{shlex.join(plan.baseline.recipe['command']['run'])}`"
    if not train:
        return ""
    keys = ("optimizer", "lr", "weight_decay", "schedule", "batch", "epochs", "steps", "precision")
    unread = "epochs" if train.get("steps") is not None else ""  # steps decide
    known = [f"{key} {train[key]}" for key in keys if train.get(key) is not None and key != unread]
    return f"the baseline's: {', '.join(known)}; all of it, of every arm: plan.json"


def _others(plan: PlanRecord) -> str:
    """Commands among networks, or networks among commands: what is not shared with them."""
    found = []
    for arm in (arm for arm in plan.arms if arm.name in plan.apart):
        what = f"a network of family {arm.family} on {arm.dataset}"
        if arm.commanded:
            what = f"the command `{shlex.join(arm.recipe['command']['run'])}`"
        found.append(f"{arm.name}: {what}")
    if not found:
        return ""
    more = "no random numbers are shared with the baseline at equal seeds, and images may differ"
    return f"{'; '.join(found)}; {more}"


def flips(answer: StudyResults) -> list[str]:
    """The arms whose effect changes its sign when every arm is tuned."""
    return [w["text"] for w in answer.verdicts["warnings"] if w["code"] == "W16"]


def unfinished(answer: StudyResults) -> str:
    """What a study that is not finished cannot say yet."""
    parts = open_parts(answer)
    if parts == ["tuned"]:
        return "tuning is not complete; what stands under Tuned waits for it"
    if answer.verdicts.get("looks"):
        return "arms that no look has decided are pending"
    return "intervals, no verdicts"


def kind(answer: StudyResults) -> str:
    """What the intervals are: of one look among several, or of all arms at once."""
    return "repeated" if answer.verdicts.get("looks") else "simultaneous"


def _declared(answer: StudyResults) -> str:
    if not answer.verdicts.get("declared", True):
        return (
            "none is known to have been declared before the runs: every comparison is exploratory"
        )
    asked = {declared.about for declared in answer.plan.hypotheses if not declared.quantity}
    rest = [arm["name"] for arm in answer.verdicts["arms"] if arm["name"] not in asked]
    if not asked:
        return "none was declared before launch: every comparison is exploratory"
    if not rest:
        return "one was declared before launch about every arm"
    these = "this is" if len(rest) == 1 else "these are"
    about = listed(_shown(answer, rest))
    return f"declared before launch, but not about {about}: {these} exploratory"


def exploratory(answer: StudyResults) -> list[str]:
    """The arms about which nothing was declared, as the report calls them."""
    arms = [arm["name"] for arm in answer.verdicts["arms"] if arm.get("exploratory")]
    return _shown(answer, arms)


def _shown(answer: StudyResults, arms: Sequence[str]) -> list[str]:
    labels = labels_of(answer.plan)
    return [str(called(name, labels)) for name in arms]


def listed(names: Sequence[str]) -> str:
    """Names in a row, which commas do not part where they are in one of them."""
    return ("; " if any("," in name for name in names) else ", ").join(names)


def _varies(answer: StudyResults) -> str:
    recipe = answer.plan.baseline.recipe
    if not recipe:
        return ""
    if answer.plan.baseline.commanded:
        return "the seed that the command is given, and what its script draws from it"
    split = recipe["data"].get("resample_split")
    kept = "the train/validation split is drawn anew" if split else "train/validation split fixed"
    if units := answer.plan.units:
        kept = f"{len(set(units.values()))} train/validation splits, the same ones for every arm"
    weights, fixed = _weights(recipe.get("start", {}))
    some = "augmentation and drop masks where there are any"
    drawn = ", ".join([*weights, "order of the images", some])
    return "; ".join([f"the seed: {drawn}", kept, *fixed, "test set fixed"])


def _weights(start: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Which weights vary with the seed, and which do not."""
    if not start.get("weights"):
        return ["initial weights"], []
    head = ["initial weights of the head"] if start["head"] == "new" else []
    if EACH in start["weights"]:
        return ["the trained weights it starts from", *head], []
    return head, ["trained weights fixed"]


def _selection(plan: PlanRecord) -> str:
    recipe = plan.baseline.recipe
    if not recipe:
        return ""
    if plan.baseline.commanded:
        return "the command's own: which epoch and which data its number is of, its script says"
    how = f"{SELECTED[recipe['train'].get('select', 'last')]} is tested"
    others = [arm for arm in plan.arms if "train.select" in arm.differs]
    for way in dict.fromkeys(arm.differs["train.select"][1] for arm in others):
        who = [arm.name for arm in others if arm.differs["train.select"][1] == way]
        how += f", of {listed(who)} {SELECTED[way]}"
    tuned = "; tuning chose on validation accuracy" if plan.tune else ""
    return f"{how}; no trial was pruned; the test set is used once a trial{tuned}"


def block_of(answer: StudyResults, declared: HypothesisRecord) -> Mapping[str, Any]:
    """The part of verdicts.json that a hypothesis is about: the whole, or that of a quantity."""
    further = blocks_of(answer.verdicts)
    found = [block for block in further if block["metric"] == declared.quantity]
    return found[0] if found else answer.verdicts


def claim(declared: HypothesisRecord, unit: str) -> str:
    """A hypothesis in words; of a quantity, which."""
    about = f" in {declared.quantity}" if declared.quantity else ""
    if declared.expect == "equivalent":
        within = (
            f" within {declared.by:g}{after_difference(unit)}" if about and declared.by else ""
        )
        return f"equivalent{about}{within}"
    by = f" by at least {declared.by:g}{after_difference(unit)}" if declared.by else ""
    return f"{declared.expect}{about}{by}"


def _two(sd: float) -> str:
    """A number to two digits, and never with an exponent for being large."""
    return f"{sd:#.2g}".rstrip(".") if 0 < sd < 99.5 else number(sd, two_digits(sd) if sd else 0)


def _points(unit: str) -> str:
    return " percentage points" if unit == "pp" else after_difference(unit)


def _refused(answer: StudyResults, name: str) -> str:
    reasons = [r.reason for r in answer.plan.refusals if r.name == name]
    return reasons[0] if reasons else "no such arm"
