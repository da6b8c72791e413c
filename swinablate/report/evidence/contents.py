"""What a bundle holds of a study: everything that was declared, recorded and judged."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swinablate.config.variants import digests
from swinablate.records.disk.files import entries
from swinablate.records.home import Home
from swinablate.records.launch import Launch, launch_of
from swinablate.records.outcome import MEASURED
from swinablate.records.plan import PlanRecord, everything
from swinablate.records.provenance import provenance
from swinablate.records.seal import Damaged, seal, unseal
from swinablate.records.secrets import redact, secrets_here
from swinablate.report.answer import gather
from swinablate.report.evidence.archive import Source, can_hold
from swinablate.report.results import StudyResults
from swinablate.report.tables import arms_table, csv, every_trial, whole

README = b"""The records of an ablation study, as `swinablate export` wrote them.

    swinablate verify FILE    checks digests, trials, the declaration and the verdicts
    swinablate import FILE    adds them to a home, where `report` and `run` go on

files/       the study and its recipes, as they were declared
study/       the recorded plans: arms, seeds, trials
trials/      a folder a trial: its record, and the events of every attempt
report/      verdicts and tables
environment.json, manifest.json
"""
UNLIKE = "report"
"""Of what is said about the origin of numbers, what is about the one who asks."""


@dataclass
class Contents:
    """What goes into a bundle.

    Attributes:
        files: name -> content.
        about: what the manifest says besides.
        notes: what is not in it, and why, in words.
    """

    files: dict[str, Source] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def contents_of(home: Home, name: str, *, weights: bool) -> Contents:
    """Everything of a study that a home has; secrets are masked, and the manifest says where.

    Args:
        home: where it was run.
        name: of the study.
        weights: with checkpoints.

    Raises:
        InputError: the study was not run here.
        Damaged: a record is not what was written.
    """
    made, masked = Contents(), list[str]()
    answer = gather(home, name)
    plan, launch = answer.plan, launch_of(home, answer.plan)
    texts = dict(_texts(home, name, made.notes))
    for where, data in texts.items():
        made.files[where] = public(where, data)
        if made.files[where] != data and not where.endswith("launch.json"):
            masked.append(where)
    if weights:
        made.files |= dict(_checkpoints(home, name))
    study, files = _study_files(plan, launch, made.notes)
    made.files |= files
    made.files |= judged(answer)
    made.files["environment.json"] = _json({"trials": origin(answer), "export": provenance()})
    made.files["README.txt"] = README
    waiting = int((every_trial(answer).status == "waiting").sum())
    if waiting:
        made.notes.append(f"unfinished: {waiting} trials have no record yet")
    made.about = {
        "study": name,
        "declaration": plan.declaration,
        "question": plan.question,
        "file": study,
        "settings": list(launch.settings),
        "masked": masked,
        "weights": weights,
    }
    return made


def judged(answer: StudyResults) -> dict[str, bytes]:
    """Verdicts and tables as a bundle has them."""
    every = whole(answer)
    return {
        "report/verdicts.json": _json(dict(answer.verdicts)),
        "report/trials.csv": csv(every_trial(every)).encode(),
        "report/arms.csv": csv(arms_table(every)).encode(),
    }


def origin(answer: StudyResults) -> dict[str, Any]:
    """Where the numbers come from, without who asks."""
    told = json.loads(json.dumps(answer.provenance))
    return {key: value for key, value in told.items() if key != UNLIKE}


def public(where: str, data: bytes) -> bytes:
    """A record as strangers may have it: secrets masked, and sealed again where that changed it.

    Args:
        where: its name; what a launch says of this machine's folders is left out.
        data: as recorded.

    Raises:
        Damaged: it is no JSON.
    """
    known = secrets_here()
    if where.endswith(".jsonl"):
        lines = data.decode("utf-8", "replace").splitlines(keepends=True)
        found = "".join(_line(line, known) for line in lines).encode()
        return found if "".join(lines).encode() != found else data
    if not where.endswith(".json"):
        return data
    try:
        said = json.loads(data)
    except (ValueError, RecursionError) as error:
        hint = "`swinablate doctor` looks at all of a home"
        raise Damaged(f"damaged record: no JSON: {error}", at=where, hint=hint) from None
    clean = _masked(said, known)
    if where.endswith("launch.json"):
        clean["file"] = ""
    if clean == said:
        return data
    if clean.get("schema") == 1:  # nobody sealed it
        return json.dumps(clean).encode()
    clean.pop("digest", None)
    return seal(clean).encode()


def _line(line: str, known: set[str]) -> str:
    try:
        said = json.loads(line)
    except ValueError:  # cut off by a kill
        return redact(line, known)
    clean = _masked(said, known)
    return line if clean == said else json.dumps(clean) + "\n"


def _masked(value: Any, known: set[str]) -> Any:
    if isinstance(value, str):
        return redact(value, known)
    if isinstance(value, dict):
        return {key: _masked(item, known) for key, item in value.items()}
    return [_masked(item, known) for item in value] if isinstance(value, list) else value


def _texts(home: Home, name: str, notes: list[str]) -> Iterator[tuple[str, bytes]]:
    """The records of a study: all of its declarations, and every trial that one of them names.

    A copy that is damaged, beside a record that is whole, is left out, and noted.
    """
    folder = home.studies / name
    for path in (folder / "latest", folder / "choices.json"):
        yield from _file(path, f"study/{path.name}")
    for digest in home.declarations(name):
        for kind in ("plan", "tuning", "launch"):
            yield from _file(folder / digest / f"{kind}.json", f"study/{digest}/{kind}.json")
    for trial in _trials(home, name):
        yield from _of_trial(home.trials / trial, trial, notes)


def _of_trial(at: Path, trial: str, notes: list[str]) -> Iterator[tuple[str, bytes]]:
    yield from _file(at / "result.json", f"trials/{trial}/result.json")
    attempts = [f"attempts/{one.name}" for one in _attempts(at)]
    for kind in (MEASURED, *(f"{one}/result.json" for one in attempts)):
        if why := _damage(at / kind, trial):
            notes.append(f"without {kind} of trial {trial[:12]}: {why}")
        else:
            yield from _file(at / kind, f"trials/{trial}/{kind}")
    for attempt in attempts:
        for kind in (f"{attempt}/events.jsonl", f"{attempt}/reopened"):
            yield from _file(at / kind, f"trials/{trial}/{kind}")


def _damage(path: Path, trial: str) -> str:
    """Why a file of a trial cannot be believed; empty where it can, or is not there."""
    try:
        unseal(path, {"trial": trial}, "")
    except FileNotFoundError:
        return ""
    except Damaged as error:
        return error.problem
    return ""


def _checkpoints(home: Home, name: str) -> Iterator[tuple[str, Path]]:
    for trial in _trials(home, name):
        for attempt in _attempts(home.trials / trial):
            for path in attempt.glob("checkpoint-*.pt"):
                yield f"trials/{trial}/attempts/{attempt.name}/{path.name}", path


def _trials(home: Home, name: str) -> list[str]:
    plans = [home.declared(name, digest) for digest in home.declarations(name)]
    named = dict.fromkeys(trial for plan in plans for trial in everything(plan))
    return [trial for trial in named if (home.trials / trial).is_dir()]


def _attempts(trial: Path) -> list[Path]:
    return [path for path in entries(trial / "attempts") if path.name.isdecimal()]


def _file(path: Path, where: str) -> Iterator[tuple[str, bytes]]:
    if path.is_file():
        yield where, path.read_bytes()


def _study_files(
    plan: PlanRecord, launch: Launch, notes: list[str]
) -> tuple[str, Mapping[str, Source]]:
    """The study's file and its recipes, if they still say what was run; and its name there."""
    file = Path(launch.file) if launch.file else None
    if file is None or not launch.digests or digests(file, launch.settings) != launch.digests:
        why = "was edited or moved since" if file else "is not known"
        notes.append(f"without the study's own file, which {why}: its recorded plan is there")
        return "", {}
    recipes = [file.parent / name for name in launch.digests if name]
    paths = [Path(os.path.normpath(path.absolute())) for path in (file, *recipes)]
    root = Path(os.path.commonpath([path.parent for path in paths]))
    names = {path: f"files/{path.relative_to(root).as_posix()}" for path in paths}
    if odd := [name for name in names.values() if not can_hold(name)]:
        notes.append(f"without the study's own files: no bundle can hold the name {odd[0]!r}")
        return "", {}
    found: dict[str, Source] = {}
    for path, name in names.items():
        text = path.read_bytes()
        shown = redact(text.decode("utf-8", "replace"), secrets_here()).encode()
        found[name] = text if shown == text else shown
    if plan.imports:
        notes.append(f"without the code of {', '.join(plan.imports)}")
    return names[paths[0]], found


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()
