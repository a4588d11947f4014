"""ImageNet for FFCV from its folders to a batch, by the commands; and what is refused."""

import os
import re
import shutil

import pytest
from small_betons import LACK, RAW, image_files
from small_data import jpeg, write_files

from resparse import data
from resparse.__main__ import main
from resparse.data import beton, imagenet, imagenet_folders, manifest
from resparse.errors import Corrupt, Missing

pytestmark = [pytest.mark.ffcv, pytest.mark.skipif(bool(LACK), reason=LACK)]
FEW = imagenet_folders.Expected(2, {"train": (4, 4), "val": (2, 2)}, {"train": 8, "val": 4})


@pytest.fixture(scope="module", autouse=True)
def small():
    """An ImageNet of 8 and 4 images of two classes, read through FFCV."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESPARSE_LOADER", "ffcv")
        patch.delenv("RESPARSE_PREPARED", raising=False)
        patch.setattr(imagenet_folders, "Expected", lambda: FEW)
        patch.setattr(imagenet, "TRAIN", 8)
        patch.setattr(imagenet, "TEST", 4)
        yield


def folders(root):
    images = list(image_files(12).items())
    write_files(root / "imagenet" / "train", dict(images[:8]))
    write_files(root / "imagenet" / "val", dict(images[8:]))
    return root


def command(action, root, *more):
    arguments = (action, "imagenet", "--data-root", root, "--workers", 1, *more)
    return main(["data", *map(str, arguments)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Prepared by the command."""
    root = folders(tmp_path_factory.mktemp("whole"))
    assert command("prepare", root) == 0
    return root


@pytest.fixture
def root(whole, tmp_path):
    """A copy, to be damaged."""
    return shutil.copytree(whole, tmp_path / "root")


def test_prepared_verified_and_loaded(whole, capsys):
    assert command("verify", whole) == 0
    assert capsys.readouterr().out.startswith("imagenet: intact in ")
    assert command("prepare", whole) == 0
    assert capsys.readouterr().out.startswith("imagenet: already prepared and intact in ")
    loaded = data.load("imagenet", whole)
    assert (loaded.size("train"), loaded.size("test"), loaded.classes) == (8, 4, 2)
    images, labels = next(loaded.train_batches(0, 8, 0, 1))
    assert tuple(images.shape) == (8, 3, 224, 224)
    assert sorted(labels.tolist()) == [0] * 4 + [1] * 4
    assert imagenet.missing(whole) is None


def test_other_settings_write_it_again(root, capsys):
    options = ("--write-mode", "raw", "--max-resolution", "200", "--quality", "80")
    assert command("prepare", root, *options) == 0
    assert "was written as mode='jpg' max_resolution=500 quality=90" in capsys.readouterr().out
    found = beton.read(root / "prepared" / "imagenet" / "val.beton").sidecar.settings
    assert found == RAW.model_copy(update={"max_resolution": 200, "quality": 80})


def poke(path):
    with path.open("r+b") as file:
        file.seek(1 << 26)
        file.write(b"\0\0")


def swap(folder):
    for name in ("beton", "beton.json"):
        other = (folder / f"train.{name}").rename(folder / "aside")
        (folder / f"val.{name}").rename(folder / f"train.{name}")
        other.rename(folder / f"val.{name}")


@pytest.mark.parametrize(
    ("damage", "verified", "loaded"),
    [
        (
            lambda f: os.truncate(f / "val.beton", 1 << 26),
            r"val.beton has 67,108,864 bytes; valid: ",
            r"val.beton has 67,108,864 bytes; valid: ",
        ),
        (
            lambda f: poke(f / "train.beton"),
            r"train.beton was changed after it was prepared: sha256 ",
            r"train.beton was changed after it was written: sha256 ",
        ),
        (
            lambda f: (f / "train.beton.json").unlink(),
            r"train.beton.json is missing, and the manifest names it",
            r"train.beton.json is missing",
        ),
        (
            lambda f: (f / "train.beton").unlink(),
            r"train.beton is missing, and the manifest names it",
            r"train.beton is missing, and its manifest is there",
        ),
        (swap, r"train.beton has .* bytes; valid: ", r"ImageNet train has 4 images of 8: "),
    ],
    ids=["truncated", "altered", "no-sidecar", "no-beton", "swapped"],
)
def test_what_is_not_whole_is_refused_with_its_remedy(root, damage, verified, loaded, capsys):
    damage(root / "prepared" / "imagenet")
    assert command("verify", root) == 2
    assert re.search(rf"{verified}.*; run resparse data prepare imagenet$", capsys.readouterr().err)
    with pytest.raises((Corrupt, Missing), match=rf"{loaded}.*{imagenet.PREPARE}$"):
        data.load("imagenet", root)


def test_a_manifest_that_agrees_with_swapped_files_is_not_believed(root, capsys):
    folder = root / "prepared" / "imagenet"
    swap(folder)
    made = manifest.read(folder, "imagenet")
    swapped = {
        name: made.files[name.replace(one, other)]
        for one, other in (("train", "val"), ("val", "train"))
        for name in (f"{one}.beton", f"{one}.beton.json")
    }
    manifest.write(folder, made.model_copy(update={"files": made.files | swapped}))
    assert command("verify", root) == 2
    said = "train.beton was made from other images than train.sha256 lists: the folder was changed"
    assert said in capsys.readouterr().err


def test_what_was_prepared_for_torch_alone_is_not_intact_for_ffcv(tmp_path, monkeypatch, capsys):
    root = folders(tmp_path)
    monkeypatch.setenv("RESPARSE_LOADER", "torch")
    assert command("prepare", root) == 0
    assert sorted(p.name for p in (root / "prepared" / "imagenet").iterdir()) == [
        "manifest.json",
        "train.sha256",
        "val.sha256",
    ]
    monkeypatch.setenv("RESPARSE_LOADER", "ffcv")
    capsys.readouterr()
    assert command("verify", root) == 2
    assert "manifest.json does not name train.beton; run" in capsys.readouterr().err
    with pytest.raises(Missing, match=rf"train.beton.json is missing; run {imagenet.PREPARE}$"):
        data.load("imagenet", root)


def test_the_disk_that_is_asked_for_is_that_of_the_settings(tmp_path, monkeypatch, capsys):
    """12 images whose files are 2 pixels a byte: 0.7 bytes of JPEG for each, or 6 of pixels."""
    root = folders(tmp_path)
    source = sum(path.stat().st_size for path in (root / "imagenet").rglob("*.JPEG"))
    usage = shutil.disk_usage(root)._replace(free=int(0.7 * source) + 12 * 198)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    raw = ("--write-mode", "raw")
    assert command("prepare", root, *raw) == 4
    said = f"{usage.free / 1e9:.2f} GB free, {(6 * source + 12 * 198) / 1e9:.2f} GB needed"
    assert said in capsys.readouterr().err
    assert command("prepare", root) == 0
    usage = usage._replace(free=6 * source + 12 * 198)
    assert command("prepare", root, *raw) == 0


def test_images_that_change_between_check_and_writing_are_seen(tmp_path, monkeypatch, capsys):
    root, real = folders(tmp_path), imagenet_folders.write_fast_format
    image = next((root / "imagenet" / "val").rglob("*.JPEG"))

    def late(*arguments):
        image.write_bytes(jpeg(99))
        return real(*arguments)

    monkeypatch.setattr(imagenet_folders, "write_fast_format", late)
    assert command("prepare", root) == 2
    assert "val.beton was made from other images than val.sha256 lists" in capsys.readouterr().err
    assert not (root / "prepared" / "imagenet").exists()


@pytest.mark.parametrize(
    ("action", "options", "said"),
    [
        ("prepare", ("--quality", "101"), "quality = 101; valid: at most 100"),
        ("verify", ("--quality", "80"), "--quality in data verify imagenet for the loader ffcv"),
    ],
)
def test_settings_that_cannot_be(whole, action, options, said, capsys):
    assert command(action, whole, *options) == 5
    assert said in capsys.readouterr().err
