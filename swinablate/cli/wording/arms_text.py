"""What the arms of a plan are, in words: networks and how they differ, or commands."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from swinablate.text import level, signed

if TYPE_CHECKING:
    from swinablate.config.commands.schema import CommandConfig
    from swinablate.records.plan import ArmRecord, PlanRecord, ProofRecord

Table = tuple[str, Sequence[str], Sequence[Sequence[object]]]
PLACES = 3
"""Names of modules a plan shows for each arm; `--json` has them all."""


def arms_tables(plan: "PlanRecord") -> Iterator[Table]:
    """Title, columns and rows of every table."""
    commands = [arm for arm in plan.arms if arm.commanded]
    if len(commands) < len(plan.arms):
        yield from _networks(plan)
    if commands:
        rows = [[arm.name, len(arm.seeds), _line(arm)] for arm in commands]
        title = "Arms" if len(commands) == len(plan.arms) else "Arms that are commands"
        yield title, ["arm", ">seeds", "what is started for every seed"], rows


CHECKED = (
    "First run: one seed of every arm, two of the baseline, and the first of these twice. Where "
    "they show that a switch or the seed does not reach the script, nothing more is started."
)
"""What `check = "first"` of a command does."""


def arms_said(plan: "PlanRecord") -> list[str]:
    """Of commands: where they run, which code that is, and what nobody can promise of it."""
    from swinablate.config.commands.sources import folder_of

    proof = (
        "That a switch reaches the script, and the seed too, is seen in its numbers alone: W12 "
        "and W29 tell arms and seeds whose numbers are the same."
    )
    found: list[str] = []
    for command in (_command(arm) for arm in plan.arms if arm.commanded):
        files = "the files that run names"
        named = files if command.sources is None else ", ".join(command.sources)
        found += [
            f"In {folder_of(command)}; no shell reads the words, and nothing was started yet.",
            f"Code: {named or 'none named'}; digest {command.sha256[:12]}.",
        ]
    checked = plan.baseline.commanded and _command(plan.baseline).check == "first"
    return [*dict.fromkeys(found), CHECKED if checked else proof] if found else []


def _line(arm: "ArmRecord") -> str:
    """The words as they are started, and the variables before them."""
    from swinablate.config.commands.lines import line_of
    from swinablate.config.commands.words import RESERVED

    left = {name: f"{{{name}}}" for name in RESERVED}  # what only a trial can fill in
    line, variables = line_of(_command(arm), arm.recipe["switches"], left)
    own = [f"{key}={_quoted(text)}" for key, text in variables.items()]
    return " ".join([*own, *map(_quoted, line)])


def _quoted(word: str) -> str:
    """A word as a shell would read it; braces of placeholders are none of its business here."""
    plain = word.replace("{", "").replace("}", "")
    return word if shlex.quote(plain) == plain else shlex.quote(word)


def _command(arm: "ArmRecord") -> "CommandConfig":
    from swinablate.config.commands.schema import CommandConfig
    from swinablate.config.schema import validate

    return validate(CommandConfig, arm.recipe["command"], f"arm {arm.name!r}")


def _networks(plan: "PlanRecord") -> Iterator[Table]:
    """What the arms' networks are: sizes, geometry, and what differs in them."""
    base, arms = plan.baseline, [arm for arm in plan.arms if not arm.commanded]
    yield (
        "Arms: parameters, and of one image: multiply-accumulates, and what a training step keeps",
        ["arm", ">params", ">MMACs", ">KiB kept", ">seeds", "changes"],
        [
            [
                arm.name,
                _count(arm.params, base.params, 1, 0),
                _count(arm.macs, base.macs, 1e6, 2),
                _count(arm.activation_bytes, None, 1024, 0),
                len(arm.seeds),
                _differences(arm) + _matched(arm) or "-",
            ]
            for arm in arms
        ],
    )
    yield (
        "Effective geometry (arms that are not listed have the baseline's)",
        ["arm", "stages"],
        [
            [arm.name, "\n".join(map(_stage, arm.geometry))]
            for arm in arms
            if arm is base or arm.geometry != base.geometry
        ],
    )
    moved = (
        "What differs in the network from the baseline's, and how far its logits move under "
        "the same weights"
    )
    proved = [[a.name, *_proof(a, a.proof)] for a in plan.arms if a.proof]
    if proved or not base.commanded:
        columns = ["arm", ">modules", ">params", ">buffers", ">starts", ">logits", "where"]
        yield moved, columns, proved


def _count(value: int | None, base: int | None, unit: float, places: int) -> str:
    """A number in some unit, and how far it is from the baseline's; nothing where unknown."""
    if value is None:
        return "-"
    # Less than 0.05 would be shown as 0.0.
    change = 100 * (value - base) / base if base else 0.0
    return f"{value / unit:,.{places}f}" + (
        f" ({signed(change, 1)} %)" if abs(change) >= 0.05 else ""
    )


def _differences(arm: "ArmRecord") -> str:
    pairs = arm.differs
    if len(pairs) > 6:  # more make a cell that is taller than the table
        family = pairs.get("model.family")
        what = f"{family[0]} -> {family[1]}, " if family else ""
        return f"{what}{len(pairs)} fields (see --json)"
    return ", ".join(f"{path} {_level(a)} -> {_level(b)}" for path, (a, b) in pairs.items())


def _matched(arm: "ArmRecord") -> str:
    match = arm.match
    if not match:
        return ""
    changes = ", ".join(
        f"{path} {_size(written)} -> {_size(solved)}"
        for path, (written, solved) in match.solved.items()
    )
    return f"; matched in {match.by}: {changes or 'unchanged'}, {signed(100 * match.off, 1)} %"


def _proof(arm: "ArmRecord", proof: "ProofRecord") -> list[str]:
    """Counts of what differs, the change of the logits, and the first places."""
    if "model.family" in arm.differs:
        return ["", "", "", "", "", "another family, another network"]
    counts = [part.count for part in (proof.modules, proof.parameters, proof.buffers)]
    where = list(proof.where)
    more = f", {len(where) - PLACES} more" if len(where) > PLACES else ""
    moves = proof.output or proof.output_train
    unknown = proof.where and proof.output is None and proof.output_train is None
    return [
        *(str(count or "") for count in (*counts, len(proof.restarted))),
        "unknown" if unknown else _share(moves) if moves else "",
        (", ".join(where[:PLACES]) + more) or "nothing: training or data only",
    ]


def _share(value: float) -> str:
    return f"{100 * value:.0f} %" if value >= 0.1 else f"{100 * value:.2g} %"


def _level(value: object) -> str:
    return "-" if value is None else level(value)


def _stage(stage: Mapping[str, Any]) -> str:
    return "  ".join(f"{key} {_size(value)}" for key, value in stage.items())


def _size(value: object) -> str:
    return "x".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
