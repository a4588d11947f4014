"""Every random draw has a generator of its own, derived from (seed, purpose, ...)."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, *purpose: object) -> int:
    """A 63-bit seed that depends on all arguments.

    >>> derive(0, "data", 1) == derive(0, "data", 1), derive(0, "data", 1) == derive(0, "mask", 1)
    (True, False)
    """
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: object) -> torch.Generator:
    """A CPU generator seeded with ``derive``."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The CPU's global random stream, from ``seed`` on inside and as it was afterwards.

    For what takes no generator. ``torch.manual_seed`` would seed the GPUs' too, and leave them so.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
