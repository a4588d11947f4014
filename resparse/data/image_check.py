"""Every image of class folders hashed, then decoded; what is not whole or there twice is named.

Two passes. Which images are there twice shows in the hashes alone, and ImageNet has such images:
so it is said after reading all once, not after decoding all, which takes hours. 16 bytes are held
for each image; all else streams.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from resparse.data import class_folders, decoding, duplicates, image_list
from resparse.data.decoding import Pace
from resparse.data.prepare import raise_all
from resparse.errors import Corrupt
from resparse.files import writing

REMEDY = "restore it from the original archives"
FAULTS = 1000  # sentences kept: a folder of another dataset would make a million
Pair = tuple[str, str]  # of names <split>/<wnid>/<file>


class Read(NamedTuple):
    """What decoding all images showed."""

    modes: Counter[str]  # colour mode -> images
    images_per_s: float


class _Faults:
    """The first FAULTS sentences about images that are not whole."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, path: Path, fault: str) -> None:
        if fault and len(self.said) < FAULTS:
            self.said.append(f"{path} {fault}; valid: a whole JPEG; {REMEDY}")


def hash_images(
    root: Path, counts: Mapping[str, int], lists: Path, workers: int | None
) -> list[Pair]:
    """Write lists/<split>.sha256 of root/<split>; the pairs of names that are the same image.

    ``counts``: images by split. Raises Corrupt naming all that cannot be read, and those of the
    pairs that cannot be decoded: empty files are equal, but not there twice.
    """
    faults, digests, pace = _Faults(), bytearray(), Pace(sum(counts.values()))
    paths = [lists / f"{split}.sha256" for split in counts]
    for path in paths:
        folder = root / path.stem
        images = decoding.hash_all(folder, class_folders.images(folder), workers)
        with writing(path), path.open("w") as file:
            for image in images:
                pace.step(f"{path.stem}, hashing")
                faults.note(folder / image.name, image.fault)
                digests += bytes.fromhex(image.sha256)[: duplicates.DIGEST_BYTES]
                file.write(image_list.line(image.sha256, image.name))
    raise_all(faults.said)
    pairs = image_list.names(duplicates.pairs(digests), paths)
    for name in dict.fromkeys(chain.from_iterable(pairs)):
        faults.note(root / name, decoding.decode_file(root, name).fault)
    raise_all(faults.said)
    return pairs


def require_distinct(pairs: Iterable[Pair]) -> None:
    """Raise Corrupt naming every pair: which they are decides whether they are acceptable."""
    said = duplicates.sentences("imagenet", list(pairs), REMEDY, acceptable=True)
    more = len(said) - FAULTS
    if said:
        raise Corrupt("\n".join([*islice(said, FAULTS), *[f"and {more:,} more"] * (more > 0)]))


def decode_images(root: Path, counts: Mapping[str, int], lists: Path, workers: int | None) -> Read:
    """Decode what lists/<split>.sha256 name; raises Corrupt with all that are not whole, or are
    others than they were when they were hashed.
    """
    faults, modes, pace = _Faults(), Counter[str](), Pace(sum(counts.values()))
    for split in counts:
        folder, path = root / split, lists / f"{split}.sha256"
        names = (name for _, name in image_list.entries(path))
        images = decoding.decode_all(folder, names, workers)
        for image, (sha256, _) in zip(images, image_list.entries(path), strict=True):
            pace.step(f"{split}, decoding")
            other = "was changed while it was checked" if image.sha256 != sha256 else ""
            faults.note(folder / image.name, image.fault or other)
            modes[image.mode] += 1
    raise_all(faults.said)
    return Read(modes, pace.per_s())
