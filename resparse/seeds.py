"""Every random draw has a generator of its own, derived from (seed, purpose, ...)."""

import hashlib

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
