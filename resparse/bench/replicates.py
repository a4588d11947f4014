"""Runs per hour of ITOP's MLP: R trained together by one process beside R one after another.

Both take turns in one process, whole steps with their data, masks static: updates and evaluations
are each run's own work either way.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from resparse import precision
from resparse.bench.masks import STEPS
from resparse.bench.step import in_turn, random_cifar, steps_in_turn, training
from resparse.data.memory import InMemory
from resparse.errors import VerdictFailed
from resparse.how import How
from resparse.record import RunFolder
from resparse.replicates import Replicate, train_steps
from resparse.trainer import train_steps as steps_alone

ON_CPU, ON_GPU = (1, 8), (1, 8, 64)
ROUND_STEPS = 6
NOISE = 3.0  # percent that medians of the same work differ by on a quiet machine
GRID = 90  # runs: 3 seeds, 5 sparsities, 6 intervals


@dataclass(frozen=True, kw_only=True)
class Row:
    """Medians over rounds of a mean step of ``replicates`` runs, both ways."""

    replicates: int
    device: str
    threads: int
    alone_ms: float  # one after another
    together_ms: float

    @property
    def rates(self) -> tuple[float, float]:
        """Runs of 200 epochs per hour, one after another and together."""
        alone, together = (3.6e6 / (ms * STEPS["mlp"]) for ms in (self.alone_ms, self.together_ms))
        return self.replicates * alone, self.replicates * together

    @property
    def gain(self) -> float:
        """Runs per hour together, in those one after another."""
        return self.alone_ms / self.together_ms

    def faults(self) -> list[str]:
        """A sentence where together is slower, by more than noise."""
        if self.gain >= 1.0 - NOISE / 100.0:
            return []
        return [
            f"{self.replicates} replicates take {100 / self.gain:.0f} % of the time of one after "
            f"another (limit 100 %, noise {NOISE:g} %)"
        ]

    def as_json(self) -> dict[str, object]:
        """All fields and what follows of them."""
        alone, together = self.rates
        more = {"alone_per_hour": alone, "together_per_hour": together, "gain": self.gain}
        return asdict(self) | more | {"faults": self.faults()}


def replicates_row(count: int, how: How, images: InMemory, clock: Callable[[], float]) -> Row:
    """Time ``count`` trainings both ways, a round of steps each in turn, after a warm-up."""
    total = steps_in_turn(ROUND_STEPS)
    alone, joined = (
        [training("mlp", "static", "fp32", how, images, seed) for seed in range(count)]
        for _ in range(2)
    )
    nowhere = RunFolder(Path())  # nothing is written: no step ends an epoch or is saved
    ways = (
        [steps_alone(t, total) for t in alone],
        [train_steps([Replicate(t, nowhere) for t in joined], total)],
    )
    one_by_one, together = in_turn(ways, ROUND_STEPS, how, clock)
    return Row(
        replicates=count,
        device=torch.cuda.get_device_name() if how.on_gpu else "cpu",
        threads=how.threads,
        alone_ms=1e3 * one_by_one,
        together_ms=1e3 * together,
    )


def replicates_report(threads: int, say: Callable[[str], None] = lambda line: None) -> list[Row]:
    """Each number of replicates, on a GPU where there is one."""
    gpu = torch.cuda.is_available()
    how = How(device="cuda") if gpu else How(threads=threads)
    images, rows = random_cifar().to(torch.device(how.device)), []
    before = torch.get_num_threads()
    try:
        precision.enter("fp32", how.threads)
        for count in ON_GPU if gpu else ON_CPU:
            rows.append(replicates_row(count, how, images, time.perf_counter))
            say(line(rows[-1]))
    finally:
        precision.enter("fp32", before)
    return rows


HEADER = (
    f"{'replicates':>10} {'threads':>7} {'alone ms':>9} {'together ms':>11}"
    f" {'alone runs/h':>12} {'together runs/h':>15} {'gain':>6} {f'{GRID} runs h':>9}"
)


def line(row: Row) -> str:
    """One row of the table under HEADER; where together is slower, it says so."""
    alone, together = row.rates
    return (
        f"{row.replicates:10} {row.threads:7} {row.alone_ms:9.2f} {row.together_ms:11.2f}"
        f" {alone:12.2f} {together:15.2f} {row.gain:6.3f} {GRID / together:9.2f}"
        f"{'  SLOWER' * bool(row.faults())}"
    )


def require_gain(rows: Iterable[Row]) -> None:
    """Raise VerdictFailed with each number of replicates that is slower together."""
    if said := [sentence for row in rows for sentence in row.faults()]:
        raise VerdictFailed("; ".join(said))
