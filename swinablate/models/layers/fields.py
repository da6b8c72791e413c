"""Numbers that fields of configs hold, and how fields must fit each other.

Shared by families, so that one rule has one message.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

Count = Annotated[int, Field(ge=1)]
Counts = Annotated[tuple[Count, ...], Field(min_length=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]


def check_lengths(part: str, lists: Mapping[str, tuple[object, ...]]) -> None:
    """See that two fields have as many entries.

    Args:
        part: what an entry is for: a stage, a block.
        lists: the fields, by name.

    Raises:
        ValueError: they have not.
    """
    (first, some), (second, others) = lists.items()
    if len(some) != len(others):
        raise ValueError(
            f"{first} has {len(some)} entries, {second} has {len(others)}; "
            f"give both one entry per {part}"
        )


def check_middle(kernel: int) -> None:
    """See that a kernel has a middle.

    Raises:
        ValueError: its side is even.
    """
    if kernel % 2 == 0:
        raise ValueError(f"kernel {kernel} has no middle; choose an odd side")


def check_attn_drop(attention: str, attn_drop: float) -> None:
    """See that attention whose weights are dropped has weights.

    Raises:
        ValueError: they do not depend on the image, or are never computed.
    """
    if attn_drop and attention not in ("dot", "cosine", "additive"):
        raise ValueError(
            f"{attention} attention has no weights of an image's own to drop; "
            "choose attn_drop = 0.0, or dot, cosine or additive attention"
        )
