"""The ffcv loader: crops of .beton files by threads, the same whatever their number."""

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from resparse.data import Batch, beton, ffcv_kernel
from resparse.data.beton import Array, Beton
from resparse.data.crops import centre_boxes, random_boxes
from resparse.data.ffcv_kernel import require_ffcv
from resparse.data.folder import MEAN, RESIZED, STD, TRAIN_SIZE
from resparse.data.order import WHOLE, Share, mine, steps
from resparse.errors import Corrupt
from resparse.files import canonical

AHEAD = 3  # batches decoded before they are asked for
CHUNK = 8  # images a thread takes at once


class Crops(NamedTuple):
    """What to cut out of which images: numbers (N,), boxes (N, 4), flips (N,), all int64."""

    numbers: Tensor
    boxes: Tensor
    flips: Tensor


def normalisation() -> Array:
    """(3, 256) float32: what torchvision's ToTensor and Normalize make of a pixel, to the bit."""
    mean, std = (torch.tensor(value)[:, None] for value in (MEAN, STD))
    return (torch.arange(256, dtype=torch.uint8).float().div(255)[None].sub(mean).div(std)).numpy()


class Decoder:
    """The images of one file, decoded by ``workers`` threads (default: one per core)."""

    def __init__(self, file: Beton, workers: int | None = None) -> None:
        image = file.samples["image"]
        self.path, self.workers = file.path, workers or len(os.sched_getaffinity(0))
        self.data = np.asarray(np.memmap(file.path, np.uint8, "r"))
        names = ("pointer", "mode", "height", "width")
        self.pointer, self.mode, self.height, self.width = (
            image[name].astype(np.int64) for name in names
        )
        self.sizes, self.labels = file.sizes, torch.from_numpy(file.samples["label"].copy())
        self.table, self.run = normalisation(), ffcv_kernel.kernel()

    def shapes(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Heights and widths of images, as stored."""
        at = numbers.numpy()
        return torch.from_numpy(self.height[at]), torch.from_numpy(self.width[at])

    def batches(self, crops: Iterable[Crops], side: int = TRAIN_SIZE) -> Iterator[Batch]:
        """Images (N, 3, side, side) float32 normalised and their labels, a few batches ahead.

        Raises Corrupt naming the sample that the JPEG decoder refuses.
        """
        waiting: deque[tuple[Crops, Tensor, list[Future[None]]]] = deque()
        rest = iter(crops)
        with ThreadPoolExecutor(self.workers) as pool:
            try:
                while True:
                    while len(waiting) < AHEAD and (job := next(rest, None)) is not None:
                        out = _empty((len(job.numbers), 3, side, side))
                        parts = range(0, len(out), CHUNK)
                        done = [pool.submit(self._decode, job, out, part) for part in parts]
                        waiting.append((job, out, done))
                    if not waiting:
                        return
                    job, out, done = waiting.popleft()
                    for part in done:
                        part.result()
                    yield out, self.labels[job.numbers]
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _decode(self, job: Crops, out: Tensor, first: int) -> None:
        """Rows first .. first + CHUNK - 1 of a batch."""
        rows = slice(first, first + CHUNK)
        at = job.numbers[rows].numpy()
        arrays = (self.pointer, self.sizes, self.mode, self.height, self.width)
        where = (part.numpy() for part in (job.boxes[rows], job.flips[rows]))
        bad = self.run(self.data, *(a[at] for a in arrays), *where, self.table, out[rows].numpy())
        if bad >= 0:
            raise Corrupt(f"{self.path}: sample {at[bad]} cannot be decoded; write it again")


def _empty(shape: tuple[int, ...]) -> Tensor:
    """float32, pinned where there is a GPU; else numpy's, which come in huge pages: a quarter
    of the time went into the faults of small ones.
    """
    if torch.cuda.is_available():
        return torch.empty(shape, pin_memory=True)
    return torch.from_numpy(np.empty(shape, np.float32))


def require_decodes(file: Beton, workers: int | None = None) -> None:
    """Decode every image once; raises Corrupt naming the first that cannot be."""
    decoder = Decoder(file, workers)

    def whole() -> Iterator[Crops]:
        for numbers in torch.split(torch.arange(len(file.samples)), 256):
            height, width = decoder.shapes(numbers)
            none = torch.zeros_like(numbers)
            yield Crops(numbers, torch.stack([none, none, height, width], 1), none)

    for _ in decoder.batches(whole(), side=1):
        pass


class Betons:
    """Two .beton files, of images to train on and to test on: RandomResizedCrop 224 and flips to
    train, the centre crop of 224 in 256 to test.

    Both are hashed whole when they are opened, once on a machine (see beton.read_together).
    """

    image_shape: tuple[int, ...] = (3, TRAIN_SIZE, TRAIN_SIZE)

    def __init__(
        self,
        name: str,
        train: Path,
        test: Path,
        *,
        workers: int | None = None,
        share: Share = WHOLE,
    ) -> None:
        require_ffcv()
        files = beton.read_together(dict.fromkeys((train, test)))
        files = [files[0], files[-1]]  # one where both are the same file
        first, second = (file.sidecar for file in files)
        if first.classes != second.classes:
            raise Corrupt(f"{train} and {test} have other classes; write both from one dataset")
        self.name, self.classes, self.share = name, len(first.classes), share
        self.train, self.test = (Decoder(file, workers) for file in files)
        self.train_size = len(self.train.labels)
        said = [sidecar.model_dump(by_alias=True) for sidecar in (first, second)]
        self.sha256 = hashlib.sha256(f"ffcv\n{canonical(said)}".encode()).hexdigest()
        settings = {s: part["settings"] for s, part in zip(("train", "test"), said, strict=True)}
        self.provenance = {"loader": "ffcv", "beton": settings}

    def size(self, split: str) -> int:
        """No validation part: the papers train on all training images."""
        return {"train": self.train_size, "val": 0, "test": len(self.test.labels)}[split]

    def train_batches(self, seed: int, batch_size: int, start: int, stop: int) -> Iterator[Batch]:
        """Steps start .. stop - 1, crops and flips by (seed, step), this process's images."""

        def crops() -> Iterator[Crops]:
            for _, step, images in steps(
                self.train_size, seed, batch_size, start, stop, self.share
            ):
                boxes, flips = random_boxes(*self.train.shapes(images), seed, step)
                yield Crops(*(mine(part, self.share) for part in (images, boxes, flips)))

        yield from self.train.batches(crops())

    def eval_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """This process's images of "test" in stored order."""

        def crops() -> Iterator[Crops]:
            rows = mine(torch.arange(self.size(split)), self.share)
            for first in range(0, len(rows), batch_size):  # none where all are of other processes
                numbers = rows[first : first + batch_size]
                boxes = centre_boxes(*self.test.shapes(numbers), TRAIN_SIZE / RESIZED)
                yield Crops(numbers, boxes, torch.zeros_like(numbers))

        yield from self.test.batches(crops())
