"""Proof that a switch switches: what of an arm's network differs from the baseline's."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor

from swinablate.models.fingerprint import Fingerprint


@dataclass(frozen=True)
class Change:
    """Names that one network has and the other has not, or has otherwise.

    Attributes:
        added: only in the arm.
        removed: only in the baseline.
        changed: in both, of another class, attribute, shape, or (buffers) content.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.added, *self.removed, *self.changed)


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How an arm's network differs from the baseline's.

    Attributes:
        modules: by path; a module changed if its class or a plain attribute did.
        parameters: by name; a parameter changed if its shape did.
        buffers: by name; a buffer changed if its shape or its content did.
        restarted: parameters of the same shape that start from other values.
        output: root mean square change of the logits in evaluation mode, relative to the
            baseline's, where both share the values of every tensor they share; None where
            logits overflow.
        output_train: the same in training mode.
        outside: names that differ although no switch of the arm declares to act there.
    """

    modules: Change
    parameters: Change
    buffers: Change
    restarted: tuple[str, ...]
    output: float | None
    output_train: float | None
    outside: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that differs, each once."""
        parts = (self.modules, self.parameters, self.buffers)
        return tuple(dict.fromkeys((*(n for p in parts for n in p.names), *self.restarted)))

    @property
    def unused(self) -> bool:
        """Parameters came, went or changed shape, and no answer moved, in either mode."""
        still = self.output == self.output_train == 0 and not self.restarted
        return still and bool(self.parameters.names)

    @property
    def places(self) -> tuple[str, ...]:
        """Paths of the modules that differ themselves or in a tensor of their own.

        Of modules that only one network has, those that stand in no other such one.
        """
        tensors = (*self.parameters.names, *self.buffers.names, *self.restarted)
        owners = (name.rpartition(".")[0] for name in tensors)
        alone = {*self.modules.added, *self.modules.removed}
        return tuple(
            path
            for path in dict.fromkeys((*self.modules.names, *owners))
            if not any(parent in alone for parent in _parents(path))
        )

    def to_json(self) -> dict[str, Any]:
        """The proof as plain data; `where` has the places with numbers as `*`, and how many."""
        parts = {"modules": self.modules, "parameters": self.parameters, "buffers": self.buffers}
        return {
            **{key: {k: list(v) for k, v in vars(part).items()} for key, part in parts.items()},
            "restarted": list(self.restarted),
            "where": grouped(self.places),
            "output": self.output,
            "output_train": self.output_train,
            "outside": list(self.outside),
        }


def compare(base: Fingerprint, arm: Fingerprint, acts_on: Iterable[str] | None) -> Proof:
    """List what differs between two networks.

    Args:
        base: the baseline's network.
        arm: the arm's.
        acts_on: patterns of the names that may differ, `*` for any part of a name; None if
            nobody declared where the arm's changes act.
    """
    modules = _difference(base.modules, arm.modules)
    shapes = [{n: shape for n, (shape, _) in x.parameters.items()} for x in (base, arm)]
    parameters = _difference(*shapes)
    buffers = _difference(base.buffers, arm.buffers)
    restarted = tuple(
        name
        for name, (shape, start) in base.parameters.items()
        if name in arm.parameters
        and arm.parameters[name][0] == shape
        and arm.parameters[name][1] != start
    )
    names = dict.fromkeys((*modules.names, *parameters.names, *buffers.names, *restarted))
    patterns = None if acts_on is None else tuple(acts_on)
    return Proof(
        modules=modules,
        parameters=parameters,
        buffers=buffers,
        restarted=restarted,
        output=_distance(base.evaluated, arm.evaluated),
        output_train=_distance(base.trained, arm.trained),
        outside=tuple(
            name
            for name in names
            if patterns is not None and not any(fnmatchcase(name, p) for p in patterns)
        ),
    )


def grouped(names: Iterable[str]) -> dict[str, int]:
    """Names with their numbers as `*`, and how many each stands for; in order."""
    found: dict[str, int] = {}
    for name in names:
        key = re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name)
        found[key] = found.get(key, 0) + 1
    return found


def _parents(path: str) -> Iterable[str]:
    parts = path.split(".")
    return (".".join(parts[:i]) for i in range(1, len(parts)))


def _difference(base: Mapping[str, object], arm: Mapping[str, object]) -> Change:
    return Change(
        added=tuple(name for name in arm if name not in base),
        removed=tuple(name for name in base if name not in arm),
        changed=tuple(name for name in base if name in arm and base[name] != arm[name]),
    )


def _distance(base: Tensor, arm: Tensor) -> float | None:
    if base.shape != arm.shape or not bool(base.isfinite().all() and arm.isfinite().all()):
        return None
    size = float(base.square().mean().sqrt())
    return float((arm - base).square().mean().sqrt()) / size if size else None
