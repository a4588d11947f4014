"""Models by name; each is built from its own generator seed and leaves the global RNG alone."""

import copy
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import cast

import torch
from torch import nn

from resparse.errors import UsageError
from resparse.models.mlp import mlp, mlp_small
from resparse.models.mobilenet import mobilenet_v1
from resparse.models.resnet import resnet8, resnet20, resnet32, resnet32_2
from resparse.models.resnet_four import resnet18, resnet34, resnet50
from resparse.models.vgg import vgg16, vgg16_c
from resparse.models.wide_resnet import wrn22_2
from resparse.seeds import seeded

Shape = tuple[int, ...]
Build = Callable[[int, Shape], nn.Module]

MODELS: dict[str, Build] = {
    "resnet8": resnet8,
    "resnet18": resnet18,
    "resnet20": resnet20,
    "resnet32": resnet32,
    "resnet32_2": resnet32_2,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "mlp": mlp,
    "mlp_small": mlp_small,
    "vgg16": vgg16,
    "vgg16_c": vgg16_c,
    "wrn22_2": wrn22_2,
    "mobilenet_v1": mobilenet_v1,
}
SIDES = dict.fromkeys(
    MODELS, (32,)
) | {  # of the RGB images a model takes; its papers have no other
    "resnet8": (),  # the smoke level's take any
    "mlp_small": (),
    "resnet18": (32, 64, 224),
    "resnet50": (32, 64, 224),
}
_outside: dict[str, Build] = {}


def add(name: str, build: Build) -> None:
    """Know a model from outside; a name of the suite is refused."""
    if name in MODELS:
        raise UsageError(f"model {name} is one of the suite's; valid: another name")
    _outside[name] = build


def build_model(name: str, classes: int, image_shape: Shape, seed: int) -> nn.Module:
    """The model with weights drawn from ``seed``; ``image_shape`` (C, H, W) decides its stem.

    Raises UsageError for an unknown name, images that the model is not for, and a model from
    outside whose outputs are not ``classes``.
    """
    known = MODELS | _outside
    if name not in known:
        raise UsageError(f"unknown model {name!r}; valid: {', '.join(MODELS)}")
    if not takes(name, image_shape):
        valid = " or ".join(f"3x{side}x{side}" for side in SIDES[name])
        given = "x".join(map(str, image_shape))
        raise UsageError(f"model {name} does not take images of {given}; valid: {valid}")
    with seeded(seed):
        model = known[name](classes, image_shape)
        if name in _outside:
            _require_outputs(name, model, classes, image_shape)
        return model


def takes(name: str, image_shape: Shape) -> bool:
    """Whether a model is for images of this shape; one from outside decides for itself."""
    sides = SIDES.get(name, ())
    return not sides or tuple(image_shape) in [(3, side, side) for side in sides]


def _require_outputs(name: str, model: nn.Module, classes: int, image_shape: Shape) -> None:
    """Raise UsageError unless an image gives ``classes`` numbers; run on a copy in eval mode."""
    if all(parameter.is_meta for parameter in model.parameters()):
        return  # only its shapes are asked for; it is built again before training
    with torch.no_grad():
        found = tuple(copy.deepcopy(model).eval()(torch.zeros(1, *image_shape)).shape[1:])
    if found != (classes,):
        outputs = "x".join(map(str, found)) or "1"
        raise UsageError(
            f"model {name} has {outputs} outputs, its dataset {classes} classes; valid: as many"
        )


def maskable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Weights that masks may cover: all of convolutions and linear layers, in network order."""
    return {
        name: cast(nn.Parameter, module.weight)
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }


def source(name: str) -> Path:
    """The file that defines a model."""
    return Path(cast(FunctionType, (MODELS | _outside)[name]).__code__.co_filename)
