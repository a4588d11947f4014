"""The ffcv loader against the torch loader, FFCV's own writer's format, and files that are bad."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_betons import CAT, DOG, folder_of, image_files
from small_data import jpeg, write_files

from resparse.data import beton, imagenet_folders
from resparse.data.beton import Settings
from resparse.data.folder import STD, Folders
from resparse.data.order import Share
from resparse.errors import Corrupt, Missing

try:
    from resparse.data.ffcv_loader import Betons, require_decodes, require_ffcv

    require_ffcv()
    LACK = ""
except Missing as error:
    LACK = str(error)
pytestmark = [pytest.mark.ffcv, pytest.mark.skipif(bool(LACK), reason=LACK)]
SCRIPT = Path(__file__).with_name("ffcv_steps.py")
RAW = Settings(mode="raw", max_resolution=None)


def write(folder, path, settings=RAW, **how):
    from resparse.data import beton_writer

    beton_writer.write(folder, path, settings, **({"workers": 1} | how))
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return folder_of(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def path(root, tmp_path_factory):
    return write(root, tmp_path_factory.mktemp("betons") / "raw.beton")


def load(path, **how):
    return Betons("small", path, path, **({"workers": 2} | how))


def equal(one, other):
    same = [torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y)]
    return bool(same) and all(same)


def test_raw_images_that_need_no_resizing_are_equal_to_torchs_to_the_bit(tmp_path):
    """256 x 256: the centre crop of both loaders is pixels 16 to 240."""
    folder = folder_of(tmp_path / "images", size=(256, 256))
    for number, name in enumerate(image_files()):
        (folder / name).write_bytes(jpeg(number, (256, 256)))
    data = load(write(folder, tmp_path / "x.beton"))
    reference = Folders("small", folder, folder, workers=0)
    assert equal(data.eval_batches("test", 3), reference.eval_batches("test", 3))


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


def levels(one, other):
    """Differences of normalised images in pixel values of 255."""
    scale = 255 * torch.tensor(STD).view(3, 1, 1)
    return torch.cat([(x - y) * scale for (x, _), (y, _) in zip(one, other, strict=True)]).abs()


SAMPLE = Path(os.environ.get("RESPARSE_DATA", "/nonexistent")) / "imagenet-sample"


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="no imagenet-sample in RESPARSE_DATA")
@pytest.mark.parametrize(
    ("settings", "mean", "most"), [(RAW, 2.5, 0.10), (Settings(max_resolution=500), 4.0, 0.20)]
)
def test_evaluation_agrees_with_torchs_but_for_the_resizing(tmp_path, settings, mean, most, capsys):
    """torchvision resizes to 256 by a triangle filter and cuts 224; FFCV cuts 7/8 of the shorter
    side and averages it to 224 by area. In pixel values: the mean difference, and the share of
    images that differ by more than 8 in the mean."""
    folder = tmp_path / "images"
    folder.mkdir()
    for wnid in sorted(p.name for p in SAMPLE.iterdir())[:40]:
        (folder / wnid).symlink_to(SAMPLE / wnid)
    data = load(write(folder, tmp_path / "x.beton", settings))
    reference = Folders("sample", folder, folder, workers=0)
    found, expected = (list(d.eval_batches("test", 8)) for d in (data, reference))
    assert [y.tolist() for _, y in found] == [y.tolist() for _, y in expected]
    difference = levels(found, expected)
    by_image = difference.mean((1, 2, 3))
    with capsys.disabled():
        said = f"mean {float(difference.mean()):.2f}, images {by_image.sort().values[-3:].tolist()}"
        print(f"\n{settings.mode} at {settings.max_resolution}: difference of pixels {said}")
    assert float(difference.mean()) < mean
    assert float((by_image > 8).float().mean()) <= most


def test_batches_do_not_depend_on_threads_or_on_where_they_start(path):
    data = load(path)
    whole = list(data.train_batches(3, 4, 0, 5))
    assert [tuple(images.shape) for images, _ in whole] == [(4, 3, 224, 224)] * 5
    assert equal(load(path, workers=1).train_batches(3, 4, 0, 5), whole)
    assert equal(data.train_batches(3, 4, 3, 5), whole[3:])
    assert not torch.equal(whole[0][0], whole[2][0])
    assert not equal(data.train_batches(4, 4, 0, 5), whole)


def test_labels_come_in_the_torch_loaders_order(root, path):
    reference = Folders("small", root, root, workers=0)
    one, other = (d.train_batches(3, 4, 0, 4) for d in (load(path), reference))
    assert [y.tolist() for _, y in one] == [y.tolist() for _, y in other]


@pytest.mark.parametrize("world", [2, 4])
def test_processes_share_each_batch_and_the_test_images(path, world):
    whole = list(load(path).train_batches(3, 4, 0, 3))
    test = torch.cat([x for x, _ in load(path).eval_batches("test", 3)])
    seen = 0
    for rank in range(world):
        part = load(path, share=Share(rank, world))
        expected = [(x[rank::world], y[rank::world]) for x, y in whole]
        assert equal(part.train_batches(3, 4, 0, 3), expected)
        mine = torch.cat([x for x, _ in part.eval_batches("test", 3)])
        assert torch.equal(mine, test[rank::world])
        seen += len(mine)
    assert seen == load(path).size("test") == 8


def test_flipped_images_are_the_mirrored_ones(path):
    from resparse.data.ffcv_loader import Crops

    decoder = load(path).train
    numbers, boxes = torch.tensor([0, 0]), torch.tensor([[3, 5, 200, 210]] * 2)
    images, _ = next(decoder.batches([Crops(numbers, boxes, torch.tensor([0, 1]))]))
    assert torch.equal(images[0].flip(2), images[1])
    assert not torch.equal(images[0], images[1])


def test_the_file_is_ffcvs_and_holds_what_ffcvs_own_writer_stores(root, tmp_path):
    from ffcv.fields import IntField, RGBImageField
    from ffcv.reader import Reader
    from ffcv.types import ALLOC_TABLE_TYPE, FieldDescType, HeaderType, get_metadata_type

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


def test_the_same_bytes_whatever_the_number_of_processes(root, tmp_path):
    settings = Settings(mode="proportion", max_resolution=200, proportion=0.5)
    one, two = (write(root, tmp_path / f"{n}.beton", settings, workers=n) for n in (1, 2))
    assert one.read_bytes() == two.read_bytes()
    assert set(beton.read(one).samples["image"]["mode"]) == {beton.JPG, beton.RAW}


def test_how_it_was_written_is_in_the_hash_and_in_the_provenance(root, path, tmp_path):
    data = load(path)
    assert data.provenance["loader"] == "ffcv"
    assert data.provenance["beton"]["train"] == RAW.model_dump()
    hashes = {data.sha256, load(path).sha256}
    for number, quality in enumerate((90, 80)):
        other = write(root, tmp_path / f"{number}.beton", Settings(quality=quality))
        hashes.add(load(other).sha256)
    assert len(hashes) == 3


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
        require_decodes(found)
    with pytest.raises(Corrupt, match=r"was changed after it was written"):
        beton.read(path)


KILLED = """
import os, sys
from pathlib import Path
from resparse.data import beton_writer, ffcv_loader
from resparse.data.beton import Settings

def die(*arguments):
    os._exit(9)

name = sys.argv[3]
target = {"write_sidecar": beton_writer, "_finish": beton_writer, "sync_folder": beton_writer,
          "file_sha256": beton_writer, "require_decodes": ffcv_loader}[name]
setattr(target, name, die)
if __name__ == "__main__":
    beton_writer.write(Path(sys.argv[1]), Path(sys.argv[2]), Settings(), workers=1)
"""


@pytest.mark.parametrize(
    "at", ["_finish", "file_sha256", "require_decodes", "sync_folder", "write_sidecar"]
)
def test_what_a_killed_writer_leaves_is_never_used(root, tmp_path, at):
    path, script = write(root, tmp_path / "x.beton"), tmp_path / "killed.py"
    before = path.read_bytes()
    script.write_text(KILLED)
    done = subprocess.run([sys.executable, script, root, path, at], check=False)
    assert done.returncode == 9
    if at in ("sync_folder", "write_sidecar"):  # the new file is there, its manifest is not
        with pytest.raises(Missing, match=r"x.beton.json is missing, so x.beton is not used"):
            load(path)
    else:  # the old file is as it was
        assert path.read_bytes() == before
        assert load(path).train_size == 8
    write(root, path, Settings())  # and the next writer is not in its way
    assert load(path).provenance["beton"]["train"]["mode"] == "jpg"
    assert not list(tmp_path.glob(".*"))


def test_two_writers_at_once_are_refused(root, tmp_path):
    import fcntl

    with (tmp_path / ".x.beton.tmp").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Missing, match=r"x.beton is being written by another process: wait"):
            write(root, tmp_path / "x.beton")


def test_prepare_writes_the_loaders_files(tmp_path, monkeypatch):
    monkeypatch.setenv("RESPARSE_LOADER", "ffcv")
    source, folder = tmp_path / "imagenet", tmp_path / "prepared"
    images = list(image_files(12).items())
    write_files(source / "train", dict(images[:8]))
    write_files(source / "val", dict(images[8:]))
    few = {"train": (4, 4), "val": (2, 2)}
    expected = imagenet_folders.Expected(2, few, {"train": 8, "val": 4})

    def prepare(**how):
        how = {"workers": 1, "expected": expected} | how
        return imagenet_folders.prepare(source, folder, **how)

    files = prepare()["files"]
    assert {"train.beton", "train.beton.json", "val.beton", "val.beton.json"} < files.keys()
    data = Betons("imagenet", folder / "train.beton", folder / "val.beton")
    assert (data.size("train"), data.size("test"), data.classes) == (8, 4, 2)
    assert prepare()["did"] == "already prepared and intact"
    assert "was written as mode='jpg'" in prepare(settings=RAW)["because"]
    assert beton.read(folder / "val.beton").sidecar.settings == RAW


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Eight classes of one image each: a label says which image."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(8):
        write_files(folder, {f"n0000000{number}/{number}.JPEG": jpeg(number, (120, 100))})
    return folder


def steps(folder, world, model="mobilenet_v1"):
    how = [str(folder), "--model", model, "--steps", "4", "--batch", "4"]
    runner = ["-m", "torch.distributed.run", "--nproc-per-node", str(world)]
    command = [sys.executable, *(runner + ["--standalone"] if world > 1 else []), str(SCRIPT)]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *how], check=False, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_two_processes_train_on_every_image_once_an_epoch_and_test_each_once(many):
    report = steps(many, 2)
    first, second = report["labels"]
    assert len(first) == len(second) == 8  # two epochs of eight images
    for epoch in (slice(0, 4), slice(4, 8)):
        assert sorted(first[epoch] + second[epoch]) == list(range(8))
    assert report["tested"] == 8
    alone = steps(many, 1)
    assert [alone["labels"][0][0::2], alone["labels"][0][1::2]] == [first, second]
    assert len(report["losses"]) == 4
    assert all(np.isfinite(report["losses"]))


def test_a_greyscale_and_a_cmyk_image_are_stored_as_rgb(tmp_path):
    files = {f"{CAT}/1.JPEG": jpeg(1, mode="L"), f"{CAT}/2.JPEG": jpeg(2, mode="CMYK")}
    write_files(tmp_path / "images", files)
    found = beton.read(write(tmp_path / "images", tmp_path / "x.beton"))
    stored = np.memmap(found.path, np.uint8, "r")
    for data, image in zip(files.values(), found.samples["image"], strict=True):
        at = int(image["pointer"])
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        assert stored[at : at + pixels.size].tobytes() == pixels.tobytes()
