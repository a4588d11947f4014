"""A workload from outside, tried before anything trains: shapes, output, gradients, cost."""

import ast
import traceback
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resparse.data import describe
from resparse.errors import UsageError
from resparse.exact import network
from resparse.models import build_model, maskable
from resparse.outside import blamed
from resparse.seeds import seeded
from resparse.workloads import Workload

IMAGES = 4  # batch norm in training needs more than one


def require_trainable(name: str, problem: Workload) -> None:
    """Raise UsageError naming ``name``.py and the layer that masks or FLOPs would be wrong for.

    One forward and backward of random images in training mode, on a network of its own; the
    caller's random state stays. What the file's own code raises is passed on as it is.
    """
    if not problem.shapes:
        raise UsageError(f"{name}.py: build_model makes no convolution and no linear layer to mask")
    for layer, gradient in _gradients(name, problem).items():
        if gradient is None:
            raise UsageError(
                f"{name}.py: layer {layer} has no gradient: it takes no part in the loss or is "
                "frozen; valid: a network that trains each of its convolutions and linear layers"
            )
    _, macs, _ = network(problem.model, problem.dataset)
    for layer, count in macs.items():
        if count == 0:
            raise UsageError(
                f"{name}.py: layer {layer} costs 0 MACs by the count: its weight is used without a "
                "call of the layer, as attention does, and FLOPs would be too low; valid: layers "
                "that the network calls"
            )


def _gradients(name: str, problem: Workload) -> dict[str, Tensor | None]:
    """The gradient of each maskable weight after one backward; None where there is none."""
    shape = describe(problem.dataset)
    net = build_model(problem.model, shape.classes, shape.image_shape, 0).train()
    with seeded(0), torch.enable_grad():
        logits = net(torch.rand(IMAGES, *shape.image_shape))
        valid = (IMAGES, shape.classes)
        found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        if found != valid:
            raise UsageError(
                f"{name}.py: the network gives {found} for {IMAGES} images in training; valid: a "
                f"tensor of shape {valid}, a logit for each class of SHAPE"
            )
        loss = F.cross_entropy(logits, torch.arange(IMAGES) % shape.classes)
        loss.backward()  # type: ignore[no-untyped-call]
    return {layer: weight.grad for layer, weight in maskable(net).items()}


def blamed_network(name: str, problem: Workload, file: Path, error: Exception) -> UsageError:
    """What the network in ``file`` raises, at which line and layer, and what it was built for.

    A network of torch's own layers has no line where it fails; that of build_model is named then.
    """
    body = ast.parse(file.read_text()).body
    defined = (part for part in body if isinstance(part, ast.FunctionDef))
    line = next((part.lineno for part in defined if part.name == "build_model"), None)
    shape, layer = describe(problem.dataset), _layer_at(error)
    return UsageError(
        f"{blamed(name, file, error, line=line)}{f' (layer {layer})' if layer else ''}; "
        f"build_model was given classes = {shape.classes} and image_shape = "
        f"{tuple(shape.image_shape)}"
    )


def _layer_at(error: Exception) -> str:
    """Name and description of the layer whose forward raised, "" where it was the network's own."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    owners = [f.f_locals.get("self") for f in frames if f.f_code.co_name == "forward"]
    called = [owner for owner in owners if isinstance(owner, nn.Module)]
    if len(called) < 2:
        return ""
    outer, inner = called[0], called[-1]
    name = next((name for name, module in outer.named_modules() if module is inner), "")
    return ", ".join(filter(None, [name, "" if any(inner.children()) else str(inner)]))
