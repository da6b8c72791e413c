"""A recurrent network that reads an image patch by patch, in reading order.

The baseline that attention replaced: one patch after the other, so that a step cannot begin
before the last is done. LSTM: Hochreiter and Schmidhuber 1997, with forget gates (Gers 2000).

Shapes: b batch, ch image channels, n tokens, c channels.
"""

from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.config.family import Family, ImageSpec, ModelConfig, Switch
from swinablate.models.layers.fields import Count
from swinablate.models.layers.init import GeneratorFor, initialise
from swinablate.models.layers.norm import Norm, make_norm
from swinablate.models.layers.patch import PatchEmbed, patch_grid


class RNNConfig(ModelConfig):
    """The network's shape and switches."""

    family: Literal["rnn"] = "rnn"
    patch: Annotated[
        Count, Switch("patch side, pixels", "ViT sec. 3.1", (4, 8), acts_on=("embed*",))
    ] = 4
    width: Annotated[Count, Switch("channels", "", (96, 48), acts_on=("*",))] = 96
    depth: Annotated[Count, Switch("layers", "", (2, 1), acts_on=("layers.*",))] = 2
    cell: Annotated[
        Literal["lstm", "elman"],
        Switch(
            "gates, or a plain tanh",
            "Hochreiter 1997; Elman 1990",
            ("lstm", "elman"),
            acts_on=("layers.*",),
        ),
    ] = "lstm"
    norm: Annotated[
        Norm,
        Switch(
            "normalisation before the head",
            "Ba 2016",
            ("layer", "batch", "rms"),
            acts_on=("norm*",),
        ),
    ] = "layer"
    pool: Annotated[
        Literal["last", "mean"],
        Switch(
            "what the classifier sees: the last state, or the mean",
            "",
            ("last", "mean"),
            acts_on=("pool",),
        ),
    ] = "last"
    forget: Annotated[
        float,
        Switch(
            "first bias of the forget gates",
            "Jozefowicz 2015",
            (1.0, 0.0),
            acts_on=("layers.*.read.bias",),
        ),
    ] = 1.0
    init: Annotated[
        Literal["fan_in", "xavier", "torch"],
        Switch(
            "initial weights: by fan-in, Glorot's, PyTorch's",
            "LeCun 1998; Glorot 2010",
            ("fan_in", "xavier", "torch"),
            acts_on=("*",),
        ),
    ] = "fan_in"


def geometry(config: RNNConfig, image: ImageSpec) -> tuple[dict[str, Any], ...]:
    """The effective numbers; `tokens` is the number of steps that wait for each other.

    Raises:
        ValueError: the patch does not tile the image.
    """
    grid = patch_grid(config.patch, image)
    shape = {"tokens": grid[0] * grid[1], "width": config.width, "depth": config.depth}
    return ({"grid": grid, **shape},)


class Elman(nn.Module):
    """State = tanh(input + state, each through a matrix)."""

    gates = 1

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read = nn.Linear(width, self.gates * width)
        self.recur = nn.Linear(width, self.gates * width, bias=False)

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        """Every state, in order."""
        state, states = torch.zeros_like(x[:, 0]), []
        for step in self.read(x).unbind(1):
            state = torch.tanh(step + self.recur(state))
            states.append(state)
        return torch.stack(states, 1)


class LSTM(Elman):
    """A cell that input and forget gates guard; gates in PyTorch's order."""

    gates = 4

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        """Every state, in order."""
        state = cell = torch.zeros_like(x[:, 0])
        states = []
        for step in self.read(x).unbind(1):
            enter, keep, new, leave = (step + self.recur(state)).chunk(4, -1)
            cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
            state = leave.sigmoid() * cell.tanh()
            states.append(state)
        return torch.stack(states, 1)


class Last(nn.Module):
    """The last state, which has seen every patch."""

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b c"]:
        """Choose."""
        return x[:, -1]


class Mean(nn.Module):
    """The mean of all states."""

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b c"]:
        """Average."""
        return x.mean(1)


class RNN(nn.Module):
    """Patches, layers, one state, linear head."""

    def __init__(self, config: RNNConfig, image: ImageSpec) -> None:
        super().__init__()
        patch_grid(config.patch, image)
        cell = LSTM if config.cell == "lstm" else Elman
        self.embed = PatchEmbed(config.patch, image.channels, config.width)
        self.layers = nn.Sequential(*(cell(config.width) for _ in range(config.depth)))
        self.pool = Last() if config.pool == "last" else Mean()
        self.norm = make_norm(config.norm, config.width)
        self.head = nn.Linear(config.width, image.classes)

    def forward(self, x: Float[Tensor, "b ch height width"]) -> Float[Tensor, "b classes"]:
        """Classify images."""
        states = self.layers(self.embed(x).flatten(1, 2))
        return self.head(self.norm(self.pool(states)))


def init(model: nn.Module, config: RNNConfig, generator_for: GeneratorFor) -> None:
    """Draw every parameter from the generator of its name; then open the forget gates."""
    initialise(model, config.init, generator_for)
    for module in model.modules():
        if isinstance(module, LSTM):
            nn.init.constant_(module.read.bias.chunk(4)[1], config.forget)


FAMILY = Family(RNNConfig, RNN, init, geometry)
