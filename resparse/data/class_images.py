"""Images of class folders by number: read, held against their kept sha256, decoded."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL.Image import Image
from torch.utils.data import Dataset, default_collate

from resparse.data import image_list
from resparse.data.jpeg import decode
from resparse.errors import Corrupt

KEPT = "restore it from the original archives; resparse data verify imagenet names all such"
FOLDER = "restore it, or run resparse data prepare imagenet"
UNKEPT = "restore it from its source"


def opened(path: Path, sha256: bytes | None) -> Image:
    """The image as RGB; raises Corrupt where it cannot be decoded, or is another than was kept.

    ``sha256``: of the file as it was prepared; None: only what cannot be decoded is found. It costs
    2 % of the time that reading, decoding and cropping the image takes, 7 % on a CPU without the
    instructions for it (70 and 230 us of 3.4 ms, the mean of 400 images of ImageNet).
    """
    remedy = UNKEPT if sha256 is None else KEPT
    try:
        data = path.read_bytes()
        if sha256 is not None and (found := hashlib.sha256(data).digest()) != sha256:
            raise Corrupt(image_list.changed(path, found.hex(), sha256.hex(), remedy))
        return decode(data)[0]
    except (OSError, ValueError) as error:
        why = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise Corrupt(f"{path} {why}; valid: a whole JPEG; {remedy}") from error


class ClassImages(Dataset[Any]):
    """folder/<class>/*, transformed, with their labels: numbers of the sorted classes.

    ``kept`` is the list of their hashes: raises Corrupt where it has other names. An image that is
    Corrupt is returned as that error, not raised: a DataLoader buries what is raised in its
    processes in a traceback of theirs. ``collate`` hands it on and ``sound`` raises it.
    """

    def __init__(
        self, folder: Path, transform: Callable[[Image], Any], kept: Path | None = None
    ) -> None:
        from torchvision.datasets import ImageFolder

        found = ImageFolder(str(folder))
        self.samples, self.classes, self.transform = found.samples, found.classes, transform
        self.digests: bytes | None = None
        if kept is not None:
            names = (path[len(str(folder)) + 1 :] for path, _ in self.samples)
            self.digests = image_list.digests(folder, names, kept, FOLDER)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        path, label = self.samples[index]
        at = slice(image_list.BYTES * index, image_list.BYTES * (index + 1))
        try:
            image = opened(Path(path), self.digests[at] if self.digests is not None else None)
        except Corrupt as error:
            return error
        return self.transform(image), label


def collate(images: list[Any]) -> Any:
    """The batch, or the first of its images that is Corrupt."""
    faults = (image for image in images if isinstance(image, Corrupt))
    return next(faults, None) or default_collate(images)


def sound(batch: Any) -> Any:
    """The batch; raises what was Corrupt in it."""
    if isinstance(batch, Corrupt):
        raise batch
    return batch
