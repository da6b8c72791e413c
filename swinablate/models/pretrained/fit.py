"""Fitting weights to a network: wrappers off, names into ours, tables to its window and grid."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from swinablate.models.layers.bias import RelativeTable
from swinablate.models.layers.position import LearnedPosition
from swinablate.models.pretrained.layouts import (
    COMPUTED,
    LAYOUTS,
    Layout,
    Pair,
    placed,
    square,
    windows,
)

COMPILED = "_orig_mod."
"""What `torch.compile` puts before the names of what it wraps, inside a network too."""
AVERAGED = "n_averaged"
"""How many weights PyTorch's averaged model has averaged."""
FIRST = ("embed.project.weight", "stem.0.weight")
"""The first convolutions of our families."""
LUMA = 3
"""Channels of colour images; a network of one sees their common value."""


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """Weights as a network of ours names and sizes them.

    Attributes:
        of: whose layout they had; empty for ours.
        told: what was done to them; empty for weights that fitted.
    """

    weights: dict[str, Tensor]
    of: str
    told: tuple[str, ...]


def adapt(model: nn.Module, weights: Mapping[str, Tensor]) -> Adapted:
    """Make of weights what a network can take, as far as they are known.

    What does not fit afterwards is for the caller to refuse.

    Raises:
        ValueError: their layout is known, and says something that no network here has.
    """
    wanted = model.state_dict()
    told: list[str] = []
    bare = _unwrapped(weights, wanted, told)
    layout = _layout(bare, wanted)
    named, cut = dict(bare), dict[str, Pair | None]()
    if layout:
        cut = windows(bare, layout)
        named = placed(layout.convert(bare), len(wanted.get("position.table", ())))
        told.append(f"renamed from {layout.of}")
        if left := sum(name.endswith(COMPUTED) for name in bare):
            told.append(f"{left} tensors left out that are computed here")
    sized = _sized(model, named, cut, told)
    return Adapted(weights=sized, of=layout.of if layout else "", told=tuple(told))


def _unwrapped(
    weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor], told: list[str]
) -> dict[str, Tensor]:
    found, gone = dict(weights), []
    if not any(COMPILED in name for name in wanted) and any(COMPILED in name for name in found):
        found = {name.replace(COMPILED, ""): value for name, value in found.items()}
        gone.append(COMPILED)
    while prefix := _prefix(found, wanted):
        found = {n.removeprefix(prefix): v for n, v in found.items() if n != AVERAGED}
        gone.append(prefix)
    if gone:
        told.append(f"{' and '.join(map(repr, gone))} taken off the names")
    return found


def _prefix(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """What all names begin with, and none of the network's: that of a module around it.

    `module.` is PyTorch's (data parallel, averaged models), `model.` and `net.` are Lightning
    modules' usual attributes.
    """
    names = [*(found.keys() - {AVERAGED})]
    first = names[0].partition(".")[0] + "." if names else ""
    inside = all(name.startswith(first) for name in names)
    return first if inside and not any(name.startswith(first) for name in wanted) else ""


def _layout(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> Layout | None:
    """The layout that names tell of, where they are not the network's own."""
    for layout in LAYOUTS:
        if all(mark in found and mark not in wanted for mark in layout.marks):
            return layout
    return None


def _sized(
    model: nn.Module,
    named: dict[str, Tensor],
    cut: Mapping[str, Pair | None],
    told: list[str],
) -> dict[str, Tensor]:
    """The weights in the network's sizes.

    Args:
        model: the network.
        named: under our names.
        cut: the windows of their tables, where they are known.
        told: is added to.
    """
    done: Counter[str] = Counter()
    sized = dict(named)
    for name, own in model.state_dict().items():
        value, size = named.get(name, own), own.shape
        if value.shape == size and not _turned(model, name, cut):
            continue
        if name in FIRST and value.shape[1] == LUMA and size[1] == 1:
            # A grey image is one whose three channels are equal, and so is this sum the same.
            sized[name] = value.sum(1, keepdim=True)
            done["the weights of 3 input channels added up for 1"] += 1
        elif name.endswith(".table") and value.shape[1:] == size[1:]:
            known = (cut[name],) if name in cut else ()
            fitted = _table(model.get_submodule(name.removesuffix(".table")), value, *known)
            if fitted:
                sized[name], what = fitted
                done[what] += 1
    told += [f"{count} {what}" if "bias" in what else what for what, count in done.items()]
    return sized


def _turned(model: nn.Module, name: str, cut: Mapping[str, Pair | None]) -> bool:
    """Whether a table is of another window, which may have as many rows: 4x2 and 2x4."""
    window = cut.get(name)
    if window is None:
        return False
    module = model.get_submodule(name.removesuffix(".table"))
    return isinstance(module, RelativeTable) and module.window != window


def _table(module: nn.Module, value: Tensor, *known: Pair | None) -> tuple[Tensor, str] | None:
    """A table of another window or grid fitted to a module's, and what was done.

    None where the table is of neither kind, or what its window or grid was is not known: of a
    window that the file does not tell, and of a grid, a square is taken for granted.
    """
    side = square(len(value))
    if isinstance(module, RelativeTable):
        (window,) = known or (((side + 1) // 2,) * 2 if side % 2 else None,)  # 2 * window - 1
        if window is None or len(value) != math.prod(_offsets(window)):
            return None
        what = f"bias tables interpolated from windows of {_by(window)} to {_by(module.window)}"
        source, target = _offsets(window), _offsets(module.window)
        return _resized(value, source, target, antialias=False), what
    if isinstance(module, LearnedPosition) and side:
        rows, columns = module.grid
        what = f"positions interpolated from a grid of {_by((side, side))} to {rows}x{columns}"
        return _resized(value, (side, side), module.grid, antialias=True), what
    return None


def _offsets(window: Pair) -> Pair:
    """How many rows and columns two tokens of a window may be apart, to both sides."""
    return 2 * window[0] - 1, 2 * window[1] - 1


def _by(sides: Pair) -> str:
    return f"{sides[0]}x{sides[1]}"


def _resized(table: Tensor, grid: Pair, target: Pair, *, antialias: bool) -> Tensor:
    """Bicubic, tables as Swin's `load_pretrained`, places as timm's `resample_abs_pos_embed`."""
    plane = table.float().T.unflatten(1, grid)[None]
    found = F.interpolate(plane, size=target, mode="bicubic", antialias=antialias)
    return found[0].flatten(1).T.to(table.dtype)
