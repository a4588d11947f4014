"""Tiny-ImageNet-200 as published: its archive, and which image in it is of which class."""

from resparse.data import counts
from resparse.data.archive import Archive, Tree
from resparse.data.class_folders import WNID, other_class
from resparse.errors import Corrupt

ZIP = Archive(
    "tiny-imagenet-200.zip",
    248_100_043,
    "md5:90528d7ca1a48142e341f4ef8d21d0de",
    "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
)
REMEDY = f"get {ZIP.file} from {ZIP.url} again"


def wnids(tree: Tree) -> list[str]:
    """The classes that wnids.txt lists; raises Corrupt where one is twice or none."""
    found = tree.text("wnids.txt")
    where = f"{tree.path}: wnids.txt"
    for wnid in found:
        if not WNID.fullmatch(wnid):
            raise Corrupt(f"{where} has {wnid!r}; valid: wnids like n01443537; {REMEDY}")
    if twice := counts.duplicate_class(found):
        raise Corrupt(f"{tree.path}: class {twice} is in wnids.txt twice; valid: once; {REMEDY}")
    return found


def splits(tree: Tree) -> dict[str, dict[str, str]]:
    """The names of train's and val's images -> wnid; raises Corrupt where one lies wrong."""
    if "train/val_annotations.txt" in tree.names:
        raise Corrupt(
            f"{tree.path}: train and val are swapped (train has val_annotations.txt); exchange "
            f"them, or {REMEDY}"
        )
    found = {"train": _train(tree), "val": _val(tree)}
    for part in found.values():
        _require_own_classes(tree, part)
    return found


def _train(tree: Tree) -> dict[str, str]:
    """Name -> wnid of train/<wnid>/images/*.JPEG."""
    names = _images(tree, "train", "train/<wnid>/images/*.JPEG")
    return {name: name.split("/")[1] for name in names}


def _val(tree: Tree) -> dict[str, str]:
    """Name -> wnid: by val_annotations.txt in the original layout, else by class folder."""
    valid = "val/images/*.JPEG with val/val_annotations.txt, or val/<wnid>/*.JPEG"
    names = _images(tree, "val", valid)
    if not any(name.startswith("val/images/") for name in names):
        return {name: name.split("/")[1] for name in names}
    lines = tree.text("val/val_annotations.txt")
    rows = [row for line in lines if len(row := line.split("\t")) > 1]
    file = f"{tree.path}: val/val_annotations.txt"
    if twice := counts.duplicate_class([row[0] for row in rows]):
        raise Corrupt(f"{file} has {twice!r} twice; valid: every image once; {REMEDY}")
    wnid = {f"val/images/{row[0]}": row[1] for row in rows}
    if without := sorted(set(names) - wnid.keys()):
        raise Corrupt(f"{file} has no class for {without[0]}; valid: one for each image; {REMEDY}")
    if gone := sorted(wnid.keys() - set(names)):
        raise Corrupt(f"{file} names {gone[0]}, which is not there; {REMEDY}")
    return {name: wnid[name] for name in names}


def _images(tree: Tree, split: str, valid: str) -> list[str]:
    """Names of a split's images; raises Corrupt where some lie in no folder of their class."""
    names = [name for name in tree.names if name.startswith(f"{split}/") and name.endswith(".JPEG")]
    if flat := [name for name in names if name.count("/") == 1]:
        raise Corrupt(
            f"{tree.path}: {split} has {len(flat):,} images that are in no class folder "
            f"({flat[0]}); valid: {valid}; {REMEDY}"
        )
    return names


def _require_own_classes(tree: Tree, part: dict[str, str]) -> None:
    """Raise Corrupt at the first image whose name is of another class than its folder."""
    for name, wnid in sorted(part.items()):
        if other := other_class(name.rpartition("/")[2], wnid):
            raise Corrupt(
                f"{tree.path}: {name} is in the wrong class folder; valid: {other}; move it "
                f"there, or {REMEDY}"
            )
