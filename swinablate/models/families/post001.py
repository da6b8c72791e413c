"""The convolutional network of post 001: as written, without any activation.

Three 5x5 convolutions, each pooled, and two linear maps, which without an activation between
them are one. On 32x32x3 and 10 classes 145,578 parameters.

Shapes: b batch, ch image channels, h w pixels.
"""

from typing import Annotated, Any, Literal

from jaxtyping import Float
from torch import Tensor, nn

from swinablate.config.family import Family, ImageSpec, ModelConfig, Switch
from swinablate.models.layers.init import draw

WIDTHS = (32, 32, 64)
"""As in the post: its network is a claim to be checked, so its sizes are no switches."""
HIDDEN = 64  # likewise


class Post001Config(ModelConfig):
    """What the post leaves out, as switches."""

    family: Literal["post001"] = "post001"
    activation: Annotated[
        Literal["none", "relu"],
        Switch(
            "nonlinearity after each layer but the last",
            "post 001",
            ("none", "relu"),
            acts_on=("steps.*", "act"),
        ),
    ] = "none"
    init: Annotated[
        Literal["torch", "fan_in", "he"],
        Switch(
            "initial weights: PyTorch's, variance 1 / fan-in, or 2 / fan-in",
            "LeCun 1998; He 2015",
            ("torch", "fan_in", "he"),
            acts_on=("*",),
        ),
    ] = "torch"


def geometry(_: Post001Config, image: ImageSpec) -> tuple[dict[str, Any], ...]:
    """The grid of each convolution.

    Raises:
        ValueError: the image is too small for three poolings.
    """
    if min(image.height, image.width) < 8:
        raise ValueError(
            f"a {image.height}x{image.width} image cannot be halved three times; "
            "use images of at least 8x8"
        )
    return tuple(
        {"grid": (image.height >> i, image.width >> i), "width": width, "kernel": 5}
        for i, width in enumerate(WIDTHS)
    )


class Post001(nn.Module):
    """Convolutions, two linear maps."""

    def __init__(self, config: Post001Config, image: ImageSpec) -> None:
        super().__init__()
        act = nn.ReLU if config.activation == "relu" else nn.Identity
        before, steps = image.channels, []
        for stage in geometry(config, image):
            conv = nn.Conv2d(before, stage["width"], 5, padding=2)
            steps.append(nn.Sequential(conv, act(), nn.MaxPool2d(2)))
            before = stage["width"]
        self.steps = nn.Sequential(*steps)
        self.fc1 = nn.Linear(before * (image.height // 8) * (image.width // 8), HIDDEN)
        self.act = act()
        self.fc2 = nn.Linear(HIDDEN, image.classes)

    def forward(self, x: Float[Tensor, "b ch h w"]) -> Float[Tensor, "b classes"]:
        """Classify images."""
        return self.fc2(self.act(self.fc1(self.steps(x).flatten(1))))


FAMILY = Family(Post001Config, Post001, draw, geometry)
