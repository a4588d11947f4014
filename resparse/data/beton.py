"""FFCV's file format .beton: what lies where in it, and whether a file is whole.

FFCV itself opens what a killed writer left and decodes whatever lies there. Here a file is used
only with the manifest that its writer put beside it last, <file>.json, and as that says it is.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from resparse.data import stored
from resparse.data.agreement import agreed, first_here
from resparse.data.stored import Stored
from resparse.errors import Corrupt, Missing
from resparse.files import file_sha256
from resparse.reading import Table

SCHEMA, VERSION = 2, 2  # of the manifest; of FFCV's format
PAGE = 1 << 26  # bytes, of what our writer makes; an image does not cross a page's end
JPG, RAW = 0, 1
FIELDS = ((2, b"image"), (1, b"label"))  # FFCV's type numbers: RGB image, integer
HEADER = np.dtype(
    [("version", "<u2"), ("fields", "<u2"), ("page", "<u4"), ("samples", "<u8"), ("table", "<u8")],
    align=True,
)
FIELD = np.dtype([("type", "u1"), ("name", "S16"), ("arguments", "u1", 1024)])
IMAGE = np.dtype([("mode", "u1"), ("width", "<u2"), ("height", "<u2"), ("pointer", "<u8")])
SAMPLE = np.dtype([("image", IMAGE), ("label", "<i8")], align=True)
PLACE = np.dtype([("sample", "<u8"), ("pointer", "<u8"), ("size", "<u8")])
SAMPLES_AT = HEADER.itemsize + len(FIELDS) * FIELD.itemsize
Array = NDArray[Any]


class Settings(Table):
    """How images are written: they decide the pixels, so they are part of the dataset's hash."""

    mode: Literal["jpg", "raw", "proportion"] = "jpg"
    max_resolution: int | None = Field(default=500, ge=1)  # pixels of the longer side; None: all
    quality: int = Field(default=90, ge=1, le=100)  # of the JPEGs
    proportion: float = Field(default=0.5, ge=0, le=1)  # JPEGs in mode "proportion", the rest raw


class Sidecar(Stored):
    """The manifest of one .beton."""

    schema_: int = Field(default=SCHEMA, alias="schema")
    settings: Settings
    samples: int = Field(ge=1)
    classes: list[str]  # by label
    bytes: int
    sha256: str
    dataset_sha256: str  # of the list of images, as sha256sum prints it
    encoder: str  # what decoded, resized and encoded them


class Beton(NamedTuple):
    """A file that is whole: SAMPLE by number, and the bytes of each image."""

    path: Path
    sidecar: Sidecar
    samples: Array
    sizes: Array


def sidecar_of(path: Path) -> Path:
    """Where the manifest of a .beton lies."""
    return path.with_name(f"{path.name}.json")


def write_sidecar(path: Path, sidecar: Sidecar) -> None:
    """Atomic; sealed, see stored.py; the last thing that a writer does."""
    stored.write(sidecar_of(path), sidecar)


def read_sidecar(path: Path) -> Sidecar:
    """Raises Missing where a .beton has no manifest, Corrupt where that is not one."""
    beside = sidecar_of(path)
    if not beside.is_file():
        raise Missing(f"{beside} is missing, so {path.name} is not used; write it again")
    return stored.read(Sidecar, beside, SCHEMA, f"write {path.name} again")


def read(path: Path) -> Beton:
    """A .beton that is what its manifest says, to the last bit; else Missing or Corrupt."""
    found = outline(path)
    if (sha256 := file_sha256(path)) != found.sidecar.sha256:
        raise Corrupt(
            f"{path} was changed after it was written: sha256 {sha256}; valid: "
            f"{found.sidecar.sha256}; write it again"
        )
    return found


def read_together(paths: Iterable[Path]) -> list[Beton]:
    """Each ``read``, by all processes of torch.distributed: the first of each machine hashes, the
    others wait for it, and what any of them raises all raise.

    Hashing takes a minute or more for 100 GB, at each start: a file that was changed is found
    before it is trained on.
    """
    one = read if first_here() else outline
    return agreed(lambda: [one(path) for path in paths])


def outline(path: Path) -> Beton:
    """``read`` but for the sha256: for a file whose bytes were hashed just now."""
    said = read_sidecar(path)
    if not path.is_file():
        raise Missing(f"{path} is missing, and its manifest is there; write it again")
    if (size := path.stat().st_size) != said.bytes:
        raise Corrupt(f"{path} has {size:,} bytes; valid: {said.bytes:,}; write it again")
    return Beton(path, said, *structure(path, said.samples, len(said.classes)))


def structure(path: Path, samples: int, classes: int) -> tuple[Array, Array]:
    """SAMPLE by number and bytes of each image; raises Corrupt naming what does not fit."""
    size = path.stat().st_size
    least = SAMPLES_AT + samples * (SAMPLE.itemsize + PLACE.itemsize)
    if size < least:
        raise Corrupt(
            f"{path} has {size:,} bytes; valid: at least {least:,} for {samples:,} samples; "
            "write it again"
        )
    header = np.fromfile(path, HEADER, 1)[0]
    found = np.fromfile(path, FIELD, len(FIELDS), offset=HEADER.itemsize)
    fields = tuple((int(kind), bytes(name)) for kind, name in found[["type", "name"]])
    table = int(header["table"])
    for what, is_now, valid in (
        ("version", int(header["version"]), VERSION),
        ("fields", fields if header["fields"] == len(FIELDS) else int(header["fields"]), FIELDS),
        ("page size", int(header["page"]), PAGE),
        ("samples", int(header["samples"]), samples),
        ("the end of its allocation table", table + samples * PLACE.itemsize, size),
    ):
        if is_now != valid:
            raise Corrupt(f"{path}: {what}: {is_now}; valid: {valid}; write it again")
    read = np.fromfile(path, SAMPLE, samples, offset=SAMPLES_AT)
    places = np.sort(np.fromfile(path, PLACE, offset=table), order="sample")
    _check_places(path, read, places, table, classes)
    return read, places["size"].astype(np.int64)


def _check_places(path: Path, samples: Array, places: Array, table: int, classes: int) -> None:
    """Raise Corrupt at the first sample that is not where, or not what, it should be."""
    image, pointer, sizes = samples["image"], places["pointer"], places["size"]
    pixels = 3 * image["height"].astype(np.uint64) * image["width"].astype(np.uint64)
    order = np.argsort(pointer)
    free = np.empty(len(samples), np.uint64)  # where each image may end
    free[order] = np.append(pointer[order][1:], np.uint64(table))
    for what, right in (
        ("is not in the allocation table", places["sample"] == np.arange(len(samples))),
        ("lies elsewhere than the allocation table says", image["pointer"] == pointer),
        ("begins before the data", pointer >= SAMPLES_AT + samples.nbytes),
        # not pointer + sizes <= free: in 64 bits that sum begins again at 0
        ("runs into what follows", (pointer <= free) & (sizes <= free - pointer) & (sizes > 0)),
        ("has an unknown mode or no pixels", (image["mode"] <= RAW) & (pixels > 0)),
        ("has not the bytes of its size", (image["mode"] == JPG) | (sizes == pixels)),
        ("has no valid label", (samples["label"] >= 0) & (samples["label"] < classes)),
    ):
        if not right.all():
            raise Corrupt(f"{path}: sample {int(np.argmin(right))} {what}; write it again")
