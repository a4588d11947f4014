"""Every model: its shapes and counts by hand, weights from the seed alone, a batch through it."""

import pytest
import torch

from resparse.distributions import layer_counts
from resparse.flops import forward_flops, layer_macs
from resparse.models import MODELS, build_model, maskable

SHAPES = {  # maskable layers in network order, 10 classes
    ("mlp", (3, 32, 32)): {"fc1": (1024, 3072), "fc2": (512, 1024), "fc3": (10, 512)},
    ("mlp_small", (1, 8, 8)): {"fc1": (256, 64), "fc2": (128, 256), "fc3": (10, 128)},
}


def stage(i, inputs, outputs):
    """Shapes of one stage of WRN-22-2: three blocks, a shortcut in the first."""
    shapes = {}
    for block in range(3):
        name, first = f"stages.{i}.{block}", inputs if block == 0 else outputs
        shapes[f"{name}.conv1"] = (outputs, first, 3, 3)
        shapes[f"{name}.conv2"] = (outputs, outputs, 3, 3)
        if block == 0:
            shapes[f"{name}.shortcut"] = (outputs, inputs, 1, 1)
    return shapes


SHAPES["wrn22_2", (3, 32, 32)] = (
    {"conv1": (16, 3, 3, 3)}
    | stage(0, 16, 32)
    | stage(1, 32, 64)
    | stage(2, 64, 128)
    | {"fc": (10, 128)}
)
COUNTS = {  # maskable weights, all parameters
    # 1024 * 3072 + 512 * 1024 + 10 * 512, and a bias a neuron
    ("mlp", (3, 32, 32)): (3_675_136, 3_675_136 + 1024 + 512 + 10),
    ("mlp_small", (1, 8, 8)): (50_432, 50_432 + 256 + 128 + 10),
    # batch norms have 2 a channel and stand before every 3x3 but the stem, and at the end
    ("wrn22_2", (3, 32, 32)): (
        1_076_912,
        1_076_912 + 10 + 2 * (16 + 5 * 32 + 32 + 5 * 64 + 64 + 5 * 128 + 128),
    ),
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


def test_the_mlp_has_no_regularization_and_no_state():
    for name in ("mlp", "mlp_small"):
        model = build(name)
        assert [type(m).__name__ for m in model.children()] == ["Linear"] * 3
        assert all(layer.bias is not None for layer in model.children())
        assert not list(model.buffers())


def test_wrn22_2_costs_what_the_rigl_reproduction_counts():
    """Its 3.155e8 are FLOPs; tables print ERK's share with two digits, its counter with four."""
    image = (3, 32, 32)
    shapes, model = SHAPES["wrn22_2", image], build("wrn22_2")
    macs, sizes = layer_macs(model, image), {n: w.numel() for n, w in maskable(model).items()}
    # each stage has four times the weights on a quarter of the positions
    stages = [51_200 * 1024, 204_800 * 256, 819_200 * 64]
    assert sum(macs.values()) == 432 * 1024 + sum(stages) + 1_280 == 157_730_048
    dense = forward_flops(macs, sizes, sizes)
    assert f"{dense:.3e}" == "3.155e+08"
    shares = {
        density: forward_flops(macs, layer_counts("erk", shapes, density), sizes) / dense
        for density in (0.05, 0.1, 0.2, 0.5)
    }
    assert {d: f"{share:.4f}"[1:] for d, share in shares.items()} == {
        0.05: ".0881", 0.1: ".1736", 0.2: ".3521", 0.5: ".7282",
    }  # fmt: skip


def test_wrn22_2_drops_out_in_training_only_and_starts_as_in_the_paper():
    model, images = build("wrn22_2"), torch.randn(2, 3, 32, 32)
    drop = [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)]
    assert drop == [0.3] * 9
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))
    assert not model.fc.bias.any()
    weight = model.stages[2][1].conv1.weight  # N(0, 2 / (9 * 128)): 147,456 draws
    assert weight.std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.01)


def test_building_leaves_the_random_streams_of_the_gpus_alone(monkeypatch):
    """Seeds of a GPU that is not started yet are kept for later, and would not be taken back."""

    def refused(seed):
        raise AssertionError(f"GPUs were seeded with {seed}")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", refused)
    with pytest.raises(AssertionError, match="GPUs were seeded with 3"):
        torch.manual_seed(3)  # what would be noticed
    state = torch.get_rng_state()
    first, again = build("mlp_small", 3), build("mlp_small", 3)
    assert torch.equal(first.fc1.weight, again.fc1.weight)
    assert torch.equal(torch.get_rng_state(), state)


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
