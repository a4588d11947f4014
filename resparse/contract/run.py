"""The trainer in small: 20 steps of a method on the toy network, each call of it watched."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from resparse.contract.calls import (
    require_layers,
    require_mask,
    require_same,
    required_changes,
    same,
    saved_state,
    views_kept,
)
from resparse.contract.shared import no_chance, streams_kept
from resparse.contract.toy import Step, Toy, draws
from resparse.errors import ContractBroken
from resparse.masks import Change, Layer, MaskDict, Masks, moments
from resparse.method import Layers, Method

MOMENTUM = 0.9
REREAD = 5  # steps; to read a method's file costs as much as some steps
OPTIMIZERS: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=MOMENTUM, weight_decay=0.05),
    "SGD with Nesterov": lambda p: torch.optim.SGD(
        p, lr=0.1, momentum=MOMENTUM, weight_decay=0.05, nesterov=True
    ),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.5),
}
WATCHES = ("views", "streams", "twice")
Answer = TypeVar("Answer")


class Kept(torch.optim.Optimizer):
    """Holds moments and makes no step; torch's own take a second to begin with (torch._dynamo)."""

    def __init__(self, _: list[nn.Parameter]) -> None:
        self.state = defaultdict(dict)


def module_of(shape: tuple[int, ...]) -> nn.Linear | nn.Conv2d:
    """A layer whose weight has the shape; on no device, as nothing need be drawn for it."""
    outputs, inputs, *kernel = shape
    if not kernel:
        return nn.Linear(inputs, outputs, bias=False, device="meta")
    height, width = kernel
    return nn.Conv2d(inputs, outputs, (height, width), bias=False, device="meta")


class Run:
    """A toy trained from its first step to the last of ``data``.

    Without an ``optimizer`` the weights that a method sees are the data's own at every step, and
    the momentum inside the masks sums all gradients so far, each MOMENTUM times the next; with one
    they are what it makes of the data's gradients. ``resumed`` puts a new instance with the saved
    state in the method's place after every step.
    """

    def __init__(
        self,
        toy: Toy,
        data: Sequence[Step] | None = None,
        *,
        seed: int = 0,
        optimizer: str | None = None,
        watch: Collection[str] = WATCHES,
        resumed: bool = False,
    ) -> None:
        self.toy, self.seed, self.watch, self.resumed = toy, seed, watch, resumed
        self.stepping = optimizer is not None
        self.past = {name: torch.zeros(shape) for name, shape in toy.shapes.items()}
        self.drew_at: int | None = None  # where the method first took anything from its generator
        self.weights = {name: nn.Parameter(w.clone()) for name, (w, _) in toy.first().items()}
        made = OPTIMIZERS[optimizer] if optimizer is not None else Kept
        self.optimizer = made(list(self.weights.values()))
        self.method, masks = self.begun()
        self.masks = Masks(self.weights, masks)
        self.history = [self.snapshot()]  # the initial masks, then those after every update
        self.moved = [-1]  # the steps after which they came
        self.counts = [self.counted()]  # before training, then after every step
        self.announced = [self.announcement(-1)]  # what nnz_at says at the same moments
        for step, layers in enumerate(
            draws(total=toy.total, tied=toy.tied, large=toy.large) if data is None else data
        ):
            self.step(step, layers)

    def snapshot(self) -> MaskDict:
        """Copies of the masks."""
        return {name: mask.clone() for name, mask in self.masks.mask.items()}

    def counted(self) -> dict[str, int]:
        """Active weights per layer, counted now."""
        return {name: int(mask.sum()) for name, mask in self.masks.mask.items()}

    def ask(self, step: int, what: str, layers: Layers, question: Callable[[], Answer]) -> Answer:
        """The method's answer under its seed for the step, watched."""
        shown = layers if "views" in self.watch else {}
        with views_kept(what, step, shown), self.alone(what, step):
            return self.toy.ask(step, what, partial(self.seeded, step, question))

    @contextmanager
    def alone(self, what: str, step: int) -> Iterator[None]:
        """Where streams are watched: those that others share, and sources of chance."""
        if "streams" not in self.watch:
            yield
            return
        with streams_kept(what, step), no_chance(self.toy.cls, what, step):
            yield

    def seeded(self, step: int, question: Callable[[], Answer]) -> Answer:
        """The answer, the method's generator at its place; notes whether it drew."""
        rng = self.method.rng
        rng.manual_seed(1000 * self.seed + step + 1)
        before = rng.get_state()
        answer = question()
        if self.drew_at is None and not torch.equal(rng.get_state(), before):
            self.drew_at = step
        return answer

    def begun(self) -> tuple[Method, MaskDict]:
        """A new instance and its masks before training."""
        self.method = method = self.toy.method()
        first = self.toy.first()
        network = {name: module_of(shape) for name, shape in self.toy.shapes.items()}
        for name, module in network.items():
            module.weight = nn.Parameter(first[name][0].clone())
        if method.scores_at_init:
            model = nn.ModuleDict(network)
            self.ask(-1, "prepare_scoring", {}, lambda: method.prepare_scoring(model))
        layers = {}
        for name, module in network.items():
            full = torch.ones(self.toy.shapes[name], dtype=torch.bool)
            grad = first[name][1].clone() if method.scores_at_init else None
            layers[name] = Layer(full, full.clone(), module.weight.detach(), grad)
        masks = self.ask(-1, "init_masks", layers, lambda: method.init_masks(layers))
        require_layers(-1, "init_masks", masks)
        for name, shape in self.toy.shapes.items():
            if name not in masks:
                raise ContractBroken("no mask; valid: one for every layer", step=-1, layer=name)
            require_mask(-1, name, "mask", masks[name], shape)
        return method, masks

    def announcement(self, step: int) -> int | dict[str, int]:
        """What nnz_at says."""
        return self.ask(step, "nnz_at", {}, lambda: self.method.nnz_at(step))

    def update(self, step: int, layers: Layers) -> dict[str, Change]:
        """The method's changes; asked again, they and the state are to be the same."""

        def changes() -> dict[str, Change]:
            answer = self.ask(
                step, "update_masks", layers, lambda: self.method.update_masks(step, layers)
            )
            return required_changes(step, answer, self.toy.shapes)

        if "twice" not in self.watch:
            return changes()
        before, first = saved_state(step, self.method), changes()
        require_same(step, first, changes())
        after = saved_state(step, self.method)
        for name in sorted(before.keys() | after.keys()):
            if not same(before.get(name), after.get(name)):
                raise ContractBroken(
                    f"update_masks changed state[{name!r}]; valid: change state in observe or "
                    "init_masks, so that an update asked again answers the same",
                    step=step,
                )
        return first

    def step(self, step: int, data: Step) -> None:
        """One step of training, as the trainer makes it."""
        method = self.method
        due = bool(self.ask(step, "updates_at", {}, lambda: method.updates_at(step)))
        grads = {name: grad.clone() for name, (_, grad) in data.items()}
        for name, grad in grads.items():
            self.weights[name].grad = grad  # masked below
        seen = grads if method.grads == "always" or (due and method.grads == "update") else None
        if method.grads == "always":
            layers = self.masks.layers(seen, self.optimizer)
            self.ask(step, "observe", layers, lambda: method.observe(step, layers))
        if due and seen is not None:
            seen = {name: grad.clone() for name, grad in seen.items()}
        if not self.stepping:
            self.take(data)
        elif not (due and method.order == "replace"):
            self.masks.mask_gradients()
            self.optimizer.step()
        if due:
            self.changes = self.update(step, self.masks.layers(seen, self.optimizer))
            self.masks.install(self.changes, self.optimizer)
            self.history.append(self.snapshot())
            self.moved.append(step)
        self.counts.append(self.counted())
        self.announced.append(self.announcement(step))
        if self.resumed:
            self.resume(step)

    def take(self, data: Step) -> None:
        """The data's own weights, and a momentum of all its gradients, inside the masks."""
        for name, (weight, grad) in data.items():
            mask = self.masks.mask[name]
            with torch.no_grad():
                self.weights[name].copy_(weight * mask)
            self.past[name].mul_(MOMENTUM).add_(grad)
            state = self.optimizer.state[self.weights[name]]
            state.setdefault("momentum_buffer", torch.zeros(self.toy.shapes[name]))
            state["momentum_buffer"].copy_(self.past[name] * mask)

    def resume(self, step: int) -> None:
        """Go on with a new instance and the saved state, the file read anew, as after a crash."""
        state = saved_state(step, self.method)
        kept = {tensor.untyped_storage().data_ptr(): what for what, tensor in self.tensors()}
        for name, value in self.method.state.items():
            shared = kept.get(value.untyped_storage().data_ptr())
            if shared is not None:
                raise ContractBroken(
                    f"state[{name!r}] is the memory of {shared}, which changes with it; "
                    "valid: a clone",
                    step=step,
                )
        if step % REREAD == 0:
            self.toy = self.toy.fresh()
        self.method, _ = self.begun()
        self.method.state = state

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """What a checkpoint holds besides the method's state."""
        for name, weight in self.weights.items():
            yield f"the weights of layer {name}", weight
            if weight.grad is not None:
                yield f"the gradient of layer {name}", weight.grad
            yield f"the mask of layer {name}", self.masks.mask[name]
            yield f"the ever-active weights of layer {name}", self.masks.ever[name]
            for moment in moments(self.optimizer, weight):
                yield f"the momentum of layer {name}", moment
