"""The ffcv loader against the torch loader, FFCV's own writer's format, and files that are bad."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import ffcv_steps
import numpy as np
import pytest
import torch
from small_betons import LACK, RAW, folder_of, image_files, load, write
from small_data import jpeg, write_files
from torch.nn import functional as F

from resparse.data import beton
from resparse.data.beton import Settings
from resparse.data.beton_size import expected_bytes
from resparse.data.ffcv_loader import Betons
from resparse.data.folder import STD, Folders
from resparse.data.order import Share
from resparse.errors import Corrupt
from resparse.models import build_model
from resparse.outcome import count_correct
from resparse.seeds import generator

pytestmark = [pytest.mark.ffcv, pytest.mark.skipif(bool(LACK), reason=LACK)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return folder_of(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def path(root, tmp_path_factory):
    return write(root, tmp_path_factory.mktemp("betons") / "raw.beton")


def equal(one, other):
    pairs = list(zip(one, other, strict=True))
    return bool(pairs) and all(
        torch.equal(x[0], y[0]) and torch.equal(x[1], y[1]) for x, y in pairs
    )


def test_raw_images_that_need_no_resizing_are_equal_to_torchs_to_the_bit(tmp_path):
    """256 x 256: the centre crop of both loaders is pixels 16 to 240."""
    folder = folder_of(tmp_path / "images", size=(256, 256))
    for number, name in enumerate(image_files()):
        (folder / name).write_bytes(jpeg(number, (256, 256)))
    data = load(write(folder, tmp_path / "x.beton"))
    reference = Folders("small", folder, folder, workers=0)
    assert equal(data.eval_batches("test", 3), reference.eval_batches("test", 3))


SAMPLE = Path(os.environ.get("RESPARSE_DATA", "/nonexistent")) / "imagenet-sample"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """40 real images, and what the torch loader makes of them to test on."""
    if not SAMPLE.is_dir():
        pytest.skip("no imagenet-sample in RESPARSE_DATA")
    folder = tmp_path_factory.mktemp("sample")
    for wnid in sorted(p.name for p in SAMPLE.iterdir())[:40]:
        (folder / wnid).symlink_to(SAMPLE / wnid)
    return folder, list(Folders("sample", folder, folder, workers=0).eval_batches("test", 8))


@pytest.mark.parametrize(
    ("settings", "patches"), [(RAW, 1.2), (Settings(max_resolution=500), 1.9)], ids=["raw", "500"]
)
def test_evaluation_agrees_with_torchs_but_for_the_resizing(tmp_path, sample, settings, patches):
    """In pixel values 0 to 255, of 40 images whose contrast is 43; ``pytest -s`` prints them.

    torchvision resizes to 256 by a triangle filter and cuts 224; FFCV cuts 7/8 of the shorter side
    and averages it to 224 by area, up to a pixel beside. So pixels differ by 5.5 in the mean (raw;
    5.9 at 500), less than torch's own image moved by one pixel: 8.8. The means of patches of
    16 x 16 differ by 0.78 (raw) and 1.24: FFCV decodes JPEGs by the fast DCT, 0.8 off.
    """
    folder, expected = sample
    found = list(load(write(folder, tmp_path / "x.beton", settings)).eval_batches("test", 8))
    assert [y.tolist() for _, y in found] == [y.tolist() for _, y in expected]
    scale = 255 * torch.tensor(STD).view(3, 1, 1)
    one, other = (torch.cat([images for images, _ in b]) * scale for b in (found, expected))
    moved = float((other[..., 1:] - other[..., :-1]).abs().mean())
    pixel = float((one - other).abs().mean())
    patch = float((F.avg_pool2d(one, 16) - F.avg_pool2d(other, 16)).abs().mean())
    print(f"ffcv - torch: pixels {pixel:.2f}, patches {patch:.2f}; moved {moved:.2f}")
    assert pixel < moved
    assert patch < patches


@pytest.mark.parametrize(
    "settings",
    [RAW, Settings(mode="raw", max_resolution=300), Settings(), Settings(quality=98)],
    ids=["raw", "raw 300", "jpg", "jpg 98"],
)
def test_the_expected_disk_is_enough_and_not_much_more(tmp_path, sample, settings):
    folder = sample[0]
    source = sum(path.stat().st_size for path in folder.glob("*/*"))
    took = write(folder, tmp_path / "x.beton", settings).stat().st_size - beton.PAGE
    assert took < expected_bytes(settings, 40, source) < 2 * took


def test_batches_do_not_depend_on_threads_or_on_where_they_start(path):
    data = load(path)
    whole = list(data.train_batches(3, 4, 0, 5))
    assert [tuple(images.shape) for images, _ in whole] == [(4, 3, 224, 224)] * 5
    assert equal(load(path, workers=1).train_batches(3, 4, 0, 5), whole)
    assert equal(data.train_batches(3, 4, 3, 5), whole[3:])
    assert not torch.equal(whole[0][0], whole[2][0])
    assert not equal(data.train_batches(4, 4, 0, 5), whole)


def test_a_training_batch_is_the_crops_and_flips_of_its_step(path):
    from resparse.data.crops import random_boxes
    from resparse.data.ffcv_loader import Crops

    data, flipped = load(path), set()
    for epoch, step in ((0, 0), (0, 1), (1, 2)):
        order = torch.randperm(8, generator=generator(3, "order", epoch))
        numbers = order[4 * (step % 2) :][:4]
        boxes, flips = random_boxes(*data.train.shapes(numbers), 3, step)
        expected = next(data.train.batches([Crops(numbers, boxes, flips)]))
        assert equal([next(data.train_batches(3, 4, step, step + 1))], [expected])
        flipped |= set(flips.tolist())
        assert len({tuple(box) for box in boxes.tolist()}) == 4
    assert flipped == {0, 1}


def test_labels_come_in_the_torch_loaders_order(root, path):
    reference = Folders("small", root, root, workers=0)
    one, other = (d.train_batches(3, 4, 0, 4) for d in (load(path), reference))
    assert [y.tolist() for _, y in one] == [y.tolist() for _, y in other]


@pytest.mark.parametrize("world", [2, 4])
def test_processes_share_each_batch(path, world):
    whole = list(load(path).train_batches(3, 4, 0, 3))
    for rank in range(world):
        part = load(path, share=Share(rank, world))
        expected = [(x[rank::world], y[rank::world]) for x, y in whole]
        assert equal(part.train_batches(3, 4, 0, 3), expected)


@pytest.mark.parametrize("world", [1, 2, 3, 9])
def test_each_test_image_is_seen_by_one_process_alone(root, path, world):
    """8 images: 3, 3 and 2 of them by three processes, of nine one sees none."""
    alone = torch.cat([x for x, _ in load(path).eval_batches("test", 3)])
    for rank in range(world):
        share = Share(rank, world)
        ffcv, torchs = load(path, share=share), Folders("x", root, root, workers=0, share=share)
        images = [x for x, _ in ffcv.eval_batches("test", 3)]
        assert all(len(x) for x in images)
        assert torch.equal(torch.cat([alone[:0], *images]), alone[rank::world])
        assert sum(len(y) for _, y in torchs.eval_batches("test", 3)) == len(alone[rank::world])


def test_flipped_images_are_the_mirrored_ones(path):
    from resparse.data.ffcv_loader import Crops

    decoder = load(path).train
    numbers, boxes = torch.tensor([0, 0]), torch.tensor([[3, 5, 200, 210]] * 2)
    images, _ = next(decoder.batches([Crops(numbers, boxes, torch.tensor([0, 1]))]))
    assert torch.equal(images[0].flip(2), images[1])
    assert not torch.equal(images[0], images[1])


def test_how_it_was_written_is_in_the_hash_and_in_the_provenance(root, path, tmp_path):
    data = load(path)
    assert data.provenance["loader"] == "ffcv"
    assert data.provenance["beton"]["train"] == RAW.model_dump()
    hashes = {data.sha256, load(path).sha256}
    for number, quality in enumerate((90, 80)):
        other = write(root, tmp_path / f"{number}.beton", Settings(quality=quality))
        hashes.add(load(other).sha256)
    assert len(hashes) == 3


def test_files_of_other_classes_are_refused(root, path, tmp_path):
    images = image_files().items()
    other = {name.replace("n00000002", "n00000003"): data for name, data in images}
    write_files(tmp_path / "other", other)
    test = write(tmp_path / "other", tmp_path / "test.beton")
    with pytest.raises(
        Corrupt, match=rf"^{path} and {test} have other classes; write both from one dataset$"
    ):
        Betons("small", path, test)
    shutil.copytree(root, tmp_path / "same")
    assert Betons("small", path, write(tmp_path / "same", test)).classes == 2


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Eight classes of one image each: a label says which image."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(8):
        write_files(folder, {f"n0000000{number}/{number}.JPEG": jpeg(number, (120, 100))})
    return folder


def torchrun(world, *arguments):
    """ffcv_steps.py under torchrun, ended."""
    runner = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
    command = [sys.executable, "-m", *runner, ffcv_steps.__file__, *map(str, arguments)]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env=env, timeout=300
    )


def test_two_processes_train_on_every_image_once_an_epoch_and_test_each_once(many, tmp_path):
    path = write(many, tmp_path / "many.beton")
    how = ["--model", "resnet8", "--steps", 4, "--batch", 4, "--beton", path]
    done = torchrun(2, many, *how)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    first, second = report["labels"]
    assert len(first) == len(second) == 8  # two epochs of eight images
    for epoch in (slice(0, 4), slice(4, 8)):
        assert sorted(first[epoch] + second[epoch]) == list(range(8))
    assert report["tested"] == 8
    assert len(report["losses"]) == 4
    assert all(np.isfinite(report["losses"]))
    data = load(path)
    model = build_model("resnet8", data.classes, data.image_shape, 0)
    losses, labels = ffcv_steps.train(data, model, 4, 4)
    assert [labels[0::2], labels[1::2]] == [first, second]
    assert len(losses) == 4
    assert 0 <= count_correct(model, model, data, "test", 3) <= 8


def test_a_file_that_was_changed_ends_both_processes(many, tmp_path):
    path = write(many, tmp_path / "many.beton")
    with path.open("r+b") as file:
        file.seek(beton.PAGE)
        file.write(b"\0\0")
    done = torchrun(2, many, "--model", "resnet8", "--steps", 2, "--batch", 4, "--beton", path)
    assert done.returncode != 0
    for rank in (0, 1):
        assert f"process {rank}: {path} was changed after it was written: sha256 " in done.stderr
