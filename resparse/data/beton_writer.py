"""Class folders -> a .beton: the same bytes whatever the number of processes, or nothing.

FFCV's own writer waits for ever where an image cannot be read, draws "proportion" from an unseeded
generator, and orders the images by which process was faster. The resizing and encoding are its:
OpenCV's area interpolation and JPEG.
"""

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from resparse.data import beton, class_folders, decoding, image_list
from resparse.data.beton import (
    FIELD,
    FIELDS,
    HEADER,
    JPG,
    PLACE,
    RAW,
    SAMPLE,
    SAMPLES_AT,
    VERSION,
    Array,
    Beton,
    Settings,
    Sidecar,
    sidecar_of,
    structure,
    write_sidecar,
)
from resparse.data.ffcv_kernel import require_ffcv
from resparse.data.ffcv_loader import require_decodes
from resparse.data.jpeg import decode, decoder
from resparse.errors import Corrupt, Missing, UsageError
from resparse.files import file_sha256, sync_folder, writing

CHUNK = 8  # images a task: they come back through a pipe
FAULTS = 20  # sentences about images


class Encoded(NamedTuple):
    """One image as it is stored, or what is wrong with its file."""

    name: str
    sha256: str  # of the file that it was made from
    mode: int
    height: int
    width: int
    data: bytes
    fault: str


def encode(folder: Path, settings: Settings, names: list[str]) -> list[Encoded]:
    """The work of one task: read, decode, shrink, encode."""
    return [_encode(folder / name, name, settings) for name in names]


def _encode(path: Path, name: str, settings: Settings) -> Encoded:
    import cv2

    cv2.setNumThreads(1)  # there is a process for each core
    digest = ""
    try:
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        pixels = np.asarray(decode(data)[0])  # (H, W, 3)
    except (OSError, ValueError) as error:
        said = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
        return Encoded(name, digest, 0, 0, 0, b"", said)
    share = (settings.max_resolution or max(pixels.shape)) / max(pixels.shape)
    if share < 1:
        size = tuple(max(1, int(share * side)) for side in (pixels.shape[1], pixels.shape[0]))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    height, width = pixels.shape[:2]
    if settings.mode == "jpg" or (
        settings.mode == "proportion" and int(digest[:8], 16) < settings.proportion * 2**32
    ):
        quality = [int(cv2.IMWRITE_JPEG_QUALITY), settings.quality]
        coded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)[1]
        return Encoded(name, digest, JPG, height, width, coded.tobytes(), "")
    return Encoded(name, digest, RAW, height, width, pixels.tobytes(), "")


def write(folder: Path, path: Path, settings: Settings, *, workers: int | None = None) -> Sidecar:
    """Write folder/<wnid>/*.JPEG to ``path``, check and decode all, then write the manifest.

    Killed anywhere, it leaves nothing that is used. Raises Corrupt naming the files that are not
    whole JPEGs, Missing where nothing can be written.
    """
    require_ffcv()
    classes = sorted({name.split("/")[0] for name in class_folders.images(folder)})
    count = sum(1 for _ in class_folders.images(folder))
    if not count:
        raise Missing(f"{folder} has no images; valid: <wnid>/*.JPEG")
    with _aside(path) as (aside, file):
        work = partial(encode, folder, settings)
        names = class_folders.images(folder)
        images = decoding.in_order(work, names, workers, f"encodes {folder}", CHUNK)
        listed = _write(file, folder, images, count, classes)
        samples, sizes = structure(aside, count, len(classes))
        made = Sidecar(
            settings=settings,
            samples=count,
            classes=classes,
            bytes=aside.stat().st_size,
            sha256=file_sha256(aside),
            dataset_sha256=listed,
            encoder=f"{decoder()}, OpenCV {version('opencv-python')}",
        )
        require_decodes(Beton(aside, made, samples, sizes), workers)
        sidecar_of(path).unlink(missing_ok=True)  # an older file's is not this one's
        aside.rename(path)
        sync_folder(path.parent)
        write_sidecar(path, made)
    return made


@contextlib.contextmanager
def _aside(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """An empty file beside ``path``, held by this process alone, deleted if it is still there."""
    aside = path.with_name(f".{path.name}.tmp")
    with writing(path), aside.open("ab") as held:
        if not _lock(held, aside):
            raise Missing(f"{path} is being written by another process: wait or stop it")
        held.truncate(0)
        try:
            with aside.open("r+b") as file:
                yield aside, file
        finally:
            aside.unlink(missing_ok=True)


def _lock(held: BinaryIO, aside: Path) -> bool:
    """Whether this process alone has the file that is there now, not one that was moved away."""
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(held.fileno()), aside.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _write(
    file: BinaryIO, folder: Path, images: Iterator[Encoded], count: int, classes: list[str]
) -> str:
    """All but the header first, then that: until then FFCV itself refuses the file.

    Returns the sha256 of the list of images.
    """
    labels = {name: label for label, name in enumerate(classes)}
    samples, places = np.zeros(count, SAMPLE), np.zeros(count, PLACE)
    at = -(-(SAMPLES_AT + samples.nbytes) // beton.PAGE) * beton.PAGE
    listed, said, number = hashlib.sha256(), [], -1
    for number, image in enumerate(images):
        if image.fault or number >= count:
            fault = image.fault or "is new: the folder was changed"
            said.append(f"{folder / image.name} {fault}; valid: a whole JPEG")
            if len(said) == FAULTS:
                break
            continue
        at = _place(at, image, folder)
        file.seek(at)
        file.write(image.data)
        pixels = (image.mode, image.width, image.height, at)
        samples[number] = (pixels, labels[image.name.split("/")[0]])
        places[number] = (number, at, len(image.data))
        listed.update(image_list.line(image.sha256, image.name).encode())
        at += len(image.data)
    if said:
        raise Corrupt("\n".join(said))
    if number + 1 != count:
        raise Corrupt(f"{folder} was changed while it was read: {number + 1} of {count} images")
    _finish(file, samples, places, at)
    return listed.hexdigest()


def _place(at: int, image: Encoded, folder: Path) -> int:
    """Where the image goes: at once, or where it would cross a page's end in the next page."""
    size = len(image.data)
    if size > beton.PAGE:
        raise UsageError(
            f"{folder / image.name} is {image.width} x {image.height} pixels, too many for a page "
            f"of {beton.PAGE:,} bytes; give max_resolution or mode jpg"
        )
    left = -at % beton.PAGE  # 0 at the start of a page
    return at + left if 0 < left < size else at


def _finish(file: BinaryIO, samples: Array, places: Array, end: int) -> None:
    """Allocation table and samples reach the disk before the header that points to them."""
    fields = np.zeros(len(FIELDS), FIELD)
    for field, (kind, name) in zip(fields, FIELDS, strict=True):
        field["type"], field["name"] = kind, name
    file.seek(end)
    file.write(places.tobytes())
    file.seek(HEADER.itemsize)
    file.write(fields.tobytes() + samples.tobytes())
    file.flush()
    os.fsync(file.fileno())
    header = np.array([(VERSION, len(FIELDS), beton.PAGE, len(samples), end)], HEADER)
    file.seek(0)
    file.write(header.tobytes())
    file.flush()
    os.fsync(file.fileno())
