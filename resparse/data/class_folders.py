"""What lies in a split's class folders <wnid>/*.JPEG, and what should not lie there."""

import re
from collections.abc import Iterator
from pathlib import Path

from resparse.errors import Missing

WNID = re.compile(r"n\d{8}")


def scan(folder: Path) -> tuple[dict[str, int], list[str]]:
    """Images by wnid, and a sentence for each entry that does not belong there.

    Raises Missing where the folder is not there. Holds the names of one class at a time.
    """
    _require_folder(folder)
    counts: dict[str, int] = {}
    said: list[str] = []
    flat: list[str] = []
    for name in _names(folder):
        path = folder / name
        if not path.is_dir():
            flat.append(name)
        elif WNID.fullmatch(name):
            names = _names(path)
            said += [wrong for entry in names if (wrong := _misplaced(path, entry))]
            counts[name] = sum(entry.endswith(".JPEG") for entry in names)
        elif found := WNID.search(name.lower()):
            said.append(
                f"{path} is a second folder of class {found[0]}; valid: one folder <wnid> for each "
                f"class; delete it"
            )
        else:
            said.append(f"{path} is no class folder; valid: names like n01440764; move it away")
    images = [name for name in flat if name.upper().endswith((".JPEG", ".JPG"))]
    if images:
        said.append(
            f"{folder} has {len(images):,} images that are in no class folder ({images[0]}); "
            f"valid: <wnid>/*.JPEG; torchvision.datasets.ImageNet sorts the original archives so"
        )
    other = sorted(set(flat) - set(images))
    said += [f"{folder / name} is no class folder; move it away" for name in other]
    return counts, said


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise Missing(f"{folder} is not there; valid: class folders <wnid>/*.JPEG; put them there")


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _misplaced(folder: Path, name: str) -> str | None:
    """A sentence where an entry of a class folder is not one of its images."""
    if not name.endswith(".JPEG") or (folder / name).is_dir():
        return f"{folder / name} is not an image; valid: *.JPEG in {folder.name}; delete it"
    if other := other_class(name, folder.name):
        return f"{folder / name} is in the wrong class folder; valid: {other}; move it there"
    return None


def other_class(name: str, wnid: str) -> str | None:
    """The wnid with which an image's name begins, where that is not ``wnid``.

    >>> other_class("n01443537_12.JPEG", "n01440764"), other_class("val_0.JPEG", "n01440764")
    ('n01443537', None)
    """
    found = WNID.match(name)
    return found[0] if found and found[0] != wnid else None


def images(folder: Path) -> Iterator[str]:
    """Names <wnid>/<file> in order of class and name; raises Missing where there is no folder."""
    _require_folder(folder)
    for wnid in _names(folder):
        if WNID.fullmatch(wnid):
            for name in _names(folder / wnid):
                if name.endswith(".JPEG"):
                    yield f"{wnid}/{name}"
