"""Model, data and recipe by name: what a method is trained on, and cannot touch.

A workload from outside is one Python file with SHAPE, RECIPE, build_model(classes, image_shape) and
load(root); its name is the file's.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import FunctionType

import torch

from resparse import data, models
from resparse.data import describe
from resparse.errors import UsageError
from resparse.models import build_model, maskable
from resparse.outside import load_module
from resparse.precision import PRECISIONS, half
from resparse.recipe import RecipeSpec


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One training problem."""

    model: str
    dataset: str
    recipe: RecipeSpec
    precision: str = "fp32"
    needs_gpu: bool = False  # else trained on the CPU where no --device is said
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


def computed_in(problem: Workload, precision: str | None) -> Workload:
    """The workload in another precision; None: its own; "half": what the device here has."""
    if precision is None:
        return problem
    precision = half() if precision == "half" else precision
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision!r}; valid: half, {', '.join(PRECISIONS)}")
    return replace(problem, precision=precision)


PARTS: tuple[tuple[str, type | None, str], ...] = (  # name, kind (None: a function), example
    ("SHAPE", data.Shape, "SHAPE = Shape(classes=10, image_shape=(1, 8, 8), train_size=897)"),
    ("RECIPE", RecipeSpec, "RECIPE = RecipeSpec(batch_size=64, epochs=50, lr=0.1, ...)"),
    ("build_model", None, "def build_model(classes, image_shape) -> nn.Module"),
    ("load", None, "def load(root) -> Data"),
)

# sized so that the 51 runs of a table take minutes on two cores; never printed as a paper's
SMOKE = RecipeSpec(
    batch_size=64, epochs=50, lr=0.1, lr_shape="cosine", nesterov=True, weight_decay=5e-4
)
# ITOP, appendices A.3 and F; what of it is stated, and why the rest is as it is: `resparse
# protocols`. A tenth is held out, so that an epoch has 351 steps.
ITOP_MLP = RecipeSpec(
    batch_size=128,
    epochs=200,
    lr=0.01,
    lr_shape="steps",
    lr_drop_epochs=(24_000 / 351, 48_000 / 351),
    nesterov=True,
    weight_decay=5e-4,
)
ITOP_VGG16 = RecipeSpec(
    batch_size=128,
    epochs=250,
    lr=0.1,
    lr_shape="steps",
    lr_drop_epochs=(30_000 / 351, 60_000 / 351),
    nesterov=True,
    weight_decay=5e-4,
)
ITOP_RESNET18 = RecipeSpec(
    batch_size=128,
    epochs=250,
    lr=0.1,
    lr_shape="steps",
    lr_drop_epochs=(125, 187),
    nesterov=True,
    weight_decay=5e-4,
)
ITOP_RESNET34 = RecipeSpec(
    batch_size=128,
    epochs=200,
    lr=0.1,
    lr_shape="steps",
    lr_drop_epochs=(100, 150),
    nesterov=True,
    weight_decay=1e-4,
)
# RigL reproduction, section 4.2: 250 epochs, rate 0.1, and for CIFAR-100 label smoothing; all else
# follows its released code, the warm-up too (5 epochs of 352 steps, where the text says 2)
RIGL_WRN22_2 = RecipeSpec(
    batch_size=128,
    epochs=250,
    lr=0.1,
    lr_shape="steps",
    lr_drop_epochs=(30_000 / 351, 60_000 / 351),
    lr_factor=0.2,
    nesterov=True,
    weight_decay=5e-4,
)
RIGL_RESNET50 = RecipeSpec(
    batch_size=128,
    epochs=250,
    lr=0.1,
    lr_shape="steps",
    lr_drop_epochs=tuple(steps / 312 for steps in (20_000, 40_000, 60_000)),
    lr_factor=0.2,
    warmup_epochs=1760 / 312,
    nesterov=True,
    weight_decay=1e-4,
    label_smoothing=0.1,
)
# Sanity checks for lottery tickets, table E.1; the rate is the one of its released code
LOTTERY = RecipeSpec(
    batch_size=64,
    epochs=160,
    lr=0.1,
    lr_shape="steps",
    lr_drop_epochs=(80, 120),
    weight_decay=5e-4,
)
# Evci et al. 2020: 32,000 steps of 4096, the protocol of the rows that ITOP's Table 2 cites
IMAGENET = RecipeSpec(
    batch_size=4096,
    steps=32_000,
    lr=1.6,
    lr_shape="steps",
    lr_drop_epochs=(30, 70, 90),
    warmup_epochs=5,
    nesterov=True,
    weight_decay=1e-4,
    label_smoothing=0.1,
)


def _smoke(model: str) -> Workload:
    return Workload(model=model, dataset="digits", recipe=SMOKE, precision="portable")


def _mini(model: str, epochs: int) -> Workload:
    """Real images in a night on two cores: a paper's network, fewer epochs."""
    recipe = SMOKE.changed({"batch_size": 128, "epochs": epochs})
    return Workload(model=model, dataset="cifar10_jpeg75", recipe=recipe)


def _paper(model: str, dataset: str, recipe: RecipeSpec) -> Workload:
    return Workload(model=model, dataset=dataset, recipe=recipe, needs_gpu=True)


_ITOP = ":val=5000:pad=reflect"
WORKLOADS: dict[str, Workload] = {
    "digits_resnet8": _smoke("resnet8"),
    "digits_mlp": _smoke("mlp_small"),
    "cifar10_jpeg75_resnet20": _mini("resnet20", epochs=8),
    "cifar10_jpeg75_wrn22_2": _mini("wrn22_2", epochs=5),
    "cifar10_jpeg75_mlp": Workload(
        model="mlp", dataset=f"cifar10_jpeg75{_ITOP}", recipe=ITOP_MLP
    ),  # half an hour on one core
    "cifar10_mlp": Workload(model="mlp", dataset=f"cifar10{_ITOP}", recipe=ITOP_MLP),
    "cifar10_vgg16": _paper("vgg16", f"cifar10{_ITOP}", ITOP_VGG16),
    "cifar10_resnet18": _paper("resnet18", f"cifar10{_ITOP}", ITOP_RESNET18),
    "cifar100_resnet34": _paper("resnet34", "cifar100:val=5000", ITOP_RESNET34),
    "cifar10_wrn22_2": _paper("wrn22_2", f"cifar10{_ITOP}", RIGL_WRN22_2),
    "cifar100_resnet50": _paper("resnet50", "cifar100:val=10000", RIGL_RESNET50),
    "cifar10_resnet20": _paper("resnet20", "cifar10", LOTTERY),
    "cifar100_resnet32": _paper("resnet32", "cifar100", LOTTERY),
    "tiny_imagenet_resnet18": _paper(
        "resnet18", "tiny_imagenet", LOTTERY.changed({"batch_size": 32, "warmup_epochs": 20})
    ),
    "imagenet_resnet50": _paper("resnet50", "imagenet", IMAGENET),
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
