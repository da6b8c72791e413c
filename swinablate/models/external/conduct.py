"""What a network of somebody's own does that training and testing do not expect, in words.

Nothing of it is wrong beyond doubt, and all of it is read wrongly where nobody says it.

Shapes: b images, k classes.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from swinablate.config.code.theirs import named, theirs
from swinablate.config.family import Family, ImageSpec, ModelConfig
from swinablate.config.recipe import derive
from swinablate.models.build import copied, plain_arithmetic, start
from swinablate.models.external.adapter import DATA
from swinablate.models.external.signature import Filled

IMAGES = 4
"""Batch statistics of fewer say too little."""
SUM = 1e-2
"""By how much probabilities may add up to another number than 1: in bf16, to 4e-3 of it."""
ROUNDING = 1e-4
"""Of the largest answer: chance moves answers by more, and the order of sums by less."""
COLOURS = 4
"""Channels that images of colour have at most, transparency among them; a network that has more by
default means a width, or images of many bands."""
SAME_START = (
    "starts from the same weights for every seed: its constructor sets a seed of its own, or "
    "draws nothing; the spread over seeds is without that of initial weights."
)
"""By itself, since it is no matter where all weights come from a file."""


@torch.no_grad()
def oddities(family: Family[Any], config: ModelConfig, image: ImageSpec) -> tuple[str, ...]:
    """Start a network of two seeds and ask it, in both modes.

    Raises:
        ValueError: no gradient reaches it, so that nothing would train.
    """
    with torch.random.fork_rng(devices=[]), plain_arithmetic():
        first, second = (start(family, config, image, _generators(seed)) for seed in (0, 1))
        x = torch.empty(IMAGES, image.channels, image.height, image.width)
        x.normal_(generator=_generators(0)("images"))
        with torch.enable_grad():
            trained = first.train()(x.clone()).float()
        if not trained.requires_grad:
            raise ValueError(
                f"{config.family} answers without gradients in training mode, so that nothing "
                "would train; take torch.no_grad and detach out of its forward"
            )
        return (*_filled(config, image), *_told(first, second, x, trained.detach()))


def check_copy(family: Family[Any], config: ModelConfig, image: ImageSpec) -> None:
    """Refuse averaged weights of a network that cannot be copied: the average is a copy.

    Raises:
        ValueError: it cannot.
    """
    with torch.random.fork_rng(devices=[]):
        model = family.build(config, image)
    try:
        with theirs():
            copied(model)
    except Exception as error:  # whatever their code, or Python's of copies, raises
        raise ValueError(
            f"train.ema averages in a copy of the network, and {config.family} cannot be copied: "
            f"{named(error)}; make in its forward what cannot, or choose train.ema = 0.0"
        ) from error


def _filled(config: ModelConfig, image: ImageSpec) -> Iterator[str]:
    """Of an argument that is called as those are that take the images' channels."""
    field = type(config).model_fields.get("channels")
    for mark in field.metadata if field else ():
        own = mark.default if isinstance(mark, Filled) else None
        if isinstance(own, int) and own > COLOURS and getattr(config, "channels", 0) == DATA:
            yield (
                f"is given the {image.channels} of the images as channels, and {own} is its "
                f"default; if that is a width, write channels = {own} in [model], or rename it."
            )


def _told(
    first: nn.Module,
    second: nn.Module,
    x: Float[Tensor, "b c h w"],
    trained: Float[Tensor, "b k"],
) -> Iterator[str]:
    theirs = dict(second.named_parameters())
    ours = first.named_parameters()
    if all(name in theirs and torch.equal(p, theirs[name]) for name, p in ours):
        yield SAME_START
    for p in first.parameters():
        if p.is_floating_point() and not p.any():  # a head of zeros would hide what comes before
            p.normal_(std=0.1, generator=_generators(0)("zeros"))
    first.eval()
    answers = []
    for seed in range(2):  # chance of torch's; that of others is another one anyway
        torch.manual_seed(seed)
        answers.append(first(x.clone()).float())
    if probable(trained) or probable(answers[0]):
        where = "" if probable(trained) else " in evaluation mode"
        yield (
            f"returns probabilities{where}, and they are taken for logits, so that softmax acts "
            "twice; return what goes into it."
        )
    if (answers[0] - answers[1]).abs().max() > ROUNDING * answers[0].abs().max():
        yield (
            "answers the same images otherwise each time in evaluation mode, so that its accuracy "
            "is partly chance; F.dropout, for one, has to be told training=self.training."
        )


def probable(answers: Float[Tensor, "b k"]) -> bool:
    """Whether they are probabilities of classes."""
    near = (answers.sum(1) - 1).abs() < SUM
    return bool(near.all() and (answers >= 0).all())


def _generators(seed: int) -> Callable[[str], torch.Generator]:
    return lambda name: torch.Generator().manual_seed(derive(seed, "conduct", name))
