"""Which images a step sees, and which of them a process of several takes."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, distributed

from resparse.errors import UsageError
from resparse.seeds import generator


class Share(NamedTuple):
    """Process ``rank`` of ``world``: it takes every world-th image, from its rank on.

    So the processes together see what one alone would see, step by step.
    """

    rank: int = 0
    world: int = 1


WHOLE = Share()


class Step(NamedTuple):
    """One step's images; ``step`` counts from the start of the training."""

    epoch: int
    step: int
    images: Tensor  # (batch size,) int64: numbers of the images of all processes together


def steps(
    size: int, seed: int, batch_size: int, start: int, stop: int, share: Share = WHOLE
) -> Iterator[Step]:
    """Steps start .. stop - 1: each epoch a permutation by (seed, epoch), no incomplete batch.

    Raises UsageError where a batch is larger than the data or has no image for every process.
    """
    if not 0 < batch_size <= size:
        raise UsageError(f"batch size {batch_size} for {size} images; valid: 1 to {size}")
    if batch_size < share.world:
        raise UsageError(
            f"batch size {batch_size} for {share.world} processes; valid: one image each or more"
        )
    per_epoch = size // batch_size
    for epoch in range(start // per_epoch, -(-stop // per_epoch)):
        order = torch.randperm(size, generator=generator(seed, "order", epoch))
        for step in range(max(start, epoch * per_epoch), min(stop, (epoch + 1) * per_epoch)):
            first = (step - epoch * per_epoch) * batch_size
            yield Step(epoch, step, order[first : first + batch_size])


def own_share() -> Share:
    """This process's among those of torch.distributed; WHOLE where there are none."""
    if not _together():
        return WHOLE
    return Share(distributed.get_rank(), distributed.get_world_size())


def over_processes(*counts: int) -> list[int]:
    """Each count summed over the processes of torch.distributed; as it is where there are none.

    Integers: correct and seen images of an evaluation add up exactly, at any number of processes.
    """
    summed = torch.tensor(counts, dtype=torch.int64)
    if _together():
        if distributed.get_backend() == "nccl":
            summed = summed.cuda()
        distributed.all_reduce(summed)
    return [int(count) for count in summed]


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def mine(rows: Tensor, share: Share) -> Tensor:
    """This process's of all processes' rows; over all processes every row exactly once."""
    return rows[share.rank :: share.world]
