"""What networks start from: the initialisation of the paper or of its released code."""

import pytest

from resparse.models import build_model, maskable


def bound(weight):
    """torch's default: U(-b, b) with b = 1 / sqrt(inputs of an output)."""
    return weight[0].numel() ** -0.5


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet34", "vgg16", "vgg16_c", "mobilenet_v1", "mlp"]
)
def test_weights_start_from_torchs_default_where_the_released_code_says_nothing(name):
    for layer, weight in maskable(build_model(name, 10, (3, 32, 32), 0)).items():
        assert weight.abs().max() <= bound(weight), layer
        if weight.numel() > 2000:
            assert weight.std().item() == pytest.approx(bound(weight) / 3**0.5, rel=0.05), layer


@pytest.mark.parametrize(
    ("name", "side"),
    [
        *(("resnet20", 32), ("resnet32", 32), ("resnet32_2", 32), ("resnet18", 64)),
        *(("resnet50", 32), ("wrn22_2", 32)),
    ],
)
def test_weights_start_from_he_where_the_released_code_says_so(name, side):
    """N(0, 2 / (k k out)): He et al. 2015 by outputs."""
    for layer, weight in maskable(build_model(name, 10, (3, side, side), 0)).items():
        if weight.dim() == 4 and weight.numel() >= 64 * 3 * 9:  # from the stem of 64 on
            std = (2 / (weight.shape[0] * weight[0, 0].numel())) ** 0.5
            assert weight.std().item() == pytest.approx(std, rel=0.05), layer
            assert weight.abs().max() > bound(weight) or layer == "conv1", layer


def test_the_wide_resnet32_draws_its_classifier_small():
    model = build_model("resnet32_2", 100, (3, 32, 32), 0)
    assert model.fc.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not model.fc.bias.any()


def test_resnet50_starts_as_the_identity_on_cifar_only():
    """RigL reproduction, section 4.2: the last batch norm of each block at 0."""
    for side, value in ((32, 0.0), (64, 1.0), (224, 1.0)):
        model = build_model("resnet50", 10, (3, side, side), 0)
        last = [m for n, m in model.named_modules() if n.endswith("bn3")]
        assert len(last) == 16
        assert all(bool((norm.weight == value).all()) for norm in last)
