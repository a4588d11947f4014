"""What a comparison trains, why, and what that costs: said before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from resparse import data
from resparse.asked import Request
from resparse.compare.panel import Entry
from resparse.exact import network, sizes_of
from resparse.flops import forward_flops
from resparse.plan import measured_speed
from resparse.record import Run, RunStore
from resparse.reproduce import gpu_lacks
from resparse.runner import with_parents
from resparse.worker import code_of
from resparse.workloads import Workload


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The runs that a comparison needs of this store."""

    label: str  # the method's
    ours: Sequence[Entry]
    new: Sequence[Entry]  # the baselines' that no stored record answers for
    again: Sequence[Entry]  # the baselines' whose stored record today's code is to meet
    why_again: str  # what made those

    @property
    def runs(self) -> list[Run]:
        """All, as the panel lists them; a run that counts for several entries is there as often."""
        return [entry.run for entry in chain(self.ours, self.new, self.again)]


def missing(wanted: Wanted, store: RunStore, *, rerun_stale: bool) -> list[Run]:
    """The runs that ``runner.pending`` would train, parents included; nothing is moved."""
    todo: list[Run] = []
    for run in with_parents(wanted.runs):
        record = store.record(run)
        stale = record is not None and record.fingerprint != code_of(run)
        if record is None or (rerun_stale and (stale or run.parent in todo)):
            todo.append(run)
    return todo


def said(wanted: Wanted, todo: Sequence[Run]) -> str:
    """One line: how many runs of what, and why of the baselines; each run counts once.

    ``todo`` are those to be trained now: of parents, only they are counted.
    """
    counted: set[str] = set()

    def fresh(runs: Sequence[Run]) -> int:
        keys = {run.key for run in runs} - counted
        counted.update(keys)
        return len(keys)

    parts = [f"{fresh([entry.run for entry in wanted.ours])} of {wanted.label}"]
    if count := fresh([entry.run for entry in wanted.new]):
        where = dict.fromkeys(entry.workload for entry in wanted.new)
        lack = "it has no stored ones" if len(where) == 1 else "they have no stored ones"
        parts.append(f"{count} of the baselines on {' and '.join(where)}: {lack}")
    if count := fresh([entry.run for entry in wanted.again]):
        why = f"for their stored records were {wanted.why_again}"
        parts.append(f"{count} of the baselines again, {why}")
    if count := fresh(todo):
        parts.append(f"{count} dense parents that they start from")
    return f"{len(counted)} runs: {'; '.join(parts)}"


def cost(todo: Sequence[Run], problems: Mapping[str, Workload], request: "Request") -> str:
    """What is to be trained now in FLOPs and hours, by workload, and what is not here for it."""
    lines, flops, hours, at_once = [], 0.0, 0.0, request.workers or 1
    for name, problem in problems.items():
        runs = [r for r in todo if (r.model, r.dataset) == (problem.model, problem.dataset)]
        mine = sum(_flops(run) for run in runs)
        device = "cuda" if problem.needs_gpu else "cpu"
        device = device if request.how.device == "auto" else request.how.device
        at_once = request.cores if device == "cpu" else at_once
        speed, how = measured_speed(problem, device) if runs else (1.0, "not measured")
        took = mine / speed / 3600
        flops, hours = flops + mine, hours + took
        lines.append(f"{name}: {len(runs)} to train, {mine:.3g} FLOPs, {took:.2g} hours; {how}")
        if lack := data.missing(problem.dataset, request.data_root):
            lines.append(f"{name}: missing: {lack}")
        if device == "cuda" and (lacks := gpu_lacks()):
            lines.append(f"{name}: {'; '.join(lacks)}")
    return "\n".join(
        [
            *lines,
            f"together {len(todo)} to train, {flops:.3g} FLOPs (the masked engine computes dense "
            f"ones), at least {hours / at_once:.2g} hours with {at_once} at once: forward and "
            "backward alone",
        ]
    )


def _flops(run: Run) -> float:
    """FLOPs of training: a forward and a backward of the dense network for every image."""
    shapes, macs, _ = network(run.model, run.dataset)
    sizes = sizes_of(shapes)
    image = 3 * forward_flops(macs, sizes, sizes)
    return image * run.recipe.batch_size * (run.recipe.steps - run.start_step)
