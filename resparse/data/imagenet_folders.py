"""ImageNet-1k as class folders: checked whole, its hashes kept, its fast format made from it.

16 bytes are held for each image, so that duplicates are seen; all else streams.
"""

import contextlib
import dataclasses
import itertools
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resparse.data import class_folders, counts, decoding, duplicates, manifest, places
from resparse.data.imagenet import MEAN, SHAPE, STD, TEST, TRAIN
from resparse.data.manifest import Manifest
from resparse.data.prepare import decoder, raise_all
from resparse.errors import Missing, ResparseError
from resparse.files import file_sha256, writing

REMEDY = "restore it from the original archives"
FAULTS = 1000  # sentences kept: a folder of another dataset would make a million


@dataclasses.dataclass(frozen=True)
class Expected:
    """Counts of ILSVRC 2012: 732 to 1,300 training images a class, 50 to validate."""

    classes: int = SHAPE.classes
    per_class: Mapping[str, counts.Span] = dataclasses.field(
        default_factory=lambda: {"train": (732, 1300), "val": (50, 50)}
    )
    images: Mapping[str, int] = dataclasses.field(
        default_factory=lambda: {"train": TRAIN, "val": TEST}
    )


def prepare(
    root: Path,
    folder: Path,
    *,
    workers: int | None = None,
    accept_duplicates: bool = False,
    expected: Expected | None = None,
) -> dict[str, Any]:
    """Check root/{train,val}, keep every file's sha256 and write the fast format to ``folder``."""
    try:
        said = manifest.read(folder, "imagenet")
        manifest.check_files(folder, said)
        return _report(said, folder, "already prepared and intact", {})
    except ResparseError as error:
        why = str(error)
    found = _scan(root, expected or Expected())
    with places.replacing(folder, 200_000_000) as aside:  # the hashes; the fast format asks itself
        pairs, modes = _check(root, found, aside, workers, accept_duplicates)
        files = [aside / f"{split}.sha256" for split in found]
        files += write_fast_format(root, aside)
        made = _manifest(found, files, pairs)
        manifest.write(aside, made)
    return _report(made, folder, "prepared", modes) | {"because": why}


def write_fast_format(root: Path, folder: Path) -> list[Path]:
    """The files that the FFCV writer makes of root/{train,val} in ``folder``: here it is called."""
    return []


def verify(
    root: Path,
    folder: Path,
    *,
    workers: int | None = None,
    accept_duplicates: bool = False,
    expected: Expected | None = None,
) -> dict[str, Any]:
    """Decode every image again and, where it was prepared, hold it against the kept hashes."""
    said = None
    with contextlib.suppress(Missing):
        said = manifest.read(folder, "imagenet")
    found = _scan(root, expected or Expected())
    if said is not None:
        manifest.check_files(folder, said)
    accept_duplicates = accept_duplicates or (said is not None and bool(said.duplicates))
    with tempfile.TemporaryDirectory() as name:
        lists = Path(name)
        pairs, modes = _check(root, found, lists, workers, accept_duplicates)
        for split in found if said is not None else ():
            raise_all(_changes(root / split, folder / f"{split}.sha256", lists / f"{split}.sha256"))
        made = said or _manifest(found, [lists / f"{split}.sha256" for split in found], pairs)
    return _report(made, folder, "whole" if said is None else "intact", modes)


def _report(made: Manifest, folder: Path, did: str, modes: Mapping[str, int]) -> dict[str, Any]:
    plain = {"did": did, "folder": str(folder), "modes": dict(modes)}
    return plain | made.model_dump(by_alias=True)


def _scan(root: Path, expected: Expected) -> dict[str, dict[str, int]]:
    """Images by wnid and split; raises Corrupt with all that is wrong with names and counts."""
    found, said = {}, []
    for split in ("train", "val"):
        found[split], wrong = class_folders.scan(root / split)
        said += wrong
    raise_all(said)
    per_class, classes = expected.per_class, expected.classes
    raise_all(counts.problems("imagenet", found, per_class, classes, REMEDY))
    for split, images in expected.images.items():
        if (total := sum(found[split].values())) != images:
            said.append(f"{root / split} has {total:,} images; valid: {images:,}; {REMEDY}")
    raise_all(said)
    return found


def _check(
    root: Path,
    found: Mapping[str, Mapping[str, int]],
    lists: Path,
    workers: int | None,
    accept_duplicates: bool,
) -> tuple[list[tuple[str, str]], Counter[str]]:
    """Decode all; write lists/<split>.sha256; the pairs of equal images, and how modes occur."""
    said: list[str] = []
    modes: Counter[str] = Counter()
    digests = bytearray()
    for split, classes in found.items():
        folder, path = root / split, lists / f"{split}.sha256"
        pace = decoding.Pace(split, sum(classes.values()))
        names = class_folders.images(folder)
        with writing(path), path.open("w") as file:
            for done, image in enumerate(decoding.decode_all(folder, names, workers), start=1):
                pace.at(done)
                if image.fault and len(said) < FAULTS:
                    sentence = f"{folder / image.name} {image.fault}; valid: a whole JPEG; {REMEDY}"
                    said.append(sentence)
                modes[image.mode] += 1
                digests += bytes.fromhex(image.sha256 or "00" * 32)[: duplicates.DIGEST_BYTES]
                file.write(f"{image.sha256}  {image.name}\n")  # as sha256sum --check reads it
    raise_all(said)
    pairs = _named(duplicates.pairs(digests), [lists / f"{split}.sha256" for split in found])
    if not accept_duplicates:
        raise_all(duplicates.sentences("imagenet", pairs, REMEDY))
    return pairs, modes


def _named(pairs: list[tuple[int, int]], lists: list[Path]) -> list[tuple[str, str]]:
    """The pairs as <split>/<wnid>/<file>, found by line number in the lists of hashes."""
    wanted = set(itertools.chain.from_iterable(pairs))
    names: dict[int, str] = {}
    number = 0
    for path in lists:
        with path.open() as file:
            for line in file:
                if number in wanted:
                    names[number] = f"{path.stem}/{line[66:].rstrip()}"
                number += 1
    return [(names[i], names[j]) for i, j in pairs]


def _changes(folder: Path, kept: Path, today: Path) -> list[str]:
    """A sentence for each of the first images that are not what they were when prepared."""
    said = []
    with kept.open() as before, today.open() as after:
        for old, new in itertools.zip_longest(before, after, fillvalue=" " * 66 + "\n"):
            if old[66:] != new[66:]:
                said.append(f"{folder} has other files than when it was prepared: {REMEDY}")
                break
            if old != new:
                name = folder / new[66:].rstrip()
                said.append(f"{name} was changed after it was prepared; valid: sha256 {old[:64]}")
            if len(said) == FAULTS:
                break
    return said


def _manifest(
    found: Mapping[str, Mapping[str, int]], files: list[Path], pairs: list[tuple[str, str]]
) -> Manifest:
    return Manifest(
        name="imagenet",
        sources={file.name: file_sha256(file) for file in files[: len(found)]},
        files={
            file.name: manifest.Written(bytes=file.stat().st_size, sha256=file_sha256(file))
            for file in files
        },
        classes=sorted(found["train"]),
        images_per_class={
            split: [classes[wnid] for wnid in sorted(classes)] for split, classes in found.items()
        },
        image_shape=list(SHAPE.image_shape),
        mean=[255 * value for value in MEAN],
        std=[255 * value for value in STD],
        statistics="the constants of torchvision's reference training, times 255",
        decoder=decoder(),
        duplicates=[list(pair) for pair in pairs],
    )
