"""Where runs of one machine go: each to GPUs of its own as long as there are, or to its cores."""

import os
from collections.abc import Sequence

from resparse.errors import Missing
from resparse.how import How


def gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return [str(n) for n in range(count)] if given is None else given.split(",")[:count]


def slots(how: How) -> list[str]:
    """GPUs of one run each, as CUDA_VISIBLE_DEVICES names them; one slot of none on a CPU.

    Raises Missing where a run asks for more GPUs than there are.
    """
    if not how.on_gpu:
        return [""]
    found, each = gpus(), how.world
    if len(found) < each:
        raise Missing(f"{each} GPUs a run, and {len(found)} here; valid: --gpus {len(found)}")
    whole = range(0, len(found) - each + 1, each)
    return [",".join(found[at : at + each]) for at in whole]


def at_once(how: How) -> int:
    """Runs that go on side by side where nobody says how many: one a slot, or all cores' worth."""
    if how.on_gpu:
        return len(slots(how))
    return max(1, len(os.sched_getaffinity(0)) // (how.threads * how.world))


def emptiest(where: Sequence[str], taken: Sequence[str]) -> str:
    """The slot of ``where`` that the fewest runs have taken; the first of several.

    >>> emptiest(["0,1", "2,3"], ["0,1"]), emptiest(["0", "1"], ["1", "0"])
    ('2,3', '0')
    """
    return min(where, key=list(taken).count)
