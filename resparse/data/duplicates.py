"""Which images are there twice, by the digest of their content; 16 bytes of memory an image."""

from collections.abc import Sequence

import numpy as np

DIGEST_BYTES = 16  # of a sha256: among 1.3 million images a false pair has a chance of 2.5e-27


def pairs(digests: bytes | bytearray) -> list[tuple[int, int]]:
    """Numbers (i, j), i < j, of images with equal digests, each with the one before; by j.

    >>> pairs(b"a" * 16 + b"b" * 16 + b"a" * 16 + b"a" * 16)
    [(0, 2), (2, 3)]
    """
    halves = np.frombuffer(bytes(digests), dtype="<u8").reshape(-1, 2)
    order = np.lexsort((halves[:, 1], halves[:, 0]))  # stable: equal ones stay in order
    same = (halves[order[1:]] == halves[order[:-1]]).all(axis=1)
    found = zip(order[:-1][same].tolist(), order[1:][same].tolist(), strict=True)
    return sorted(found, key=lambda pair: pair[1])


def sentences(
    name: str, named: Sequence[tuple[str, str]], remedy: str, *, acceptable: bool
) -> list[str]:
    """One for each pair of names like train/cat/1.jpg.

    ``acceptable``: the published data may have some too, which nothing here can know.
    """
    accept = ", or accept them with --accept-duplicates, which the manifest then says"
    return [
        f"{name}: {second} is the same image as {first}; valid: every image once; {remedy}"
        f"{accept if acceptable else ''}"
        for first, second in named
    ]
