"""The numbers of several runs of one small model, in tensors with a leading axis of the runs.

Weights, gradients, momentum and masks of R runs lie in tensors of which each run's own are the
rows. So a step of all is one forward and one backward pass of batched products, one multiplication
by the masks and one optimizer step, while all else finds in a run what it finds in one alone.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resparse import data, precision
from resparse.beginning import optimizer_of
from resparse.data import Batch
from resparse.data.memory import InMemory
from resparse.errors import UsageError
from resparse.models import build_model
from resparse.outside import prints_aside
from resparse.record import Run
from resparse.training import Training


def alike(run: Run) -> tuple[object, ...]:
    """What runs that are trained together have in common; seeds, methods, densities are free."""
    network = (run.model, run.dataset, run.dataset_sha256, run.workload_sha256)
    return (*network, run.recipe, run.precision, run.engine)


def require_stacking(run: Run) -> None:
    """Raise UsageError where the run's network or engine has no batched products."""
    shape = data.describe(run.dataset)
    with torch.device("meta"), prints_aside():
        model = build_model(run.model, shape.classes, shape.image_shape, 0)
    if not hasattr(model, "stacked"):
        statistics = any(True for _ in model.buffers())
        why = "statistics of its batch norm are no parameters, and " if statistics else ""
        raise UsageError(
            f"replicates of model {run.model}: {why}its module has no method stacked, the forward "
            "pass of several networks at once; valid: mlp, mlp_small, or without --replicates"
        )
    if run.engine != "masked":
        raise UsageError(f"replicates in engine {run.engine}; valid: masked")


class _Linear(torch.autograd.Function):
    """x (R, N, in) -> (R, N, out) by R linear layers; gradients go to memory that is there.

    Fresh memory for R layers' gradients costs a CPU a tenth of its step.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """In the kind of number that ``x`` is of, as autocast computes it."""
        ctx.to = (weight.grad, bias.grad)
        weight, bias = weight.to(x.dtype), bias.to(x.dtype)
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias.unsqueeze(1), x, weight.mT)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        of_weight, of_bias = ctx.to
        if of_weight.dtype == grad.dtype:
            torch.bmm(grad.mT, x, out=of_weight)
            torch.sum(grad, 1, out=of_bias)
        else:
            of_weight.copy_(torch.bmm(grad.mT, x))
            of_bias.copy_(grad.sum(1))
        return torch.bmm(grad, weight) if ctx.needs_input_grad[0] else None, None, None


class Stack:
    """The numbers of R trainings at the same step, in tensors whose rows are theirs from now on."""

    def __init__(self, trainings: Sequence[Training]) -> None:
        """Move what ``trainings`` have; a training that is stacked anew leaves its old rows."""
        first = self.first = trainings[0]
        self.trainings = list(trainings)
        each = [dict(t.model.named_parameters()) for t in trainings]
        self.weight = {
            n: nn.Parameter(torch.stack([of[n].detach() for of in each])) for n in each[0]
        }
        self.grad = {name: torch.zeros_like(weight) for name, weight in self.weight.items()}
        for name, weight in self.weight.items():
            weight.grad = self.grad[name]
        self.optimizer = optimizer_of(nn.ParameterList(self.weight.values()), first.run)
        names = {id(weight): name for name, weight in first.model.named_parameters()}
        self.masked = {n: self.grad[names[id(w)]] for n, w in first.masks.weights.items()}
        self.factor = {name: torch.empty_like(grad) for name, grad in self.masked.items()}
        self.loss = torch.stack([t.watch.loss for t in trainings])  # (R,), sums of the epoch
        for row, (t, of) in enumerate(zip(trainings, each, strict=True)):
            t.masks.share({name: factor[row] for name, factor in self.factor.items()})
            t.watch.loss = self.loss[row]
            for name, weight in of.items():
                self._lay(row, t, name, weight)

    def _lay(self, row: int, t: Training, name: str, weight: nn.Parameter) -> None:
        """A parameter of a training, its gradient and moment become views of the stacked ones."""
        stacked = self.weight[name]
        weight.data, weight.grad = stacked.detach()[row], self.grad[name][row]
        if t.run.recipe.momentum:
            place = self.optimizer.state[stacked]["momentum_buffer"][row]
            place.copy_(t.optimizer.state[weight]["momentum_buffer"])
            t.optimizer.state[weight]["momentum_buffer"] = place

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """Of steps start .. stop - 1: (R, N, *image_shape), (R, N); equal seeds are made once."""
        seeds, images = [t.run.seed for t in self.trainings], self.first.data
        where = (self.first.run.recipe.batch_size, start, stop)
        if not isinstance(images, InMemory):
            each = [t.data.train_batches(t.run.seed, *where) for t in self.trainings]
            for some in zip(*each, strict=True):
                yield torch.stack([one for one, _ in some]), torch.stack([of for _, of in some])
            return
        distinct = list(dict.fromkeys(seeds))
        rows = torch.tensor([distinct.index(seed) for seed in seeds], device=images.device)
        for batch, labels in images.stacked_batches(distinct, *where):
            yield (batch, labels) if distinct == seeds else (batch[rows], labels[rows])

    def backward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Gradients of each training's mean loss; those losses (R,)."""
        run, device = self.first.run, self.first.device
        images = precision.taken(run.precision, images).to(device, non_blocking=True)
        images = images.to(precision.HALVES.get(run.precision, images.dtype))
        stacked: Any = self.first.model.stacked
        logits = precision.returned(stacked(self._linear, images))
        losses = F.cross_entropy(
            logits.flatten(0, 1),
            labels.to(device, non_blocking=True).flatten(),
            label_smoothing=run.recipe.label_smoothing,
            reduction="none",
        )
        losses = losses.view(labels.shape).mean(1)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        return losses.detach()

    def _linear(self, name: str, x: Tensor) -> Tensor:
        apply: Any = _Linear.apply
        return torch.as_tensor(
            apply(x, *(self.weight[f"{name}.{of}"] for of in ("weight", "bias")))
        )

    def look(self, losses: Tensor) -> list[int]:
        """Add the losses to the sums; the rows whose loss or a gradient may not be finite: not.

        Waits for the device, the one time in a step.
        """
        sums = [grad.flatten(1).sum(1) for grad in self.grad.values()]
        finite = torch.stack([losses, *sums]).isfinite().all(0)
        self.loss += torch.where(finite, losses.double(), 0.0)
        return [row for row, good in enumerate(finite.tolist()) if not good]

    def mask_gradients(self) -> None:
        """Zero the gradients outside the masks of all."""
        torch._foreach_mul_(list(self.masked.values()), list(self.factor.values()))

    def optimize(self, held: Sequence[int]) -> None:
        """The optimizer's step of all but the rows ``held``, whose numbers are put back."""
        moments = [of["momentum_buffer"] for of in self.optimizer.state.values()]
        tensors = [*(weight.detach() for weight in self.weight.values()), *moments]
        kept = [(tensor[row], tensor[row].clone()) for row in held for tensor in tensors]
        self.optimizer.step()
        for place, value in kept:
            place.copy_(value)
