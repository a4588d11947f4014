"""The training loop: one run from its configuration to its outcome, resumable at every step."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor
from torch.optim import Optimizer

from resparse import distributed
from resparse.beginning import start
from resparse.blame import guarded
from resparse.checkpoint import save_tensors
from resparse.consensus import decided, require_same
from resparse.data import Data
from resparse.errors import Requeue
from resparse.how import How
from resparse.masks import Change, NonFinite
from resparse.method import Parent
from resparse.outcome import end_epoch, outcome_of
from resparse.record import Recipe, Run, RunFolder
from resparse.resuming import resume, save
from resparse.schedules import learning_rate
from resparse.stopping import unasked
from resparse.training import NEVER, Lap, Training, model_state, require_copies, untimed
from resparse.views import Gradients
from resparse.watch import Collapsed, Diverged, Ended

EPOCH_S = 20.0  # at the least between checkpoints at the ends of epochs


class Trained(NamedTuple):
    """What a training ends with; ``files`` lie in its folder and are to be committed."""

    status: str  # completed | diverged | collapsed
    reason: str
    outcome: dict[str, Any]
    curves: dict[str, list[float]]
    files: list[str]
    engine: dict[str, str]


def untold(step: int) -> None:
    """Nobody listens."""


def unseen(t: Training) -> None:
    """Nobody looks."""


def train_steps(t: Training, stop: int, lap: Lap = untimed) -> Iterator[int]:
    """The loop: steps progress.step .. stop - 1, yielding after each; this page is the trainer.

    ``lap`` hears "batch", "backward", "observe", and where they take place "step" and "update".
    Raises Diverged where a loss or gradient is not finite, before the optimizer moves.
    """
    recipe, method, masks, optimizer = t.run.recipe, t.method, t.masks, t.optimizer
    t.model.train()
    first, moving = t.progress.step, frozenset(t.due)
    batches = t.data.train_batches(t.run.seed, recipe.batch_size, first, stop)
    for step, (images, labels) in enumerate(batches, start=first):
        lap("batch")
        set_rate(optimizer, recipe, step)
        t.forget_gradients()
        planned = step if step in moving else t.progress.postponed
        wanted = t.wants_gradients(planned != NEVER)  # before they are masked
        masks.keep_gradients(wanted)
        t.draw_anew(step)
        loss = t.backward(images, labels)
        t.look(step, loss, mask=not wanted)
        lap("backward")

        due = t.may_update(step, planned)
        dense = dense_gradients(t, step, due)
        lap("observe")
        if not (due and method.order == "replace"):
            if wanted:
                masks.mask_gradients()
            t.optimize()
            lap("step")
        t.rescale()
        if due:
            update(t, step, planned, dense)
            lap("update")
        t.progress.step = step + 1
        t.progress.loss_steps += 1
        yield step


def set_rate(optimizer: Optimizer, recipe: Recipe, step: int) -> None:
    """The learning rate of ``step``, for all weights."""
    rate = learning_rate(
        step,
        base=recipe.lr,
        total=recipe.steps,
        shape=recipe.lr_shape,
        drops=recipe.lr_drops,
        factor=recipe.lr_factor,
        warmup=recipe.warmup,
    )
    for group in optimizer.param_groups:
        group["lr"] = rate


def update(t: Training, step: int, planned: int, dense: Gradients | None) -> None:
    """Move the masks after ``step`` as the method says of step ``planned`` (see may_update)."""
    t.reseed(planned)
    layers = t.masks.layers(dense, t.optimizer)

    def ask() -> dict[str, Change]:
        with guarded(t.run.method, planned, layers):
            return t.method.update_masks(planned, layers)

    try:
        changes = decided(t.method, t.device, ask)
        with guarded(t.run.method, planned, {}):
            gone = t.emptied(changes)
        if gone is not None:
            raise Collapsed(f"layer {gone}: the mask update at step {step} keeps no weight", step)
        t.progress.step = step + 1
        t.note_trained()
        with guarded(t.run.method, planned, {}):
            found = t.masks.install(changes, t.optimizer)
            t.masks.check_counts(t.method.nnz_at(planned))
    except NonFinite as error:
        raise Diverged(f"mask update at step {step}: {error}", step) from error
    require_same(t.masks, t.model, step)
    t.note_starved(changes)
    t.progress.installed = step + 1
    t.progress.postponed = NEVER
    t.note_masks(step, found)


def dense_gradients(t: Training, step: int, due: bool) -> Gradients | None:
    """The gradients that the method needs now, before they are masked; one that watches sees them.

    Copies only where they are masked before the update: a copy costs as much as the masking.
    """
    method = t.method
    if not t.wants_gradients(due):
        return None
    if method.grads == "always" and not t.skipped():
        t.reseed(step)
        layers = t.masks.layers(t.masks.gradients(copied=False), t.optimizer)
        with guarded(t.run.method, step, layers):
            method.observe(step, layers)
        require_copies(t.run.method, step, method.state, layers)
    return t.masks.gradients(copied=due and method.order == "after")


def train(
    run: Run,
    data: Data,
    counts: dict[str, int],
    folder: RunFolder,
    *,
    parent: tuple[Parent, dict[str, Tensor] | None] | None = None,
    how: How | None = None,
    checkpoint_s: float | None = None,
    checkpoint_steps: int | None = None,
    stop_after: int | None = None,
    asked: Callable[[], bool] = unasked,
    tell: Callable[[int], None] = untold,
    see: Callable[[Training], None] = unseen,
) -> Trained:
    """Train ``run`` to its end.

    ``counts`` are the target weights per layer. Continues from the newest sound checkpoint in
    ``folder``; kill it anywhere. A checkpoint is written every ``how.checkpoint_minutes`` or
    ``checkpoint_s``, and at the end of an epoch where the last is EPOCH_S old. After the step
    ``stop_after``, or the one during which ``asked`` came true, one more, and Requeue is raised.
    ``tell`` hears how many steps are done, whenever that changes; ``see`` is shown the run then,
    its epoch's numbers included, and changes nothing.
    """
    how = how or How()
    t = begun(run, data, counts, folder, parent, how)
    t.asked = asked
    ahead = Checkpoints.of(how, checkpoint_s, checkpoint_steps, stop_after)
    tell(t.progress.step)
    see(t)
    over: Ended | None = None
    try:
        for step in train_steps(t, run.recipe.steps):
            tell(step + 1)
            ends = end_step(t, folder, step, see)
            stopping = ahead.last(step) or t.stopping()
            if stopping or ahead.due(step, ends):
                save(t, folder)
                ahead.saved = time.monotonic()
            if stopping:
                raise requeued(step, run.recipe.steps)
        t.require_density()
    except Ended as error:
        over = error
    return concluded(t, folder, over)


def begun(
    run: Run,
    data: Data,
    counts: dict[str, int],
    folder: RunFolder,
    parent: tuple[Parent, dict[str, Tensor] | None] | None,
    how: How,
) -> Training:
    """The run as its newest sound checkpoint in ``folder`` left it, or at its start."""
    t = start(run, data, counts, parent, how)
    resume(t, folder)
    return t


@dataclass
class Checkpoints:
    """When they are due; runs that are trained together are saved together."""

    every_s: float
    every_steps: int | None
    stop_after: int | None
    saved: float = field(init=False)

    def __post_init__(self) -> None:
        """The beginning counts as one."""
        self.saved = time.monotonic()

    @staticmethod
    def of(how: How, every_s: float | None, steps: int | None, stop: int | None) -> "Checkpoints":
        """As ``how`` says where ``every_s`` does not (see train)."""
        return Checkpoints(60 * how.checkpoint_minutes if every_s is None else every_s, steps, stop)

    def last(self, step: int) -> bool:
        """Whether to stop after ``step``."""
        return self.stop_after is not None and step + 1 >= self.stop_after

    def due(self, step: int, ends: bool) -> bool:
        """Whether to save after ``step``, which ``ends`` an epoch or does not."""
        on_step = self.every_steps is not None and (step + 1) % self.every_steps == 0
        age = time.monotonic() - self.saved
        return on_step or age > self.every_s or (ends and age > EPOCH_S)


def requeued(step: int, of: int) -> Requeue:
    """What a training that is told to stop ends with; its checkpoint is written."""
    return Requeue(f"stopped after step {step} of {of}: the same command continues")


def end_step(t: Training, folder: RunFolder, step: int, see: Callable[[Training], None]) -> bool:
    """What follows a step: the epoch's numbers where it ends, a snapshot; whether it ends one."""
    run, per_epoch = t.run, t.data.train_size // t.run.recipe.batch_size
    ends = (step + 1) % per_epoch == 0 or step + 1 == run.recipe.steps
    if ends:
        t.require_finite(step)
        require_same(t.masks, t.model, step)
        end_epoch(t, -(-(step + 1) // per_epoch))
    see(t)
    if step + 1 in run.snapshots and distributed.first():
        save_tensors(folder.path / f"snapshot-{step + 1}.safetensors", model_state(t))
    return ends


def concluded(t: Training, folder: RunFolder, over: Ended | None) -> Trained:
    """What the run ends with, at its last step or where it is ``over`` before."""
    run, status, reason = t.run, "completed", ""
    if over is not None:
        status, reason = over.status, str(over)
        t.progress.step = over.step
    t.note_trained()
    outcome = outcome_of(t, folder)
    chance = 100.0 / t.data.classes
    if status == "completed" and outcome["top1_last"] <= 1.2 * chance:
        status, reason = "collapsed", f"test top-1 {outcome['top1_last']:.2f} % is at chance"
    p = t.progress
    curves = {"val_top1": p.val_top1, "train_loss": p.train_loss, "rs": p.rs}
    if t.progress.test_top1:
        curves["test_top1"] = t.progress.test_top1
    reached = [s for s in run.snapshots if s <= t.progress.step]  # a diverged run may miss some
    files = ["final.safetensors", *(f"snapshot-{s}.safetensors" for s in reached)]
    return Trained(status, reason, outcome, curves, files, t.engine)
