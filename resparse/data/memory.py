"""Small datasets as one uint8 tensor: shuffled and shifted by (seed, epoch), resumable anywhere."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from resparse.data import Batch
from resparse.seeds import generator


@dataclass
class InMemory:
    """Images (N, C, H, W) uint8 and labels (N,) int64 per split; shifts by up to ``pad`` pixels."""

    name: str
    classes: int
    splits: dict[str, tuple[Tensor, Tensor]]
    mean: float
    std: float
    pad: int = 0

    def __post_init__(self) -> None:
        """Hash what was loaded: the same name with other pixels is another dataset."""
        digest = hashlib.sha256(f"{self.mean!r} {self.std!r} {self.pad}".encode())
        for split, (images, labels) in sorted(self.splits.items()):
            digest.update(split.encode())
            digest.update(images.numpy().tobytes())
            digest.update(labels.numpy().tobytes())
        self.sha256 = digest.hexdigest()
        self.image_shape = tuple(self.splits["train"][0].shape[1:])
        self.train_size = self.size("train")

    def size(self, split: str) -> int:
        """Images in a split."""
        return len(self.splits[split][1]) if split in self.splits else 0

    def _normalise(self, images: Tensor) -> Tensor:
        return (images.float() - self.mean) / self.std

    def train_batches(self, seed: int, batch_size: int, start: int, stop: int) -> Iterator[Batch]:
        """Each epoch a fresh permutation (no incomplete batch) and one random shift an image."""
        images, labels = self.splits["train"]
        size, (height, width) = len(labels), self.image_shape[1:]
        padded = torch.nn.functional.pad(images, (self.pad,) * 4)
        per_epoch = size // batch_size
        rows, columns = torch.arange(height), torch.arange(width)
        for epoch in range(start // per_epoch, -(-stop // per_epoch)):
            order = torch.randperm(size, generator=generator(seed, "order", epoch))
            shift = torch.randint(
                0, 2 * self.pad + 1, (size, 2), generator=generator(seed, "augment", epoch)
            )
            for step in range(max(start, epoch * per_epoch), min(stop, (epoch + 1) * per_epoch)):
                first = (step - epoch * per_epoch) * batch_size
                chosen = order[first : first + batch_size]
                y = shift[chosen, 0, None, None] + rows[:, None]  # (N, H, 1)
                x = shift[chosen, 1, None, None] + columns  # (N, 1, W)
                batch = padded[chosen[:, None, None], :, y, x].permute(0, 3, 1, 2)
                if torch.backends.mkldnn.enabled:
                    # at one channel the strides of (N, H, W, C) pass for contiguous: contiguous()
                    # keeps them, and oneDNN's backward writes past its memory. Portable numerics
                    # do without oneDNN, and their frozen runs were made on these strides
                    batch = batch.clone(memory_format=torch.contiguous_format)
                yield self._normalise(batch.contiguous()), labels[chosen]

    def eval_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """All images in stored order."""
        images, labels = self.splits[split]
        for first in range(0, len(labels), batch_size):
            part = slice(first, first + batch_size)
            yield self._normalise(images[part]), labels[part]
