"""Models from outside: asked for their outputs before a training, and left as they were."""

import pytest
import torch

from resparse import models
from resparse.errors import UsageError
from resparse.models import add, build_model


def test_a_model_from_outside_is_asked_for_its_outputs_on_a_copy(monkeypatch):
    """In training mode it would start from statistics of zeros, left in evaluation never train."""
    monkeypatch.setattr(models, "_outside", {})
    layers = torch.nn.Conv2d(3, 5, 3), torch.nn.BatchNorm2d(5), torch.nn.Flatten()
    layers = torch.nn.Sequential(*layers, torch.nn.Linear(5 * 2 * 2, 10))
    add("of_my_own", lambda classes, image_shape: layers)
    before = {name: tensor.clone() for name, tensor in layers.state_dict().items()}
    assert build_model("of_my_own", 10, (3, 4, 4), 0) is layers
    assert all(module.training for module in layers.modules())
    for name, tensor in layers.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_a_model_from_outside_with_other_outputs_is_refused_with_both_numbers(monkeypatch):
    monkeypatch.setattr(models, "_outside", {})

    def seven(classes, image_shape):
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 7))

    add("seven_outputs", seven)
    assert build_model("seven_outputs", 7, (3, 4, 4), 0)[1].out_features == 7
    with pytest.raises(UsageError, match="seven_outputs has 7 outputs, its dataset 10 classes"):
        build_model("seven_outputs", 10, (3, 4, 4), 0)
    add("a_map", lambda classes, image_shape: torch.nn.Conv2d(3, classes, 3))
    with pytest.raises(UsageError, match="a_map has 10x2x2 outputs, its dataset 10 classes"):
        build_model("a_map", 10, (3, 4, 4), 0)
