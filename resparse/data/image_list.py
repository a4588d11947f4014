"""The kept hashes of a folder's images, one line each, as sha256sum --check reads them."""

from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from pathlib import Path

from resparse.errors import Corrupt

BYTES = 32  # of a sha256
NAME = 2 * BYTES + 2  # the column where a line's file name starts: hex digits, two spaces
FIRST = 20  # changed images that are named


def line(sha256: str, name: str) -> str:
    """One image's."""
    return f"{sha256}  {name}\n"


def entries(path: Path) -> Iterator[tuple[str, str]]:
    """Each image's sha256 and name."""
    with path.open() as file:
        for text in file:
            yield text[: 2 * BYTES], text[NAME:].rstrip()


def names(pairs: list[tuple[int, int]], lists: list[Path]) -> list[tuple[str, str]]:
    """Pairs of image numbers, counted through all lists, as <split>/<wnid>/<file>."""
    wanted = set(chain.from_iterable(pairs))
    lines = ((path, name) for path in lists for _, name in entries(path))
    found = {
        number: f"{path.stem}/{name}"
        for number, (path, name) in enumerate(lines)
        if number in wanted
    }
    return [(found[i], found[j]) for i, j in pairs]


def digests(folder: Path, names: Iterable[str], kept: Path, remedy: str) -> bytes:
    """The kept sha256 of each image, BYTES each; raises Corrupt where the names are not the kept.

    A kept list is ordered by class and name, as the ``names`` <class>/<file> must be.
    """
    found = bytearray()
    with kept.open() as file:
        for text, name in zip_longest(file, names):
            old = text and text[NAME:].rstrip()
            if old != name:
                raise Corrupt(_others(folder, min(filter(None, (old, name))), remedy))
            found += bytes.fromhex(text[: 2 * BYTES])
    return bytes(found)


def changed(path: Path, found: str, kept: str, remedy: str) -> str:
    """A sentence on an image whose sha256 is another than the kept."""
    return f"{path} was changed after it was prepared: sha256 {found}; valid: {kept}; {remedy}"


def _others(folder: Path, name: str, remedy: str) -> str:
    """A sentence on a folder whose names are not the kept ones from ``name`` on, new or gone."""
    return f"{folder} has other images than when it was prepared, from {folder / name} on; {remedy}"


def changes(folder: Path, kept: Path, today: Path, remedy: str) -> list[str]:
    """A sentence for the first images of ``folder`` that are not what they were when prepared."""
    said: list[str] = []
    with kept.open() as before, today.open() as after:
        for old, new in zip_longest(before, after, fillvalue=""):
            name = min(filter(None, (old[NAME:], new[NAME:]))).rstrip()
            if old[NAME:] != new[NAME:]:
                return [*said, _others(folder, name, remedy)]
            if old != new:
                said.append(changed(folder / name, new[: 2 * BYTES], old[: 2 * BYTES], remedy))
            if len(said) == FIRST:
                break
    return said
