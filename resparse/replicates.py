"""Several runs of one small model in one process, step by step together.

They may differ in all but what ``stack.alike`` names. The products are batched, and mask updates,
epochs, checkpoints and records are each run's own. A run's numbers are those that it has alone but
for the last bits: products of several matrices may add up in another order, which repeats with the
same runs beside it. The host waits for the device once a step, whatever the number of runs is, to
know whether all is finite, and at updates and ends of epochs.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from resparse.errors import RunFailed
from resparse.record import RunFolder
from resparse.resuming import save
from resparse.stack import Stack
from resparse.stopping import unasked
from resparse.trainer import (
    Checkpoints,
    Trained,
    concluded,
    dense_gradients,
    end_step,
    requeued,
    set_rate,
    unseen,
    untold,
    update,
)
from resparse.training import Training
from resparse.views import Gradients
from resparse.watch import Ended


@dataclass(eq=False)
class Replicate:
    """One of several runs that are trained together, and what ended or failed it before its end."""

    t: Training
    folder: RunFolder
    tell: Callable[[int], None] = untold
    see: Callable[[Training], None] = unseen
    over: Ended | RunFailed | None = None
    rng: Tensor = field(default_factory=torch.get_rng_state)  # nothing draws from it: see save

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What ends or fails this run inside touches no other."""
        try:
            yield
        except (Ended, RunFailed) as error:
            self.over = error

    def concluded(self) -> Trained:
        """What it ends with; raises RunFailed where it failed."""
        if isinstance(self.over, RunFailed):
            raise self.over
        if self.over is None:
            self.t.require_density()
        return concluded(self.t, self.folder, self.over)

    def save(self) -> None:
        """A checkpoint like that of the run alone, whose process has a random stream of its own."""
        torch.set_rng_state(self.rng)
        save(self.t, self.folder)


def train_together(
    replicates: Sequence[Replicate], ahead: Checkpoints, asked: Callable[[], bool] = unasked
) -> Iterator[Replicate]:
    """Train all to their ends; yields each that is ``over``, or at its last step.

    Those that are behind (a kill may leave checkpoints of several steps) are trained first, up to
    the next one's step, and from there together. Raises Requeue, all being saved, where ``asked``.
    """
    live, total = list(replicates), replicates[0].t.run.recipe.steps
    for one in live:
        one.tell(one.t.progress.step)
        one.see(one.t)
    while live:
        done = sorted({one.t.progress.step for one in live})
        if done[0] < total:
            behind = [one for one in live if one.t.progress.step == done[0]]
            _train(behind, [*done, total][1], ahead, asked)
        for one in [one for one in live if one.over or one.t.progress.step == total]:
            live.remove(one)
            yield one


def _train(
    replicates: Sequence[Replicate], stop: int, ahead: Checkpoints, asked: Callable[[], bool]
) -> None:
    """Up to ``stop`` steps done, or until one of them is over."""
    total = replicates[0].t.run.recipe.steps
    for step in train_steps(replicates, stop):
        live, ends = [one for one in replicates if one.over is None], False
        for one in live:
            one.tell(step + 1)
            with one.apart():
                ends = end_step(one.t, one.folder, step, one.see)
        stopping = ahead.last(step) or asked()
        if stopping or ahead.due(step, ends):
            for one in (one for one in live if one.over is None):
                with one.apart():
                    one.save()
            ahead.saved = time.monotonic()
        if stopping:
            raise requeued(step, total)
        if any(one.over for one in replicates):
            return


def train_steps(replicates: Sequence[Replicate], stop: int) -> Iterator[int]:
    """trainer.train_steps of several runs at the same step, yielding after each."""
    stack, first = Stack([one.t for one in replicates]), replicates[0].t.progress.step
    moving = [frozenset(one.t.due) for one in replicates]
    for one in replicates:
        one.t.model.train()
    for step, (images, labels) in enumerate(stack.batches(first, stop), start=first):
        for optimizer in (stack.optimizer, *(one.t.optimizer for one in replicates)):
            set_rate(optimizer, stack.first.run.recipe, step)
        losses = stack.backward(images, labels)
        for row in stack.look(losses):
            _require_finite(replicates[row], step, losses[row])

        due = {row for row, of in enumerate(moving) if step in of}
        dense: dict[int, Gradients | None] = {}
        for row, one in enumerate(replicates):
            with one.apart():
                dense[row] = None if one.over else _dense(one.t, step, row in due)
        replaced = {row for row in due if replicates[row].t.method.order == "replace"}
        over = {row for row, one in enumerate(replicates) if one.over}
        stack.mask_gradients()
        stack.optimize(sorted(replaced | over))

        for row, one in enumerate(replicates):
            with one.apart():
                if one.over is None:
                    if row in due:
                        update(one.t, step, step, dense[row])
                    one.t.progress.step = step + 1
                    one.t.progress.loss_steps += 1
        yield step


def _require_finite(one: Replicate, step: int, loss: Tensor) -> None:
    """Look at the run's step as it would alone: it is over where something is not finite."""
    with one.apart():
        one.t.watch.note(step, loss, one.t.gradients())
        one.t.require_finite(step)


def _dense(t: Training, step: int, due: bool) -> Gradients | None:
    """The gradients that the method needs now: at an update copies, for all rows are masked."""
    dense = dense_gradients(t, step, due)
    copied = dense is not None and due and t.method.order == "replace"
    return t.masks.gradients(copied=True) if copied else dense
