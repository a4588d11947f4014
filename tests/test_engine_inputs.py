"""What a sparse layer is given: images in any order of memory, a batch of them, no empty mask."""

import copy

import pytest
import torch
from torch import nn

from resparse.engine.layers import sparse_of
from resparse.engine.packed import Packed
from resparse.masks import Change, Masks


def test_a_convolution_refuses_an_image_without_its_batch():
    """Of as many rows as it has channels: its shape would fit."""
    made = sparse_of(nn.Conv2d(4, 4, 1))
    mask = torch.eye(4, dtype=torch.bool).view(4, 4, 1, 1)
    Masks({"conv": made.weight}, {"conv": mask}, {"conv": Packed(made, 1.0)})
    assert made(torch.randn(1, 4, 4, 5)).shape == (1, 4, 4, 5)
    with pytest.raises(TypeError, match=r"was given \(4, 4, 5\); valid: images"):
        made(torch.randn(4, 4, 5))


def test_a_convolution_takes_images_that_are_not_contiguous():
    plain = nn.Conv2d(6, 5, 1).double()
    made = sparse_of(copy.deepcopy(plain))
    mask = torch.rand(5, 6, 1, 1) < 0.5
    mask.view(-1)[0] = True
    Masks({"conv": made.weight}, {"conv": mask}, {"conv": Packed(made, 1.0)})
    plain.weight.data *= mask
    images = torch.randn(3, 6, 4, 5, dtype=torch.float64).to(memory_format=torch.channels_last)
    assert not images.is_contiguous()
    torch.testing.assert_close(made(images), plain(images))


def test_a_packed_layer_that_would_keep_nothing_is_refused_by_name():
    made = sparse_of(nn.Linear(6, 5))
    masks = Masks({"fc": made.weight}, {"fc": torch.eye(5, 6) > 0}, {"fc": Packed(made, 1.0)})
    with pytest.raises(ValueError, match=r"layer fc: the new mask keeps no weight \(layer coll"):
        masks.install({"fc": Change(torch.zeros(5, 6, dtype=torch.bool))}, None)
    assert made.pattern.nnz == 5
