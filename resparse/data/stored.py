"""JSON that was written beside a dataset's files, read back: what it says, or what is wrong."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from resparse.errors import Corrupt, Missing
from resparse.files import canonical, read_json, sha256, write_json

SEAL = "seal"  # the key of the hash of all the other keys


class Stored(BaseModel):
    """What such a file holds, immutable: no unknown key, no value of another type, no infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Kind = TypeVar("Kind", bound=Stored)


def write(path: Path, stored: Stored) -> None:
    """Atomic; with the hash of all that it says, so that an edit is noticed."""
    value = stored.model_dump(by_alias=True)
    write_json(path, value | {SEAL: _seal(value)})


def read(kind: type[Kind], path: Path, schema: int, remedy: str) -> Kind:
    """Raises Corrupt naming what the file is instead of ``kind``, then the remedy.

    Corrupt too where anything in it was changed after it was written.
    """
    value = _value(path, remedy)
    found = value.get("schema") if isinstance(value, dict) else None
    if found != schema:
        raise Corrupt(f"{path} has schema {found!r}; valid: {schema}; {remedy}")
    seal = value.pop(SEAL, None)
    try:
        stored = kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Corrupt(f"{path}: {where}: {first['msg']}; {remedy}") from error
    if seal != (valid := _seal(value)):
        raise Corrupt(
            f"{path} was changed after it was written: its {SEAL} is {seal!r}; valid for what it "
            f"says now: {valid!r}; {remedy}"
        )
    return stored


def _value(path: Path, remedy: str) -> Any:
    try:
        return read_json(path)
    except OSError as error:
        raise Missing(f"{path} cannot be read: {error.strerror}; {remedy}") from error
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"{path} is not JSON ({error}); {remedy}") from error


def _seal(value: object) -> str:
    return sha256(canonical(value))
