"""The contract between a sparse-training method and the trainer.

A method decides masks; the trainer alone writes weights and optimizer state.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from resparse.masks import Change, Layer, MaskDict, top_k
from resparse.uniform import uniform

Layers = Mapping[str, Layer]


@dataclass(frozen=True)
class Parent:
    """The run this one starts from: its final masks, and its weights at the rewind step."""

    masks: MaskDict
    train_flops: float  # what the parent's whole training cost
    step: int  # the rewind step: this run's first step
    weights: Mapping[str, Tensor] = field(default_factory=dict)  # maskable, at the parent's end


@dataclass(kw_only=True)
class Method:
    """One sparse-training algorithm; subclasses are one file each in methods/.

    ``densities`` and ``sizes`` are the target density and the number of weights per layer,
    ``rng`` a CPU generator re-seeded from (seed, "mask", step) before every call, ``total_steps``
    the optimizer steps of the whole schedule. What must live between calls goes into ``state``,
    which is saved with the checkpoint.
    """

    densities: dict[str, float]
    sizes: dict[str, int]
    total_steps: int
    rng: torch.Generator
    parent: Parent | None = None
    state: dict[str, Tensor] = field(default_factory=dict)
    # "replace": an update takes the place of the optimizer step; "after": it follows it. The same
    # rule is published both ways (Evci et al. replace, ITOP follows), so it is a field.
    order: Literal["replace", "after"] = "replace"

    budget: ClassVar[Literal["layer", "global"]] = "layer"  # what nnz_at binds
    grads: ClassVar[Literal["never", "update", "always"]] = (
        "update"  # when dense gradients are needed
    )
    scores_at_init: ClassVar[bool] = False  # init_masks sees one batch's gradients of a copy
    needs_parent: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the fields; subclasses call ``require`` from ``check``."""
        require(self.order in ("replace", "after"), "order", self.order, "replace, after")
        require(self.total_steps >= 1, "total_steps", self.total_steps, "at least 1")
        require(
            (self.parent is not None) == self.needs_parent,
            "parent",
            None if self.parent is None else "given",
            "a parent run" if self.needs_parent else "none: this method starts from scratch",
        )
        last = self.total_steps - 1
        require(0 <= self.first_step <= last, "rewind step", self.first_step, f"0 to {last}")
        self.check()

    def check(self) -> None:
        """Raise ValueError for a field value this method cannot work with."""

    def init_masks(self, layers: Layers) -> MaskDict:
        """Masks before step 0; default: uniformly random with exactly nnz_at(-1) per layer."""
        counts = self.target_counts()
        return {
            name: top_k(self.uniform_like(layer.mask), counts[name], ties=self.rng)
            for name, layer in layers.items()
        }

    def observe(self, step: int, layers: Layers) -> None:
        """See the dense gradients of every step; called only where grads is "always".

        They are the gradients themselves, masked after this call: what lives on is a copy.
        """

    def updates_at(self, step: int) -> bool:
        """Whether masks may move at the 0-based ``step``; default: never."""
        return False

    def update_masks(self, step: int, layers: Layers) -> dict[str, Change]:
        """New masks at a step where updates_at is True; the same rng gives the same answer."""
        return {}

    def nnz_at(self, step: int) -> int | dict[str, int]:
        """Exact active weights after the 0-based ``step`` (-1: at the start); default: constant."""
        return self.target_counts()

    def random_growth_at(self, step: int) -> dict[str, tuple[int, int]] | None:
        """(k grown, C candidates) per layer where growth is uniformly random, else None."""
        return None

    def train_flops(self, dense: float, sparse: Callable[[int], float]) -> dict[str, float]:
        """FLOPs of the whole run in {"init", "train", "parent"}, by the dense gradients it needs.

        ``dense`` is the forward cost of one step of the dense network, f_D, ``sparse(s)`` that of
        the masks installed after step ``s``, f_S. A step costs 3 f_S, backward being twice the
        forward, and 2 f_S + f_D where the weights' gradient is dense (RigL, appendix H). The
        parent's whole training is apart; steps before the rewind step are not trained again.
        """
        forward, first = self.mean_forward(sparse), self.first_step
        steps = self.total_steps - first
        train = (2 * forward + dense if self.grads == "always" else 3 * forward) * steps
        if self.grads == "update":
            due = (step for step in range(first, self.total_steps) if self.updates_at(step))
            train += sum(dense - sparse(step - 1) for step in due)
        above = 0.0 if self.parent is None else self.parent.train_flops
        return {"init": 0.0, "train": train, "parent": above}

    def prepare_scoring(self, model: nn.Module) -> None:
        """Change the copy that ``scores_at_init`` scores, in place; default: it is scored as is."""

    def target_counts(self) -> dict[str, int]:
        """Active weights per layer: of the target density, or as a global budget fell out."""
        if "counts" in self.state:
            return dict(zip(self.sizes, self.state["counts"].tolist(), strict=True))
        return {name: round(self.densities[name] * size) for name, size in self.sizes.items()}

    @property
    def first_step(self) -> int:
        """The rewind step where there is a parent, else 0."""
        return 0 if self.parent is None else self.parent.step

    def mean_forward(self, sparse: Callable[[int], float]) -> float:
        """Mean of ``sparse`` over all steps of this run; it changes only at updates."""
        first = self.first_step
        total, since, cost = 0.0, first, sparse(first - 1)
        for step in range(first, self.total_steps):
            if self.updates_at(step):
                total += cost * (step + 1 - since)
                since, cost = step + 1, sparse(step)
        return (total + cost * (self.total_steps - since)) / (self.total_steps - first)

    def uniform_like(self, tensor: Tensor) -> Tensor:
        """U[0, 1) float32 of the tensor's shape, drawn on the CPU from the method's generator."""
        return uniform(tensor.shape, self.rng).to(tensor.device)


def require(ok: bool, name: str, value: object, valid: str) -> None:
    """Raise ValueError naming the field, its value and what is valid."""
    if not ok:
        raise ValueError(f"{name} = {value!r}; valid: {valid}")


def require_schedule(*, interval: int, alpha: float, t_end: float, floor: float = 0.0) -> None:
    """The checks that all drop-and-grow schedules share."""
    require(isinstance(interval, int) and interval >= 1, "interval", interval, "1 or more steps")
    require(0.0 < alpha <= 1.0, "alpha", alpha, "above 0, at most 1")
    require(0.0 < t_end <= 1.0, "t_end", t_end, "above 0, at most 1 (a share of all steps)")
    require(0.0 <= floor <= alpha, "floor", floor, "from 0 to alpha")
