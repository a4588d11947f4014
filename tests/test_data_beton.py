"""The .beton format by hand, and every way in which a file is not whole."""

import json
import os

import numpy as np
import pytest
from small_betons import CAT, DOG, raw_beton, raw_image
from small_data import forged

from resparse.data import beton, beton_writer
from resparse.data.beton import HEADER, JPG, PLACE, SAMPLE, SAMPLES_AT
from resparse.errors import Corrupt, Missing, UsageError
from resparse.files import file_sha256

FIRST = 1 << 26  # where the data begin: the first page's end


@pytest.fixture
def path(tmp_path):
    return raw_beton(tmp_path / "x.beton")


def test_what_lies_where(path):
    found = beton.read(path)
    assert found.sizes.tolist() == [60, 60, 60, 60]
    assert found.samples["label"].tolist() == [0, 1, 0, 1]
    assert found.samples["image"]["pointer"].tolist() == [FIRST + 60 * n for n in range(4)]
    data = path.read_bytes()
    assert data[FIRST : FIRST + 240] == bytes(n for n in range(4) for _ in range(60))
    assert len(data) == FIRST + 240 + 4 * 24  # the allocation table ends it
    assert (SAMPLES_AT, SAMPLE.itemsize, HEADER.itemsize) == (24 + 2 * 1041, 24, 24)


def test_an_image_does_not_cross_a_pages_end(monkeypatch, tmp_path):
    monkeypatch.setattr(beton, "PAGE", 4096)
    found = beton.read(raw_beton(tmp_path / "x.beton", 100))
    first = found.samples["image"]["pointer"]
    assert first[:2].tolist() == [8192, 8252]  # header and samples take 4,506 bytes
    assert bool((first // 4096 == (first + 59) // 4096).all())
    assert first[68] == 12288  # 68 images of 60 bytes fill 4,080 bytes
    monkeypatch.setattr(beton, "PAGE", 32)
    with pytest.raises(UsageError, match=r"n00000001/0.JPEG is 5 x 4 pixels, too many for a page"):
        raw_beton(tmp_path / "y.beton")


def poke(path, at, data):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def header(**values):
    """Write some of the header's fields anew."""

    def act(path):
        now = np.fromfile(path, HEADER, 1)
        for name, value in values.items():
            now[name] = value
        poke(path, 0, now.tobytes())

    return act


def sample(number, part, value):
    """Write one value of one sample anew; "label" or a part of the image."""

    def act(path):
        now = np.fromfile(path, SAMPLE, 4, offset=SAMPLES_AT)
        (now if part == "label" else now["image"])[part][number] = value
        poke(path, SAMPLES_AT, now.tobytes())

    return act


def place(number, part, value):
    def act(path):
        at = FIRST + 240
        now = np.fromfile(path, PLACE, 4, offset=at)
        now[part][number] = value
        poke(path, at, now.tobytes())

    return act


def both(*acts):
    return lambda path: [act(path) for act in acts]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda p: os.truncate(p, 100), r"has 100 bytes; valid: 67,109,200; write it again"),
        (lambda p: os.truncate(p, FIRST + 240), r"has 67,109,104 bytes; valid: 67,109,200"),
        (lambda p: p.open("ab").write(b"\0"), r"has 67,109,201 bytes; valid: 67,109,200"),
        (lambda p: poke(p, FIRST + 7, b"\xff"), r"was changed after it was written: sha256 \w{64}"),
        (lambda p: poke(p, 0, bytes(24)), r"version: 0; valid: 2; write it again"),
        (lambda p: poke(p, 24, b"\x04"), r"fields: \(\(4, b'image'\), \(1, b'label'\)\); valid"),
        (header(version=3), r"version: 3; valid: 2"),
        (header(fields=3), r"fields: 3; valid"),
        (header(samples=3), r"samples: 3; valid: 4"),
        (header(table=0), r"the end of its allocation table: 96; valid: 67109200"),
        (place(2, "sample", 1), r"sample 2 is not in the allocation table"),
        (sample(1, "pointer", FIRST), r"sample 1 lies elsewhere than the allocation table says"),
        (both(sample(0, "pointer", 50), place(0, "pointer", 50)), r"sample 0 begins before the d"),
        (place(3, "size", 61), r"sample 3 runs into what follows"),
        (place(1, "size", 0), r"sample 1 runs into what follows"),
        (
            both(sample(3, "mode", JPG), place(3, "size", 2**64 - 100)),
            r"sample 3 runs into what follows",
        ),
        (
            both(sample(0, "pointer", 2**64 - 9), place(0, "pointer", 2**64 - 9)),
            r"sample 0 runs into what follows",
        ),
        (header(page=1 << 21), r"page size: 2097152; valid: 67108864"),
        (sample(3, "mode", 2), r"sample 3 has an unknown mode or no pixels"),
        (sample(3, "height", 0), r"sample 3 has an unknown mode or no pixels"),
        (sample(2, "width", 4), r"sample 2 has not the bytes of its size"),
        (sample(1, "label", 2), r"sample 1 has no valid label"),
    ],
)
def test_a_fault_is_named(path, damage, said):
    damage(path)
    with pytest.raises(Corrupt, match=said):
        beton.read(path)


def test_without_its_manifest_nothing_is_used(path):
    beton.sidecar_of(path).unlink()
    with pytest.raises(Missing, match=r"x.beton.json is missing, so x.beton is not used; write"):
        beton.read(path)
    path.unlink()
    with pytest.raises(Missing, match=r"x.beton.json is missing"):
        beton.read(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"samples": 5}, r"samples: 4; valid: 5"),
        ({"samples": 0}, r"x.beton.json: samples: Input should be greater than or equal to 1; w"),
        (
            {"samples": 2_000_000},
            r"has 67,109,200 bytes; valid: at least 96,002,106 for 2,000,000",
        ),
        ({"schema": 1}, r"x.beton.json has schema 1; valid: 2"),
        ({"classes": [CAT]}, r"sample 1 has no valid label"),
        ({"more": 1}, r"x.beton.json: more: Extra inputs"),
        ({"settings": {"mode": "png"}}, r"x.beton.json: settings.mode: Input should be 'jpg', "),
    ],
)
def test_a_manifest_that_says_something_else(path, changes, said):
    forged(beton.sidecar_of(path), **changes)
    with pytest.raises(Corrupt, match=said):
        beton.read(path)


def test_a_manifest_that_somebody_edited_is_not_believed(path):
    """Other class names or another quality would fit the file, and be said of a training."""
    beside = beton.sidecar_of(path)
    said = json.loads(beside.read_text())
    for changes in ({"classes": [DOG, CAT]}, {"settings": said["settings"] | {"quality": 91}}):
        beside.write_text(json.dumps(said | changes))
        with pytest.raises(Corrupt, match=r"x.beton.json was changed after .*; write x.beton agai"):
            beton.read(path)


def test_a_manifest_that_is_none(path):
    beton.sidecar_of(path).write_text('{"schema": 1')
    with pytest.raises(Corrupt, match=r"x.beton.json is not JSON \(.*; write x.beton again"):
        beton.read(path)


def test_a_file_that_was_swapped_for_another_whole_one(path, tmp_path):
    other = raw_beton(tmp_path / "y.beton")
    poke(other, FIRST, b"\x09")
    other.replace(path)
    with pytest.raises(Corrupt, match=rf"sha256 {file_sha256(path)}; valid"):
        beton.read(path)


@pytest.mark.parametrize("listed", [3, 5])
def test_a_folder_that_changes_while_it_is_read(tmp_path, listed):
    images = (raw_image(n) for n in range(4))
    with (tmp_path / "x").open("w+b") as file, pytest.raises(Corrupt) as caught:
        beton_writer._write(file, tmp_path, images, listed, [CAT, DOG])
    more = "n00000002/3.JPEG is new: the folder was changed; valid: a whole JPEG"
    fewer = "was changed while it was read: 4 of 5 images"
    assert str(caught.value).endswith(more if listed == 3 else fewer)
