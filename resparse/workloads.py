"""Model, data and recipe by name: what a method is trained on, and cannot touch.

A workload from outside is one Python file with SHAPE, RECIPE, build_model(classes, image_shape) and
load(root); its name is the file's.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator

from resparse import data, models
from resparse.data import describe
from resparse.errors import UsageError
from resparse.models import build_model, maskable
from resparse.outside import load_module
from resparse.reading import Many, NotNegative, Positive, Table, read
from resparse.record import Recipe


class RecipeSpec(Table):
    """A recipe in the units papers use: epochs where they say epochs; either epochs or steps."""

    batch_size: Annotated[int, Field(gt=0)]
    epochs: Positive | None = None
    steps: Annotated[int, Field(gt=0)] | None = None
    lr: Positive
    lr_shape: Literal["cosine", "steps"]
    lr_drop_epochs: Many[NotNegative] = ()
    lr_factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    warmup_epochs: NotNegative = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    weight_decay: NotNegative = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            both = f"epochs = {self.epochs} and steps = {self.steps}"
            raise ValueError(f"{both}; valid: one of the two")
        if self.nesterov and self.momentum == 0:
            raise ValueError(f"nesterov = true with momentum = {self.momentum}; valid: above 0")
        return self

    def changed(self, given: dict[str, Any]) -> "RecipeSpec":
        """This recipe with some values replaced; unknown keys and bad values are refused."""
        values = self.model_dump()
        if "steps" in given or "epochs" in given:
            values |= {"steps": None, "epochs": None}
        return read(RecipeSpec, values | given, "recipe")

    def resolve(self, train_size: int, length: float) -> Recipe:
        """Everything in steps; ``length`` stretches steps and drops, not the warm-up (as ITOP).

        Raises UsageError where that leaves no step to train.
        """
        if self.batch_size > train_size:
            raise UsageError(
                f"recipe: batch_size = {self.batch_size}; valid: at most {train_size}, all images"
            )
        per_epoch = train_size // self.batch_size
        steps = self.steps if self.steps is not None else round((self.epochs or 0) * per_epoch)
        steps = round(steps * length)
        # epochs of a length in epochs are of whole batches; one in steps passes over all images
        epoch = per_epoch if self.steps is None else train_size / self.batch_size
        warmup = round(self.warmup_epochs * epoch)
        if steps < 1:
            raise UsageError(
                f"recipe: epochs = {self.epochs} at length = {length} make no step; valid: one or "
                f"more, of {per_epoch} an epoch"
            )
        if warmup >= steps:
            raise UsageError(
                f"recipe: warmup_epochs = {self.warmup_epochs} are {warmup} steps; valid: fewer "
                f"than the {steps} of the training"
            )
        return Recipe(
            batch_size=self.batch_size,
            steps=steps,
            lr=self.lr,
            lr_shape=self.lr_shape,
            lr_drops=tuple(round(at * epoch * length) for at in self.lr_drop_epochs),
            lr_factor=self.lr_factor,
            warmup=warmup,
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
    sha256: str = ""  # of the file, where it comes from outside

    @property
    def train_size(self) -> int:
        """Training images, known without having them."""
        return describe(self.dataset).train_size

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights that masks may cover, in network order; nothing is computed."""
        return shapes_of(self.model, self.dataset)


@cache
def shapes_of(model: str, dataset: str) -> dict[str, tuple[int, ...]]:
    """Weight shapes of a model on a dataset's images, in network order; nothing is computed."""
    shape = describe(dataset)
    with torch.device("meta"):
        net = build_model(model, shape.classes, shape.image_shape, 0)
    return {name: tuple(weight.shape) for name, weight in maskable(net).items()}


def holding_out(problem: Workload, val: str | None) -> Workload:
    """The workload with another hold-out of its training images (see data.protocol); None: its own.

    Raises UsageError where the dataset splits itself.
    """
    if val is None:
        return problem
    if problem.sha256:
        raise UsageError(f"val={val}: the load(root) of {problem.model}.py splits; valid: none")
    return replace(problem, dataset=data.named(problem.dataset, val))


PRECISIONS = ("portable", "fp32")
PARTS: tuple[tuple[str, type | None, str], ...] = (  # name, kind (None: a function), example
    ("SHAPE", data.Shape, "SHAPE = Shape(classes=10, image_shape=(1, 8, 8), train_size=897)"),
    ("RECIPE", RecipeSpec, "RECIPE = RecipeSpec(batch_size=64, epochs=50, lr=0.1, ...)"),
    ("build_model", None, "def build_model(classes, image_shape) -> nn.Module"),
    ("load", None, "def load(root) -> Data"),
)

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
    "digits_mlp": Workload(
        model="mlp_small",
        dataset="digits",
        precision="portable",
        needs_gpu=False,
        recipe=RecipeSpec(
            batch_size=64, epochs=50, lr=0.1, lr_shape="cosine", nesterov=True, weight_decay=5e-4
        ),
    ),
    # real images in a night on two cores: the papers' networks and steps' recipe, fewer epochs
    "cifar10_jpeg75_resnet20": Workload(
        model="resnet20",
        dataset="cifar10_jpeg75",
        precision="fp32",
        needs_gpu=False,
        recipe=RecipeSpec(
            batch_size=128, epochs=8, lr=0.1, lr_shape="cosine", nesterov=True, weight_decay=5e-4
        ),
    ),
    "cifar10_jpeg75_wrn22_2": Workload(
        model="wrn22_2",
        dataset="cifar10_jpeg75",
        precision="fp32",
        needs_gpu=False,
        recipe=RecipeSpec(
            batch_size=128, epochs=5, lr=0.1, lr_shape="cosine", nesterov=True, weight_decay=5e-4
        ),
    ),
    # ITOP, appendix A.3: 200 epochs, the rate divided by 10 every 24,000 steps
    "cifar10_jpeg75_mlp": Workload(
        model="mlp",
        dataset="cifar10_jpeg75",
        precision="fp32",
        needs_gpu=False,
        recipe=RecipeSpec(
            batch_size=128,
            epochs=200,
            lr=0.01,
            lr_shape="steps",
            lr_drop_epochs=(24_000 / 390, 48_000 / 390, 72_000 / 390),
            weight_decay=5e-4,
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


_outside: dict[str, Workload] = {}


def workload(name: str) -> Workload:
    """The workload; raises UsageError listing the valid names."""
    if name in _outside:
        return _outside[name]
    if name not in WORKLOADS:
        raise UsageError(f"unknown workload {name!r}; valid: {', '.join(WORKLOADS)}")
    return WORKLOADS[name]


def add(name: str, file: Path, sha256: str) -> Workload:
    """Know the workload in ``file`` as ``name``, model and dataset included.

    Raises UsageError for a name of the suite and where the file lacks a part.
    """
    if name in WORKLOADS:
        raise UsageError(f"workload {name} is one of the suite's; valid: another file name")
    if name in _outside and _outside[name].sha256 == sha256:
        return _outside[name]
    module = load_module(name, file)
    for part, kind, like in PARTS:
        found = getattr(module, part, None)
        if not isinstance(found, kind or FunctionType):  # whose file is known
            valid = "; ".join(example for _, _, example in PARTS)
            raise UsageError(f"workload file {name}.py has no {part}, {like}; valid: {valid}")
    precision = getattr(module, "PRECISION", "fp32")
    if precision not in PRECISIONS:
        valid = ", ".join(PRECISIONS)
        raise UsageError(f"workload file {name}.py: PRECISION = {precision!r}; valid: {valid}")
    models.add(name, module.build_model)
    data.add(name, module)
    shapes_of.cache_clear()  # of an earlier version of the file
    made = Workload(
        model=name,
        dataset=name,
        precision=precision,
        needs_gpu=bool(getattr(module, "NEEDS_GPU", False)),
        recipe=module.RECIPE,
        sha256=sha256,
    )
    _outside[name] = made
    return made
