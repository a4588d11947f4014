"""What a dataset must be: its classes, counts and image shape, and how its source is read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from resparse.data import Shape

Pixels = NDArray[np.uint8]  # (C, H, W)


class Split(NamedTuple):
    """The images of one split in the order in which they are stored."""

    where: Sequence[str]  # what each image is called in its source
    labels: Sequence[int]  # indices of Source.classes
    pixels: Callable[[], Iterator[Pixels]]  # raises Corrupt naming the image that is not whole


class Source(NamedTuple):
    """An opened source: what it is made of, its class names, its splits.

    ``published`` is None where a checksum says that it is the published data, byte for byte; else
    a sentence that says what it should be.
    """

    files: Mapping[str, str]  # name -> sha256
    classes: Sequence[str]
    splits: Mapping[str, Split]
    published: str | None = None
    decoder: str = ""  # what made pixels of JPEGs


@dataclass(frozen=True)
class Spec:
    """A dataset whose prepared form is one tensor a split.

    ``published_only``: what is not the published data byte for byte is refused. ``names``: of the
    classes by label, where they are known here.
    """

    name: str
    classes: int
    image_shape: tuple[int, int, int]
    per_class: Mapping[str, int]  # images of each class, by split
    open: Callable[[Path], Source]  # from the data root; raises Missing or Corrupt
    source: Path  # the file of code that opens it
    remedy: str  # how to get the source again
    published_only: bool = True
    names: tuple[str, ...] = ()

    @property
    def shape(self) -> Shape:
        """What is known without having it."""
        return Shape(self.classes, self.image_shape, self.classes * self.per_class["train"])

    @property
    def size_bytes(self) -> int:
        """Bytes of all pixels and labels."""
        height, width = self.image_shape[1:]
        pixels = self.image_shape[0] * height * width
        return self.classes * sum(self.per_class.values()) * (pixels + 8)
