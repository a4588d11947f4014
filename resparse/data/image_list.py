"""The kept hashes of a folder's images, one line each, as sha256sum --check reads them."""

from itertools import chain, zip_longest
from pathlib import Path

NAME = 66  # the column where a line's file name starts: 64 hex digits, two spaces
FIRST = 20  # changed images that are named


def line(sha256: str, name: str) -> str:
    """One image's."""
    return f"{sha256}  {name}\n"


def names(pairs: list[tuple[int, int]], lists: list[Path]) -> list[tuple[str, str]]:
    """Pairs of image numbers, counted through all lists, as <split>/<wnid>/<file>."""
    wanted = set(chain.from_iterable(pairs))
    found: dict[int, str] = {}
    number = 0
    for path in lists:
        with path.open() as file:
            for text in file:
                if number in wanted:
                    found[number] = f"{path.stem}/{text[NAME:].rstrip()}"
                number += 1
    return [(found[i], found[j]) for i, j in pairs]


def changes(folder: Path, kept: Path, today: Path, remedy: str) -> list[str]:
    """A sentence for the first images of ``folder`` that are not what they were when prepared."""
    said: list[str] = []
    with kept.open() as before, today.open() as after:
        for old, new in zip_longest(before, after, fillvalue=""):
            name = folder / (new or old)[NAME:].rstrip()
            if old[NAME:] != new[NAME:]:
                gone = folder / (old or new)[NAME:].rstrip()
                return [
                    *said,
                    f"{folder} has other images than when it was prepared, from {gone} on; "
                    f"{remedy}",
                ]
            if old != new:
                said.append(
                    f"{name} was changed after it was prepared: sha256 {new[:64]}; valid: "
                    f"{old[:64]}; {remedy}"
                )
            if len(said) == FIRST:
                break
    return said
