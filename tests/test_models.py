"""Every model: its shapes and counts by hand, weights from the seed alone, a batch through it."""

import pytest
import torch

from resparse.models import MODELS, build_model, maskable

SHAPES = {  # maskable layers in network order, 10 classes
    ("mlp", (3, 32, 32)): {"fc1": (1024, 3072), "fc2": (512, 1024), "fc3": (10, 512)},
    ("mlp_small", (1, 8, 8)): {"fc1": (64, 64), "fc2": (32, 64), "fc3": (10, 32)},
}
COUNTS = {  # maskable weights, all parameters
    # 1024 * 3072 + 512 * 1024 + 10 * 512, and a bias a neuron
    ("mlp", (3, 32, 32)): (3_675_136, 3_675_136 + 1024 + 512 + 10),
    ("mlp_small", (1, 8, 8)): (6_464, 6_464 + 64 + 32 + 10),
    ("resnet8", (1, 8, 8)): (4_964, 4_964 + 10 + 2 * (3 * 4 + 3 * 8 + 3 * 16)),
}
IMAGES = {"resnet50": (3, 224, 224), "resnet8": (1, 8, 8), "mlp_small": (1, 8, 8)}


def build(name, seed=0, classes=10):
    return build_model(name, classes, IMAGES.get(name, (3, 32, 32)), seed)


@pytest.mark.parametrize(("name", "image"), SHAPES)
def test_layers_have_the_shapes_of_the_paper(name, image):
    weights = maskable(build_model(name, 10, image, 0))
    assert list(weights) == list(SHAPES[name, image])
    assert {layer: tuple(w.shape) for layer, w in weights.items()} == SHAPES[name, image]


@pytest.mark.parametrize(("name", "image"), COUNTS)
def test_counts_by_hand(name, image):
    model = build_model(name, 10, image, 0)
    masked = sum(weight.numel() for weight in maskable(model).values())
    assert (masked, sum(p.numel() for p in model.parameters())) == COUNTS[name, image]


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"resnet50"}))
def test_weights_come_from_the_seed_alone(name):
    torch.manual_seed(5)
    first = build(name, 1)
    torch.rand(3)
    same, other = build(name, 1), build(name, 2)
    assert all(
        torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True)
    )
    for layer, weight in maskable(first).items():
        assert not torch.equal(weight, maskable(other)[layer]), layer


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"resnet50"}))
def test_a_batch_gives_one_logit_a_class_and_a_gradient_everywhere(name):
    model = build(name, classes=7)
    logits = model(torch.randn(5, *IMAGES.get(name, (3, 32, 32))))
    assert logits.shape == (5, 7)
    assert torch.isfinite(logits).all()
    logits.square().sum().backward()
    for layer, weight in model.named_parameters():
        assert weight.grad is not None, layer
        assert bool((weight.grad != 0).any()), layer


def test_the_mlp_has_no_regularization_and_no_state():
    for name in ("mlp", "mlp_small"):
        model = build(name)
        assert [type(m).__name__ for m in model.children()] == ["Linear"] * 3
        assert all(layer.bias is not None for layer in model.children())
        assert not list(model.buffers())
