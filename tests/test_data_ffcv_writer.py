"""Our .beton writer: FFCV's format and pixels, the same bytes every time, nothing half-written."""

import fcntl
import io
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_betons import CAT, DOG, LACK, folder_of, load, write
from small_data import jpeg, write_files

from resparse.data import beton, beton_writer, ffcv_loader
from resparse.data.beton import Settings
from resparse.data.ffcv_kernel import require_ffcv
from resparse.data.folder import Folders
from resparse.errors import Corrupt, Missing

pytestmark = [pytest.mark.ffcv, pytest.mark.skipif(bool(LACK), reason=LACK)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return folder_of(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def path(root, tmp_path_factory):
    return write(root, tmp_path_factory.mktemp("betons") / "raw.beton")


def test_raw_pixels_are_the_decoded_images(root, path):
    found = beton.read(path)
    reference = Folders("small", root, root, workers=0).test.samples
    stored = np.memmap(path, np.uint8, "r")
    assert found.samples["label"].tolist() == [label for _, label in reference]
    for (name, _), image, size in zip(reference, found.samples["image"], found.sizes, strict=True):
        with Image.open(name) as decoded:
            pixels = np.asarray(decoded.convert("RGB"))
        at = int(image["pointer"])
        assert (image["height"], image["width"]) == pixels.shape[:2]
        assert stored[at : at + size].tobytes() == pixels.tobytes()


def test_the_file_is_ffcvs_and_holds_what_ffcvs_own_writer_stores(root, tmp_path):
    from ffcv import libffcv
    from ffcv.fields import IntField, RGBImageField
    from ffcv.reader import Reader
    from ffcv.types import ALLOC_TABLE_TYPE, FieldDescType, HeaderType, get_metadata_type

    theirs = (libffcv.ctypes_imdecode, libffcv.ctypes_resize)
    for ours, their in zip(require_ffcv(), theirs, strict=True):
        assert list(ours.argtypes) == list(their.argtypes)
    assert HeaderType.itemsize == beton.HEADER.itemsize
    assert FieldDescType.itemsize == beton.FIELD.itemsize
    assert ALLOC_TABLE_TYPE.itemsize == beton.PLACE.itemsize
    path = write(root, tmp_path / "x.beton", Settings(max_resolution=200, quality=80))
    found, reader = beton.read(path), Reader(str(path))
    assert list(reader.handlers) == ["image", "label"]
    assert reader.metadata.tobytes() == found.samples.tobytes()
    field = RGBImageField(write_mode="jpg", max_resolution=200, jpeg_quality=80)
    kept = np.zeros(1, get_metadata_type([field, IntField()]))
    data = path.read_bytes()
    for number, (name, _) in enumerate(Folders("x", root, root, workers=0).test.samples):
        stored = []

        def malloc(size, stored=stored):
            stored.append(np.zeros(size, np.uint8))
            return 0, stored[0]

        with Image.open(name) as image:
            field.encode(kept["f0"], image.convert("RGB"), malloc)
        at = int(found.samples["image"]["pointer"][number])
        assert data[at : at + found.sizes[number]] == stored[0].tobytes()
        assert (
            kept["f0"][["height", "width"]] == found.samples["image"][["height", "width"]][number]
        )


def through_ffcv(path, what, caches):
    """Arrays by name, see ffcv_own."""
    script, out = Path(__file__).with_name("ffcv_own.py"), path.with_suffix(".npz")
    command = [sys.executable, str(script), str(path), what, str(out), *caches]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(np.load(out))


def normalised(images):
    """(N, H, W, 3) uint8 as our loader hands them out: (N, 3, H, W), looked up by channel."""
    table = ffcv_loader.normalisation()
    return np.stack([table[channel][images[..., channel]] for channel in range(3)], 1)


@pytest.mark.parametrize(("what", "caches"), [("centre", ["os", "pages"]), ("whole", ["os"])])
def test_ffcvs_own_loader_reads_the_file_and_every_pixel_is_ours(tmp_path, what, caches):
    """20 images, JPEGs and pixels, of many sizes or of one, in more than one page of the least that
    FFCV takes.
    """
    shapes = [(256, 256) if what == "whole" else (250 + 9 * n, 400 - 7 * n) for n in range(20)]
    names = [f"{(CAT, DOG)[n // 10]}/{n:02d}.JPEG" for n in range(20)]
    write_files(tmp_path / "images", {name: jpeg(n, shapes[n]) for n, name in enumerate(names)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beton, "PAGE", 1 << 21)
        path = write(tmp_path / "images", tmp_path / "x.beton", Settings(mode="proportion"))
        ours = load(path)
    assert set(ours.test.mode.tolist()) == {beton.JPG, beton.RAW}
    assert set((ours.test.pointer >> 21).tolist()) >= {1, 2}
    if what == "centre":
        batches = list(ours.eval_batches("test", 3))
    else:
        boxes = torch.tensor([[0, 0, 256, 256]] * 20)
        crops = ffcv_loader.Crops(torch.arange(20), boxes, torch.zeros(20, dtype=torch.int64))
        batches = list(ours.test.batches([crops], side=256))
    images, labels = (torch.cat(parts).numpy() for parts in zip(*batches, strict=True))
    theirs = through_ffcv(path, what, caches)
    assert labels.tolist() == theirs["labels"].tolist() == [0] * 10 + [1] * 10
    for cache in caches:
        assert np.array_equal(normalised(theirs[cache]), images)


def test_the_same_bytes_whatever_the_number_of_processes(root, tmp_path):
    settings = Settings(mode="proportion", max_resolution=200, proportion=0.5)
    one, two = (write(root, tmp_path / f"{n}.beton", settings, workers=n) for n in (1, 2))
    assert one.read_bytes() == two.read_bytes()
    assert set(beton.read(one).samples["image"]["mode"]) == {beton.JPG, beton.RAW}


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (jpeg(1)[:400], "is truncated: "),
        (b"\xff\xd8" + b"x" * 99, "cannot be decoded: "),
        (b"", "is empty"),
        (b"<html></html>", "is an HTML page, not an image"),
    ],
)
def test_an_image_that_is_not_whole_is_named_and_nothing_is_written(tmp_path, bad, said):
    folder = folder_of(tmp_path / "images")
    write_files(folder, {f"{DOG}/{DOG}_1.JPEG": bad})
    with pytest.raises(Corrupt, match=rf"^\S+/{DOG}/{DOG}_1.JPEG {said}.*; valid: a whole JPEG$"):
        write(folder, tmp_path / "x.beton")
    assert [p.name for p in tmp_path.iterdir()] == ["images"]


def test_a_stored_jpeg_that_does_not_decode_is_named(root, tmp_path):
    path = write(root, tmp_path / "x.beton", Settings(max_resolution=200))
    found = beton.read(path)
    at, size = int(found.samples["image"]["pointer"][5]), int(found.sizes[5])
    with path.open("r+b") as file:
        file.seek(at + size // 2)
        file.write(bytes(size - size // 2))
    with pytest.raises(Corrupt, match=r"x.beton: sample 5 cannot be decoded; write it again"):
        ffcv_loader.require_decodes(found)
    with pytest.raises(Corrupt, match=r"was changed after it was written"):
        beton.read(path)


def copied(path, to):
    """A .beton with its manifest at another place."""
    shutil.copy(path, to)
    shutil.copy(beton.sidecar_of(path), beton.sidecar_of(to))
    return to


def written_apart(root, path, killed_at=None):
    """Write in a process that ends without a word where it calls ``killed_at``; its exit code.

    It is forked, so that all is imported and compiled; it has no fork server, so it encodes alone.
    """

    def alone(work, names, *rest):
        return iter(work(list(names)))

    def main():
        beton_writer.decoding.in_order = alone
        if killed_at:
            setattr(beton_writer, killed_at, lambda *arguments: os._exit(9))
        beton_writer.write(root, path, Settings(), workers=1)

    process = multiprocessing.get_context("fork").Process(target=main)
    process.start()
    process.join(60)
    return process.exitcode


@pytest.mark.parametrize(
    "at",
    [
        *("_place", "_finish", "structure", "file_sha256", "require_decodes"),
        *("sync_folder", "write_sidecar"),
    ],
)
def test_what_a_killed_writer_leaves_is_never_used(root, path, tmp_path, at):
    before, path = path.read_bytes(), copied(path, tmp_path / "x.beton")
    assert written_apart(root, path, at) == 9
    if at in ("sync_folder", "write_sidecar"):  # the new file is there, its manifest is not
        with pytest.raises(Missing, match=r"x.beton.json is missing, so x.beton is not used"):
            load(path)
    else:  # the old file is as it was
        assert path.read_bytes() == before
        assert load(path).train_size == 8
    assert written_apart(root, path) == 0  # and the next writer is not in its way
    assert load(path).provenance["beton"]["train"]["mode"] == "jpg"
    assert not list(tmp_path.glob(".*"))


def test_two_writers_at_once_are_refused(root, tmp_path):
    with (tmp_path / ".x.beton.tmp").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Missing, match=r"x.beton is being written by another process: wait"):
            write(root, tmp_path / "x.beton")


def test_a_lock_on_a_file_that_was_moved_away_is_none(tmp_path):
    aside = tmp_path / "aside"
    with aside.open("ab") as held:
        assert beton_writer._lock(held, aside)
        aside.rename(tmp_path / "whole.beton")  # as a writer does that was ready meanwhile
        assert not beton_writer._lock(held, aside)
        aside.touch()
        assert not beton_writer._lock(held, aside)


def test_a_greyscale_and_a_cmyk_image_are_stored_as_rgb(tmp_path):
    files = {f"{CAT}/1.JPEG": jpeg(1, mode="L"), f"{CAT}/2.JPEG": jpeg(2, mode="CMYK")}
    write_files(tmp_path / "images", files)
    found = beton.read(write(tmp_path / "images", tmp_path / "x.beton"))
    stored = np.memmap(found.path, np.uint8, "r")
    for data, image in zip(files.values(), found.samples["image"], strict=True):
        at = int(image["pointer"])
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        assert stored[at : at + pixels.size].tobytes() == pixels.tobytes()
