"""Where a sparse layer's weights are, and products with it."""

from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from resparse.engine import kernels, places
from resparse.engine.threads import run


class Transposed(NamedTuple):
    """The weights by columns; ``order`` (nnz,) says which of the values by rows each is."""

    chunks: places.Array
    ptr: places.Array
    rows: places.Array
    order: Tensor


class Pattern:
    """The ones of a mask (out, in), row after row: what is stored of a weight is (nnz,)."""

    def __init__(self, mask: Tensor) -> None:
        self.shape = (mask.shape[0], mask[0].numel())
        flat = mask.reshape(self.shape)
        counts = flat.sum(1, dtype=torch.int32).numpy()
        self.ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        self.index = np.empty(self.nnz, np.int32)
        run(places.columns_of, self.ptr, flat, self.index)
        self.chunks = places.chunks_of(self.ptr)

    @property
    def nnz(self) -> int:
        """Weights that are stored."""
        return int(self.ptr[-1])

    @property
    def bytes(self) -> int:
        """Of the places of the weights, by rows, and by columns where those were made."""
        arrays = [self.ptr, self.index, self.chunks]
        if "transposed" in self.__dict__:
            by = self.transposed
            arrays += [by.chunks, by.ptr, by.rows, by.order.numpy()]
        return sum(array.nbytes for array in arrays)

    @cached_property
    def transposed(self) -> Transposed:
        """Made when an input's gradient is first asked for: a first layer's never is."""
        ptr = np.zeros(self.shape[1] + 1, np.int32)
        index, order = np.empty_like(self.index), np.empty_like(self.index)
        run(places.transposed, self.ptr, self.index, ptr, index, order)
        return Transposed(places.chunks_of(ptr), ptr, index, torch.from_numpy(order))

    def packed(self, dense: Tensor) -> Tensor:
        """What a tensor of the weight's shape has at the weights, (nnz,)."""
        values = dense.new_empty(self.nnz)
        flat = dense.detach().reshape(self.shape)
        run(places.packed, self.ptr, self.index, flat, values)
        return values

    def unpacked(self, values: Tensor) -> Tensor:
        """The matrix (out, in) with these values (nnz,), and 0 elsewhere."""
        dense = values.new_zeros(self.shape)
        run(places.unpacked, self.ptr, self.index, values, dense)
        return dense.detach()

    def moved(self, values: Tensor, new: "Pattern") -> Tensor:
        """The values at the places of ``new``, and 0 where they have none."""
        to = values.new_empty(new.nnz)
        run(places.moved, self.ptr, self.index, values, new.ptr, new.index, to)
        return to

    def forward(self, values: Tensor, bias: Tensor | None, x: Tensor) -> Tensor:
        """bias + matrix times x: (G, in, n) -> (G, out, n)."""
        start = x.new_zeros(self.shape[0]) if bias is None else bias
        y = x.new_empty(x.shape[0], self.shape[0], x.shape[2])
        run(kernels.spread, self.chunks, self.ptr, self.index, values, start, x, y)
        return y

    def gradient(self, dy: Tensor, x: Tensor) -> Tensor:
        """Of the values (nnz,), from dy (G, out, n) and x (G, in, n): sampled at the weights."""
        grad = x.new_empty(self.nnz)
        run(kernels.sampled, self.chunks, self.ptr, self.index, dy, x, grad)
        return grad

    def backward(self, values: Tensor, dy: Tensor) -> Tensor:
        """Of the input: the transposed matrix times dy, (G, out, n) -> (G, in, n)."""
        by = self.transposed
        dx, zero = (
            dy.new_empty(dy.shape[0], self.shape[1], dy.shape[2]),
            dy.new_zeros(self.shape[1]),
        )
        sorted_values = values.detach().index_select(0, by.order)
        run(kernels.spread, by.chunks, by.ptr, by.rows, sorted_values, zero, dy, dx)
        return dx
