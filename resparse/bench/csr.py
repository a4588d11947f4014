"""The sparse MLP by PyTorch's own CSR products, in a bare loop: what the engine has to beat.

Values, gradients and momentum are stored at the mask only, activations are feature-major, and the
transposed matrix takes the same values by a permutation made once, as in the engine. What a trainer
does beside (a learning rate, whether loss and gradients are finite) is left out.
"""

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from resparse.beginning import optimizer_of
from resparse.training import Training


class Places(NamedTuple):
    """Of the weights of a matrix, row after row."""

    ptr: Tensor  # (rows + 1,)
    columns: Tensor  # (nnz,), of each
    shape: tuple[int, int]

    @staticmethod
    def of(mask: Tensor) -> "Places":
        """The ones of a mask (out, in)."""
        ptr = F.pad(mask.sum(1).cumsum(0), (1, 0))
        return Places(ptr.int(), mask.nonzero()[:, 1].int(), (mask.shape[0], mask.shape[1]))

    def matrix(self, values: Tensor) -> Tensor:
        """With ``values`` (nnz,) at the weights."""
        return torch.sparse_csr_tensor(
            self.ptr, self.columns, values, self.shape, check_invariants=False
        )


class CSRLinear(nn.Module):
    """(in, n) -> (out, n) of a mask (out, in) and a dense layer's numbers."""

    def __init__(self, known: nn.Linear, mask: Tensor) -> None:
        super().__init__()
        self.by_rows, self.by_columns = Places.of(mask), Places.of(mask.t())
        numbered = torch.zeros(mask.shape, dtype=torch.long)
        numbered[mask] = torch.arange(len(self.by_rows.columns))
        self.order = numbered.t()[mask.t()]  # of the values by columns, each one's place by rows
        self.weight = nn.Parameter(known.weight.detach()[mask])
        self.bias = nn.Parameter(known.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """x: (in, n)."""
        found: Tensor = _Product.apply(x, self.weight, self.bias, self)  # type: ignore[no-untyped-call]
        return found


class DenseLinear(nn.Module):
    """The same of a layer that stays dense."""

    def __init__(self, known: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = known.weight, known.bias

    def forward(self, x: Tensor) -> Tensor:
        """x: (in, n)."""
        return torch.addmm(self.bias[:, None], self.weight, x)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, values: Tensor, bias: Tensor, layer: CSRLinear) -> Tensor:
        ctx.save_for_backward(x, values)
        ctx.layer = layer
        return (layer.by_rows.matrix(values) @ x).add_(bias[:, None])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, values = ctx.saved_tensors
        layer, dx = ctx.layer, None
        if ctx.needs_input_grad[0]:
            dx = layer.by_columns.matrix(values[layer.order]) @ dy
        sampled = layer.by_rows.matrix(torch.zeros_like(values))
        sampled = torch.sparse.sampled_addmm(sampled, dy.contiguous(), x.t(), beta=0.0)
        return dx, sampled.values(), dy.sum(1), None


def network(t: Training) -> nn.Sequential:
    """The run's MLP, with CSR where the engine has packed a layer; it takes (features, images)."""
    layers: list[nn.Module] = []
    for name, mask in t.masks.mask.items():
        known = nn.Linear(mask.shape[1], mask.shape[0])
        known.load_state_dict(t.model.get_submodule(name).state_dict())
        packed = t.masks.stored[name].is_packed
        layers += [CSRLinear(known, mask) if packed else DenseLinear(known), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def csr_steps(t: Training, count: int) -> Iterator[int]:
    """``count`` steps of it on the run's first batch, by the run's recipe; yields after each."""
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
    made = network(t)
    optimizer = optimizer_of(made, t.run)
    images, labels = next(iter(t.data.train_batches(t.run.seed, t.run.recipe.batch_size, 0, 1)))
    for step in range(count):
        optimizer.zero_grad()
        columns = images.flatten(1).t().contiguous()  # CSR products of it as it is take longer
        loss = F.cross_entropy(made(columns).t(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        yield step
