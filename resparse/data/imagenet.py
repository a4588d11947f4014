"""ImageNet-1k, by the loader that RESPARSE_LOADER names; no held-out part, as in the papers."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from resparse.data import Data, Shape, manifest
from resparse.data.beton import sidecar_of
from resparse.data.ffcv_kernel import require_ffcv
from resparse.data.order import own_share
from resparse.data.places import NO_ROOT, prepared_folder
from resparse.errors import Corrupt, Missing, UsageError

if TYPE_CHECKING:
    from resparse.data.ffcv_loader import Betons
    from resparse.data.folder import Folders

TRAIN, TEST = 1_281_167, 50_000
SPANS = {"train": (732, 1300), "val": (50, 50)}  # images of a class, fewest and most
SHAPE = Shape(classes=1000, image_shape=(3, 224, 224), train_size=TRAIN)
LOADERS = ("torch", "ffcv")
LISTS = ("train.sha256", "val.sha256")  # in the prepared folder: the sha256 of every image
BETONS = ("train.beton", "val.beton")  # there too
PREPARE = "RESPARSE_LOADER=ffcv resparse data prepare imagenet"


def loader() -> str:
    """RESPARSE_LOADER, else "torch"; raises UsageError for another. Never one for the other."""
    name = os.environ.get("RESPARSE_LOADER") or "torch"
    if name not in LOADERS:
        raise UsageError(f"RESPARSE_LOADER is {name!r}; valid: {', '.join(LOADERS)}")
    return name


def files() -> list[Path]:
    """The code that makes the chosen loader's batches."""
    parts = {
        "torch": ("class_images", "jpeg"),
        "ffcv": ("ffcv_loader", "ffcv_kernel", "beton", "crops"),
    }
    return [Path(__file__).with_name(f"{part}.py") for part in (*parts[loader()], "folder")]


def missing(root: Path | None) -> str | None:
    """One sentence on what is not there, or None; no image and no .beton is read.

    root/imagenet/{train,val}/<wnid>/*.JPEG and the hashes that `data prepare imagenet` kept of
    them, or for ffcv what that made of them.
    """
    try:
        _require_betons(root) if loader() == "ffcv" else _require_folders(root)
    except (Corrupt, Missing) as error:
        return str(error)
    return None


def _require_folders(root: Path | None) -> None:
    if root is None:
        raise Missing(f"{NO_ROOT} (imagenet is needed there)")
    for split in ("train", "val"):
        folder = root / "imagenet" / split
        classes = sum(p.is_dir() for p in folder.iterdir()) if folder.is_dir() else 0
        if classes != SHAPE.classes:
            raise Missing(
                f"ImageNet-1k {split} images: {folder} has {classes} class folders of "
                f"{SHAPE.classes}; put the original JPEGs in folders named by wnid"
            )
    manifest.read(prepared_folder("imagenet", root), "imagenet")


def _require_betons(root: Path | None) -> None:
    require_ffcv()
    folder = prepared_folder("imagenet", root)
    for name in BETONS:
        if not (path := sidecar_of(folder / name)).is_file():
            raise Missing(f"ImageNet-1k for FFCV: {path} is missing; run {PREPARE}")


def load(root: Path | None) -> Data:
    """Raises Missing when it is not complete, Corrupt when a prepared file is not what it was."""
    fast = loader() == "ffcv"
    _require_betons(root) if fast else _require_folders(root)
    loaded: Data = _betons(root) if fast else _folders(root or Path())
    for split, count in (("train", TRAIN), ("test", TEST)):
        if loaded.size(split) != count:
            remedy = "complete the folder" + f" and run {PREPARE}" * fast
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

    train, val = (root / "imagenet" / split for split in ("train", "val"))
    kept = kept_lists(prepared_folder("imagenet", root))
    try:
        return Folders("imagenet", train, val, kept=kept, share=own_share())
    except FileNotFoundError as error:
        raise Missing(f"ImageNet: {error}") from error


def kept_lists(folder: Path) -> tuple[Path, Path]:
    """The lists of the training and the validation images' hashes, whole; else Missing or Corrupt.

    The manifest's other files, hundreds of gigabytes of them, are not read.
    """
    said = manifest.read(folder, "imagenet")
    lists = {name: said.files[name] for name in LISTS if name in said.files}
    manifest.check_files(folder, said.model_copy(update={"files": lists}), set(LISTS))
    return folder / LISTS[0], folder / LISTS[1]
