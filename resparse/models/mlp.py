"""Multi-layer perceptrons: ITOP's for CIFAR, and the small one of the smoke level."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MLP(nn.Module):
    """Two hidden layers with biases and ReLU; no dropout, no batch norm; torch's initialisation."""

    def __init__(self, inputs: int, hidden: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden[0])
        self.fc2 = nn.Linear(hidden[0], hidden[1])
        self.fc3 = nn.Linear(hidden[1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, *image_shape) -> (N, classes); any image shape is flattened."""
        out = F.relu(self.fc1(x.flatten(1)))
        return torch.as_tensor(self.fc3(F.relu(self.fc2(out))))

    def stacked(self, linear: Callable[[str, Tensor], Tensor], x: Tensor) -> Tensor:
        """``forward`` of R networks: (R, N, *image_shape) -> (R, N, classes).

        ``linear`` brings the inputs of a layer, by its name, to its outputs in each of them.
        """
        out = F.relu(linear("fc1", x.flatten(2)))
        return linear("fc3", F.relu(linear("fc2", out)))


def mlp(classes: int, image_shape: tuple[int, ...]) -> nn.Module:
    """ITOP's MLP of 1024 and 512 neurons: 3,675,136 maskable weights at 3x32x32 and 10 classes.

    Liu et al. 2021, appendix A.1, which rules out dropout and batch norm. The released code (its
    MLP_CIFAR10) has biases and leaves torch's initialisation; so has this.
    """
    return MLP(math.prod(image_shape), (1024, 512), classes)


def mlp_small(classes: int, image_shape: tuple[int, ...]) -> nn.Module:
    """The smoke level's MLP of 256 and 128 neurons: 50,432 maskable weights on digits."""
    return MLP(math.prod(image_shape), (256, 128), classes)
