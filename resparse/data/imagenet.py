"""ImageNet-1k, by the loader that RESPARSE_LOADER names; no held-out part, as in the papers."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from resparse.data import Data, Shape
from resparse.data.beton import sidecar_of
from resparse.data.ffcv_kernel import require_ffcv
from resparse.data.order import own_share
from resparse.data.places import NO_ROOT, prepared_folder
from resparse.errors import Corrupt, Missing, UsageError

if TYPE_CHECKING:
    from resparse.data.ffcv_loader import Betons
    from resparse.data.folder import Folders

TRAIN, TEST = 1_281_167, 50_000
SHAPE = Shape(classes=1000, image_shape=(3, 224, 224), train_size=TRAIN)
LOADERS = ("torch", "ffcv")
BETONS = ("train.beton", "val.beton")  # in the prepared folder
PREPARE = "RESPARSE_LOADER=ffcv resparse data prepare imagenet"


def loader() -> str:
    """RESPARSE_LOADER, else "torch"; raises UsageError for another. Never one for the other."""
    name = os.environ.get("RESPARSE_LOADER") or "torch"
    if name not in LOADERS:
        raise UsageError(f"RESPARSE_LOADER is {name!r}; valid: {', '.join(LOADERS)}")
    return name


def files() -> list[Path]:
    """The code that makes the chosen loader's batches."""
    parts = {"torch": (), "ffcv": ("ffcv_loader", "ffcv_kernel", "beton", "crops")}
    return [Path(__file__).with_name(f"{part}.py") for part in (*parts[loader()], "folder")]


def missing(root: Path | None) -> str | None:
    """One sentence on what is not there, or None.

    root/imagenet/{train,val}/<wnid>/*.JPEG, or for ffcv what `data prepare imagenet` made of them.
    """
    if loader() == "ffcv":
        return _unprepared(root)
    if root is None:
        return f"{NO_ROOT} (imagenet is needed there)"
    for split in ("train", "val"):
        folder = root / "imagenet" / split
        classes = sum(p.is_dir() for p in folder.iterdir()) if folder.is_dir() else 0
        if classes != SHAPE.classes:
            return (
                f"ImageNet-1k {split} images: {folder} has {classes} class folders of "
                f"{SHAPE.classes}; put the original JPEGs in folders named by wnid"
            )
    return None


def _unprepared(root: Path | None) -> str | None:
    try:
        require_ffcv()
        folder = prepared_folder("imagenet", root)
    except Missing as error:
        return str(error)
    lack = [path for name in BETONS if not (path := sidecar_of(folder / name)).is_file()]
    return f"ImageNet-1k for FFCV: {lack[0]} is missing; run {PREPARE}" if lack else None


def load(root: Path | None) -> Data:
    """Raises Missing when it is not complete, Corrupt when a prepared file is not what it was."""
    lack = missing(root)
    if lack is not None:
        raise Missing(lack)
    loaded: Data = _betons(root) if loader() == "ffcv" else _folders(root or Path())
    for split, count in (("train", TRAIN), ("test", TEST)):
        if loaded.size(split) != count:
            remedy = "complete the folder" + f" and run {PREPARE}" * (loader() == "ffcv")
            raise Missing(f"ImageNet {split} has {loaded.size(split)} images of {count}: {remedy}")
    return loaded


def _betons(root: Path | None) -> "Betons":
    from resparse.data.ffcv_loader import Betons

    folder = prepared_folder("imagenet", root)
    try:
        return Betons("imagenet", *(folder / name for name in BETONS), share=own_share())
    except (Corrupt, Missing) as error:
        raise type(error)(f"{error}: {PREPARE}") from error


def _folders(root: Path) -> "Folders":
    from resparse.data.folder import Folders

    folders = (root / "imagenet" / split for split in ("train", "val"))
    try:
        return Folders("imagenet", *folders, share=own_share())
    except FileNotFoundError as error:
        raise Missing(f"ImageNet: {error}") from error
