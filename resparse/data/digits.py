"""The 1,797 8x8 handwritten digits that ship with scikit-learn: the smoke level's real images."""

import math
from pathlib import Path

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
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.from_numpy(digits.images.astype("uint8"))[:, None]  # (1797, 1, 8, 8)
    labels = torch.from_numpy(digits.target.astype("int64"))
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
