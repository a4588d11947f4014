"""The MicroNet-style counter by hand, against fvcore on every model, and what counting leaves."""

import itertools

import pytest
import torch
from conftest import undrawn
from torch import nn

from resparse.distributions import layer_counts
from resparse.flops import layer_macs
from resparse.micronet import Count, Geometry, Rules, count, flops, geometries, total
from resparse.models import MODELS, SIDES, maskable

LAYER = Geometry(filters=2, positions=4, weights=18, bias=True)  # 3x3 from one channel to two, 2x2
SIZES = [(name, 3, side) for name in MODELS for side in SIDES[name]]
SIZES += [("resnet8", 1, 8), ("mlp_small", 1, 8)]


def test_a_dense_layer_by_hand():
    """8 outputs of 9 products and 8 sums; a ReLU each is a product, a bias each a sum."""
    found = count(LAYER, 18, Rules())
    assert found == Count(8 * 9 + 8, 8 * 8 + 8, (18 + 2) * 32)
    assert flops(found, Rules()) == 80 + 72


def test_a_sparse_layer_by_hand():
    """3 of 9 weights a filter: 3 products and 2 sums an output; 18 bits say which are kept."""
    assert count(LAYER, 6, Rules()) == Count(8 * 3 + 8, 8 * 2 + 8, (6 + 2) * 32 + 18)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"bias": False}, Count(32, 16, 6 * 32 + 18)),
        ({"relu_multiplications": 0}, Count(24, 24, 8 * 32 + 18)),
        ({"weight_bits": 16}, Count(32, 24, 8 * 16 + 18)),
        ({"mask_bits": 0}, Count(32, 24, 8 * 32)),
        ({"batch_norm": "folded"}, Count(32, 24, 8 * 32 + 18)),  # the layer has a bias already
        ({"bias": False, "batch_norm": "folded"}, Count(32, 24, 8 * 32 + 18)),
    ],
)
def test_each_rule_changes_its_own_count(changes, expected):
    assert count(LAYER, 6, Rules(**changes)) == expected


def test_folded_batch_norm_gives_a_bias_to_a_layer_without():
    bare = LAYER._replace(bias=False)
    assert count(bare, 6, Rules()) == Count(32, 16, 6 * 32 + 18)
    assert count(bare, 6, Rules(batch_norm="folded")) == count(LAYER, 6, Rules())


def test_operations_of_fewer_bits_count_less():
    found = Count(multiplications=80, additions=72, storage_bits=0)
    assert flops(found, Rules(multiplication_bits=16)) == 40 + 72
    assert flops(found, Rules(addition_bits=8)) == 80 + 18


def test_less_than_a_weight_a_filter_leaves_no_additions_rather_than_negative_ones():
    bare = LAYER._replace(bias=False)
    assert count(bare, 1, Rules()).additions == 0
    assert count(bare, 0, Rules()) == Count(8, 0, 18)


def test_counts_are_those_of_the_operations_themselves():
    """Every product and sum of a sparse convolution, one output element after the other."""
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False)
    mask = torch.rand_like(layer.weight) < 0.4
    assert all(bool(kept.any()) for kept in mask)
    products = sums = 0
    for kept, _position in itertools.product(mask, range(3 * 3)):  # a map of 6x6 becomes 3x3
        products += int(kept.sum())
        sums += int(kept.sum()) - 1
    geometry = geometries(nn.Sequential(layer), (2, 6, 6))["0"]
    found = count(geometry, int(mask.sum()), Rules(relu_multiplications=0))
    assert (found.multiplications, found.additions) == (products, sums)


@pytest.mark.parametrize(("name", "channels", "side"), SIZES)
def test_both_counters_agree_and_leave_everything_as_it_was(name, channels, side):
    image = (channels, side, side)
    model = undrawn(name, 10, image)
    for half in list(model.children())[::2]:
        half.eval()  # some parts in training mode, some not
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    assert {True, False} <= set(modes)
    rng = torch.get_rng_state()
    macs, seen = layer_macs(model, image), geometries(model, image)
    assert torch.equal(torch.get_rng_state(), rng)
    assert [module.training for module in model.modules()] == modes
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[key]), key
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    assert {layer: geometry.macs for layer, geometry in seen.items()} == macs
    assert list(seen) == list(maskable(model))
    assert {n: g.weights for n, g in seen.items()} == {
        n: w.numel() for n, w in maskable(model).items()
    }


def whole(name, classes, density, **rules):
    """MicroNet FLOPs of a model on 3x32x32, ERK at a density."""
    weights = maskable(model := undrawn(name, classes, (3, 32, 32)))
    nnz = layer_counts("erk", {n: tuple(w.shape) for n, w in weights.items()}, density)
    layers = geometries(model, (3, 32, 32))
    return flops(total(count(layers[n], nnz[n], Rules(**rules)) for n in layers), Rules(**rules))


@pytest.mark.parametrize(
    ("name", "classes", "macs", "ratios"),
    [
        ("wrn22_2", 10, 157_730_048, {0.1: "0.17", 0.2: "0.35"}),
        ("resnet50", 100, 1_298_014_208, {0.1: "0.22", 0.2: "0.39"}),  # its table 3: 0.38 of 0.3851
    ],
)
def test_the_ratios_that_the_rigl_reproduction_prints(name, classes, macs, ratios):
    """Tables 2 and 3, ERK, by its rules: a ReLU makes up for the sum that a filter needs not."""
    dense = whole(name, classes, 1.0)
    assert dense == 2 * macs + classes  # a bias a class
    assert {d: f"{whole(name, classes, d) / dense:.2f}" for d in ratios} == ratios
