"""ImageNet's class folders: each fault planted in a small one, and the sample where it is."""

import os
import shutil
from pathlib import Path

import pytest
from small_data import jpeg, write_files
from small_imagenet import CAT, DOG, GOOD, ONE, TRAIN, files, prepare, put, verify

from resparse import forking
from resparse.data import imagenet, imagenet_folders, manifest
from resparse.data.imagenet_folders import Expected
from resparse.errors import Corrupt, Missing
from resparse.files import file_sha256

SAMPLE = Path(os.environ.get("RESPARSE_DATA", "/nonexistent")) / "imagenet-sample"


@pytest.fixture
def root(tmp_path):
    write_files(tmp_path / "imagenet", files())
    return tmp_path / "imagenet"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "prepared" / "imagenet"


def test_what_is_whole_is_counted_in_every_colour_mode(root, folder):
    report = verify(root, folder)
    assert report["did"] == "whole, not prepared"
    assert report["images_per_class"] == {"train": [4, 3], "val": [2, 2]}
    assert report["modes"] == {"RGB": 9, "L": 1, "CMYK": 1}
    assert report["duplicates"] == []
    assert not folder.exists()


def test_prepare_keeps_the_hashes_and_the_second_time_looks_at_names(root, folder):
    report = prepare(root, folder)
    assert report["did"] == "prepared"
    kept = (folder / "train.sha256").read_text().splitlines()
    assert kept == [f"{file_sha256(root / 'train' / name)}  {name}" for name in TRAIN]
    assert manifest.read(folder, "imagenet").classes == [CAT, DOG]
    assert verify(root, folder)["did"] == "intact"
    before = (folder / "manifest.json").stat().st_mtime_ns
    assert prepare(root, folder)["did"] == imagenet_folders.NAMED
    assert (folder / "manifest.json").stat().st_mtime_ns == before
    shutil.rmtree(root)
    with pytest.raises(Missing, match=rf"^{root}/train is not there"):
        prepare(root, folder)


def test_an_image_that_was_changed_after_prepare_is_named(root, folder):
    prepare(root, folder)
    name = root / "train" / TRAIN[5]
    name.write_bytes(jpeg(50))
    with pytest.raises(Corrupt, match=rf"^{name} was changed after it was prepared: sha256 \w+; v"):
        verify(root, folder)
    name.rename(name.with_name(f"{DOG}_9.JPEG"))
    with pytest.raises(Corrupt, match=rf"train has other images than .* from {name} on; restore"):
        verify(root, folder)


def test_a_kept_list_that_was_changed_is_named(root, folder):
    prepare(root, folder)
    (folder / "val.sha256").write_text("")
    with pytest.raises(Corrupt, match=r"val.sha256 has 0 bytes; valid: \d+; run resparse data"):
        verify(root, folder)
    assert "val.sha256 has 0 bytes" in prepare(root, folder)["because"]
    assert verify(root, folder)["did"] == "intact"


def remove(name):
    def act(root):
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return act


def move(old, new):
    return lambda root: shutil.move(root / old, root / new)


def swap(root):
    (root / "train").rename(root / "x")
    (root / "val").rename(root / "train")
    (root / "x").rename(root / "val")


def flatten(root):
    for path in list((root / "val").glob("*/*")):
        shutil.move(path, root / "val" / f"{path.parent.name}_{path.name}")
    for path in list((root / "val").glob("n????????")):
        path.rmdir()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (put(ONE, GOOD[: len(GOOD) // 2]), rf"^\S*{ONE} is truncated: .*; valid: a whole JPEG; re"),
        (put(ONE, GOOD[:-600] + b"\0" * 600), rf"^\S*{ONE} is truncated: "),
        (put(ONE, b"\xff\xd8" + b"x" * 99), rf"^\S*{ONE} cannot be decoded: .*; valid: a whole"),
        (put(ONE, b""), rf"^\S*{ONE} is empty; valid: a whole JPEG; restore it from the original"),
        (put(ONE, b"<html></html>"), rf"^\S*{ONE} is an HTML page, not an image; valid"),
        (remove(f"val/{DOG}"), rf"^imagenet: class {DOG} is missing in val; valid: 2 images; rest"),
        (remove(f"train/{DOG}"), rf"^imagenet: class {DOG} is missing in train; valid: 3 to 4 im"),
        (remove(f"val/{DOG}/ILSVRC2012_val_0.JPEG"), rf"class {DOG} has 1 images in val; valid: 2"),
        (remove(ONE), r"train has 6 images; valid: 7; restore it from the original archives$"),
        (put(f"train/{CAT} (copy)/{CAT}_9.JPEG", GOOD),
         rf"train/{CAT} \(copy\) is a second folder of class {CAT}; valid: one folder"),
        (put(f"train/{CAT.upper()}/{CAT}_9.JPEG", GOOD), rf"is a second folder of class {CAT}"),
        (put("val/lost+found/x", b""), r"val/lost\+found is no class folder; valid: names like n0"),
        (put("val/notes.txt", b""), r"val/notes.txt is no class folder; move it away$"),
        (put(f"train/{CAT}/{CAT}/{CAT}_0.JPEG", GOOD),
         rf"train/{CAT}/{CAT} is not an image; valid: \*.JPEG in {CAT}; delete it$"),
        (put(f"train/{CAT}/{CAT}_9.JPEG.part", GOOD), r"_9.JPEG.part is not an image; valid: \*.J"),
        (move(ONE, f"train/{DOG}"),
         rf"train/{DOG}/{CAT}_2.JPEG is in the wrong class folder; valid: {CAT}; move it there"),
        (flatten, r"val has 4 images that are in no class folder \(n\d+_ILSVRC2012_val_0.JPEG\); "
                  r"valid: <wnid>/\*.JPEG; torchvision.datasets.ImageNet sorts"),
        (swap, r"train and val are swapped \(4 in train and 7 in val images\); exchange them, or"),
    ],
    ids=["truncated", "zero tail", "undecodable", "empty", "html", "class missing in val",
         "class missing in train", "one less in val", "one less in train", "class twice",
         "class twice by case", "other folder", "other file", "nested", "partial copy",
         "wrong class", "flat val", "swapped"],
)  # fmt: skip
def test_a_fault_is_named_and_nothing_is_prepared(root, folder, damage, said):
    damage(root)
    for act in (verify, prepare):
        with pytest.raises(Corrupt, match=said):
            act(root, folder)
    assert not folder.exists()


def test_the_counts_are_those_of_ilsvrc_2012():
    """Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015, table 2."""
    real = Expected()
    assert real.classes == 1000
    assert real.images == {"train": 1_281_167, "val": 50_000}
    assert real.per_class == {"train": (732, 1300), "val": (50, 50)}
    assert imagenet.SHAPE == (1000, (3, 224, 224), 1_281_167)


def test_no_folder_is_missing(tmp_path, folder):
    with pytest.raises(Missing, match=rf"^{tmp_path}/train is not there; valid: class folders"):
        verify(tmp_path, folder)


def test_a_portable_training_may_follow_and_verify_may_again(root, folder):
    """All processes of this one come from one fork server, whose numerics trainings are sure of."""
    assert verify(root, folder)["did"] == "whole, not prepared"
    forking.context("portable")
    assert forking.shared() is forking.context("portable")
    assert verify(root, folder)["did"] == "whole, not prepared"


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="no imagenet-sample in RESPARSE_DATA")
def test_the_sample_decodes_and_says_how_fast(tmp_path, folder, capsys):
    classes = sorted(path.name for path in SAMPLE.iterdir())
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        for wnid in classes:
            (tmp_path / split / wnid).symlink_to(SAMPLE / wnid)
    one = {"train": (1, 1), "val": (1, 1)}
    expected = Expected(400, one, {"train": 400, "val": 400})
    how = {"accept_duplicates": True, "expected": expected}
    report = imagenet_folders.verify(tmp_path, folder, **how)
    assert report["modes"] == {"RGB": 782, "L": 18}
    assert len(report["duplicates"]) == 400  # val is train here
    assert report["images_per_s"] > 10
    with capsys.disabled():
        print(
            f"\nverify decodes {report['images_per_s']} images a second on {os.cpu_count()} cores"
        )
