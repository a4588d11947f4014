"""Random streams: each by its seed and purpose alone, and nobody else's stream moved."""

import hashlib
import itertools

import pytest
import torch

from resparse.seeds import derive, generator, seeded


@pytest.mark.parametrize(
    ("arguments", "text"),
    [((0,), b"0"), ((3, "order", 12), b"3/order/12"), ((0, "hold-out", "cifar10"), None)],
)
def test_a_seed_is_the_first_63_bits_of_a_hash(arguments, text):
    """The same on every machine, in every process and version of Python."""
    text = text or b"0/hold-out/cifar10"
    assert derive(*arguments) == int(hashlib.sha256(text).hexdigest()[:16], 16) // 2


def test_no_two_purposes_share_a_seed():
    """So that where an image is cropped says nothing of whether it is mirrored, or of its order."""
    parts = itertools.product(range(12), ("order", "augment", "flip", "crop"), range(112))
    found = [derive(*part) for part in parts]
    assert len(set(found)) == len(found) == 12 * 4 * 112
    assert 2**62 < max(found) < 2**63
    assert derive(1, 11) != derive(11, 1)
    assert derive(1, "mask", 12) != derive(1, "mask", 1, 2) != derive(1, "mask1", 2)


def test_a_generator_is_torchs_from_that_seed_and_its_own():
    rng = torch.get_rng_state()
    plain = torch.Generator().manual_seed(derive(4, "flip", 1))
    assert torch.equal(
        torch.rand(9, generator=generator(4, "flip", 1)), torch.rand(9, generator=plain)
    )
    assert torch.equal(torch.get_rng_state(), rng)


def test_the_streams_of_the_gpus_are_left_alone(monkeypatch):
    """Seeds of a GPU that is not started yet are kept for later, and would not be taken back."""
    asked = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", asked.append)
    torch.manual_seed(3)  # what would be noticed
    assert asked == [3]
    with seeded(5):
        torch.rand(1)
    generator(5, "order")
    assert asked == [3]


def test_the_global_stream_is_seeded_inside_and_as_it_was_afterwards():
    expected = torch.rand(5, generator=torch.Generator().manual_seed(7))
    rng = torch.get_rng_state()
    with seeded(7):
        assert torch.equal(torch.rand(5), expected)
    assert torch.equal(torch.get_rng_state(), rng)
    with pytest.raises(RuntimeError, match="is invalid for input of size 5"), seeded(7):
        torch.rand(5).view(4)  # drawn, then an error
    assert torch.equal(torch.get_rng_state(), rng)
