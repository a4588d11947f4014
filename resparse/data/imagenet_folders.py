"""ImageNet-1k as class folders: checked whole, its hashes kept, its fast format made from it."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resparse.data import (
    beton,
    beton_size,
    beton_writer,
    class_folders,
    counts,
    image_check,
    image_list,
    manifest,
    places,
)
from resparse.data.beton import Settings, read_sidecar, sidecar_of
from resparse.data.ffcv_kernel import require_ffcv
from resparse.data.folder import MEAN, STD
from resparse.data.image_check import REMEDY, Read
from resparse.data.imagenet import BETONS, LISTS, PREPARE, SHAPE, SPANS, TEST, TRAIN, loader
from resparse.data.jpeg import decoder
from resparse.data.manifest import Manifest
from resparse.data.prepare import raise_all
from resparse.errors import Corrupt, Missing, ResparseError
from resparse.files import file_sha256

NAMED = (
    "already prepared: every image has its kept name, their contents were not read (resparse data "
    "verify imagenet does)"
)
LINE_BYTES = 150  # of an image in the lists


@dataclasses.dataclass(frozen=True)
class Expected:
    """Counts of ILSVRC 2012: 732 to 1,300 training images a class, 50 to validate."""

    classes: int = SHAPE.classes
    per_class: Mapping[str, counts.Span] = dataclasses.field(default_factory=lambda: dict(SPANS))
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
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Check root/{train,val}, keep every file's sha256 and write the fast format to ``folder``.

    The fast format is that of the loader that RESPARSE_LOADER names: torch's are the folders.
    """
    settings, fast = settings or Settings(), loader() == "ffcv"
    if fast:
        require_ffcv()
    try:
        said = manifest.read(folder, "imagenet")
        manifest.check_files(folder, said, {*LISTS, *(BETONS if fast else ())})
        _require_settings(folder, settings)
        if not fast:  # FFCV's files hold all that it reads, and were hashed just now
            _require_names(root, folder)
        return _report(said, folder, "already prepared and intact" if fast else NAMED)
    except ResparseError as error:
        why = str(error)
    found = _scan(root, expected or Expected())
    counted = {split: sum(classes.values()) for split, classes in found.items()}
    with places.replacing(folder, _need_bytes(root, counted, settings)) as aside:
        pairs = image_check.hash_images(root, counted, aside, workers)
        if not accept_duplicates:
            image_check.require_distinct(pairs)
        read = image_check.decode_images(root, counted, aside, workers)
        files = [aside / f"{split}.sha256" for split in found]
        files += write_fast_format(root, aside, settings, workers)
        made = _manifest(found, files, pairs)
        _check_fast_format(aside, made)
        manifest.write(aside, made)
    return _report(made, folder, "prepared", read) | {"because": why}


def _need_bytes(root: Path, counted: Mapping[str, int], settings: Settings) -> int:
    """Of the lists and of the fast format, see beton_size; a full disk is seen then too."""
    lists = LINE_BYTES * sum(counted.values())
    if loader() != "ffcv":
        return lists
    folders = [root / split for split in counted]
    names = (folder / name for folder in folders for name in class_folders.images(folder))
    source_bytes = sum(path.stat().st_size for path in names)
    return lists + beton_size.expected_bytes(settings, sum(counted.values()), source_bytes)


def write_fast_format(
    root: Path, folder: Path, settings: Settings, workers: int | None = None
) -> list[Path]:
    """root/{train,val} as .beton files with their manifests in ``folder``; none for torch."""
    if loader() != "ffcv":
        return []
    files = []
    for name in BETONS:
        beton_writer.write(root / Path(name).stem, folder / name, settings, workers=workers)
        files += [folder / name, sidecar_of(folder / name)]
    return files


def _check_fast_format(folder: Path, said: Manifest) -> None:
    """Raise Corrupt where a .beton is not whole, or not of the images that were checked.

    Their bytes were hashed just now.
    """
    for name in (name for name in BETONS if name in said.files):
        found, listed = beton.outline(folder / name), f"{Path(name).stem}.sha256"
        if found.sidecar.dataset_sha256 != said.files[listed].sha256:
            raise Corrupt(
                f"{folder / name} was made from other images than {listed} lists: the folder was "
                f"changed meanwhile, or the file swapped; run {PREPARE}"
            )


def _require_settings(folder: Path, settings: Settings) -> None:
    """Raise Corrupt where the fast format was written otherwise."""
    for name in BETONS if loader() == "ffcv" else ():
        if (found := read_sidecar(folder / name).settings) != settings:
            raise Corrupt(f"{folder / name} was written as {found}; valid: {settings}")


def _require_names(root: Path, folder: Path) -> None:
    """Raise Corrupt or Missing where the images' names are not the kept ones."""
    for split in ("train", "val"):
        names = class_folders.images(root / split)
        image_list.digests(root / split, names, folder / f"{split}.sha256", REMEDY)


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
        manifest.check_files(folder, said, {*LISTS, *(BETONS if loader() == "ffcv" else ())})
        _check_fast_format(folder, said)
    accept_duplicates = accept_duplicates or (said is not None and bool(said.duplicates))
    counted = {split: sum(classes.values()) for split, classes in found.items()}
    with tempfile.TemporaryDirectory() as name:
        lists = Path(name)
        pairs = image_check.hash_images(root, counted, lists, workers)
        files = [lists / f"{split}.sha256" for split in found]
        for file in files if said is not None else ():
            raise_all(image_list.changes(root / file.stem, folder / file.name, file, REMEDY))
        if not accept_duplicates:
            image_check.require_distinct(pairs)
        read = image_check.decode_images(root, counted, lists, workers)
        made = said or _manifest(found, files, pairs)
    return _report(made, folder, "whole, not prepared" if said is None else "intact", read)


def _report(made: Manifest, folder: Path, did: str, read: Read | None = None) -> dict[str, Any]:
    report = {"did": did, "folder": str(folder), **made.model_dump(by_alias=True)}
    if read is not None:
        report["modes"] = dict(read.modes)
        report["images_per_s"] = round(read.images_per_s, 1)
    return report


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
        unchecked="no checksums of ImageNet's single images are published to hold them against",
    )
