"""A recurrent network that reads an image patch by patch, in reading order.

The baseline that attention replaced: one patch after the other, so that a step cannot begin
before the last is done. LSTM: Hochreiter and Schmidhuber 1997, with forget gates (Gers 2000).
GRU: Cho et al. 2014 (arXiv:1406.1078), in the order of torch's `nn.GRU`.

Shapes: b batch, ch image channels, n tokens, c channels, s channels of a state.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from pydantic import model_validator
from torch import Tensor, nn

from swinablate.config.family import Family, ImageSpec, ModelConfig, Switch
from swinablate.models.layers.fields import Count
from swinablate.models.layers.init import GeneratorFor, initialise
from swinablate.models.layers.norm import Norm, make_norm, mended
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
        Literal["lstm", "gru", "elman"],
        Switch(
            "gates and a cell, gates alone, or a plain tanh",
            "Hochreiter 1997; Cho 2014; Elman 1990",
            ("lstm", "gru", "elman"),
            acts_on=("layers.*",),
        ),
    ] = "lstm"
    bidirectional: Annotated[
        bool,
        Switch(
            "each layer reads in both orders, half of the channels each",
            "Schuster 1997; Graves 2005",
            (False, True),
            acts_on=("layers.*", "pool"),
        ),
    ] = False
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
            acts_on=("layers.*read.bias",),
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

    @model_validator(mode="after")
    def _halves(self) -> "RNNConfig":
        if self.bidirectional and self.width % 2:
            raise ValueError(
                f"width {self.width} has no half for each order of reading; choose an even one"
            )
        return self

    def mended(self, *, decays: bool) -> dict[str, int]:
        """As `ModelConfig` says."""
        del decays
        return mended(self.norm)


def geometry(config: RNNConfig, image: ImageSpec) -> tuple[dict[str, Any], ...]:
    """The effective numbers; `tokens` is the number of steps that wait for each other.

    Raises:
        ValueError: the patch does not tile the image.
    """
    grid = patch_grid(config.patch, image)
    shape = {"tokens": grid[0] * grid[1], "width": config.width, "depth": config.depth}
    return ({"grid": grid, **shape},)


class Elman(nn.Module):
    """State = tanh(input + state, each through a matrix).

    Args:
        width: channels of the input.
        states: channels of the state; as many where it is None.
    """

    gates = 1

    def __init__(self, width: int, states: int | None = None) -> None:
        super().__init__()
        self.states = width if states is None else states
        self.read = nn.Linear(width, self.gates * self.states)
        self.recur = nn.Linear(self.states, self.gates * self.states, bias=False)

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n s"]:
        """Every state, in order."""
        state, states = x.new_zeros(len(x), self.states), []
        for step in self.read(x).unbind(1):
            state = torch.tanh(step + self.recur(state))
            states.append(state)
        return torch.stack(states, 1)


class LSTM(Elman):
    """A cell that input and forget gates guard; gates in PyTorch's order."""

    gates = 4

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n s"]:
        """Every state, in order."""
        state = cell = x.new_zeros(len(x), self.states)
        states = []
        for step in self.read(x).unbind(1):
            enter, keep, new, leave = (step + self.recur(state)).chunk(4, -1)
            cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
            state = leave.sigmoid() * cell.tanh()
            states.append(state)
        return torch.stack(states, 1)


class GRU(Elman):
    """A state that two gates guard: what of it is read, and what of it stays.

    The reset gate meets the state behind its matrix, as in torch and cuDNN; in the paper's
    eq. 8 it does before.
    """

    gates = 3

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n s"]:
        """Every state, in order."""
        state, states = x.new_zeros(len(x), self.states), []
        for step in self.read(x).unbind(1):
            reset, keep, new = step.chunk(3, -1)
            reset_too, keep_too, new_too = self.recur(state).chunk(3, -1)
            keep = (keep + keep_too).sigmoid()
            new = (new + (reset + reset_too).sigmoid() * new_too).tanh()
            state = keep * state + (1 - keep) * new
            states.append(state)
        return torch.stack(states, 1)


CELLS: Mapping[str, type[Elman]] = {"lstm": LSTM, "gru": GRU, "elman": Elman}


class BothWays(nn.Module):
    """Two cells, one of which reads from the end; every place has the states of both."""

    def __init__(self, cell: type[Elman], width: int) -> None:
        super().__init__()
        self.ahead, self.back = cell(width, width // 2), cell(width, width // 2)

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        """Every pair of states, in order of the places."""
        return torch.cat((self.ahead(x), self.back(x.flip(1)).flip(1)), -1)


class LastOfBoth(nn.Module):
    """The states of both cells that have seen every patch: the last place's, the first one's."""

    def forward(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, "b c"]:
        """Choose."""
        half = x.shape[-1] // 2
        return torch.cat((x[:, -1, :half], x[:, 0, half:]), -1)


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


def layer(config: RNNConfig) -> nn.Module:
    """One layer, of `config.width` channels before and behind."""
    cell = CELLS[config.cell]
    return BothWays(cell, config.width) if config.bidirectional else cell(config.width)


class RNN(nn.Module):
    """Patches, layers, one state, linear head."""

    def __init__(self, config: RNNConfig, image: ImageSpec) -> None:
        super().__init__()
        patch_grid(config.patch, image)
        self.embed = PatchEmbed(config.patch, image.channels, config.width)
        self.layers = nn.Sequential(*(layer(config) for _ in range(config.depth)))
        last = LastOfBoth if config.bidirectional else Last
        self.pool = last() if config.pool == "last" else Mean()
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
