"""The channel mixer of a transformer block.

Shapes: c channels, h hidden channels, `*tokens` any batch and token layout.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, no_type_check

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.models.layers.block import make_drop
from swinablate.models.layers.norm import BlockNorm, make_ffn_norm

Activation = Literal["gelu", "relu", "swiglu", "geglu"]
_ACTIVATIONS: Mapping[Activation, type[nn.Module]] = {
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "swiglu": nn.SiLU,
    "geglu": nn.GELU,
}
_GATED = {"swiglu", "geglu"}
FEW = 1 << 17
"""Hidden numbers of an image that `keep_few` has kept rather than made again: half a MiB a block
in fp32, as everybody keeps them, where making them takes a twelfth of a small network's step. At
224 pixels the blocks of a ViT-Ti have more, and so has each of a Swin-T's: there, memory is what
bounds a batch."""


def hidden_width(width: int, ratio: float) -> int:
    """Channels inside the MLP.

    Raises:
        ValueError: `ratio` times `width` is not a whole number.
    """
    hidden = width * ratio
    if hidden < 1 or not float(hidden).is_integer():
        raise ValueError(
            f"mlp_ratio {ratio} of {width} channels is {hidden:g}; "
            "choose a ratio that gives a whole number of channels"
        )
    return int(hidden)


def gated_width(hidden: int) -> int:
    """Channels inside a gated MLP: two thirds, rounded, since three matrices stand for two.

    Source: Shazeer 2020, arXiv:2002.05202, sec. 2.
    """
    return max(1, round(2 * hidden / 3))


class Hidden(NamedTuple):
    """The hidden layer of an MLP.

    Attributes:
        ratio: its channels per channel of the MLP.
        norm: the kind that blocks have.
        activation: the nonlinearity; "swiglu" and "geglu" gate a second linear map of the input
            with it, in two thirds of the channels.
        drop: share of the numbers that are dropped behind it, and behind the MLP.
        shared: whether several blocks have the MLP's weights.
    """

    ratio: float
    norm: BlockNorm
    activation: Activation = "gelu"
    drop: float = 0.0
    shared: bool = False


class LinearOfGelu(torch.autograd.Function):
    """A linear map of `gelu(x)` that keeps `x`, as GELU does, and not `gelu(x)` besides.

    That is the widest tensor of a block, and takes one elementwise pass to make again. Answers
    and gradients are those of `nn.Linear` behind `nn.GELU`, bit for bit.
    """

    generate_vmap_rule = True

    @staticmethod
    @no_type_check  # nor may tests wrap it: the compiler reads it
    def forward(
        y: Float[Tensor, "*tokens c"],
        _x: Float[Tensor, "*tokens c"],
        weight: Float[Tensor, "outputs c"],
        bias: Float[Tensor, " outputs"],
    ) -> Float[Tensor, "*tokens outputs"]:
        """Map `y`, which is `gelu(x)`."""
        return F.linear(y, weight, bias)

    @staticmethod
    @no_type_check
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        """Keep what the backward pass needs."""
        _, x, weight, bias = inputs
        ctx.save_for_backward(x, weight)
        ctx.bias_type = bias.dtype

    @staticmethod
    @no_type_check
    def backward(
        ctx: Any, grad: Float[Tensor, "*tokens outputs"]
    ) -> tuple[Tensor, None, Tensor, Tensor]:
        """Gradients of `y`, weight and bias."""
        x, weight = ctx.saved_tensors
        rows = grad.flatten(0, -2)
        # Under autocast the format of `grad` is that in which the map was computed.
        of_weight = rows.T @ F.gelu(x).flatten(0, -2).to(grad.dtype)
        of_y = (rows @ weight.to(grad.dtype)).view(x.shape).to(x.dtype)
        return of_y, None, of_weight.to(weight.dtype), rows.sum(0).to(ctx.bias_type)


class Mlp(nn.Module):
    """Linear, activation, linear; batch_ffn normalises in between, where it folds into `fc1`.

    Gated, what the activation gives is multiplied by a second linear map of the input: eq. 6 of
    Shazeer 2020 (arXiv:2002.05202), here with biases, as in DINOv2 and timm's `SwiGLU`.

    Args:
        width: channels.
        hidden: what stands between the linears.
    """

    def __init__(self, width: int, hidden: Hidden) -> None:
        super().__init__()
        inner = hidden_width(width, hidden.ratio)
        gated = hidden.activation in _GATED
        inner = gated_width(inner) if gated else inner
        self.fc1 = nn.Linear(width, inner)
        self.value = nn.Linear(width, inner) if gated else None
        self.norm = make_ffn_norm(hidden.norm, inner)
        self.act = _ACTIVATIONS[hidden.activation]()
        self.drop1 = make_drop(hidden.drop)
        self.fc2 = nn.Linear(inner, width)
        self.drop2 = make_drop(hidden.drop)
        # Of ReLU the output alone is kept, and a dropout keeps its own. Autocast casts a shared
        # weight once for all blocks, and adds its gradients up before it casts them back.
        again = hidden.activation == "gelu" and not hidden.drop and not hidden.shared
        self._second: Callable[[Mlp, Tensor, Tensor], Tensor] = _lean if again else _kept
        self.keeps_few = False

    def forward(self, x: Float[Tensor, "*tokens c"]) -> Float[Tensor, "*tokens c"]:
        """Mix the channels of every token."""
        return self.drop2(self._second(self, self.norm(self.fc1(x)), x))


class DepthwiseMlp(Mlp):
    """The same with a 3x3 convolution of each hidden channel: neighbours, and edges, are seen.

    Source: PVTv2, arXiv:2106.13797, sec. 3.3; gated, the convolved half is the one that is
    activated, as in TransNeXt's ConvGLU, arXiv:2311.17132, sec. 3.3.
    """

    def __init__(self, width: int, hidden: Hidden) -> None:
        super().__init__(width, hidden)
        inner = self.fc1.out_features
        self.conv = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)

    def forward(self, x: Float[Tensor, "b h w c"]) -> Float[Tensor, "b h w c"]:
        """Mix the channels of every token, and its neighbours."""
        y = self.norm(self.fc1(x)).permute(0, 3, 1, 2)
        return self.drop2(self._second(self, self.conv(y).permute(0, 2, 3, 1), x))


def keep_few(model: nn.Module) -> None:
    """Have a network keep the hidden numbers of small images: where memory is not what lacks."""
    for module in model.modules():
        if isinstance(module, Mlp):
            module.keeps_few = True


def _kept(
    mlp: Mlp, y: Float[Tensor, "*tokens h"], x: Float[Tensor, "*tokens c"]
) -> Float[Tensor, "*tokens c"]:
    """Activate hidden channels `y`, let them gate a second map of `x` if there is one, and map."""
    y = mlp.act(y)
    if mlp.value is not None:
        y = y * mlp.value(x)
    return mlp.fc2(mlp.drop1(y))


def _lean(
    mlp: Mlp, y: Float[Tensor, "*tokens h"], x: Float[Tensor, "*tokens c"]
) -> Float[Tensor, "*tokens c"]:
    """As `_kept`, bit for bit, in less memory where there is any to be saved."""
    few = mlp.keeps_few and y.numel() <= FEW * len(y)
    return (_kept if few else _made_again)(mlp, y, x)


def _made_again(
    mlp: Mlp, y: Float[Tensor, "*tokens h"], _x: Float[Tensor, "*tokens c"]
) -> Float[Tensor, "*tokens c"]:
    given = mlp.act(y)
    # The cast is autocast's own, made here so that the backward pass need not make it again.
    weight = mlp.fc2.weight.to(given.dtype)
    found: Tensor = LinearOfGelu.apply(given, y, weight, mlp.fc2.bias)
    return found
