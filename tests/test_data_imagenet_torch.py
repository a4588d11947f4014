"""ImageNet through the torch loader: prepared first, and every image held against its kept hash."""

import shutil

import pytest
import torch
from small_betons import CAT, DOG, image_files
from small_data import jpeg, write_files

from resparse import data
from resparse.__main__ import main
from resparse.data import imagenet, imagenet_folders, manifest
from resparse.data.folder import Folders
from resparse.errors import Corrupt, Missing

FEW = imagenet_folders.Expected(2, {"train": (4, 4), "val": (2, 2)}, {"train": 8, "val": 4})
ONE = f"{DOG}/{DOG}_2.JPEG"  # of the images to train on


@pytest.fixture(scope="module", autouse=True)
def small():
    """An ImageNet of 8 and 4 images of two classes."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RESPARSE_LOADER", "RESPARSE_PREPARED"):
            patch.delenv(name, raising=False)
        patch.setattr(imagenet_folders, "Expected", lambda: FEW)
        patch.setattr(imagenet, "SHAPE", imagenet.SHAPE._replace(classes=2))
        patch.setattr(imagenet, "TRAIN", 8)
        patch.setattr(imagenet, "TEST", 4)
        yield


def folders(root):
    images = list(image_files(12).items())
    write_files(root / "imagenet" / "train", dict(images[:8]))
    write_files(root / "imagenet" / "val", dict(images[8:]))
    return root


def command(action, root):
    return main(["data", action, "imagenet", "--data-root", str(root), "--workers", "1"])


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


def load(root, workers=0):
    loaded = data.load("imagenet", root)
    loaded.workers = workers
    return loaded


def test_what_was_prepared_is_loaded(whole):
    loaded = load(whole)
    assert imagenet.missing(whole) is None
    assert (loaded.size("train"), loaded.size("test"), loaded.classes) == (8, 4, 2)
    assert loaded.provenance == {
        "loader": "torch",
        "images": "each is held against its kept sha256 when it is read",
    }
    named = Folders("x", *(whole / "imagenet" / split for split in ("train", "val")), workers=0)
    assert named.provenance["images"] == "known by name and label, their contents are not"
    for one, other in (
        (loaded.train_batches(3, 4, 0, 3), named.train_batches(3, 4, 0, 3)),
        (loaded.eval_batches("test", 3), named.eval_batches("test", 3)),
    ):
        for (x, y), (other_x, other_y) in zip(one, other, strict=True):
            assert torch.equal(x, other_x)
            assert torch.equal(y, other_y)


def test_what_was_not_prepared_is_missing(tmp_path):
    root = folders(tmp_path)
    said = r"^imagenet is not prepared: there is no .*; run resparse data prepare imagenet$"
    with pytest.raises(Missing, match=said):
        load(root)
    assert imagenet.missing(root).endswith("run resparse data prepare imagenet")


def test_other_pixels_under_the_same_name_are_another_dataset(whole, tmp_path):
    root = folders(tmp_path)
    (root / "imagenet" / "train" / ONE).write_bytes(jpeg(99))
    assert command("prepare", root) == 0
    assert load(root).sha256 != load(whole).sha256
    again = folders(tmp_path / "again")
    assert command("prepare", again) == 0
    assert load(again).sha256 == load(whole).sha256


def remove(root):
    (root / "train" / ONE).unlink()


def rename(root):
    (root / "train" / ONE).rename(root / "train" / f"{DOG}/{DOG}_22.JPEG")


def add(root):
    write_files(root, {f"train/{CAT}/{CAT}_9.jpg": jpeg(1)})


def exchange(root):
    """A class folder of val takes the place of train's: as many images, of other names."""
    for split, other in (("train", "aside"), ("val", "train"), ("aside", "val")):
        shutil.move(root / split, root / other)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (remove, f"train/{ONE}"),
        (rename, f"train/{ONE}"),
        (add, f"train/{CAT}/{CAT}_9.jpg"),
        (exchange, f"train/{CAT}/{CAT}_[04].JPEG"),
    ],
)
def test_folders_that_have_other_names_than_the_lists_are_refused(root, damage, named):
    damage(root / "imagenet")
    with pytest.raises(
        Corrupt, match=rf"train has other images than when it was prepared, from \S+{named} on; re"
    ):
        load(root)


def test_a_class_without_an_image_is_missing(root):
    for path in (root / "imagenet" / "val" / DOG).iterdir():
        path.unlink()
    with pytest.raises(Missing, match=rf"ImageNet: .*{DOG}"):
        load(root)


def test_a_kept_list_that_was_changed_is_refused(root):
    (root / "prepared" / "imagenet" / "val.sha256").write_text("")
    with pytest.raises(Corrupt, match=r"val.sha256 has 0 bytes; valid: \d+; run resparse data"):
        load(root)


def test_the_fast_format_of_the_other_loader_is_not_hashed(root):
    """Of hundreds of gigabytes that this loader does not read."""
    folder = root / "prepared" / "imagenet"
    made = manifest.read(folder, "imagenet")
    more = {"train.beton": manifest.Written(bytes=1, sha256="0" * 64)}
    manifest.write(folder, made.model_copy(update={"files": made.files | more}))
    assert load(root).train_size == 8


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("split", ["train", "val"])
def test_an_image_that_was_changed_since_is_named_when_it_is_read(root, split, workers):
    path = sorted((root / "imagenet" / split).rglob("*.JPEG"))[-1]
    path.write_bytes(jpeg(77, (300, 280)))  # whole, of other pixels
    loaded = load(root, workers)
    batches = {"train": loaded.train_batches(0, 4, 0, 2), "val": loaded.eval_batches("test", 4)}
    with pytest.raises(Corrupt) as caught:
        list(batches[split])
    said = str(caught.value)
    assert said.startswith(f"{path} was changed after it was prepared: sha256 ")
    assert said.endswith(
        "; restore it from the original archives; resparse data verify imagenet names all such"
    )
    assert "\n" not in said


def test_prepare_says_what_it_did_not_look_at(root, capsys):
    assert command("prepare", root) == 0
    said = (
        "imagenet: already prepared: every image has its kept name, their contents were not read "
        "(resparse data verify imagenet does) in "
    )
    assert capsys.readouterr().out.startswith(said)
    (root / "imagenet" / "train" / ONE).write_bytes(jpeg(77, (300, 280)))
    assert command("prepare", root) == 0
    assert capsys.readouterr().out.startswith(said)
    rename(root / "imagenet")
    assert command("prepare", root) == 0
    out = capsys.readouterr().out
    assert out.startswith("imagenet: prepared in ")
    assert "made because " in out
    assert f"train has other images than when it was prepared, from {root}/imagenet/" in out
    assert load(root).train_size == 8
