"""The update of the weights: optimizer, learning rate, averaged weights.

The rate is a pure function of the step, so that a resumed run needs no scheduler's state.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from swinablate.config.train import TrainConfig, falls, warmup_steps
from swinablate.models.build import copyable, hidden_matrices, tables

START, END = 25.0, 1e4
"""One cycle starts at 1/START of its peak and ends at 1/END of that, as in torch and fastai."""
STATISTICS = ("running_mean", "running_var")
"""What torch's batch norms call theirs."""
TORCHS_DECAY = ("adamw", "adam", "muon")
"""Optimizers of which torch has one with decoupled decay; of the others it adds to gradients."""
MOMENTUM = 0.95
"""Of Muon, with Nesterov's look ahead: Jordan's, and torch's, which `train.momentum` is not."""


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
    hidden = hidden_matrices(model) if train.optimizer == "muon" else frozenset()
    turned: list[nn.Parameter] = []
    # Decayed ones first, always: a checkpoint's groups are matched by their order.
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {(False, 1.0): [], (True, 1.0): []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and name in hidden:
            turned.append(parameter)
        elif parameter.requires_grad:
            plain = parameter.ndim < 2 or name in undecayed
            factor = faster[1] if faster[0] and name.startswith(f"{faster[0]}.") else 1.0
            groups.setdefault((plain, factor), []).append(parameter)
    settings = [
        {
            "params": parameters,
            **(dict.fromkeys(regularised(train), 0.0) if plain else regularised(train)),
            "factor": factor,
        }
        for (plain, factor), parameters in groups.items()
        if parameters
    ]
    made = of_groups(settings, train)
    return Both(muon(turned, train), made) if turned else made


def muon(matrices: list[nn.Parameter], train: TrainConfig) -> torch.optim.Muon:
    """Steps with all singular values near 1, as long as AdamW's.

    Source: Jordan 2024, "Muon: an optimizer for hidden layers in neural networks"; their length
    and decay: Liu et al. 2025, arXiv:2502.16982, sec. 2.2, so that AdamW's rate fits.
    """
    return torch.optim.Muon(
        matrices,
        lr=train.peak_lr,
        weight_decay=train.weight_decay,
        momentum=MOMENTUM,
        nesterov=True,
        adjust_lr_fn="match_rms_adamw",
    )


class Both(torch.optim.Optimizer):
    """Two optimizers of one network's parameters that step as one.

    Args:
        first: of some.
        second: of the others.
    """

    def __init__(self, first: torch.optim.Optimizer, second: torch.optim.Optimizer) -> None:
        self.parts = (first, second)
        super().__init__([*first.param_groups, *second.param_groups], {})
        self._join()

    def _join(self) -> None:
        # The same groups, and no copies: a rate that is set here is set there.
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take a step of each."""
        for part in self.parts:
            part.step(closure)

    def state_dict(self) -> dict[str, Any]:
        """What both remember."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Set both to what `state_dict` gave."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._join()


def regularised(train: TrainConfig) -> dict[str, float]:
    """What a group of matrices says of decay: torch's own, and `decay` where we apply it.

    Torch's `weight_decay` is decoupled in AdamW and Muon, and added to the gradients elsewhere.
    """
    if torchs_own(train):
        return {"weight_decay": train.weight_decay}
    return {"weight_decay": train.l2, "decay": train.weight_decay}


def torchs_own(train: TrainConfig) -> bool:
    """Whether torch's optimizer has the decay that is asked for."""
    return train.optimizer in TORCHS_DECAY and train.l2 == 0


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
    made: torch.optim.Optimizer
    if train.optimizer == "sgd":
        nesterov = train.nesterov and train.momentum > 0  # without momentum both are plain SGD
        made = torch.optim.SGD(
            settings,
            lr=train.peak_lr,
            momentum=train.momentum,
            nesterov=nesterov,
            fused=fused_sgd or None,
        )
    elif train.optimizer == "rmsprop":
        made = torch.optim.RMSprop(settings, lr=train.peak_lr, eps=train.eps)
    elif train.optimizer == "adagrad":
        made = torch.optim.Adagrad(settings, lr=train.peak_lr, eps=train.eps)
    else:
        # Adam with its decay decoupled is AdamW. Fused: torch's loop over tensors is three in
        # four of a small network's calls a step. Not where we decay: a scaler of fp16 calls a
        # fused optimizer for steps that it skips inside, too.
        kind = torch.optim.AdamW if torchs_own(train) else torch.optim.Adam
        fused = torchs_own(train) or train.weight_decay == 0 or train.precision != "fp16"
        made = kind(settings, lr=train.peak_lr, betas=train.betas, eps=train.eps, fused=fused)
    if any(group.get("decay") for group in settings):
        made.register_step_pre_hook(decay)
    return made


@torch.no_grad()
def decay(optimizer: torch.optim.Optimizer, *_: object) -> None:
    """Shrink the weights before a step, by its rate and not through its gradients.

    Source: Loshchilov and Hutter 2019, arXiv:1711.05101, alg. 1, as torch's AdamW has it.
    """
    for group in optimizer.param_groups:
        if group.get("decay"):
            for weights in group["params"]:
                if weights.grad is not None:
                    weights.mul_(1 - group["lr"] * group["decay"])


def set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of a step; a part may have its own factor on it."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("factor", 1.0)  # older checkpoints have none


def rate(train: TrainConfig, step: int, total: int) -> float:
    """Share of the peak learning rate at `step` of `total`, both from 0."""
    if train.schedule == "one_cycle":
        return _one_cycle(train.warmup, step, total)
    warmup = warmup_steps(train, total)
    if step < warmup:
        return (step + 1) / warmup
    if train.schedule == "constant":
        return 1.0
    if train.schedule == "step":
        return train.step_factor ** sum(step >= at for at in falls(train, total))
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
        with copyable(model):
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
