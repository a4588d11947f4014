"""Models by name; each is built from its own generator seed and leaves the global RNG alone."""

from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import cast

import torch
from torch import nn

from resparse.errors import UsageError
from resparse.models.mlp import mlp, mlp_small
from resparse.models.resnet import resnet8, resnet50
from resparse.models.wide_resnet import wrn22_2

MODELS: dict[str, Callable[[int, tuple[int, ...]], nn.Module]] = {
    "resnet8": resnet8,
    "resnet50": resnet50,
    "mlp": mlp,
    "mlp_small": mlp_small,
    "wrn22_2": wrn22_2,
}


_outside: dict[str, Callable[[int, tuple[int, ...]], nn.Module]] = {}


def add(name: str, build: Callable[[int, tuple[int, ...]], nn.Module]) -> None:
    """Know a model from outside; a name of the suite is refused."""
    if name in MODELS:
        raise UsageError(f"model {name} is one of the suite's; valid: another name")
    _outside[name] = build


def build_model(name: str, classes: int, image_shape: tuple[int, ...], seed: int) -> nn.Module:
    """The model with weights drawn from ``seed``; raises UsageError for an unknown name."""
    known = MODELS | _outside
    if name not in known:
        raise UsageError(f"unknown model {name!r}; valid: {', '.join(MODELS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return known[name](classes, image_shape)


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
