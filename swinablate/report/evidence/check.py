"""Whether a bundle is what it says: digests, trials, declaration, verdicts. Writes nothing."""

import csv
import io
import json
import math
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swinablate.config import schema
from swinablate.config.variants import recipes_named
from swinablate.errors import EnvironmentFault, InputError, SwinablateError
from swinablate.records.events import read_event
from swinablate.records.home import Home
from swinablate.records.outcome import Outcome, read_outcome
from swinablate.records.plan import PlanRecord, everything
from swinablate.report.answer import gather
from swinablate.report.evidence.archive import Bundle
from swinablate.report.evidence.contents import judged, origin
from swinablate.report.evidence.identity import (
    Unknowable,
    declarations_of,
    ids_of,
    recipe_of,
    started,
)

STUDY = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._=,+()@-]{0,254}")
"""Of studies and variants, as they stand in folders; file systems take no more letters."""
FOREIGN = re.compile(r"(?!(?:timm|torchvision):)[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
"""Somewhere in a study or recipe: the path of code that is not ours. Nothing that a bundle names
is run to check it."""
SAME = 1e-6
"""Numbers of another machine that differ by less are equal: sums in another order do."""
VERDICTS = "report/verdicts.json"
LATER = frozenset({"shares"})
"""Blocks of verdicts.json that bundles of an earlier version do not have: leaving one out claims
nothing, and what a bundle has is compared."""
SHOWN = 3
"""Differing numbers of one file that are named; the first ones say what happened."""


@dataclass
class Checked:
    """What was found in a bundle.

    Attributes:
        faults: what is not as it says: where, and what.
        unchecked: what nobody can tell here, and why.
        trials: records that were read.
    """

    bundle: Bundle
    faults: list[tuple[str, str]] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    trials: int = 0

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """Plain data, for programs."""
        about = self.bundle.about
        return {
            "schema": 1,
            "study": about["study"],
            "declaration": about["declaration"],
            "digest": self.bundle.digest,
            "whole": self.whole,
            "files": len(self.bundle.entries),
            "trials": self.trials,
            "faults": [{"where": where, "problem": problem} for where, problem in self.faults],
            "unchecked": self.unchecked,
        }


def check(bundle: Bundle) -> Checked:
    """Check all that can be checked of a bundle without other files, and name what cannot.

    Raises:
        InputError: the manifest names no study.
        EnvironmentFault: there is no room for temporary files.
    """
    about = bundle.about
    named = [about.get(key) for key in ("study", "declaration", "file")]
    texts = all(isinstance(one, str) for one in named) and isinstance(about.get("masked"), list)
    settings = about.get("settings")
    plain = isinstance(settings, list) and all(isinstance(one, str) for one in settings)
    if not (texts and plain and STUDY.fullmatch(about["study"])):
        raise InputError(
            "its manifest names no study", at=str(bundle.path), hint="ask for the file again"
        )
    found = Checked(bundle)
    found.faults += [(name, "its digest is another's") for name in bundle.damaged()]
    if found.faults:
        found.unchecked.append("what the records say: files are not what was exported")
        return found
    with tempfile.TemporaryDirectory(prefix="swinablate-") as folder:
        home = unpacked(bundle, Path(folder))
        _check_records(found, home, Path(folder) / "files")
    return found


def unpacked(bundle: Bundle, folder: Path, *, weights: bool = False) -> Home:
    """The bundle's records as a home; its study's files beside it.

    Args:
        bundle: whose form and digests are right.
        folder: a new one.
        weights: with checkpoints.
    """
    home = Home(folder / "home")
    study = home.studies / str(bundle.about["study"])
    places = {"study": study, "trials": home.trials, "files": folder / "files"}
    for name in bundle.entries:
        head, _, rest = name.partition("/")
        if head in places and (weights or not name.endswith(".pt")):
            bundle.copy(name, places[head] / rest)
    return home


def _check_records(found: Checked, home: Home, files: Path) -> None:
    about = found.bundle.about
    name = about["study"]
    plans = []
    for digest in home.declarations(name):
        try:
            plans.append(home.declared(name, digest))
        except SwinablateError as error:
            found.faults.append((f"study/{digest}", error.problem))
    try:
        latest = home.latest(name)
    except SwinablateError as error:
        found.faults.append(("study/latest", error.problem))
        return
    if latest != about["declaration"] or latest not in {plan.declaration for plan in plans}:
        found.faults.append(("study/latest", "it is not the declaration of the manifest"))
    for plan in plans:
        _check_plan(found, plan)
    known = {trial for plan in plans for trial in everything(plan)}
    for folder in sorted(home.trials.glob("*")):
        _check_trial(found, home, folder, known)
    if found.faults:
        found.unchecked.append("the verdicts: the records that they are made of are faulty")
        return
    _check_study(found, plans, files)
    _check_report(found, home, name)


def _check_plan(found: Checked, plan: PlanRecord) -> None:
    """The declaration's digest, and the ids of all trials that it plans."""
    where = f"study/{plan.declaration}/plan.json"
    try:
        if plan.declaration not in declarations_of(plan):
            found.faults.append((where, "its arms, seeds and comparisons have another digest"))
    except Unknowable as error:
        found.unchecked.append(f"{where}: whether it declares what its digest says: {error}")
    for arm in plan.arms:
        try:
            recipe = recipe_of(arm.recipe)
            pairs = zip(arm.seeds, arm.trials, strict=True)
            wrong = [s for s, t in pairs if t not in ids_of(started(arm, recipe, s), s)]
        except Unknowable as error:
            found.unchecked.append(f"{where}: the trials of {arm.name!r}: {error}")
            continue
        if wrong:
            seeds = ", ".join(map(str, wrong))
            problem = f"arm {arm.name!r}: the trials of seeds {seeds} are those of other recipes"
            found.faults.append((where, problem))


def _check_trial(found: Checked, home: Home, folder: Path, known: set[str]) -> None:
    """A record, its attempts', and that its id is that of its recipe and seed."""
    trial = folder.name
    where = f"trials/{trial}"
    if trial not in known:
        found.faults.append((where, "no declaration of the study names it"))
    try:
        outcome = home.outcome(trial)
        for path in sorted(folder.glob("attempts/*/result.json")):
            read_outcome(path, trial, "")
    except EnvironmentFault as error:
        found.faults.append((f"{where}/result.json", error.problem))
        return
    found.faults += [*_strange_events(folder)]
    if outcome is not None:
        _check_id(found, outcome, where)


def _check_id(found: Checked, outcome: Outcome, where: str) -> None:
    found.trials += 1
    if outcome.schema == 1:
        found.unchecked.append(f"{where}: a record of version 0.1 has no digest of its own")
    try:
        if outcome.trial not in ids_of(recipe_of(outcome.recipe), outcome.seed):
            problem = "its recipe and seed are those of another trial"
            found.faults.append((f"{where}/result.json", problem))
    except Unknowable as error:
        found.unchecked.append(f"{where}: whether it is the trial of its recipe: {error}")


def _strange_events(folder: Path) -> Iterator[tuple[str, str]]:
    """Logs of a trial that tell of another one."""
    for path in sorted(folder.glob("attempts/*/events.jsonl")):
        if any(_of_another(line, folder.name) for line in path.read_bytes().splitlines()):
            inside = path.relative_to(folder.parent).as_posix()
            yield f"trials/{inside}", "it holds events of another trial"


def _of_another(line: bytes, trial: str) -> bool:
    event = read_event(line)
    return event is not None and event.trial != trial


def _check_study(found: Checked, plans: Iterable[PlanRecord], files: Path) -> None:
    """Plan the study's own file again: it must declare what was run."""
    about = found.bundle.about
    by_digest = {plan.declaration: plan for plan in plans}
    first = by_digest[about["declaration"]]
    while first.parent in by_digest:
        first = by_digest[first.parent]
    try:
        declared = _declared(about, files, smoke=first.smoke)
    except Unknowable as error:
        found.unchecked.append(f"whether the study's file declares what was run: {error}")
        return
    if declared != first.declaration and any(arm.commanded for arm in first.arms):
        why = "what its commands are made of is not in the bundle"
        found.unchecked.append(f"whether the study's file declares what was run: {why}")
    elif declared != first.declaration:
        found.faults.append((about["file"], "it declares something else than what was run"))


def _declared(about: Mapping[str, Any], files: Path, *, smoke: bool) -> str:
    """The digest of what the study's file declares.

    Raises:
        Unknowable: it is not there, names what is not, or code that is not ours.
    """
    from swinablate.study.files import load_study
    from swinablate.study.files import smoke as smoked
    from swinablate.study.planner import plan

    name = str(about["file"])
    file = files / name.removeprefix("files/")
    if not name.startswith("files/") or not file.is_file():
        raise Unknowable("it is not in the bundle")
    here = {path.resolve() for path in files.rglob("*.toml")}
    try:
        named = [
            (file.parent / str(one)).resolve() for one in recipes_named(schema.read_toml(file))
        ]
        if not {*named} <= here:
            raise Unknowable("it names recipes that are not in the bundle")
        every = [schema.read_toml(path) for path in (file, *named)]
        if any(FOREIGN.match(text) for text in _strings([*every, list(about["settings"])])):
            raise Unknowable("it names code that is not ours, which is not run for it")
        study = load_study(file, about["settings"], smoke=smoke)
        return plan(smoked(study) if smoke else study).declaration
    except (SwinablateError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        problem = error.problem if isinstance(error, SwinablateError) else str(error)
        raise Unknowable(f"it cannot be planned here: {problem}") from None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value.partition("=")[2] if re.match(r"[\w.]+=", value) else value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def _check_report(found: Checked, home: Home, name: str) -> None:
    """Judge the records again: the same words, and the same numbers but for rounding."""
    bundle = found.bundle
    try:
        answer = gather(home, name)
    except (SwinablateError, ValueError, KeyError) as error:
        found.faults.append((VERDICTS, f"the records cannot be judged: {error}"))
        return
    again = {**judged(answer), "environment.json": json.dumps(origin(answer)).encode()}
    for where, now in again.items():
        if where not in bundle.entries:
            found.faults.append((where, "it is missing"))
            continue
        try:
            then, here = _parsed(where, bundle.read(where)), _parsed(where, now)
        except (ValueError, KeyError, TypeError) as error:
            found.faults.append((where, f"it cannot be read: {error}"))
            continue
        if where == VERDICTS:
            here = {key: here[key] for key in here if key in then or key not in LATER}
        odd = [*_differences(then, here)]
        if odd:
            more = f" and {len(odd) - SHOWN} more" if len(odd) > SHOWN else ""
            problem = f"the records give something else: {'; '.join(odd[:SHOWN])}{more}"
            found.faults.append((where, problem))


def _parsed(where: str, data: bytes) -> Any:
    text = data.decode()
    if where.endswith(".csv"):
        return {str(n): row for n, row in enumerate(csv.DictReader(io.StringIO(text)), 2)}
    found = json.loads(text)
    return found["trials"] if where == "environment.json" and "export" in found else found


def _differences(then: Any, now: Any, path: str = "") -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for key in {**then, **now}:
            yield from _differences(then.get(key), now.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for number, (one, other) in enumerate(zip(then, now, strict=True)):
            yield from _differences(one, other, f"{path}.{number}")
    elif then != now and not _close(then, now):
        yield f"{path} is {then!r}, and now {now!r}"


def _close(then: Any, now: Any) -> bool:
    if isinstance(then, bool) or isinstance(now, bool):
        return False
    try:
        return math.isclose(float(then), float(now), rel_tol=SAME, abs_tol=SAME)
    except (TypeError, ValueError):
        return False
