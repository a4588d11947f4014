"""Preparing a dataset once: what is written, what is refused, and that nothing half is used."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_data import (
    CLASSES,
    archive_of,
    cifar_members,
    cifar_spec,
    folder,
    made,
    pickled,
    pixels,
    root,
    tar,
)
from test_fault_files import Trap

from resparse import data
from resparse.data import places, prepare
from resparse.data.cifar import CIFAR100
from resparse.errors import Corrupt, Missing
from resparse.files import file_sha256

__all__ = ["folder", "made", "root"]  # fixtures for this file as well
REMEDY = "run resparse data prepare cifar10"


def prepared(root, folder, members=None, **how):
    spec = cifar_spec(root, members)
    return prepare.prepare(spec, root, folder, **how)


def test_the_tensors_are_the_images_in_the_order_of_the_archive(made):
    tensors = load_file(made[1] / "train.safetensors")
    assert tensors["images"].dtype == torch.uint8
    assert tensors["labels"].tolist() == [0, 1, 2] * 4
    expected = np.stack([pixels(number) for number in range(12)])
    assert np.array_equal(tensors["images"].numpy(), expected)
    test = load_file(made[1] / "test.safetensors")
    assert np.array_equal(test["images"].numpy(), np.stack([pixels(12 + n) for n in range(6)]))
    assert sorted(p.name for p in made[1].parent.iterdir()) == [".cifar10.lock", "cifar10"]


def test_the_manifest_says_what_was_read_and_written(made, root):
    value = json.loads((made[1] / "manifest.json").read_text())
    archive = root / "cifar-10-python.tar.gz"
    assert value["schema"] == 3
    assert value["sources"] == {archive.name: file_sha256(archive)}
    for name in ("train.safetensors", "test.safetensors"):
        path = made[1] / name
        assert value["files"][name] == {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
    assert value["classes"] == CLASSES
    assert value["images_per_class"] == {"train": [4, 4, 4], "test": [2, 2, 2]}
    whole = np.stack([pixels(number) for number in range(12)]).astype(float)
    assert value["mean"] == pytest.approx(whole.mean((0, 2, 3)), rel=1e-12)
    assert value["std"] == pytest.approx(whole.std((0, 2, 3)), rel=1e-12)
    assert value["duplicates"] == []
    assert value["decoder"] == ""  # its pixels are stored as they are


def test_a_second_time_nothing_is_done(made, root):
    before = {p: p.stat().st_mtime_ns for p in made[1].iterdir()}
    shutil.rmtree(root)  # not even the source is needed
    said, why = prepare.prepare(made[0], root, made[1])
    assert (said.name, why) == ("cifar10", "")
    assert {p: p.stat().st_mtime_ns for p in made[1].iterdir()} == before


def test_it_loads_by_name(root, monkeypatch):
    spec = cifar_spec(root)
    monkeypatch.setattr(prepare, "specs", lambda: {"cifar10": spec})
    with pytest.raises(Missing, match=rf"cifar10 is not prepared: .*/prepared/cifar10; {REMEDY}"):
        data.load("cifar10", root)
    prepare.prepare(spec, root, places.prepared_folder("cifar10", root))
    loaded = data.load("cifar10", root)
    shape = data.describe("cifar10")
    assert (loaded.name, loaded.classes, loaded.image_shape) == ("cifar10", 3, (3, 32, 32))
    assert (loaded.train_size, loaded.size("val"), loaded.size("test")) == (shape.train_size, 0, 6)
    ((images, labels),) = loaded.eval_batches("test", 10)
    assert images.shape == (6, 3, 32, 32)
    assert labels.tolist() == [0, 1, 2] * 2


def test_the_names_and_shapes_are_known_without_data():
    shapes = {name: data.describe(name) for name in data.PREPARED}
    assert shapes == {
        "cifar10": (10, (3, 32, 32), 50_000),
        "cifar100": (100, (3, 32, 32), 50_000),
        "cifar10_jpeg75": (10, (3, 32, 32), 50_000),
        "tiny_imagenet": (200, (3, 64, 64), 100_000),
    }
    assert set(shapes) <= set(data.NAMES)
    names = {data.source(name).name for name in shapes}
    assert names == {"cifar.py", "cifar_jpeg.py", "tiny_imagenet.py"}


def test_where_prepared_files_go(tmp_path, monkeypatch):
    monkeypatch.delenv("RESPARSE_PREPARED", raising=False)
    assert places.prepared_folder("x", tmp_path) == tmp_path / "prepared" / "x"
    with pytest.raises(Missing, match=r"give --data-root DIR or set RESPARSE_DATA \(x is needed"):
        places.prepared_folder("x", None)
    monkeypatch.setenv("RESPARSE_PREPARED", str(tmp_path / "env"))
    assert places.prepared_folder("x", None) == tmp_path / "env" / "x"
    assert places.prepared_folder("x", tmp_path, tmp_path / "given") == tmp_path / "given" / "x"


def changed(member, **values):
    members = cifar_members()
    members[f"x/{member}"] |= {key.encode(): value for key, value in values.items()}
    return members


def without(member):
    members = cifar_members()
    del members[f"x/{member}"]
    return members


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (changed("data_batch_1", labels=[0, 1, 2, 0, 1, 0]),
         ["class cat has 5 images in train; valid: 4", "class emu has 3 images in train"]),
        (changed("test_batch", labels=[0, 1, 0, 0, 1, 1]), ["class emu is missing in test"]),
        (changed("batches.meta", label_names=[b"cat", b"dog", b"cat"]),
         ["class cat is in batches.meta twice; valid: every class once"]),
        (changed("test_batch", labels=[0, 1, 7, 0, 1, 2]),
         ["cifar10 has 4 classes; valid: 3", "class number 7 is missing in train"]),
        (cifar_members({"train": 2, "test": 4}), ["train and test are swapped (6 in train and 12"]),
        (without("data_batch_2"), ["has no member data_batch_2; valid: the published archive"]),
        (changed("test_batch", data=np.zeros((6, 3073), np.uint8)),
         ["test_batch has pixels uint8 (6, 3073) for 6 labels; valid: uint8, 3072"]),
        (changed("test_batch", labels=[0]), ["(6, 3072) for 1 labels"]),
        (changed("test_batch", labels=None), ["test_batch has no labels that is a list; valid: t"]),
        (changed("test_batch", data=[0]), ["test_batch has no data that is a ndarray; valid: the"]),
        (changed("test_batch", filenames=[b"1"]), ["test_batch has 1 filenames for 6 labels"]),
        (cifar_members() | {"x/test_batch": [1]}, ["test_batch has no data that is a ndarray"]),
        (cifar_members() | {"x/batches.meta": {}}, ["batches.meta has no label_names that is a l"]),
    ],
    ids=["off", "missing", "twice", "unknown label", "swapped", "no batch", "size", "labels",
         "no labels", "no pixels", "file names", "no table", "no names"],
)  # fmt: skip
def test_a_published_archive_that_is_not_cifar_is_refused(root, folder, members, said):
    with pytest.raises(Corrupt) as caught:
        prepared(root, folder, members)
    for words in said:
        assert words in str(caught.value)
    assert [p.name for p in folder.parent.iterdir()] == [".cifar10.lock"]


def hundred(**changes):
    """Members of a cifar-100-python.tar.gz of six fine classes in two coarse ones."""
    fine = [f"fine {n}".encode() for n in range(6)]
    meta = {b"fine_label_names": fine, b"coarse_label_names": [b"coarse 0", b"coarse 1"]}
    members = {"cifar-100-python/meta": meta, "cifar-100-python/file.txt~": {}}
    for split, labels in {"train": [5, 4, 3, 2, 1, 0] * 2, "test": [0, 1, 2, 3, 4, 5]}.items():
        members[f"cifar-100-python/{split}"] = {
            b"data": np.stack([pixels(100 + n).reshape(-1) for n in range(len(labels))]),
            b"fine_labels": labels,
            b"coarse_labels": [label // 3 for label in labels],
            b"filenames": [f"{split}_{n}.png".encode() for n in range(len(labels))],
        }
    for key, value in changes.items():
        members["cifar-100-python/train"][key.encode()] = value
    return members


def hundred_spec(root, members):
    """CIFAR-100's own layout, but for what is known of the archive."""
    path = tar(root / "cifar-100-python.tar.gz", pickled(members))
    layout = dataclasses.replace(CIFAR100.open.__self__, archive=archive_of(path))
    return dataclasses.replace(
        CIFAR100, classes=6, per_class={"train": 2, "test": 1}, open=layout.open
    )


def test_cifar100_has_the_fine_labels_of_its_own_members(root, folder):
    said, _ = prepare.prepare(hundred_spec(root, hundred()), root, folder)
    assert said.classes == [f"fine {n}" for n in range(6)]
    assert said.images_per_class == {"train": [2] * 6, "test": [1] * 6}
    assert said.duplicates[0] == ["train: train/train_0.png", "test: test/test_0.png"]
    train = load_file(folder / "train.safetensors")
    assert train["labels"].tolist() == [5, 4, 3, 2, 1, 0] * 2
    assert np.array_equal(train["images"][7].numpy(), pixels(107))
    assert load_file(folder / "test.safetensors")["labels"].tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fine_labels": [0, 0, 0, 1, 1, 1] * 2}, "class fine 5 is missing in train; valid: 2 ima"),
        ({"fine_labels": None}, "train has no fine_labels that is a list; valid: the published"),
    ],
    ids=["coarse", "none"],
)
def test_cifar100_without_its_fine_labels_is_refused(root, folder, changes, said):
    with pytest.raises(Corrupt, match=said):
        prepare.prepare(hundred_spec(root, hundred(**changes)), root, folder)


def test_a_member_that_is_no_pickle_is_named(root, folder):
    spec = cifar_spec(root)
    path = tar(root / "cifar-10-python.tar.gz", pickled(cifar_members()) | {"x/test_batch": b"."})
    layout = dataclasses.replace(spec.open.__self__, archive=archive_of(path))
    with pytest.raises(Corrupt, match=r"test_batch is no pickle \(.*\); valid: the published arch"):
        prepare.prepare(dataclasses.replace(spec, open=layout.open), root, folder)


def test_a_member_that_calls_more_than_arrays_are_made_by_is_refused_unrun(root, folder, tmp_path):
    """Though its checksum is right."""
    canary, spec = tmp_path / "canary", cifar_spec(root)
    member = pickled({"x/test_batch": {b"data": Trap(canary)}})
    path = tar(root / "cifar-10-python.tar.gz", pickled(cifar_members()) | member)
    layout = dataclasses.replace(spec.open.__self__, archive=archive_of(path))
    with pytest.raises(Corrupt, match=r"test_batch is no pickle \(it asks for .*no array's\)"):
        prepare.prepare(dataclasses.replace(spec, open=layout.open), root, folder)
    assert not canary.exists()


def test_duplicates_of_a_published_archive_are_its_own_and_are_named(root, folder):
    def twice(number):
        return pixels(0 if number in (5, 13) else number)

    said, _ = prepared(root, folder, cifar_members(image=twice))
    first, second, third = "data_batch_1/0.png", "data_batch_1/5.png", "test_batch/13.png"
    assert said.duplicates == [
        [f"train: {first}", f"train: {second}"],
        [f"train: {second}", f"test: {third}"],
    ]


def test_training_images_are_padded_by_four_black_pixels_cropped_and_flipped(made, monkeypatch):
    """As cifar10 is trained on: every crop of the bordered image, and its mirror, by NumPy."""
    spec, folder = made
    monkeypatch.setenv("RESPARSE_PREPARED", str(folder.parent))
    images = prepare.load(spec, None)
    stored = load_file(folder / "train.safetensors")["images"].numpy()
    mean, std = (np.array(v, np.float32).reshape(3, 1, 1) for v in (images.mean, images.std))
    moved, mirrored = set(), 0
    for batch, _ in images.train_batches(5, 12, 0, 20):
        found = np.rint(batch.numpy() * std + mean).astype(np.uint8)
        for image in found:
            places = [
                (number, y, x, flip)
                for number, whole in enumerate(stored)
                for flip in (0, 1)
                for y, x in _fits(
                    np.pad(whole, ((0, 0), (4, 4), (4, 4))), image[..., :: 1 - 2 * flip]
                )
            ]
            assert len(places) == 1
            moved.add(places[0][1:3])
            mirrored += places[0][3]
    assert {y for y, _ in moved} == {x for _, x in moved} == set(range(9))
    assert 80 < mirrored < 160  # of 240


def _fits(bordered, image):
    """Where ``image`` (3, 32, 32) lies in ``bordered`` (3, 40, 40)."""
    at = np.lib.stride_tricks.sliding_window_view(bordered, image.shape)[0]
    corner = (at[..., 0, 16, 16] == image[0, 16, 16]) & (at[..., 1, 7, 21] == image[1, 7, 21])
    return [
        (y, x) for y, x in zip(*corner.nonzero(), strict=True) if np.array_equal(at[y, x], image)
    ]
