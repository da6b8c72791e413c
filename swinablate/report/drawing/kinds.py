"""Kinds of networks and how each is drawn: by colour and by shape."""

from collections.abc import Mapping
from typing import NamedTuple

from swinablate.records.plan import ArmRecord

CNN = ("resnet", "vgg", "nin", "googlenet", "convnext", "lenet", "alexnet", "densenet",
       "mobilenet", "efficientnet", "cnn")  # fmt: skip


class KindLook(NamedTuple):
    """How a kind is drawn; `text` is its colour, dark enough for letters."""

    marker: str
    colour: str
    text: str


KINDS: Mapping[str, KindLook] = {
    "Swin": KindLook("o", "#0072B2", "#0072B2"),
    "ViT": KindLook("D", "#E69F00", "#8A5A00"),
    "CNN": KindLook("s", "#009E73", "#00734F"),
    "other": KindLook("h", "#CC79A7", "#9C3F74"),
}
MORE = (
    *KINDS.values(),
    KindLook("^", "#D55E00", "#B34700"),
    KindLook("P", "#56B4E9", "#1F78B4"),
    KindLook("v", "#595959", "#595959"),
    KindLook("X", "#000000", "#000000"),
)
"""Okabe and Ito's palette, each with a shape of its own, for as many families."""


def kind(family: str) -> str:
    """Swin, ViT, CNN, or other, from the name of a family."""
    name = family.rpartition(":")[2].lower()
    if "swin" in name:
        return "Swin"
    if "vit" in name or "deit" in name:
        return "ViT"
    return "CNN" if any(word in name for word in CNN) else "other"


def family_of(arm: ArmRecord) -> str:
    """The family of an arm's network; of results from elsewhere nothing is known."""
    return arm.family


def looks(families: list[str]) -> dict[str, KindLook]:
    """A look for each family: its kind's, if no other has it, else the next that is free.

    Of more families than looks, the others begin again with the first.
    """
    found: dict[str, KindLook] = {}
    for family in dict.fromkeys(families):
        wanted = KINDS[kind(family)]
        free = [look for look in MORE if look not in found.values()]
        again = MORE[len(found) % len(MORE)]
        found[family] = wanted if wanted in free else (free or [again])[0]
    return found
