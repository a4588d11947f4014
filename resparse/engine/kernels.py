"""Products with a sparse matrix, compiled for this CPU: sums in registers, rows in threads.

What they multiply is feature-major, (G, features, n): G matrices whose rows are one feature of n
images, so that a weight meets n numbers that lie side by side. A layer's matrix is (out, in). Of
row i the weights are ``values[ptr[i]:ptr[i + 1]]``, in the columns ``index[ptr[i]:ptr[i + 1]]``
(CSR). Each row is one thread's, its sums in one order: the number of threads changes no bit.

Numba by itself keeps the sums in memory, where each weight reads and writes them; the loops that
keep them in registers are written in LLVM's terms. They stand in this file because numba looks
at no other when it asks whether what it has compiled is still right. A block is BLOCK vectors: of
16 floats or 8 doubles each where the CPU has vectors of 512 bits, else of half as many.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import binding, ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from resparse.engine.threads import compiled

BLOCK = 8  # vectors
BITS = 512 if binding.get_host_cpu_features().get("avx512f", False) else 256
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_FUSED = ("contract",)  # a product and its sum may be rounded once


class Code:
    """LLVM's builder, and the vectors that it writes of here."""

    def __init__(self, context: Any, builder: Any, kind: Any) -> None:
        self.context, self.builder = context, builder
        self.lanes, self.align = BITS // kind.bitwidth, kind.bitwidth // 8
        self.vector = ir.VectorType(context.get_value_type(kind), self.lanes)

    def data(self, kind: Any, array: Any, offset: Any = None) -> Any:
        """Pointer into a contiguous array."""
        start = self.context.make_array(kind)(self.context, self.builder, array).data
        return start if offset is None else self.builder.gep(start, [offset])

    def number(self, start: Any, at: Any) -> Any:
        """One number of an array."""
        return self.builder.load(self.builder.gep(start, [at]))

    def place(self, start: Any, block: int) -> Any:
        """Pointer to the vector ``block`` from a number on, wherever that lies."""
        at = self.builder.gep(start, [_I64(block * self.lanes)])
        return self.builder.bitcast(at, self.vector.as_pointer())

    def load(self, start: Any, block: int) -> Any:
        """That vector."""
        found = self.builder.load(self.place(start, block))
        found.align = self.align
        return found

    def filled(self, number: Any) -> Any:
        """A vector of one number."""
        none = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(none, number, _I32(0))
        return self.builder.shuffle_vector(first, none, _places(self.lanes * [0]))

    def kept(self, vector: Any) -> Any:
        """A variable that begins as ``vector``."""
        place = cgutils.alloca_once(self.builder, vector.type)  # type: ignore[no-untyped-call]
        self.builder.store(vector, place)
        return place

    def plus_product(self, sums: Any, one: Any, other: Any) -> Any:
        """sums + one * other."""
        product = self.builder.fmul(one, other, flags=_FUSED)
        return self.builder.fadd(product, sums, flags=_FUSED)

    def total(self, vector: Any) -> Any:
        """The sum of a vector's numbers: of its halves, then of theirs."""
        builder, left = self.builder, self.lanes
        while left > 1:
            left //= 2
            none = ir.Constant(vector.type, ir.Undefined)
            low = builder.shuffle_vector(vector, none, _places(range(left)))
            high = builder.shuffle_vector(vector, none, _places(range(left, 2 * left)))
            vector = builder.fadd(low, high)
        return builder.extract_element(vector, _I32(0))

    @contextmanager
    def weights(self, index: Any, first: Any, end: Any, x: Any, n: Any) -> Iterator[Any]:
        """A loop over the weights first to end - 1: the number of one, and its row of x."""
        with cgutils.for_range_slice(self.builder, first, end, _I64(1)) as (at, _):
            column = self.builder.sext(self.number(index, at), _I64)
            yield at, self.builder.gep(x, [self.builder.mul(column, n)])


def _places(of: Any) -> Any:
    return ir.Constant(ir.VectorType(_I32, len(of)), list(of))


def _product(blocks: int) -> Any:
    @intrinsic
    def product(typing, values, index, first, end, start, x, x_at, n, y, y_at):  # type: ignore[no-untyped-def]
        i64 = types.int64
        given = types.void(values, index, i64, i64, start, x, i64, i64, y, i64)

        def code(context: Any, builder: Any, of: Any, args: Any) -> None:
            c, kinds = Code(context, builder, start), of.args
            values, index, first, end, begin, x, x_at, n, y, y_at = args
            values, index = c.data(kinds[0], values), c.data(kinds[1], index)
            x, y = c.data(kinds[5], x, x_at), c.data(kinds[8], y, y_at)
            sums = [c.kept(c.filled(begin)) for _ in range(blocks)]
            with c.weights(index, first, end, x, n) as (at, row):
                weight = c.filled(c.number(values, at))
                for block, found in enumerate(sums):
                    more = c.plus_product(builder.load(found), weight, c.load(row, block))
                    builder.store(more, found)
            for block, found in enumerate(sums):
                builder.store(builder.load(found), c.place(y, block)).align = c.align

        return given, code

    return product


def _dots(blocks: int) -> Any:
    @intrinsic
    def dots(typing, dy, dy_at, index, first, end, x, x_at, n, grad):  # type: ignore[no-untyped-def]
        i64 = types.int64
        given = types.void(dy, i64, index, i64, i64, x, i64, i64, grad)

        def code(context: Any, builder: Any, of: Any, args: Any) -> None:
            c, kinds = Code(context, builder, dy.dtype), of.args
            d, d_at, index, first, end, x, x_at, n, grad = args
            d, x = c.data(kinds[0], d, d_at), c.data(kinds[5], x, x_at)
            index, grad = c.data(kinds[2], index), c.data(kinds[8], grad)
            given = [c.load(d, block) for block in range(blocks)]
            with c.weights(index, first, end, x, n) as (at, row):
                sums = [ir.Constant(c.vector, None)] * 2  # two, so that none waits for the other
                for block, vector in enumerate(given):
                    sums[block % 2] = c.plus_product(sums[block % 2], vector, c.load(row, block))
                place = builder.gep(grad, [at])
                total = c.total(builder.fadd(*sums))
                builder.store(builder.fadd(builder.load(place), total), place)

        return given, code

    return dots


# y[y_at + k] = start + the sum of values[p] * x[x_at + index[p] * n + k] over weights p, for the k
# of BLOCK vectors, or of one
product_of_block, product_of_vector = _product(BLOCK), _product(1)
# grad[p] += the sum of dy[dy_at + k] * x[x_at + index[p] * n + k] over the same k
dots_of_block, dots_of_vector = _dots(BLOCK), _dots(1)


@compiled
def spread(chunks, ptr, index, values, start, x, y):  # type: ignore[no-untyped-def]
    """y (G, out, n) = start (out,) + matrix times x (G, in, n)."""
    images, rows, n = y.shape
    one = BITS // 8 // y.itemsize
    block, size = BLOCK * one, x.shape[1] * n
    for chunk in prange(len(chunks) - 1):
        for g in range(images):
            k = 0
            while k < n:  # the same columns of x for all rows: they stay in the cache
                wide = block if k + block <= n else one if k + one <= n else n - k
                for row in range(chunks[chunk], chunks[chunk + 1]):
                    first, end, at = ptr[row], ptr[row + 1], (g * rows + row) * n + k
                    if wide == block:
                        product_of_block(
                            values, index, first, end, start[row], x, g * size + k, n, y, at
                        )
                    elif wide == one:
                        product_of_vector(
                            values, index, first, end, start[row], x, g * size + k, n, y, at
                        )
                    else:
                        for last in range(k, n):
                            y[g, row, last] = start[row]
                            for p in range(first, end):
                                y[g, row, last] += values[p] * x[g, index[p], last]
                k += wide


@compiled
def sampled(chunks, ptr, index, dy, x, grad):  # type: ignore[no-untyped-def]
    """grad (nnz,): of dy (G, out, n) times x (G, in, n) transposed, what lies at the weights."""
    images, rows, n = dy.shape
    one = BITS // 8 // dy.itemsize
    block, size = BLOCK * one, x.shape[1] * n
    for chunk in prange(len(chunks) - 1):
        for p in range(ptr[chunks[chunk]], ptr[chunks[chunk + 1]]):
            grad[p] = 0
        for g in range(images):
            k = 0
            while k < n:
                wide = block if k + block <= n else one if k + one <= n else n - k
                for row in range(chunks[chunk], chunks[chunk + 1]):
                    first, end, at = ptr[row], ptr[row + 1], (g * rows + row) * n + k
                    if wide == block:
                        dots_of_block(dy, at, index, first, end, x, g * size + k, n, grad)
                    elif wide == one:
                        dots_of_vector(dy, at, index, first, end, x, g * size + k, n, grad)
                    else:
                        for p in range(first, end):
                            for last in range(k, n):
                                grad[p] += dy[g, row, last] * x[g, index[p], last]
                k += wide
