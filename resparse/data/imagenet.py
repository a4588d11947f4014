"""ImageNet-1k from class folders through torchvision; no held-out part, as in the papers."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from resparse.data import Batch, Shape
from resparse.errors import Missing
from resparse.seeds import derive, generator

TRAIN, TEST = 1_281_167, 50_000
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


SHAPE = Shape(classes=1000, image_shape=(3, 224, 224), train_size=TRAIN)


def missing(root: Path | None) -> str | None:
    """One sentence on what is not there, or None: root/imagenet/{train,val}/<wnid>/*.JPEG."""
    if root is None:
        return "no data root: give --data-root DIR or set RESPARSE_DATA (imagenet is needed there)"
    for split in ("train", "val"):
        folder = root / "imagenet" / split
        classes = sum(p.is_dir() for p in folder.iterdir()) if folder.is_dir() else 0
        if classes != SHAPE.classes:
            return (
                f"ImageNet-1k {split} images: {folder} has {classes} class folders of "
                f"{SHAPE.classes}; put the original JPEGs in folders named by wnid"
            )
    return None


class _Seeded(Dataset[Any]):
    """Draws each image's augmentation from (seed, epoch, index), so that order does not matter."""

    def __init__(self, images: Any, seed: int) -> None:
        self.images, self.seed = images, seed

    def __getitem__(self, at: tuple[int, int]) -> Any:
        epoch, index = at
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.seed, "augment", epoch, index))
            return self.images[index]


class _Steps(Sampler[list[tuple[int, int]]]):
    """(epoch, index) batches of steps start .. stop - 1."""

    def __init__(self, size: int, seed: int, batch_size: int, start: int, stop: int) -> None:
        self.size, self.seed, self.batch_size = size, seed, batch_size
        self.start, self.stop = start, stop

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        per_epoch = self.size // self.batch_size
        for epoch in range(self.start // per_epoch, -(-self.stop // per_epoch)):
            order = torch.randperm(self.size, generator=generator(self.seed, "order", epoch))
            first = max(self.start - epoch * per_epoch, 0)
            for step in range(first, min(self.stop - epoch * per_epoch, per_epoch)):
                part = order[step * self.batch_size : (step + 1) * self.batch_size]
                yield [(epoch, index) for index in part.tolist()]


class ImageNet:
    """RandomResizedCrop 224 and flips to train; resize 256 and centre crop 224 to test."""

    name = "imagenet"
    classes = SHAPE.classes
    image_shape = SHAPE.image_shape

    def __init__(self, root: Path, workers: int = 8) -> None:
        from torchvision import datasets, transforms

        tail = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
        grow = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip()]
        shrink = [transforms.Resize(256), transforms.CenterCrop(224)]
        self.train = datasets.ImageFolder(
            str(root / "imagenet" / "train"), transforms.Compose(grow + tail)
        )
        self.test = datasets.ImageFolder(
            str(root / "imagenet" / "val"), transforms.Compose(shrink + tail)
        )
        for split, images, count in (("train", self.train, TRAIN), ("val", self.test, TEST)):
            if len(images) != count:
                raise Missing(
                    f"ImageNet {split} has {len(images)} images of {count}: complete the folder"
                )
        self.train_size, self.workers = TRAIN, workers
        digest = hashlib.sha256()
        for images in (self.train, self.test):
            for path, label in images.samples:
                digest.update(f"{Path(path).name} {label}\n".encode())
        self.sha256 = digest.hexdigest()

    def size(self, split: str) -> int:
        """No validation part: the papers train on all training images."""
        return {"train": TRAIN, "val": 0, "test": TEST}[split]

    def train_batches(self, seed: int, batch_size: int, start: int, stop: int) -> Iterator[Batch]:
        """Steps start .. stop - 1, the same whatever the number of workers."""
        yield from DataLoader(
            _Seeded(self.train, seed),
            batch_sampler=_Steps(TRAIN, seed, batch_size, start, stop),
            num_workers=self.workers,
            pin_memory=True,
            generator=generator(seed, "loader", start),  # else it draws from the global RNG
        )

    def eval_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """The 50,000 validation images, which are the papers' test set."""
        yield from DataLoader(self.test, batch_size, num_workers=self.workers, pin_memory=True)


def load(root: Path | None) -> ImageNet:
    """Raises Missing when the folders are not complete."""
    lack = missing(root)
    if lack is not None or root is None:
        raise Missing(lack or "no data root")
    try:
        return ImageNet(root)
    except FileNotFoundError as error:
        raise Missing(f"ImageNet: {error}") from error
