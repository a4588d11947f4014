"""Tiny-ImageNet-200: 64x64 images, from the published zip archive or the folder it unpacks to."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resparse.data import tiny_layout
from resparse.data.archive import Archive, Tree, check
from resparse.data.jpeg import decode, decoder
from resparse.data.spec import Pixels, Source, Spec, Split
from resparse.data.tiny_layout import REMEDY, ZIP
from resparse.errors import Corrupt, Missing
from resparse.files import file_sha256


@dataclass(frozen=True)
class Layout:
    """root/tiny-imagenet-200.zip, else the folder root/tiny-imagenet-200."""

    archive: Archive = ZIP
    side: int = 64

    def open(self, root: Path) -> Source:
        """Labels by sorted wnid; the splits are train and val, whose labels are public."""
        path, folder = root / self.archive.file, root / Path(self.archive.file).stem
        if path.is_file():
            check(self.archive, path)
        elif not folder.is_dir():
            raise Missing(
                f"{path} is not there, nor is the folder {folder}: put {self.archive.file} from "
                f"{self.archive.url} into {root}"
            )
        tree = Tree(path if path.is_file() else folder)
        wnids, found = tiny_layout.wnids(tree), tiny_layout.splits(tree)
        classes = sorted({*wnids, *(wnid for part in found.values() for wnid in part.values())})
        number = {wnid: label for label, wnid in enumerate(classes)}
        splits = {}
        for split, part in found.items():
            names = sorted(part, key=lambda name: (part[name], name))
            labels = [number[part[name]] for name in names]
            splits[split] = Split(names, labels, _Pixels(tree, tuple(names), self.side))
        if path.is_file():
            return Source({path.name: file_sha256(path)}, classes, splits, None, decoder())
        other = f"{folder} cannot be compared with a published checksum; valid: {self.archive.file}"
        return Source({folder.name: _listing_sha256(tree)}, classes, splits, other, decoder())


def _listing_sha256(tree: Tree) -> str:
    """Digest of every file's name and content."""
    whole = hashlib.sha256()
    for name in tree.names:
        whole.update(f"{hashlib.sha256(tree.read(name)).hexdigest()}  {name}\n".encode())
    return whole.hexdigest()


@dataclass(frozen=True)
class _Pixels:
    tree: Tree
    names: tuple[str, ...]
    side: int

    def __call__(self) -> Iterator[Pixels]:
        for name in self.names:
            try:
                image = decode(self.tree.read(name))[0]  # some are greyscale: RGB from here on
            except ValueError as error:
                where = f"{self.tree.path}: {name}"
                raise Corrupt(f"{where} {error}; valid: a JPEG; {REMEDY}") from error
            if image.size != (self.side, self.side):
                raise Corrupt(
                    f"{self.tree.path}: {name} is {image.size[0]}x{image.size[1]}; valid: "
                    f"{self.side}x{self.side}; {REMEDY}"
                )
            yield np.asarray(image).transpose(2, 0, 1)


TINY_IMAGENET = Spec(
    "tiny_imagenet",
    200,
    (3, 64, 64),
    {"train": 500, "val": 50},
    Layout().open,
    Path(__file__),
    REMEDY,
    published_only=False,
)
