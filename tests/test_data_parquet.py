"""CIFAR-10 of JPEGs: the small one with each fault planted, and the real one where it is."""

import io
import os
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import torch
from PIL import Image
from pyarrow import parquet
from small_data import PER_CLASS, jpeg, parquet_file, parquet_rows, parquet_spec, write_rows

from resparse.data import prepare, tensors
from resparse.data.cifar_jpeg import CIFAR10_JPEG75, CLASSES
from resparse.errors import Corrupt, Missing

REAL = Path(os.environ.get("RESPARSE_DATA", "/nonexistent"))
NEEDS_REAL = pytest.mark.skipif(
    not (REAL / "cifar10-jpeg" / "train.parquet").is_file(),
    reason="no cifar10-jpeg/train.parquet in RESPARSE_DATA",
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "prepared" / "cifar10_jpeg75"


def made(tmp_path, folder, rows, **how):
    spec = parquet_spec(tmp_path, rows)
    return prepare.prepare(spec, tmp_path, folder, **how)[0]


def test_pixels_are_those_of_pillow(tmp_path, folder):
    rows = parquet_rows()
    said = made(tmp_path, folder, rows)
    images, labels = tensors.read(folder / "train.safetensors")
    assert labels.tolist() == list(range(10)) * 4
    for row, image in zip(rows["train"], images, strict=True):
        expected = np.asarray(Image.open(io.BytesIO(row["image"])))
        assert np.array_equal(image.permute(1, 2, 0).numpy(), expected)
    assert said.classes == CLASSES
    assert said.decoder.startswith("Pillow ")


def damaged(at=7, split="train", **values):
    rows = parquet_rows()
    rows[split][at] |= values
    return rows


SWAPPED = {"train": PER_CLASS["test"], "test": PER_CLASS["train"]}
GOOD = jpeg(500, (32, 32))
SEVENTH = r"cifar10-jpeg/train.parquet: train/horse/0000.jpg"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (damaged(image=GOOD[: len(GOOD) // 2]), rf"{SEVENTH} is truncated: .*; valid: a JPEG; ma"),
        (damaged(image=b"\0" * 900), rf"{SEVENTH} cannot be decoded: "),
        (damaged(image=b""), rf"{SEVENTH} is empty; valid: a JPEG"),
        (damaged(image=b"<html>"), rf"{SEVENTH} is an HTML page, not an image"),
        (damaged(image=jpeg(5, (33, 32))), rf"{SEVENTH} is 33x32 RGB; valid: 32x32 RGB; make"),
        (damaged(image=jpeg(5, (32, 32), "L")), rf"{SEVENTH} is 32x32 L; valid: 32x32 RGB; make"),
        (damaged(image=jpeg(5, (32, 32), "CMYK")), rf"{SEVENTH} is 32x32 CMYK; valid: 32x32 RGB"),
        (damaged(label=8), "class horse has 3 images in train; valid: 4; .*\n.*ship has 5"),
        (damaged(label=10), "has 11 classes; valid: 10"),
        (parquet_rows(SWAPPED), r"train and test are swapped \(20 in train and 40 in test im"),
    ],
    ids=["truncated", "undecodable", "empty", "html", "size", "grey", "cmyk", "label",
         "unknown label", "swapped"],
)  # fmt: skip
def test_a_fault_is_named_and_nothing_is_written(tmp_path, folder, rows, said):
    with pytest.raises(Corrupt, match=said):
        made(tmp_path, folder, rows)
    assert not folder.exists()


def test_images_that_are_not_the_published_ones_are_refused(tmp_path, folder):
    spec = parquet_spec(tmp_path, parquet_rows())
    parquet_spec(tmp_path, damaged(image=GOOD))
    with pytest.raises(Corrupt, match=r"cifar10-jpeg holds other images: digest \w{64}; valid: "):
        prepare.prepare(spec, tmp_path, folder)
    assert not folder.exists()


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_same_image_twice_is_named_by_both_its_names(tmp_path, folder, split):
    spec = parquet_spec(tmp_path, parquet_rows())
    rows = damaged(11, split, image=parquet_rows()["train"][3]["image"])
    parquet_spec(tmp_path, rows)
    first, second = "train: train/cat/0000.jpg", f"{split}: {split}/automobile/0001.jpg"
    with pytest.raises(Corrupt, match=f"{second} is the same image as {first}; valid: every image"):
        prepare.prepare(spec, tmp_path, folder)
    with pytest.raises(Corrupt, match=f"{second} is the same .* again$"):  # nothing to accept
        prepare.prepare(spec, tmp_path, folder, accept_duplicates=True)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:5000]), r"is not a whole Parquet file \("),
        (lambda p: p.write_bytes(b"<!DOCTYPE html><html>"), "is an HTML page, not a Parquet file"),
        (lambda p: p.write_bytes(b""), r"is not a whole Parquet file \("),
    ],
    ids=["partial", "html", "empty"],
)
def test_a_file_that_is_no_parquet_is_named(tmp_path, folder, damage, said):
    spec = parquet_spec(tmp_path, parquet_rows())
    damage(parquet_file(tmp_path, "test"))
    with pytest.raises(Corrupt, match=f"cifar10-jpeg/test.parquet {said}"):
        prepare.prepare(spec, tmp_path, folder)


def test_a_wider_type_of_a_column_is_valid(tmp_path, folder):
    spec = parquet_spec(tmp_path, parquet_rows())
    path = parquet_file(tmp_path, "train")
    types = {"image": "large_binary", "label": "uint8", "path": "large_string"}
    schema = pyarrow.schema([(name, getattr(pyarrow, type)()) for name, type in types.items()])
    parquet.write_table(parquet.read_table(path).cast(schema), path)
    assert prepare.prepare(spec, tmp_path, folder)[0].images_per_class["train"] == [4] * 10


def test_missing_files_and_columns_are_named(tmp_path, folder):
    with pytest.raises(Missing, match=r"cifar10-jpeg/train.parquet is not there: make the Parquet"):
        prepare.prepare(CIFAR10_JPEG75, tmp_path, folder)
    spec = parquet_spec(tmp_path, parquet_rows())
    parquet.write_table(pyarrow.table({"a": [1]}), parquet_file(tmp_path, "test"))
    with pytest.raises(Corrupt, match=r"test.parquet has columns a; valid: image, label, path"):
        prepare.prepare(spec, tmp_path, folder)


def test_a_path_that_is_no_text_is_named(tmp_path, folder):
    spec = parquet_spec(tmp_path, parquet_rows())
    path = parquet_file(tmp_path, "train")
    table = parquet.read_table(path)
    names = pyarrow.array([b"\xff"] * len(table), pyarrow.binary())
    names = pyarrow.StringArray.from_buffers(len(names), *names.buffers()[1:])
    parquet.write_table(table.set_column(2, "path", names), path)
    with pytest.raises(Corrupt, match=r"train.parquet is not a whole Parquet file \('utf-8' codec"):
        prepare.prepare(spec, tmp_path, folder)


@pytest.mark.parametrize("name", ["image", "label", "path"])
@pytest.mark.parametrize(("split", "at"), [("train", 7), ("test", 0)])
def test_a_row_that_lacks_a_value_is_named(tmp_path, folder, name, split, at):
    spec = parquet_spec(tmp_path, parquet_rows())
    write_rows(tmp_path, damaged(at, split, **{name: None}))
    with pytest.raises(Corrupt, match=rf"{split}.parquet: row {at} has no {name}; valid: one; mak"):
        prepare.prepare(spec, tmp_path, folder)
    assert not folder.exists()


def test_a_row_of_a_later_part_is_counted_from_the_first(tmp_path):
    (tmp_path / "cifar10-jpeg").mkdir()
    rows = [{"image": b"x", "label": 0, "path": None if n == 1500 else "x"} for n in range(1600)]
    write_rows(tmp_path, {"train": rows})
    with pytest.raises(Corrupt, match=r"train.parquet: row 1,500 has no path"):
        CIFAR10_JPEG75.open(tmp_path)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("label", float, "double; valid: int"),
        ("label", str, "string; valid: int"),
        ("image", lambda image: {"bytes": image, "path": "x"}, "struct<.*>; valid: binary"),
        ("image", lambda image: image.hex(), "string; valid: binary"),
        ("path", str.encode, "binary; valid: string"),
        ("path", lambda path: None, "null; valid: string"),
    ],
)
def test_a_column_of_another_type_is_named(tmp_path, folder, name, change, said):
    spec = parquet_spec(tmp_path, parquet_rows())
    rows = parquet_rows()["train"]
    write_rows(tmp_path, {"train": [row | {name: change(row[name])} for row in rows]})
    with pytest.raises(Corrupt, match=rf"train.parquet: column {name} is {said}; make the Parquet"):
        prepare.prepare(spec, tmp_path, folder)


@NEEDS_REAL
def test_the_real_one_is_the_published_one_and_decodes(tmp_path):
    """The digest of all 60,000 JPEGs, then the 10,000 to test: counts and mean colour."""
    source = CIFAR10_JPEG75.open(REAL)
    assert source.published is None
    assert {s: len(part.labels) for s, part in source.splits.items()} == {
        "train": 50_000,
        "test": 10_000,
    }
    _, digests = tensors.write(tmp_path / "test.safetensors", source.splits["test"], (3, 32, 32))
    images, labels = tensors.read(tmp_path / "test.safetensors")
    assert labels.bincount().tolist() == [1000] * 10
    assert len(digests) == 16 * 10_000
    mean = images.to(torch.float64).mean((0, 2, 3)) / 255
    assert mean.tolist() == pytest.approx([0.4941, 0.4851, 0.4504], abs=1e-4)
