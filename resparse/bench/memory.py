"""The in-memory loader: images a second by itself, and its share of a training step."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from resparse import data, precision
from resparse.beginning import start
from resparse.bench.masks import WARMUP, Stopwatch, bench_run
from resparse.data.memory import InMemory
from resparse.errors import UsageError, VerdictFailed
from resparse.how import How
from resparse.models import build_model, maskable
from resparse.trainer import train_steps

MODEL, BATCH = "mlp", 128  # whose step is the shortest of the papers' networks
REQUIRED_PER_S, MOST_SHARE = 80_000.0, 15.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was timed, on the wall clock."""

    threads: int
    images_per_s: float  # shuffled, cropped, flipped, normalised; nothing else done
    batch_ms: float  # of a training step that waits for its batch
    step_ms: float  # all of that step

    @property
    def share(self) -> float:
        """Percent of a step of MODEL that is data."""
        return 100.0 * self.batch_ms / self.step_ms


def memory_report(name: str, root: Path | None, threads: int, steps: int) -> Row:
    """From ``steps`` batches alone and as many trained on.

    Raises Missing where the dataset is not prepared, UsageError where it is not one in memory.
    """
    if name not in data.PREPARED:
        raise UsageError(
            f"dataset {name!r} is not one in memory; valid: {', '.join(data.PREPARED)}"
        )
    images = data.load(name, root)
    if not isinstance(images, InMemory):
        raise TypeError(f"{name} was loaded as {type(images).__name__}")
    precision.enter("fp32")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        batch_ms, step_ms = step_times(images, steps)
        per_s = speed(images, steps)
        return Row(threads=threads, images_per_s=per_s, batch_ms=batch_ms, step_ms=step_ms)
    finally:
        torch.set_num_threads(before)


def speed(images: InMemory, steps: int) -> float:
    """Images a second of ``steps`` batches that follow one another, after one that does not count.

    The images' borders are made with the first batch.
    """
    batches = images.train_batches(0, BATCH, 0, steps + 1)
    next(batches)
    began, seen = time.perf_counter(), 0
    for _, labels in batches:
        seen += len(labels)
    return seen / (time.perf_counter() - began)


def step_times(images: InMemory, steps: int) -> tuple[float, float]:
    """Medians over the steps of a dense training: milliseconds for the batch, and altogether."""
    run = bench_run(MODEL, "dense", images.sha256)
    network = build_model(MODEL, images.classes, images.image_shape, 0)
    counts = {layer: weight.numel() for layer, weight in maskable(network).items()}
    watch = Stopwatch(time.perf_counter)
    t = start(run, images, counts, None, How(), watch.lap)
    watch.take()
    parts = [watch.take() for _ in train_steps(t, WARMUP + steps, watch.lap)][WARMUP:]
    waited = median(part["batch"] for part in parts)
    return 1e3 * waited, 1e3 * median(sum(part.values()) for part in parts)


HEADER = f"{'threads':>7} {'images/s':>10} {'batch ms':>9} {'step ms':>8} {'data %':>7}"


def line(row: Row) -> str:
    """One row of the table under HEADER."""
    return (
        f"{row.threads:7} {row.images_per_s:10,.0f} {row.batch_ms:9.3f} {row.step_ms:8.2f} "
        f"{row.share:7.2f}"
    )


def as_json(name: str, row: Row) -> dict[str, Any]:
    """What was measured, and what it is held to."""
    return {
        "dataset": name,
        "model": MODEL,
        "batch": BATCH,
        **asdict(row),
        "share": row.share,
        "required_images_per_s": REQUIRED_PER_S,
        "most_share": MOST_SHARE,
    }


def require_quick(row: Row) -> None:
    """Raise VerdictFailed where the loader is too slow, or takes too much of a step."""
    if not row.images_per_s >= REQUIRED_PER_S:
        raise VerdictFailed(
            f"the in-memory loader makes {row.images_per_s:,.0f} images a second; required: "
            f"{REQUIRED_PER_S:,.0f}"
        )
    if not row.share <= MOST_SHARE:
        raise VerdictFailed(
            f"data are {row.share:.1f} % of a step of {MODEL}; required: at most {MOST_SHARE:g} %"
        )
