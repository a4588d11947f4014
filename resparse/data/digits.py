"""The 1,797 8x8 handwritten digits that ship with scikit-learn: the smoke level's real images."""

import math
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from resparse.data import Shape
from resparse.data.memory import InMemory
from resparse.seeds import generator

TRAIN, VAL, TEST = 897, 200, 700


SHAPE = Shape(classes=10, image_shape=(1, 8, 8), train_size=TRAIN)


def load(root: Path | None = None) -> InMemory:
    """A fixed random split 897/200/700; mean and spread of the training pixels, +-1 pixel shifts.

    The statistics come from integer sums, so they are the same on every machine.
    """
    rows = torch.from_numpy(np.loadtxt(_file(), delimiter=",", dtype="uint8"))
    images, labels = rows[:, :-1].reshape(-1, 1, 8, 8), rows[:, -1].to(torch.int64)
    order = torch.randperm(len(labels), generator=generator(0, "digits split"))
    parts = dict(zip(("train", "val", "test"), torch.split(order, [TRAIN, VAL, TEST]), strict=True))
    pixels = images[parts["train"]].to(torch.int64)
    count, total, squares = pixels.numel(), int(pixels.sum()), int((pixels * pixels).sum())
    mean = total / count
    return InMemory(
        name="digits",
        classes=SHAPE.classes,
        splits={name: (images[part], labels[part]) for name, part in parts.items()},
        mean=mean,
        std=math.sqrt(squares / count - mean * mean),
        pad=1,
    )


def _file() -> Path:
    """What sklearn.datasets.load_digits reads; to import that takes a second in every process."""
    found = find_spec("sklearn")
    assert found is not None  # installed with this package
    assert found.origin is not None
    return Path(found.origin).parent / "datasets/data/digits.csv.gz"
