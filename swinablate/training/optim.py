"""The update of the weights: optimizer, learning rate, averaged weights.

The rate is a pure function of the step, so that a resumed run needs no scheduler's state.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from swinablate.config.train import TrainConfig
from swinablate.models.build import tables

START, END = 25.0, 1e4
"""One cycle starts at 1/START of its peak and ends at 1/END of that, as in torch and fastai."""
STATISTICS = ("running_mean", "running_var")
"""What torch's batch norms call theirs."""


def make_optimizer(
    model: nn.Module, train: TrainConfig, faster: tuple[str, float] = ("", 1.0)
) -> torch.optim.Optimizer:
    """The optimizer; weight decay acts on matrices, not on norms, biases and tables.

    It holds what trains and nothing else: a frozen parameter has no state and no decay.

    Args:
        model: the network.
        train: how.
        faster: the name of a part, and the factor on its learning rate.
    """
    undecayed = tables(model)
    # Decayed ones first, always: a checkpoint's groups are matched by their order.
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {(False, 1.0): [], (True, 1.0): []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            plain = parameter.ndim < 2 or name in undecayed
            factor = faster[1] if faster[0] and name.startswith(f"{faster[0]}.") else 1.0
            groups.setdefault((plain, factor), []).append(parameter)
    settings = [
        {
            "params": parameters,
            "weight_decay": 0.0 if plain else train.weight_decay,
            "factor": factor,
        }
        for (plain, factor), parameters in groups.items()
        if parameters
    ]
    return of_groups(settings, train)


def of_groups(
    settings: list[dict[str, Any]], train: TrainConfig, *, fused_sgd: bool = False
) -> torch.optim.Optimizer:
    """The optimizer of groups of parameters.

    Args:
        settings: the groups.
        train: which optimizer.
        fused_sgd: SGD as one kernel too. Alone it is torch's loop over tensors, as ever: the
            kernel rounds otherwise.
    """
    if train.optimizer == "sgd":
        nesterov = train.nesterov and train.momentum > 0  # without momentum both are plain SGD
        return torch.optim.SGD(
            settings,
            lr=train.lr,
            momentum=train.momentum,
            nesterov=nesterov,
            fused=fused_sgd or None,
        )
    kind = torch.optim.AdamW if train.optimizer == "adamw" else torch.optim.Adam
    # Fused: torch's loop over tensors is three in four of a small network's calls a step.
    return kind(settings, lr=train.lr, betas=train.betas, eps=train.eps, fused=True)


def set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of a step; a part may have its own factor on it."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("factor", 1.0)  # older checkpoints have none


def rate(train: TrainConfig, step: int, total: int) -> float:
    """Share of the peak learning rate at `step` of `total`, both from 0."""
    if train.schedule == "one_cycle":
        return _one_cycle(train.warmup, step, total)
    warmup = round(train.warmup * total)
    if step < warmup:
        return (step + 1) / warmup
    if train.schedule == "constant":
        return 1.0
    if train.schedule == "step":
        return train.step_factor ** sum(step >= round(share * total) for share in train.step_at)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def _one_cycle(warmup: float, step: int, total: int) -> float:
    """Up along a cosine and down along another. Source: torch's `OneCycleLR`, two phases."""
    peak = max(0.0, warmup * total - 1)
    if step < peak:
        return _between(1 / START, 1.0, step / peak)
    return _between(1.0, 1 / START / END, (step - peak) / max(1.0, total - 1 - peak))


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


class Averaged(AveragedModel):
    """The exponential average of a network's weights and of its running statistics.

    Every other buffer is copied. torch's `use_buffers=True` would average them all: masks of
    minus infinity would become NaN, and tables of indices would lose a place to rounding.

    Args:
        model: the network that trains.
        decay: share of the old average that stays at each step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take a step of the average; the first one copies."""
        first = not self.n_averaged
        before = [old.clone() for old in self._statistics()]
        super().update_parameters(model)
        for old, now in zip(before, self._statistics(), strict=True):
            if not first:
                now.lerp_(old, self.decay)

    def _statistics(self) -> list[Tensor]:
        buffers = self.module.named_buffers()
        return [b for name, b in buffers if name.rpartition(".")[2] in STATISTICS]
