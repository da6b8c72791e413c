"""Number formats and speed: how a trial computes, as opposed to what.

Everything that is global to a process is set at the start of every trial, because a worker
runs many.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from swinablate.config.train import TrainConfig
from swinablate.models.build import forget_choices

Forward = Callable[[Tensor], Tensor]
FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choices(train: TrainConfig, device: torch.device) -> dict[str, tuple[Any, ...]]:
    """What each field that says `auto` may become here; the plain setting first.

    A CPU never compiles by itself: it takes minutes a network, in every process.
    """
    cuda = device.type == "cuda"
    # bf16 first: it has the range of fp32, so that no gradient has to be scaled. But not where a
    # GPU makes it up of fp32: that saves no time.
    own = not cuda or torch.cuda.is_bf16_supported(including_emulation=False)
    half = "bf16" if own else "fp16"
    known: dict[str, tuple[Any, ...]] = {
        "precision": ("fp32", half),
        "matmul": ("highest", "high" if cuda else "medium"),
        "channels_last": (False, True),
        "compile": (False, True) if cuda and train.world == 1 else (False,),
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
    """Set what is global: threads, formats, algorithms, precision of fp32 matrix products."""
    torch.set_num_threads(train.threads)
    forget_choices()
    # What deterministic cuBLAS asks for; workers have it from their start, other processes not.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_float32_matmul_precision(train.matmul)
    # Torch's default is TF32 for convolutions alone: families would train in different formats.
    torch.backends.cudnn.allow_tf32 = train.matmul != "highest"
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


FREE = 3
"""Steps in which a network may be compiled: for the shapes of the first, then for any shape where
one has changed, and once more for a count that its code keeps. Later steps repeat these."""


class Compiled:
    """A network as `torch.compile` runs it, of whose passes it knows which were not.

    With CUDA graphs on a GPU. Evaluation calls the network itself: another mode and another
    batch would be a second graph, and compiling takes minutes where evaluating takes seconds.

    What torch compiled before in this process is forgotten. A worker trains many arms, and they
    share the code of their family: torch would compile it for eight of them and run the others
    as they are written, and shapes that it has seen change would be variable from then on. The
    second trial of an arm finds its kernels on disk.

    Args:
        model: the network.
        train: how it trains.
        device: where.
    """

    def __init__(self, model: nn.Module, train: TrainConfig, device: torch.device) -> None:
        torch.compiler.reset()
        mode = "reduce-overhead" if device.type == "cuda" else "default"
        self._network = _Noted(model)
        self._call: Forward = torch.compile(self._network, mode=mode)
        self._free = FREE * train.accumulate
        self.passes: int = 0

    @property
    def eager(self) -> int:
        """Passes in which the network ran as it is written."""
        return self._network.eager

    def __call__(self, x: Tensor) -> Tensor:
        """Pass images through.

        Raises:
            RuntimeError: the network would be compiled again, now that it has trained.
        """
        self.passes += 1
        if self.passes <= self._free:
            return self._call(x)
        try:
            # Else torch would compile it up to its limit, and then run it as it is written.
            with torch.compiler.set_stance("fail_on_recompile"):
                return self._call(x)
        except RuntimeError as error:
            if "recompile" not in str(error):
                raise
            raise RuntimeError(
                f"train.compile: after {FREE} steps the network is still compiled anew; set "
                f"train.compile = false. {error}"
            ) from error


class _Noted(nn.Module):
    """A network that counts the passes in which nobody compiled it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.eager = network, 0

    def forward(self, x: Tensor) -> Tensor:
        """Pass images through."""
        if not torch.compiler.is_compiling():  # false where compiled: nothing of it is left there
            self.eager += 1
        logits: Tensor = self.network(x)
        return logits


def as_run(train: TrainConfig, forward: Forward) -> TrainConfig:
    """The settings of a run as they were in fact.

    Args:
        train: as asked for.
        forward: the network as training called it.

    Raises:
        RuntimeError: some passes were compiled and others were not.
    """
    if not isinstance(forward, Compiled) or not forward.eager:
        return train
    if forward.eager < forward.passes:
        raise RuntimeError(
            f"train.compile: {forward.eager} of {forward.passes} passes were not compiled"
        )
    return train.model_copy(update={"compile": False})
