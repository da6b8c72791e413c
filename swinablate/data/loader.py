"""Raw batches on the device: cut from memory, or read ahead from the file by a thread.

Shapes: b images in a batch, c channels, h w pixels.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from swinablate.data.splits import Images

AHEAD = 3
"""Batches in memory or under way: one is trained on, one is ready, one is read. More would help
only where reading is uneven, and each takes a batch's memory."""
Raw = tuple[UInt8[Tensor, "b c h w"], Int[Tensor, " b"]]


def raw_batches(
    images: Images, order: Int[Tensor, " n"], size: int, first: int = 0
) -> Iterator[Raw]:
    """Images and classes, `size` at a time; what is left over at the end is left out.

    Args:
        images: of which the batches are cut.
        order: positions in `images`; on the CPU.
        size: images a batch.
        first: batches to skip: a resumed epoch goes on in the middle.
    """
    return cut(images, torch.split(order, size)[first : len(order) // size])


def all_batches(images: Images, size: int) -> Iterator[Raw]:
    """All images in their order; the last batch may be smaller."""
    return cut(images, torch.split(torch.arange(len(images)), size))


def cut(images: Images, parts: Sequence[Int[Tensor, " _"]]) -> Iterator[Raw]:
    """Images and classes of these positions, part by part; on the CPU they are given."""
    if images.ahead:
        yield from _read_ahead(images, parts)
        return
    for part in parts:
        index = part.to(images.device, non_blocking=True)
        yield images.pixels[images.rows[index]], images.labels[index]


def _read_ahead(images: Images, parts: Sequence[Int[Tensor, " _"]]) -> Iterator[Raw]:
    """The same batches while a thread waits for the disk; torch lets go of Python meanwhile."""
    rows, labels, pinned = images.rows.cpu(), images.labels.cpu(), images.device.type == "cuda"

    def read(part: Int[Tensor, " b"]) -> Raw:
        raw = images.pixels.index_select(0, rows[part]), labels[part]
        return (raw[0].pin_memory(), raw[1].pin_memory()) if pinned else raw

    # a thread of its own would take all cores; it shall take as many as its trial
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        waiting: list[Future[Raw]] = [pool.submit(read, part) for part in parts[:AHEAD]]
        try:
            for i in range(len(parts)):
                pixels, classes = waiting.pop(0).result()
                if i + AHEAD < len(parts):
                    waiting.append(pool.submit(read, parts[i + AHEAD]))
                at = images.device
                yield pixels.to(at, non_blocking=True), classes.to(at, non_blocking=True)
        finally:
            for future in waiting:
                future.cancel()
