"""Uniform numbers are PyTorch's own, however they are computed."""

import pytest
import torch

from resparse.engine import draw
from resparse.uniform import FEW, uniform


def pair(seed=5):
    """Two generators in the same state."""
    return torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)


def require_same(shape, ours, theirs):
    assert draw.drawn(torch.Size(shape), ours).equal(torch.rand(shape, generator=theirs))
    assert ours.get_state().equal(theirs.get_state())


def test_the_compiled_way_is_taken_with_this_pytorch():
    assert draw.is_known()


@pytest.mark.parametrize("count", [1, 623, 624, 625, 1247, 1248, 1249, FEW, 3 * FEW + 7])
def test_numbers_and_generator_are_pytorchs(count):
    ours, theirs = pair()
    for many in (count, 3, count):  # from the start of a state, and from within one
        require_same((many,), ours, theirs)


def test_the_shape_is_kept():
    ours, theirs = pair()
    require_same((3, 5, 7), ours, theirs)


@pytest.mark.parametrize("kind", ["normal", "integers", "permutation"])
def test_other_draws_before_and_after_are_pytorchs(kind):
    draws = {
        "normal": lambda g: torch.randn(5, generator=g),  # an odd count: one is left over
        "integers": lambda g: torch.randint(9, (5,), generator=g),
        "permutation": lambda g: torch.randperm(11, generator=g),
    }
    ours, theirs = pair()
    for _ in range(2):
        assert draws[kind](ours).equal(draws[kind](theirs))
        require_same((700,), ours, theirs)


@pytest.mark.parametrize("count", [FEW - 1, FEW])
def test_few_and_many_are_the_same_stream(count):
    ours, theirs = pair()
    assert uniform(torch.Size([count]), ours).equal(torch.rand(count, generator=theirs))
    assert ours.get_state().equal(theirs.get_state())


def test_few_are_drawn_by_pytorch(monkeypatch):
    monkeypatch.setattr(draw, "uniform", None)
    assert uniform(torch.Size([FEW - 1]), torch.Generator()).numel() == FEW - 1


def test_a_state_of_another_layout_is_pytorchs(monkeypatch):
    monkeypatch.setattr(draw, "STATE", draw.np.dtype([("all", "V8")]))
    draw.is_known.cache_clear()
    try:
        ours, theirs = pair()
        assert not draw.is_known()
        assert draw.uniform(torch.Size([700]), ours).equal(torch.rand(700, generator=theirs))
    finally:
        monkeypatch.undo()
        draw.is_known.cache_clear()
