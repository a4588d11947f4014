"""Uniform random numbers: PyTorch's, where they are many by a faster way to the same ones."""

import torch
from torch import Tensor

FEW = 2**16  # as many as PyTorch draws at once; for more, it is worth importing a compiler


def uniform(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """U[0, 1) float32, bit by bit what ``torch.rand(shape, generator=generator)`` gives.

    The generator, one of the CPU, moves on as it does there.
    """
    if shape.numel() < FEW:
        return torch.rand(shape, generator=generator)
    from resparse.engine import draw

    return draw.uniform(shape, generator)
