"""A bar over all runs in a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from resparse.record import Run


class Progress:
    """Counts runs: done, running, the time that is left at the pace so far."""

    def __init__(self, total: int, already: int, *, quiet: bool = False) -> None:
        self.total, self.already, self.quiet = total, already, quiet
        self.done, self.failed, self.running = 0, 0, 0
        self.began = time.monotonic()
        self.bar: Bar | None = None

    def __enter__(self) -> "Progress":
        todo = self.total - self.already
        if todo and not self.quiet:
            print(f"{self.total} runs, {self.already} already done, {todo} to train", flush=True)
        if todo and not self.quiet and sys.stdout.isatty():
            self.bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(),
            )
            self.task = self.bar.add_task("runs", total=self.total, completed=self.already)
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def notify(self, run: Run, what: str) -> None:
        """Take news of a run: "running", "done" or "failed"."""
        if what == "running":
            self.running += 1
        else:
            self.running = max(0, self.running - 1)
            self.done += 1
            self.failed += what == "failed"
        finished = self.already + self.done
        state = f"ETA {self.eta()}"
        if self.failed:
            state += f", {self.failed} failed"
        if self.bar is not None:
            state = f"{self.running} running, {state}"
            self.bar.update(self.task, completed=finished, description=state)
        elif not self.quiet and what != "running":
            # how many run is known once the next has started: it is in the bar alone
            print(f"[{finished}/{self.total}] {what}: {named(run)}; {state}", flush=True)

    def eta(self) -> str:
        """Minutes and seconds left at the mean pace so far."""
        if not self.done:
            return "unknown"
        left = self.total - self.already - self.done
        seconds = (time.monotonic() - self.began) / self.done * left
        return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def named(run: Run) -> str:
    """A run in words: its method, what it trains, how sparse, how long, and its seed."""
    of = run.model if run.model == run.dataset else f"{run.model} on {run.dataset}"
    sparsity = f"sparsity {1 - run.density:.4g}"
    return f"{run.method}, {of}, {sparsity}, {run.recipe.steps} steps, seed {run.seed}"
