"""A network and what updates it: one step of training.

Shapes: b images in a batch, c channels, h w pixels, k classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from swinablate.config.train import TrainConfig
from swinablate.models.layers.mlp import keep_few
from swinablate.training.graphs import Recorded, Recorder, recorder
from swinablate.training.optim import make_optimizer
from swinablate.training.precision import Compiled, Forward, autocast, layout, make_scaler
from swinablate.training.ranks import ALONE, Ranks, unshared

Images = Float[Tensor, "b c h w"]
Targets = Int[Tensor, " b"] | Float[Tensor, "b k"]
"""Classes, or the share of each class."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """A network and what it trains with.

    Attributes:
        train: how.
        model: on its device, in its layout.
        forward: the model as training calls it, compiled or not.
        optimizer: of its parameters.
        scaler: keeps the gradients of fp16 from vanishing.
        ranks: the processes that take a step together, each a part of its batch.
    """

    train: TrainConfig
    model: nn.Module
    forward: Forward
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    ranks: Ranks = ALONE


@dataclass(frozen=True, kw_only=True)
class Gradients(Training):
    """What a batch says of every parameter: a step of training up to the optimizer's part.

    Attributes:
        parameters: of the model, found once: looking for them takes a fiftieth of a small step.
    """

    parameters: Sequence[nn.Parameter]

    def __call__(self, x: Images, y: Targets) -> Float[Tensor, ""]:
        """Leave the gradients of a batch's mean loss, clipped; returns that loss.

        Args:
            x: images, on the model's device; the whole batch, of whatever processes.
            y: what they show.
        """
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._backward(x, y)
        if self.train.clip:
            self.scaler.unscale_(self.optimizer)  # the limit is one on true gradients
            nn.utils.clip_grad_norm_(self.parameters, self.train.clip)
        return loss

    def _backward(self, x: Images, y: Targets) -> Float[Tensor, ""]:
        """Add up the gradients of a batch's mean loss, part after part; returns that loss.

        Of several processes each returns its own images' share of it.

        The parts of a batch are of its own images, in their order, already augmented: what
        differs from the whole batch at once is rounding, the statistics of batch norm, and which
        random numbers a dropped branch draws.
        """
        whole, world = len(x), self.ranks.world
        x = self.ranks.part(x).contiguous(memory_format=layout(self.train))
        y = self.ranks.part(y)
        parts = min(self.train.accumulate, len(x))
        total: Float[Tensor, ""] | None = None
        for i, (some, target) in enumerate(
            zip(x.tensor_split(parts), y.tensor_split(parts), strict=True)
        ):
            with unshared(self.forward, last=i == parts - 1):
                with autocast(self.train, x.device):
                    answer = self.forward(some).float()
                    loss = F.cross_entropy(
                        answer, target, label_smoothing=self.train.label_smoothing
                    )
                if len(some) < whole:
                    loss = loss * (len(some) / whole)  # parts may differ by an image
                # Times `world`: the gradients of all processes are averaged, not summed.
                torch.autograd.backward(self.scaler.scale(loss * world if world > 1 else loss))
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None  # a batch has an image
        return total


@dataclass(frozen=True, kw_only=True)
class Learner(Training):
    """A network that trains.

    Attributes:
        gradients: of a batch; on a GPU recorded once and then launched as one, where that may be.
    """

    gradients: Gradients | Recorded

    def step(self, x: Images, y: Targets) -> Float[Tensor, ""]:
        """Take one step of the optimizer; returns the batch's mean loss.

        Args:
            x: images, on the model's device; the whole batch, of whatever processes.
            y: what they show.
        """
        loss = self.gradients(x, y)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return self.ranks.total(loss)


def make_learner(
    model: nn.Module,
    train: TrainConfig,
    device: torch.device,
    faster: tuple[str, float] = ("", 1.0),
    ranks: Ranks = ALONE,
) -> Learner:
    """Bring a network to its device, in training mode, and make its optimizer.

    Args:
        model: with its initial weights.
        train: how.
        device: where.
        faster: the name of a part, and the factor on its learning rate.
        ranks: the processes that train it; they wait here for one another.
    """
    model = model.to(device).to(memory_format=layout(train)).train()
    if device.type == "cpu":
        keep_few(model)
    training: dict[str, Any] = {
        "train": train,
        "model": model,
        "forward": Compiled(model, train, device) if train.compile else ranks.wrap(model),
        "optimizer": make_optimizer(model, train, faster),
        "scaler": make_scaler(train, device),
        "ranks": ranks,
    }
    gradients = Gradients(**training, parameters=tuple(model.parameters()))
    # What is compiled has graphs of its own; a scaler, and other processes, are asked every step.
    plain = not train.compile and train.precision != "fp16" and ranks.world == 1
    on = recorder(device, model) if plain else None
    return Learner(**training, gradients=recorded(gradients, on) if on else gradients)


def recorded(gradients: Gradients, on: Recorder) -> Recorded:
    """The same gradients, recorded once there were a few."""
    trained = [p for p in gradients.parameters if p.requires_grad]

    def adopt(grads: Sequence[Tensor]) -> None:
        for parameter, grad in zip(used, grads, strict=True):
            parameter.grad = grad

    def made() -> list[Tensor]:
        used[:] = [p for p in trained if p.grad is not None]
        return [p.grad for p in used if p.grad is not None]

    used: list[nn.Parameter] = []
    return Recorded(
        gradients, on, changed=lambda: list(gradients.model.buffers()), made=made, adopt=adopt
    )
