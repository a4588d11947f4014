"""Milliseconds a training step takes, methods measured in turn in one process on this machine."""

import statistics
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from resparse import forking
from resparse.errors import RunFailed
from resparse.how import How
from resparse.record import Run

ROUNDS = 3
STEPS = 50  # two update intervals of the smoke level


class StepTime(NamedTuple):
    """Milliseconds a step, averaged over a round: median, least and most of the rounds."""

    ms: float
    least: float
    most: float


def paces(
    runs: Mapping[str, Run], root: Path, data_root: Path | None, device: str
) -> dict[str, StepTime]:
    """How long a step of each run takes; all runs are of one workload and precision.

    Ratios between them hold: one process, one thread setting, one after another, in turn. Raises
    RunFailed where that process dies.
    """
    context = forking.context(next(iter(runs.values())).precision)
    configs = {name: run.config for name, run in runs.items()}
    result: Connection[Any, Any]
    result, end = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(end, configs, root, data_root, device))
    forking.start(process)
    end.close()
    try:
        found: dict[str, StepTime] = result.recv()
    except EOFError:
        process.join()
        raise RunFailed(
            f"the process that times the steps of {', '.join(runs)} ended with exit code "
            f"{process.exitcode}; what is trained is kept: repeat the command"
        ) from None
    process.join()
    return found


def _measure(
    end: "Connection[Any, Any]",
    configs: dict[str, dict[str, Any]],
    root: Path,
    data_root: Path | None,
    device: str,
) -> None:
    forking.stdout_to_stderr()
    seconds: dict[str, list[float]] = {name: [] for name in configs}
    for _ in range(ROUNDS):
        for name, config in configs.items():
            seconds[name].append(_steps(Run.from_config(config), root, data_root, device))
    end.send({name: _pace([1000 * value for value in s]) for name, s in seconds.items()})


def _pace(ms: Sequence[float]) -> StepTime:
    return StepTime(statistics.median(ms), min(ms), max(ms))


def _steps(run: Run, root: Path, data_root: Path | None, device: str) -> float:
    """Mean seconds of the first STEPS steps, after the start."""
    import torch

    from resparse import data, precision
    from resparse.beginning import parent_of, start
    from resparse.distributions import layer_counts
    from resparse.record import RunStore
    from resparse.trainer import train_steps
    from resparse.worker import know
    from resparse.workloads import shapes_of

    precision.enter(run.precision)
    know(run, root)
    images = data.load(run.dataset, data_root)
    counts = layer_counts(run.distribution, shapes_of(run.model, run.dataset), run.density)
    t = start(run, images, counts, parent_of(run, RunStore(root)), How(device=device))
    stop = min(t.progress.step + STEPS, run.recipe.steps)
    alone = device == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter  # what else runs here does not count
    began, first = clock(), t.progress.step
    for _ in train_steps(t, stop):
        pass
    if device != "cpu":
        torch.cuda.synchronize()
    return (clock() - began) / (stop - first)
