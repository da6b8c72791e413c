"""Number formats and speed: how a trial computes, as opposed to what.

Everything that is global to a process is set at the start of every trial, because a worker
runs many.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from swinablate.recipe import TrainConfig

Forward = Callable[[Tensor], Tensor]
FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def settle(train: TrainConfig) -> None:
    """Set what is global: threads, algorithms, precision of fp32 matrix products."""
    torch.set_num_threads(train.threads)
    torch.set_float32_matmul_precision(train.matmul)
    torch.use_deterministic_algorithms(
        mode=True
    )  # else the bias table's gradient may vary on a GPU


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
