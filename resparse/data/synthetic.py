"""Random images of ImageNet's shape: for rehearsals, never for accuracy."""

from pathlib import Path

import torch

from resparse.data import Shape
from resparse.data.memory import InMemory
from resparse.seeds import generator

SHAPE = Shape(classes=1000, image_shape=(3, 224, 224), train_size=8)


def load(root: Path | None = None) -> InMemory:
    """Eight random images to train on, four to validate, four to test."""
    splits = {}
    for split, count in (("train", SHAPE.train_size), ("val", 4), ("test", 4)):
        rng = generator(0, "random images", split)
        images = torch.randint(0, 256, (count, *SHAPE.image_shape), generator=rng)
        labels = torch.randint(0, SHAPE.classes, (count,), generator=rng)
        splits[split] = (images.to(torch.uint8), labels)
    return InMemory("random_imagenet", SHAPE.classes, splits, mean=127.5, std=73.9)
