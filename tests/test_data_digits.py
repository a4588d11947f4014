"""The digits: how they are split, normalised and augmented, from scikit-learn's own arrays."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from resparse.data import digits


@pytest.fixture(scope="module")
def loaded():
    return digits.load()


@pytest.fixture(scope="module")
def places(loaded):
    """Where the images of each part are stored; no two of the 1,797 are equal."""
    raw = [image.astype("uint8").tobytes() for image in load_digits().images]
    known = {image: place for place, image in enumerate(raw)}
    assert len(known) == len(raw) == 1797
    return {
        part: np.array([known[image.numpy().tobytes()] for image in images])
        for part, (images, _) in loaded.splits.items()
    }


def test_statistics_are_those_of_the_training_pixels(loaded, places):
    """All of them, so that the spread is divided by their number."""
    pixels = load_digits().images[places["train"]]
    assert pixels.shape == (897, 8, 8)
    assert math.isclose(loaded.mean, pixels.mean(), rel_tol=1e-12)
    assert math.isclose(loaded.std, pixels.std(ddof=0), rel_tol=1e-12)


def test_each_part_is_drawn_from_the_whole_collection(places):
    """In stored order writers change: 43 of them, the test images by the last."""
    assert {part: len(at) for part, at in places.items()} == {"train": 897, "val": 200, "test": 700}
    for part, at in places.items():
        spread = 1797 / 12**0.5  # of a place drawn evenly
        assert abs(at.mean() - 898) < 4 * spread / len(at) ** 0.5, part
        assert abs(np.corrcoef(at, np.arange(len(at)))[0, 1]) < 0.3, part


def test_labels_follow_their_images(loaded, places):
    targets = load_digits().target
    for part, (_, labels) in loaded.splits.items():
        assert labels.tolist() == targets[places[part]].tolist()


def test_the_split_is_the_same_in_every_run(loaded):
    before = torch.get_rng_state()
    for seed in (1, 2):
        torch.manual_seed(seed)
        again = digits.load()
        for part, (images, labels) in loaded.splits.items():
            assert torch.equal(again.splits[part][0], images), part
            assert torch.equal(again.splits[part][1], labels), part
    torch.set_rng_state(before)


def test_digits_are_shifted_by_a_pixel_over_black_and_never_mirrored(loaded):
    assert (loaded.pad, loaded.padding, loaded.flip) == (1, "zero", False)
