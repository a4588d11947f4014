"""Processes of torch.distributed that go on together, or all end with the same error."""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from torch import distributed

from resparse.errors import ResparseError, RunFailed

WAIT = timedelta(days=1)  # for the slowest; who waits for a process that ended hears so at once
Result = TypeVar("Result")


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def first_here() -> bool:
    """Whether this is its machine's first process: torchrun's LOCAL_RANK is 0.

    Every process that is alone or has no LOCAL_RANK is: twice is slow, never would be wrong.
    """
    return not _together() or os.environ.get("LOCAL_RANK", "0") == "0"


def agreed(work: Callable[[], Result]) -> Result:
    """What ``work`` returns in this process; raises in all the first error that any met in it.

    All must call it. An error that is not ours is RunFailed with its type, where there are others.
    """
    if not _together():
        return work()
    group = distributed.new_group(backend="gloo", timeout=WAIT)  # NCCL's own gives up in 10 minutes
    fault: ResparseError | None = None
    try:
        result = work()
    except ResparseError as error:
        fault = error
    except Exception as error:
        fault = RunFailed(f"{type(error).__name__}: {error}")
    faults: list[ResparseError | None] = [None] * distributed.get_world_size()
    distributed.all_gather_object(faults, fault, group=group)
    distributed.destroy_process_group(group)
    if first := next(filter(None, faults), None):
        raise first
    return result
