"""Typed reading of what people write: pydantic checks it, one sentence says what is wrong."""

import re
import tomllib
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from resparse.errors import UsageError

_VALID = {  # what pydantic found wrong -> what would be right
    "int_type": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text",
    "string_too_short": "a text that is not empty",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "too_short": "at least {min_length} of them",
    "literal_error": "{expected}",
    "value_error": "{error}",
    "greater_than": "above {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "below {lt:g}",
    "less_than_equal": "at most {le:g}",
}


class Table(BaseModel):
    """A table of a file, immutable: no unknown key, no value of another type, no infinity."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True)


Item = TypeVar("Item")
Kind = TypeVar("Kind", bound=Table)
Many = Annotated[tuple[Item, ...], Field(strict=False)]  # a list in the file
Some = Annotated[tuple[Item, ...], Field(strict=False, min_length=1)]
Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, lt=1)]


def matching(pattern: str, valid: str) -> AfterValidator:
    """A text of this form, whole; ``valid`` says it in words."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(valid)
        return text

    return AfterValidator(check)


def read(kind: type[Kind], table: object, where: str) -> Kind:
    """``table`` as a ``kind``; raises UsageError with what is wrong first, and where."""
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        raise UsageError(f"{where}: {sentence(error, kind)}") from None


def sentence(error: ValidationError, kind: type[Table] | None = None) -> str:
    """What is wrong first and what is valid; without ``kind`` of the table that it is named by."""
    found = error.errors(include_url=False)
    unknown = [e for e in found if e["type"] == "extra_forbidden"]  # mostly a misspelt name
    return _sentence(kind or _kind(error.title), (unknown or found)[0])


def _kind(title: str) -> type[Table]:
    """The table of that name; one without keys where another package's model was validated."""
    return next((kind for kind in Table.__subclasses__() if kind.__name__ == title), Table)


def _sentence(kind: type[Table], error: ErrorDetails) -> str:
    path = error["loc"]
    name = re.sub(r"\.(\d+)", r"[\1]", ".".join(map(str, path)))
    fields = _table_at(kind, path[:-1]).model_fields
    if error["type"] == "extra_forbidden":
        return f"unknown key {name!r}; valid: {', '.join(fields) or 'without it'}"
    if error["type"] == "missing":
        needed = ", ".join(key for key, field in fields.items() if field.is_required())
        return f"{name} is missing; needed: {needed or name}"
    valid = _VALID.get(error["type"], error["msg"]).format(**error.get("ctx", {}))
    if error["type"] == "value_error" and not path:  # of the table as a whole
        return valid
    value = "nothing" if error["input"] is None else repr(error["input"])
    return f"{name}{' = ' if path else ''}{value}; valid: {valid}"


def _table_at(kind: type[Table], path: Iterable[int | str]) -> type[Table]:
    """The table that a path of keys leads to; keys of a dictionary of tables count for nothing."""
    for key in path:
        field = kind.model_fields.get(str(key))
        inner: tuple[Any, ...] = (field.annotation, *get_args(field.annotation)) if field else ()
        kind = next((t for t in inner if isinstance(t, type) and issubclass(t, Table)), kind)
    return kind


def read_text(path: Path, where: str) -> str:
    """The file's text; raises UsageError where there is no such file or it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"{where}: {why}; valid: a text file") from error


@contextmanager
def located(where: str) -> Iterator[None]:
    """Say ``where`` in front of the sentence of a bad value found inside."""
    try:
        yield
    except (UsageError, ValueError) as error:
        raise UsageError(f"{where}: {error}") from error


def toml(text: str, where: str) -> dict[str, Any]:
    """The tables of a text; raises UsageError where it is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: {error}; valid: TOML") from error


def distinct(values: Iterable[Hashable], what: str, where: str) -> None:
    """Raise UsageError naming the first value that is given twice."""
    seen = set()
    for value in values:
        if value in seen:
            raise UsageError(f"{where}: {what} {value} is given twice; valid: each {what} once")
        seen.add(value)
