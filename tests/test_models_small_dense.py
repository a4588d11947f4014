"""Small-Dense on every model: what its masks leave is a narrower network of the right size."""

import copy

import pytest
import torch
from conftest import undrawn
from torch import nn

from resparse import registry
from resparse.masks import Masks
from resparse.models import MODELS, SIDES, build_model, maskable


def image_of(name):
    return (3, SIDES[name][0], SIDES[name][0]) if SIDES[name] else (1, 8, 8)


def narrowed(model, density):
    """Small-Dense masks of a model at a density, by layer."""
    weights = maskable(model)
    sizes = {name: weight.numel() for name, weight in weights.items()}
    method = registry.build("small_dense", {}, dict.fromkeys(sizes, density), sizes, 10)
    full = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in weights.items()}
    return method.init_masks(Masks(weights, full).layers(None, None))


def disturb(model, kept):
    """Change all that a left-out channel has beside its weights: bias and batch norm."""
    for module in model.modules():
        channels = getattr(module, "num_features", None)
        if channels is not None:
            module.weight[kept[channels] :] *= 2.0
            module.bias[kept[channels] :] += 3.0
        elif isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            outputs = len(module.bias)
            module.bias[kept.get(outputs, outputs) :] += 3.0


@pytest.mark.parametrize("density", [0.1, 0.35])
@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_the_left_out_channels_reach_no_output(name, density):
    model = build_model(name, 10, image_of(name), 0)
    masks, weights = narrowed(model, density), maskable(model)
    *hidden, last = masks
    kept = {}
    for layer in hidden:
        rows = int(masks[layer].flatten(1).any(1).sum())
        assert kept.setdefault(len(weights[layer]), rows) == rows < len(weights[layer]), layer
    assert bool(masks[last].any(1).all())  # every class has an output
    for layer, mask in masks.items():
        weights[layer] *= mask
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.weight.fill_(1.0)  # some start at 0 and would hide what comes before
        module.train(not isinstance(module, nn.Dropout))  # batch norm by batch: no signal dies out
    images = torch.randn(2, *image_of(name))
    other = copy.deepcopy(model)
    disturb(other, kept)
    logits = model(images)
    assert torch.equal(other(images), logits)
    kept = dict.fromkeys(kept, 0)
    disturb(other, kept)
    assert not torch.equal(other(images), logits)  # the kept ones do


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"resnet8", "mlp_small"}))
def test_the_narrow_network_has_as_many_weights_as_the_sparse_one(name):
    """Within 3 % (ResNet-20's steps are the coarsest); the reproduction's are 1 to 4 % below."""
    model = undrawn(name, 10, image_of(name))
    masks = narrowed(model, 0.1)
    total = sum(mask.numel() for mask in masks.values())
    count = sum(int(mask.count_nonzero()) for mask in masks.values())
    assert count / total == pytest.approx(0.1, rel=0.03)


@pytest.mark.parametrize("density", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
def test_a_flattened_map_keeps_the_positions_of_the_kept_channels(density):
    """12 channels of 2x2 enter the classifier as 48, channel by channel."""
    classifier = nn.Flatten(), nn.Linear(48, 12), nn.Linear(12, 10)
    masks = narrowed(nn.Sequential(nn.Conv2d(3, 12, 3), *classifier), density)
    channels = masks["0"].flatten(1).any(1)
    assert 0 < int(channels.sum()) < 12
    assert torch.equal(masks["2"].any(0).view(12, 4), channels[:, None].expand(12, 4))
