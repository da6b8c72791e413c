"""What is found out about images while they are written, and what of it a reader should know.

Shapes: n images, c channels, h w pixels.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swinablate.config.data import DataConfig
from swinablate.config.family import ImageSpec
from swinablate.data.dataset import Labels, Moments, Pixels, Positives
from swinablate.data.registry import class_names, image_spec
from swinablate.errors import InputError

EXAMPLES = 3
"""Images that a message names: enough to look at, and one line."""
COPIES = 100
"""Training images for each copy among them from which nothing is said: of the sets that people
compare on, a few images in ten thousand are there twice."""
UNEQUAL = 10
"""Training images of the largest class for one of the smallest: where they are two, whoever
always answers the larger is right in 10 of 11, and its accuracy does not show the other's."""


@dataclass
class Tally:
    """One part's images, as they go by.

    Attributes:
        names: of the images, where they have some.
        labels: their classes.
        moments: sum and sum of squares of each image's channels.
        prints: a number that two images share if they are byte for byte the same; that others
            share one is less likely than 1 in 10^6 among a million images.
        flat: positions of images of a single value.
        top: largest value.
    """

    names: Sequence[str] = ()
    labels: list[Labels] = field(default_factory=list)
    moments: list[Moments] = field(default_factory=list)
    prints: list[Positives] = field(default_factory=list)
    flat: list[int] = field(default_factory=list)
    top: int = 0

    def add(self, pixels: Pixels, labels: Labels) -> None:
        """Look at some more images."""
        done = sum(map(len, self.labels))
        flat = pixels.reshape(len(pixels), -1)
        digests = [hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in pixels]
        self.prints.append(np.frombuffer(b"".join(digests), dtype=np.uint64))
        self.flat += (done + np.flatnonzero(flat.min(1) == flat.max(1))).tolist()
        self.top = max(self.top, int(flat.max()))
        self.labels.append(labels)
        self.moments.append(moments(pixels))

    def name(self, place: int) -> str:
        """Of an image; its number where it has no name."""
        return self.names[place] if self.names else f"number {place}"


def moments(pixels: Pixels) -> Moments:
    """Sum and sum of squares of each image's channels.

    Any subset's mean and deviation follow from these without reading its pixels.
    """
    flat = pixels.reshape(*pixels.shape[:2], -1)
    return np.stack([flat.sum(2, dtype=np.int64), np.square(flat, dtype=np.int64).sum(2)], axis=2)


def found(train: Tally, test: Tally, image: ImageSpec, own: int = 0) -> dict[str, Any]:
    """What is worth knowing of a data set, as its manifest holds it.

    Args:
        train: training and validation images.
        test: test images.
        image: their format.
        own: how many of the first, the last ones, are the data set's own validation images.

    Raises:
        InputError: nothing can be learned from it.
    """
    labels = np.concatenate(train.labels)
    if len(kinds := np.unique(labels)) == 1:
        raise InputError(
            f"all {len(labels)} training images are of class {kinds[0]}",
            at="data",
            hint="give images of two classes at least",
        )
    prints, tested = np.concatenate(train.prints), np.concatenate(test.prints)
    if len(np.unique(prints)) == 1:
        raise InputError(
            f"all {len(labels)} training images are the same image",
            at="data",
            hint="look at what the data set is made of: there is nothing to learn from it",
        )
    twice, examples = _shared(tested, test.name, prints, train.name)
    cut = len(labels) - own
    flat = sum(place < cut for place in train.flat)  # of which it is said that they are
    held, held_examples = _shared(
        prints[cut:], lambda k: train.name(cut + k), prints[:cut], train.name
    )
    return {
        "train": np.bincount(labels, minlength=image.classes).tolist(),
        "tested": np.bincount(np.concatenate(test.labels), minlength=image.classes).tolist(),
        "test": len(tested),
        "twice": twice,
        "examples": examples,
        "val": own,
        "held": held,
        "held_examples": held_examples,
        "copies": len(seen := np.delete(prints, train.flat)[: cut - flat]) - len(np.unique(seen)),
        **_contradictions(train, prints, labels),
        "flat": len(train.flat) + len(test.flat),
        "flats": [train.name(x) for x in train.flat[:EXAMPLES]]
        or [test.name(x) for x in test.flat[:EXAMPLES]],
        "top": max(train.top, test.top),
    }


def _shared(
    these: Positives, name: Callable[[int], str], those: Positives, other: Callable[[int], str]
) -> tuple[int, list[list[str]]]:
    """How many of these images are among those, and the names of a few of them and of their twins.

    Args:
        these: a number for each, as `Tally` has it.
        name: of one of these, by its position.
        those: likewise.
        other: of one of those.
    """
    known, first = np.unique(those, return_index=True)
    twice = np.flatnonzero(_among(these, known))
    return len(twice), [
        [name(at), other(int(first[np.searchsorted(known, these[at])]))]
        for at in twice[:EXAMPLES].tolist()
    ]


def _among(these: Positives, those: Positives) -> NDArray[np.bool_]:
    """Which of these prints are among those.

    Sorted: they are spread over 64 bits, so that a table of all between them is never small, and
    numpy 2.0 fails where it looks whether one would be.
    """
    return np.isin(these, those, kind="sort")


def _contradictions(train: Tally, prints: Positives, labels: Labels) -> dict[str, Any]:
    """How many images are in two classes or more, and the names of two that are the same."""
    order = np.lexsort((labels, prints))
    same = prints[order][1:] == prints[order][:-1]
    other = np.flatnonzero(same & (labels[order][1:] != labels[order][:-1]))
    torn = _among(prints, prints[order][other])
    pair = [train.name(int(k)) for k in order[other[0] : other[0] + 2]] if len(other) else []
    return {"torn": int(torn.sum()), "torn_example": pair}


def notices(config: DataConfig, facts: Mapping[str, Any], *, plain: bool) -> Iterator[str]:
    """What to beware of in a recipe's images.

    Args:
        config: the recipe's data.
        facts: as `found` gives them.
        plain: what is compared is the accuracy over all images.
    """
    where = f"{config.name}{f' in {config.root}' if config.root else ''}"
    if facts["twice"]:
        pairs = ", ".join(f"{test} = {train}" for test, train in facts["examples"])
        more = " ..." if facts["twice"] > len(facts["examples"]) else ""
        yield (
            f"{where}: {facts['twice']} of {facts['test']} test images are among the training "
            f"or validation images, byte for byte ({pairs}{more}): they test what was learned "
            "by heart."
        )
    yield from _copies(facts, where)
    if passed := facts.get("passed"):
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(passed.items()))
        yield f"{where}: pictures of kinds that are not read are left out ({kinds})."
    if facts["flat"]:
        more = " ..." if facts["flat"] > len(facts["flats"]) else ""
        count = "an image is" if facts["flat"] == 1 else f"{facts['flat']} images are"
        yield f"{where}: {count} of a single value ({', '.join(facts['flats'])}{more})."
    image = image_spec(config)
    if config.image is not None and 2 * facts["top"] < image.top:
        yield (
            f"{where}: no pixel is above {facts['top']} of {image.top}; if that is their range, "
            f"write top = {facts['top']} in data.image, or normalisation, policies and colour "
            "take them for dark images."
        )
    yield from _unequal(config, facts, where, plain=plain)


def _copies(facts: Mapping[str, Any], where: str) -> Iterator[str]:
    """Images that are there again; what an earlier version prepared says nothing of them."""
    if facts.get("held"):
        pairs = ", ".join(f"{val} = {train}" for val, train in facts["held_examples"])
        more = " ..." if facts["held"] > len(facts["held_examples"]) else ""
        yield (
            f"{where}: {facts['held']} of {facts['val']} validation images are among the training "
            f"images, byte for byte ({pairs}{more}): they choose what was learned by heart."
        )
    copies, every = facts.get("copies", 0), sum(facts["train"]) - facts.get("val", 0)
    if copies * COPIES > every:
        cut = "" if facts.get("val") else ", and some of both are cut off to validate"
        yield (
            f"{where}: {copies} of {every} training images are copies of others, byte for byte"
            f"{cut}."
        )
    if facts.get("torn"):
        one, other = facts["torn_example"]
        yield (
            f"{where}: {facts['torn']} training or validation images are in two classes, byte for "
            f"byte ({one} = {other}): nobody can tell which."
        )


def _unequal(
    config: DataConfig, facts: Mapping[str, Any], where: str, *, plain: bool
) -> Iterator[str]:
    counts, names = facts["train"], class_names(config)

    def named(kind: int) -> str:
        return names[kind] if kind < len(names) else str(kind)

    if absent := [named(kind) for kind, count in enumerate(counts) if not count]:
        more = " ..." if len(absent) > EXAMPLES else ""
        yield f"{where}: no training image is of class {', '.join(absent[:EXAMPLES])}{more}."
    pairs = zip(counts, facts.get("tested", counts), strict=True)
    if absent := [named(kind) for kind, (here, there) in enumerate(pairs) if here and not there]:
        more = " ..." if len(absent) > EXAMPLES else ""
        yield (
            f"{where}: no test image is of class {', '.join(absent[:EXAMPLES])}{more}: what is "
            "tested is not all that is learned."
        )
    least, most = min(count for count in counts if count), max(counts)
    if most >= UNEQUAL * least and plain:
        yield (
            f"{where}: class {named(counts.index(most))} has {most} training images, class "
            f"{named(counts.index(least))} {least}; the accuracy over all test images says little "
            'of small classes. Compare metric = "test/balanced_accuracy"; data.balanced = true '
            "trains on all classes equally often."
        )


def left_out(name: str, parts: Mapping[str, Sequence[int]]) -> str:
    """Classes that are judged and not trained, for a split leaves them no image to train on.

    Args:
        name: of the data set.
        parts: split -> images of each class; nothing where they are not known yet.
    """
    judged = map(sum, zip(parts.get("val", ()), parts.get("test", ()), strict=True))
    pairs = enumerate(zip(parts.get("train", ()), judged, strict=True))
    lost = [str(k) for k, (trained, others) in pairs if others > trained == 0]
    if not lost:
        return ""
    who = f"class number {lost[0]} has" if len(lost) == 1 else f"{len(lost)} classes have"
    which = "" if len(lost) == 1 else f" (numbers {', '.join(lost[:EXAMPLES])}"
    which += "" if len(lost) == 1 else f"{' ...' if len(lost) > EXAMPLES else ''})"
    return (
        f"{name}: {who} no image left to train on{which}, and some to be judged by; raise "
        "data.train_fraction or data.limit, lower data.val_fraction, or take more images."
    )
