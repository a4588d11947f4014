"""How a layer's weight and moments lie in memory, and what is written there when its mask moves."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

INTEGER = {  # of each kind of number, the integer of its size
    torch.float16: torch.int16,
    torch.bfloat16: torch.int16,
    torch.float32: torch.int32,
    torch.float64: torch.int64,
}
COMPILED = (torch.float32, torch.float64)  # kinds that there is a compiled loop for
MANY = 2**16  # numbers that are worth it
Optimizer = torch.optim.Optimizer | None


class Full:
    """All numbers of a layer, with 0 outside the mask: the masked engine's.

    Masking the gradient before each step keeps weights and moments there at exactly 0 by itself.
    """

    crossover = 0.0  # density below which numbers are packed
    is_packed = False  # whether numbers are stored only where the mask is

    def __init__(self, weight: nn.Parameter) -> None:
        self.weight, self.shape, self.size = weight, weight.shape, weight.numel()
        self.factor = torch.empty_like(weight, requires_grad=False)  # the mask, to multiply with

    def take(self, mask: Tensor, keep: Tensor, reset: Tensor | None, optimizer: Optimizer) -> None:
        """From now on ``mask``; weights and moments become 0 but where ``keep`` is True.

        ``reset`` says where inside the mask ``keep`` is False although they were not 0.
        """
        self._zero_outside(keep, (self.weight.detach(), *moments(optimizer, self.weight)))
        self.restore(mask, optimizer)

    def restore(self, mask: Tensor, optimizer: Optimizer) -> None:
        """From now on ``mask``, outside which all numbers are 0."""
        # a bool as the byte that it is converts more than twice as fast
        self.factor.copy_(mask.view(torch.uint8))

    def _zero_outside(self, keep: Tensor, tensors: Iterable[Tensor]) -> None:
        """Make every number +0.0 where ``keep`` is False, in place, whatever it was; others stay.

        By its bits: a product would leave -0.0 and NaN, and a fill costs five times as much.
        """
        bits = self.factor.view(INTEGER[self.factor.dtype])  # memory that is there
        bits.copy_(keep.view(torch.uint8)).neg_()  # all ones where kept
        for tensor in tensors:
            tensor.view(bits.dtype).bitwise_and_(bits)

    def dense(self, stored: Tensor) -> Tensor:
        """The weight, or a tensor that runs along it, in the layer's own shape."""
        return stored

    def keep_gradient(self, wanted: bool) -> None:
        """Whether the next backward passes keep what the dense gradient needs; here it is there."""

    def gradient(self, name: str) -> Tensor:
        """The dense gradient of the last backward passes; RuntimeError where layer has none."""
        if self.weight.grad is None:
            raise RuntimeError(f"layer {name} has no gradient: it does not take part in the loss")
        return self.weight.grad

    def outside(self, mask: Tensor, optimizer: Optimizer) -> int:
        """Weights and moments outside the mask that are not 0."""
        tensors = (self.weight.detach(), *moments(optimizer, self.weight))
        return sum(int(((tensor != 0) & ~mask).count_nonzero()) for tensor in tensors)


def masked_sum(grad: Tensor, mask: Tensor, factor: Tensor) -> Tensor:
    """The sum of a gradient, which is multiplied by ``factor``, its mask as numbers, then.

    Of many numbers on a CPU both take one pass over memory instead of two, and a byte each of the
    mask; the bits are the same.
    """
    flat = grad.is_contiguous() and mask.is_contiguous() and grad.dtype in COMPILED
    if grad.device.type != "cpu" or grad.numel() < MANY or not flat:
        total = grad.sum()
        grad.mul_(factor)
        return total
    from resparse.engine import masking  # which imports a compiler

    return masking.masked_sum(grad, mask)


def moments(optimizer: Optimizer, weight: Tensor) -> Iterable[Tensor]:
    """The optimizer's tensors that run along ``weight``, first moment first."""
    if optimizer is None:
        return []
    state = optimizer.state.get(weight, {})
    return [t for t in state.values() if isinstance(t, Tensor) and t.shape == weight.shape]
