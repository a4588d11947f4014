"""Digits: a fixed split, batches that start anywhere, shifts by a pixel; ImageNet: what lacks."""

import dataclasses
import hashlib
from collections import Counter

import numpy as np
import pytest
import torch

from resparse import data
from resparse.data import digits, synthetic
from resparse.data.memory import InMemory
from resparse.data.order import Share
from resparse.errors import Missing, UsageError
from resparse.seeds import generator

# pixels and labels of each part, and the whole dataset with its statistics
SPLIT = {"train": "8e44030889b69ca4", "val": "0bfdd45da7083b66", "test": "f879c068a355a95f"}
DIGITS = "5767b057293ac9becf06fceab354d65e5627a1da909a30dd33b0bdf234e07343"


@pytest.fixture(scope="module")
def loaded():
    return digits.load()


def numbered(count=897, pad=0):
    """Images of 1x3x3 with one bright pixel in the middle; the label is the image's number."""
    images = torch.zeros(count, 1, 3, 3, dtype=torch.uint8)
    images[:, 0, 1, 1] = 9
    return InMemory("numbered", count, {"train": (images, torch.arange(count))}, 0.0, 1.0, pad)


def test_the_split_is_fixed(loaded):
    assert {s: loaded.size(s) for s in SPLIT} == {"train": 897, "val": 200, "test": 700}
    assert loaded.splits["train"][1][:10].tolist() == [5, 3, 1, 3, 2, 9, 6, 2, 4, 8]
    for split, (images, labels) in loaded.splits.items():
        both = images.numpy().tobytes() + labels.numpy().tobytes()
        assert hashlib.sha256(both).hexdigest()[:16] == SPLIT[split], split
    assert loaded.sha256 == DIGITS


def test_the_parts_are_disjoint_and_everything(loaded):
    from sklearn.datasets import load_digits

    raw = load_digits()
    whole = Counter(
        (image.astype("uint8").tobytes(), int(label))
        for image, label in zip(raw.images, raw.target, strict=True)
    )
    parts = Counter(
        (image.numpy().tobytes(), int(label))
        for images, labels in loaded.splits.values()
        for image, label in zip(images, labels, strict=True)
    )
    assert parts == whole  # as multisets, so no image is in two parts
    assert parts.total() == 1797


def test_the_description_is_true(loaded):
    shape = data.describe("digits")
    assert (loaded.classes, loaded.image_shape) == (shape.classes, shape.image_shape)
    assert loaded.train_size == shape.train_size


def test_the_hash_notices_a_pixel_a_label_and_the_augmentation(loaded):
    def hash_of(at=None, **changes):
        splits = {s: (x.clone(), y.clone()) for s, (x, y) in loaded.splits.items()}
        if at is not None:
            splits["test"][at].view(-1)[-1] ^= 1
        return InMemory(**{**vars_of(loaded), "splits": splits, **changes}).sha256

    assert hash_of() == DIGITS
    assert len({hash_of(), hash_of(0), hash_of(1), hash_of(pad=0), hash_of(mean=4.0)}) == 5


def vars_of(memory):
    return {n: getattr(memory, n) for n in ("name", "classes", "splits", "mean", "std", "pad")}


def test_training_pixels_are_normalised(loaded):
    images = loaded._normalise(loaded.splits["train"][0]).double()
    assert float(images.mean()) == pytest.approx(0, abs=1e-6)
    assert float(images.std(correction=0)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("start", [0, 1, 13, 14, 15, 28, 29, 30])
def test_batches_from_any_step_are_the_tail_of_all(loaded, start):
    whole = list(loaded.train_batches(3, 64, 0, 30))
    tail = list(loaded.train_batches(3, 64, start, 30))
    assert len(whole) == 30
    assert len(tail) == 30 - start
    for (images, labels), (expected, truth) in zip(tail, whole[start:], strict=True):
        assert torch.equal(images, expected)
        assert torch.equal(labels, truth)
        assert images.shape == (64, 1, 8, 8)
        assert images.dtype == torch.float32


@pytest.mark.parametrize("world", [2, 4])
def test_processes_together_see_the_batches_of_one_alone(world):
    """The same crops and mirrored sides too, so that the number of processes changes no number."""
    alone = coloured(flip=True).train_batches(3, 64, 2, 7)
    shares = [Share(rank, world) for rank in range(world)]
    parts = [coloured(flip=True, share=share).train_batches(3, 64, 2, 7) for share in shares]
    for whole, *batches in zip(alone, *parts, strict=True):
        for of_one, *of_each in zip(whole, *batches, strict=True):
            assert torch.equal(torch.stack(of_each, 1).flatten(0, 1), of_one)


def rows(images):
    return [image.flatten().tolist() for image in images]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_together_evaluate_each_image_once(loaded, world):
    seen = []
    for rank in range(world):
        mine = InMemory(**vars_of(loaded), share=Share(rank, world))
        seen += [row for images, _ in mine.eval_batches("val", 64) for row in rows(images)]
    assert sorted(seen) == sorted(rows(next(loaded.eval_batches("val", 200))[0]))


def test_a_batch_that_the_images_do_not_fill_is_refused(loaded):
    with pytest.raises(UsageError, match="batch size 898 for 897 images; valid: 1 to 897"):
        next(loaded.train_batches(0, 898, 0, 1))


def test_batches_lie_in_memory_as_their_shape_says(loaded):
    """is_contiguous() passes any stride of a dimension of 1; oneDNN's convolutions do not."""
    with torch.backends.mkldnn.flags(enabled=True):
        batches = [*loaded.train_batches(0, 64, 0, 1), *loaded.eval_batches("test", 64)]
    for images, _ in batches:
        assert images.stride() == torch.empty(images.shape).stride()


def test_an_epoch_visits_distinct_images_and_the_next_in_another_order():
    epochs = []
    for epoch in range(3):
        batches = numbered().train_batches(0, 64, 14 * epoch, 14 * (epoch + 1))
        epochs.append(torch.cat([labels for _, labels in batches]).tolist())
    assert [len(epoch) for epoch in epochs] == [896] * 3
    assert [len(set(epoch)) for epoch in epochs] == [896] * 3
    assert epochs[0] != epochs[1] != epochs[2]
    other = torch.cat([labels for _, labels in numbered().train_batches(1, 64, 0, 14)])
    assert other.tolist() != epochs[0]


def test_the_global_stream_is_neither_read_nor_moved(loaded):
    rng = torch.get_rng_state()
    first = next(loaded.train_batches(0, 64, 0, 1))[0]
    assert torch.equal(torch.get_rng_state(), rng)
    torch.rand(1)
    assert torch.equal(next(loaded.train_batches(0, 64, 0, 1))[0], first)
    torch.set_rng_state(rng)


def coloured(count=300, pad=2, **fields):
    """Images of 3x5x7 whose every pixel differs from its neighbours; the label is the number."""
    rng = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 3, 5, 7), generator=rng).to(torch.uint8)
    splits = {"train": (images, torch.arange(count))}
    return InMemory("coloured", count, splits, 0.0, 1.0, pad, **fields)


@pytest.mark.parametrize("padding", ["zero", "reflect"])
@pytest.mark.parametrize("flip", [False, True])
def test_crops_and_flips_are_those_drawn_for_the_image_in_this_epoch(padding, flip):
    """Each image by itself, with NumPy, from the same draws."""
    data = coloured(padding=padding, flip=flip)
    batches = list(data.train_batches(7, 64, 4, 8))  # the second epoch of 4 batches
    draws = {what: generator(7, what, 1) for what in ("order", "augment", "flip")}
    order = torch.randperm(300, generator=draws["order"])
    shift = torch.randint(0, 5, (300, 2), generator=draws["augment"])
    flips = torch.rand(300, generator=draws["flip"]) < 0.5
    mode = {"zero": "constant", "reflect": "reflect"}[padding]
    for step, (images, labels) in enumerate(batches):
        assert labels.tolist() == order[64 * step : 64 * step + 64].tolist()
        for image, number in zip(images, labels.tolist(), strict=True):
            whole = data.splits["train"][0][number].numpy()
            y, x = shift[number].tolist()
            expected = np.pad(whole, ((0, 0), (2, 2), (2, 2)), mode)[:, y : y + 5, x : x + 7]
            if flip and flips[number]:
                expected = expected[:, :, ::-1]
            assert np.array_equal(image.numpy(), expected)
    assert not flip or 0.3 < flips.float().mean() < 0.7


def test_channels_are_normalised_each_by_its_own():
    data = dataclasses.replace(coloured(pad=0), mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))
    images, _ = next(iter(data.eval_batches("train", 300)))
    whole = data.splits["train"][0].float()
    for c in range(3):
        assert torch.equal(images[:, c], (whole[:, c] - (c + 1.0)) / (c + 4.0))


def test_the_hash_notices_flips_and_borders():
    made = [coloured(), coloured(flip=True), coloured(padding="reflect")]
    assert len({data.sha256 for data in made}) == 3


def test_a_dataset_moves_with_its_batches():
    """The meta device stands for another one: it has no pixels, but says where they would be."""
    data = coloured(flip=False).to(torch.device("meta"))
    images, labels = next(iter(data.train_batches(0, 64, 0, 1)))
    assert {images.device.type, labels.device.type} == {"meta"}
    assert images.shape == (64, 3, 5, 7)
    assert next(iter(data.eval_batches("train", 64)))[0].device.type == "meta"


def test_shifts_are_by_at_most_a_pixel_and_by_all_nine_ways_evenly():
    seen = Counter()
    for images, _ in numbered(pad=1).train_batches(0, 64, 0, 14):
        for image in images:
            assert image.sum() == 9  # the bright pixel is still there, once
            seen[tuple(image[0].nonzero()[0].tolist())] += 1
    assert set(seen) == {(y, x) for y in range(3) for x in range(3)}
    assert all(60 <= count <= 140 for count in seen.values()), seen  # 896 / 9 = 99.6, sd 9.4


def test_a_shift_moves_the_image_and_fills_with_black():
    image = torch.arange(1, 10, dtype=torch.uint8).view(1, 1, 3, 3)
    one = InMemory("one", 1, {"train": (image, torch.zeros(1, dtype=torch.int64))}, 0.0, 1.0, 1)
    around = torch.nn.functional.pad(image.float(), (1, 1, 1, 1))[0, 0]
    crops = [around[y : y + 3, x : x + 3] for y in range(3) for x in range(3)]
    for images, _ in one.train_batches(0, 1, 0, 20):
        assert any(torch.equal(images[0, 0], crop) for crop in crops)


def test_without_padding_nothing_moves():
    for images, _ in numbered().train_batches(0, 64, 0, 14):
        assert bool((images[:, 0, 1, 1] == 9).all())


@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize("size", [1, 64, 512, 10_000])
def test_evaluation_sees_each_image_once_as_it_is(loaded, split, size):
    batches = list(loaded.eval_batches(split, size))
    images, labels = loaded.splits[split]
    assert torch.equal(torch.cat([y for _, y in batches]), labels)
    assert torch.equal(torch.cat([x for x, _ in batches]), loaded._normalise(images))


def test_unknown_dataset_lists_the_valid():
    for call in (data.describe, lambda name: data.load(name, None)):
        with pytest.raises(UsageError, match=r"'mnist'; valid: digits, cifar10, .*, imagenet, r"):
            call("mnist")


def test_imagenet_without_a_root_says_how_to_give_one():
    with pytest.raises(Missing, match=r"--data-root DIR or set RESPARSE_DATA"):
        data.load("imagenet", None)


def make_classes(root, split, count):
    for number in range(count):
        (root / "imagenet" / split / f"n{number:08d}").mkdir(parents=True)


def test_imagenet_names_the_split_the_folder_and_the_count(tmp_path):
    with pytest.raises(Missing, match=rf"train images: {tmp_path}/imagenet/train has 0 class"):
        data.load("imagenet", tmp_path)
    make_classes(tmp_path, "train", 999)
    with pytest.raises(Missing, match="999 class folders of 1000"):
        data.load("imagenet", tmp_path)
    make_classes(tmp_path / "full", "train", 1000)
    with pytest.raises(Missing, match=r"val images: .*/imagenet/val has 0 class folders of 1000"):
        data.load("imagenet", tmp_path / "full")
    make_classes(tmp_path / "full", "val", 1000)
    with pytest.raises(Missing, match=r"^imagenet is not prepared: .*; run resparse data prep"):
        data.load("imagenet", tmp_path / "full")


def test_random_images_are_imagenet_shaped_and_always_the_same():
    one, same = synthetic.load(), synthetic.load()
    assert one.sha256 == same.sha256
    assert (one.classes, one.image_shape) == (1000, (3, 224, 224))
    assert {s: one.size(s) for s in ("train", "val", "test")} == {"train": 8, "val": 4, "test": 4}
