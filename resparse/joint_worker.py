"""Several runs that are trained together, in a process of their own: see worker and replicates."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from resparse import data, precision
from resparse.attempt import Attempt
from resparse.beginning import parent_of
from resparse.data.memory import InMemory
from resparse.distributions import layer_counts
from resparse.errors import Requeue
from resparse.exact import network
from resparse.how import How
from resparse.record import Run, RunStore
from resparse.replicates import Replicate, train_together
from resparse.stopping import listening
from resparse.trainer import Checkpoints, begun, unseen, untold
from resparse.worker import failure, know, noted, require_code


def main(
    configs: Sequence[dict[str, Any]],
    root: str,
    data_root: str | None,
    how: How,
    provenance: dict[str, Any],
    codes: Sequence[str],
    tell: Callable[[int], None] = untold,
) -> dict[str, str]:
    """As worker.main, of runs that are alike: why each that failed did, by key.

    Each that ends is committed at once. What no run is to blame for fails all that are left.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    runs, store = [Run.from_config(config) for config in configs], RunStore(Path(root))
    joint = _Joint(runs, store, how, dict(zip((run.key for run in runs), codes, strict=True)), tell)
    try:
        joint.train(Path(data_root) if data_root else None, provenance)
    except Requeue:
        raise
    except Exception as error:
        for run in runs:
            if run.key not in joint.failed and not store.folder(run).committed:
                joint.note(run, error)
    return joint.failed


class _Joint:
    """What becomes of the runs."""

    def __init__(
        self,
        runs: Sequence[Run],
        store: RunStore,
        how: How,
        codes: dict[str, str],
        tell: Callable[[int], None],
    ) -> None:
        self.runs, self.store, self.how, self.codes = runs, store, how, codes
        self.failed: dict[str, str] = {}
        self.attempts: dict[str, Attempt] = {}
        self.step, self.tell = -1, tell

    def note(self, run: Run, error: Exception) -> None:
        """That a run failed; raises DiskFull, which holds for all."""
        self.failed[run.key] = noted(error, run, self.store, self.how, self.step)

    def train(self, data_root: Path | None, provenance: dict[str, Any]) -> None:
        """Begin or continue all, train them together, commit each; raises Requeue where asked."""
        first, began = self.runs[0], time.monotonic()
        for run in self.runs:
            failure(run, self.store).unlink(missing_ok=True)  # an earlier attempt's
            know(run, self.store.root)
        self.how.require(first.precision, first.recipe.batch_size)
        precision.enter(first.precision, self.how.threads)
        with ExitStack() as held:
            for run in sorted(self.runs, key=lambda run: run.key):  # two commands take locks alike
                held.enter_context(self.store.folder(run).lock(wait=True))
            images = data.load(first.dataset, data_root)
            if isinstance(images, InMemory):
                images.to(torch.device(self.how.device))
            for run in self.runs:
                folder, code = self.store.folder(run), self.codes[run.key]
                if not folder.committed:
                    attempt = Attempt(run, folder, self.how, code, images, provenance, began)
                    self.attempts[run.key] = attempt
            with listening() as asked:
                self._train(asked)

    def _train(self, asked: Callable[[], bool]) -> None:
        begun = [one for one in map(self._begin, self.attempts.values()) if one is not None]
        ahead = Checkpoints.of(self.how, None, None, None)
        for one in train_together(begun, ahead, asked) if begun else ():
            run = one.t.run
            try:
                trained = one.concluded()
                require_code(run, self.codes[run.key])
                self.attempts[run.key].commit(trained)
            except Exception as error:
                self.note(run, error)

    def _begin(self, attempt: Attempt) -> Replicate | None:
        """The run in memory; None where it cannot be begun, which fails it alone."""
        run, folder = attempt.run, attempt.folder
        try:
            require_code(run, attempt.code)
            attempt.begin()
            folder.event(event="started", pid=os.getpid(), **self.how.facts())
            shapes, _, _ = network(run.model, run.dataset)
            counts = layer_counts(run.distribution, shapes, run.density)
            parent = parent_of(run, self.store)
            t = begun(run, attempt.images, counts, folder, parent, self.how)
        except Exception as error:
            self.note(run, error)
            return None

        def told(step: int) -> None:
            self.step = step
            self.tell(step)
            attempt.beat(step)

        return Replicate(t, folder, told, attempt.board or unseen)
