"""Small datasets as one uint8 tensor: shuffled, cropped and flipped by (seed, epoch), on a device.

What an image becomes depends on seed, epoch and its number alone, so that every engine draws the
same and a training resumes at any step.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from resparse.data import Batch
from resparse.data.checked import require_images
from resparse.data.order import Share, mine, own_share, steps
from resparse.seeds import generator

_AT_ONCE = 1024  # images that are padded together: reflection works on floats


@dataclass
class InMemory:
    """Images (N, C, H, W) uint8 and labels (N,) int64 per split.

    ``mean`` and ``std`` are of the pixel values 0 to 255, one for all channels or one each. A
    training image is padded by ``pad`` pixels, black or mirrored, cropped to its own size at a
    random place, and, with ``flip``, mirrored every second time. ``share`` says which of a step's
    images are this process's.
    """

    name: str
    classes: int
    splits: dict[str, tuple[Tensor, Tensor]]
    mean: float | Sequence[float]
    std: float | Sequence[float]
    pad: int = 0
    padding: Literal["zero", "reflect"] = "zero"
    flip: bool = False
    share: Share = field(default_factory=own_share)

    def __post_init__(self) -> None:
        """Hash what was loaded: the same name with other pixels is another dataset.

        Raises UsageError naming the split that is not as above.
        """
        require_images(self.name, self.classes, self.splits)
        said = f"{self.mean!r} {self.std!r} {self.pad}"
        said += f" {self.padding}" * (self.padding != "zero") + " flip" * self.flip
        digest = hashlib.sha256(said.encode())
        for split, (images, labels) in sorted(self.splits.items()):
            digest.update(split.encode())
            digest.update(images.numpy().tobytes())
            digest.update(labels.numpy().tobytes())
        self.sha256 = digest.hexdigest()
        self.image_shape = tuple(self.splits["train"][0].shape[1:])
        self.train_size = self.size("train")
        self.device = torch.device("cpu")
        self._padded: Tensor | None = None
        self._scale = self._per_channel()

    def size(self, split: str) -> int:
        """Images in a split."""
        return len(self.splits[split][1]) if split in self.splits else 0

    def to(self, device: torch.device) -> "InMemory":
        """The same dataset with its images and labels there; batches come out there too."""
        if device != self.device:
            self.splits = {n: (x.to(device), y.to(device)) for n, (x, y) in self.splits.items()}
            self.device, self._padded = device, None
            self._scale = self._per_channel()
        return self

    def _per_channel(self) -> list[Tensor]:
        """Mean and standard deviation, each (C or 1, 1, 1), on the device."""
        return [
            torch.as_tensor(value, dtype=torch.float32, device=self.device).view(-1, 1, 1)
            for value in (self.mean, self.std)
        ]

    def _there(self, drawn: Tensor) -> Tensor:
        """What was drawn on the CPU, on the device, which is not waited for."""
        if self.device.type != "cuda":
            return drawn.to(self.device)
        return drawn.pin_memory().to(self.device, non_blocking=True)

    def train_batches(self, seed: int, batch_size: int, start: int, stop: int) -> Iterator[Batch]:
        """Steps start .. stop - 1: this process's images, crops and flips by image."""
        for chosen, shift, flipped in self._drawn(seed, batch_size, start, stop):
            batch = self._normalise(self._augmented(chosen, shift, flipped))
            if not torch.backends.mkldnn.enabled and len(batch[0]) == 1:
                # one channel in portable numerics, whose frozen runs were made on these
                # strides; oneDNN takes them for contiguous and writes past its memory
                batch = batch.to(memory_format=torch.channels_last)
            yield batch, self.splits["train"][1].index_select(0, self._there(chosen))

    def stacked_batches(
        self, seeds: Sequence[int], batch_size: int, start: int, stop: int
    ) -> Iterator[Batch]:
        """What train_batches gives of each seed, (R, N, C, H, W) and (R, N), made in one go."""
        each = [self._drawn(seed, batch_size, start, stop) for seed in seeds]
        for drawn in zip(*each, strict=True):
            chosen, shift = (torch.cat([one[part] for one in drawn]) for part in (0, 1))
            flips = [one[2] for one in drawn if one[2] is not None]
            images = self._augmented(chosen, shift, torch.cat(flips) if flips else None)
            labels = self.splits["train"][1][self._there(chosen)]
            shape = (len(seeds), -1)
            yield self._normalise(images).view(*shape, *self.image_shape), labels.view(shape)

    def _drawn(
        self, seed: int, batch_size: int, start: int, stop: int
    ) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """Each step's images of this process by number (N,), their crops (N, 2), and flips (N,)."""
        size, drawn = self.train_size, -1
        for epoch, _, images in steps(size, seed, batch_size, start, stop, self.share):
            if epoch != drawn:
                shift, flips = self._draws(seed, epoch)
                drawn = epoch
            chosen = mine(images, self.share)
            flipped = None if flips is None else flips[chosen]
            yield chosen, shift[chosen], flipped

    def _draws(self, seed: int, epoch: int) -> tuple[Tensor, Tensor | None]:
        """Of every training image in an epoch: crops (N, 2), and whether it is mirrored (N,)."""
        sides, size = 2 * self.pad + 1, (self.train_size, 2)
        shift = torch.randint(0, sides, size, generator=generator(seed, "augment", epoch))
        if not self.flip:
            return shift, None
        return shift, torch.rand(size[0], generator=generator(seed, "flip", epoch)) < 0.5

    def eval_batches(self, split: str, batch_size: int) -> Iterator[Batch]:
        """This process's images in stored order."""
        images, labels = (mine(part, self.share) for part in self.splits[split])
        for first in range(0, len(labels), batch_size):
            part = slice(first, first + batch_size)
            yield self._normalise(images[part]), labels[part]

    def _augmented(self, chosen: Tensor, shift: Tensor, flipped: Tensor | None) -> Tensor:
        """The chosen images (N, C, H, W), cropped ``shift`` (N, 2) pixels down and right.

        Crops are gathered as rows of pixels: several times faster than by indices of four axes.
        """
        (channels, height, width), device = self.image_shape, self.device
        bordered = self._bordered()
        high, wide = bordered.shape[2:]
        flat = bordered.view(-1)
        rows = flat.as_strided((len(flat) - width + 1, width), (1, 1))  # from each pixel on
        chosen, (y, x) = self._there(chosen), self._there(shift).unbind(1)
        first = chosen * (channels * high * wide) + y * wide + x
        below = torch.arange(channels, device=device)[:, None] * high
        below = (below + torch.arange(height, device=device)) * wide
        at = (first[:, None, None] + below).view(-1)
        images = rows.index_select(0, at).view(len(chosen), *self.image_shape)
        if flipped is None:
            return images
        either = torch.cat([images, images.flip(3)])
        of = torch.arange(len(chosen), device=device) + len(chosen) * self._there(flipped)
        return either.index_select(0, of)

    def _bordered(self) -> Tensor:
        """All training images with their borders, made once, one row of pixels after the other."""
        images = self.splits["train"][0].contiguous()
        if self._padded is None and self.padding == "reflect":
            parts = torch.split(images, _AT_ONCE)
            made = (F.pad(part.float(), (self.pad,) * 4, "reflect") for part in parts)
            self._padded = torch.cat([part.to(torch.uint8) for part in made])
        elif self._padded is None:
            self._padded = F.pad(images, (self.pad,) * 4)
        return self._padded

    def _normalise(self, images: Tensor) -> Tensor:
        """float32 in the strides of its shape, whatever those of ``images`` are."""
        mean, std = self._scale
        return images.to(torch.float32, memory_format=torch.contiguous_format).sub_(mean).div_(std)
