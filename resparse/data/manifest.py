"""What a prepared dataset says of itself, and whether its files are still what it says."""

from pathlib import Path

from pydantic import Field

from resparse.data import stored
from resparse.data.stored import Stored
from resparse.errors import Corrupt, Missing
from resparse.files import file_sha256

SCHEMA = 3
FILE = "manifest.json"


class Written(Stored):
    """A file beside the manifest."""

    bytes: int
    sha256: str


class Manifest(Stored):
    """Written last: without it nothing in the folder is used."""

    schema_: int = Field(default=SCHEMA, alias="schema")
    name: str
    sources: dict[str, str]  # what it was made from -> sha256
    files: dict[str, Written]
    classes: list[str]  # by label
    images_per_class: dict[str, list[int]]  # split -> images by label
    image_shape: list[int]
    mean: list[float]  # by channel, in pixel values 0 to 255
    std: list[float]
    statistics: str  # where mean and std come from
    decoder: str  # what made pixels of JPEGs; "" for none
    duplicates: list[list[str]]  # pairs of images that are the same
    unchecked: str = ""  # which source no published checksum could be held against, in words


def remedy(name: str) -> str:
    """What to do about a prepared dataset that is not intact."""
    return f"run resparse data prepare {name}"


def write(folder: Path, manifest: Manifest) -> None:
    """Atomic; sealed, see stored.py."""
    stored.write(folder / FILE, manifest)


def read(folder: Path, name: str) -> Manifest:
    """The manifest of dataset ``name``; raises Missing where there is none, Corrupt for another.

    Corrupt too where anything in it was changed after it was written.
    """
    path, remake = folder / FILE, remedy(name)
    if not folder.is_dir():
        raise Missing(f"{name} is not prepared: there is no {folder}; {remake}")
    if not path.is_file():
        raise Missing(f"{path} is missing, so nothing beside it is used; {remake}")
    manifest = stored.read(Manifest, path, SCHEMA, remake)
    if manifest.name != name:
        raise Corrupt(f"{path} is of {manifest.name}; valid: {name}; {remake}")
    return manifest


def check_files(folder: Path, manifest: Manifest, needed: set[str]) -> None:
    """Raise Corrupt at the first file that is missing, of another size or of another sha256.

    Files that are ``needed`` must be among those that the manifest names.
    """
    remake = remedy(manifest.name)
    if unnamed := sorted(needed - manifest.files.keys()):
        raise Corrupt(f"{folder / FILE} does not name {unnamed[0]}; {remake}")
    for name, said in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise Corrupt(f"{path} is missing, and the manifest names it; {remake}")
        size = path.stat().st_size
        if size != said.bytes:
            raise Corrupt(f"{path} has {size:,} bytes; valid: {said.bytes:,}; {remake}")
        if (found := file_sha256(path)) != said.sha256:
            raise Corrupt(
                f"{path} was changed after it was prepared: sha256 {found}; valid: "
                f"{said.sha256}; {remake}"
            )
