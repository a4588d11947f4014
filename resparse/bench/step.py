"""A whole training step, data included: dense beside masked, in one process, in turn.

The masked step is of static masks: what moving them costs is ``bench masks``. A dense network's
gradients are not multiplied by anything.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median

import torch

from resparse import precision
from resparse.beginning import start
from resparse.bench.masks import BATCH, CLASSES, IMAGE, STEPS, bench_run
from resparse.data.memory import InMemory
from resparse.distributions import layer_counts
from resparse.errors import UsageError, VerdictFailed
from resparse.how import How
from resparse.models import build_model, maskable
from resparse.seeds import generator
from resparse.trainer import train_steps
from resparse.training import Training

IMAGES = 45_000  # an epoch of CIFAR with a tenth held out
DENSITY = 0.05
MOST_OVERHEAD = 5.0  # percent of a dense step
MOST_EPOCH_S = {("mlp", "fp32"): 8.0, ("mlp", "bf16"): 3.5}  # on two cores
ON_CPU, ON_GPU = ("mlp", "wrn22_2"), ("mlp", "wrn22_2", "resnet50")
ROUNDS, WARMUP = 9, 3
TURNS = {"mlp": (36, 10), "wrn22_2": (18, 1), "resnet50": (18, 1)}  # rounds, and steps of each


@dataclass(frozen=True, kw_only=True)
class Row:
    """Medians over rounds of a mean step, of two trainings that took turns.

    ``overhead``: percent that the masked step is longer, the median over rounds too. What slows
    the machine for a while slows both of a round, and shows in no ratio.
    """

    model: str
    precision: str
    device: str
    threads: int
    dense_ms: float
    masked_ms: float
    overhead: float

    @property
    def epoch_s(self) -> float:
        """An epoch of IMAGES images, masked."""
        return self.masked_ms / 1e3 * (IMAGES // BATCH)

    @property
    def most_epoch_s(self) -> float | None:
        """What an epoch is held to, where it is: on two cores."""
        on_two = self.device == "cpu" and self.threads == 2
        return MOST_EPOCH_S.get((self.model, self.precision)) if on_two else None

    def faults(self) -> list[str]:
        """Sentences on what is over its limit."""
        said, limit = [], self.most_epoch_s
        where = f"{self.model} in {self.precision}"
        if not self.overhead <= MOST_OVERHEAD:
            said.append(f"{where}: masking is {self.overhead:.1f} % (limit {MOST_OVERHEAD:g} %)")
        if limit is not None and not self.epoch_s <= limit:
            said.append(f"{where}: an epoch takes {self.epoch_s:.1f} s (limit {limit:g} s)")
        return said

    def as_json(self) -> dict[str, object]:
        """All fields and what follows of them."""
        more = {name: getattr(self, name) for name in ("epoch_s", "most_epoch_s")}
        return asdict(self) | more | {"faults": self.faults()}


def random_cifar() -> InMemory:
    """IMAGES random images of CIFAR's shape, cropped and flipped as its are."""
    rng = generator(0, "bench")
    images = torch.randint(0, 256, (IMAGES, *IMAGE), generator=rng, dtype=torch.uint8)
    labels = torch.randint(0, CLASSES, (IMAGES,), generator=rng)
    splits = {"train": (images, labels)}
    return InMemory("random", CLASSES, splits, mean=127.5, std=73.9, pad=4, flip=True)


def has_bf16() -> bool:
    """Whether products of bf16 are quicker than of fp32 here: the CPU has instructions for them.

    oneDNN calls bf16 supported on any CPU with AVX-512, and emulates it, slower than fp32.
    """
    return bool(torch.cpu._is_avx512_bf16_supported())


def training(
    model: str,
    method: str,
    kind: str,
    how: How,
    data: InMemory,
    seed: int = 0,
    *,
    density: float = DENSITY,
    engine: str = "masked",
) -> Training:
    """A run as long as the paper's, before its first step."""
    steps = STEPS.get(model, STEPS["wrn22_2"])
    weights = maskable(build_model(model, CLASSES, IMAGE, 0))
    known = bench_run("mlp", method, data.sha256)
    run = replace(
        known,
        model=model,
        seed=seed,
        precision=kind,
        density=1.0 if method == "dense" else density,
        engine=engine,
        recipe=replace(known.recipe, steps=steps),
    )
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    return start(run, data, layer_counts(run.distribution, shapes, run.density), None, how)


def step_row(model: str, kind: str, how: How, data: InMemory, clock: Callable[[], float]) -> Row:
    """Time both trainings, a round of steps each in turn, after a warm-up of both."""
    rounds, count = TURNS[model]
    both = (training(model, method, kind, how, data) for method in ("dense", "static"))
    ways = [[train_steps(t, steps_in_turn(count, rounds))] for t in both]
    dense, masked = rounds_in_turn(ways, count, how, clock, rounds)
    return Row(
        model=model,
        precision=kind,
        device=torch.cuda.get_device_name() if how.on_gpu else "cpu",
        threads=how.threads,
        dense_ms=1e3 * median(dense),
        masked_ms=1e3 * median(masked),
        overhead=100.0 * (median(m / d for d, m in zip(dense, masked, strict=True)) - 1.0),
    )


def steps_in_turn(count: int, rounds: int | None = None) -> int:
    """Steps that ``in_turn`` takes of each training."""
    return WARMUP + (rounds or ROUNDS) * count


def in_turn(
    ways: Iterable[Sequence[Iterator[object]]], count: int, how: How, clock: Callable[[], float]
) -> list[float]:
    """Median seconds of a step of each way, over ROUNDS (see ``rounds_in_turn``)."""
    return [median(times) for times in rounds_in_turn(ways, count, how, clock, ROUNDS)]


def rounds_in_turn(
    ways: Iterable[Sequence[Iterator[object]]],
    count: int,
    how: How,
    clock: Callable[[], float],
    rounds: int,
) -> list[list[float]]:
    """Seconds of a step of each way in each round: ``count`` steps of one after the other.

    A way is trainings of which a step is one step of each; the first WARMUP are not counted.
    """
    ways = list(ways)
    took: list[list[float]] = [[] for _ in ways]
    for trainings in ways:
        for steps in trainings:
            for _ in range(WARMUP):
                next(steps)
    for _ in range(rounds):
        for times, trainings in zip(took, ways, strict=True):
            _synchronise(how)
            began = clock()
            for steps in trainings:
                for _ in range(count):
                    next(steps)
            _synchronise(how)
            times.append((clock() - began) / count)
    return took


def _synchronise(how: How) -> None:
    if how.on_gpu:
        torch.cuda.synchronize()


def step_report(
    models: Iterable[str], threads: int, say: Callable[[str], None] = lambda line: None
) -> list[Row]:
    """Each model in fp32, and in half precision where this device is made for it.

    On a GPU where there is one. Raises UsageError for a model that is not timed here.
    """
    gpu = torch.cuda.is_available()
    valid = ON_GPU if gpu else ON_CPU
    models = list(models) or list(valid)
    if wrong := [model for model in models if model not in valid]:
        raise UsageError(f"bench step --model {wrong[0]}; valid here: {', '.join(valid)}")
    how = How(device="cuda", channels_last=True) if gpu else How(threads=threads)
    half = [precision.half()] if gpu or has_bf16() else []
    if not half:
        say("bf16: this CPU has no instructions for it, so it is not timed")
    data, rows = random_cifar().to(torch.device(how.device)), []
    before = torch.get_num_threads()
    try:
        for model in models:
            for kind in ("fp32", *half):
                precision.enter(kind, how.threads)
                rows.append(step_row(model, kind, how, data, time.perf_counter))
                say(line(rows[-1]))
    finally:
        precision.enter("fp32", before)
    return rows


HEADER = (
    f"{'model':9} {'precision':>9} {'threads':>7} {'dense ms':>9} {'masked ms':>9}"
    f" {'overhead %':>10} {'epoch s':>8} {'limit s':>8}"
)


def line(row: Row) -> str:
    """One row of the table under HEADER; over a limit, it says so."""
    limit = "" if row.most_epoch_s is None else f"{row.most_epoch_s:.1f}"
    return (
        f"{row.model:9} {row.precision:>9} {row.threads:7} {row.dense_ms:9.2f} {row.masked_ms:9.2f}"
        f" {row.overhead:10.2f} {row.epoch_s:8.2f} {limit:>8}{'  OVER' * bool(row.faults())}"
    )


def require_quick(rows: Iterable[Row]) -> None:
    """Raise VerdictFailed with all that is over its limit."""
    if said := [sentence for row in rows for sentence in row.faults()]:
        raise VerdictFailed("; ".join(said))
