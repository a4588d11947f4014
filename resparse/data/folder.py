"""The torch loader: class folders through torchvision and a DataLoader; the others' reference."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler, Subset

from resparse.data import Batch
from resparse.data.class_images import ClassImages, collate, sound
from resparse.data.order import WHOLE, Share, mine, steps
from resparse.files import file_sha256
from resparse.seeds import derive, generator

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels, 0 to 1
TRAIN_SIZE, RESIZED = 224, 256  # pixels of a side: of what is trained on, of the shorter to test

HELD = "each is held against its kept sha256 when it is read"
UNKNOWN = "known by name and label, their contents are not"


class _Seeded(Dataset[Any]):
    """Draws each image's augmentation from (seed, epoch, index), so that order does not matter."""

    def __init__(self, images: Any, seed: int) -> None:
        self.images, self.seed = images, seed

    def __getitem__(self, at: tuple[int, int]) -> Any:
        epoch, index = at
        with torch.random.fork_rng(devices=[]):
            # not torch.manual_seed: that reseeds the GPUs' generators too
            torch.default_generator.manual_seed(derive(self.seed, "augment", epoch, index))
            return self.images[index]


class _Steps(Sampler[list[tuple[int, int]]]):
    """This process's (epoch, index) batches of steps start .. stop - 1."""

    def __init__(
        self, size: int, seed: int, batch_size: int, start: int, stop: int, share: Share = WHOLE
    ) -> None:
        self.arguments, self.share = (size, seed, batch_size, start, stop, share), share

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for epoch, _, images in steps(*self.arguments):
            yield [(epoch, index) for index in mine(images, self.share).tolist()]


class Folders:
    """train and test folders <class>/*; labels are the sorted classes.

    RandomResizedCrop 224 and flips to train; resize 256 and centre crop 224 to test.

    ``kept`` are the lists of their images' hashes: names are held against them here, the bytes of
    an image when it is read to be trained or tested on, so that nothing is hashed twice or never.
    Without them ``sha256`` is of names and labels alone, and ``provenance`` says so. Batches raise
    Corrupt naming the first image that is not what was kept or cannot be decoded.
    """

    image_shape: tuple[int, ...] = (3, TRAIN_SIZE, TRAIN_SIZE)

    def __init__(
        self,
        name: str,
        train: Path,
        test: Path,
        *,
        kept: tuple[Path, Path] | None = None,
        workers: int = 8,
        share: Share = WHOLE,
    ) -> None:
        from torchvision import transforms

        tail = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
        grow = [transforms.RandomResizedCrop(TRAIN_SIZE), transforms.RandomHorizontalFlip()]
        shrink = [transforms.Resize(RESIZED), transforms.CenterCrop(TRAIN_SIZE)]
        first, second = kept or (None, None)
        self.train = ClassImages(train, transforms.Compose(grow + tail), first)
        self.test = ClassImages(test, transforms.Compose(shrink + tail), second)
        self.name, self.workers, self.share = name, workers, share
        self.classes, self.train_size = len(self.train.classes), len(self.train)
        digest = hashlib.sha256(b"torch\n")
        for images, listed in ((self.train, first), (self.test, second)):
            if listed is not None:
                digest.update(f"{file_sha256(listed)}\n".encode())
                continue
            for path, label in images.samples:
                digest.update(f"{Path(path).name} {label}\n".encode())
        self.sha256 = digest.hexdigest()
        self.provenance = {"loader": "torch", "images": HELD if kept else UNKNOWN}

    def size(self, split: str) -> int:
        """No validation part: the papers train on all training images."""
        return {"train": self.train_size, "val": 0, "test": len(self.test)}[split]

    def train_batches(self, seed: int, batch_size: int, start: int, stop: int) -> Iterator[Batch]:
        """Steps start .. stop - 1, the same whatever the number of workers."""
        batches = DataLoader(
            _Seeded(self.train, seed),
            batch_sampler=_Steps(self.train_size, seed, batch_size, start, stop, self.share),
            num_workers=self.workers,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
            generator=generator(seed, "loader", start),  # else it draws from the global RNG
        )
        yield from map(sound, batches)

    def eval_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """This process's images of "test" in stored order."""
        chosen = mine(torch.arange(self.size(split)), self.share).tolist()
        batches = DataLoader(
            Subset(self.test, chosen),
            batch_size,
            num_workers=self.workers,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
            generator=generator(0, "loader", split),
        )
        yield from map(sound, batches)
