"""Number formats and speed: how a trial computes, as opposed to what.

Everything that is global to a process is set at the start of every trial, because a worker
runs many.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from swinablate.config.train import TrainConfig

Forward = Callable[[Tensor], Tensor]
FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choices(train: TrainConfig, device: torch.device) -> dict[str, tuple[Any, ...]]:
    """What each field that says `auto` may become here; the plain setting first.

    A CPU never compiles by itself: it takes minutes a network, in every process.
    """
    cuda = device.type == "cuda"
    # bf16 first: it has the range of fp32, so that no gradient has to be scaled.
    half = "fp16" if cuda and not torch.cuda.is_bf16_supported() else "bf16"
    known: dict[str, tuple[Any, ...]] = {
        "precision": ("fp32", half),
        "matmul": ("highest", "high" if cuda else "medium"),
        "channels_last": (False, True),
        "compile": (False, True) if cuda else (False,),
    }
    return {field: options for field, options in known.items() if field in train.open}


def resolved_train(
    train: TrainConfig, device: str, chosen: Mapping[str, Mapping[str, Any]]
) -> TrainConfig:
    """The settings as they run: what says `auto` becomes what was chosen for the device.

    Args:
        train: as written.
        device: the device's model.
        chosen: device model -> settings.

    Raises:
        ValueError: nothing was chosen for this device.
    """
    here = chosen.get(device, {})
    if missing := sorted(train.open - here.keys()):
        raise ValueError(
            f'train.{missing[0]} = "auto" was not resolved for {device}; name a setting'
        )
    return train.model_copy(update={field: here[field] for field in train.open})


def settle(train: TrainConfig) -> None:
    """Set what is global: threads, algorithms, precision of fp32 matrix products."""
    torch.set_num_threads(train.threads)
    torch.set_float32_matmul_precision(train.matmul)
    torch.use_deterministic_algorithms(mode=True)  # else a table's gradient varies on a GPU
    # That would also fill each new tensor, twice the calls, lest code read what nobody wrote.
    # (Torch sets the attribute on the module's class, where mypy does not look.)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def autocast(train: TrainConfig, device: torch.device) -> torch.autocast:
    """The number format of forward and backward."""
    return torch.autocast(device.type, FORMATS[train.precision], enabled=train.precision != "fp32")


def make_scaler(train: TrainConfig, device: torch.device) -> torch.amp.GradScaler:
    """Keeps the gradients of fp16 from vanishing; passes those of other formats.

    Source: Micikevicius et al. 2018, arXiv:1710.03740, sec. 3.2.
    """
    return torch.amp.GradScaler(device.type, enabled=train.precision == "fp16")


def layout(train: TrainConfig) -> torch.memory_format:
    """How images and kernels lie in memory."""
    return torch.channels_last if train.channels_last else torch.contiguous_format


def compiled(model: nn.Module, train: TrainConfig, device: torch.device) -> Forward:
    """The network as training calls it; with CUDA graphs where it is compiled for a GPU.

    Evaluation calls the network itself: another mode and another batch would be a second
    graph, and compiling takes minutes where evaluating takes seconds.
    """
    if not train.compile:
        return model
    mode = "reduce-overhead" if device.type == "cuda" else "default"
    forward: Forward = torch.compile(model, mode=mode)
    return forward
