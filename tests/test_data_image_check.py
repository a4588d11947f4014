"""ImageNet's images hashed, then decoded: what is named, when, and at what memory."""

import os
import shutil
import time
from itertools import pairwise

import pytest
from small_data import write_files
from small_imagenet import CAT, DOG, GOOD, ONE, TRAIN, VAL, Expected, files, prepare, put, verify

from resparse.data import decoding, image_check, imagenet_folders
from resparse.errors import Corrupt, RunFailed


@pytest.fixture
def root(tmp_path):
    write_files(tmp_path / "imagenet", files())
    return tmp_path / "imagenet"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "prepared" / "imagenet"


def test_every_fault_is_named_on_a_line_of_its_own(root, folder):
    for name in TRAIN:
        put(f"train/{name}", GOOD[:400])(root)
    with pytest.raises(Corrupt) as caught:
        verify(root, folder)
    lines = str(caught.value).splitlines()
    assert [line.split(" is truncated")[0] for line in lines] == [
        str(root / "train" / name) for name in TRAIN
    ]


@pytest.mark.parametrize("other", [f"train/{DOG}/{DOG}_1.JPEG", f"val/{DOG}/ILSVRC2012_val_0.JPEG"])
def test_the_same_image_twice_is_refused_until_accepted(root, folder, other):
    shutil.copy(root / ONE, root / other)
    with pytest.raises(Corrupt, match=rf"imagenet: {other} is the same image as {ONE}; valid: eve"):
        prepare(root, folder)
    assert prepare(root, folder, accept_duplicates=True)["duplicates"] == [[ONE, other]]
    assert verify(root, folder)["did"] == "intact"  # the manifest says that they were accepted


def never(*arguments):
    raise AssertionError("images are decoded")


def test_all_that_are_there_twice_are_named_before_any_is_decoded(root, folder, monkeypatch):
    """Decoding ImageNet takes hours, and it has such images."""
    names = sorted(f"{CAT}/{CAT}_{n}.JPEG" for n in range(30))
    write_files(root / "train", dict.fromkeys(names, GOOD))
    expected = Expected(2, {"train": (3, 30), "val": (2, 2)}, {"train": 33, "val": 4})
    monkeypatch.setattr(decoding, "decode_all", never)
    for act in (imagenet_folders.verify, imagenet_folders.prepare):
        with pytest.raises(Corrupt) as caught:
            act(root, folder, workers=1, expected=expected)
        assert [line.split("; ")[0] for line in str(caught.value).splitlines()] == [
            f"imagenet: train/{second} is the same image as train/{first}"
            for first, second in pairwise(names)
        ]
    monkeypatch.setattr(image_check, "FAULTS", 9)
    with pytest.raises(Corrupt, match=r"(?s)^(imagenet: [^\n]*\n){9}and 20 more$"):
        imagenet_folders.verify(root, folder, workers=1, expected=expected)


def test_what_is_twice_because_it_is_not_whole_is_called_so(root, folder):
    for name in TRAIN[2:5]:
        put(f"train/{name}", b"")(root)
    for accept_duplicates in (False, True):
        with pytest.raises(Corrupt) as caught:
            prepare(root, folder, accept_duplicates=accept_duplicates)
        said = str(caught.value).splitlines()
        assert [line.split("; ")[0] for line in said] == [
            f"{root}/train/{name} is empty" for name in TRAIN[2:5]
        ]


@pytest.mark.parametrize("change", ["other", "gone"])
def test_an_image_that_changes_between_hashing_and_decoding_is_named(
    root, folder, change, monkeypatch
):
    real, path = decoding.decode_all, root / "train" / TRAIN[4]

    def late(*arguments):
        path.write_bytes(GOOD) if change == "other" else path.unlink(missing_ok=True)
        return real(*arguments)

    monkeypatch.setattr(decoding, "decode_all", late)
    said = {
        "other": "was changed while it was checked",
        "gone": "cannot be read: No such file or d",
    }
    with pytest.raises(Corrupt, match=rf"^{path} {said[change]}"):
        prepare(root, folder)
    assert not folder.exists()


def test_a_change_after_prepare_is_named_before_any_is_decoded(root, folder, monkeypatch):
    prepare(root, folder)
    path = root / "val" / VAL[2]
    path.write_bytes(GOOD)
    monkeypatch.setattr(decoding, "decode_all", never)
    with pytest.raises(Corrupt, match=rf"^{path} was changed after it was prepared: sha256 \w+; v"):
        verify(root, folder)


def test_a_killed_process_is_named(root, folder, monkeypatch):
    monkeypatch.setattr(decoding, "_decode_files", _exits)
    with pytest.raises(
        RunFailed, match=r"was killed \(out of memory\?\): repeat with fewer --work"
    ):
        verify(root, folder)


def _exits(folder, names):
    os._exit(9)


def test_few_images_are_held_at_a_time(root):
    """The names are taken only as the results are: millions would not be listed first."""
    taken = []

    def names():
        for number in range(10_000):
            taken.append(number)
            yield TRAIN[0]

    images = decoding.decode_all(root / "train", names(), workers=1)
    next(images)
    images.close()
    assert len(taken) == decoding.CHUNK * decoding.AHEAD


def test_the_pace_is_said_every_while(capsys, monkeypatch):
    clock = iter([0.0, 1.0, 10.0, 10.0, 10.0])
    monkeypatch.setattr(decoding, "CHUNK", 1)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    pace = decoding.Pace(603)
    for _ in range(3):
        pace.step("train")
    assert capsys.readouterr().err == "train: 3 of 603 images, 0 a second, 50 min left\n"
