"""A workload from outside, tried before anything trains: shapes, output, gradients, cost."""

import torch
from torch import Tensor
from torch.nn import functional as F

from resparse.data import describe
from resparse.errors import UsageError
from resparse.exact import network
from resparse.models import build_model, maskable
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
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
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
