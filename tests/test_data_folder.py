"""The torch loader on small class folders: order, resumption, shares, and how it is chosen."""

import sys

import pytest
import torch
from PIL import Image
from small_betons import DOG, folder_of
from small_data import jpeg
from torchvision import transforms

from resparse import data
from resparse.data import imagenet
from resparse.data.folder import MEAN, STD, Folders
from resparse.data.order import Share
from resparse.errors import Corrupt, Missing, UsageError
from resparse.seeds import derive, generator


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return folder_of(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def loaded(root):
    return Folders("small", root, root, workers=0)


def equal(one, other):
    pairs = list(zip(one, other, strict=True))
    return bool(pairs) and all(
        torch.equal(x[0], y[0]) and torch.equal(x[1], y[1]) for x, y in pairs
    )


def test_what_it_is(loaded):
    assert (loaded.classes, loaded.train_size, loaded.image_shape) == (2, 8, (3, 224, 224))
    assert [loaded.size(split) for split in ("train", "val", "test")] == [8, 0, 8]
    assert loaded.provenance == {
        "loader": "torch",
        "images": "known by name and label, their contents are not",
    }


def test_steps_are_the_same_from_any_start_and_with_processes(root, loaded):
    whole = list(loaded.train_batches(3, 4, 0, 5))
    assert [tuple(images.shape) for images, _ in whole] == [(4, 3, 224, 224)] * 5
    assert equal(loaded.train_batches(3, 4, 3, 5), whole[3:])
    assert equal(Folders("small", root, root, workers=2).train_batches(3, 4, 0, 5), whole)
    assert not torch.equal(whole[0][0], whole[2][0])


def test_processes_share_each_batch_and_the_test_images(root, loaded):
    whole = list(loaded.train_batches(3, 4, 0, 2))
    parts = [Folders("small", root, root, workers=0, share=Share(rank, 2)) for rank in (0, 1)]
    for rank, part in enumerate(parts):
        assert equal(part.train_batches(3, 4, 0, 2), [(x[rank::2], y[rank::2]) for x, y in whole])
    images = torch.cat([x for part in parts for x, _ in part.eval_batches("test", 3)])
    alone = torch.cat([x for x, _ in loaded.eval_batches("test", 3)])
    assert torch.equal(images, torch.cat([alone[0::2], alone[1::2]]))


def test_a_training_batch_by_hand(root, loaded):
    """torchvision's crop and flip, drawn from (seed, epoch, number of the image), normalised."""
    grow = transforms.Compose(
        [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()]
    )
    flips = set()
    for epoch, step in ((0, 1), (1, 2), (1, 3)):
        images, labels = next(loaded.train_batches(3, 4, step, step + 1))
        order = torch.randperm(8, generator=generator(3, "order", epoch))
        for row, number in enumerate(order[4 * (step % 2) :][:4].tolist()):
            name, label = loaded.test.samples[number]
            with torch.random.fork_rng(), Image.open(name) as image:
                torch.manual_seed(derive(3, "augment", epoch, number))
                pixels = transforms.functional.to_tensor(grow(image.convert("RGB")))
                torch.manual_seed(derive(3, "augment", epoch, number))
                cut = transforms.functional.to_tensor(grow.transforms[0](image.convert("RGB")))
            flips.add(torch.equal(pixels, cut))
            mean, std = (torch.tensor(value).view(3, 1, 1) for value in (MEAN, STD))
            assert torch.equal(images[row], (pixels - mean) / std)
            assert labels[row] == label
    assert flips == {True, False}


@pytest.mark.parametrize("batches", ["train", "test"])
def test_the_global_stream_is_neither_read_nor_moved(loaded, batches):
    def first():
        if batches == "train":
            return next(loaded.train_batches(0, 4, 0, 1))[0]
        return next(loaded.eval_batches("test", 4))[0]

    with torch.random.fork_rng():
        before = torch.get_rng_state()
        images = first()
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(1)
        assert torch.equal(first(), images)


def test_the_streams_of_gpus_are_left_alone(loaded, monkeypatch):
    """torch.manual_seed reseeds those of all GPUs, and nothing would put them back."""
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    next(loaded.train_batches(0, 4, 0, 1))
    next(loaded.eval_batches("test", 4))
    assert seeded == []
    torch.manual_seed(torch.initial_seed())
    assert len(seeded) == 1  # so it would have been seen


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (jpeg(1)[:400], "is truncated: "),
        (b"\xff\xd8" + b"x" * 99, "cannot be decoded: "),
        (b"<html></html>", "is an HTML page, not an image"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_an_image_that_cannot_be_decoded_is_named(tmp_path, bad, said, workers):
    """In one sentence, from whichever process."""
    folder = folder_of(tmp_path / "images")
    data = Folders("small", folder, folder, workers=workers)
    path = folder / f"{DOG}/{DOG}_1.JPEG"
    path.unlink() if bad is None else path.write_bytes(bad)
    for batches in (data.train_batches(3, 4, 0, 2), data.eval_batches("test", 3)):
        with pytest.raises(Corrupt) as caught:
            list(batches)
        assert str(caught.value).startswith(f"{path} {said}")
        assert str(caught.value).endswith("; valid: a whole JPEG; restore it from its source")
        assert "\n" not in str(caught.value)


def test_an_evaluated_image_by_hand(root, loaded):
    """300 x 280 becomes 274 x 256, of which the centre is cut and normalised."""
    path, label = loaded.test.samples[0]
    assert label == 0
    with Image.open(path) as image:
        small = image.convert("RGB").resize((274, 256), Image.Resampling.BILINEAR)
    pixels = transforms.ToTensor()(small.crop((25, 16, 249, 240)))
    by_hand = (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    found = next(iter(loaded.eval_batches("test", 1)))[0][0]
    assert torch.allclose(found, by_hand, atol=1e-6)


def test_an_unknown_loader_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("RESPARSE_LOADER", "dali")
    with pytest.raises(UsageError, match="RESPARSE_LOADER is 'dali'; valid: torch, ffcv"):
        data.load("imagenet", tmp_path)


@pytest.mark.parametrize(
    ("name", "deciding"),
    [
        ("torch", {"folder", "class_images", "jpeg"}),
        ("ffcv", {"folder", "ffcv_loader", "ffcv_kernel", "beton", "crops"}),
    ],
)
def test_a_fingerprint_covers_the_loader_that_is_chosen(monkeypatch, name, deciding):
    monkeypatch.setenv("RESPARSE_LOADER", name)
    assert {path.stem for path in imagenet.files()} == deciding
    assert all(path.is_file() for path in imagenet.files())


def test_ffcv_that_is_missing_names_its_packages_and_never_becomes_torch(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ffcv", None)  # as where it is not installed
    monkeypatch.setenv("RESPARSE_LOADER", "ffcv")
    for split in ("train", "val"):  # torch would be ready
        for number in range(1000):
            (tmp_path / "imagenet" / split / f"n{number:08d}").mkdir(parents=True)
    with pytest.raises(
        Missing,
        match=r"^the ffcv loader needs FFCV, which is not here \(No module named 'ffcv'\): apt-get "
        r"install -y libturbojpeg0-dev libopencv-dev pkg-config, then uv pip install --require-h",
    ):
        data.load("imagenet", tmp_path)
    assert "libturbojpeg0-dev libopencv-dev pkg-config" in imagenet.missing(tmp_path)
