"""Random images of a dataset's shape: for rehearsals, never for accuracy."""

from dataclasses import dataclass
from pathlib import Path

import torch

from resparse.data import Shape
from resparse.data.memory import InMemory
from resparse.seeds import generator

SHAPE = Shape(classes=1000, image_shape=(3, 224, 224), train_size=8)


def load(root: Path | None = None) -> InMemory:
    """ImageNet's: eight random images to train on, four to validate, four to test."""
    return _images("random_imagenet", SHAPE)


@dataclass(frozen=True)
class Random:
    """As many random images in another dataset's shape; ``name`` is random_<dataset>."""

    name: str
    SHAPE: Shape
    __file__ = __file__  # what makes its batches, as of a module

    def load(self, root: Path | None = None) -> InMemory:
        """Eight random images to train on, four to validate, four to test."""
        return _images(self.name, self.SHAPE)


def _images(name: str, shape: Shape) -> InMemory:
    splits = {}
    for split, count in (("train", SHAPE.train_size), ("val", 4), ("test", 4)):
        rng = generator(0, "random images", split)
        images = torch.randint(0, 256, (count, *shape.image_shape), generator=rng)
        labels = torch.randint(0, shape.classes, (count,), generator=rng)
        splits[split] = (images.to(torch.uint8), labels)
    return InMemory(name, shape.classes, splits, mean=127.5, std=73.9)
