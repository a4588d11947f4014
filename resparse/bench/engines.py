"""Steps of the sparse engine beside masked ones, in one process: time, memory, and what they pay.

A step is forward, backward, masking and optimizer of the same batch: what the engine is about. In
the epoch each batch is made. All ways of the MLP take turns, so that a busy moment falls on all;
the trainer itself trains it, with static masks of ERK; beside them a bare loop trains the same
network by PyTorch's own CSR products. A layer alone is timed a way after the
other, and its input has a gradient as well; "1x1 64-256 x3136" is a convolution of 64 channels to
256 at 3136 positions of each image, as many as 56 x 56 has, in one row.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median

import torch
from torch import nn

from resparse import precision
from resparse.bench.csr import csr_steps
from resparse.bench.masks import BATCH, INTERVAL, Stopwatch
from resparse.bench.step import (
    IMAGES,
    has_bf16,
    in_turn,
    random_cifar,
    steps_in_turn,
    training,
)
from resparse.data import Batch
from resparse.data.memory import InMemory
from resparse.engine import crossover
from resparse.engine.layers import sparse_of
from resparse.engine.packed import Packed
from resparse.errors import VerdictFailed
from resparse.how import How
from resparse.storage import moments
from resparse.trainer import train_steps
from resparse.training import Training

DENSITIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
LAYER, BATCHES = 4096, (32, 128, 512)  # a square layer, and the batches it is timed at
# inputs, outputs and side of the images of 1x1 convolutions of ResNet-50, wide and deep ones
POINTWISE, IMAGES_OF_CONV = ((64, 256, 56), (256, 64, 56), (1024, 256, 14), (512, 2048, 7)), 32
LEAST_GAIN = {0.05: 6.0, 0.02: 10.0}  # masked fp32 over sparse, MLP
MOST_BYTES = 48.0  # of weight, gradient, momentum and places, an active weight
MASKED_BYTES = 16.0  # of a weight, active or not: itself, gradient, momentum, factor of the mask
MOST_MASK_WORK = 15.0  # percent of a sparse step, at INTERVAL
MOST_EPOCH_S = 2.5  # at HELD, data included, on two threads
HELD = 0.05
ROUND_STEPS, UPDATES = 20, 10  # of a turn, long beside a cold start; updates, at every second step


@dataclass(frozen=True, kw_only=True)
class Row:
    """Median milliseconds of a step at one density."""

    what: str  # mlp, or a layer
    batch: int
    density: float
    dense_ms: float
    masked_ms: float
    bf16_ms: float | None
    sparse_ms: float
    flops: float  # of a sparse step
    peak: float  # FLOP/s of a dense product here
    csr_ms: float | None = None  # by PyTorch's CSR products, without a trainer
    bytes_each: float | None = None  # an active weight of packed layers
    epoch_s: float | None = None  # sparse, data included
    mask_work: float | None = None  # percent of a sparse step that SET's updates are

    @property
    def gain(self) -> float:
        """How many times faster sparse is than masked fp32."""
        return self.masked_ms / self.sparse_ms

    @property
    def share(self) -> float:
        """Percent of the peak that the sparse step computes at."""
        return 100.0 * self.flops / (self.sparse_ms / 1e3) / self.peak

    def faults(self, threads: int) -> list[str]:
        """Sentences on what does not hold."""
        said, where = [], f"{self.what} at density {self.density:g}"
        least = LEAST_GAIN.get(self.density) if self.what == "mlp" else None
        if least is not None and not self.gain >= least:
            said.append(f"{where}: sparse is {self.gain:.1f} times faster (limit {least:g})")
        if least is not None and self.csr_ms is not None and not self.sparse_ms <= self.csr_ms:
            said.append(
                f"{where}: sparse takes {self.sparse_ms:.2f} ms, PyTorch's CSR products "
                f"{self.csr_ms:.2f} (limit as long)"
            )
        if self.bytes_each is not None and not self.bytes_each <= MOST_BYTES:
            said.append(f"{where}: {self.bytes_each:.0f} bytes a weight (limit {MOST_BYTES:g})")
        if self.mask_work is not None and not self.mask_work <= MOST_MASK_WORK:
            said.append(f"{where}: mask work {self.mask_work:.1f} % (limit {MOST_MASK_WORK:g} %)")
        late = self.epoch_s is not None and self.density == HELD and threads == 2
        if late and not (self.epoch_s or 0.0) <= MOST_EPOCH_S:
            said.append(f"{where}: an epoch takes {self.epoch_s:.2f} s (limit {MOST_EPOCH_S:g} s)")
        return said

    def as_json(self) -> dict[str, object]:
        """All fields and what follows of them."""
        return asdict(self) | {"gain": self.gain, "share_of_peak": self.share}


class OneBatch(InMemory):
    """The same batch at every step, made once."""

    def train_batches(self, seed: int, batch_size: int, start: int, stop: int) -> Iterator[Batch]:
        """Steps start .. stop - 1."""
        batch = next(super().train_batches(seed, batch_size, start, stop))
        for _ in range(start, stop):
            yield batch


def update_s(t: Training) -> float:
    """Median seconds that a mask update adds to its step."""
    watch, updates = Stopwatch(time.perf_counter), []
    for _ in train_steps(t, 2 * UPDATES, watch.lap):
        parts = watch.take()
        updates += [parts["update"]] if "update" in parts else []
    return median(updates)


def mlp_rows(how: How, images: InMemory, peak: float, say: Callable[[Row], None]) -> list[Row]:
    """The ITOP paper's MLP at BATCH, each density in turn."""
    rows = []
    precision.enter("fp32", how.threads)
    fixed = OneBatch(images.name, images.classes, images.splits, images.mean, images.std)
    halves = ["bf16"] if has_bf16() else []
    for density in DENSITIES:
        made = partial(training, "mlp", how=how, density=density)
        sparse = made("static", "fp32", data=fixed, engine="sparse")
        each = [
            sparse,
            made("static", "fp32", data=images, engine="sparse"),
            made("dense", "fp32", data=fixed),
            made("static", "fp32", data=fixed),
            *(made("static", kind, data=fixed) for kind in halves),
        ]
        steps = steps_in_turn(ROUND_STEPS)
        ways = [[csr_steps(sparse, steps)], *([train_steps(t, steps)] for t in each)]
        took = in_turn(ways, ROUND_STEPS, how, time.perf_counter)
        csr_s, sparse_s, whole_s, dense_s, masked_s, *half_s = took
        moving = made("set", "fp32", data=fixed, engine="sparse")
        nnz = sparse.masks.nnz()
        first = next(iter(nnz.values()))  # whose input has no gradient
        rows.append(
            Row(
                what="mlp",
                batch=BATCH,
                density=density,
                dense_ms=1e3 * dense_s,
                masked_ms=1e3 * masked_s,
                bf16_ms=1e3 * half_s[0] if half_s else None,
                sparse_ms=1e3 * sparse_s,
                flops=2.0 * BATCH * (3 * sum(nnz.values()) - first),
                peak=peak,
                csr_ms=1e3 * csr_s,
                bytes_each=bytes_each(sparse),
                epoch_s=whole_s * (IMAGES // BATCH),
                mask_work=100.0 * update_s(moving) / INTERVAL / sparse_s,
            )
        )
        say(rows[-1])
    return rows


def bytes_each(t: Training) -> float | None:
    """Bytes of weight, gradient, moments and places, by active weight of the packed layers."""
    total, active = 0, 0
    for stored in t.masks.stored.values():
        if not isinstance(stored, Packed) or not stored.is_packed:
            continue
        tensors = [stored.weight, stored.weight.grad, *moments(t.optimizer, stored.weight)]
        total += sum(x.numel() * x.element_size() for x in tensors if x is not None)
        total += stored.factor.numel() * stored.factor.element_size()
        assert stored.module.pattern is not None
        total += stored.module.pattern.bytes
        active += stored.weight.numel()
    return total / active if active else None


def layer_rows(how: How, peak: float, say: Callable[[Row], None]) -> list[Row]:
    """Layers by themselves: a square one at each of BATCHES, then the 1x1 convolutions."""
    precision.enter("fp32", how.threads)
    square = (f"{LAYER}x{LAYER}", nn.Linear(LAYER, LAYER))
    rows = [row for batch in BATCHES for row in _alone(*square, batch, 1, peak, say)]
    for inputs, outputs, side in POINTWISE:
        conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        name = f"1x1 {inputs}-{outputs} x{side**2}"
        rows += _alone(name, conv, IMAGES_OF_CONV, side**2, peak, say)
    return rows


def _alone(
    what: str,
    module: nn.Module,
    batch: int,
    positions: int,
    peak: float,
    say: Callable[[Row], None],
) -> list[Row]:
    """A layer at each density, for ``batch`` images of as many positions."""
    layer, rows = sparse_of(module), []
    assert layer is not None
    dense = crossover.step_s(layer, batch, positions, 1.0, packed=False)
    for density in DENSITIES:
        masked = crossover.step_s(layer, batch, positions, density, packed=False)
        sparse = crossover.step_s(layer, batch, positions, density, packed=True)
        rows.append(
            Row(
                what=what,
                batch=batch,
                density=density,
                dense_ms=1e3 * dense,
                masked_ms=1e3 * masked,
                bf16_ms=None,
                sparse_ms=1e3 * sparse,
                flops=6.0 * batch * positions * density * layer.weight.numel(),
                peak=peak,
            )
        )
        say(rows[-1])
    return rows


def peak_flops() -> float:
    """FLOP/s of a dense product of 2048 x 2048 matrices in fp32."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    return 2.0 * 2048**3 / crossover.timed(lambda: torch.mm(a, b))


def engines_report(threads: int, say: Callable[[Row], None]) -> list[Row]:
    """All rows, the MLP's first; each is said as it comes."""
    before, how = torch.get_num_threads(), How(threads=threads)
    try:
        precision.enter("fp32", threads)
        peak = peak_flops()
        data = random_cifar()
        return [*mlp_rows(how, data, peak, say), *layer_rows(how, peak, say)]
    finally:
        precision.enter("fp32", before)


HEADER = (
    f"{'network':17} {'batch':>5} {'density':>7} {'dense ms':>9} {'masked ms':>9} {'bf16 ms':>8}"
    f" {'CSR ms':>7} {'sparse ms':>9} {'gain':>6} {'peak %':>6} {'bytes':>6} {'epoch s':>7}"
    f" {'mask work %':>11}"
)


def line(row: Row) -> str:
    """One row of the table under HEADER."""
    bf16, csr, each, epoch, work = (
        "" if value is None else f"{value:.{digits}f}"
        for value, digits in (
            (row.bf16_ms, 2),
            (row.csr_ms, 2),
            (row.bytes_each, 1),
            (row.epoch_s, 2),
            (row.mask_work, 1),
        )
    )
    return (
        f"{row.what:17} {row.batch:5} {row.density:7g} {row.dense_ms:9.2f} {row.masked_ms:9.2f}"
        f" {bf16:>8} {csr:>7} {row.sparse_ms:9.2f} {row.gain:6.1f} {row.share:6.1f} {each:>6}"
        f" {epoch:>7} {work:>11}"
    )


def require_fast(rows: list[Row], threads: int) -> None:
    """Raise VerdictFailed with all that does not hold."""
    if said := [sentence for row in rows for sentence in row.faults(threads)]:
        raise VerdictFailed("; ".join(said))
