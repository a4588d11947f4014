"""Model, data and recipe by name: what a method is trained on, and cannot touch."""

from dataclasses import dataclass, replace
from typing import Any

from resparse.data import describe
from resparse.errors import UsageError
from resparse.record import Recipe


@dataclass(frozen=True, kw_only=True)
class RecipeSpec:
    """A recipe in the units papers use: epochs where they say epochs; either epochs or steps."""

    batch_size: int
    epochs: float | None = None
    steps: int | None = None
    lr: float
    lr_shape: str
    lr_drop_epochs: tuple[float, ...] = ()
    lr_factor: float = 0.1
    warmup_epochs: float = 0.0
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    label_smoothing: float = 0.0

    def changed(self, given: dict[str, Any], where: str) -> "RecipeSpec":
        """This recipe with some values replaced; unknown keys and bad values are refused."""
        valid = self.__dataclass_fields__
        for key in given:
            if key not in valid:
                raise UsageError(
                    f"{where}: recipe has no key {key!r}; valid: {', '.join(sorted(valid))}"
                )
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in given.items()
        }
        if "steps" in values and "epochs" not in values:
            values["epochs"] = None
        if "epochs" in values and "steps" not in values:
            values["steps"] = None
        return replace(self, **values)

    def resolve(self, train_size: int, length: float, where: str) -> Recipe:
        """Everything in steps; ``length`` stretches steps and drops, not the warm-up (as ITOP)."""
        checks = {
            "batch_size": (
                self.batch_size,
                1 <= self.batch_size <= train_size,
                f"1 to {train_size}",
            ),
            "lr": (self.lr, self.lr > 0, "above 0"),
            "lr_shape": (self.lr_shape, self.lr_shape in ("cosine", "steps"), "cosine, steps"),
            "epochs": (self.epochs, self.epochs is None or self.epochs > 0, "above 0"),
            "steps": (self.steps, self.steps is None or self.steps > 0, "above 0"),
            "length": (length, length > 0, "above 0"),
            "momentum": (self.momentum, 0 <= self.momentum < 1, "from 0, below 1"),
            "label_smoothing": (
                self.label_smoothing,
                0 <= self.label_smoothing < 1,
                "from 0, below 1",
            ),
            "weight_decay": (self.weight_decay, self.weight_decay >= 0, "0 or more"),
        }
        for name, (value, ok, valid) in checks.items():
            if not ok:
                raise UsageError(f"{where}: {name} = {value!r}; valid: {valid}")
        if (self.epochs is None) == (self.steps is None):
            raise UsageError(f"{where}: give either epochs or steps")
        per_epoch = train_size // self.batch_size
        steps = self.steps if self.steps is not None else round((self.epochs or 0) * per_epoch)
        exact_epoch = train_size / self.batch_size
        return Recipe(
            batch_size=self.batch_size,
            steps=round(steps * length),
            lr=self.lr,
            lr_shape=self.lr_shape,
            lr_drops=tuple(round(e * exact_epoch * length) for e in self.lr_drop_epochs),
            lr_factor=self.lr_factor,
            warmup=round(self.warmup_epochs * exact_epoch),
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            label_smoothing=self.label_smoothing,
        )


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One training problem."""

    model: str
    dataset: str
    precision: str
    needs_gpu: bool
    recipe: RecipeSpec

    @property
    def train_size(self) -> int:
        """Training images, known without having them."""
        return describe(self.dataset).train_size


WORKLOADS: dict[str, Workload] = {
    # sized so that the 51 runs of a table take minutes on two cores; never printed as a paper's
    "digits_resnet8": Workload(
        model="resnet8",
        dataset="digits",
        precision="portable",
        needs_gpu=False,
        recipe=RecipeSpec(
            batch_size=64, epochs=50, lr=0.1, lr_shape="cosine", nesterov=True, weight_decay=5e-4
        ),
    ),
    # Evci et al. 2020: 32,000 steps of 4096, the protocol of the rows that ITOP's Table 2 cites
    "imagenet_resnet50": Workload(
        model="resnet50",
        dataset="imagenet",
        precision="fp32",
        needs_gpu=True,
        recipe=RecipeSpec(
            batch_size=4096,
            steps=32_000,
            lr=1.6,
            lr_shape="steps",
            lr_drop_epochs=(30, 70, 90),
            warmup_epochs=5,
            nesterov=True,
            weight_decay=1e-4,
            label_smoothing=0.1,
        ),
    ),
}


def workload(name: str) -> Workload:
    """The workload; raises UsageError listing the valid names."""
    if name not in WORKLOADS:
        raise UsageError(f"unknown workload {name!r}; valid: {', '.join(WORKLOADS)}")
    return WORKLOADS[name]
