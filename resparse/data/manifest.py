"""What a prepared dataset says of itself, and whether its files are still what it says."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from resparse.errors import Corrupt, Missing
from resparse.files import file_sha256, read_json, write_json

SCHEMA = 1
FILE = "manifest.json"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Written(_Strict):
    """A file beside the manifest."""

    bytes: int
    sha256: str


class Manifest(_Strict):
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


def write(folder: Path, manifest: Manifest) -> None:
    """Atomic."""
    write_json(folder / FILE, manifest.model_dump(by_alias=True))


def read(folder: Path, name: str) -> Manifest:
    """The manifest of dataset ``name``; raises Missing where there is none, Corrupt for another."""
    path, remedy = folder / FILE, f"run resparse data prepare {name}"
    if not folder.is_dir():
        raise Missing(f"{name} is not prepared: there is no {folder}; {remedy}")
    if not path.is_file():
        raise Missing(f"{path} is missing, so nothing beside it is used; {remedy}")
    try:
        value = read_json(path)
    except ValueError as error:
        raise Corrupt(f"{path} is not JSON ({error}); {remedy}") from error
    schema = value.get("schema") if isinstance(value, dict) else None
    if schema != SCHEMA:
        raise Corrupt(f"{path} has schema {schema!r}; valid: {SCHEMA}; {remedy}")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Corrupt(f"{path}: {where}: {first['msg']}; {remedy}") from error
    if manifest.name != name:
        raise Corrupt(f"{path} is of {manifest.name}; valid: {name}; {remedy}")
    return manifest


def check_files(folder: Path, manifest: Manifest, needed: set[str]) -> None:
    """Raise Corrupt at the first file that is missing, of another size or of another sha256.

    Files that are ``needed`` must be among those that the manifest names.
    """
    remedy = f"run resparse data prepare {manifest.name}"
    if unnamed := sorted(needed - manifest.files.keys()):
        raise Corrupt(f"{folder / FILE} does not name {unnamed[0]}; {remedy}")
    for name, said in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise Corrupt(f"{path} is missing, and the manifest names it; {remedy}")
        size = path.stat().st_size
        if size != said.bytes:
            raise Corrupt(f"{path} has {size:,} bytes; valid: {said.bytes:,}; {remedy}")
        if (found := file_sha256(path)) != said.sha256:
            raise Corrupt(
                f"{path} was changed after it was prepared: sha256 {found}; valid: "
                f"{said.sha256}; {remedy}"
            )
