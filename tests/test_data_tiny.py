"""Tiny-ImageNet: the zip and the folder, its val layouts, and each fault planted."""

import zipfile

import pytest
import torch
from small_data import WNIDS, jpeg, tiny_files, tiny_spec

from resparse.__main__ import main
from resparse.data import manifest, prepare, tensors, tiny_imagenet
from resparse.errors import Corrupt, Missing


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "prepared" / "tiny_imagenet"


def made(tmp_path, folder, files, *, zipped=False, **how):
    spec = tiny_spec(tmp_path, files, zipped=zipped)
    return prepare.prepare(spec, tmp_path, folder, **how)[0]


def test_the_zip_and_the_folder_give_the_same_tensors(tmp_path, folder):
    loaded = []
    for zipped in (True, False):
        (tmp_path / str(zipped)).mkdir()
        place = folder / str(zipped)
        said = made(tmp_path / str(zipped), place, tiny_files(), zipped=zipped)
        assert said.classes == sorted(WNIDS)
        assert said.images_per_class == {"train": [4, 4, 4], "val": [2, 2, 2]}
        loaded.append(tensors.read(place / "train.safetensors"))
        loaded.append(tensors.read(place / "val.safetensors"))
    for one, other in zip(loaded[:2], loaded[2:], strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
    assert loaded[1][1].tolist() == [0, 0, 1, 1, 2, 2]


def test_a_label_is_the_place_of_its_sorted_wnid(tmp_path, folder):
    made(tmp_path, folder, tiny_files())
    images, labels = tensors.read(folder / "train.safetensors")
    # wnids.txt begins with n00000003, whose first image is the first that was made
    expected = tiny_imagenet.decode(jpeg(0))[0]
    assert labels[8] == 2
    assert images[8].permute(1, 2, 0).numpy().tobytes() == expected.tobytes()


@pytest.mark.parametrize("layout", ["val/{}/{}", "val/{}/images/{}"])
def test_val_in_class_folders_is_the_same_as_in_the_original_layout(tmp_path, folder, layout):
    files = tiny_files()
    made(tmp_path, folder, files)
    original = tensors.read(folder / "val.safetensors")
    for line in files.pop("val/val_annotations.txt").decode().splitlines():
        name, wnid = line.split("\t")[:2]
        files[layout.format(wnid, name)] = files.pop(f"val/images/{name}")
    (tmp_path / "sorted").mkdir()
    made(tmp_path / "sorted", folder / "sorted", files)
    again = tensors.read(folder / "sorted" / "val.safetensors")
    assert torch.equal(original[0], again[0])
    assert torch.equal(original[1], again[1])


def test_a_greyscale_image_is_valid_and_becomes_rgb(tmp_path, folder):
    files = tiny_files()
    files["val/images/val_4.JPEG"] = jpeg(4, mode="L")
    made(tmp_path, folder, files)
    images, _ = tensors.read(folder / "val.safetensors")
    grey = [bool((image[0] == image[1]).all() and (image[1] == image[2]).all()) for image in images]
    assert grey.count(True) == 1


CAT, DOG = "n00000001", "n00000002"
IMAGE = f"train/{CAT}/images/{CAT}_0.JPEG"


def replaced(name, value):
    files = tiny_files()
    files[name] = value
    return {n: v for n, v in files.items() if v is not None}


def line(files, old, new):
    name = "val/val_annotations.txt"
    text = files[name].decode()
    assert old in text
    return files | {name: text.replace(old, new).encode()}


def moved(old, new):
    files = tiny_files()
    files[new] = files.pop(old)
    return files


def exchanged():
    """An image of each of two classes in the other's folder, so that the counts are right."""
    files = tiny_files()
    dog = IMAGE.replace(CAT, DOG)
    for name, folder in ((IMAGE, DOG), (dog, CAT)):
        files[f"train/{folder}/images/{name.rpartition('/')[2]}"] = files.pop(name)
    return files


def flat(*, annotated=False):
    """val/*.JPEG in no folder."""
    files = {name.replace("val/images/", "val/"): data for name, data in tiny_files().items()}
    if not annotated:
        del files["val/val_annotations.txt"]
    return files


def renamed(files, **folders):
    """The files with their top folders renamed."""
    parts = {name: name.partition("/") for name in files}
    return {
        f"{folders.get(top, top)}{slash}{rest}": files[name]
        for name, (top, slash, rest) in parts.items()
    }


GOOD = jpeg(1)
PUBLISHED = "; valid: .*; get tiny-imagenet-200.zip from http://.* again"


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("files", "said"),
    [
        (replaced(IMAGE, GOOD[: len(GOOD) // 2]), rf": {IMAGE} is truncated: .*{PUBLISHED}"),
        (replaced(IMAGE, b"junk" * 99), rf": {IMAGE} cannot be decoded: .*{PUBLISHED}"),
        (replaced(IMAGE, jpeg(5, (64, 65))), rf": {IMAGE} is 64x65; valid: 64x64; get tiny"),
        (replaced(IMAGE, None), rf"class {CAT} has 3 images in train; valid: 4; get tiny"),
        (replaced(IMAGE.replace("_0", "_9"), jpeg(77)), rf"class {CAT} has 5 images in train"),
        (replaced("wnids.txt", "\n".join([*WNIDS, CAT]).encode()),
         rf"class {CAT} is in wnids.txt twice; valid: once; get tiny"),
        (replaced("wnids.txt", "\n".join([*WNIDS, "n00000009"]).encode()),
         "tiny_imagenet has 4 classes; valid: 3; .*\n.*class n00000009 is missing in train"),
        (replaced("wnids.txt", None), "has no wnids.txt; valid: the dataset's original layout"),
        (replaced("train/n00000008/images/n00000008_0.JPEG", jpeg(78)), "has 4 classes; valid: 3"),
        (replaced("val/images/val_99.JPEG", jpeg(79)),
         r"val_annotations.txt has no class for val/images/val_99.JPEG; valid: one for each"),
        (line(tiny_files(), f"val_4.JPEG\t{WNIDS[0]}\t0\t0\t62\t62", "val_4.JPEG"),
         r"val_annotations.txt has no class for val/images/val_4.JPEG; valid: one for each"),
        (replaced("val/images/val_4.JPEG", None),
         r"val_annotations.txt names val/images/val_4.JPEG, which is not there"),
        (replaced("val/val_annotations.txt", None), "has no val/val_annotations.txt; valid: the"),
        (line(tiny_files(), CAT, DOG), rf"class {CAT} is missing in val; valid: 2 images; get"),
        (replaced("wnids.txt", "\n".join([*WNIDS, ""]).encode() + b"\n"),
         r"wnids.txt has ''; valid: wnids like n01443537; get tiny"),
        (replaced("wnids.txt", "\n".join(["\ufeff" + WNIDS[0], *WNIDS[1:]]).encode()),
         r"wnids.txt has '\\ufeffn00000003'; valid: wnids"),
        (line(tiny_files(), "val_5.JPEG", "val_4.JPEG"),
         r"val_annotations.txt has 'val_4.JPEG' twice; valid: every image once; get tiny"),
        (exchanged(),
         rf"train/{CAT}/images/{DOG}_0.JPEG is in the wrong class folder; valid: {DOG}; move it"),
        (moved(IMAGE, f"train/{CAT}_0.JPEG"),
         rf"train has 1 images that are in no class folder \(train/{CAT}_0.JPEG\); valid: train/"),
        (flat(), r"val has 6 images that are in no class folder \(val/val_10.JPEG\); valid: val/"
                 r"images/\*.JPEG with val/val_annotations.txt, or val/<wnid>/\*.JPEG; get tiny"),
        (flat(annotated=True), r"val has 6 images that are in no class folder \("),
        (tiny_files({"train": 2, "test": 4}),
         r"train and val are swapped \(6 in train and 12 in val images\); exchange"),
        (renamed(tiny_files(), train="val", val="train"),
         r": train and val are swapped \(train has val_annotations.txt\); exchange them, or get t"),
    ],
    ids=["truncated", "undecodable", "size", "one less", "one more", "class twice",
         "class without images", "no list", "unlisted class", "no annotation", "no wnid",
         "image gone",
         "no annotations", "class missing in val", "blank line", "byte order mark",
         "annotated twice", "wrong class folder", "flat train", "flat val",
         "flat val with annotations", "swapped", "swapped folders"],
)  # fmt: skip
def test_a_fault_is_named_and_nothing_is_written(tmp_path, folder, files, said, zipped):
    with pytest.raises(Corrupt, match=said):
        made(tmp_path, folder, files, zipped=zipped)
    assert not folder.exists()


def test_a_missing_class_folder_is_named(tmp_path, folder):
    files = {n: v for n, v in tiny_files().items() if not n.startswith(f"train/{DOG}")}
    with pytest.raises(Corrupt, match=rf"class {DOG} is missing in train; valid: 4 images; get"):
        made(tmp_path, folder, files)


@pytest.mark.parametrize(
    "other", ["train/n00000003/images/n00000003_1.JPEG", "val/images/val_4.JPEG"]
)
def test_the_same_image_twice_is_refused_in_a_folder_until_accepted(tmp_path, folder, other):
    files = tiny_files()
    files[other] = files[IMAGE]
    split = other.split("/", maxsplit=1)[0]
    pattern = rf"{split}: {other} is the same image as train: {IMAGE}; valid: every image once"
    with pytest.raises(Corrupt, match=pattern):
        made(tmp_path, folder, files)
    said = made(tmp_path, folder, files, accept_duplicates=True)
    assert said.duplicates == [[f"train: {IMAGE}", f"{split}: {other}"]]


def test_a_folder_says_that_no_checksum_was_compared(tmp_path, folder, monkeypatch, capsys):
    """In the manifest, in what prepare and verify print; of the zip there is nothing to say."""
    spec = tiny_spec(tmp_path, tiny_files())
    monkeypatch.setattr(prepare, "specs", lambda: {"tiny_imagenet": spec})
    place = ["tiny_imagenet", "--data-root", str(tmp_path), "--prepared", str(folder.parent)]
    said = (
        f"not checked: {tmp_path}/tiny-imagenet-200 cannot be compared with a published checksum; "
        "valid: tiny-imagenet-200.zip\n"
    )
    for action in ("prepare", "prepare", "verify"):
        assert main(["data", action, *place]) == 0
        assert said in capsys.readouterr().out
    assert f"not checked: {manifest.read(folder, 'tiny_imagenet').unchecked}\n" == said
    spec = tiny_spec(tmp_path, tiny_files(), zipped=True)
    (folder / "manifest.json").unlink()
    for action in ("prepare", "verify"):
        assert main(["data", action, *place]) == 0
        assert "not checked" not in capsys.readouterr().out
    assert manifest.read(folder, "tiny_imagenet").unchecked == ""


def test_the_published_zip_keeps_its_duplicates(tmp_path, folder):
    files = tiny_files()
    files["val/images/val_4.JPEG"] = files[IMAGE]
    assert len(made(tmp_path, folder, files, zipped=True).duplicates) == 1


def test_without_a_source_the_place_is_named(tmp_path, folder):
    with pytest.raises(Missing, match=rf"put tiny-imagenet-200.zip from http://.* into {tmp_path}"):
        prepare.prepare(tiny_imagenet.TINY_IMAGENET, tmp_path, folder)


def test_a_traversal_in_the_zip_is_refused(tmp_path, folder):
    spec = tiny_spec(tmp_path, tiny_files() | {"../../evil": b"x"}, zipped=True)
    with pytest.raises(Corrupt, match=r"member 'tiny-imagenet-200/../../evil' leads out"):
        prepare.prepare(spec, tmp_path, folder)
    assert zipfile.is_zipfile(tmp_path / "tiny-imagenet-200.zip")
    assert not (tmp_path.parent / "evil").exists()
