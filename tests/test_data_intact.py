"""A prepared dataset that was changed: its files, and each thing that its manifest says."""

import dataclasses
import json
import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_data import cifar_members, cifar_spec, folder, forged, made, pixels, root

from resparse.data import manifest, prepare, tensors
from resparse.errors import Corrupt, Missing
from resparse.files import file_sha256

__all__ = ["folder", "made", "root"]  # fixtures for this file as well
REMEDY = "run resparse data prepare cifar10"


def flip(path):
    with path.open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-100, os.SEEK_END)
        file.write(bytes([byte ^ 1]))


def edit(folder, **changes):
    """Change what the manifest says, as a person with an editor would."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def forge(folder, **changes):
    """The same, and its seal made to fit: as a prepare with a fault in it would write it."""
    forged(folder / "manifest.json", **changes)


def load(spec, root, folder):
    os.environ["RESPARSE_PREPARED"] = str(folder.parent)
    try:
        return prepare.load(spec, root)
    finally:
        del os.environ["RESPARSE_PREPARED"]


def text(words):
    return lambda folder: (folder / "manifest.json").write_text(words)


@pytest.mark.parametrize(
    ("damage", "error", "said"),
    [
        (lambda f: flip(f / "train.safetensors"), Corrupt,
         r"train.safetensors was changed after it was prepared: sha256 .*; valid: "),
        (lambda f: os.truncate(f / "test.safetensors", 100), Corrupt,
         r"test.safetensors has 100 bytes; valid: 18,6\d\d; "),
        (lambda f: (f / "test.safetensors").unlink(), Corrupt, "test.safetensors is missing"),
        (lambda f: (f / "manifest.json").unlink(), Missing,
         "manifest.json is missing, so nothing beside it is used"),
        (text("{"), Corrupt, r"manifest.json is not JSON \("),
        (text("[" * 99_999), Corrupt, r"manifest.json is not JSON \(maximum recursion"),
        (lambda f: (f / "manifest.json").write_bytes(b"\xff{}"), Corrupt, "is not JSON .*decode"),
        (lambda f: edit(f, schema=1), Corrupt, "has schema 1; valid: 3"),
        (text("[]"), Corrupt, "has schema None; valid: 3"),
        (lambda f: forge(f, name="cifar100"), Corrupt, "is of cifar100; valid: c"),
        (lambda f: forge(f, files={}), Corrupt, "does not name test.safetensors"),
        (lambda f: edit(f, mean="x"), Corrupt, "mean: Input should be a valid"),
        (lambda f: edit(f, mean=[float("nan")] * 3), Corrupt, "mean.0: Input should be a finite"),
        (lambda f: edit(f, mean=[-(10**400)]), Corrupt, "mean.0: "),
        (lambda f: edit(f, more=1), Corrupt, "more: Extra inputs"),
    ],
    ids=["bit flip", "cut", "file gone", "manifest gone", "manifest cut", "deep", "no text",
         "other schema", "no schema", "other dataset", "no files", "no number", "nan", "huge",
         "unknown key"],
)  # fmt: skip
def test_what_was_changed_is_named_never_used_and_made_again(made, root, damage, error, said):
    spec, folder = made
    good = {p.name: p.read_bytes() for p in folder.iterdir()}
    damage(folder)
    for call in (lambda: prepare.verify(spec, folder), lambda: load(spec, root, folder)):
        with pytest.raises(error, match=rf"{folder}/?.*{said}") as caught:
            call()
        assert str(caught.value).endswith(REMEDY)
        assert "\n" not in str(caught.value)
    _, why = prepare.prepare(spec, root, folder)
    assert why == str(caught.value)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == good


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": [127.0, 127.0, 127.0]},
        {"std": [1.0, 1.0, 1.0]},
        {"classes": ["cat", "emu", "dog"]},
        {"sources": {"cifar-10-python.tar.gz": "0" * 64}},
        {"duplicates": [["train: a", "test: b"]]},
        {"decoder": "Pillow 1"},
        {"statistics": "a guess"},
        {"images_per_class": {"train": [-4, 4, 4], "test": [2, 2, 2]}},
        {"seal": ""},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_manifest_that_somebody_edited_is_not_believed(made, root, changes):
    spec, folder = made
    load(spec, root, folder)
    edit(folder, **changes)
    for call in (lambda: prepare.verify(spec, folder), lambda: load(spec, root, folder)):
        with pytest.raises(Corrupt, match=rf"manifest.json was changed after .*; {REMEDY}$"):
            call()


HALF = {"train": [5, 4, 3], "test": [2, 2, 2]}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mean": [127.0, 127.0, 127.0]}, r"its mean is \[127.0, .*\]; valid: \[12\d\.\d+, "),
        ({"std": [1.0, 1.0, 1.0]}, r"its std is \[1.0, 1.0, 1.0\]; valid: \[7\d\.\d+, "),
        ({"mean": [127.0]}, r"its mean is \[127.0\]; valid: "),
        ({"images_per_class": HALF}, r"its images_per_class are .*; valid: {'train': \[4, 4, 4\]"),
        ({"image_shape": [3, 32, 33]}, r"its image_shape is \[3, 32, 33\]; valid: \[3, 32, 32\]"),
        ({"image_shape": [3] * 99}, r"its image_shape is \[(3, ){66}3 \.\.\.; valid: \[3, 32"),
        ({"classes": ["cat", "dog"]}, "its number of classes is 2; valid: 3"),
        ({"classes": ["cat", "dog", "cat"]}, "its class that is there twice is cat; valid: None"),
    ],
    ids=["mean", "std", "one mean", "counts", "shape", "long shape", "two classes", "class twice"],
)
def test_a_wrong_manifest_is_not_believed_though_its_hash_fits(made, root, changes, said):
    spec, folder = made
    forge(folder, **changes)
    for call in (lambda: prepare.verify(spec, folder), lambda: load(spec, root, folder)):
        with pytest.raises(Corrupt, match=rf"manifest.json: {said}.*; {REMEDY}$"):
            call()


def test_files_that_no_dataset_has_are_named(made):
    spec, folder = made
    said = manifest.read(folder, "cifar10").model_dump()["files"]
    (folder / "val.safetensors").write_bytes((folder / "test.safetensors").read_bytes())
    forge(folder, files=said | {"val.safetensors": said["test.safetensors"]})
    with pytest.raises(Corrupt, match=r"its files are .*, 'val.safetensors'\]; valid: \['test.saf"):
        prepare.verify(spec, folder)


@pytest.mark.parametrize("classes", [["cat", "emu", "dog"], ["cat", "dog", "fox"]])
def test_class_names_are_compared_where_they_are_known(root, folder, classes):
    spec = dataclasses.replace(cifar_spec(root), names=("cat", "dog", "emu"))
    prepare.prepare(spec, root, folder)
    forge(folder, classes=classes)
    with pytest.raises(Corrupt, match=r"its classes are \['cat', .*; valid: \['cat', 'dog', 'emu'"):
        prepare.verify(spec, folder)


def test_duplicates_are_counted_again_by_verify(root, folder):
    """Not by load: what the manifest says of them changes no training."""
    spec = cifar_spec(root, cifar_members(image=lambda n: pixels(0 if n in (5, 13) else n)))
    said, _ = prepare.prepare(spec, root, folder)
    assert prepare.verify(spec, folder).duplicates == said.duplicates
    for pairs in ([], said.duplicates[:1], [*said.duplicates, said.duplicates[0]]):
        forge(folder, duplicates=pairs)
        pattern = (
            r"its splits of duplicates are .*; valid: \[\['train', 'train'\], \['train', 'test'"
        )
        with pytest.raises(Corrupt, match=pattern):
            prepare.verify(spec, folder)
        assert load(spec, root, folder).train_size == 12


def other_tensors(folder, name, **changes):
    """Write other tensors, and a manifest that names their bytes."""
    path = folder / name
    both = dict(zip(("images", "labels"), tensors.read(path), strict=True)) | changes
    save_file({key: value for key, value in both.items() if value is not None}, path)
    fits(folder, path)


def fits(folder, path):
    said = manifest.read(folder, "cifar10").model_dump()["files"]
    forge(folder, files=said | {path.name: {"bytes": path.stat().st_size,
                                            "sha256": file_sha256(path)}})  # fmt: skip


PIXELS = torch.from_numpy(np.stack([pixels(12 + n) for n in range(6)]))


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": torch.tensor([0, 0, 0, 1, 1, 2])},
        {"labels": torch.tensor([0, 1, 2, 0, 1, -1])},
        {"labels": torch.tensor([0, 1, 2, 0, 1, 3])},
        {"labels": torch.tensor([0.0, 1, 2, 0, 1, 2])},
        {"labels": torch.tensor([[0, 1, 2, 0, 1, 2]])},
        {"images": PIXELS[:, :, :31].contiguous()},
        {"images": PIXELS[:5]},
        {"images": PIXELS.float()},
    ],
    ids=["labels", "negative", "unknown", "float labels", "two axes", "size", "fewer", "floats"],
)
def test_tensors_that_are_not_what_the_manifest_says_are_named(made, root, changes):
    spec, folder = made
    other_tensors(folder, "test.safetensors", **changes)
    for call in (lambda: prepare.verify(spec, folder), lambda: load(spec, root, folder)):
        with pytest.raises(Corrupt, match=r"test.safetensors is not what its manifest says; run"):
            call()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: other_tensors(f, "train.safetensors", labels=None), r"KeyError\('labels'\)"),
        (lambda f: (f / "train.safetensors").write_bytes(b"\xff" * 99), "SafetensorError"),
        (lambda f: (f / "train.safetensors").write_bytes(b""), "SafetensorError"),
    ],
    ids=["no labels", "other", "empty"],
)
def test_a_file_of_no_such_tensors_is_named(made, damage, said):
    spec, folder = made
    damage(folder)
    fits(folder, folder / "train.safetensors")
    with pytest.raises(
        Corrupt, match=rf"train.safetensors is not a split's tensors: {said}.*; pre"
    ):
        prepare.verify(spec, folder)


def test_statistics_are_of_exact_sums():
    """Two channels of 1,001 images, over the border of what is summed at once."""
    images = torch.zeros(1001, 2, 1, 1, dtype=torch.uint8)
    images[-1] = torch.tensor([255, 7]).view(2, 1, 1)
    mean, std = tensors.statistics(images)
    assert mean == [255 / 1001, 7 / 1001]
    assert std == [(q / 1001 - m * m) ** 0.5 for q, m in zip((255**2, 49), mean, strict=True)]


BROKEN = "/proc/self/mem"  # opens, and its first read is an input/output error


def test_a_disk_that_does_not_read_is_named(made, root):
    """The manifest, a tensor's file of the right size, the source: each in one sentence."""
    spec, folder = made
    path, archive = folder / "train.safetensors", root / "cifar-10-python.tar.gz"
    said = manifest.read(folder, "cifar10").model_dump()["files"]
    path.unlink()
    path.symlink_to(BROKEN)
    forge(folder, files=said | {path.name: said[path.name] | {"bytes": path.stat().st_size}})
    pattern = rf"a file in {folder} cannot be read: Input/output error; make it readable, or copy"
    with pytest.raises(Missing, match=pattern):
        prepare.verify(spec, folder)
    archive.unlink()
    archive.symlink_to(BROKEN)
    with pytest.raises(
        Missing, match=rf"a file in {root} cannot be read: Input/output error; make"
    ):
        prepare.prepare(spec, root, folder)
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").symlink_to(BROKEN)
    with pytest.raises(Missing, match=rf"manifest.json cannot be read: Input.*; {REMEDY}"):
        prepare.verify(spec, folder)
