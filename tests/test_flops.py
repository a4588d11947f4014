"""MACs against counts made by hand and by the papers; counting leaves the model as it was."""

import math

import pytest
import torch
from torch import nn

from resparse.flops import forward_flops, layer_macs
from resparse.micronet import geometries
from resparse.models import build_model, maskable

# out * in * kernel * kernel * output positions
RESNET8 = {
    "conv1": 4 * 1 * 9 * 64,
    "stages.0.conv1": 4 * 4 * 9 * 64,
    "stages.0.conv2": 4 * 4 * 9 * 64,
    "stages.1.conv1": 8 * 4 * 9 * 16,
    "stages.1.conv2": 8 * 8 * 9 * 16,
    "stages.1.shortcut.0": 8 * 4 * 1 * 16,
    "stages.2.conv1": 16 * 8 * 9 * 4,
    "stages.2.conv2": 16 * 16 * 9 * 4,
    "stages.2.shortcut.0": 16 * 8 * 1 * 4,
    "fc": 10 * 16,
}


def test_resnet8_by_hand():
    macs = layer_macs(build_model("resnet8", 10, (1, 8, 8), 0), (1, 8, 8))
    assert macs == RESNET8
    assert list(macs) == list(RESNET8)  # network order
    assert sum(macs.values()) == 49_568


@pytest.mark.parametrize("training", [True, False])
def test_counting_changes_nothing(training):
    model = build_model("resnet8", 10, (1, 8, 8), 0).train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    rng = torch.get_rng_state()
    layer_macs(model, (1, 8, 8))
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(module.training is training for module in model.modules())
    assert all(weight.grad is None for weight in model.parameters())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert not any(module._forward_hooks for module in model.modules())


class Noisy(nn.Linear):
    """A layer that draws whenever it is called, in evaluation too."""

    def forward(self, x):
        return super().forward(x + torch.rand(x.shape))


@pytest.mark.parametrize("counter", [layer_macs, geometries])
def test_counting_a_network_that_draws_leaves_the_stream(counter):
    """Else the training after it would depend on how often it is counted."""
    model, rng = nn.Sequential(nn.Flatten(), Noisy(4, 3)), torch.get_rng_state()
    assert list(counter(model, (1, 2, 2))) == ["1"]
    assert torch.equal(torch.get_rng_state(), rng)


@pytest.mark.parametrize("counter", [layer_macs, geometries])
def test_a_network_in_training_is_counted_in_evaluation_and_goes_on_training(counter):
    """Batch norm takes no single image in training mode."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3)).train()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        model(torch.zeros(1, 1, 2, 2))
    assert list(counter(model, (1, 2, 2))) == ["1"]
    assert all(module.training for module in model.modules())


def test_a_layer_that_is_called_twice_counts_twice():
    """As the shared head of detectors: 2x2x1x1 weights at 3x3 places, two times."""
    layer = nn.Conv2d(2, 2, 1)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    assert layer_macs(model, (2, 3, 3)) == {"0": 2 * 4 * 9}
    assert geometries(model, (2, 3, 3))["0"].macs == 2 * 4 * 9


def test_batch_norm_and_pooling_are_not_counted():
    """1x3x3 weights to two channels at 4x4 places, then 2x2x2 values to three classes."""
    layers = nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2), nn.AvgPool2d(2)
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 3))
    assert layer_macs(model, (1, 4, 4)) == {"0": 18 * 16, "4": 24}


def test_sparse_flops_count_the_kept_share_of_each_layer():
    macs, sizes = {"a": 100, "b": 60}, {"a": 10, "b": 20}
    assert forward_flops(macs, {"a": 10, "b": 20}, sizes) == 2 * 160
    assert forward_flops(macs, {"a": 5, "b": 1}, sizes) == 2 * (50 + 3)
    assert forward_flops(macs, {"a": 0, "b": 0}, sizes) == 0


def test_building_leaves_the_global_stream_and_repeats():
    rng = torch.get_rng_state()
    models = [build_model("resnet8", 10, (1, 8, 8), seed) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), rng)
    first, same, other = ([p.detach() for p in model.parameters()] for model in models)
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
    assert not torch.equal(first[0], other[0])


def test_maskable_weights_are_those_of_convolutions_and_linear_layers():
    weights = maskable(build_model("resnet8", 10, (1, 8, 8), 0))
    assert list(weights) == list(RESNET8)
    assert sum(weight.numel() for weight in weights.values()) == 4964
    assert math.prod(weights["stages.1.shortcut.0"].shape) == 32


def test_resnet50_of_the_papers():
    model = build_model("resnet50", 1000, (3, 224, 224), 0)
    macs = layer_macs(model, (3, 224, 224))
    assert sum(macs.values()) == 4_089_184_256
    assert macs["conv1"] == 64 * 3 * 49 * 112 * 112
    assert macs["fc"] == 1000 * 2048
    assert len(macs) == 54
    sizes = {name: weight.numel() for name, weight in maskable(model).items()}
    assert list(sizes) == list(macs)
    assert sum(sizes.values()) == 25_502_912
    assert sum(w.numel() for w in model.parameters()) == 25_557_032
    assert forward_flops(macs, sizes, sizes) == 2 * 4_089_184_256
