"""What happens to the training images of a recipe, decided once, drawn at every step.

Order: crop or shift, flip, upside down, rotation, blur, policy, brightness to hue (all on bytes),
normalisation, cutout, erasing, mixture. A step's result is a pure function of its images and its
generators, so a resumed run needs no state of the data's own.

Shapes: b images, c channels, h w pixels, k classes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from swinablate.config.data import DataConfig
from swinablate.config.family import BYTE, ImageSpec
from swinablate.data.augment import colour
from swinablate.data.augment.geometric import ResizedCrop, Shift
from swinablate.data.augment.mixing import Cutout, Erase, Mixing
from swinablate.data.augment.policy import randaugment, trivialaugment
from swinablate.data.augment.turning import SHARPEST, Blur, FlipVertical, Rotate
from swinablate.data.rng import Chance, uniform

MARGIN = 4  # pixels, He 2016, sec. 4.2
SHARE = 8
"""He's images have 32 pixels a side, so that an eighth of what stands at an edge may be cut off;
of 8x8 digits 4 pixels would take two fifths of the ink."""
Change = Callable[[Tensor, Chance], Tensor]


@dataclass(frozen=True)
class Jitter:
    """Random brightness, contrast, saturation and hue, in this order, on bytes.

    Factors are uniform in 1 - s to 1 + s, the turn of the hue in -s to s, as in torchvision's
    `ColorJitter`; there the order is random as well.

    Attributes:
        strength: s of each of the four; 0 is off.
    """

    strength: tuple[float, float, float, float]

    def __call__(
        self, pixels: UInt8[Tensor, "b c h w"], chance: Chance
    ) -> UInt8[Tensor, "b c h w"]:
        """Draw and change."""
        draws = uniform(chance("colour"), (4, len(pixels)), images=1, dtype=torch.float64)
        draws = (2 * draws - 1).to(pixels.device, non_blocking=True)
        kinds = (colour.brightness, colour.contrast, colour.saturation, colour.hue)
        for kind, strength, draw in zip(kinds, self.strength, draws, strict=True):
            if strength:
                pixels = kind(pixels, strength * draw + (kind is not colour.hue))
        return pixels


@dataclass(frozen=True)
class Stretch:
    """Pixels of 0 to `top` as bytes of 0 to 255, which is what changes of colour work on."""

    top: int

    def __call__(
        self, pixels: UInt8[Tensor, "b c h w"], _chance: Chance
    ) -> UInt8[Tensor, "b c h w"]:
        """Stretch, rounding to the nearest byte."""
        return ((pixels.int() * BYTE + self.top // 2) // self.top).to(torch.uint8)


@dataclass(frozen=True)
class Augment:
    """All random changes of one recipe.

    Attributes:
        top: largest raw value, where `before` stretches the images; they are normalised as
            what they were before that.
        before: of bytes.
        after: of normalised images; they may change them in place.
        mixing: of images with their classes.
    """

    before: tuple[Change, ...] = ()
    after: tuple[Change, ...] = ()
    mixing: Mixing | None = None
    top: int = BYTE

    def __call__(
        self,
        pixels: UInt8[Tensor, "b c h w"],
        labels: Int[Tensor, " b"],
        normalised: Callable[[Tensor], Tensor],
        chance: Chance,
    ) -> tuple[Float[Tensor, "b c h w"], Int[Tensor, " b"] | Float[Tensor, "b k"]]:
        """Change a batch.

        Args:
            pixels: raw; not changed.
            labels: their classes.
            normalised: raw, or floats that it may write to -> a float tensor.
            chance: the step's draws.

        Returns:
            Images, and their classes; with mixing, the share of each class.
        """
        for change in self.before:
            pixels = change(pixels, chance)
        x = normalised(pixels if self.top == BYTE else pixels * (self.top / BYTE))
        for change in self.after:
            x = change(x, chance)
        return (x, labels) if self.mixing is None else self.mixing(x, labels, chance)


def augmentation(config: DataConfig, image: ImageSpec) -> Augment:
    """The random changes a recipe asks for.

    Raises:
        ValueError: they cannot be made with such images.
    """
    _check(config, image)
    stretched = image.top < BYTE and bool(on_bytes(config) or config.rotate or config.blur)
    before: list[Change] = [Stretch(image.top)] if stretched else []
    before += _moves(config, image)
    before += _turns(config)
    if config.policy == "randaugment":
        count, bin_ = config.policy_ops, config.policy_magnitude
        before.append(randaugment(count, bin_, image.height, image.width))
    elif config.policy == "trivialaugment":
        before.append(trivialaugment())
    strength = (config.brightness, config.contrast, config.saturation, config.hue)
    if any(strength):
        before.append(Jitter(strength))
    after: list[Change] = []
    if config.cutout:
        after.append(Cutout(config.cutout))
    if config.erase:
        after.append(Erase(config.erase, config.erase_fill == "noise"))
    mixing = None
    if config.mixup or config.cutmix:
        mixing = Mixing(config.mixup, config.cutmix, config.mix_share, image.classes)
    return Augment(tuple(before), tuple(after), mixing, image.top if stretched else BYTE)


def on_bytes(config: DataConfig) -> tuple[str, ...]:
    """Fields that are on and work on bytes of 0 to 255."""
    colours = ("brightness", "contrast", "saturation", "hue")
    policy = ("policy",) if config.policy != "none" else ()
    return policy + tuple(name for name in colours if getattr(config, name))


def margin(config: DataConfig, image: ImageSpec) -> int:
    """Largest shift of padded crops, in pixels; 0 where there are none."""
    if "crop" not in config.augment:
        return 0
    if isinstance(config.crop_margin, int):
        return config.crop_margin
    return min(MARGIN, min(image.height, image.width) // SHARE)


def _moves(config: DataConfig, image: ImageSpec) -> list[Change]:
    flip, crop = "flip" in config.augment, "crop" in config.augment
    if config.resized_crop:
        return [ResizedCrop(config.resized_crop, flip)]
    return [Shift(flip, margin(config, image))] if flip or crop else []


def _turns(config: DataConfig) -> list[Change]:
    found: list[Change] = []
    if config.flip_vertical:
        found.append(FlipVertical(config.flip_vertical))
    if config.rotate:
        found.append(Rotate(config.rotate, config.rotate_share))
    if config.blur:
        found.append(Blur(config.blur, config.blur_share))
    return found


def _check_margin(config: DataConfig, image: ImageSpec) -> None:
    side, size = min(image.height, image.width), f"{image.height}x{image.width}"
    if "crop" not in config.augment:
        return
    if not margin(config, image):
        raise ValueError(
            f'data.augment = "{config.augment}": an eighth of {size} images is less than a '
            "pixel; write crop_margin = 1, or another augment"
        )
    if margin(config, image) >= side:
        raise ValueError(
            f"data.crop_margin = {config.crop_margin} would shift {size} images out of sight; "
            f"give at most {side - 1}, or leave it out"
        )


def _check_blur(config: DataConfig) -> None:
    if 0 < config.blur < SHARPEST:
        raise ValueError(
            f"data.blur = {config.blur} of a pixel changes nothing; give at least {SHARPEST}, or "
            "leave it out"
        )


def _check(config: DataConfig, image: ImageSpec) -> None:
    if config.resized_crop and "crop" in config.augment:
        without = "flip" if "flip" in config.augment else "none"
        raise ValueError(
            f'data.resized_crop = {config.resized_crop} and data.augment = "{config.augment}" '
            f'both crop; write augment = "{without}", or leave resized_crop out'
        )
    _check_margin(config, image)
    _check_blur(config)
    side = max(image.height, image.width)
    if config.cutout > side:
        raise ValueError(
            f"data.cutout = {config.cutout} is larger than the {image.height}x{image.width} "
            f"images; give at most {side}"
        )
    coloured = {"saturation": config.saturation, "hue": config.hue}
    for name, strength in coloured.items():
        if strength and image.channels != 3:
            raise ValueError(
                f"data.{name} needs colour: 3 channels, not {image.channels}; leave it out"
            )
    if image.channels not in {1, 3}:
        on = config.policy != "none", bool(config.contrast)
        for name, needed in zip(("policy", "contrast"), on, strict=True):
            if needed:
                raise ValueError(
                    f"data.{name} needs grey or colour: 1 or 3 channels, not "
                    f"{image.channels}; leave it out"
                )
