"""One run in memory: a step's gradients, when masks may move, what has been found so far."""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resparse import distributed, precision
from resparse.blame import guarded
from resparse.data import Data
from resparse.data.order import own_share
from resparse.errors import RunFailed
from resparse.flops import forward_flops
from resparse.how import How
from resparse.masks import Change, Layer, Masks
from resparse.method import Method
from resparse.record import Run
from resparse.seeds import derive
from resparse.selection import ones
from resparse.stopping import unasked
from resparse.views import standing
from resparse.watch import Diverged, Watch, finite_where_all_are

NEVER = -1  # no update is postponed
Lap = Callable[[str], None]  # told the name of a part of the work when that part ends


def untimed(part: str) -> None:
    """The stopwatch that is not there."""


@dataclass
class Progress:
    """What the loop has found so far; plain values, saved with every checkpoint."""

    step: int
    best_val: int = -1  # correct validation images, the first epoch that reached them
    best_epoch: int = 0
    best_test: int = 0  # correct test images at that epoch
    most_tested: int = -1  # correct test images in the best of the epochs that were tested
    most_tested_epoch: int = 0
    test_top1: list[float] = field(default_factory=list)
    loss_sum: float = 0.0
    loss_steps: int = 0
    val_top1: list[float] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    postponed: int = NEVER  # step of a mask update that waits for finite gradients
    installed: int = 0  # steps done when the present masks came
    rs: list[float] = field(default_factory=list)  # R_s at the end of each epoch
    found: int = 0  # weights active for the first time, mask by mask
    explored: int = 0  # weights ever active, as last counted
    fall: int = 0  # the largest fall of that count from one mask to the next
    active: int = 0  # weights of the first masks
    nnz_change: int = 0  # the largest distance from that of any later masks
    forward: list[tuple[int, float]] = field(default_factory=list)  # (after step, FLOPs an image)
    starved: list[str] = field(default_factory=list)  # layers that a rule kept alive so far
    scaler: dict[str, Any] = field(default_factory=dict)  # its state, where the precision has one
    crossover: dict[str, float] = field(default_factory=dict)  # of layers that can be packed


@dataclass
class Training:
    """A run in memory."""

    run: Run
    data: Data
    model: nn.Module
    optimizer: torch.optim.SGD
    masks: Masks
    method: Method
    macs: dict[str, int]
    progress: Progress
    device: torch.device
    how: How
    watch: Watch
    scaler: torch.amp.GradScaler | None
    counts: dict[str, int]  # weights per layer that the run's density asks for
    due: list[int]  # steps at which masks may move: a function of the step alone, so asked once
    network: nn.Module  # the model, or around it what brings several processes' gradients together
    engine: dict[str, str]  # by layer, how its numbers are stored, in words
    asked: Callable[[], bool] = unasked  # whether this process is to stop
    stop: bool = False  # whether any of several processes is
    named: list[tuple[str, nn.Parameter]] = field(init=False)  # those of the model

    def __post_init__(self) -> None:
        """Listing them takes as long as a small product; they stay the same."""
        self.named = list(self.model.named_parameters())

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch, in the precision of the run; to evaluate, of this process alone."""
        images = precision.taken(self.run.precision, images).to(self.device, non_blocking=True)
        if self.how.channels_last:
            images = images.to(memory_format=torch.channels_last)
        with precision.forward(self.run.precision, self.device):
            through = self.network if self.model.training else self.model
            logits: Tensor = through(images)
        return logits

    def backward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Gradients of the mean loss of all processes' batch, unscaled, by parts; that loss.

        ``images`` and ``labels`` are this process's share of it. DDP takes the mean over the
        processes of what each has: parts weigh as many images as they hold.
        """
        smoothing, parts = self.run.recipe.label_smoothing, self.how.accumulate
        world, batch = distributed.world(), self.run.recipe.batch_size
        whole = torch.zeros((), device=self.device)
        pairs = zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True)
        for part, (some, of) in enumerate(pairs, start=1):
            truth, share = of.to(self.device, non_blocking=True), len(of) * world / batch
            with nullcontext() if part == parts else distributed.unreduced(self.network):
                logits = precision.returned(self.forward(some))
                loss = F.cross_entropy(logits, truth, label_smoothing=smoothing)
                loss = loss * share if share != 1 else loss
                scaled = loss if self.scaler is None else self.scaler.scale(self._held(loss))
                scaled.backward()  # type: ignore[no-untyped-call]
            whole = whole + loss.detach() if parts > 1 else loss.detach()
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        return self._of_all(whole)

    def _held(self, loss: Tensor) -> Tensor:
        """NaN once a step was not finite, so that a scaler holds all later ones back, as Watch."""
        return torch.where(self.watch.skip > 0, torch.nan, loss)

    def _of_all(self, loss: Tensor) -> Tensor:
        """The mean loss over processes; with it goes round whether any of them is to stop."""
        if distributed.world() == 1:
            return loss
        # on the CPU, also of processes with GPUs: those are not waited for
        self.stop = bool(distributed.summed(torch.tensor(int(self.asked()))))
        return distributed.summed(loss / distributed.world())

    def stopping(self) -> bool:
        """Whether to stop after this step; several processes decide so at the same one."""
        return self.asked() if distributed.world() == 1 else self.stop

    def gradients(self) -> dict[str, Tensor]:
        """Of all parameters that have one, by name."""
        return {name: p.grad for name, p in self.named if p.grad is not None}

    def forget_gradients(self) -> None:
        """No parameter has one."""
        for _, parameter in self.named:
            parameter.grad = None

    def look(self, step: int, loss: Tensor, *, mask: bool = False) -> None:
        """Note a step's loss, and that it and the gradients are finite (see Watch).

        With a scaler gradients may be infinite: it holds the step back and halves its scale.
        ``mask``: they are zeroed outside the masks then, on a CPU in the same pass.
        """
        if mask and self.device.type == "cpu" and self.scaler is None:
            self.watch.see(step, loss, self.masks.masked_sums(self.named))
        else:
            self.watch.note(step, loss, {} if self.scaler else self.gradients())
            if mask:
                self.masks.mask_gradients()
        if step % self.watch.every == 0:
            self.require_finite(step)

    def require_finite(self, step: int) -> None:
        """Raise Diverged where a step so far was not finite; waits for the device."""
        self.watch.require()
        if self.scaler is not None and self.scaler.get_scale() < 1.0:
            raise Diverged(f"gradients at step {step} are not finite even unscaled", step)

    def skipped(self) -> bool:
        """Whether the scaler will hold this step back: its scale was too large for fp16."""
        if self.scaler is None:
            return False
        sizes = torch.stack(finite_where_all_are(list(self.gradients().values())))
        return not bool(sizes.isfinite().all())

    def wants_gradients(self, due: bool) -> bool:
        """Whether the method asks for the dense gradients of a step, ``due`` or not."""
        return self.method.grads == "always" or (due and self.method.grads == "update")

    def may_update(self, step: int, planned: int) -> bool:
        """Whether masks move now: ``planned`` says of which step; one that is skipped postpones.

        The update is then that of its own step, with the next gradients that are finite.
        """
        if planned == NEVER:
            return False
        self.require_finite(step)
        self.progress.postponed = planned if self.skipped() else NEVER
        return self.progress.postponed == NEVER

    def optimize(self) -> None:
        """The optimizer's step, unless the scaler holds it back."""
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)

    def rescale(self) -> None:
        """Let the scaler learn from this step."""
        if self.scaler is not None:
            self.scaler.update()

    def forward_now(self) -> float:
        """Forward FLOPs of one image under the installed masks."""
        return forward_flops(self.macs, self.masks.nnz(), self.method.sizes)

    def announced(self, step: int) -> int | dict[str, int]:
        """The active weights that the method announces for a step."""
        with guarded(self.run.method, step, {}, what="nnz_at"):
            return self.method.nnz_at(step)

    def require_density(self) -> None:
        """Raise RunFailed unless masks have the announced counts, and all outside them is 0.

        Between an update that is postponed and its step they have those of the masks before.
        """
        step = self.progress.step - 1
        try:
            if self.progress.postponed == NEVER:
                self.masks.check_counts(self.announced(step))
            self.masks.check_outside(self.optimizer)
        except RuntimeError as error:
            raise RunFailed(f"method {self.run.method}, after step {step}: {error}") from error

    def emptied(self, changes: Mapping[str, Change]) -> str | None:
        """The first layer whose new mask keeps no weight (layer collapse)."""
        return next((name for name, change in changes.items() if not ones(change.mask)), None)

    def interval(self) -> int:
        """Steps of the update interval that the present masks live in; 1 where masks never move.

        From the update they came by to the next. The last masks have no next: the interval before.
        The first may come inside one: the interval after, or all there is where only one ends.
        """
        if not self.due:
            return 1
        past = bisect_left(self.due, self.progress.installed)
        begun = min(max(past, 1), len(self.due) - 1)
        return self.due[begun] - (self.due[begun - 1] if begun else -1)

    def note_trained(self) -> None:
        """Count the present masks as trained where they have lived a whole update interval."""
        whole = self.interval()
        if self.progress.step - self.progress.installed >= whole:
            self.masks.note_trained()

    def note_masks(self, step: int, found: int) -> None:
        """Count anew, and note what the masks that came after ``step`` cost and explored.

        ``found`` of their weights are active for the first time.
        """
        p, active = self.progress, sum(self.masks.nnz().values())
        explored = sum(ones(ever) for ever in self.masks.ever.values())
        p.active = p.active if p.forward else active
        p.forward.append((step, self.forward_now()))
        p.found, p.fall = p.found + found, max(p.fall, p.explored - explored)
        p.explored, p.nnz_change = explored, max(p.nnz_change, abs(active - p.active))

    def note_starved(self, changes: Mapping[str, Change]) -> None:
        """Remember the layers that the masks' rule has just kept alive."""
        known = self.progress.starved
        known += [name for name, c in changes.items() if c.starved and name not in known]

    def draw_anew(self, step: int) -> None:
        """Dropout of ``step`` by its number and process, where a checkpoint does not hold it all.

        On one CPU the stream runs on, as in all frozen runs.
        """
        share = own_share()
        if self.device.type != "cpu" or share.world > 1:
            torch.manual_seed(derive(self.run.seed, "train", step, share.rank))

    def reseed(self, step: int) -> None:
        """The method's draws depend on (seed, step) only, so there is no RNG state to save."""
        self.method.rng.manual_seed(derive(self.run.seed, "mask", step))


def require_copies(
    method: str, step: int, state: Mapping[str, Tensor], layers: Mapping[str, Layer]
) -> None:
    """Raise RunFailed where ``state`` holds a dense gradient itself: it is about to be masked."""
    grads = [(name, tensor) for name, part, tensor in standing(layers) if part == "grad"]
    owner = {grad.untyped_storage().data_ptr(): name for name, grad in grads}
    for key, value in state.items():
        name = owner.get(value.untyped_storage().data_ptr())
        if name is not None:
            raise RunFailed(
                f"method {method}, step {step}, layer {name}: state[{key!r}] is the gradient "
                "itself, which is masked next; valid: a copy"
            )


def model_state(t: Training) -> dict[str, Tensor]:
    """Parameters and buffers under model/."""
    return {f"model/{name}": tensor for name, tensor in t.model.state_dict().items()}
