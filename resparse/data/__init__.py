"""Datasets by name, one loader protocol: seeded batches that can start at any step."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from torch import Tensor

from resparse.data import protocol
from resparse.errors import ResparseError, UsageError

if TYPE_CHECKING:
    from resparse.data.spec import Spec
    from resparse.data.synthetic import Random

Batch = tuple[Tensor, Tensor]  # images (N, C, H, W) float32 normalised; labels (N,) int64


class Data(Protocol):
    """What the trainer needs of a dataset."""

    name: str
    classes: int
    image_shape: tuple[int, ...]
    train_size: int
    sha256: str

    def train_batches(self, seed: int, batch_size: int, start: int, stop: int) -> Iterator[Batch]:
        """Batches of steps start .. stop - 1; what a step sees depends on (seed, step) only."""
        ...

    def eval_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """Every image of "val" or "test" exactly once, without augmentation."""
        ...

    def size(self, split: str) -> int:
        """Images in "train", "val" or "test"; 0 where the protocol has no such split."""
        ...


class Shape(NamedTuple):
    """What is known of a dataset without having it."""

    classes: int
    image_shape: tuple[int, ...]
    train_size: int


PREPARED = ("cifar10", "cifar100", "cifar10_jpeg75", "tiny_imagenet")  # see prepare.py
NAMES = ("digits", *PREPARED, "imagenet", "random_imagenet")
RANDOM = {f"random_{name}": name for name in PREPARED}  # for rehearsals: random images, by shape
_outside: dict[str, ModuleType] = {}  # by workload: modules with SHAPE and load(root)


def add(name: str, module: ModuleType) -> None:
    """Know a dataset from outside; a name of the suite is refused."""
    if name in NAMES or name in RANDOM:
        raise UsageError(f"dataset {name} is one of the suite's; valid: another name")
    _outside[name] = module


def _module(name: str) -> "ModuleType | Random":
    from resparse.data import digits, imagenet, synthetic

    if name in _outside:
        return _outside[name]
    if name in RANDOM:
        shape = describe(RANDOM[name])
        return synthetic.Random(name, shape._replace(train_size=synthetic.SHAPE.train_size))
    base, _, rest = name.partition(":")
    if rest and base in NAMES:
        raise UsageError(
            f"{name}: {base} has its own split and borders; valid: {base}, or {rest} of one of "
            f"{', '.join(PREPARED)}"
        )
    if name not in NAMES:
        raise UsageError(f"unknown dataset {name!r}; valid: {', '.join(NAMES)}")
    return {"digits": digits, "imagenet": imagenet, "random_imagenet": synthetic}[name]


def _spec(name: str) -> "Spec | None":
    """Of a dataset that `resparse data prepare` makes, whatever a protocol asks of it."""
    from resparse.data.prepare import specs

    base = name.partition(":")[0]
    return specs()[base] if base in PREPARED else None


def named(name: str, val: str | None = None) -> str:
    """The one name of a dataset, with another hold-out where ``val`` is given ("0": none).

    Raises UsageError for an unknown name, and a hold-out of a dataset that splits itself.
    """
    if spec := _spec(name):
        asked = protocol.asked(name)
        asked = asked if val is None else asked._replace(val=val)
        return asked.named(spec.shape.train_size)
    if val not in (None, "0"):
        name = f"{name}:val={val}"
    _module(name)
    return name


def describe(name: str) -> Shape:
    """Classes, image shape and training size; raises UsageError for an unknown name."""
    if spec := _spec(name):
        size = spec.shape.train_size
        held = protocol.held(protocol.asked(name).val, size)
        return spec.shape._replace(train_size=size - held)
    shape: Shape = _module(name).SHAPE
    return shape


def load(name: str, root: Path | None) -> Data:
    """The dataset, ready; raises Missing with what to put where when it is not there."""
    if spec := _spec(name):
        from resparse.data import prepare

        return prepare.load(spec, root, named(name))
    loaded: Data = _module(name).load(root)
    return loaded


def missing(name: str, root: Path | None) -> str | None:
    """One sentence on what of a dataset is not here, or None; no file is hashed."""
    from resparse.data import imagenet, manifest, places

    try:
        if spec := _spec(name):
            manifest.read(places.prepared_folder(spec.name, root), spec.name)
    except ResparseError as error:
        return str(error)
    return imagenet.missing(root) if name == "imagenet" else None


def source(name: str) -> Path:
    """The file that makes a dataset's batches."""
    if spec := _spec(name):
        return spec.source
    return Path(str(_module(name).__file__))
