"""Files of weights: PyTorch's, of any of the usual wrappings, and safetensors'."""

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from swinablate.errors import EnvironmentFault

INSIDE = ("model", "state_dict", "model_state_dict", "net")
"""Keys under which training scripts keep a state dict: Microsoft's; timm's and Lightning's; those
of PyTorch's tutorial on checkpoints; those of the many that began as kuangliu/pytorch-cifar."""


DIVERGED = "take weights of a training that did not diverge"
FAULTS: tuple[tuple[str, Callable[[str, Tensor], bool], str], ...] = (
    (
        "tensors that are no dense real numbers",
        lambda _, x: x.layout != torch.strided or x.is_meta or x.is_complex() or x.is_quantized,
        "save a state dict of a network as it trains, on a CPU",
    ),
    (
        "values that are no numbers (NaN)",
        lambda _, x: x.is_floating_point() and bool(x.isnan().any()),
        DIVERGED,
    ),
    (  # in a mask that somebody saved with the weights infinity is meant, and in a bias it may be
        "matrices with infinite values",
        lambda name, x: (
            x.ndim > 1 and "mask" not in name and x.is_floating_point() and bool(x.isinf().any())
        ),
        DIVERGED,
    ),
    (
        "negative variances",
        lambda name, x: name.endswith("running_var") and bool((x < 0).any()),
        "take the weights as they were trained",
    ),
)
"""What no training gives: what a file then holds, whether a tensor is such, and the remedy. The
first that is found counts, for the others could not be asked of it."""


def state_in(payload: bytes, path: Path) -> dict[str, Tensor]:
    """The state dict in a file.

    Args:
        payload: what the file holds.
        path: its name, which tells of the format, and stands in messages.

    Raises:
        ValueError: it holds no weights, more than weights, or weights that no training gives.
        EnvironmentFault: it is a safetensors file, and the package is not installed.
    """
    state = _safe(payload, path) if path.suffix == ".safetensors" else _pickled(payload, path)
    while isinstance(state, Mapping):
        inner = [state[key] for key in INSIDE if isinstance(state.get(key), Mapping)]
        if not inner:
            break
        state = inner[0]
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"{path} holds no weights; torch.save(model.state_dict(), file) does")
    for what, wrong, remedy in FAULTS:
        if void := [name for name, value in state.items() if wrong(name, value)]:
            more = f" and {len(void) - 1} more" if len(void) > 1 else ""
            raise ValueError(f"{path} holds {what}, in {void[0]!r}{more}; {remedy}")
    return dict(state)


def _pickled(payload: bytes, path: Path) -> object:
    try:
        # Tensors only: a pickle of somebody else's could run any code.
        return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001  what is no such file fails in many ways
        if not zipfile.is_zipfile(io.BytesIO(payload)):  # as torch.save writes
            return None
    raise ValueError(
        f"{path} holds objects beside its weights, and those could run any code; "
        "save its state dict alone, where you trust it"
    )


def _safe(payload: bytes, path: Path) -> object:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load
    except ImportError:
        raise EnvironmentFault(
            "reading this file needs safetensors",
            at=str(path),
            hint="pip install 'swinablate[safetensors]'",
        ) from None
    try:
        return load(payload)
    except SafetensorError:
        return None
