"""Splits that an in-memory dataset refuses: wrong types, sizes, labels; and what it takes."""

import pytest
import torch
from test_resolve import WORKLOAD, forget, written

from resparse.__main__ import main
from resparse.data.memory import InMemory
from resparse.errors import UsageError

__all__ = ["forget"]  # a fixture for this file as well

IMAGES = torch.zeros(3, 1, 2, 2, dtype=torch.uint8)
LABELS = torch.tensor([0, 1, 2])
EMPTY = (IMAGES[:0], LABELS[:0])


def of(**splits):
    """A dataset of three classes."""
    return InMemory("mine", 3, splits, 0.0, 1.0)


def test_what_is_valid():
    assert of(train=(IMAGES, LABELS)).image_shape == (1, 2, 2)
    assert of(train=[IMAGES, LABELS], val=EMPTY).size("val") == 0


IMAGES_VALID = r"valid: a uint8 tensor \(N, C, H, W\) of pixels 0 to 255"
LABELS_VALID = r"valid: an int64 tensor \(N,\)"


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (IMAGES / 255, LABELS, rf"images are float32 \(3, 1, 2, 2\); {IMAGES_VALID}"),
        (IMAGES[:, 0], LABELS, rf"images are uint8 \(3, 2, 2\); {IMAGES_VALID}"),
        (IMAGES.numpy(), LABELS, f"images are a ndarray; {IMAGES_VALID}"),
        (IMAGES, LABELS.int(), rf"labels are int32 \(3,\); {LABELS_VALID}"),
        (IMAGES, LABELS[:, None], rf"labels are int64 \(3, 1\); {LABELS_VALID}"),
        (IMAGES, [0, 1, 2], f"labels are a list; {LABELS_VALID}"),
        (IMAGES, LABELS[:2], "3 images and 2 labels; valid: as many"),
        (IMAGES, LABELS + 1, "labels from 1 to 3; valid: 0 to 2, for 3 classes"),
        (IMAGES, LABELS - 1, "labels from -1 to 1; valid: 0 to 2, for 3 classes"),
    ],
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_split_and_what_was_found_are_named(split, images, labels, said):
    splits = {"train": (IMAGES, LABELS)} | {split: (images, labels)}
    with pytest.raises(UsageError, match=f"^dataset mine, split {split}: {said}$"):
        of(**splits)


@pytest.mark.parametrize("parts", [IMAGES, (IMAGES,), (IMAGES, LABELS, LABELS)])
def test_a_split_is_a_pair(parts):
    with pytest.raises(UsageError, match=r"split train: it is a .*; valid: images and labels, two"):
        of(train=parts)


@pytest.mark.parametrize(
    ("splits", "found"),
    [({}, "none"), ({"train": EMPTY}, r"train \(0\)"), ({"test": (IMAGES, LABELS)}, r"test \(3\)")],
)
def test_there_is_something_to_train_on(splits, found):
    with pytest.raises(UsageError, match=f"splits are {found}; valid: train with at least one"):
        of(**splits)


def test_float_images_of_a_workload_file_are_refused_in_one_sentence(tmp_path, capsys):
    floats = """    found = digits.load(root)
    splits = {name: (x / 16, y) for name, (x, y) in found.splits.items()}
    return InMemory("wide", 10, splits, 0.0, 1.0)"""
    text = WORKLOAD.replace("    return digits.load(root)", floats)
    text = text.replace("SHAPE =", "from resparse.data.memory import InMemory\nSHAPE =")
    file = written(tmp_path / "wide.py", text)
    common = ["run", "static", "--workload", str(file), "--runs", str(tmp_path / "runs")]
    assert main(common) == 5
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "dataset wide, split test: images are float32 (700, 1, 8, 8); valid: a uint8" in said
