"""The memory loader against torchvision's own transforms of the same images."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import Compose, Normalize, ToTensor
from torchvision.transforms import functional as vision

from resparse.data.memory import InMemory
from resparse.data.order import steps
from resparse.seeds import generator

MEAN, STD = (125.3, 123.0, 113.9), (63.0, 62.1, 66.7)
REFERENCE = Compose(
    [ToTensor(), Normalize([m / 255 for m in MEAN], [s / 255 for s in STD])],
)
COUNT, PAD = 40, 4


def images():
    rng = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (COUNT, 3, 32, 32), generator=rng).to(torch.uint8)


def in_memory(padding):
    parts = (images(), torch.arange(COUNT))
    splits = {"train": parts, "test": parts}
    return InMemory("noise", COUNT, splits, MEAN, STD, PAD, padding, flip=True)


class Files(Dataset):
    """The images as a torchvision dataset gives them, through the reference's transform."""

    def __init__(self, change=lambda image, number: image):
        self.pixels, self.change = images().permute(0, 2, 3, 1).numpy(), change

    def __len__(self):
        return COUNT

    def __getitem__(self, number):
        image = Image.fromarray(np.ascontiguousarray(self.pixels[number]))
        return REFERENCE(self.change(image, number)), number


def alike(ours, reference):
    for (images, labels), (expected, truth) in zip(ours, reference, strict=True):
        assert torch.equal(labels, truth)
        assert (images.shape, images.dtype) == (expected.shape, torch.float32)
        torch.testing.assert_close(images, expected, rtol=0, atol=2e-6)


def test_evaluation_sees_what_a_dataloader_gives():
    alike(in_memory("zero").eval_batches("test", 16), DataLoader(Files(), 16))


@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_training_sees_torchvisions_crops_and_flips_of_the_same_draws(padding):
    """Borders, crop and mirror by torchvision, in the order and at the places of (seed, epoch)."""
    seed, epoch, borders = 3, 1, {"zero": "constant", "reflect": "reflect"}[padding]
    sides = (COUNT, 2)
    shift = torch.randint(0, 2 * PAD + 1, sides, generator=generator(seed, "augment", epoch))
    flips = torch.rand(COUNT, generator=generator(seed, "flip", epoch)) < 0.5
    assert 0 < int(flips.sum()) < COUNT

    def changed(image, number):
        top, left = shift[number].tolist()
        image = vision.crop(vision.pad(image, PAD, 0, borders), top, left, 32, 32)
        return vision.hflip(image) if flips[number] else image

    order = [step.images.tolist() for step in steps(COUNT, seed, 8, 5, 10)]  # the second epoch
    reference = DataLoader(Files(changed), batch_sampler=order)
    alike(in_memory(padding).train_batches(seed, 8, 5, 10), reference)


def changed(**changes):
    """The hash of a dataset of three images that is like another but for one thing."""
    pixels, labels = images()[:3], torch.arange(3)
    splits = {"train": (pixels, labels), "val": (pixels[:1], labels[:1])}
    splits["test"] = (pixels[1:2], labels[1:2])
    said = {"mean": MEAN, "std": STD, "pad": PAD, "padding": "zero", "flip": False}
    splits |= changes.pop("splits", {})
    return InMemory(changes.pop("name", "three"), 3, splits, **said | changes).sha256


def test_the_hash_notices_every_thing_that_runs_depend_on_and_no_other():
    pixels, labels = images()[:3], torch.arange(3)
    brighter = pixels.clone()
    brighter[2, 1, 30, 31] ^= 1
    hashes = [
        changed(),
        changed(splits={"train": (brighter, labels)}),
        changed(splits={"train": (pixels, labels.flip(0))}),
        changed(splits={"train": (pixels.flip(0), labels)}),
        changed(
            splits={"val": (pixels[1:2], labels[1:2]), "test": (pixels[:1], labels[:1])}
        ),  # changed places
        changed(mean=(125.3, 123.0, 113.8)),
        changed(std=(63.0, 62.1, 66.8)),
        changed(pad=3),
        changed(padding="reflect"),
        changed(flip=True),
    ]
    assert len(set(hashes)) == len(hashes)
    assert changed() == changed(name="another name of the same") == hashes[0]


def test_the_hash_notices_what_a_part_is_for():
    """The same tensors in the same order: trained on and tested on, or validated and trained on."""
    one, other = (images()[:2], torch.arange(2)), (images()[2:3], torch.arange(1))
    made = [{"test": one, "train": other}, {"train": one, "val": other}]
    first, second = (InMemory("two", 2, splits, 0.0, 1.0).sha256 for splits in made)
    assert first != second


def test_borders_move_with_the_images():
    """Made on one device they are of no use on another."""
    data = in_memory("reflect")
    next(data.train_batches(0, 8, 0, 1))
    assert {x.device.type for x in (data._bordered(), *data.splits["train"])} == {"cpu"}
    data.to(torch.device("meta"))
    assert {x.device.type for x in (data._bordered(), *data.splits["train"])} == {"meta"}


@pytest.mark.parametrize("portable", [False, True])
def test_colour_images_lie_in_memory_as_their_shape_says(portable):
    """Whatever the strides of what was loaded: kernels add in their order, so losses differ."""
    data = in_memory("zero")
    data.splits = {
        part: (x.contiguous(memory_format=torch.channels_last), y)
        for part, (x, y) in data.splits.items()
    }
    assert data.splits["test"][0].stride() != torch.empty(COUNT, 3, 32, 32).stride()
    with torch.backends.mkldnn.flags(enabled=not portable):
        batches = [*data.train_batches(0, 8, 0, 2), *data.eval_batches("test", 8)]
    for pixels, _ in batches:
        assert pixels.stride() == torch.empty(8, 3, 32, 32).stride()
